use super::*;
use ferrolb_liveness::{DeadReason, Key};
use prometheus_client::registry::Registry;
use std::net::UdpSocket;
use std::time::Instant;

/// Beyond any time the mesh may take on a busy machine, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

/// One speaker of a mesh on 127.0.0.0/8.
struct Speaker {
    liveness: Liveness,
    registry: Registry,
}

/// Nodes `n1`, `n2` … at addresses of their own and one port.
struct Segment {
    port: u16,
    net: [u8; 2],
    nodes: usize,
}

impl Segment {
    fn new(nodes: usize) -> Self {
        let [high, low] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
        // The port that the system gives out is this test's own, also beside other tests.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { port, net: [high, low], nodes }
    }

    fn address(&self, index: usize) -> IpAddr {
        [127, self.net[0], self.net[1], u8::try_from(index).unwrap()].into()
    }

    fn peers(&self) -> BTreeMap<NodeName, Vec<IpAddr>> {
        (1..=self.nodes).map(|index| (node(index), vec![self.address(index)])).collect()
    }

    /// A speaker that knows its peers and is quiet.
    fn spawn(&self, index: usize) -> Speaker {
        self.spawn_with(self.config(index))
    }

    fn spawn_with(&self, config: LivenessConfig) -> Speaker {
        let mut registry = Registry::default();
        let metrics = LivenessMetrics::register(&mut registry);
        let liveness = spawn(config, metrics).unwrap();
        liveness.handle.set_peers(self.peers());
        Speaker { liveness, registry }
    }

    fn config(&self, index: usize) -> LivenessConfig {
        LivenessConfig {
            node: node(index),
            timing: Timing::default(),
            fast: false,
            keys: keys(7),
            bind: vec![self.address(index)],
            port: self.port,
        }
    }

    fn start(&self, index: usize) -> Speaker {
        let speaker = self.spawn(index);
        speaker.liveness.handle.start();
        speaker
    }
}

impl Speaker {
    /// Waits until exactly the nodes of `alive` are, and nothing is presumed.
    async fn sees(&mut self, alive: &[usize]) {
        let expected: BTreeSet<NodeName> = alive.iter().map(|&index| node(index)).collect();
        self.comes_to(|view| view.settled && view.alive == expected).await;
    }

    /// Waits until the view is as expected.
    async fn comes_to(&mut self, is_expected: impl Fn(&LivenessView) -> bool) {
        let seen = timeout(DEADLINE, self.liveness.view.wait_for(|view| is_expected(view))).await;
        seen.expect("the view becomes the expected one").expect("the driver runs");
    }

    /// The next death that is told.
    async fn next_death(&mut self) -> (NodeName, DeadReason) {
        let death = async {
            loop {
                match self.liveness.events.recv().await.expect("the driver runs") {
                    Event::Dead { node, why } => return (node, why),
                    Event::Alive(_) | Event::Leaving(_) | Event::Staying(_) | Event::ClaimsChanged(_) => {}
                }
            }
        };
        timeout(DEADLINE, death).await.expect("a death is told")
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Waits until a line of the metrics begins with `start`.
    async fn shows(&self, start: &str) {
        let shown = async {
            while !self.metrics().lines().any(|line| line.starts_with(start)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(DEADLINE, shown).await.unwrap_or_else(|_| panic!("{start} in\n{}", self.metrics()));
    }
}

fn keys(octet: u8) -> KeyRing {
    KeyRing::new(Key::new(&[octet; 32]).unwrap(), vec![]).unwrap()
}

fn node(index: usize) -> NodeName {
    format!("n{index}").into()
}

#[tokio::test]
async fn three_speakers_find_each_other_and_notice_when_one_is_killed() {
    let segment = Segment::new(3);
    let (mut one, mut two, mut three) = (segment.start(1), segment.start(2), segment.start(3));
    for speaker in [&mut one, &mut two, &mut three] {
        speaker.sees(&[1, 2, 3]).await;
    }
    one.shows("ferrolb_liveness_peers{state=\"alive\"} 2").await;
    one.shows("ferrolb_liveness_messages_total{direction=\"received\",kind=\"heartbeat\"}").await;

    // Dropping the handle ends the driver without a word, as the death of the process would.
    drop(three);
    let killed = Instant::now();
    one.sees(&[1, 2]).await;
    println!("the end of a speaker was noticed after {:?}", killed.elapsed());
    two.sees(&[1, 2]).await;
    assert_eq!(one.next_death().await, (node(3), DeadReason::ProcessGone));
    one.shows("ferrolb_liveness_transitions_total{to=\"dead\",reason=\"ProcessGone\"}").await;
    one.shows("ferrolb_liveness_refusals_total").await;
    one.shows("ferrolb_liveness_peers{state=\"dead\"} 1").await;

    let mut three = segment.start(3);
    three.sees(&[1, 2, 3]).await;
    one.sees(&[1, 2, 3]).await;
}

#[tokio::test]
async fn a_killed_process_is_noticed_long_before_its_silence() {
    let segment = Segment::new(2);
    // Nobody could tell by the silence before the deadline of this test.
    let timing = Timing::new(Duration::from_millis(40), 2 * DEADLINE).unwrap();
    let start = |index| {
        let speaker = segment.spawn_with(LivenessConfig { timing, ..segment.config(index) });
        speaker.liveness.handle.start();
        speaker
    };
    let (mut one, mut two) = (start(1), start(2));
    one.sees(&[1, 2]).await;
    two.sees(&[1, 2]).await;
    drop(two);
    let killed = Instant::now();
    one.sees(&[1]).await;
    println!("the end of a process was noticed after {:?}", killed.elapsed());
    assert_eq!(one.next_death().await, (node(2), DeadReason::ProcessGone));
}

#[tokio::test]
async fn claims_and_the_wish_to_leave_reach_the_others() {
    let segment = Segment::new(2);
    let (mut one, mut two) = (segment.start(1), segment.start(2));
    one.sees(&[1, 2]).await;
    two.sees(&[1, 2]).await;
    let owned: BTreeMap<IpAddr, Epoch> =
        (0..1_000).map(|index| (IpAddr::V4((0x0a00_0000 + index).into()), Epoch(u64::from(index)))).collect();
    one.liveness.handle.set_claims(owned.clone());
    two.comes_to(|view| view.claims.get(&node(1)) == Some(&owned) && view.settled).await;
    assert_eq!(*two.liveness.view.borrow().highest_epochs, owned);
    one.liveness.handle.set_leaving(true);
    two.comes_to(|view| view.leaving == [node(1)].into() && view.alive == [node(2)].into()).await;
    two.shows("ferrolb_liveness_messages_total{direction=\"received\",kind=\"claims\"}").await;
    two.shows("ferrolb_liveness_claims_changes_total 1").await;

    // A speaker that has only just started, and says nothing yet, knows what the others own.
    let segment = Segment { nodes: 3, ..segment };
    for speaker in [&one, &two] {
        speaker.liveness.handle.set_peers(segment.peers());
    }
    let mut three = segment.spawn(3);
    three.comes_to(|view| view.settled && view.claims.get(&node(1)) == Some(&owned)).await;
}

#[tokio::test]
async fn a_speaker_without_the_key_is_a_stranger_until_it_gets_it() {
    let segment = Segment::new(2);
    let mut one = segment.start(1);
    let mut two = segment.spawn_with(LivenessConfig { keys: keys(8), ..segment.config(2) });
    two.liveness.handle.start();
    one.shows("ferrolb_liveness_drops_total{reason=\"unauthenticated\"}").await;
    one.sees(&[1]).await;
    two.sees(&[2]).await;
    two.liveness.handle.set_keys(keys(7));
    one.sees(&[1, 2]).await;
    two.sees(&[1, 2]).await;
}

#[tokio::test]
async fn a_leaving_speaker_is_gone_at_once_and_frees_its_port() {
    let segment = Segment::new(2);
    let (mut one, mut two) = (segment.start(1), segment.start(2));
    one.sees(&[1, 2]).await;
    two.sees(&[1, 2]).await;
    let leaving = Instant::now();
    let noticed = async {
        one.sees(&[1]).await;
        println!("a leave was noticed after {:?}", leaving.elapsed());
    };
    tokio::join!(two.liveness.handle.leave(), noticed);
    assert_eq!(one.next_death().await, (node(2), DeadReason::Left));
    UdpSocket::bind((segment.address(2), segment.port)).expect("the port is free");
    assert!(two.liveness.view.has_changed().is_err(), "the view is closed");
}

#[tokio::test]
async fn a_speaker_that_has_not_started_is_presumed_alive_and_then_missed() {
    let segment = Segment::new(2);
    // Long enough that this test cannot miss the presumption on a busy machine.
    let timing = Timing::new(Duration::from_millis(50), Duration::from_secs(2)).unwrap();
    let mut one = segment.spawn_with(LivenessConfig { timing, ..segment.config(1) });
    one.liveness.handle.start();
    let mut two = segment.spawn(2);
    let presumed = |view: &LivenessView| !view.settled && view.alive == [node(1), node(2)].into();
    timeout(DEADLINE, one.liveness.view.wait_for(presumed)).await.unwrap().unwrap();
    one.sees(&[1]).await;
    two.sees(&[1]).await;
    two.liveness.handle.start();
    one.sees(&[1, 2]).await;
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_hinders_nobody() {
    let segment = Segment::new(2);
    let (mut one, mut two) = (segment.start(1), segment.start(2));
    let mut peers = segment.peers();
    // Broadcasting takes SO_BROADCAST: the system refuses.
    peers.insert("n0".into(), vec![[255, 255, 255, 255].into()]);
    one.liveness.handle.set_peers(peers);
    let refused = async {
        while one.metrics().contains("ferrolb_liveness_send_errors_total 0\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, refused).await.expect("the refusal is counted");
    one.sees(&[1, 2]).await;
    two.sees(&[1, 2]).await;
}

#[tokio::test]
async fn packets_of_strangers_are_counted_by_reason_and_ignored() {
    let segment = Segment::new(1);
    let mut one = segment.start(1);
    one.sees(&[1]).await;
    let stranger = UdpSocket::bind((segment.address(9), 0)).unwrap();
    let send = |octets: &[u8]| stranger.send_to(octets, (segment.address(1), segment.port)).unwrap();
    send(b"GET / HTTP/1.1\r\n\r\n");
    send(b"FLBm\x01\x01");
    send(b"");
    send(&[b"FLBm\x02\x02\0\0\0\0\x02n7".as_slice(), &[0; 24 + 16]].concat());
    for reason in ["magic", "version", "truncated", "unauthenticated"] {
        one.shows(&format!("ferrolb_liveness_drops_total{{reason=\"{reason}\"}} 1")).await;
    }
    one.sees(&[1]).await;
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let segment = Segment::new(1);
    let one = segment.start(1);
    let error = spawn(segment.config(1), LivenessMetrics::default()).unwrap_err();
    let text = ferrolb_telemetry::chain(&error).to_string();
    assert!(text.contains(&format!("{}:{}", segment.address(1), segment.port)), "{text}");
    assert!(text.contains("set another liveness port on every node") && text.contains("in use"), "{text}");
    drop(one);
}

#[test]
fn a_name_that_is_no_nodes_is_refused() {
    let segment = Segment::new(1);
    let config = LivenessConfig { node: "Not A Node".into(), ..segment.config(1) };
    assert!(matches!(spawn(config, LivenessMetrics::default()), Err(SpawnError::Name(_))));
}
