//! Peers that connect from a range.

use super::*;
use tokio::net::{TcpSocket, TcpStream};

/// Where this test's speaker listens, and nothing else does.
const SPEAKER: &str = "127.99.7.1:10179";

/// A session with a range; `text` as the annotation has it.
fn ranged(text: &str) -> Sessions {
    let speaker: std::net::SocketAddr = SPEAKER.parse().unwrap();
    let peer = BgpPeer {
        port: speaker.port(),
        source_address: Some(speaker.ip()),
        passive: true,
        bfd: None,
        ..peer(Endpoint::Range(text.parse().unwrap()))
    };
    let routes = Arc::new([("198.51.100.10/32".parse().unwrap(), Arc::default())].into());
    Sessions { peers: [(name("leaves"), Session { peer, routes })].into(), is_shutting_down: false }
}

async fn connect(from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(SPEAKER.parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn who_connects_from_a_range_is_a_peer_from_the_next_plan_on_until_it_is_gone() {
    let mut running = Running::start();
    let planned = ranged("127.99.8.0/24,2001:db8::/64");
    running.follow(&planned);
    let mut later = clock::now();
    let mut status = |running: &mut Running, peer: &str| {
        later = later + DETAILS_INTERVAL;
        running.peering.statuses(later).remove(&name(peer))
    };
    let is_shown = |running: &Running| !running.peering.bgp_view.borrow().ranges.is_empty();
    running.comes_to(is_shown).await;
    assert!(!running.peering.has_other_callers());
    assert_eq!(status(&mut running, "leaves").unwrap().state.as_deref(), Some("Listening"));

    let stream = connect("127.99.8.7").await;
    running.comes_to(|running| running.peering.has_other_callers()).await;
    running.follow(&planned);
    assert!(!running.peering.has_other_callers(), "it is planned");
    let wanted = &running.wanted()[&name("leaves@127.99.8.7")];
    assert_eq!((wanted.routes.len(), wanted.has_restarted), (1, true));
    running
        .comes_to(|running| {
            let view = running.peering.bgp_view.borrow();
            let peer = view.peers.get(&name("leaves@127.99.8.7"));
            peer.is_some_and(|peer| peer.session.state == State::OpenSent)
        })
        .await;
    let one = status(&mut running, "leaves@127.99.8.7").unwrap();
    assert_eq!((one.peer.as_deref(), one.caller.as_deref()), (Some("leaves"), Some("127.99.8.7")));
    let range = status(&mut running, "leaves").unwrap();
    assert_eq!(range.message.as_deref(), Some("peers of the range that have connected: 1"));

    drop(stream);
    running.comes_to(|running| running.peering.has_other_callers()).await;
    running.follow(&planned);
    assert!(running.wanted().is_empty());
    running.follow(&Sessions::default());
    assert!(running.peering.ranges.is_empty() && status(&mut running, "leaves").is_none());
}
