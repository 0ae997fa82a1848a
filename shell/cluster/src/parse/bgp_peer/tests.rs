use super::*;
use ferrolb_plan::BfdProfile;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

/// A peer that is in order, with the fields of `spec` put in; null takes one away.
fn object(spec: &Value) -> BgpPeer {
    let mut all = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1"});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let metadata = json!({"name": "tor", "namespace": "metallb-system"});
    serde_json::from_value(json!({"metadata": metadata, "spec": all})).unwrap()
}

fn read(spec: &Value) -> plan::BgpPeer {
    bgp_peer(&object(spec), None).unwrap()
}

fn error(spec: &Value) -> String {
    bgp_peer(&object(spec), None).unwrap_err().message
}

#[test]
fn a_peer_with_an_address_and_two_as_numbers_is_enough() {
    // acceptance 76, 77
    let peer = read(&json!({}));
    assert_eq!((peer.my_asn, peer.remote), (Asn(64_512), RemoteAsn::Exactly(Asn(64_513))));
    assert_eq!(peer.endpoint, Endpoint::Address("192.0.2.1".parse().unwrap()));
    assert_eq!((peer.port, peer.timers), (179, Timers::default()));
    assert_eq!((peer.graceful_restart, peer.ebgp_multihop, peer.dual_stack), (false, false, false));
    assert!(peer.carries(IpFamily::V4) && !peer.carries(IpFamily::V6));
    assert_eq!((peer.local_asn, peer.source_address, peer.router_id, peer.vrf), (None, None, None, None));
    assert!(peer.node_selectors.is_empty() && peer.password.is_none() && peer.bfd.is_none());
}

#[test]
fn every_field_is_read() {
    // acceptance 62, 63, 64, 76, 77, 81, 83, 91
    let peer = read(&json!({
        "localASN": 4_200_000_000_u32, "sourceAddress": "192.0.2.7", "peerPort": 1179, "holdTime": "57s",
        "keepaliveTime": "13s", "connectTime": "5s", "routerID": "10.10.10.1", "nodeSelectors": [{}],
        "password": "secret", "enableGracefulRestart": true, "ebgpMultiHop": true, "vrf": "red",
        "dualStackAddressFamily": true, "disableMP": true,
    }));
    assert_eq!(peer.local_asn, Some(Asn(4_200_000_000)));
    assert_eq!(peer.source_address, Some("192.0.2.7".parse().unwrap()));
    let timers = (peer.timers.hold_time(), peer.timers.keepalive_time(), peer.timers.connect_retry_time());
    assert_eq!((peer.port, timers), (1179, (57, 13, 5)));
    assert_eq!(peer.router_id.map(|id| id.to_string()).as_deref(), Some("10.10.10.1"));
    assert_eq!(peer.password, Password::new(b"secret"));
    assert_eq!((peer.graceful_restart, peer.ebgp_multihop, peer.dual_stack), (true, true, true));
    assert_eq!((peer.node_selectors.len(), peer.vrf), (1, Some("red".into())));
    for (written, remote) in [("internal", RemoteAsn::Internal), ("external", RemoteAsn::External)] {
        assert_eq!(read(&json!({"peerASN": null, "dynamicASN": written})).remote, remote);
        assert_eq!(read(&json!({"peerASN": 0, "dynamicASN": written})).remote, remote, "0 is none");
    }
    let unnumbered = read(&json!({"peerAddress": "", "interface": "eth1"}));
    assert_eq!(unnumbered.endpoint, Endpoint::Interface("eth1".into()));
    assert_eq!(read(&json!({"peerPort": 0})).port, 179, "as in v1beta1");
    let mapped = read(&json!({"peerAddress": "::ffff:192.0.2.1"}));
    assert_eq!(mapped.endpoint, Endpoint::Address("192.0.2.1".parse().unwrap()));
}

#[test]
fn what_means_nothing_is_told_in_the_words_of_metallb() {
    // acceptance 118
    for (spec, expected) in [
        (json!({"myASN": 0}), "missing local ASN"),
        (json!({"peerASN": null}), "missing peer ASN and dynamicASN"),
        (json!({"peerASN": 0}), "missing peer ASN and dynamicASN"),
        (json!({"dynamicASN": "internal"}), "both peer ASN and dynamicASN specified"),
        (
            json!({"peerASN": 64512, "ebgpMultiHop": true}),
            "invalid ebgp-multihop parameter set for an ibgp peer",
        ),
        (json!({"localASN": 0}), "spec.localASN: expected 1 to 4294967295, found 0"),
        (json!({"peerAddress": null}), "peer has no Address or Interface specified"),
        (json!({"peerAddress": ""}), "peer has no Address or Interface specified"),
        (json!({"interface": "eth1"}), "peer has both Address and Interface specified"),
        (json!({"peerAddress": "192.0.2"}), "spec.peerAddress: invalid BGPPeer address \"192.0.2\""),
        (json!({"sourceAddress": "x"}), "spec.sourceAddress: invalid source IP \"x\""),
        (
            json!({"sourceAddress": "2001:db8::1"}),
            "spec.sourceAddress: invalid source IP \"2001:db8::1\": it is IPv6 and peerAddress is IPv4",
        ),
        (json!({"holdTime": "1s"}), "invalid hold time 1s: must be 0 or >=3s"),
        (json!({"holdTime": "90"}), "spec.holdTime: \"90\" is not a duration"),
        (json!({"keepaliveTime": "-1s"}), "spec.keepaliveTime: \"-1s\" is not a duration"),
        (
            json!({"holdTime": "9s", "keepaliveTime": "10s"}),
            "invalid keepaliveTime 10s, must be lower than holdTime",
        ),
        (json!({"connectTime": "0s"}), "connect time should be between 1 seconds to 65535"),
        (json!({"connectTime": "1500ms"}), "connect time should contain a whole number of seconds"),
        (json!({"routerID": "::1"}), "spec.routerID: invalid router ID \"::1\""),
        (json!({"routerID": "0.0.0.0"}), "spec.routerID: invalid router ID \"0.0.0.0\""),
        (json!({"nodeSelectors": [{}, {}]}), "spec.nodeSelectors[1]: duplicate definition of nodeSelectors"),
        (
            json!({"password": "x", "passwordSecret": {"name": "s"}}),
            "both password and passwordSecret specified",
        ),
    ] {
        let message = error(&spec);
        assert!(message.starts_with(expected), "{message}");
    }
    let long = error(&json!({"password": "x".repeat(81)}));
    assert_eq!(long, "spec.password: TCP-MD5 takes 1 to 80 octets, found 81");
}

#[test]
fn a_peer_connects_itself_only_where_the_annotation_says_so() {
    let annotated = |value: Option<&str>| {
        let annotations = value.map(|value| (PASSIVE.into(), value.into())).into_iter().collect();
        let mut object = object(&json!({}));
        object.metadata.annotations = Some(annotations);
        bgp_peer(&object, None)
    };
    for (value, expected) in [(None, false), (Some("false"), false), (Some("true"), true)] {
        assert_eq!(annotated(value).unwrap().passive, expected, "{value:?}");
    }
    assert!(!read(&json!({})).passive);
    for value in ["", "yes", "True"] {
        let error = annotated(Some(value)).unwrap_err();
        let expected = "metadata.annotations[ferrolb.io/passive]: expected \"true\" or \"false\", found ";
        assert_eq!(error.reason, INVALID_SPEC);
        assert!(error.message.starts_with(expected), "{}", error.message);
    }
}

#[test]
fn an_address_of_a_range_stands_for_all_peers_that_connect_from_it() {
    let annotated = |range: &str, passive: Option<&str>, spec: &Value| {
        let mut object = object(spec);
        let passive = passive.map(|value| (PASSIVE.into(), value.into()));
        let range = (LISTEN_RANGE.into(), range.into());
        object.metadata.annotations = Some([range].into_iter().chain(passive).collect());
        bgp_peer(&object, None).map_err(|error| error.message)
    };
    let both = "2001:db8::/64, 192.0.2.0/24";
    let peer = annotated(both, None, &json!({})).unwrap();
    assert_eq!(peer.endpoint.to_string(), "192.0.2.0/24,2001:db8::/64");
    assert!(peer.passive && peer.carries(IpFamily::V4) && peer.carries(IpFamily::V6));
    let source = json!({"sourceAddress": "192.0.2.254"});
    assert!(annotated("192.0.2.0/24", Some("true"), &source).is_ok_and(|peer| peer.passive));
    let annotation = "metadata.annotations[ferrolb.io/listen-range]: ";
    for (range, passive, spec, expected) in [
        ("", None, json!({}), format!("{annotation}\"\": expected an address, a slash")),
        ("leaves", None, json!({}), format!("{annotation}\"leaves\": expected an address, a slash")),
        ("0.0.0.0/0", None, json!({}), format!("{annotation}0.0.0.0/0 is too wide")),
        (
            "198.51.100.0/24",
            None,
            json!({}),
            "spec.peerAddress: 192.0.2.1 is not in ferrolb.io/listen-range; write any".to_owned(),
        ),
        (both, None, json!({"peerAddress": ""}), "peer has no Address or Interface specified".to_owned()),
        (
            both,
            None,
            json!({"peerAddress": "", "interface": "eth1"}),
            "spec.interface: peers of ferrolb.io/listen-range are told by their addresses".to_owned(),
        ),
        (
            both,
            Some("false"),
            json!({}),
            "metadata.annotations[ferrolb.io/passive]: peers of ferrolb.io/listen-range connect".to_owned(),
        ),
        (
            both,
            None,
            source,
            "spec.sourceAddress: invalid source IP \"192.0.2.254\": it is IPv4 and the listen range is IPv6"
                .to_owned(),
        ),
    ] {
        let error = annotated(range, passive, &spec).unwrap_err();
        assert!(error.starts_with(&expected), "{error}");
    }
}

fn secret(kind: &str, data: &[(&str, &str)]) -> Arc<Secret> {
    let octets = |(key, value): &(&str, &str)| ((*key).into(), ByteString(value.as_bytes().to_vec()));
    Arc::new(Secret {
        type_: Some(kind.into()),
        data: Some(data.iter().map(octets).collect()),
        ..Secret::default()
    })
}

/// What becomes of a peer with this Secret, and the profile `fast`, at hand.
fn referring_to(
    spec: &Value,
    secret: Option<(&str, Arc<Secret>)>,
) -> Result<plan::BgpPeer, (&'static str, String)> {
    let name = |place: &str| {
        let (namespace, name) = place.split_once('/').unwrap();
        ObjectName::new(namespace, name)
    };
    let profiles =
        [(name("metallb-system/fast"), BfdProfile { minimum_ttl: 7, ..BfdProfile::default() })].into();
    let secrets = secret.into_iter().map(|(place, secret)| (name(place), secret)).collect();
    let references = References { profiles: &profiles, secrets: Some(&secrets) };
    bgp_peer(&object(spec), Some(&references)).map_err(|error| (error.reason, error.message))
}

#[test]
fn the_profile_that_a_peer_names_is_one_of_its_namespace() {
    // acceptance 67, 104, 106, 107
    let peer = referring_to(&json!({"bfdProfile": "fast"}), None).unwrap();
    assert_eq!(peer.bfd.map(|profile| profile.minimum_ttl), Some(7));
    assert_eq!(referring_to(&json!({"bfdProfile": ""}), None).unwrap().bfd, None);
    let (reason, message) = referring_to(&json!({"bfdProfile": "slow"}), None).unwrap_err();
    assert_eq!(reason, UNKNOWN_REFERENCE);
    assert!(message.starts_with("peer tor referencing non existing bfd profile slow"), "{message}");
}

#[test]
fn the_password_comes_from_the_secret_and_goes_nowhere_else() {
    // acceptance 65, 105, 110
    let spec = json!({"passwordSecret": {"name": "s", "namespace": "elsewhere"}});
    let here = "metallb-system/s";
    let good = secret(BASIC_AUTH, &[("password", "hunter2")]);
    let peer = referring_to(&spec, Some((here, Arc::clone(&good)))).unwrap();
    assert_eq!(peer.password, Password::new(b"hunter2"));
    assert!(!format!("{peer:?}").contains("hunter2"));

    let end = "\nfailed to parse peer tor password secret";
    let not_found = "parsing peer tor secret ref not found for peer config \"metallb-system\"/\"tor\"";
    for elsewhere in [None, Some(("elsewhere/s", good))] {
        let expected = (UNKNOWN_REFERENCE, format!("{not_found}{end}"));
        assert_eq!(referring_to(&spec, elsewhere).unwrap_err(), expected);
    }
    for (found, what) in [
        (
            secret("Opaque", &[("password", "hunter2")]),
            "secret type mismatch on \"metallb-system\"/\"s\", type \"kubernetes.io/basic-auth\" is expected ",
        ),
        (
            secret(BASIC_AUTH, &[("username", "hunter2")]),
            "password not specified in the secret \"metallb-system\"/\"s\"",
        ),
        (
            secret(BASIC_AUTH, &[("password", "")]),
            "password in the secret \"metallb-system\"/\"s\": TCP-MD5 takes 1 to 80 octets, found 0",
        ),
    ] {
        let expected = (INVALID_SECRET, format!("parsing peer tor {what}{end}"));
        assert_eq!(referring_to(&spec, Some((here, found))).unwrap_err(), expected);
    }
}

#[test]
fn a_profile_that_is_missing_is_told_before_a_secret_that_is() {
    // acceptance 109
    let spec = json!({"bfdProfile": "slow", "passwordSecret": {"name": "s"}});
    assert!(referring_to(&spec, None).unwrap_err().1.contains("bfd profile"));
    assert!(bgp_peer(&object(&spec), None).is_ok(), "without references neither counts");
    let references = References { profiles: &BTreeMap::new(), secrets: None };
    let spec = json!({"passwordSecret": {"name": "s"}});
    let peer = bgp_peer(&object(&spec), Some(&references)).unwrap();
    assert_eq!(peer.password, None, "the controller reads no Secrets");
    let spec = json!({"bfdProfile": "slow"});
    assert!(bgp_peer(&object(&spec), Some(&references)).is_err(), "and profiles all the same");
}
