//! FRRouting on the LAN: zebra, bfdd and bgpd on the lab's router or on a host of their own, told and asked
//! through `vtysh`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Cluster, POLL_INTERVAL, eventually, say, texts};

/// Where Debian has the daemons.
const PROGRAMS: &str = "/usr/lib/frr";
/// The daemons in the order of their start, each with the socket that is there when it is.
const DAEMONS: [(&str, &str); 3] = [("zebra", "zserv.api"), ("bfdd", "bfdd.vty"), ("bgpd", "bgpd.vty")];
/// They end within milliseconds; one that does not is killed.
const END_DEADLINE: Duration = Duration::from_secs(5);
/// Lines of each log that are shown when a test fails.
const SHOWN_LOG_LINES: usize = 20;

/// FRR on one host. With this value its processes end, and what it routed is forgotten.
#[derive(Debug)]
pub struct Router {
    netns: String,
    /// Where the host is plugged in, if it is there for this value alone.
    port: Option<Port>,
    /// Configurations, sockets, process ids and logs.
    folder: PathBuf,
    daemons: Vec<Child>,
}

/// The host's port on the lab's switch.
#[derive(Debug)]
struct Port {
    /// The switch's namespace.
    lan: String,
    /// The last number of the host's addresses.
    station: u8,
}

impl Cluster {
    /// FRR on the lab's router, 192.168.100.1 and fd00:100::1, which is everybody's default gateway;
    /// `config` is as in its `frr.conf`.
    ///
    /// # Panics
    /// When FRR cannot be started, or refuses a line.
    #[must_use]
    pub fn router(&self, config: &str) -> Router {
        let host = self.lab.host("router").expect("every lab has a router");
        Router::start(host.netns.clone(), None, config)
    }

    /// FRR on another host of the LAN, 192.168.100.`station` and fd00:100::`station`, which nobody routes
    /// through. From 2 to 9 these are nobody's.
    ///
    /// # Panics
    /// When the host cannot be made, FRR not be started, or it refuses a line.
    #[must_use]
    pub fn router_at(&self, station: u8, config: &str) -> Router {
        let lab = self.lab.name();
        // Named like a Pod's, so that who takes the lab down takes it too.
        let port = Port { lan: format!("{lab}-lan"), station };
        Router::start(format!("{lab}-p-router{station}"), Some(port), config)
    }
}

impl Router {
    fn start(netns: String, port: Option<Port>, config: &str) -> Self {
        let folder = PathBuf::from(format!("/run/ferrolb-e2e-{netns}"));
        let mut router = Self { netns, port, folder, daemons: Vec::new() };
        // Of a run that was killed.
        router.sweep();
        if let Some(port) = &router.port {
            port.plug(&router.netns).unwrap_or_else(|error| panic!("a host for a router: {error}"));
        }
        fs::create_dir_all(&router.folder).expect("/run takes a directory");
        for file in ["zebra.conf", "bfdd.conf", "bgpd.conf", "vtysh.conf"] {
            router.write(file, "");
        }
        // They run as a user of their own.
        run("chown", &["-R", "frr:frr", &router.path("")]).unwrap_or_else(|error| {
            panic!("{error}\ninstall FRR with `cargo xtask setup --routers`");
        });
        for (daemon, socket) in DAEMONS {
            router.start_daemon(daemon);
            // Who finds no zebra tries again after ten seconds.
            eventually(&format!("{daemon} in {} makes {socket}", router.netns), || {
                let is_there = router.folder.join(socket).exists();
                if is_there { Ok(()) } else { Err(router.logs()) }
            });
        }
        router.write("test.conf", config);
        let file = router.path("test.conf");
        router.tell(&["-f", &file]).unwrap_or_else(|error| panic!("{error}\n{config}"));
        router
    }

    fn start_daemon(&mut self, daemon: &str) {
        let log = File::create(self.folder.join(format!("{daemon}.log"))).expect("the folder is ours");
        let program = format!("{PROGRAMS}/{daemon}");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns, &program, "--vty_port", "0", "--log", "stdout"]);
        command.args(["--vty_socket", &self.path(""), "--socket", &self.path("zserv.api")]);
        command.args(["--pid_file", &self.path(&format!("{daemon}.pid"))]);
        command.args(["--config_file", &self.path(&format!("{daemon}.conf"))]);
        if daemon == "bfdd" {
            command.args(["--bfdctl", &self.path("bfdd.sock")]);
        }
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("a file can be had twice")).stdout(log);
        self.daemons.push(command.spawn().expect("`ip` starts"));
    }

    /// What `vtysh` answers to a command.
    ///
    /// # Panics
    /// When it refuses the command.
    pub fn vtysh(&self, command: &str) -> String {
        self.tell(&["-c", command]).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same as JSON; null where the answer is none, as about a prefix that is not there.
    #[must_use]
    pub fn json(&self, command: &str) -> Value {
        serde_json::from_slice(&self.call(&["-c", command]).stdout).unwrap_or(Value::Null)
    }

    /// Changes the configuration: these are lines after `configure terminal`.
    ///
    /// # Panics
    /// When FRR refuses one.
    pub fn configure(&self, lines: &[&str]) {
        let lines = ["configure terminal"].iter().chain(lines);
        let words: Vec<&str> = lines.flat_map(|line| ["-c", *line]).collect();
        self.tell(&words).unwrap_or_else(|error| panic!("{error}"));
    }

    /// What FRR says of its session with a neighbour.
    #[must_use]
    pub fn neighbor(&self, address: &str) -> Value {
        let mut all = self.json(&format!("show bgp neighbors {address} json"));
        all[address].take()
    }

    /// Waits until there is a session with each of these neighbours.
    pub fn wait_established<S: AsRef<str>>(&self, neighbors: &[S]) {
        for address in neighbors {
            let address: &str = address.as_ref();
            eventually(&format!("a session of {} with {address}", self.netns), || {
                let neighbor = self.neighbor(address);
                let state = neighbor["bgpState"].as_str().unwrap_or_default();
                if state == "Established" { Ok(()) } else { Err(format!("{neighbor:#}")) }
            });
        }
    }

    /// Asserts that FRR has lost no session with these neighbours since it was started.
    ///
    /// # Panics
    /// When it has.
    pub fn assert_never_dropped<S: AsRef<str>>(&self, neighbors: &[S]) {
        for address in neighbors {
            let address: &str = address.as_ref();
            let neighbor = self.neighbor(address);
            assert_eq!(neighbor["connectionsDropped"], 0, "sessions with {address}: {neighbor:#}");
        }
    }

    /// What FRR says of its BFD session with a neighbour; null where it has none.
    #[must_use]
    pub fn bfd_peer(&self, address: &str) -> Value {
        let peers = self.json("show bfd peers json");
        let mut peers = peers.as_array().into_iter().flatten();
        peers.find(|peer| peer["peer"] == address).cloned().unwrap_or_default()
    }

    /// Every prefix that BGP has heard of.
    #[must_use]
    pub fn prefixes(&self) -> BTreeSet<String> {
        let of = |family: &str| self.json(&format!("show bgp {family} unicast json"))["routes"].take();
        let routes = ["ipv4", "ipv6"].map(of);
        let routes = routes.iter().filter_map(Value::as_object).flatten();
        routes.map(|(prefix, _paths)| prefix.clone()).collect()
    }

    /// What BGP knows of a prefix: its `paths` with all their attributes.
    #[must_use]
    pub fn route(&self, prefix: &str) -> Value {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        self.json(&format!("show bgp {family} unicast {prefix} json"))
    }

    /// The next hops that the kernel has been given for a prefix, each as zebra tells of it: its address is
    /// `ip`, its share is `weight`.
    #[must_use]
    pub fn installed(&self, prefix: &str) -> Vec<Value> {
        let family = if prefix.contains(':') { "ipv6" } else { "ip" };
        let routes = self.json(&format!("show {family} route {prefix} json"))[prefix].take();
        let routes = routes.as_array().into_iter().flatten().filter(|route| route["installed"] == true);
        let hops = routes.filter_map(|route| route["nexthops"].as_array()).flatten();
        hops.filter(|hop| hop["fib"] == true).cloned().collect()
    }

    /// The addresses of those next hops.
    #[must_use]
    pub fn next_hops(&self, prefix: &str) -> BTreeSet<String> {
        let hops = self.installed(prefix);
        hops.iter().filter_map(|hop| Some(hop["ip"].as_str()?.to_owned())).collect()
    }

    /// Waits until the prefix is forwarded to these addresses and no others; to none: until it is forgotten.
    pub fn wait_next_hops<S: AsRef<str>>(&self, prefix: &str, expected: &[S]) {
        let expected: BTreeSet<&str> = expected.iter().map(AsRef::as_ref).collect();
        eventually(&format!("{} forwards {prefix} to {expected:?}", self.netns), || {
            let found = self.next_hops(prefix);
            if found.iter().eq(&expected) { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }

    /// The last lines of each daemon's log.
    fn logs(&self) -> String {
        let mut shown = String::new();
        for (daemon, _) in DAEMONS {
            let text = fs::read_to_string(self.folder.join(format!("{daemon}.log"))).unwrap_or_default();
            let skipped = text.lines().count().saturating_sub(SHOWN_LOG_LINES);
            for line in text.lines().skip(skipped) {
                shown.extend([self.netns.as_str(), " ", daemon, ": ", line, "\n"]);
            }
        }
        shown
    }

    /// Has `vtysh` do something. A complaint is a failure too: it does not always end with one.
    fn tell(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.call(arguments);
        let (said, complaint) = texts(&output);
        let is_complaint = |line: &str| line.starts_with("% ") || line.contains(": % ");
        if output.status.success() && !said.lines().chain(complaint.lines()).any(is_complaint) {
            return Ok(said);
        }
        Err(format!("vtysh {} ended with {}: {said}{complaint}", arguments.join(" "), output.status))
    }

    fn call(&self, arguments: &[&str]) -> Output {
        let folder = self.path("");
        let mut command = Command::new("vtysh");
        command.args(["--vty_socket", &folder, "--config_dir", &folder]).args(arguments);
        command.stdin(Stdio::null()).output().expect("vtysh starts")
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("the folder is ours");
    }

    /// Removes all that may be there of the same host, also of a run that was killed. What is not there
    /// needs no removing.
    fn sweep(&self) {
        for (daemon, _) in DAEMONS {
            kill_left(&self.folder, daemon);
        }
        match &self.port {
            Some(port) => port.pull(&self.netns),
            None => {
                drop(ip(&format!("-n {} route flush proto bgp", self.netns)));
                drop(ip(&format!("-n {} -6 route flush proto bgp", self.netns)));
                drop(ip(&format!("-n {} nexthop flush", self.netns)));
            }
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&self.logs());
        }
        // bgpd goes first and takes its routes along.
        while let Some(daemon) = self.daemons.pop() {
            end(daemon);
        }
        self.sweep();
    }
}

impl Port {
    /// Makes the host, and plugs it in.
    fn plug(&self, netns: &str) -> Result<(), String> {
        let Self { lan, station } = self;
        ip(&format!("netns add {netns}"))?;
        let settings = [
            "ipv4/ip_forward=1 ipv4/fib_multipath_hash_policy=1 ipv6/fib_multipath_hash_policy=1",
            "ipv4/conf/all/rp_filter=0 ipv4/conf/default/rp_filter=0 ipv6/conf/all/forwarding=1",
            "ipv6/conf/all/disable_ipv6=0 ipv6/conf/default/disable_ipv6=0",
            "ipv6/conf/default/accept_ra=0 ipv6/conf/default/accept_dad=0",
        ];
        for setting in settings.iter().flat_map(|line| line.split_whitespace()) {
            run("ip", &["netns", "exec", netns, "sysctl", "-q", &format!("net/{setting}")])?;
        }
        let mac = format!("02:00:c0:a8:64:{station:02x}");
        let far_end = format!("peer name eth0 address {mac} netns {netns}");
        ip(&format!("-n {lan} link add name router{station} type veth {far_end}"))?;
        ip(&format!("-n {lan} link set dev router{station} master switch up"))?;
        ip(&format!("-n {netns} link set dev lo up"))?;
        ip(&format!("-n {netns} link set dev eth0 up"))?;
        ip(&format!("-n {netns} address add 192.168.100.{station}/24 dev eth0"))?;
        ip(&format!("-n {netns} address add fd00:100::{station}/64 dev eth0 nodad")).map(drop)
    }

    /// Removes the host.
    fn pull(&self, netns: &str) {
        drop(ip(&format!("-n {} link del dev router{}", self.lan, self.station)));
        drop(ip(&format!("netns delete {netns}")));
    }
}

/// Asks a daemon to end, and sees to it.
fn end(mut daemon: Child) {
    // One that has ended by itself needs no asking.
    drop(run("kill", &["-TERM", &daemon.id().to_string()]));
    let deadline = Instant::now() + END_DEADLINE;
    while let Ok(None) = daemon.try_wait() {
        if Instant::now() >= deadline {
            say(&format!("process {} does not end when asked to", daemon.id()));
            drop(daemon.kill());
            drop(daemon.wait());
            return;
        }
        std::thread::sleep(POLL_INTERVAL / 10);
    }
}

/// Kills the daemon whose process id is in `folder`, if it is still one of that folder's.
fn kill_left(folder: &Path, daemon: &str) {
    let Ok(process) = fs::read_to_string(folder.join(format!("{daemon}.pid"))) else { return };
    let process = process.trim();
    let lives = || {
        let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&*folder.to_string_lossy())
    };
    if lives() {
        drop(run("kill", &["-KILL", process]));
        eventually(&format!("{daemon} of an earlier run is gone"), || {
            if lives() { Err(format!("process {process}")) } else { Ok(()) }
        });
    }
}

/// Runs `ip` with words that hold no spaces.
fn ip(words: &str) -> Result<String, String> {
    run("ip", &words.split_whitespace().collect::<Vec<&str>>())
}

/// Runs a program to its end and returns what it prints.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("start {program}: {error}"))?;
    let (stdout, stderr) = texts(&output);
    if output.status.success() {
        return Ok(stdout);
    }
    Err(format!("{program} {} ended with {}: {stdout}{stderr}", arguments.join(" "), output.status))
}
