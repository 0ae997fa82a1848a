use super::*;
use crate::bgp::tests::router::{Router, Session, wanted};
use crate::bgp::{BgpMetrics, BgpView};
use ferrolb_bgp::State;
use ferrolb_wire::bgp::keepalive;
use std::num::NonZeroU8;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;

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
        let (wanted, receiver) = watch::channel(Want::Session(Arc::clone(&peer)));
        let ((view, _shown), (events, _told)) = (watch::channel(BgpView::default()), mpsc::channel(16));
        let telling = Telling::new(view, events, BgpMetrics::default());
        let mut driver = PeerDriver::new(ObjectName::new("metallb-system", "tor"), &peer, receiver, telling);
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
        let Link::Open(connection) = &self.driver.link else { panic!("there is a connection") };
        connection
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
    assert_eq!(bench.connection().ttl(), 1);
    let options = TransportOptions { ttl: NonZeroU8::MAX, ..bench.peer.options.clone() };
    let peer = WantedPeer { options, ..WantedPeer::clone(&bench.peer) };
    bench.wanted.send_replace(Want::Session(Arc::new(peer)));
    bench.driver.turn(clock::now());
    assert_eq!((bench.connection().ttl(), bench.driver.peer.state()), (255, State::Established));
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
