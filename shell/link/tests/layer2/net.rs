//! A speaker's network namespace and a peer's, joined by a cable; the peer is the kernel.

use std::future::Future;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::{Instant, sleep, timeout};

/// The MAC of the speaker's first interface.
pub(crate) const SPEAKER_MAC: &str = "02:00:00:00:05:01";
/// The MAC of the peer's first interface.
pub(crate) const PEER_MAC: &str = "02:00:00:00:05:02";

/// What the peer's interface sends and receives, as `tcpdump` prints it.
#[derive(Debug)]
pub(crate) struct Capture {
    lines: Lines<BufReader<ChildStdout>>,
    /// Ends with the capture.
    _tcpdump: Child,
}

/// Two namespaces, removed when dropped.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) speaker: String,
    pub(crate) peer: String,
}

impl Net {
    /// Both namespaces with `eth0` up and addressed; `None` (with the reason printed) if the test
    /// cannot run here.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            say("skipped: network namespaces need root");
            return None;
        }
        let id = format!("t{}l{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self { speaker: format!("{id}s"), peer: format!("{id}p") };
        for namespace in [&net.speaker, &net.peer] {
            must(&format!("ip netns add {namespace}"));
            must(&format!("ip -n {namespace} link set lo up"));
        }
        net.cable("eth0", SPEAKER_MAC, PEER_MAC, "");
        net.plug("eth0");
        let Self { speaker, peer } = &net;
        must(&format!("ip -n {speaker} address add 192.0.2.1/24 dev eth0"));
        must(&format!("ip -n {speaker} address add 2001:db8::1/64 dev eth0 nodad"));
        must(&format!("ip -n {peer} address add 192.0.2.2/24 dev eth0"));
        must(&format!("ip -n {peer} address add 2001:db8::2/64 dev eth0 nodad"));
        Some(net)
    }

    /// Joins the namespaces with one more pair of interfaces of the same name. There is no carrier
    /// before [`Net::plug`].
    pub(crate) fn cable(&self, interface: &str, speaker_mac: &str, peer_mac: &str, options: &str) {
        let Self { speaker, peer } = self;
        must(&format!(
            "ip -n {speaker} link add {interface} address {speaker_mac} {options} \
             type veth peer name {interface} address {peer_mac} netns {peer}"
        ));
        must(&format!("ip -n {peer} link set {interface} up"));
    }

    /// Brings the speaker's end of a cable up.
    pub(crate) fn plug(&self, interface: &str) {
        must(&format!("ip -n {} link set {interface} up", self.speaker));
    }

    /// Runs `scenario` on a thread and a runtime inside the speaker's namespace.
    pub(crate) fn run<F: Future<Output = ()>>(&self, scenario: impl FnOnce() -> F + Send) {
        let result = thread::scope(|scope| {
            let inside = || {
                let namespace = std::fs::File::open(format!("/run/netns/{}", self.speaker))
                    .expect("the namespace was created above");
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime starts")
                    .block_on(scenario());
            };
            scope.spawn(inside).join()
        });
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }

    /// Runs a command in the peer's namespace and returns what it prints; the driver goes on meanwhile.
    pub(crate) async fn on_peer(&self, command: &str) -> String {
        output(&format!("ip netns exec {} {command}", self.peer)).await.1
    }

    /// Whether a command in the peer's namespace succeeds.
    pub(crate) async fn succeeds_on_peer(&self, command: &str) -> bool {
        output(&format!("ip netns exec {} {command}", self.peer)).await.0
    }

    /// Captures the ARP and ICMPv6 packets of the peer's `interface` from now on.
    pub(crate) async fn capture(&self, interface: &str) -> Capture {
        let arguments = format!("netns exec {} tcpdump -lne -i {interface} arp or icmp6", self.peer);
        let mut command = tokio::process::Command::new("ip");
        command.args(arguments.split_whitespace()).kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut tcpdump = command.spawn().expect("ip is installed");
        let mut says = BufReader::new(tcpdump.stderr.take().expect("it is piped")).lines();
        while !says.next_line().await.expect("it can be read").expect("tcpdump starts").contains("listening")
        {
        }
        let lines = BufReader::new(tcpdump.stdout.take().expect("it is piped")).lines();
        Capture { lines, _tcpdump: tcpdump }
    }

    /// Makes the peer's kernel resolve `address` by sending it a datagram.
    pub(crate) async fn poke(&self, address: &str) {
        let namespace = &self.peer;
        let datagram = format!("echo poke >/dev/udp/{address}/9");
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", namespace, "bash", "-c", &datagram]);
        // The datagram itself is refused or lost; the neighbour entry is what counts.
        drop(command.output().await.expect("ip and bash are installed"));
    }

    /// As [`Net::poke`], but nothing else goes on in this process meanwhile.
    pub(crate) fn poke_while_stopped(&self, address: &str) {
        let datagram = format!("echo poke >/dev/udp/{address}/9");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.peer, "bash", "-c", &datagram]);
        drop(command.output().expect("ip and bash are installed"));
    }

    /// The peer's neighbour entry of `address`, like `lladdr 02:00:00:00:05:01 REACHABLE`.
    pub(crate) async fn neighbour(&self, address: &str) -> String {
        self.on_peer(&format!("ip neigh show to {address}")).await
    }

    /// Enters a reachable neighbour of a wrong MAC into the peer's table.
    pub(crate) async fn mislead(&self, address: &str, interface: &str) {
        self.on_peer(&format!("ip neigh replace {address} dev {interface} lladdr {WRONG_MAC} nud reachable"))
            .await;
        assert!(self.neighbour(address).await.contains(WRONG_MAC));
    }
}

impl Capture {
    /// The next packet that `matches`; it must come before the deadline.
    pub(crate) async fn next(&mut self, what: &str, matches: impl Fn(&str) -> bool) -> String {
        let next = async {
            loop {
                let line = self.lines.next_line().await.expect("it can be read").expect("tcpdump runs");
                if matches(&line) {
                    return line;
                }
            }
        };
        timeout(DEADLINE, next).await.unwrap_or_else(|_elapsed| panic!("not within {DEADLINE:?}: {what}"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for namespace in [&self.speaker, &self.peer] {
            let command = format!("ip netns del {namespace}");
            if !run(&command).is_ok_and(|output| output.status.success()) {
                say(&format!("{command} did not work; remove the namespace by hand"));
            }
        }
    }
}

/// Waits until `condition` holds, and fails with `what` after [`DEADLINE`].
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether `program` is installed; if not, says what is left out.
pub(crate) fn has(program: &str) -> bool {
    let found = run(&format!("which {program}")).is_ok_and(|output| output.status.success());
    if !found {
        say(&format!("skipped in part: {program} is not installed (apt-get install {program})"));
    }
    found
}

/// Runs a command that cannot fail where this test can run.
pub(crate) fn must(command: &str) {
    let output = run(command).expect("the program is installed");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn output(command: &str) -> (bool, String) {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command has a program");
    let output =
        tokio::process::Command::new(program).args(words).output().await.expect("the program is installed");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(command: &str) -> std::io::Result<Output> {
    let mut words = command.split_whitespace();
    Command::new(words.next().unwrap_or_default()).args(words).output()
}

/// Writes to the terminal past the test harness, which hides what a passing test prints.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("stderr is open");
}

const WRONG_MAC: &str = "02:00:00:00:66:66";

/// Longer than any of the kernel's timers that a test waits for (a failed resolution takes 3 s),
/// and far longer than ours: whether we are quick is asserted where it matters.
const DEADLINE: Duration = Duration::from_secs(15);
