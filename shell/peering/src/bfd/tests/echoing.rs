//! The Echo function between two drivers, over the loopback interface and over a cable.

use super::*;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::process::Command;

#[tokio::test]
async fn echo_packets_are_sent_looped_back_and_missed_when_the_peer_is_killed() {
    let segment = Segment::new();
    let (there, back) = (segment.path(0, 1), segment.path(1, 0));
    let config = |echo_ms| {
        let timing = config(300, 5).timing.with_echo(Interval::from_millis(echo_ms)).unwrap();
        Config { timing, ..Config::default() }
    };
    let mut one = Host::start(segment, &there, 0, config(50));
    let mut two = Host::start(segment, &back, 1, config(80));
    if let Some(error) = one.comes_up(&there).await.error {
        println!("these tests run without CAP_NET_RAW: {error}");
        return;
    }
    let is_slower = |status: &SessionStatus| status.echo_interval == Some(Interval::from_millis(80));
    one.comes_to(&there, is_slower).await;
    two.comes_to(&back, is_slower).await;
    for (host, path) in [(&one, &there), (&two, &back)] {
        counts_to(host, path, |counts| counts.echo_returned >= 3 && counts.echo_looped_back >= 3).await;
    }
    // Packets of the peer's need not come oftener than once in a second: it is not they that are missed.
    let is_slow = |status: &SessionStatus| status.detection_time == Some(Duration::from_secs(5));
    one.comes_to(&there, is_slow).await;
    let labels =
        format!("peer=\"{}\",local=\"{}\",interface=\"\",hops=\"one\"", there.peer, segment.address(0));
    one.shows(&format!("ferrolb_bfd_echo_packets_total{{{labels},direction=\"looped_back\"}}")).await;

    drop(two);
    let killed = Instant::now();
    assert_eq!(one.next_down().await, DownReason::EchoFailed);
    println!("the end of a host was noticed after {:?}", killed.elapsed());
    let status = one.comes_to(&there, |status| status.state != State::Up).await;
    assert_eq!((status.local_diag, status.echo_interval), (Diagnostic::ECHO_FUNCTION_FAILED, None));
}

#[tokio::test]
async fn over_a_cable_echo_packets_come_back_whether_or_not_the_kernel_forwards_them_too() {
    let timing = config(300, 20).timing.with_echo(Interval::from_millis(50)).unwrap();
    let config = Config { timing, ..Config::default() };
    for forwarding in [0, 1] {
        let Some(cable) = Cable::new(forwarding) else { return };
        let path = |peer| SessionPath {
            peer: IpAddr::from([192, 0, 2, peer]),
            local: None,
            interface: Some("eth0".into()),
            is_multihop: false,
        };
        let mut hosts = [(cable.spawn("a"), path(2)), (cable.spawn("b"), path(1))];
        for (host, path) in &hosts {
            host.want(path, config);
        }
        for (host, path) in &mut hosts {
            host.comes_up(path).await;
            let is_enough = |counts: &Counts| counts.echo_returned >= 10 && counts.echo_looped_back >= 10;
            let status = counts_to(host, path, is_enough).await;
            assert_eq!((status.error, status.counts.downs), (None, 0));
        }
    }
}

#[tokio::test]
async fn over_several_hops_and_ipv6_there_are_no_echo_packets() {
    let timing = patient().timing.with_echo(Interval::from_millis(50)).unwrap();
    let config = Config { timing, ..Config::default() };
    let segment = Segment::new();
    let path = |from, to| SessionPath { is_multihop: true, ..segment.path(from, to) };
    let mut one = Host::start(segment, &path(0, 1), 0, config);
    let mut two = Host::start(segment, &path(1, 0), 1, config);
    for (host, path) in [(&mut one, path(0, 1)), (&mut two, path(1, 0))] {
        has_no_echo(host, &path).await;
    }
    // With itself: the host has but one loopback address of this family.
    let loopback = IpAddr::from(Ipv6Addr::LOCALHOST);
    let path = SessionPath { peer: loopback, local: Some(loopback), interface: None, is_multihop: false };
    let mut host = Host::start(Segment::new(), &path, 0, config);
    let is_decided = |status: &SessionStatus| status.state == State::Up || status.error.is_some();
    match host.comes_to(&path, is_decided).await.error {
        Some(error) => println!("this host lacks IPv6: {error}"),
        None => has_no_echo(&mut host, &path).await,
    }
}

/// The session is Up for long enough that Echo packets would have gone.
async fn has_no_echo(host: &mut Host, path: &SessionPath) {
    host.comes_up(path).await;
    let status = counts_to(host, path, |counts| counts.received >= 7).await;
    assert_eq!((status.state, status.error), (State::Up, None));
    assert_eq!((status.echo_interval, status.counts.echo_sent), (None, 0));
}

/// Waits until so much was counted, which wakes nobody who watches the view.
async fn counts_to(host: &Host, path: &SessionPath, is_enough: impl Fn(&Counts) -> bool) -> SessionStatus {
    let now = || host.bfd.view.borrow().sessions[path].clone();
    let counted = async {
        while !is_enough(&now().counts) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, counted).await.unwrap_or_else(|_| panic!("{:?}", now()));
    now()
}

/// Two network namespaces, `a` at 192.0.2.1 and `b` at 192.0.2.2, removed when dropped.
struct Cable {
    name: String,
}

impl Cable {
    /// `None`, with the reason printed, if the test cannot run here.
    fn new(forwarding: u8) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return None;
        }
        let name = format!("echo{}{forwarding}", std::process::id());
        let cable = Self { name: name.clone() };
        for side in ["a", "b"] {
            must(&format!("ip netns add {name}{side}"));
            must(&format!("ip netns exec {name}{side} sysctl -q net.ipv4.ip_forward={forwarding}"));
        }
        must(&format!("ip -n {name}a link add eth0 type veth peer name eth0 netns {name}b"));
        for (side, last) in [("a", 1), ("b", 2)] {
            must(&format!("ip -n {name}{side} address add 192.0.2.{last}/24 dev eth0"));
            must(&format!("ip -n {name}{side} link set eth0 up"));
        }
        Some(cable)
    }

    /// A driver on one side: its thread is in the namespace of the one that starts it.
    fn spawn(&self, side: &str) -> Host {
        let namespace = File::open(format!("/run/netns/{}{side}", self.name)).unwrap();
        let start = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            Host::spawn(BfdConfig::default())
        };
        thread::spawn(start).join().unwrap()
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for side in ["a", "b"] {
            let name = format!("{}{side}", self.name);
            Command::new("ip").args(["netns", "delete", &name]).status().ok();
        }
    }
}

fn must(command: &str) {
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}
