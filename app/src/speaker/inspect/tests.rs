use super::*;
use crate::bgp_command::answer::{LinkBandwidth, Received};
use ferrolb_api::bgp_session::Bfd;
use ferrolb_peering::inspection::{AskError, ask};
use serde::de::DeserializeOwned;
use session::{DEADLINE, Session, tor};
use tokio::task::yield_now;
use tokio::time::timeout;

pub(super) mod session;

fn name(test: &str) -> String {
    format!("ferrolb/test/{}/answers/{test}", std::process::id())
}

fn question(topic: Topic, peer: Option<&str>) -> Question {
    Question { topic, peer: peer.map(ToOwned::to_owned) }
}

/// A speaker of `node-1` with this session, and with a peer that there can be none with.
fn inspector(session: &Session) -> Inspector {
    let why = BgpSessionStatus {
        state: Some("Idle".into()),
        reason: Some("Unheard".into()),
        message: Some("it has no address".into()),
        ..BgpSessionStatus::default()
    };
    let other = ObjectName::new("metallb-system", "other");
    let known: BTreeMap<_, _> =
        [(tor(), KnownPeer::of(&session.wanted.config, None)), (other, KnownPeer::Impossible(Box::new(why)))]
            .into();
    // The last values stay when the senders are gone.
    let (_, known) = watch::channel(Arc::new(known));
    let (_, bfd_view) = watch::channel(BfdView::default());
    Inspector {
        node: "node-1".into(),
        bgp: session.bgp.handle.inspector().clone(),
        bgp_view: session.bgp.view.clone(),
        bfd_view,
        known,
        clock: WallClock::new(clock::now(), Timestamp::now()),
    }
}

/// Asks, as soon as somebody listens.
async fn asked_under(name: &str, question: &Question) -> Result<String, AskError> {
    let answered = async {
        loop {
            match ask(name, question).await {
                Err(AskError::NoSpeaker) => yield_now().await,
                answer => break answer,
            }
        }
    };
    timeout(DEADLINE, answered).await.expect("somebody listens")
}

async fn answer_of<T: DeserializeOwned>(name: &str, question: &Question) -> T {
    serde_json::from_str(&asked_under(name, question).await.unwrap()).unwrap()
}

#[tokio::test]
async fn who_asks_is_told_how_sessions_are() {
    let session = Session::establish().await;
    let name = name("sessions");
    let _serving = serve(inspector(&session), name.clone());
    let told: Sessions = answer_of(&name, &question(Topic::Sessions, None)).await;
    assert_eq!(told.node, "node-1");
    let [other, tor] = &told.sessions[..] else { panic!("{told:?}") };
    assert_eq!((tor.peer.as_str(), tor.asn), ("metallb-system/tor", Some(64_513)));
    assert_eq!(tor.address, Some(session.wanted.config.transport.remote.to_string()));
    assert_eq!((tor.status.state.as_deref(), tor.status.bfd.as_ref()), (Some("Established"), None::<&Bfd>));
    assert_eq!((tor.advertised, tor.pending, &tor.last_error), (1, 0, &None));
    let received =
        Received { updates: 2, reachable: 1, end_of_rib: vec!["ipv4_unicast".into()], ..Received::default() };
    assert_eq!(tor.received, received);
    let why = other.last_error.as_ref().unwrap();
    assert_eq!((other.asn, &other.address, why.message.as_str()), (None, &None, "it has no address"));
}

#[tokio::test]
async fn who_asks_is_told_the_routes_that_went_out() {
    let session = Session::establish().await;
    let name = name("advertised");
    let _serving = serve(inspector(&session), name.clone());
    let told: Advertised = answer_of(&name, &question(Topic::Advertised, Some("tor"))).await;
    let [to] = &told.peers[..] else { panic!("{told:?}") };
    assert_eq!((to.peer.as_str(), to.pending), ("metallb-system/tor", 0));
    let [route] = &to.routes[..] else { panic!("{told:?}") };
    assert_eq!((route.prefix.as_str(), route.next_hop.as_str()), ("198.51.100.1/32", "192.0.2.1"));
    let expected = ("64512:7".to_owned(), "64512:1:2".to_owned());
    assert_eq!((route.communities.join(","), route.large_communities.join(",")), expected);
    assert_eq!((route.as_path.as_slice(), route.local_pref), (&[64_512][..], None), "the peer is external");
    let expected = LinkBandwidth { asn: 64_512, octets_per_second: 375_000.0, is_transitive: true };
    assert_eq!(route.link_bandwidth, Some(expected));
}

#[tokio::test]
async fn a_peer_is_asked_about_by_its_name_with_or_without_the_namespace() {
    let session = Session::establish().await;
    let name = name("peer");
    let _serving = serve(inspector(&session), name.clone());
    for peer in ["tor", "metallb-system/tor"] {
        let told: Sessions = answer_of(&name, &question(Topic::Sessions, Some(peer))).await;
        assert_eq!(told.sessions.len(), 1, "{told:?}");
    }
    let refused = asked_under(&name, &question(Topic::Advertised, Some("spine"))).await.unwrap_err();
    let expected =
        "no BGPPeer of this node is called \"spine\"; there is metallb-system/other, metallb-system/tor";
    assert_eq!(refused.to_string(), expected);
}

#[tokio::test]
async fn a_recording_is_given_as_lines_and_a_speaker_that_ends_lets_go_of_the_name() {
    let session = Session::establish().await;
    let name = name("recording");
    let serving = serve(inspector(&session), name.clone());
    let told = asked_under(&name, &question(Topic::Recording, None)).await.unwrap();
    for expected in
        ["{\"format\":1,", "\"what\":\"created\"", "\"what\":\"became\",\"event\":\"established\""]
    {
        assert!(told.contains(expected), "{expected} in\n{told}");
    }
    drop(serving);
    let free = async {
        while Inspection::listen(&name).is_err() {
            yield_now().await;
        }
    };
    timeout(DEADLINE, free).await.expect("the name is free");
}

#[tokio::test]
async fn a_speaker_that_was_refused_the_name_takes_it_when_it_is_free() {
    let session = Session::establish().await;
    let name = name("later");
    let former = serve(inspector(&session), name.clone());
    asked_under(&name, &question(Topic::Sessions, None)).await.unwrap();
    let next = serve(Inspector { node: "node-2".into(), ..inspector(&session) }, name.clone());
    // Long enough for the next to be refused once.
    for _ in 0..100 {
        yield_now().await;
    }
    drop(former);
    let follows = async {
        // Meanwhile there is nobody, or one who goes away before there is an answer.
        let asked = question(Topic::Sessions, None);
        while !ask(&name, &asked).await.is_ok_and(|told| told.contains("\"node\":\"node-2\"")) {
            yield_now().await;
        }
    };
    timeout(DEADLINE, follows).await.expect("the next one answers");
    drop(next);
}
