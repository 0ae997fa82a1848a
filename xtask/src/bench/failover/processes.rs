//! Processes by the namespace they are in, and signals to them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;

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
    let path = Path::new("/run/netns").join(namespace);
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
