//! One container as a local process: the part a container runtime plays on a real node.
//!
//! `sandbox-init --spec FILE` runs twice. The outer process (the *supervisor*) joins the Pod's network
//! namespace, makes a PID namespace and starts the inner one in it, then only forwards signals and passes
//! on the exit code. The inner process (process 1 of the container) builds the root file system in a mount
//! namespace of its own, gives away its privileges and executes the program. When the kubelet dies the
//! supervisor dies with it, with the supervisor process 1, with process 1 the whole container: nothing is
//! left behind, and no mount was ever visible outside.
//!
//! Both are single-threaded, which `setns` and `unshare` need. Standard input is the *start pipe*: the
//! supervisor writes `pid N`, a failed start writes `error TEXT`, and end of file without an error means
//! that the program runs. The program itself reads `/dev/null`.
//!
//! Not enforced: cgroup limits, seccomp and AppArmor profiles, user namespaces.

mod privileges;
mod root;
mod spec;
mod supervisor;

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

pub use root::SYSTEM_DIRECTORIES;
pub use spec::{Entry, Mount, Process, Root, Spec};

/// Exit code of a sandbox that could not start its program, as container runtimes use it.
pub const START_FAILED: i32 = 128;

/// Set in the environment of the inner process, where it names the stage.
const STAGE: &str = "FERROLB_LAB_SANDBOX_STAGE";

/// Longest program argument shown in an error.
const START_ERROR_BYTES_MAX: usize = 1024;

/// Runs the container, or the command in a container, that the file describes, and returns its exit code.
///
/// Must be called before the process starts a second thread.
///
/// # Errors
/// When the specification cannot be read. A container that cannot start is reported through the start pipe
/// and by the exit code [`START_FAILED`].
pub fn init(spec_path: &Path) -> anyhow::Result<i32> {
    let spec = Spec::read(spec_path)?;
    let failure = if std::env::var_os(STAGE).is_none() {
        match supervisor::run(&spec) {
            Ok(code) => return Ok(code),
            Err(failure) => failure,
        }
    } else {
        let Err(failure) = enter(&spec);
        failure
    };
    report_start_failure(&failure);
    Ok(START_FAILED)
}

/// The inner process: everything up to and including `execve`.
fn enter(spec: &Spec) -> anyhow::Result<std::convert::Infallible> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("tie the container to its supervisor")?;
    // The supervisor's mask is inherited, also by the program.
    SigSet::empty().thread_set_mask().context("unblock signals")?;
    close_start_pipe_on_exec()?;
    nix::unistd::setsid().context("start a session")?;
    match &spec.entry {
        Entry::Create(root) => {
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)
                .context("unshare the mount, host name and IPC namespaces")?;
            nix::unistd::sethostname(&root.hostname)
                .with_context(|| format!("set host name {}", root.hostname))?;
            root::build(root)?;
        }
        Entry::Join { pid } => join(*pid)?,
    }
    let process = &spec.process;
    let argv = process.resolve();
    let (program, args) = argv.split_first().context("the command is empty")?;
    std::fs::create_dir_all(&process.working_dir)
        .and_then(|()| std::env::set_current_dir(&process.working_dir))
        .with_context(|| format!("change to workingDir {}", process.working_dir.display()))?;
    privileges::apply(process)?;
    // A change of credentials clears it, so it is set once more after the last one.
    prctl::set_pdeathsig(Signal::SIGKILL).context("tie the container to its supervisor")?;
    let failure = Command::new(program).args(args).env_clear().envs(process.env.iter().cloned()).exec();
    Err(failure).with_context(|| format!("exec {program}"))
}

/// Joins every namespace of a running container except the PID namespace, in which this process was born.
fn join(pid: i32) -> anyhow::Result<()> {
    let namespaces = [
        ("net", CloneFlags::CLONE_NEWNET),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    // Opened before the first is joined: afterwards /proc is the container's.
    let mut files = Vec::with_capacity(namespaces.len());
    for (name, flag) in namespaces {
        let path = format!("/proc/{pid}/ns/{name}");
        files.push((std::fs::File::open(&path).with_context(|| format!("open {path}"))?, flag));
    }
    for (file, flag) in files {
        setns(file, flag).with_context(|| format!("join the namespaces of process {pid}"))?;
    }
    Ok(())
}

/// Moves the start pipe off standard input to a descriptor that `execve` closes.
fn close_start_pipe_on_exec() -> anyhow::Result<()> {
    // Descriptors the standard library opens are close-on-exec; leaked so that it stays open until then.
    let pipe = std::os::fd::AsFd::as_fd(&std::io::stdin())
        .try_clone_to_owned()
        .context("duplicate the start pipe")?;
    START_PIPE.set(std::fs::File::from(pipe)).ok().context("the start pipe is set once")?;
    detach_stdin()
}

/// Replaces standard input by `/dev/null`.
fn detach_stdin() -> anyhow::Result<()> {
    let null = std::fs::File::open("/dev/null").context("open /dev/null")?;
    nix::unistd::dup2_stdin(null).context("replace standard input")
}

static START_PIPE: std::sync::OnceLock<std::fs::File> = std::sync::OnceLock::new();

fn report_start_failure(failure: &anyhow::Error) {
    let mut text = format!("{failure:#}").replace('\n', " ");
    text.truncate(text.floor_char_boundary(START_ERROR_BYTES_MAX));
    let line = format!("error {text}\n");
    let written = match START_PIPE.get() {
        Some(mut pipe) => pipe.write_all(line.as_bytes()),
        None => std::os::fd::AsFd::as_fd(&std::io::stdin())
            .try_clone_to_owned()
            .and_then(|pipe| std::fs::File::from(pipe).write_all(line.as_bytes())),
    };
    // Nobody is left to tell when the kubelet has closed its end; the exit code still says it.
    drop(written);
}
