//! The changes of the table, each by itself.

use serde_json::{Value, json};

/// A row's name, what it changes beside [`objects`] first, and the change that it is about.
pub(super) type Row = (&'static str, Value, Value);

/// The objects of a session in which as much as possible is said; of the Node its labels.
pub(super) fn objects() -> Value {
    json!({
        "BGPPeer": {
            "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "peerPort": 179, "holdTime": "90s",
            "keepaliveTime": "30s", "connectTime": "10s", "routerID": "10.0.0.7",
            "nodeSelectors": [{"matchLabels": {"rack": "a"}}], "passwordSecret": {"name": "key"},
            "bfdProfile": "profile", "enableGracefulRestart": true, "dualStackAddressFamily": true,
        },
        "BFDProfile": {
            "receiveInterval": 300, "transmitInterval": 300, "detectMultiplier": 3, "echoInterval": 50,
            "echoMode": false, "passiveMode": false, "minimumTtl": 254,
        },
        "BGPAdvertisement": {
            "aggregationLength": 32, "aggregationLengthV6": 128, "localPref": 100,
            "communities": ["64512:1", "alias"], "ipAddressPools": ["v4", "v6"],
            "nodeSelectors": [{"matchLabels": {"rack": "a"}}], "peers": ["tor"],
            "serviceSelectors": [{"matchLabels": {"app": "web"}}],
        },
        "Community": {"communities": [{"name": "alias", "value": "64512:2"}]},
        "Secret": {"password": "a2V5"},
        "Node": {"rack": "a", "disk": "ssd"},
    })
}

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    [peer_rows(), session_rows(), profile_rows(), advertisement_rows(), other_rows()].concat()
}

fn nothing() -> Value {
    json!({})
}

fn peer(changed: Value) -> Value {
    json!({"BGPPeer": changed})
}

/// Who the two sides are, and where.
fn peer_rows() -> Vec<Row> {
    let alias = peer(json!({"localASN": 65000}));
    let on_ssd = json!([{"matchLabels": {"disk": "ssd"}}]);
    let on_rack_b = json!([{"matchLabels": {"rack": "b"}}]);
    vec![
        ("`BGPPeer` `myASN`", nothing(), peer(json!({"myASN": 64999}))),
        ("`BGPPeer` `myASN`, behind `localASN`", alias, peer(json!({"myASN": 64999}))),
        ("`BGPPeer` `localASN`", nothing(), peer(json!({"localASN": 65000}))),
        ("`BGPPeer` `peerASN`", nothing(), peer(json!({"peerASN": 64514}))),
        (
            "`BGPPeer` `dynamicASN`, which the router is in",
            nothing(),
            peer(json!({"peerASN": null, "dynamicASN": "external"})),
        ),
        (
            "`BGPPeer` `dynamicASN`, which it is not in",
            nothing(),
            peer(json!({"peerASN": null, "dynamicASN": "internal"})),
        ),
        ("`BGPPeer` `peerAddress`", nothing(), peer(json!({"peerAddress": "192.0.2.9"}))),
        (
            "`BGPPeer` `interface`, in place of `peerAddress`",
            nothing(),
            peer(json!({"peerAddress": null, "interface": "eth0"})),
        ),
        ("`BGPPeer` `peerPort`", nothing(), peer(json!({"peerPort": 1179}))),
        ("`BGPPeer` `sourceAddress`", nothing(), peer(json!({"sourceAddress": "192.0.2.8"}))),
        (
            "`BGPPeer` `sourceAddress`, which the session has",
            peer(json!({"bfdProfile": null})),
            peer(json!({"sourceAddress": "192.0.2.7"})),
        ),
        ("`BGPPeer` `vrf`", nothing(), peer(json!({"vrf": "red"}))),
        ("`BGPPeer` `routerID`", nothing(), peer(json!({"routerID": "10.0.0.8"}))),
        (
            "`BGPPeer` `nodeSelectors`, which select the node again",
            nothing(),
            peer(json!({"nodeSelectors": on_ssd})),
        ),
        (
            "`BGPPeer` `nodeSelectors`, which do not any more",
            nothing(),
            peer(json!({"nodeSelectors": on_rack_b})),
        ),
    ]
}

/// What the session is like.
fn session_rows() -> Vec<Row> {
    let with_password = peer(json!({"passwordSecret": null, "password": "one"}));
    let without_bfd = peer(json!({"bfdProfile": null}));
    vec![
        ("`BGPPeer` `holdTime`, below the router's", nothing(), peer(json!({"holdTime": "30s"}))),
        ("`BGPPeer` `holdTime`, above the router's", nothing(), peer(json!({"holdTime": "120s"}))),
        ("`BGPPeer` `keepaliveTime`", nothing(), peer(json!({"keepaliveTime": "10s"}))),
        ("`BGPPeer` `connectTime`", nothing(), peer(json!({"connectTime": "5s"}))),
        ("`BGPPeer` `password`", with_password, peer(json!({"password": "other"}))),
        ("`BGPPeer` `passwordSecret`", nothing(), peer(json!({"passwordSecret": {"name": "other"}}))),
        (
            "`BGPPeer` `passwordSecret`, with the same key",
            nothing(),
            peer(json!({"passwordSecret": {"name": "same"}})),
        ),
        ("`BGPPeer` `bfdProfile`", nothing(), peer(json!({"bfdProfile": "fast"}))),
        ("`BGPPeer` `bfdProfile`, where there was none", without_bfd, peer(json!({"bfdProfile": "profile"}))),
        ("`BGPPeer` `bfdProfile`, taken away", nothing(), peer(json!({"bfdProfile": null}))),
        ("`BGPPeer` `enableGracefulRestart`", nothing(), peer(json!({"enableGracefulRestart": null}))),
        ("`BGPPeer` `ebgpMultiHop`", nothing(), peer(json!({"ebgpMultiHop": true}))),
        ("`BGPPeer` `dualStackAddressFamily`", nothing(), peer(json!({"dualStackAddressFamily": false}))),
        ("`BGPPeer` `disableMP`", nothing(), peer(json!({"disableMP": true}))),
    ]
}

fn profile_rows() -> Vec<Row> {
    let profile = |changed: Value| json!({"BFDProfile": changed});
    // Echo packets and prefixes of IPv6 do not go together.
    let echoes = json!({"BFDProfile": {"echoMode": true}, "BGPAdvertisement": {"ipAddressPools": ["v4"]}});
    let may_echo = json!({"BGPAdvertisement": {"ipAddressPools": ["v4"]}});
    vec![
        ("`BFDProfile` `receiveInterval`", nothing(), profile(json!({"receiveInterval": 100}))),
        ("`BFDProfile` `transmitInterval`", nothing(), profile(json!({"transmitInterval": 400}))),
        ("`BFDProfile` `detectMultiplier`", nothing(), profile(json!({"detectMultiplier": 5}))),
        ("`BFDProfile` `echoInterval`", echoes, profile(json!({"echoInterval": 100}))),
        ("`BFDProfile` `echoMode`", may_echo, profile(json!({"echoMode": true}))),
        ("`BFDProfile` `passiveMode`", nothing(), profile(json!({"passiveMode": true}))),
        ("`BFDProfile` `minimumTtl`", nothing(), profile(json!({"minimumTtl": 250}))),
    ]
}

fn advertisement_rows() -> Vec<Row> {
    let all = |changed: Value| json!({"BGPAdvertisement": changed});
    let of_all_services = all(json!({"serviceSelectors": null}));
    let by_label = |family: &str| json!([{"matchLabels": {"family": family}}]);
    let of_v4 = all(json!({"ipAddressPools": null, "ipAddressPoolSelectors": by_label("v4")}));
    vec![
        (
            "`BGPAdvertisement` `aggregationLength`",
            of_all_services.clone(),
            all(json!({"aggregationLength": 24})),
        ),
        (
            "`BGPAdvertisement` `aggregationLengthV6`",
            of_all_services,
            all(json!({"aggregationLengthV6": 64})),
        ),
        ("`BGPAdvertisement` `localPref`", nothing(), all(json!({"localPref": 200}))),
        ("`BGPAdvertisement` `communities`", nothing(), all(json!({"communities": ["64512:3"]}))),
        ("`BGPAdvertisement` `ipAddressPools`", nothing(), all(json!({"ipAddressPools": ["v6"]}))),
        (
            "`BGPAdvertisement` `ipAddressPoolSelectors`",
            of_v4,
            all(json!({"ipAddressPoolSelectors": by_label("v6")})),
        ),
        (
            "`BGPAdvertisement` `nodeSelectors`",
            nothing(),
            all(json!({"nodeSelectors": [{"matchLabels": {"rack": "b"}}]})),
        ),
        ("`BGPAdvertisement` `peers`", nothing(), all(json!({"peers": ["other"]}))),
        (
            "`BGPAdvertisement` `serviceSelectors`",
            nothing(),
            all(json!({"serviceSelectors": [{"matchLabels": {"app": "mail"}}]})),
        ),
    ]
}

/// What the objects above refer to.
fn other_rows() -> Vec<Row> {
    let alias = json!({"Community": {"communities": [{"name": "alias", "value": "64512:9"}]}});
    let of_all_nodes = peer(json!({"nodeSelectors": null}));
    let on_rack_b = || json!({"Node": {"rack": "b"}});
    vec![
        ("`Community` `communities`", nothing(), alias),
        ("`Secret` `password`", nothing(), json!({"Secret": {"password": "b25l"}})),
        ("`Node` label, by which no peer selects it any more", nothing(), on_rack_b()),
        ("`Node` label, by which a peer selects it", on_rack_b(), json!({"Node": {"rack": "a"}})),
        ("`Node` label, by which no advertisement selects it any more", of_all_nodes, on_rack_b()),
        ("`Node` label, which nobody asks for", nothing(), json!({"Node": {"zone": "west"}})),
    ]
}
