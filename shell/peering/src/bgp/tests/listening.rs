//! Peers that connect to the speaker.

use super::router::{Session, own_address};
use super::*;
use ferrolb_bgp::Role;
use ferrolb_vocab::{Asn, BgpId};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{geteuid, gettid};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::process::Command;
use std::thread;
use tokio::net::TcpListener;

/// Not that of BGP, which not everybody may listen on.
const PORT: u16 = 10_179;

/// A peer and the speaker, each at an address that no other has.
struct Ends {
    peer: Ipv4Addr,
    speaker: Ipv4Addr,
}

impl Ends {
    fn new() -> Self {
        Self { peer: own_address(), speaker: own_address() }
    }

    /// The peer, which may connect to the speaker.
    fn wanted(&self, role: Role) -> WantedPeer {
        let mut peer = wanted((self.peer, PORT).into());
        peer.config.role = role;
        peer.config.transport.source = Some(self.speaker.into());
        peer.options.listen_port = NonZeroU16::new(PORT);
        peer
    }

    fn listening(&self) -> SocketAddr {
        (self.speaker, PORT).into()
    }

    /// The peer connects.
    async fn connect(&self) -> io::Result<Session> {
        Session::open(self.peer, self.listening(), None).await
    }
}

impl Speaker {
    /// With one peer, which can connect from now on if it may.
    async fn listen(peer: &WantedPeer) -> Self {
        let mut speaker = Self::start(peer);
        speaker.comes_to("tor", |_| true).await;
        speaker
    }
}

#[tokio::test]
async fn a_passive_peer_connects_and_is_told_the_routes() {
    let ends = Ends::new();
    let peer = telling(&ends.wanted(Role::Passive), [("198.51.100.1/32", 7)]);
    let mut speaker = Speaker::listen(&peer).await;
    for sessions in 1..=2 {
        let mut session = ends.connect().await.unwrap();
        session.establish().await;
        assert_eq!(session.next_update().await, announces("198.51.100.1/32", 7));
        let status = speaker.comes_up("tor").await;
        assert_eq!((status.session.established, status.session.attempts), (sessions, 0));
        let addresses = status.session.addresses.expect("there is a connection");
        assert_eq!(addresses.map(|end| end.ip()), [ends.speaker, ends.peer].map(IpAddr::from));
        drop(session);
        assert_eq!(speaker.next_end().await, Reason::ConnectionClosed);
    }
}

#[tokio::test]
async fn who_is_no_peer_is_told_so() {
    let ends = Ends::new();
    let speaker = Speaker::listen(&ends.wanted(Role::Passive)).await;
    let mut stranger = Session::open(own_address(), ends.listening(), None).await.unwrap();
    assert_eq!(stranger.last_word().await.as_cease(), Some(Cease::ConnectionRejected));
    speaker.shows(|metrics| metrics.contains("ferrolb_bgp_drops_total{reason=\"unknown_peer\"} 1")).await;
    ends.connect().await.unwrap().establish().await;
}

#[tokio::test]
async fn two_speakers_that_connect_to_each_other_have_one_session() {
    let ends = Ends::new();
    let back = Ends { peer: ends.speaker, speaker: ends.peer };
    let mut other_peer = back.wanted(Role::Active);
    other_peer.config.local_asn = Asn(64_513);
    other_peer.config.bgp_id = BgpId::from_ipv4(back.speaker).unwrap();
    let (mut one, mut other) = (Speaker::start(&ends.wanted(Role::Active)), Speaker::start(&other_peer));
    let agreed = async {
        loop {
            let [here, there] = [one.comes_up("tor").await, other.comes_up("tor").await]
                .map(|status| status.session.addresses.expect("there is a connection"));
            if here == [there[1], there[0]] {
                return;
            }
            yield_now().await;
        }
    };
    timeout(DEADLINE, agreed).await.expect("both have the same connection in the end");
}

#[tokio::test]
async fn who_connects_without_the_key_of_the_moment_is_not_heard() {
    let ends = Ends::new();
    let unsigned = ends.wanted(Role::Passive);
    let signed = |password: &[u8]| {
        let options =
            TransportOptions { password: Some(Password::new(password)), ..unsigned.options.clone() };
        WantedPeer { options, ..unsigned.clone() }
    };
    let keys = [signed(b"one"), signed(b"other"), unsigned.clone(), signed(b"another")];
    let mut speaker = Speaker::spawn();
    for (index, peer) in keys.iter().enumerate() {
        let (password, before) = (peer.options.password.clone(), index.checked_sub(1));
        let wrong = before.and_then(|before| keys[before].options.password.clone());
        let name = format!("tor-{index}");
        speaker.want([(&name, peer)]);
        speaker.comes_to(&name, |_| true).await;
        let (from, to) = (ends.peer, ends.listening());
        let unheard = tokio::spawn(async move { Session::open(from, to, wrong.as_ref()).await });
        yield_now().await;
        let mut session = Session::open(from, to, password.as_ref()).await.unwrap();
        session.establish().await;
        speaker.comes_up(&name).await;
        assert!(!unheard.is_finished(), "who has the key of before has no answer");
        unheard.abort();
    }
}

#[tokio::test]
async fn where_nobody_can_listen_is_told_and_tried_again() {
    let ends = Ends::new();
    let another_speaker = TcpListener::bind(ends.listening()).await.unwrap();
    let mut speaker = Speaker::listen(&ends.wanted(Role::Passive)).await;
    let address = ends.listening();
    let error = speaker.comes_to("tor", |status| status.error.is_some()).await.error.unwrap();
    assert_eq!(error, PeerError::Listen { address, source: Errno::EADDRINUSE });
    assert_eq!(error.reason(), "ListenRefused");
    drop(another_speaker);
    speaker.comes_to("tor", |status| status.error.is_none()).await;
    ends.connect().await.unwrap().establish().await;
}

#[tokio::test]
async fn nothing_listens_unless_a_peer_is_to_connect() {
    let ends = Ends::new();
    let passive = ends.wanted(Role::Passive);
    let mut active = passive.clone();
    active.options.listen_port = None;
    let refused = async || ends.connect().await.err().map(|error| error.kind());
    let mut speaker = Speaker::listen(&active).await;
    assert_eq!(refused().await, Some(ErrorKind::ConnectionRefused));
    speaker.want([("tor", &passive), ("other", &active)]);
    speaker.comes_to("other", |_| true).await;
    assert_eq!(refused().await, None);
    speaker.want([("other", &active)]);
    timeout(DEADLINE, speaker.bgp.view.wait_for(|view| view.peers.len() == 1)).await.unwrap().unwrap();
    assert_eq!(refused().await, Some(ErrorKind::ConnectionRefused));
}

/// Runs `work` on a thread in a network namespace of its own, which lasts as long as any thread that has
/// been started there.
fn in_namespace<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may make a namespace");
        work()
    };
    thread::scope(|scope| scope.spawn(inside).join().expect("it ends"))
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().expect("ip is installed");
    assert!(status.success(), "ip {arguments}");
}

/// A neighbour on `eth0` that is heard by that, by its key and by its Hop Limit, from a speaker whose end of
/// the cable gets this address.
fn neighbour(remote: Ipv6Addr, local: Ipv6Addr) -> WantedPeer {
    ip("link set eth0 addrgenmode none");
    ip(&format!("address add {local}/64 dev eth0 nodad"));
    ip("link set eth0 up");
    let mut peer = wanted((remote, PORT).into());
    peer.config.transport.interface = Some("eth0".into());
    peer.config.transport.source = Some(local.into());
    peer.options = TransportOptions {
        ttl: NonZeroU8::MAX,
        min_ttl: Some(NonZeroU8::MAX),
        password: Some(Password::new(b"hunter2")),
        listen_port: None,
        dead_link: None,
    };
    peer
}

#[tokio::test]
async fn neighbours_have_a_session_over_link_local_addresses() {
    if !geteuid().is_root() {
        println!("skipped: network namespaces need root");
        return;
    }
    let [here, there] = [1, 2].map(|host| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host));
    let (mut active, mut passive) = in_namespace(|| {
        let other_end = gettid();
        let passive = in_namespace(|| {
            ip(&format!("link add eth0 type veth peer name eth0 netns {other_end}"));
            let mut peer = neighbour(here, there);
            peer.config.role = Role::Passive;
            peer.config.local_asn = Asn(64_513);
            peer.config.bgp_id = BgpId::from_ipv4(Ipv4Addr::new(10, 0, 0, 2)).unwrap();
            peer.options.listen_port = NonZeroU16::new(PORT);
            Speaker::start(&peer)
        });
        (Speaker::start(&neighbour(there, here)), passive)
    });
    passive.comes_up("tor").await;
    let addresses = active.comes_up("tor").await.session.addresses.expect("there is a connection");
    assert_eq!(addresses.map(|end| end.ip()), [here, there].map(IpAddr::from));
}
