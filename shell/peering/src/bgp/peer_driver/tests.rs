use super::*;
use crate::bgp::connection::Connection;
use crate::bgp::options::min_ttl;
use crate::bgp::tests::router::{Router, Session, wanted};
use crate::bgp::{BgpMetrics, BgpView, TransportOptions};
use ferrolb_bgp::{State, Stop};
use ferrolb_wire::bgp::keepalive;
use std::num::NonZeroU8;
use std::thread;
use std::time::Duration;

/// Longer than the hold time.
const SILENCE: Duration = Duration::from_secs(91);

/// A peer with a session, which runs when a test says so, and its router.
struct Bench {
    driver: PeerDriver,
    wanted: watch::Sender<Want>,
    peer: Arc<WantedPeer>,
    session: Session,
}

impl Bench {
    async fn establish() -> Self {
        let router = Router::listen().await;
        let peer = Arc::new(wanted(router.address()));
        let (wanted, receiver) = watch::channel(Want::Session(Arc::clone(&peer), None));
        let (_accepted, to_take) = mpsc::channel(1);
        let ((view, _shown), (events, _told)) = (watch::channel(BgpView::default()), mpsc::channel(16));
        let telling = Telling::new(view, events, BgpMetrics::default());
        let name = ObjectName::new("metallb-system", "tor");
        let mut driver = PeerDriver::new(name, &peer, receiver, to_take, telling);
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

    fn connection(&self) -> &Connection {
        let [id] = self.driver.links.ids()[..] else { panic!("there is one connection") };
        self.driver.links.get(id).unwrap()
    }
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
