use super::*;
use ferrolb_plan::{Advertisements, L2Advertisement, Node, Ownership, Pool, Service, ServingEndpoints};
use ferrolb_vocab::{Epoch, Instant, Labels, LinkAddress, MacAddr, ObjectName};

fn key() -> ServiceKey {
    ServiceKey::new("default", "web")
}

fn view() -> SpeakerView {
    let service = Service {
        addresses: vec!["192.168.100.240".parse().unwrap()],
        endpoints: ServingEndpoints { any: true, nodes: BTreeSet::new() },
        ..Service::default()
    };
    let pool = Pool {
        namespace: "metallb-system".into(),
        labels: Labels::default(),
        ranges: vec!["192.168.100.240-192.168.100.250".parse().unwrap()],
    };
    SpeakerView {
        services: [(key(), service)].into(),
        references: [(key(), ObjectReference { name: Some("web".into()), ..ObjectReference::default() })]
            .into(),
        pools: [("lb-pool".into(), pool)].into(),
        nodes: [("master".into(), Node::default()), ("worker2".into(), Node::default())].into(),
        node_uids: [("master".into(), "uid".into())].into(),
        ..SpeakerView::default()
    }
}

fn advertised(advertisement: L2Advertisement) -> SpeakerView {
    let l2 = [(ObjectName::new("metallb-system", "lb"), advertisement)].into();
    SpeakerView { advertisements: Advertisements { l2, any_object: true }, ..view() }
}

fn facts() -> Facts {
    let address = LinkAddress {
        address: "192.168.100.200".parse().unwrap(),
        prefix: "192.168.100.0/24".parse().unwrap(),
    };
    let eth0 = Link {
        index: 2,
        name: "eth0".into(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        flags: [LinkFlag::Up, LinkFlag::Carrier, LinkFlag::Broadcast].into(),
        addresses: vec![address],
    };
    Facts {
        now: Instant::ORIGIN,
        links: vec![eth0],
        alive: ["worker2".into()].into(),
        ownership: Ownership { is_settled: true, ..Ownership::default() },
        occupied: Vec::new(),
        gateway_silent_since: None,
        pod: "speaker-x".into(),
    }
}

fn decider() -> Decider {
    Decider::new("master".into(), Exclusions::default(), false)
}

fn told(pass: &Pass) -> Vec<&str> {
    pass.notices.iter().map(|(_, notice)| notice.message.as_str()).collect()
}

#[test]
fn gaining_a_service_acts_tells_and_reports_once() {
    let mut decider = decider();
    let pass = decider.decide(view(), &facts());
    assert_eq!(pass.actions.len(), 1);
    assert_eq!(told(&pass), ["announcing from node \"master\" with protocol \"layer2\""]);
    assert_eq!(pass.report.announced, [(key(), BTreeSet::new())].into(), "no interface was chosen by name");
    assert_eq!(pass.report.node_uid.as_deref(), Some("uid"));
    let again = decider.decide(view(), &facts());
    assert!(again.actions.is_empty() && again.notices.is_empty());
    assert_eq!(again.report, pass.report);
}

#[test]
fn losing_a_service_withdraws_it() {
    let mut decider = decider();
    decider.decide(view(), &facts());
    let gone = SpeakerView { services: BTreeMap::new(), ..view() };
    let pass = decider.decide(gone, &facts());
    assert_eq!(pass.actions, [Action::Withdraw("192.168.100.240".parse().unwrap())]);
    assert!(pass.report.announced.is_empty());
}

#[test]
fn the_exclusion_label_counts_unless_it_is_to_be_ignored() {
    let mut excluded = view();
    excluded.nodes.get_mut(&NodeName::from("master")).unwrap().excluded = true;
    assert!(decider().decide(excluded, &facts()).actions.is_empty());
    let mut excluded = view();
    excluded.nodes.get_mut(&NodeName::from("master")).unwrap().excluded = true;
    let mut ignoring = Decider::new("master".into(), Exclusions::default(), true);
    assert_eq!(ignoring.decide(excluded, &facts()).actions.len(), 1);
}

#[test]
fn a_missing_interface_is_told_and_nothing_is_announced() {
    let interfaces = ["eth9".into()].into();
    let advertisement = L2Advertisement { interfaces, ..L2Advertisement::default() };
    let view = || advertised(advertisement.clone());
    let mut decider = decider();
    let pass = decider.decide(view(), &facts());
    assert!(pass.actions.is_empty() && told(&pass).is_empty(), "the other node may have it");
    let back = [("192.168.100.240".parse().unwrap(), Epoch::STANDS_BACK)];
    assert_eq!(pass.claims, back.into());
    let mut facts = facts();
    facts.ownership.claims = [("worker2".into(), back.into())].into();
    let pass = decider.decide(view(), &facts);
    assert!(pass.actions.is_empty() && pass.report.announced.is_empty());
    let [message] = told(&pass)[..] else { panic!("{pass:?}") };
    assert!(message.starts_with("NoUsableInterface: the interfaces specified by LB IP \"192.168.100.240\""));
}

#[test]
fn named_interfaces_are_reported_by_name() {
    let interfaces: BTreeSet<_> = ["eth0".into(), "eth9".into()].into();
    let pass =
        decider().decide(advertised(L2Advertisement { interfaces, ..L2Advertisement::default() }), &facts());
    assert_eq!(pass.report.announced, [(key(), ["eth0".into()].into())].into());
}

#[test]
fn the_node_state_shows_what_can_carry_announcements() {
    let mut facts = facts();
    let mut cni = facts.links[0].clone();
    cni.name = "cni0".into();
    facts.links.push(cni);
    let mut decider = Decider::new("master".into(), Exclusions::new(["^cni.*"]).unwrap(), false);
    let state = decider.decide(view(), &facts).report.node_state;
    let [link] = &state.links[..] else { panic!("{state:?}") };
    assert_eq!((link.name.as_str(), link.subnets.as_slice()), ("eth0", &["192.168.100.0/24".to_owned()][..]));
}

#[test]
fn beside_metallbs_speakers_nothing_is_announced() {
    let beside = |speakers: &[&str], controllers: &[&str]| {
        let names =
            |names: &[&str]| names.iter().map(|name| ObjectName::new("metallb-system", *name)).collect();
        SpeakerView {
            metallb: MetalLbPods { controllers: names(controllers), speakers: names(speakers) },
            ..view()
        }
    };
    let mut decider = decider();
    assert_eq!(
        decider.decide(beside(&[], &["controller-a"]), &facts()).actions.len(),
        1,
        "it announces nothing"
    );
    let pass = decider.decide(beside(&["speaker-b"], &[]), &facts());
    assert_eq!(pass.actions, [Action::Withdraw("192.168.100.240".parse().unwrap())]);
    assert!(pass.report.announced.is_empty() && decider.verdicts().is_empty());
    assert!(!pass.report.node_state.links.is_empty(), "the node goes on to report itself");
    let pass = decider.decide(beside(&[], &[]), &facts());
    assert_eq!(told(&pass), ["announcing from node \"master\" with protocol \"layer2\""]);
}

#[test]
fn an_address_that_the_owner_before_found_to_be_a_hosts_is_asked_for_again() {
    let heir = || {
        let mut decider = decider();
        decider.inherit([("192.168.100.240".parse().unwrap(), Epoch::FIRST.next())]);
        decider
    };
    let address = "192.168.100.240".parse().unwrap();
    assert_eq!(heir().decide(view(), &facts()).never_announced, BTreeSet::new());
    let found = SpeakerView { occupied: [address].into(), ..view() };
    assert_eq!(heir().decide(found, &facts()).never_announced, [address].into());
}

#[test]
fn a_node_that_loses_all_peers_and_the_gateway_withdraws_and_takes_up_again_when_it_hears_one() {
    let mut decider = decider();
    let at = |seconds| Instant::from_origin(std::time::Duration::from_secs(seconds));
    assert_eq!(decider.decide(view(), &Facts { now: at(1), ..facts() }).actions.len(), 1);
    let alone = Facts { now: at(2), alive: BTreeSet::new(), ..facts() };
    let pass = decider.decide(view(), &alone);
    assert!(pass.is_alone && pass.actions.is_empty(), "others may have died: {:?}", pass.actions);
    let cut_off = Facts { now: at(5), gateway_silent_since: Some(at(1)), ..alone };
    let withdrawn = decider.decide(view(), &cut_off).actions;
    assert_eq!(withdrawn, [Action::Withdraw("192.168.100.240".parse().unwrap())]);
    let heard = decider.decide(view(), &Facts { now: at(9), gateway_silent_since: None, ..cut_off.clone() });
    assert!(heard.actions.is_empty(), "it waits until it knows what others own");
    assert_eq!(heard.expires, Some(at(11)));
    let back = decider.decide(view(), &Facts { now: at(11), gateway_silent_since: None, ..cut_off });
    assert_eq!(back.actions.len(), 1);
}
