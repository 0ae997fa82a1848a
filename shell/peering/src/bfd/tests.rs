use super::*;
use ferrolb_bfd::{Authentication, DownReason, Event, Key, Timing};
use ferrolb_wire::bfd::{AuthType, Control, Diagnostic, State};
use nix::errno::Errno;
use prometheus_client::registry::Registry;
use std::net::{SocketAddr, UdpSocket};
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

mod echoing;
mod handing_over;

/// Beyond any time that sessions may take on a busy machine, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

/// Addresses of 127.0.0.0/8 and ports that are one test's alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    first: u8,
    single_hop_port: u16,
    multihop_port: u16,
}

impl Segment {
    pub(super) fn new() -> Self {
        static FIRST: AtomicU8 = AtomicU8::new(4);
        let taken = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [single_hop_port, multihop_port] = taken.map(|socket| socket.local_addr().unwrap().port());
        Self { first: FIRST.fetch_add(4, Ordering::Relaxed), single_hop_port, multihop_port }
    }

    pub(super) fn config(self, host: u8) -> BfdConfig {
        let [high, low] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
        BfdConfig {
            bind_v4: Ipv4Addr::new(127, high, low, self.first + host),
            bind_v6: Ipv6Addr::LOCALHOST,
            single_hop_port: self.single_hop_port,
            multihop_port: self.multihop_port,
        }
    }

    pub(super) fn address(self, host: u8) -> IpAddr {
        self.config(host).bind_v4.into()
    }

    /// Where a host receives.
    pub(super) fn port(self, host: u8, is_multihop: bool) -> SocketAddr {
        (self.address(host), self.config(host).port(is_multihop)).into()
    }

    /// One hop from one host to another.
    pub(super) fn path(self, from: u8, to: u8) -> SessionPath {
        SessionPath {
            peer: self.address(to),
            local: Some(self.address(from)),
            interface: None,
            is_multihop: false,
        }
    }
}

pub(super) fn config(interval_ms: u32, mult: u8) -> Config {
    let interval = Interval::from_millis(interval_ms);
    let timing = Timing::new(interval, interval, NonZeroU8::new(mult).unwrap()).unwrap();
    Config { timing, ..Config::default() }
}

/// Where no silence of a test is a failure.
fn patient() -> Config {
    config(300, 200)
}

/// A running driver with its metrics.
struct Host {
    bfd: Bfd,
    registry: Registry,
}

impl Host {
    fn spawn(config: BfdConfig) -> Self {
        Self::resume(config, &[])
    }

    /// One that goes on with the sessions of another.
    fn resume(config: BfdConfig, lines: &[String]) -> Self {
        let mut registry = Registry::default();
        let metrics = BfdMetrics::register(&mut registry);
        Self { bfd: resume(config, metrics, lines).unwrap(), registry }
    }

    /// Host `from` with one session.
    fn start(segment: Segment, path: &SessionPath, from: u8, config: Config) -> Self {
        let host = Self::spawn(segment.config(from));
        host.want(path, config);
        host
    }

    fn want(&self, path: &SessionPath, config: Config) {
        self.bfd.handle.set_sessions([(path.clone(), config)].into());
    }

    /// Waits until the session is as expected.
    async fn comes_to(
        &mut self,
        path: &SessionPath,
        is_expected: impl Fn(&SessionStatus) -> bool,
    ) -> SessionStatus {
        let is_so = |view: &BfdView| view.sessions.get(path).is_some_and(&is_expected);
        let seen = timeout(DEADLINE, self.bfd.view.wait_for(is_so)).await;
        let view = seen.expect("the session becomes as expected").expect("the driver runs");
        view.sessions[path].clone()
    }

    async fn comes_up(&mut self, path: &SessionPath) -> SessionStatus {
        self.comes_to(path, |status| status.state == State::Up).await
    }

    async fn next_event(&mut self) -> BfdEvent {
        timeout(DEADLINE, self.bfd.events.recv()).await.expect("an event is told").expect("the driver runs")
    }

    /// Why the session is told to have left Up.
    async fn next_down(&mut self) -> DownReason {
        loop {
            if let Event::Down { why, .. } = self.next_event().await.change {
                return why;
            }
        }
    }

    /// Waits until a line of the metrics begins with `start`.
    async fn shows(&self, start: &str) {
        let shown = async {
            while !encoded(&self.registry).lines().any(|line| line.starts_with(start)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(DEADLINE, shown).await.unwrap_or_else(|_| panic!("{start} in\n{}", encoded(&self.registry)));
    }
}

pub(super) fn encoded(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

/// What a router says that has heard nobody.
fn first_packet() -> [u8; ferrolb_wire::bfd::LENGTH] {
    let control = Control {
        diagnostic: Diagnostic::NONE,
        state: State::Down,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_mult: NonZeroU8::new(200).unwrap(),
        my_discriminator: NonZeroU32::new(77).unwrap(),
        your_discriminator: None,
        desired_min_tx: Interval::from_millis(1_000),
        required_min_rx: Interval::from_millis(300),
        required_min_echo_rx: Interval::ZERO,
    };
    control.emit()
}

#[test]
fn packets_come_to_the_ports_that_they_go_to() {
    let (config, peer) = (BfdConfig::default(), IpAddr::from([192, 0, 2, 1]));
    assert_eq!(config.port(false), Path::SingleHop { interface: 1, peer }.port());
    assert_eq!(config.port(true), Path::Multihop { local: peer, peer }.port());
}

#[tokio::test]
async fn two_hosts_come_up_and_one_notices_when_the_other_is_killed() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let mut one = Host::start(segment, &there, 0, config(50, 3));
    let mut two = Host::start(segment, &back, 1, config(60, 3));
    two.comes_up(&back).await;
    let is_agreed = |status: &SessionStatus| status.detection_time == Some(Duration::from_millis(180));
    let status = one.comes_to(&there, is_agreed).await;
    assert_eq!(status.error, None);
    assert!(status.up_since.is_some() && status.local_discr.is_some());
    assert_eq!(status.rx_interval, Some(Interval::from_millis(60)));
    assert_eq!(one.next_event().await.path, there);
    one.shows("ferrolb_bfd_session_up{").await;

    // Dropping the handle ends the driver without a word, as the death of the process would.
    drop(two);
    let killed = Instant::now();
    assert_eq!(one.next_down().await, DownReason::DetectionTimeExpired);
    assert_eq!(one.bfd.view.borrow().sessions[&there].counts.downs, 1, "the view shows it already");
    println!("the end of a host was noticed after {:?}", killed.elapsed());
    let status = one.comes_to(&there, |status| status.state == State::Down).await;
    assert!(status.down.is_some_and(DownReason::is_failure));
    assert_eq!((status.up_since, status.local_diag), (None, Diagnostic::CONTROL_DETECTION_TIME_EXPIRED));
    let labels =
        format!("peer=\"{}\",local=\"{}\",interface=\"\",hops=\"one\"", there.peer, segment.address(0));
    one.shows(&format!("ferrolb_bfd_transitions_total{{{labels},to=\"up\",reason=\"\"}}")).await;
    one.shows(&format!(
        "ferrolb_bfd_transitions_total{{{labels},to=\"down\",reason=\"detection_time_expired\"}}"
    ))
    .await;
    one.shows(&format!("ferrolb_bfd_session_up{{{labels}}} 0")).await;

    let mut two = Host::start(segment, &back, 1, config(60, 3));
    two.comes_up(&back).await;
    one.comes_up(&there).await;
}

#[tokio::test]
async fn a_session_may_name_its_interface_and_leave_its_own_address_to_the_kernel() {
    let all = [(false, false), (false, true), (true, false), (true, true)];
    for (is_multihop, has_interface) in all {
        let segment = Segment::new();
        let interface = has_interface.then(|| "lo".into());
        // The kernel's choice is 127.0.0.1, which the peer does not expect, until the packets
        // name its session.
        let there = SessionPath { interface, local: None, is_multihop, ..segment.path(0, 1) };
        let mut one = Host::start(segment, &there, 0, patient());
        let back = SessionPath { is_multihop, ..segment.path(1, 0) };
        let mut two = Host::start(segment, &back, 1, patient());
        one.comes_up(&there).await;
        two.comes_up(&back).await;
    }
}

#[tokio::test]
async fn packets_over_several_hops_find_their_session_by_both_addresses_or_by_the_peers_alone() {
    for local in [true, false] {
        let segment = Segment::new();
        let given = SessionPath { is_multihop: true, ..segment.path(0, 1) };
        let path = SessionPath { local: given.local.filter(|_| local), ..given };
        let mut host = Host::start(segment, &path, 0, patient());
        // Not before its socket is open.
        host.comes_to(&path, |status| status.local_discr.is_some()).await;
        let router = UdpSocket::bind((segment.address(1), 0)).unwrap();
        router.send_to(&first_packet(), segment.port(0, true)).unwrap();
        host.comes_to(&path, |status| status.state == State::Init).await;
    }
}

#[tokio::test]
async fn what_an_operator_ends_has_not_failed() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let mut one = Host::start(segment, &there, 0, patient());
    let mut two = Host::start(segment, &back, 1, patient());
    one.comes_up(&there).await;
    two.comes_up(&back).await;
    two.bfd.handle.set_sessions(BTreeMap::new());
    let why = one.next_down().await;
    assert_eq!((why, why.is_failure()), (DownReason::NeighborAdminDown, false));
    let status = one.comes_to(&there, |status| status.remote_state == State::AdminDown).await;
    assert_eq!(status.remote_diag, Diagnostic::ADMINISTRATIVELY_DOWN);
    assert_eq!(two.next_down().await, DownReason::AdminDown);

    // And the session comes up again when it is wanted again, even while it says farewell.
    two.want(&back, patient());
    two.comes_up(&back).await;
    one.comes_up(&there).await;
}

#[tokio::test]
async fn leaving_tells_the_peers_and_frees_the_ports() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let mut one = Host::start(segment, &there, 0, patient());
    let mut two = Host::start(segment, &back, 1, config(300, 1));
    one.comes_up(&there).await;
    two.comes_up(&back).await;
    let started = Instant::now();
    two.bfd.handle.leave().await;
    println!("leaving took {:?}", started.elapsed());
    assert!(two.bfd.view.has_changed().is_err(), "the view is closed");
    UdpSocket::bind(segment.port(1, false)).expect("the port is free");
    assert_eq!(one.next_down().await, DownReason::NeighborAdminDown);
}

#[tokio::test]
async fn another_configuration_takes_no_session_down() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let mut one = Host::start(segment, &there, 0, patient());
    let mut two = Host::start(segment, &back, 1, patient());
    one.comes_up(&there).await;
    two.comes_up(&back).await;
    one.want(&there, config(100, 100));
    two.want(&back, config(120, 100));
    for (host, path) in [(&mut one, &there), (&mut two, &back)] {
        let is_agreed = |status: &SessionStatus| status.detection_time == Some(Duration::from_secs(12));
        let status = host.comes_to(path, is_agreed).await;
        assert_eq!((status.state, status.counts.ups, status.counts.downs), (State::Up, 1, 0));
    }
}

#[tokio::test]
async fn a_packet_from_afar_or_from_a_stranger_is_discarded_and_counted() {
    let segment = Segment::new();
    let path = segment.path(0, 1);
    let mut host = Host::start(segment, &path, 0, patient());
    host.comes_to(&path, |status| status.local_discr.is_some()).await;
    let (router, stranger) =
        (UdpSocket::bind((segment.address(1), 0)), UdpSocket::bind((segment.address(2), 0)));
    let (router, stranger) = (router.unwrap(), stranger.unwrap());
    router.set_ttl(254).unwrap();
    router.send_to(&first_packet(), segment.port(0, false)).unwrap();
    host.shows("ferrolb_bfd_drops_total{reason=\"ttl\"} 1").await;
    stranger.set_ttl(255).unwrap();
    stranger.send_to(&first_packet(), segment.port(0, false)).unwrap();
    host.shows("ferrolb_bfd_drops_total{reason=\"unknown_peer\"} 1").await;
    router.send_to(b"hello", segment.port(0, false)).unwrap();
    host.shows("ferrolb_bfd_drops_total{reason=\"version\"} 1").await;
    assert_eq!(host.bfd.view.borrow().sessions[&path].state, State::Down);
    assert_eq!(host.bfd.view.borrow().sessions[&path].counts.received, 0);

    router.set_ttl(255).unwrap();
    router.send_to(&first_packet(), segment.port(0, false)).unwrap();
    host.comes_to(&path, |status| status.state == State::Init).await;
}

#[tokio::test]
async fn a_port_in_use_is_told_with_what_to_do_and_used_once_it_is_free() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let occupant = UdpSocket::bind(segment.port(0, false)).unwrap();
    let mut one = Host::start(segment, &there, 0, patient());
    let status = one.comes_to(&there, |status| status.error.is_some()).await;
    let address = segment.port(0, false);
    assert_eq!(status.error, Some(SessionError::Listen { address, source: Errno::EADDRINUSE }));
    let text = ferrolb_telemetry::chain(&status.error.unwrap()).to_string();
    assert!(text.contains(&address.to_string()) && text.contains("stop what uses that port"), "{text}");
    let mut two = Host::start(segment, &back, 1, patient());
    drop(occupant);
    assert_eq!(one.comes_up(&there).await.error, None);
    two.comes_up(&back).await;
}

#[tokio::test]
async fn sessions_with_one_secret_come_up_and_a_stranger_is_discarded_and_counted() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let secret = |secret: &[u8]| {
        let key = Key::new(1, secret).unwrap();
        let authentication = Authentication::new(AuthType::MeticulousKeyedSha1, key, None).unwrap();
        Config { authentication: Some(authentication), ..patient() }
    };
    let mut one = Host::start(segment, &there, 0, secret(b"secret"));
    let mut two = Host::start(segment, &back, 1, secret(b"another"));
    two.shows("ferrolb_bfd_drops_total{reason=\"authentication_mismatch\"}").await;
    assert_eq!(two.bfd.view.borrow().sessions[&back].state, State::Down);
    two.want(&back, secret(b"secret"));
    one.comes_up(&there).await;
    two.comes_up(&back).await;
}

#[tokio::test]
async fn what_cannot_run_hinders_no_other() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let nowhere = SessionPath { interface: Some("no-such-link".into()), ..segment.path(0, 2) };
    let twice = SessionPath { local: None, ..there.clone() };
    let mut one = Host::spawn(segment.config(0));
    let wanted = [&there, &nowhere, &twice].map(|path| (path.clone(), patient()));
    one.bfd.handle.set_sessions(wanted.into());
    let mut two = Host::start(segment, &back, 1, patient());
    two.comes_up(&back).await;
    let error = one.comes_to(&nowhere, |status| status.error.is_some()).await.error.unwrap();
    assert_eq!((error.reason(), error.to_string().contains("no-such-link")), ("InterfaceUnusable", true));
    // Of two sessions with one peer the first in order has the path.
    let statuses = Arc::clone(&one.bfd.view.borrow().sessions);
    let errors = [&there, &twice].map(|path| statuses[path].error.as_ref().map(SessionError::reason));
    assert_eq!(errors, [Some("PeerTaken"), None]);
}

#[tokio::test]
async fn over_ipv6_a_session_comes_up_too() {
    // With itself: the host has but one loopback address of this family.
    let loopback = IpAddr::from(Ipv6Addr::LOCALHOST);
    for is_multihop in [false, true] {
        let segment = Segment::new();
        let path = SessionPath { peer: loopback, local: Some(loopback), interface: None, is_multihop };
        let mut host = Host::start(segment, &path, 0, patient());
        let is_decided = |status: &SessionStatus| status.state == State::Up || status.error.is_some();
        match host.comes_to(&path, is_decided).await.error {
            Some(error) => println!("this host lacks IPv6: {error}"),
            None => assert_eq!(host.next_event().await.path, path),
        }
    }
}
