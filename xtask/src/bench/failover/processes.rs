//! Processes by the namespace they are in, and signals to them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;

/// Before a command, it makes that run in real time: the client and the Pod do, so that their waiting
/// for a processor is not taken for the address's silence.
pub(super) const REAL_TIME: [&str; 3] = ["chrt", "--fifo", "10"];
/// Network namespaces by name.
const NAMESPACES: &str = "/run/netns";

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Kill,
    Stop,
    Continue,
    Terminate,
}

/// Ids of the processes called `name` in a network namespace, in no order.
pub(super) fn in_namespace(namespace: &str, name: &str) -> Result<Vec<String>> {
    let path = Path::new(NAMESPACES).join(namespace);
    let Ok(metadata) = fs::metadata(&path) else { return Ok(Vec::new()) };
    let namespace = format!("net:[{}]", metadata.ino());
    let is_asked = |process: &Path| {
        let is_in = fs::read_link(process.join("ns/net")).is_ok_and(|net| net.as_os_str() == &*namespace);
        is_in && fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    let found = fs::read_dir("/proc").context("could not list /proc")?.flatten();
    let numbered = found.filter_map(|entry| {
        let id = entry.file_name().into_string().ok()?;
        id.bytes().all(|octet| octet.is_ascii_digit()).then(|| (id, entry.path()))
    });
    Ok(numbered.filter(|(_, path)| is_asked(path)).map(|(id, _)| id).collect())
}

/// Sends `signal` to exactly these processes.
pub(super) fn signal(ids: &[String], signal: Signal) -> Result<()> {
    ensure!(!ids.is_empty(), "no process to send {signal:?} to");
    let name = match signal {
        Signal::Kill => "-KILL",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
        Signal::Terminate => "-TERM",
    };
    process::run(Command::new("kill").arg(name).args(ids))
}

/// Lets the echo servers in the Pods of a lab run in real time.
pub(super) fn hasten_echo_servers(lab: &str, program: &str) -> Result<()> {
    let namespaces = fs::read_dir(NAMESPACES).with_context(|| format!("could not list {NAMESPACES}"))?;
    let names = namespaces.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut hastened = 0;
    for namespace in names.filter(|name| name.starts_with(&format!("{lab}-p-"))) {
        for id in in_namespace(&namespace, program)? {
            let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            if words.ends_with(b"\0echo\0") {
                process::output(Command::new("chrt").args(["--fifo", "--all-tasks", "--pid", "10", &id]))?;
                hastened += 1;
            }
        }
    }
    ensure!(hastened > 0, "no Pod of the lab {lab} is an echo server");
    Ok(())
}
