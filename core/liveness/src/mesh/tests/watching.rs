//! Clusters in which not everyone watches everyone.

use super::*;
use alloc::string::{String, ToString};
use ferrolb_wire::mesh::Suspect;

const NAMES: [&str; 6] = ["node1", "node2", "node3", "node4", "node5", "node6"];

/// node1, watched by one successor beside those that are named.
fn sparse_mesh() -> Mesh {
    let mut mesh = new_mesh().watched_by(Watching { everyone_max: 2, successors: 1 });
    mesh.set_peers(nodes(&NAMES), at(0));
    mesh.start(at(0));
    mesh
}

fn heartbeat_of(node: &str, sequence: u64, timing: Timing, is_herald: bool) -> Datagram {
    let (interval, detection) = (timing.interval(), timing.detection());
    let beat = Heartbeat {
        claims_version: 0,
        interval,
        detection,
        is_herald,
        is_leaving: false,
        is_followed: false,
    };
    let sender = NodeName::from(node).try_into().unwrap();
    Datagram { sender, ..datagram(Body::Heartbeat(beat), 5, sequence) }
}

fn hear(mesh: &mut Mesh, datagram: &Datagram, now: Instant) {
    let src = address(datagram.sender.node().as_str());
    mesh.handle_packet(src, &keys().seal(datagram), now).unwrap();
}

/// All peers live, and are heard slowly; node2 is watched for the others.
fn among_living(mesh: &mut Mesh, now: Instant) {
    for (sequence, node) in (1..).zip(&NAMES[1..]) {
        hear(mesh, &heartbeat_of(node, sequence, Timing::SLOW, *node == "node2"), now);
    }
    sent(mesh);
}

/// Runs to `to`; the heartbeats to each peer, with the interval they promise.
fn heartbeats(mesh: &mut Mesh, to: Instant) -> BTreeMap<String, Vec<Duration>> {
    let mut heartbeats: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    while let Some((due, _)) = mesh.poll_timeout()
        && due <= to
    {
        mesh.handle_timeout(due);
        for (dst, datagram) in sent(mesh) {
            if let Body::Heartbeat(heartbeat) = datagram.body {
                let last = dst.ip().to_string().rsplit('.').next().map(|last| format!("node{last}"));
                heartbeats.entry(last.unwrap()).or_default().push(heartbeat.interval);
            }
        }
    }
    heartbeats
}

#[test]
fn watchers_get_every_heartbeat_and_the_others_one_a_second_and_know_it() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    mesh.set_watchers([NodeName::from("node5")].into());
    // What is new goes to all.
    heartbeats(&mut mesh, at(200));
    let heard = heartbeats(&mut mesh, at(5_200));
    let often: Vec<&str> =
        heard.iter().filter(|(_, told)| told.len() >= 99).map(|(node, _)| node.as_str()).collect();
    assert!(often.len() == 2 && often.contains(&"node5"), "one successor, and who was named: {often:?}");
    for (node, told) in &heard {
        let is_often = often.contains(&node.as_str());
        assert!(is_often || told.len() == 5, "{node}: {}", told.len());
        let promised = if is_often { INTERVAL } else { Timing::SLOW.interval() };
        assert!(told.iter().all(|interval| *interval == promised), "{node} can rely on it");
    }
}

#[test]
fn who_is_no_watcher_any_more_is_told_so_often_that_it_does_not_miss_it() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    mesh.set_watchers(NAMES.map(NodeName::from).into());
    heartbeats(&mut mesh, at(1_000));
    mesh.set_watchers(BTreeSet::new());
    let heard = heartbeats(&mut mesh, at(1_000 + 400));
    let losses = Timing::new(INTERVAL, DETECTION).unwrap().losses_survived() as usize;
    let dismissed = heard.values().filter(|told| told[0] == Timing::SLOW.interval());
    assert_eq!(dismissed.inspect(|told| assert!(told.len() > losses, "{told:?}")).count(), 4);
}

#[test]
fn a_peer_is_dead_after_the_time_that_it_says_itself() {
    for (timing, silent) in [(Timing::FAST, 75), (Timing::default(), 255), (Timing::SLOW, 7_250)] {
        let mut mesh = watching_node2();
        hear(&mut mesh, &heartbeat_of("node2", 1, timing, false), at(10));
        advance(&mut mesh, at(10 + silent - 1));
        assert_eq!(events(&mut mesh), [node2_is_alive()]);
        advance(&mut mesh, at(10 + silent));
        assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)]);
    }
}

#[test]
fn a_herald_tells_all_of_a_death_until_they_would_know_by_themselves() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    hear(&mut mesh, &heartbeat_of("node2", 2, Timing::default(), true), at(10));
    hear(&mut mesh, &heartbeat_of("node3", 4, Timing::default(), false), at(10));
    let mut told: BTreeMap<SocketAddr, u32> = BTreeMap::new();
    let mut sequence = 10;
    while let Some((due, _)) = mesh.poll_timeout()
        && due <= at(2_000)
    {
        sequence += 1;
        hear(&mut mesh, &heartbeat_of("node4", sequence, Timing::default(), false), due);
        mesh.handle_timeout(due);
        for (dst, datagram) in sent(&mut mesh) {
            if let Body::Suspect(Suspect { node, incarnation }) = datagram.body {
                assert!(due >= at(10) + Timing::default().detection(), "not before it is dead: {due}");
                assert_eq!(
                    (node.node().as_str(), incarnation),
                    ("node2", 5),
                    "nobody asked to tell of node3"
                );
                *told.entry(dst).or_default() += 1;
            }
        }
    }
    let living: Vec<SocketAddr> = ["node4", "node5", "node6"].map(address).into();
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), living);
    assert!(told.values().all(|times| (6..=9).contains(times)), "at once, then each 250 ms: {told:?}");
}

fn suspect(mesh: &mut Mesh, sequence: u64, incarnation: u64, now: Instant) {
    let node = NodeName::from("node2").try_into().unwrap();
    let sender = NodeName::from("node3").try_into().unwrap();
    let body = Body::Suspect(Suspect { node, incarnation });
    hear(mesh, &Datagram { sender, ..datagram(body, 5, sequence) }, now);
}

/// The questions to node2 until `to`.
fn questions(mesh: &mut Mesh, to: Instant) -> usize {
    let mut questions = 0;
    while let Some((due, _)) = mesh.poll_timeout()
        && due <= to
    {
        mesh.handle_timeout(due);
        let asked =
            |(dst, sent): &(SocketAddr, Datagram)| *dst == address("node2") && sent.body.kind() == Kind::Ask;
        questions += sent(mesh).iter().filter(|sent| asked(sent)).count();
    }
    questions
}

#[test]
fn who_is_said_to_be_dead_is_asked_and_dies_if_it_does_not_answer() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    events(&mut mesh);
    suspect(&mut mesh, 10, 5, at(100));
    assert!(questions(&mut mesh, at(100 + 399)) >= 7);
    assert_eq!(events(&mut mesh), [], "it has a detection time");
    mesh.handle_timeout(at(500));
    assert_eq!(events(&mut mesh), [node2_is_dead(DeadReason::Silent)]);
}

#[test]
fn who_answers_is_not_dead_whatever_others_say() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    events(&mut mesh);
    suspect(&mut mesh, 10, 5, at(100));
    assert!(questions(&mut mesh, at(200)) > 0);
    hear(&mut mesh, &heartbeat_of("node2", 9, Timing::SLOW, false), at(210));
    assert_eq!(questions(&mut mesh, at(3_000)), 0);
    suspect(&mut mesh, 11, 4, at(3_000));
    assert_eq!(questions(&mut mesh, at(3_500)), 0, "that was its predecessor");
    assert_eq!(events(&mut mesh), []);
}

#[test]
fn a_rumour_that_comes_twice_or_late_says_nothing() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    suspect(&mut mesh, 10, 5, at(100));
    let node = NodeName::from("node2").try_into().unwrap();
    let sender: MemberName = NodeName::from("node3").try_into().unwrap();
    let body = Body::Suspect(Suspect { node, incarnation: 5 });
    let mut say = |incarnation, sequence| {
        let again = Datagram { sender: sender.clone(), ..datagram(body.clone(), incarnation, sequence) };
        mesh.handle_packet(address("node3"), &keys().seal(&again), at(150))
    };
    assert_eq!(say(5, 10), Err(Rejected::Duplicate));
    assert_eq!(say(5, 9), Err(Rejected::Stale));
    assert_eq!(say(6, 1), Err(Rejected::Unconfirmed), "an incarnation that was never heard");
}

#[test]
fn a_question_is_answered_at_once_by_whoever_is_seldom_heard() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    heartbeats(&mut mesh, at(1_000));
    let ask = |mesh: &mut Mesh, node: &str, now| {
        let sender = NodeName::from(node).try_into().unwrap();
        hear(mesh, &Datagram { sender, ..datagram(Body::Ask { version: 0 }, 5, 9) }, now);
        sent(mesh).len()
    };
    mesh.set_watchers([NodeName::from("node5")].into());
    assert_eq!(ask(&mut mesh, "node5", at(1_010)), 0, "it hears the next round");
    let others: Vec<usize> =
        ["node2", "node3", "node4", "node6"].map(|node| ask(&mut mesh, node, at(1_010))).into();
    assert_eq!(others.iter().sum::<usize>(), 3, "all but the successor: {others:?}");
}

#[test]
fn who_hears_nobody_that_it_watches_finds_out_soon_that_it_is_cut_off() {
    let mut mesh = sparse_mesh();
    among_living(&mut mesh, at(0));
    for sequence in 10..15 {
        let now = at(100 + sequence);
        hear(&mut mesh, &heartbeat_of("node2", sequence, Timing::default(), false), now);
        hear(&mut mesh, &heartbeat_of("node3", sequence, Timing::default(), false), now);
    }
    advance(&mut mesh, at(114 + 255 + 400 - 1));
    assert_eq!(names(&mesh.alive()), ["node1", "node4", "node5", "node6"]);
    advance(&mut mesh, at(114 + 255 + 400));
    assert_eq!(names(&mesh.alive()), ["node1"]);
}
