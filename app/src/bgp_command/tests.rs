use super::*;
use serde_json::{Value, json};

/// A session that is up, and one that never was.
fn sessions_answer() -> String {
    json!({"node": "node-1", "sessions": [
        {
            "peer": "metallb-system/spine", "address": "192.0.2.3:179",
            "status": {"state": "Active", "since": "2026-11-20T20:00:00Z", "reason": "NoAnswer"},
            "advertised": 0, "pending": 0,
            "received": {
                "updates": 0, "reachable": 0, "withdrawn": 0, "treatedAsWithdraw": 0,
                "attributesDiscarded": 0, "looped": 0, "endOfRib": [],
            },
            "lastError": {"reason": "NoAnswer", "message": "nothing came back from 192.0.2.3:179"},
        },
        {
            "peer": "metallb-system/tor", "address": "192.0.2.2:179", "asn": 64_513,
            "status": {
                "state": "Established", "since": "2026-11-20T19:59:58Z",
                "bfd": {"state": "Up", "since": "2026-11-20T19:59:59Z"},
            },
            "advertised": 2, "pending": 0,
            "received": {
                "updates": 3, "reachable": 5, "withdrawn": 1, "treatedAsWithdraw": 1,
                "attributesDiscarded": 0, "looped": 0, "endOfRib": ["ipv4_unicast"],
            },
            "lastError": {
                "at": "2026-11-20T19:59:50Z", "reason": "bfd_down", "message": "BFD lost the peer",
            },
        },
    ]})
    .to_string()
}

fn advertised_answer() -> String {
    json!({"node": "node-1", "peers": [
        {"peer": "metallb-system/tor", "pending": 0, "routes": [
            {
                "prefix": "198.51.100.10/32", "nextHop": "192.0.2.7", "origin": "igp", "asPath": [64_512],
                "communities": ["64512:100", "65535:0"], "largeCommunities": ["64512:1:2"],
                "linkBandwidth": {"asn": 64_512, "octetsPerSecond": 375_000.0, "isTransitive": true},
            },
            {
                "prefix": "2001:db8::10/128", "nextHop": "2001:db8:1::7", "nextHopLinkLocal": "fe80::7",
                "origin": "igp", "asPath": [], "localPref": 200,
            },
        ]},
    ]})
    .to_string()
}

/// The tables of the guide are what these answers look like.
const GUIDE: &str = include_str!("../../../docs/guide/bgp.md");

fn is_in_the_guide(answer: &str, view: View) {
    let table = show(answer, view, Output::Table).unwrap();
    assert!(GUIDE.contains(&format!("```text\n{table}```\n")), "expected in the guide:\n{table}");
}

#[test]
fn people_see_what_the_guide_shows() {
    is_in_the_guide(&sessions_answer(), View::Sessions);
    is_in_the_guide(&advertised_answer(), View::Advertised);
    is_in_the_guide(&sessions_answer(), View::Received);
}

#[test]
fn what_is_on_its_way_is_said() {
    let answer = sessions_answer().replacen("\"pending\":0", "\"pending\":7", 1);
    let shown = show(&answer, View::Sessions, Output::Table).unwrap();
    assert!(shown.contains("0 (7 pending)"), "{shown}");
    let answer = advertised_answer().replacen("\"pending\":0", "\"pending\":7", 1);
    let shown = show(&answer, View::Advertised, Output::Table).unwrap();
    let expected = "metallb-system/tor: prefixes that are yet to be told, told anew or withdrawn: 7\n";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn json_says_what_the_speaker_said() {
    let shown = |answer: &str, view| -> Value {
        serde_json::from_str(&show(answer, view, Output::Json).unwrap()).unwrap()
    };
    let said = |answer: &str| -> Value { serde_json::from_str(answer).unwrap() };
    let (sessions, advertised) = (sessions_answer(), advertised_answer());
    assert_eq!(shown(&sessions, View::Sessions), said(&sessions));
    assert_eq!(shown(&advertised, View::Advertised), said(&advertised));
    let received = shown(&sessions, View::Received);
    assert_eq!(received[1]["peer"], "metallb-system/tor");
    assert_eq!(received[1]["received"], said(&sessions)["sessions"][1]["received"]);
}

#[test]
fn a_node_without_peers_is_told_so() {
    let answer = json!({"node": "node-1", "sessions": []}).to_string();
    let shown = show(&answer, View::Sessions, Output::Table).unwrap();
    let expected = "node node-1 has no BGPPeer; their nodeSelectors may select others\n";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn an_answer_in_other_words_is_an_error_that_says_what_to_do() {
    let error = show("{}", View::Sessions, Output::Table).unwrap_err().to_string();
    assert!(error.contains("use the `ferrolb` of its own version"), "{error}");
}
