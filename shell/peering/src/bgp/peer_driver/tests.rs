use super::*;
use crate::bgp::connection::Connection;
use crate::bgp::options::min_ttl;
use crate::bgp::tests::router::{Router, Session, wanted};
use crate::bgp::{BgpMetrics, BgpView, TransportOptions};
use ferrolb_bgp::{Reason, Route, State, Stop};
use ferrolb_vocab::IpPrefix;
use ferrolb_wire::bgp::keepalive;
use std::net::Ipv4Addr;
use std::num::NonZeroU8;
use std::thread;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than the hold time.
const SILENCE: Duration = Duration::from_secs(91);

/// Beyond any time that TCP may take to give a connection up, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

/// A peer with a session, which runs when a test says so, and its router.
struct Bench {
    driver: PeerDriver,
    wanted: watch::Sender<Want>,
    peer: Arc<WantedPeer>,
    session: Session,
}

impl Bench {
    async fn establish() -> Self {
        Self::establish_with(&Router::listen().await).await
    }

    async fn establish_with(router: &Router) -> Self {
        let peer = Arc::new(wanted(router.address()));
        let (wanted, receiver) = watch::channel(Want::Session(Arc::clone(&peer), None));
        let mut driver = driver(&peer, receiver);
        let established = async {
            while driver.peer.state() != State::Established {
                if !driver.turn(clock::now()) {
                    driver.wait().await;
                }
            }
        };
        let ((), session) = tokio::join!(established, router.establish());
        Self { driver, wanted, peer, session }
    }

    /// Wants the router to know so many prefixes, each of which takes five octets of an UPDATE.
    fn tell(&self, count: u32) {
        let route = Arc::new(Route::default());
        let told = |number| {
            let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
            (IpPrefix::containing(address.into(), 32).unwrap(), Arc::clone(&route))
        };
        let routes = Arc::new((0..count).map(told).collect());
        let peer = WantedPeer { routes, ..WantedPeer::clone(&self.peer) };
        self.wanted.send_replace(Want::Session(Arc::new(peer), None));
    }

    fn connection(&self) -> &Connection {
        let [id] = self.driver.links.ids()[..] else { panic!("there is one connection") };
        self.driver.links.get(id).unwrap()
    }
}

fn driver(peer: &Arc<WantedPeer>, wanted: watch::Receiver<Want>) -> PeerDriver {
    let (_accepted, to_take) = mpsc::channel(1);
    let ((view, _shown), (events, _told)) = (watch::channel(BgpView::default()), mpsc::channel(16));
    let telling = Telling::new(view, events, BgpMetrics::default());
    PeerDriver::new(ObjectName::new("metallb-system", "tor"), peer, wanted, to_take, telling)
}

#[tokio::test]
async fn who_is_followed_before_its_first_turn_hands_on_the_session_that_it_was_given() {
    let Bench { driver: former, peer, wanted: _wanted, session: _session } = Bench::establish().await;
    let session = former.hand_over(clock::now());
    assert!(session.is_some());
    let (_wanted, receiver) = watch::channel(Want::HandOver);
    let mut between = driver(&peer, receiver);
    between.inherit(session);
    assert!(between.run().await.is_some());
}

#[tokio::test]
async fn octets_that_have_come_are_taken_before_the_peer_is_judged() {
    let mut bench = Bench::establish().await;
    // The runtime looks at no socket from here on, as if the thread had stood still.
    bench.session.send_at_once(&keepalive());
    while !bench.connection().has_unread() {
        thread::yield_now();
    }
    let late = clock::now() + SILENCE;
    bench.driver.turn(late);
    assert_eq!(bench.driver.peer.state(), State::Established);
    bench.driver.turn(late + SILENCE);
    assert_ne!(bench.driver.peer.state(), State::Established, "a peer that is silent is lost");
}

#[tokio::test]
async fn another_time_to_live_counts_at_once_and_ends_no_session() {
    let mut bench = Bench::establish().await;
    for ttl in [NonZeroU8::MIN, NonZeroU8::MAX] {
        let options = TransportOptions { ttl, min_ttl: Some(ttl), ..bench.peer.options.clone() };
        let peer = WantedPeer { options, ..WantedPeer::clone(&bench.peer) };
        bench.wanted.send_replace(Want::Session(Arc::new(peer), None));
        bench.driver.turn(clock::now());
        let connection = bench.connection();
        let socket = connection.socket();
        assert_eq!(socket.ttl_v4().unwrap(), u32::from(ttl.get()));
        assert_eq!(min_ttl(&socket, connection.remote.ip()), i32::from(ttl.get()));
        assert_eq!(bench.driver.peer.state(), State::Established);
    }
}

#[tokio::test]
async fn tcp_waits_for_acknowledgements_as_long_as_the_send_hold_timer() {
    let bench = Bench::establish().await;
    // Eight minutes, as the hold time is less than half of that.
    assert_eq!(bench.connection().socket().tcp_user_timeout().unwrap(), Some(Duration::from_secs(480)));
}

#[tokio::test]
async fn a_router_that_acknowledges_nothing_is_told_from_one_that_closes() {
    let mut bench = Bench::establish_with(&Router::listen_narrowly().await).await;
    bench.connection().set_send_hold_time(Some(Duration::from_millis(1))).unwrap();
    // More than the sockets have room for, of which the router reads nothing.
    bench.tell(400_000);
    let lost = async {
        while bench.driver.peer.state() == State::Established {
            if !bench.driver.turn(clock::now()) {
                bench.driver.wait().await;
            }
        }
    };
    timeout(DEADLINE, lost).await.expect("TCP gives the connection up");
    let lost = bench.driver.peer.status(clock::now()).last_lost;
    assert_eq!(lost.map(|lost| lost.reason), Some(Reason::ConnectionTimedOut));
}

#[tokio::test]
async fn a_turn_takes_and_tells_a_router_so_much_and_no_more_and_keeps_its_timers() {
    const TURN_OCTETS: usize = READS_MAX * READ_LENGTH;
    /// Those that a part was read of before included.
    const MESSAGES_MAX: u64 = TURN_OCTETS as u64 / 19 + 1;
    /// Two batches, each with a message more.
    const PREFIXES_MAX: usize = 2 * (65_536 + 4_096) / 5;

    let mut bench = Bench::establish_with(&Router::listen_narrowly().await).await;
    assert!(bench.session.fill(&keepalive()) > 3 * TURN_OCTETS);
    bench.tell(40_000);
    let mut before = bench.driver.peer.status(clock::now());
    let mut taken = 0;
    while taken < 2 * MESSAGES_MAX {
        bench.driver.turn(clock::now());
        let status = bench.driver.peer.status(clock::now());
        let messages = status.received.keepalive - before.received.keepalive;
        let prefixes = status.ipv4.advertised - before.ipv4.advertised;
        assert!(messages <= MESSAGES_MAX && prefixes <= PREFIXES_MAX, "{messages} {prefixes}");
        taken += messages;
        before = status;
        yield_now().await;
    }
    assert!(before.ipv4.pending > 0, "the router reads nothing");
    bench.driver.turn(clock::now() + SILENCE / 2);
    let status = bench.driver.peer.status(clock::now());
    assert!(status.sent.keepalive > before.sent.keepalive, "this side's KEEPALIVE waits for nothing");
}

#[tokio::test]
async fn what_is_wanted_is_followed_while_the_router_sends_without_end() {
    let Bench { mut driver, wanted, session, .. } = Bench::establish().await;
    let flood = tokio::spawn(session.flood());
    while !driver.turn(clock::now()) {
        yield_now().await;
    }
    wanted.send_replace(Want::End(Stop::PeerRemoved));
    driver.turn(clock::now());
    assert_eq!(driver.peer.state(), State::Idle);
    driver.run().await;
    flood.await.unwrap();
}
