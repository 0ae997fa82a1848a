//! Two hosts, the cable between them, and a folder: one scenario's alone.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The speaker's IPv4 address.
pub const SPEAKER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The router's.
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The speaker's IPv6 address.
pub const SPEAKER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The router's.
pub const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Killed processes are gone within milliseconds; one stuck in the kernel is left behind.
const KILL_DEADLINE: Duration = Duration::from_secs(5);
const KILL_POLL: Duration = Duration::from_millis(5);

/// Lines of a log that are shown when a scenario fails.
const SHOWN_LOG_LINES: usize = 25;

/// A host of the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Where `ferrolb-peer` runs.
    Speaker,
    /// Where the daemon runs.
    Router,
}

/// Two network namespaces whose `eth0` are the ends of one cable, and a folder for configurations and
/// logs. Dropping it ends every process in them and removes all of it.
#[derive(Debug)]
pub struct Stage {
    /// Unique on this machine.
    name: String,
    /// Where the router's programs are installed: `/`, or the root of another system.
    root: PathBuf,
}

/// A process that ends when it is dropped.
#[derive(Debug)]
pub struct Daemon(Child);

impl Host {
    const ALL: [Self; 2] = [Self::Speaker, Self::Router];

    /// Its addresses, one of each family.
    #[must_use]
    pub const fn addresses(self) -> (Ipv4Addr, Ipv6Addr) {
        match self {
            Self::Speaker => (SPEAKER_V4, SPEAKER_V6),
            Self::Router => (ROUTER_V4, ROUTER_V6),
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Speaker => "s",
            Self::Router => "r",
        }
    }
}

impl Stage {
    /// Removes what runs have left that were killed: their processes are gone, and what they began goes on.
    ///
    /// # Errors
    /// `ip` cannot be asked.
    pub fn sweep(root: &Path) -> Result<()> {
        let listed = ip("netns list")?;
        let namespaces = listed.lines().filter_map(|line| line.split_whitespace().next());
        let of_namespaces = namespaces.filter_map(|netns| Some(netns.rsplit_once('-')?.0.to_owned()));
        let folders = fs::read_dir(root.join("run")).into_iter().flatten().flatten();
        let of_folders = folders.filter_map(|entry| entry.file_name().into_string().ok());
        let left: BTreeSet<String> =
            of_namespaces.chain(of_folders).filter(|name| is_abandoned(name)).collect();
        for name in left {
            drop(Self { name, root: root.to_owned() });
        }
        Ok(())
    }

    /// Both hosts, addressed and joined.
    ///
    /// # Errors
    /// `ip` refuses a step: this is not root, or the kernel lacks namespaces or virtual cables.
    pub fn new(root: &Path) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let stage = Self { name: format!("interop-{}-{number}", std::process::id()), root: root.to_owned() };
        let folder = stage.outside("");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let [speaker, router] = Host::ALL.map(|host| stage.netns(host));
        for netns in [&speaker, &router] {
            ip(&format!("netns add {netns}"))?;
            ip(&format!("-n {netns} link set lo up"))?;
        }
        ip(&format!("-n {speaker} link add eth0 type veth peer name eth0 netns {router}"))?;
        for (host, netns) in [(Host::Speaker, &speaker), (Host::Router, &router)] {
            ip(&format!("-n {netns} link set eth0 up"))?;
            let (v4, v6) = host.addresses();
            ip(&format!("-n {netns} address add {v4}/24 dev eth0"))?;
            ip(&format!("-n {netns} address add {v6}/64 dev eth0 nodad"))?;
        }
        Ok(stage)
    }

    /// `program` on a host; on the router as it is installed there. Its process has the id of the child.
    #[must_use]
    pub fn on(&self, host: Host, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns(host)]);
        if host == Host::Router && self.root != Path::new("/") {
            command.args(["unshare", "--mount-proc", "--root"]).arg(&self.root);
        }
        command.arg(program.as_ref()).stdin(Stdio::null());
        command
    }

    /// Runs a program on the router to its end and returns what it prints.
    ///
    /// # Errors
    /// It cannot be started or does not succeed: what it said.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.on(Host::Router, program).args(arguments).output();
        let output = output.with_context(|| format!("start {program}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("`{program} {}` ended with {}: {said}{complaint}", arguments.join(" "), output.status);
        }
        Ok(said)
    }

    /// Starts a program that runs until what is returned is dropped, and logs to `log` in the folder.
    ///
    /// # Errors
    /// There is no such program, or no room for its log.
    pub fn start(&self, command: &mut Command, log: &str) -> Result<Daemon> {
        let path = self.outside(log);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn();
        Ok(Daemon(child.with_context(|| format!("start what logs to {log}"))?))
    }

    /// Sends a signal to every process on a host.
    ///
    /// # Errors
    /// They cannot be found.
    pub fn signal(&self, host: Host, signal: Signal) -> Result<()> {
        for pid in self.processes(host)? {
            // It may have ended meanwhile.
            let _sent = kill(pid, signal);
        }
        Ok(())
    }

    fn processes(&self, host: Host) -> Result<Vec<Pid>> {
        let pids = ip(&format!("netns pids {}", self.netns(host)))?;
        Ok(pids.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect())
    }

    /// Has the speaker's host drop what either side sends to a UDP port.
    ///
    /// # Errors
    /// nftables refuse it.
    pub fn drop_udp(&self, port: u16) -> Result<()> {
        let rules = format!(
            "add table inet cut; add chain inet cut in {{ type filter hook input priority 0; }}; \
             add rule inet cut in udp dport {port} drop; \
             add chain inet cut out {{ type filter hook output priority 0; }}; \
             add rule inet cut out udp dport {port} drop"
        );
        let output = self.on(Host::Speaker, "nft").arg(rules).output().context("start nft")?;
        if !output.status.success() {
            bail!("nft: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Writes a file for the router's daemon and returns where the daemon finds it.
    ///
    /// # Errors
    /// The disk is full, or it is not ours.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.outside(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(self.inside(name))
    }

    /// Reads a file that the router's daemon has written; one that is not there yet is empty.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read(self.outside(name))
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// Where the router's programs find a file of the folder; the folder itself, if `name` is empty.
    #[must_use]
    pub fn inside(&self, name: &str) -> PathBuf {
        Path::new("/run").join(&self.name).join(name)
    }

    /// The same file, seen from here.
    #[must_use]
    pub fn outside(&self, name: &str) -> PathBuf {
        let inside = self.inside(name);
        self.root.join(inside.strip_prefix("/").unwrap_or(&inside))
    }

    /// The last lines of every log of the folder.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut shown = String::new();
        let entries = fs::read_dir(self.outside("")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.filter(|name| name.ends_with(".log")) {
            let text = self.read(&name);
            let skipped = text.lines().count().saturating_sub(SHOWN_LOG_LINES);
            for line in text.lines().skip(skipped) {
                shown.push_str(&format!("  {name}: {line}\n"));
            }
        }
        shown
    }

    /// The name of a host's network namespace, by which `ip netns` knows it.
    #[must_use]
    pub fn netns(&self, host: Host) -> String {
        format!("{}-{}", self.name, host.suffix())
    }

    /// Kills every process on a host, again and again until none is left.
    fn clear(&self, host: Host) -> Result<()> {
        let deadline = Instant::now() + KILL_DEADLINE;
        while !self.processes(host)?.is_empty() {
            if Instant::now() >= deadline {
                bail!("processes in {} survive SIGKILL; look at them with `ps`", self.netns(host));
            }
            self.signal(host, Signal::SIGKILL)?;
            sleep(KILL_POLL);
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for host in Host::ALL {
            let netns = self.netns(host);
            if !Path::new("/run/netns").join(&netns).exists() {
                continue;
            }
            let cleared = self.clear(host).and_then(|()| ip(&format!("netns delete {netns}")));
            if let Err(error) = cleared {
                complain(&format!("{error:#}; remove network namespace {netns} by hand"));
            }
        }
        if let Err(error) = fs::remove_dir_all(self.outside(""))
            && error.kind() != ErrorKind::NotFound
        {
            complain(&format!("{error}; remove {} by hand", self.outside("").display()));
        }
    }
}

impl Daemon {
    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Whether it has ended by itself matters to nobody any more.
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Whether a name is that of a stage whose process is gone.
fn is_abandoned(name: &str) -> bool {
    let numbers = name.strip_prefix("interop-").and_then(|numbers| numbers.split_once('-'));
    numbers.is_some_and(|(process, number)| {
        let is_number = |text: &str| text.parse::<u32>().is_ok();
        is_number(process) && is_number(number) && !Path::new("/proc").join(process).exists()
    })
}

/// Runs `ip` with words that hold no spaces.
fn ip(words: &str) -> Result<String> {
    let output = Command::new("ip").args(words.split_whitespace()).output().context("start `ip`")?;
    if !output.status.success() {
        bail!("`ip {words}`: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[expect(clippy::print_stderr, reason = "what is left behind has nobody else who could tell of it")]
fn complain(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_abandoned_whose_process_is_gone() {
        let own = format!("interop-{}-0", std::process::id());
        // Beyond the largest id that Linux gives.
        let gone = format!("interop-{}-12", u32::MAX);
        assert_eq!((is_abandoned(&own), is_abandoned(&gone)), (false, true));
        for other in
            ["interop", "interop-x-0", "interop-4294967295", "interop-4294967295-s", "lab-4294967295-0"]
        {
            assert!(!is_abandoned(other), "{other} is somebody else's");
        }
    }
}
