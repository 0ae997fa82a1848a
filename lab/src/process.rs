//! Processes that outlive the command that starts them: each has a session of its own, a log file
//! and a pidfile.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns;
use crate::state::{StateDir, write};

/// Lines of a log shown when its process died.
const SHOWN_LOG_LINES: usize = 15;

/// A process to start.
#[derive(Debug)]
pub(crate) struct Process<'a> {
    /// Name of its pidfile and log, unique in the lab.
    pub name: String,
    /// Namespace of the lab it runs in, where `down` finds it even without its pidfile.
    pub netns: &'a str,
    pub program: &'a Path,
    pub args: Vec<String>,
    pub env: Vec<(&'static str, String)>,
    /// Standard input, where a process inherits something.
    pub stdin: Stdio,
}

/// The detached processes of one lab.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    run: PathBuf,
    logs: PathBuf,
}

/// A started process: its id and, because ids come round again, when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    pid: i32,
    /// Clock ticks after boot, field 22 of `/proc/<pid>/stat`.
    start_time: u64,
}

impl Processes {
    pub(crate) fn of(state: &StateDir) -> Self {
        Self { run: state.run(), logs: state.logs() }
    }

    /// Starts a process and records it.
    pub(crate) fn spawn(&self, process: Process<'_>) -> anyhow::Result<()> {
        let Process { name, netns, program, args, env, stdin } = process;
        let log = self.log(&name);
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("open log {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("open log {}", log.display()))?;
        let mut command = Command::new("setsid");
        // nsenter changes the network alone. `ip netns exec` would also change the mounts, and
        // namespaces a node creates for its Pods would be invisible outside.
        command.arg("nsenter").arg(format!("--net={}", netns::path(netns).display())).arg("--");
        command.arg(program).args(args).envs(env);
        command.stdin(stdin).stdout(output).stderr(errors).current_dir("/");
        // A fresh child leads no process group, so setsid does not fork, and the id of the child
        // stays the id of the program.
        let child = command.spawn().with_context(|| format!("start {name}: {}", program.display()))?;
        let pid = i32::try_from(child.id()).context("process id above i32::MAX")?;
        let identity = Identity::of(pid).with_context(|| format!("{name} ended at once"))?;
        write(&self.pidfile(&name), format!("{} {}\n", identity.pid, identity.start_time).as_bytes())
    }

    /// Whether the process of this name runs.
    pub(crate) fn is_running(&self, name: &str) -> bool {
        self.running(name).is_some()
    }

    /// Id of the running process of this name.
    pub(crate) fn running(&self, name: &str) -> Option<i32> {
        let text = std::fs::read_to_string(self.pidfile(name)).ok()?;
        let (pid, start_time) = text.trim().split_once(' ')?;
        let recorded = Identity { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? };
        Identity::of(recorded.pid).filter(|now| *now == recorded).map(|now| now.pid)
    }

    /// Names of all recorded processes.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.run).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> =
            files.filter_map(|file| file.strip_suffix(".pid").map(str::to_owned)).collect();
        names.sort();
        names
    }

    /// Kills one process, if it runs, and forgets it.
    pub(crate) fn kill(&self, name: &str) {
        if let Some(pid) = self.running(name) {
            // It may end between the look and the signal.
            let _sent = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _absent = std::fs::remove_file(self.pidfile(name));
    }

    /// An error that says the process is dead, with the end of its log.
    pub(crate) fn death(&self, name: &str) -> anyhow::Error {
        let log = self.log(name);
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(SHOWN_LOG_LINES).collect();
        let tail: Vec<&str> = lines.into_iter().rev().collect();
        anyhow::anyhow!("{name} died; the end of {}:\n{}", log.display(), tail.join("\n"))
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    fn pidfile(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.pid"))
    }
}

impl Identity {
    /// The process with this id, unless it has ended (a zombie has).
    fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses and may hold spaces.
        let (_, after_name) = stat.rsplit_once(") ")?;
        let mut fields = after_name.split(' ');
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        let start_time = fields.nth(18)?.parse().ok()?;
        Some(Self { pid, start_time })
    }
}

#[cfg(test)]
mod tests;
