use super::*;
use ferrolb_plan::{Advertisements, L2Advertisement, Node, Ownership, Pool, Service, ServingEndpoints};
use ferrolb_vocab::{Epoch, Instant, Labels, LinkAddress, MacAddr, ObjectName};
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

mod advertising;
mod network;

fn seen() -> Arc<SeenService> {
    let metadata =
        ObjectMeta { namespace: Some("default".into()), name: Some("web".into()), ..ObjectMeta::default() };
    Arc::new(SeenService::of(&api::Service { metadata, ..api::Service::default() }))
}

fn key() -> ServiceKey {
    ServiceKey::new("default", "web")
}

fn view() -> SpeakerView {
    let service = Service {
        addresses: vec!["192.168.100.240".parse().unwrap()],
        endpoints: ServingEndpoints { any: true, ..ServingEndpoints::default() },
        ..Service::default()
    };
    let pool = Pool {
        namespace: "metallb-system".into(),
        labels: Labels::default(),
        ranges: vec!["192.168.100.240-192.168.100.250".parse().unwrap()],
    };
    SpeakerView {
        services: [(key(), service.into())].into(),
        seen: vec![seen()],
        pools: [("lb-pool".into(), pool)].into(),
        nodes: [("master".into(), Node::default()), ("worker2".into(), Node::default())].into(),
        node_uids: [("master".into(), "uid".into())].into(),
        ..SpeakerView::default()
    }
}

fn advertised(advertisement: L2Advertisement) -> SpeakerView {
    let l2 = [(ObjectName::new("metallb-system", "lb"), advertisement)].into();
    SpeakerView {
        advertisements: Advertisements { l2, any_object: true, ..Advertisements::default() },
        ..view()
    }
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
        pod: "speaker-x".into(),
        ..Facts::default()
    }
}

/// The same after the address was announced by a node that is dead.
fn facts_of_heir() -> Facts {
    let highest = [("192.168.100.240".parse().unwrap(), Epoch::FIRST)].into();
    Facts { ownership: Ownership { highest, ..facts().ownership }, ..facts() }
}

/// The Service's address on eth0.
fn place() -> (IpAddr, InterfaceName) {
    ("192.168.100.240".parse().unwrap(), "eth0".into())
}

fn ms(ms: u64) -> Instant {
    Instant::from_origin(std::time::Duration::from_millis(ms))
}

/// What the driver says when a host has the address.
fn occupied(now: Instant, facts: Facts) -> Facts {
    let (address, interface) = place();
    let occupied = vec![Conflict { address, mac: MacAddr([2, 0, 0, 0, 0, 9]), node: None, interface }];
    Facts { now, unproven: [place()].into(), occupied, ..facts }
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
    let pass = decider.decide(view(), &facts_of_heir());
    assert_eq!(pass.actions.len(), 1);
    assert_eq!(told(&pass), ["announcing from node \"master\" with protocol \"layer2\""]);
    let announced = AnnouncedService { interfaces: BTreeSet::new(), is_whole: true };
    assert_eq!(pass.report.announced, [(key(), announced)].into(), "no interface was chosen by name");
    assert_eq!(pass.report.node_uid.as_deref(), Some("uid"));
    let again = decider.decide(view(), &facts_of_heir());
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
    let pass = decider()
        .decide(advertised(L2Advertisement { interfaces, ..L2Advertisement::default() }), &facts_of_heir());
    assert_eq!(pass.report.announced[&key()].interfaces, ["eth0".into()].into());
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
        decider.decide(beside(&[], &["controller-a"]), &facts_of_heir()).actions.len(),
        1,
        "it announces nothing"
    );
    let pass = decider.decide(beside(&["speaker-b"], &[]), &facts_of_heir());
    assert_eq!(pass.actions, [Action::Withdraw("192.168.100.240".parse().unwrap())]);
    assert!(pass.report.announced.is_empty() && decider.verdicts().is_empty());
    assert!(!pass.report.node_state.links.is_empty(), "the node goes on to report itself");
    let pass = decider.decide(beside(&[], &[]), &facts_of_heir());
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
    assert_eq!(heir().decide(view(), &facts()).to_probe, BTreeSet::new());
    let found = SpeakerView { occupied: [address].into(), ..view() };
    assert_eq!(heir().decide(found, &facts()).to_probe, [address].into());
}

#[test]
fn an_address_that_was_given_up_as_a_hosts_is_asked_for_again_under_whatever_epoch() {
    let (address, _) = place();
    let mut decider = decider();
    assert_eq!(decider.decide(view(), &facts()).to_probe, [address].into(), "nobody ever owned it");
    decider.decide(view(), &occupied(ms(100), facts()));
    let mut idle = view();
    Arc::make_mut(idle.services.get_mut(&key()).unwrap()).endpoints.any = false;
    let pass = decider.decide(idle, &occupied(ms(5000), facts_of_heir()));
    assert_eq!(pass.actions, [Action::Withdraw(address)]);
    let pass = decider.decide(view(), &Facts { now: ms(9000), ..facts_of_heir() });
    assert_eq!(pass.claims, [(address, Epoch::FIRST.next())].into());
    assert_eq!(pass.to_probe, [address].into(), "it was never announced");
    let states = |pass: &Pass| pass.report.node_state.links[0].conflicts.len();
    assert_eq!(states(&pass), 1, "as long as nobody has answered the new question");
    let pass = decider.decide(view(), &Facts { now: ms(9800), ..facts_of_heir() });
    assert_eq!((states(&pass), pass.report.announced.len()), (0, 1));
}

#[test]
fn what_another_node_has_had_since_it_was_a_hosts_is_taken_over_without_a_question() {
    let (address, _) = place();
    let mut decider = decider();
    decider.decide(view(), &facts());
    decider.decide(view(), &occupied(ms(100), facts()));
    let second = Epoch::FIRST.next();
    let ownership = Ownership {
        claims: [("worker2".into(), [(address, second)].into())].into(),
        highest: [(address, second)].into(),
        ..facts().ownership
    };
    let owned = |now| Facts { now: ms(now), ownership: ownership.clone(), ..facts() };
    let pass = decider.decide(view(), &owned(5_000));
    assert_eq!(pass.actions, [Action::Withdraw(address)]);
    decider.decide(view(), &owned(5_100));
    let dead = Ownership { claims: BTreeMap::new(), ..ownership.clone() };
    let pass =
        decider.decide(view(), &Facts { now: ms(9_000), alive: BTreeSet::new(), ownership: dead, ..facts() });
    assert_eq!((pass.actions.len(), pass.to_probe), (1, BTreeSet::new()));
}

#[test]
fn a_service_is_told_and_reported_when_it_is_announced_and_not_while_its_address_is_asked_for() {
    let mut decider = decider();
    let mut decide = |facts: &Facts| {
        let pass = decider.decide(view(), facts);
        (pass.report.announced.len(), told(&pass).len(), decider.announced())
    };
    let at = |now| Facts { now: ms(now), ..facts() };
    assert_eq!(decide(&at(0)), (0, 0, 0));
    assert_eq!(decide(&at(1)), (0, 0, 0), "the driver does not know it yet");
    let probing = |now| Facts { unproven: [place()].into(), ..at(now) };
    assert_eq!(decide(&probing(900)), (0, 0, 0), "a fellow has answered once");
    assert_eq!(decide(&occupied(ms(1800), facts())), (0, 0, 0));
    assert_eq!(decide(&at(31_800)), (1, 1, 1), "the host gave it up");
    assert_eq!(decide(&at(31_900)), (1, 0, 1));
}

#[test]
fn on_an_interface_that_joins_an_address_is_asked_for_and_goes_on_being_announced_on_the_others() {
    let mut decider = decider();
    assert_eq!(decider.decide(view(), &facts_of_heir()).to_probe, BTreeSet::new(), "a takeover");
    let mut with_eth1 = facts_of_heir();
    with_eth1.links.push(Link { index: 3, name: "eth1".into(), ..with_eth1.links[0].clone() });
    let pass = decider.decide(view(), &with_eth1);
    let (address, eth0) = place();
    let interfaces = [eth0, "eth1".into()].into();
    assert_eq!(pass.actions, [Action::Announce { address, interfaces }]);
    assert_eq!((pass.to_probe, pass.report.announced.len()), ([address].into(), 1));
}

#[test]
fn of_spread_addresses_each_node_knows_that_it_has_not_all() {
    let other: IpAddr = "192.168.100.241".parse().unwrap();
    let spread = |spread| {
        let mut view = advertised(L2Advertisement { spread, ..L2Advertisement::default() });
        Arc::make_mut(view.services.get_mut(&key()).unwrap()).addresses.push(other);
        view
    };
    let owns_other = Facts {
        ownership: Ownership {
            claims: [("worker2".into(), [(other, Epoch(7))].into())].into(),
            ..facts_of_heir().ownership
        },
        ..facts_of_heir()
    };
    let whole = |spread_out, facts: &Facts| {
        let report = decider().decide(spread(spread_out), facts).report;
        (report.announced[&key()].is_whole, report.alive.contains(&"worker2".into()))
    };
    assert_eq!(whole(true, &owns_other), (false, true));
    let alone = Facts { alive: BTreeSet::new(), ..facts_of_heir() };
    assert_eq!(whole(true, &alone), (true, false));
    assert_eq!(whole(false, &alone), (true, false));
}
