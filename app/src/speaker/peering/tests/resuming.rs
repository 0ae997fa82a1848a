//! What is known of the speaker before this one, and what else is said of a peer without an address.

use super::*;
use ferrolb_vocab::{Link, LinkFlag};

/// How long the session of a former speaker lasted: less than any host is up.
const AGE: Duration = Duration::from_secs(60);

/// The same session, if it had lasted so long.
fn aged(session: HandedOver) -> HandedOver {
    /// Where a session's age is in its text, in milliseconds.
    const PLACE: usize = 8;
    let text = session.resumption.to_string();
    let mut words: Vec<_> = text.split(' ').map(ToOwned::to_owned).collect();
    words[PLACE] = AGE.as_millis().to_string();
    HandedOver { resumption: words.join(" ").parse().unwrap(), ..session }
}

fn is_established(running: &Running) -> bool {
    let view = running.peering.bgp_view.borrow();
    view.peers.get(&name("tor")).is_some_and(|peer| peer.session.state == State::Established)
}

/// A link that no host has.
fn uplink() -> Link {
    let flags = [LinkFlag::Up, LinkFlag::Carrier].into();
    Link { index: 1_000_000, name: "uplink0".into(), mac: None, flags, addresses: Vec::new() }
}

fn behind_the_uplink() -> Endpoint {
    Endpoint::Interface(uplink().name)
}

#[tokio::test]
async fn a_session_is_said_to_have_begun_with_the_speaker_that_began_it() {
    let (router, peers) = only_router().await;
    let planned = Sessions { peers, is_shutting_down: false };

    let mut running = Running::start();
    running.follow(&planned);
    running.comes_to(is_established).await;
    let (bgp, bfd) = running.peering.hand_over().await;
    let mut next = Running::resume(bgp.into_iter().map(aged).collect(), &bfd);
    next.follow(&planned);
    next.comes_to(is_established).await;
    let since = next.peering.statuses(clock::now())[&name("tor")].since.clone().unwrap();
    let age = Timestamp::now().duration_since(since.0).unsigned_abs();
    assert!((AGE..AGE + DEADLINE).contains(&age), "{age:?}");

    next.peering.leave("the node leaves".into()).await;
    tokio::time::timeout(DEADLINE, router).await.expect("the router is told").unwrap();
}

#[tokio::test]
async fn the_router_of_a_session_that_goes_on_is_the_peer_before_it_is_heard_and_until_another_is() {
    let mut running = Running::start();
    running.peering.former_life.neighbors = vec!["[fe80::fe%1000000]:1".parse().unwrap()];
    let planned = sessions([("behind", behind_the_uplink())]);
    let links = [uplink()];
    for (heard, expected) in [
        (None, "[fe80::fe%1000000]:1"),
        (None, "[fe80::fe%1000000]:1"),
        (Some("fe80::fd"), "[fe80::fd%1000000]:1"),
        (None, "[fe80::fd%1000000]:1"),
    ] {
        let router = |router: &str| (uplink().name, router.parse().unwrap());
        let routers: Routers = heard.into_iter().map(router).collect();
        let host = Host { node: &running.node, internal_ips: &[], links: &links, routers: &routers };
        running.peering.follow(&planned, &host);
        let remote = running.wanted()[&name("behind")].config.transport.remote;
        assert_eq!(remote, expected.parse().unwrap(), "{heard:?}");
    }
}

#[tokio::test]
async fn metallbs_name_of_a_path_has_its_vrf_and_no_interface() {
    let mut running = Running::start();
    let mut planned = sessions([("behind", behind_the_uplink()), ("within", localhost())]);
    planned.peers.get_mut(&name("within")).unwrap().peer.vrf = Some("red0".into());
    let routers = [(uplink().name, "fe80::fe".parse().unwrap())].into();
    let links = [uplink()];
    let host = Host { node: &running.node, internal_ips: &[], links: &links, routers: &routers };
    running.peering.follow(&planned, &host);
    running.comes_to(|running| running.peering.bfd_view.borrow().sessions.len() == 2).await;

    let mut registry = Registry::default();
    MetalLbMetrics::register(&mut registry).show(&running.peering);
    let text = ferrolb_telemetry::metrics::encode(&registry).unwrap();
    let ups: Vec<_> = text.lines().filter(|line| line.starts_with("metallb_bfd_session_up{")).collect();
    assert_eq!(ups.len(), 2, "{text}");
    for labels in ["{peer=\"fe80::fe\",vrf=\"default\"}", "{peer=\"127.0.0.1\",vrf=\"red0\"}"] {
        assert!(ups.contains(&format!("metallb_bfd_session_up{labels} 0").as_str()), "{text}");
    }
}
