//! What a change of one field does to a session: the rows of docs/reference/bgp-field-changes.md, from the
//! objects to what the router hears. Without sockets.

use super::*;
use ferrolb_bfd as bfd;
use ferrolb_bgp::{Config, Direction, Peer, Transmit};
use ferrolb_cluster::parse::peering::{BgpConfig, BgpObjects, Viewpoint};
use ferrolb_plan::bgp::plan;
use ferrolb_plan::{Advertisements, Exclusions, Node, Ownership, Pool, Service, ServingEndpoints, Snapshot};
use ferrolb_vocab::{Labels, Link, LinkAddress, ServiceKey};
use ferrolb_wire::bfd::{Control, Interval};
use ferrolb_wire::bgp::{Family, GracefulRestart};
use rows::{objects, rows};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};

mod rows;

/// The page, whose second column says what the change in the first does.
const PAGE: &str = include_str!("../../../../../docs/reference/bgp-field-changes.md");

/// This end of the session.
const LOCAL: &str = "192.0.2.7";

/// What happens because of a change, in the words of the page.
type Effects = Vec<&'static str>;

#[test]
fn each_field_does_to_a_session_what_the_table_says() {
    let page = page();
    let rows = rows();
    for (change, given, changed) in &rows {
        let mut before = objects();
        merge(&mut before, given);
        let mut after = before.clone();
        merge(&mut after, changed);
        assert_ne!(before, after, "{change}: nothing is changed");
        let effects = effects(wanted(&before), wanted(&after));
        assert_eq!(page.get(change).copied(), Some(effects.join(", ").as_str()), "{change}");
    }
    let tested: Vec<&str> = rows.iter().map(|(change, ..)| *change).collect();
    for change in page.keys() {
        assert!(tested.contains(change), "{change}: on the page, and not tested");
    }
}

#[test]
fn the_table_has_every_field_of_every_object() {
    let page = page();
    for kind in ["BGPPeer", "BFDProfile", "BGPAdvertisement", "Community"] {
        for field in fields(kind) {
            let subject = format!("`{kind}` `{field}`");
            assert!(page.keys().any(|change| change.starts_with(&subject)), "{subject}");
        }
    }
}

/// The changes of the page, each with what it does.
fn page() -> BTreeMap<&'static str, &'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.strip_prefix("| ")?.split_once(" | "));
    cells.filter_map(|(change, rest)| Some((change, rest.split_once(" | ")?.0))).collect()
}

/// The fields of the specification of a kind, in the version that is stored.
fn fields(kind: &str) -> Vec<String> {
    let crds = ferrolb_api::crds();
    let crd = crds.iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let version = crd.spec.versions.iter().find(|version| version.storage).unwrap();
    let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    let spec = &schema.properties.as_ref().unwrap()["spec"];
    spec.properties.as_ref().unwrap().keys().cloned().collect()
}

/// Changes an object as RFC 7396 says: null takes a field away.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else { return object.clone_from(patch) };
    for (field, value) in fields {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(field);
        } else {
            merge(&mut object[field.as_str()], value);
        }
    }
}

/// What the drivers are to do about the router, if the node is to have a session with it.
fn wanted(objects: &Value) -> Option<(Sought, Table)> {
    let labels: BTreeMap<String, String> = serde_json::from_value(objects["Node"].clone()).unwrap();
    let labels = Labels::from(&labels);
    let pools = [("v4", "198.51.100.0/24"), ("v6", "2001:db8:1::/64")];
    let pool_objects = pools.map(|(pool, range)| {
        let metadata = json!({"namespace": "metallb-system", "name": pool, "labels": {"family": pool}});
        of(json!({"metadata": metadata, "spec": {"addresses": [range]}}))
    });
    let read = BgpObjects {
        peers: vec![object("tor", &objects["BGPPeer"])],
        advertisements: vec![object("all", &objects["BGPAdvertisement"])],
        communities: vec![object("names", &objects["Community"])],
        profiles: vec![
            object("profile", &objects["BFDProfile"]),
            object("fast", &json!({"receiveInterval": 100, "transmitInterval": 100})),
        ],
        secrets: Some(vec![
            secret("key", &objects["Secret"]),
            secret("same", &objects["Secret"]),
            secret("other", &json!({"password": "b3RoZXI="})),
        ]),
    };
    let read = read.read(&pool_objects, &BgpConfig::default(), Viewpoint::Node(&labels));
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    let planned_pool = |(name, range): (&str, &str)| {
        let ranges = vec![range.parse().unwrap()];
        (name.into(), Pool { namespace: "metallb-system".into(), labels: [("family", name)].into(), ranges })
    };
    let services = [("web4", "198.51.100.10"), ("web6", "2001:db8:1::10")];
    let snapshot = Snapshot {
        me: "a".into(),
        now: Instant::ORIGIN,
        nodes: [("a".into(), Node { labels, ..Node::default() })].into(),
        alive: [NodeName::from("a")].into(),
        ownership: Ownership::default(),
        services: services
            .map(|(name, address)| (ServiceKey::new("default", name), service(address).into()))
            .into(),
        pools: pools.map(planned_pool).into(),
        advertisements: Advertisements {
            bgp: read.advertisements,
            any_object: true,
            ..Advertisements::default()
        },
        links: Vec::new(),
        exclusions: Exclusions::default(),
        peering: ferrolb_plan::Peering { peers: read.peers, ..ferrolb_plan::Peering::default() },
    };
    let session = plan(&snapshot).sessions.remove(&name("tor"))?;
    let sought = on_host(|host| sought(&session.peer, host, true, None).ok())?;
    Some((sought, Tables::default().table(&session.routes, transitivity(&session.peer))))
}

/// A node on the router's link.
fn on_host<T>(ask: impl FnOnce(&Host<'_>) -> T) -> T {
    let address = |text: &str, length| {
        let address = text.parse().unwrap();
        LinkAddress { address, prefix: IpPrefix::containing(address, length).unwrap() }
    };
    let eth0 = Link {
        index: 2,
        name: "eth0".into(),
        mac: None,
        flags: [].into(),
        addresses: vec![address(LOCAL, 24), address("2001:db8::7", 64)],
    };
    let internal_ips: [IpAddr; 1] = [LOCAL.parse().unwrap()];
    ask(&Host { node: &"a".into(), internal_ips: &internal_ips, links: &[eth0], routers: &Routers::new() })
}

fn object<T: DeserializeOwned>(name: &str, spec: &Value) -> Arc<T> {
    of(json!({"metadata": {"namespace": "metallb-system", "name": name}, "spec": spec}))
}

fn secret<T: DeserializeOwned>(name: &str, data: &Value) -> Arc<T> {
    let metadata = json!({"namespace": "metallb-system", "name": name});
    of(json!({"metadata": metadata, "type": "kubernetes.io/basic-auth", "data": data}))
}

fn of<T: DeserializeOwned>(object: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(object).unwrap())
}

fn service(address: &str) -> Service {
    Service {
        labels: [("app", "web")].into(),
        addresses: vec![address.parse().unwrap()],
        endpoints: ServingEndpoints { any: true, ..ServingEndpoints::default() },
        ..Service::default()
    }
}

fn effects(before: Option<(Sought, Table)>, after: Option<(Sought, Table)>) -> Effects {
    let (before, after) = match (before, after) {
        (None, None) => panic!("there is no session to look at"),
        (None, Some(_)) => return vec!["session begins"],
        (Some(_), None) => return vec!["session ends"],
        (Some(before), Some(after)) => (before, after),
    };
    let mut effects = bgp_effects(&before, &after);
    effects.extend(bfd_effect(before.0.bfd.as_ref(), after.0.bfd.as_ref()));
    if effects.is_empty() {
        effects.push(if before.0 == after.0 { "nothing" } else { "taken on" });
    }
    effects
}

/// What a session is told that is Established, as the driver tells it, and what its router hears.
fn bgp_effects((before, routes): &(Sought, Table), (after, changed): &(Sought, Table)) -> Effects {
    let mut peer = Peer::new(before.config.clone(), 1);
    peer.set_bfd(if before.bfd.is_some() { BfdState::Up } else { BfdState::AdminDown }, at(0));
    peer.rib_out_mut().set_wanted(routes);
    peer.rib_out_mut().complete();
    peer.start(at(0));
    establish(&mut peer, &before.config);

    peer.rib_out_mut().set_wanted(changed);
    let reset = peer.set_config(after.config.clone(), at(10));
    // Of another path nothing is known at first.
    let path = |sought: &Sought| sought.bfd.as_ref().map(|(path, _)| path.clone());
    let is_known = path(after).is_some() && path(before) == path(after);
    peer.set_bfd(if is_known { BfdState::Up } else { BfdState::AdminDown }, at(10));
    peer.flush(at(10));
    let said = said(&mut peer, at(10));
    assert_eq!(said.contains(&MessageType::Notification), reset.is_some(), "{reset:?}: {said:?}");
    assert_eq!(peer.state() == State::Established, reset.is_none(), "{reset:?}");
    if reset.is_some() {
        return vec!["reset"];
    }
    let (old, new) = (&before.options, &after.options);
    [
        ("UPDATE", said.contains(&MessageType::Update)),
        ("new key", old.password != new.password),
        ("new TTL", (old.ttl, old.min_ttl) != (new.ttl, new.min_ttl)),
    ]
    .into_iter()
    .filter_map(|(effect, is_so)| is_so.then_some(effect))
    .collect()
}

/// Opens a connection to a router that agrees to all that it is offered, but has the shorter hold time.
fn establish(peer: &mut Peer, config: &Config) {
    let Some(Transmit::Connect { id }) = peer.poll_transmit() else { panic!("it connects") };
    let local = (LOCAL.parse::<IpAddr>().unwrap(), 40_000).into();
    peer.handle_connected(id, Direction::Outgoing, local, config.transport.remote, at(0));
    let restart = GracefulRestart {
        restarted: false,
        notification: true,
        restart_time: 120,
        families: Family::ALL.map(|family| (family, true)).into(),
    };
    let capabilities = Capabilities {
        families: Some(Families::ALL),
        four_octet_asn: Some(Asn(64_513)),
        graceful_restart: Some(restart),
        extended_next_hop: true,
        ..Capabilities::default()
    };
    let bgp_id = BgpId::from_ipv4([192, 0, 2, 1].into()).unwrap();
    let open = Open { asn: Asn(64_513), hold_time: 60, bgp_id, capabilities };
    for message in [open.emit(), keepalive().into()] {
        said(peer, at(0));
        peer.handle_octets(id, &message, at(0));
    }
    said(peer, at(0));
    assert_eq!(peer.state(), State::Established);
}

/// What goes to the router until there is nothing more.
fn said(peer: &mut Peer, now: Instant) -> Vec<MessageType> {
    let mut said = Vec::new();
    while let Some(transmit) = peer.poll_transmit() {
        let Transmit::Send { id, octets } = transmit else { continue };
        let mut rest = octets.as_slice();
        while let Some((frame, length)) = Frame::next(rest).unwrap() {
            said.push(frame.message_type);
            rest = &rest[length..];
        }
        peer.handle_writable(id, now);
    }
    said
}

fn bfd_effect(
    before: Option<&(SessionPath, bfd::Config)>,
    after: Option<&(SessionPath, bfd::Config)>,
) -> Option<&'static str> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some("BFD begins"),
        (Some(_), None) => Some("BFD ends"),
        (Some((old, _)), Some((new, _))) if old != new => Some("BFD begins anew"),
        (Some((_, old)), Some((_, new))) => polls(*old, *new).then_some("BFD Poll Sequence"),
    }
}

/// Whether a session that is Up, and stays so, tells its peer of another configuration by a Poll Sequence:
/// RFC 5880 §6.5.
fn polls(before: bfd::Config, after: bfd::Config) -> bool {
    let discr = |number| NonZeroU32::new(number).unwrap();
    let interval = Interval::from_millis(300);
    let packet = |state, is_final| Control {
        diagnostic: Diagnostic::NONE,
        state,
        is_poll: false,
        is_final,
        is_control_plane_independent: false,
        is_demand: false,
        detect_mult: NonZeroU8::new(3).unwrap(),
        my_discriminator: discr(9),
        your_discriminator: Some(discr(7)),
        desired_min_tx: interval,
        required_min_rx: interval,
        required_min_echo_rx: Interval::ZERO,
    };
    let mut session = bfd::Session::new(discr(7), before, 1, at(0));
    // Up, and the Poll Sequence that follows.
    let answers =
        [(PathState::Down, false), (PathState::Init, false), (PathState::Up, true), (PathState::Up, false)];
    for (state, is_final) in answers {
        while session.poll_transmit().is_some() {}
        session.handle_packet(&packet(state, is_final), at(0)).unwrap();
    }
    while session.poll_transmit().is_some() {}
    session.set_config(after, at(0));
    assert_eq!(session.state(), PathState::Up);
    loop {
        if let Some(next) = session.poll_transmit() {
            assert_eq!(session.state(), PathState::Up);
            return next.is_poll;
        }
        let (due, _timer) = session.poll_timeout().unwrap();
        session.handle_timeout(due);
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_origin(Duration::from_secs(seconds))
}
