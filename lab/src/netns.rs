//! Network namespaces by name, as `ip netns` keeps them, and the processes in them.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::mount::MntFlags;
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::program::run;

const DIRECTORY: &str = "/run/netns";
/// Killed processes are gone within milliseconds; one stuck in the kernel is worth an error.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
const KILL_POLL: Duration = Duration::from_millis(5);

/// The file that names a namespace.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// Whether a namespace of this name exists.
pub(crate) fn exists(name: &str) -> bool {
    path(name).exists()
}

/// Creates a namespace.
pub(crate) fn create(name: &str) -> anyhow::Result<()> {
    run("ip", &["netns", "add", name], "").map(drop)
}

/// Removes the name; the namespace ends with the last process and socket in it.
pub(crate) fn delete(name: &str) -> anyhow::Result<()> {
    let path = path(name);
    // A name left behind by a crash or a reboot is a plain file, on which nothing is mounted.
    let _unmounted = nix::mount::umount2(&path, MntFlags::MNT_DETACH);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove network namespace {name}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// All names.
pub(crate) fn list() -> anyhow::Result<Vec<String>> {
    let entries = match std::fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("list {DIRECTORY}")),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.collect())
}

/// Runs a function inside a namespace, on a thread of its own that ends with it.
pub(crate) fn within<T: Send>(name: &str, function: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    let file = File::open(path(name)).with_context(|| format!("open network namespace {name}"))?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            nix::sched::setns(file, CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("enter network namespace {name}"))?;
            Ok(function())
        });
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Writes values to files below `/proc/sys/net`, which show the caller's namespace.
pub(crate) fn set_sysctls(name: &str, values: &[(String, &str)]) -> anyhow::Result<()> {
    within(name, || {
        for (key, value) in values {
            let path = Path::new("/proc/sys/net").join(key);
            std::fs::write(&path, value).with_context(|| format!("set {} in {name}", path.display()))?;
        }
        Ok(())
    })?
}

/// Kills every process in the namespaces at once, again and again until none is left.
pub(crate) fn kill_processes(names: &[String]) -> anyhow::Result<()> {
    let deadline = Instant::now() + KILL_DEADLINE;
    loop {
        let pids = processes(names)?;
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("processes {pids:?} in {} survived SIGKILL; look at them with `ps`", names.join(", "));
        }
        for pid in pids {
            // It may have ended meanwhile, which the next round sees.
            let _sent = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(KILL_POLL);
    }
}

/// Processes other than this one whose network namespace is one of these.
pub(crate) fn processes(names: &[String]) -> anyhow::Result<Vec<i32>> {
    let namespaces: BTreeSet<(u64, u64)> = names.iter().filter_map(|name| identity(&path(name))).collect();
    let own = std::process::id();
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc").context("list /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let namespace = identity(&entry.path().join("ns/net"));
        if namespace.is_some_and(|id| namespaces.contains(&id))
            && !u32::try_from(pid).is_ok_and(|pid| pid == own)
        {
            pids.push(pid);
        }
    }
    Ok(pids)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
