//! MetalLB's acceptance list, layer 2, numbers 25, 26 and 53, and what FerroLB adds: how an address begins,
//! and how it moves when nodes may not have it any more. The client's packets tell.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferrolb_e2e::{
    Capture, Cluster, Frame, Kind, V4, V6, advertisement_yaml, counted, eventually, pool_yaml, say, stays,
};

const BOTH: [&str; 2] = [V4, V6];
const CONFLICT: &str = "ferrolb.io/AddressConflict";

/// The pool `lb`, three Pods, an advertisement, and the Service `web`, announced by `master`, which
/// is the first by hash.
fn with_web() -> Cluster {
    let cluster = Cluster::fresh();
    cluster.create_pods_and_dual_pool();
    cluster.apply(&advertisement_yaml("lb", ""));
    cluster.create_dual_service("web", "");
    cluster.wait_addresses("web", &BOTH);
    wait_node(&cluster, "master");
    cluster
}

/// Waits until `node` announces and answers for both addresses, alone, and they are reached.
fn wait_node(cluster: &Cluster, node: &str) {
    cluster.wait_announcer("web", node);
    for address in BOTH {
        cluster.wait_answering("eth0", address, &[&format!("{node}/eth0")]);
    }
    cluster.curl(&format!("http://{V4}"));
    cluster.curl(&format!("http://[{V6}]"));
}

/// Waits until `node` has announced both addresses, which it took over: it did not ask for them first.
fn wait_takeover(cluster: &Cluster, capture: &Capture, node: &str) {
    let mac = cluster.mac(node, "eth0");
    for address in BOTH {
        let announced = capture.wait_announcement(address, &mac);
        assert_eq!(announced.claimed.as_ref(), Some(&mac), "{announced:?}");
        assert_eq!(capture.of(Kind::Probe, address), [], "a takeover does not probe");
    }
}

fn set_network_unavailable(cluster: &Cluster, node: &str, status: &str) {
    let fields = format!(r#""type":"NetworkUnavailable","status":"{status}","reason":"Test","message":"""#);
    let patch = format!(r#"{{"status":{{"conditions":[{{{fields}}}]}}}}"#);
    let options = ["--subresource=status", "--type=strategic", "-p", &patch];
    cluster.kubectl(&[&["patch", "node", node], &options[..]].concat());
}

/// Number 25, with `failback`.
#[test]
fn an_unavailable_network_moves_the_answers_and_they_come_back() {
    let cluster = with_web();
    cluster.fail_back();
    let away = cluster.capture("client", "eth0");
    set_network_unavailable(&cluster, "master", "True");
    wait_takeover(&cluster, &away, "worker2");
    wait_node(&cluster, "worker2");
    let back = cluster.capture("client", "eth0");
    set_network_unavailable(&cluster, "master", "False");
    wait_takeover(&cluster, &back, "master");
    wait_node(&cluster, "master");
}

/// Number 26, with `failback`.
#[test]
fn the_exclusion_label_moves_the_answers_and_they_come_back() {
    let cluster = with_web();
    cluster.fail_back();
    let label = "node.kubernetes.io/exclude-from-external-load-balancers";
    let away = cluster.capture("client", "eth0");
    cluster.kubectl(&["label", "node", "master", &format!("{label}=")]);
    wait_takeover(&cluster, &away, "worker2");
    wait_node(&cluster, "worker2");
    let back = cluster.capture("client", "eth0");
    cluster.kubectl(&["label", "node", "master", &format!("{label}-")]);
    wait_takeover(&cluster, &back, "master");
    wait_node(&cluster, "master");
}

/// Number 53, with `failback`, and with FerroLB's own taint: its speakers tolerate every taint, so
/// that another would not keep the deleted Pod's successor away.
#[test]
fn the_answers_leave_a_tainted_node_whose_speaker_is_deleted_and_come_back() {
    let cluster = with_web();
    cluster.fail_back();
    let taint = "ferrolb.io/drain=now:NoSchedule";
    let away = cluster.capture("client", "eth0");
    cluster.kubectl(&["taint", "node", "master", taint]);
    let on_master = ["--field-selector", "spec.nodeName=master"];
    let speaker = ["-n", "ferrolb-system", "-l", "app.kubernetes.io/component=speaker"];
    cluster.kubectl(&[&["delete", "pod"], &speaker[..], &on_master[..]].concat());
    wait_takeover(&cluster, &away, "worker2");
    wait_node(&cluster, "worker2");
    let back = cluster.capture("client", "eth0");
    cluster.kubectl(&["taint", "node", "master", &format!("{taint}-")]);
    wait_takeover(&cluster, &back, "master");
    wait_node(&cluster, "master");
}

/// A speaker that ends and stays away, on a node that lives: no taint and no label says so.
#[test]
fn the_answers_leave_a_node_that_may_have_no_speaker_any_more() {
    let cluster = with_web();
    let daemonset = ["daemonset/speaker", "-n", "ferrolb-system"];
    let patch = |affinity: &str| {
        let patch = format!(r#"{{"spec":{{"template":{{"spec":{{"affinity":{affinity}}}}}}}}}"#);
        cluster.kubectl(&[&["patch"], &daemonset[..], &["--type=merge", "-p", &patch]].concat());
        cluster.kubectl(&[&["rollout", "status"], &daemonset[..], &["--timeout=120s"]].concat());
    };
    let term = r#"{"matchFields":[{"key":"metadata.name","operator":"NotIn","values":["master"]}]}"#;
    patch(&format!(
        r#"{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":{{"nodeSelectorTerms":[{term}]}}}}}}"#
    ));
    wait_node(&cluster, "worker2");
    patch("null");
    cluster.fail_back();
    wait_node(&cluster, "master");
}

fn since_the_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("this is after 1970")
}

/// An address of each family that no speaker of this lab has owned before: those of this second. Such
/// an address is asked for first.
fn never_owned() -> [String; 2] {
    let now = since_the_epoch().as_secs();
    let [.., high, low] = now.to_be_bytes();
    [format!("10.77.{high}.{low}"), format!("fd00:77::{:x}", u16::from_be_bytes([high, low]))]
}

/// Three Pods, an advertisement, and a pool of just these addresses.
fn with_pool(addresses: &[String; 2]) -> Cluster {
    let cluster = Cluster::fresh();
    cluster.create_example("rs-web-v1.yaml");
    cluster.apply(&advertisement_yaml("lb", ""));
    let [v4, v6] = addresses;
    cluster.apply(&pool_yaml("lb", &[&format!("{v4}/32"), &format!("{v6}/128")]));
    cluster
}

/// RFC 5227 §2.1, RFC 4862 §5.4; the number of probes is ADR 0011's.
#[test]
fn a_fresh_address_is_probed_for_three_times_and_then_announced() {
    let addresses = never_owned();
    let cluster = with_pool(&addresses);
    let capture = cluster.capture("client", "eth0");
    cluster.create_dual_service("web", "");
    let node = cluster.announcer("web");
    let mac = cluster.mac(&node, "eth0");
    for address in &addresses {
        capture.wait_announcement(address, &mac);
        let heard = capture.about(address);
        let kinds: Vec<Kind> = heard.iter().take(4).map(|frame| frame.kind).collect();
        assert_eq!(kinds, [Kind::Probe, Kind::Probe, Kind::Probe, Kind::Announcement], "{heard:?}");
        assert!(heard.iter().all(|frame| frame.source == mac), "{node} alone: {heard:?}");
        let took = heard[3].at.saturating_sub(heard[0].at);
        say(&format!("{address} was announced {:.3} s after its first probe", took.as_secs_f64()));
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

/// Addresses that the client's own interface has, until this value is gone.
struct Foreign<'a> {
    cluster: &'a Cluster,
    addresses: &'a [String; 2],
}

impl<'a> Foreign<'a> {
    fn take(cluster: &'a Cluster, addresses: &'a [String; 2]) -> Self {
        let foreign = Self { cluster, addresses };
        foreign.each("replace");
        foreign
    }

    fn each(&self, verb: &str) {
        for address in self.addresses {
            let argv = ["ip", "address", verb, address, "dev", "eth0"];
            drop(self.cluster.lab.exec("client", &argv));
        }
    }
}

impl Drop for Foreign<'_> {
    fn drop(&mut self) {
        self.each("del");
    }
}

/// RFC 5227 §2.1.1.
#[test]
fn an_address_that_a_foreign_host_has_is_not_announced_until_that_gives_it_up() {
    let addresses = never_owned();
    let cluster = with_pool(&addresses);
    let foreign = Foreign::take(&cluster, &addresses);
    let capture = cluster.capture("client", "eth0");
    cluster.create_dual_service("web", "");
    for address in &addresses {
        eventually(&format!("somebody asks whether {address} is free"), || {
            let probes = capture.of(Kind::Probe, address);
            if probes.is_empty() { Err(format!("{:?}", capture.about(address))) } else { Ok(()) }
        });
    }
    let mine = cluster.mac("client", "eth0");
    let by_nodes = || -> Vec<Frame> {
        let claims = |frame: &Frame| matches!(frame.kind, Kind::Answer | Kind::Announcement);
        let of_both = addresses.each_ref().map(|address| capture.about(address)).concat();
        of_both.into_iter().filter(|frame| claims(frame) && frame.source != mine).collect()
    };
    stays("the nodes' silence", Duration::from_secs(3), || {
        let heard = by_nodes();
        if heard.is_empty() { Ok(()) } else { Err(format!("{heard:?}")) }
    });
    let told = cluster.wait_condition(&["service", "web"], CONFLICT, "True InUseByAnotherHost");
    assert!(told.contains(&mine) && addresses.iter().all(|address| told.contains(address)), "{told}");
    drop(foreign);
    // It is probed for again after 30 s.
    let node = cluster.announcer("web");
    let mac = cluster.mac(&node, "eth0");
    for address in &addresses {
        capture.wait_announcement(address, &mac);
        cluster.wait_answering("eth0", address, &[&format!("{node}/eth0")]);
    }
    eventually("the Service is told that the conflict is over", || {
        let told = cluster.condition(&["service", "web"], CONFLICT);
        if told.starts_with("True") { Err(told) } else { Ok(()) }
    });
}

/// Its kernel says so: nobody waits until its silence means death.
#[test]
fn a_killed_speakers_kernel_tells_the_others_and_another_node_takes_over() {
    let cluster = with_web();
    let told = || {
        let metrics = cluster.speaker_metrics("worker2").expect("it answers");
        counted(&metrics, "ferrolb_liveness_transitions_total{to=\"dead\",reason=\"ProcessGone\"}")
    };
    let before = told();
    let capture = cluster.capture("client", "eth0");
    let killed = since_the_epoch();
    cluster.kill_speaker("master");
    wait_takeover(&cluster, &capture, "worker2");
    let mac = cluster.mac("worker2", "eth0");
    for address in BOTH {
        let took = capture.wait_announcement(address, &mac).at.saturating_sub(killed);
        say(&format!("{address} was announced elsewhere {:.3} s after the kill", took.as_secs_f64()));
    }
    assert_eq!(told(), before + 1);
    let speakers = ["daemonset/speaker", "-n", "ferrolb-system", "--timeout=60s"];
    cluster.kubectl(&[&["rollout", "status"], &speakers[..]].concat());
    wait_node(&cluster, "worker2");
}

/// Sees for a few seconds that one node answers for both addresses, the same for all of the time.
fn one_answers(cluster: &Cluster, node: &str) {
    let expected: BTreeSet<String> = [format!("{node}/eth0")].into();
    stays(&format!("{node} alone answers"), Duration::from_secs(3), || {
        let found = BOTH.map(|address| cluster.answering("eth0", address));
        if found.iter().all(|found| *found == expected) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn of_a_stopped_speaker_and_its_successor_exactly_one_answers_when_it_continues() {
    let cluster = with_web();
    let capture = cluster.capture("client", "eth0");
    let stopped_at = since_the_epoch();
    let stopped = cluster.stop_speakers(&["master"]);
    wait_takeover(&cluster, &capture, "worker2");
    let took = capture.wait_announcement(V4, &cluster.mac("worker2", "eth0")).at.saturating_sub(stopped_at);
    say(&format!("{V4} was announced elsewhere {:.3} s after SIGSTOP", took.as_secs_f64()));
    one_answers(&cluster, "worker2");
    drop(stopped);
    one_answers(&cluster, "worker2");
    wait_node(&cluster, "worker2");
}

#[test]
fn with_all_speakers_but_one_dead_every_address_is_answered_for() {
    let cluster = with_web();
    let more = ["241", "242", "243"];
    for last in more {
        let name = format!("web-{last}");
        cluster.create_dual_service(&name, "");
        cluster.wait_addresses(&name, &[&format!("192.168.100.{last}"), &format!("fd00:100::{last}")]);
        cluster.announcer(&name);
    }
    cluster.lab.kill_node("worker2").expect("the node dies");
    // With it the API server.
    cluster.lab.kill_node("master").expect("the node dies");
    for last in ["240"].into_iter().chain(more) {
        for address in [format!("192.168.100.{last}"), format!("fd00:100::{last}")] {
            cluster.wait_answering("eth0", &address, &["worker1/eth0"]);
        }
        cluster.curl(&format!("http://192.168.100.{last}"));
    }
    for node in ["master", "worker2"] {
        cluster.lab.start_node(node).expect("the node comes back");
    }
    one_answers(&cluster, "worker1");
}
