//! Two drivers in hand: their sockets are real, and the time is what the test says.

use super::*;
use crate::bfd::inheritance::Inheritance;
use crate::bfd::tests::{Segment, config, encoded};
use crate::bfd::{Bfd, BfdMetrics, SessionError, SessionPath, SessionStatus, channels};
use crate::realtime::RealtimeError;
use crate::wake;
use ferrolb_bfd::{Config, DownReason, Event};
use ferrolb_wire::bfd::{Interval, State};
use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use prometheus_client::registry::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;

mod handing_over;

/// A driver, and the one session that it is to have.
struct Hand {
    driver: Driver,
    bfd: Bfd,
    path: SessionPath,
    registry: Registry,
}

impl Hand {
    fn new(segment: Segment, from: u8, to: u8, refused: Option<RealtimeError>) -> Self {
        Self::with(Inheritance::default(), segment, (from, to), refused)
    }

    /// One that goes on with the sessions of another.
    fn with(
        inheritance: Inheritance,
        segment: Segment,
        (from, to): (u8, u8),
        refused: Option<RealtimeError>,
    ) -> Self {
        let (waker, wakened) = wake::pair().unwrap();
        let (bfd, channels) = channels(waker, inheritance.configs());
        let mut registry = Registry::default();
        let metrics = BfdMetrics::register(&mut registry);
        let sessions = Sessions::new(segment.config(from), refused, metrics, inheritance);
        Self { driver: Driver::new(sessions, wakened, channels), bfd, path: segment.path(from, to), registry }
    }

    fn want(&self, config: Config) {
        self.bfd.handle.set_sessions([(self.path.clone(), config)].into());
    }

    /// A turn, after which `peer` has what was sent.
    fn turn(&mut self, now: Instant, peer: &Self) {
        let before = self.now().counts.sent;
        assert!(self.driver.turn(now));
        if self.now().counts.sent > before {
            peer.wait_for_packet();
        }
    }

    /// How the session is now, whatever the view says.
    fn now(&self) -> SessionStatus {
        self.driver.sessions.view().sessions.get(&self.path).cloned().expect("the session is wanted")
    }

    /// How the session is told to be.
    fn told(&self) -> SessionStatus {
        self.bfd.view.borrow().sessions[&self.path].clone()
    }

    fn wait_for_packet(&self) {
        let mut fds: Vec<_> =
            self.driver.sessions.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        assert_eq!(poll(&mut fds, PollTimeout::from(10_000_u16)), Ok(1), "a packet comes");
    }

    fn next_event(&mut self) -> Event {
        self.bfd.events.try_recv().unwrap().change
    }
}

fn at(ms: u64) -> Instant {
    Instant::from_origin(Duration::from_millis(ms))
}

/// Two drivers whose sessions have come up at the origin of time.
fn up() -> (Hand, Hand, Segment) {
    up_with(config(300, 3))
}

/// The same of sessions with this configuration.
fn up_with(config: Config) -> (Hand, Hand, Segment) {
    let segment = Segment::new();
    let (mut one, mut two) = (Hand::new(segment, 0, 1, None), Hand::new(segment, 1, 0, None));
    for hand in [&mut one, &mut two] {
        hand.want(config);
        assert!(hand.driver.turn(at(0)));
    }
    // What the first said, the second was not there to hear.
    meet(&mut one, &mut two, at(0));
    for hand in [&mut one, &mut two] {
        assert_eq!(hand.next_event(), Event::Up { at: at(0) });
    }
    (one, two, segment)
}

/// Lets the two talk until both sessions are up.
fn meet(one: &mut Hand, two: &mut Hand, now: Instant) {
    for _ in 0..10 {
        one.turn(now, two);
        two.turn(now, one);
    }
    assert_eq!((one.now().state, two.now().state), (State::Up, State::Up));
}

/// Lets the two talk, every 100 ms.
fn talk(one: &mut Hand, two: &mut Hand, from_ms: u64, to_ms: u64) {
    for ms in (from_ms..=to_ms).step_by(100) {
        one.turn(at(ms), two);
        two.turn(at(ms), one);
    }
}

#[test]
fn a_driver_that_was_held_up_loses_no_session_whose_packets_wait_in_the_socket() {
    let (mut one, mut two, _segment) = up();
    two.turn(at(300), &one);
    one.turn(at(60_000), &two);
    assert_eq!(one.now().state, State::Up);
    one.turn(at(120_000), &two);
    assert_eq!(one.now().state, State::Down);
    assert!(matches!(one.next_event(), Event::Down { why: DownReason::DetectionTimeExpired, .. }));
}

#[test]
fn nobody_listens_before_a_session_is_wanted_and_after_the_last_has_ended() {
    let (mut one, mut two, segment) = up();
    let is_free = || UdpSocket::bind(segment.port(0, false)).is_ok();
    one.bfd.handle.set_sessions(BTreeMap::new());
    assert!(one.driver.turn(at(100)));
    assert!(one.bfd.view.borrow().sessions.is_empty());
    two.wait_for_packet();
    two.turn(at(100), &one);
    assert!(matches!(two.next_event(), Event::Down { why: DownReason::NeighborAdminDown, .. }));
    // RFC 5880 §6.8.16: three times the second that a session takes that is not Up.
    assert!(one.driver.turn(at(3_099)));
    assert!(!is_free(), "the peer is told for a Detection Time");
    assert!(one.driver.turn(at(3_100)));
    assert!(is_free());
    assert_eq!(one.driver.sessions.poll_timeout(), None);

    let mut idle = Hand::new(segment, 0, 1, None);
    assert!(idle.driver.turn(at(0)));
    assert!(is_free());
}

#[test]
fn a_session_that_is_wanted_again_while_it_says_farewell_goes_on() {
    let (mut one, mut two, segment) = up();
    one.bfd.handle.set_sessions(BTreeMap::new());
    assert!(one.driver.turn(at(100)));
    two.wait_for_packet();
    two.turn(at(100), &one);
    one.want(config(300, 3));
    assert!(one.driver.turn(at(200)));
    two.wait_for_packet();
    meet(&mut one, &mut two, at(200));
    talk(&mut one, &mut two, 300, 5_000);
    assert_eq!((one.now().state, one.now().counts.ups), (State::Up, 2));
    assert!(UdpSocket::bind(segment.port(0, false)).is_err());
}

#[test]
fn a_peer_that_was_never_heard_needs_no_farewell() {
    let segment = Segment::new();
    let mut one = Hand::new(segment, 0, 1, None);
    one.want(config(300, 3));
    assert!(one.driver.turn(at(0)));
    one.bfd.handle.set_sessions(BTreeMap::new());
    assert!(one.driver.turn(at(10)));
    assert!(one.driver.sessions.is_empty());
    UdpSocket::bind(segment.port(0, false)).expect("the port is free");
}

#[test]
fn intervals_below_50_ms_take_a_thread_that_runs_before_others() {
    let segment = Segment::new();
    let refused = RealtimeError::new("BFD", Errno::EPERM);
    let mut shared = Hand::new(segment, 0, 1, Some(refused));
    shared.want(config(49, 3));
    assert!(shared.driver.turn(at(0)));
    let error = shared.told().error.unwrap();
    assert_eq!(error, SessionError::Interval { interval: Interval::from_millis(49), source: refused });
    let text = ferrolb_telemetry::chain(&error).to_string();
    assert!(text.contains("49 ms") && text.contains("at least 50 ms") && text.contains("SYS_NICE"), "{text}");
    assert_eq!(shared.told().local_discr, None);
    assert_eq!(shared.bfd.view.borrow().refused, Some(refused));

    shared.want(config(50, 3));
    assert!(shared.driver.turn(at(10)));
    let running = shared.told();
    assert!(running.local_discr.is_some() && running.error.is_none());
    shared.want(config(10, 3));
    assert!(shared.driver.turn(at(20)));
    assert_eq!(shared.told().error.unwrap().reason(), "SchedulingRefused");
    assert_eq!(shared.told().local_discr, running.local_discr, "it runs as before");

    let mut first = Hand::new(Segment::new(), 0, 1, None);
    first.want(config(10, 3));
    assert!(first.driver.turn(at(0)));
    assert!(first.told().local_discr.is_some() && first.told().error.is_none());
}

#[test]
fn counts_alone_wake_nobody_and_are_a_quarter_of_a_second_old_at_most() {
    let (mut one, mut two, _segment) = up();
    talk(&mut one, &mut two, 100, 5_000);
    one.bfd.view.borrow_and_update();
    // The last small news was shown at 4.9 s or 5 s.
    talk(&mut one, &mut two, 5_100, 5_400);
    let before = one.told().counts;
    talk(&mut one, &mut two, 5_500, 5_700);
    assert!(one.told().counts.received > before.received && one.told().counts.sent > before.sent);
    assert!(!one.bfd.view.has_changed().unwrap());
    assert!(one.now().counts.received - one.told().counts.received <= 1);
}

#[test]
fn what_is_refused_is_told_once_and_tried_again() {
    let segment = Segment::new();
    let mut one = Hand::new(segment, 0, 1, None);
    one.path.local = Some([192, 0, 2, 77].into());
    one.want(config(300, 3));
    assert!(one.driver.turn(at(0)));
    assert_eq!(one.told().error.unwrap().reason(), "LocalAddressUnusable");
    assert_eq!(one.driver.sessions.poll_timeout(), Some(at(100)));
    one.bfd.view.borrow_and_update();
    assert!(one.driver.turn(at(100)));
    assert_eq!(one.driver.sessions.poll_timeout(), Some(at(300)));
    assert!(!one.bfd.view.has_changed().unwrap());
}

#[test]
fn a_packet_that_cannot_be_sent_is_told_until_one_can() {
    let segment = Segment::new();
    let mut one = Hand::new(segment, 0, 1, None);
    // To broadcast takes SO_BROADCAST: the system refuses.
    one.path.peer = [255, 255, 255, 255].into();
    one.want(config(300, 3));
    assert!(one.driver.turn(at(0)));
    let status = one.told();
    assert_eq!((status.error, status.counts.send_errors), (Some(SessionError::Send(Errno::EACCES)), 1));
    assert!(status.local_discr.is_some());
}

#[test]
fn a_discriminator_does_not_follow_from_the_one_before() {
    let segment = Segment::new();
    let discriminators: Vec<u32> = (0..8)
        .map(|_| {
            let mut one = Hand::new(segment, 0, 1, None);
            one.want(config(300, 3));
            assert!(one.driver.turn(at(0)));
            one.told().local_discr.unwrap().get()
        })
        .collect();
    let steps: BTreeSet<u32> = discriminators.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert_eq!(steps.len(), 7, "{discriminators:?}");
}

#[test]
fn a_driver_whose_handle_is_gone_ends() {
    let segment = Segment::new();
    let Hand { mut driver, bfd, .. } = Hand::new(segment, 0, 1, None);
    assert!(driver.turn(at(0)));
    drop(bfd);
    assert!(!driver.turn(at(10)));
}

#[test]
fn an_event_that_nobody_reads_is_counted_and_the_view_has_it_all_the_same() {
    let (mut one, _two, _segment) = up();
    one.bfd.events.close();
    assert!(one.driver.turn(at(60_000)));
    assert_eq!(one.told().down, Some(DownReason::DetectionTimeExpired));
    let metrics = encoded(&one.registry);
    assert!(metrics.contains("ferrolb_bfd_drops_total{reason=\"event_queue\"} 1"), "{metrics}");
}

#[test]
fn the_metrics_of_a_session_end_with_it() {
    let (mut one, _two, _segment) = up();
    assert!(one.driver.turn(at(60_000)));
    let name = |line: &str| line.split('{').next().map(str::to_owned);
    let of_session = |registry: &Registry| -> BTreeSet<String> {
        encoded(registry).lines().filter(|line| line.contains("peer=")).filter_map(name).collect()
    };
    let expected = [
        "ferrolb_bfd_session_up",
        "ferrolb_bfd_detection_time_seconds",
        "ferrolb_bfd_packets_total",
        "ferrolb_bfd_echo_packets_total",
        "ferrolb_bfd_send_errors_total",
        "ferrolb_bfd_transitions_total",
    ];
    assert_eq!(of_session(&one.registry), expected.map(str::to_owned).into());
    one.bfd.handle.set_sessions(BTreeMap::new());
    assert!(one.driver.turn(at(60_001)));
    assert_eq!(of_session(&one.registry), BTreeSet::new());
}
