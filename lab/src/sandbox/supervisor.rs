//! The outer process of a container: starts the inner one, forwards signals, passes on the exit code.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context as _, bail};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getppid};
use std::io::Write as _;

use super::{Entry, Spec};

/// What the kubelet sends and the container is to receive.
const FORWARDED: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

pub(super) fn run(spec: &Spec) -> anyhow::Result<i32> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("tie the container to the kubelet")?;
    if getppid().as_raw().cast_unsigned() != spec.parent {
        bail!("the kubelet ended while it started this container");
    }
    // Blocked before the child exists, so that none is lost; the child unblocks them.
    let mut signals = SigSet::from_iter(FORWARDED);
    signals.add(Signal::SIGCHLD);
    signals.thread_block().context("block signals")?;

    match &spec.entry {
        Entry::Create(root) => {
            if let Some(netns) = &root.netns {
                let path = format!("/run/netns/{netns}");
                let file = File::open(&path).with_context(|| format!("open network namespace {path}"))?;
                setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("join {path}"))?;
            }
            set_sysctls(&root.sysctls)?;
            unshare(CloneFlags::CLONE_NEWPID).context("unshare the PID namespace")?;
        }
        Entry::Join { pid } => {
            let path = format!("/proc/{pid}/ns/pid");
            let file = File::open(&path).with_context(|| format!("open {path}"))?;
            setns(file, CloneFlags::CLONE_NEWPID).with_context(|| format!("join {path}"))?;
        }
    }
    let pipe = std::io::stdin().as_fd().try_clone_to_owned().context("duplicate the start pipe")?;
    let child = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .env(super::STAGE, "inner")
        .stdin(Stdio::inherit())
        .spawn()
        .context("start the container's process 1")?;
    let announced = writeln!(File::from(pipe), "pid {}", child.id());
    super::detach_stdin()?;
    // The kubelet may have given up waiting; then it kills us, and that ends the container.
    drop(announced);
    wait(child, &signals).map(exit_code)
}

/// Waits for the child and forwards what arrives meanwhile.
fn wait(mut child: Child, signals: &SigSet) -> anyhow::Result<ExitStatus> {
    let pid = Pid::from_raw(i32::try_from(child.id()).context("process id")?);
    loop {
        if let Some(status) = child.try_wait().context("wait for the container's process 1")? {
            return Ok(status);
        }
        let signal = signals.wait().context("wait for a signal")?;
        if signal != Signal::SIGCHLD {
            // It may have ended in between, and is then found by the next turn.
            kill(pid, signal)
                .or_else(|cause| if cause == nix::Error::ESRCH { Ok(()) } else { Err(cause) })?;
        }
    }
}

/// The exit code a container runtime reports: 128 + N for a process that signal N ended.
fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn set_sysctls(sysctls: &[(String, String)]) -> anyhow::Result<()> {
    for (name, value) in sysctls {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        std::fs::write(&path, value).with_context(|| format!("set sysctl {name}={value}"))?;
    }
    Ok(())
}
