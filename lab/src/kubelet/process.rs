//! Processes in sandboxes: start, signal, wait.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::logs::{self, OpenLogs};
use crate::sandbox::Spec;

/// A sandbox is built in milliseconds; one that takes longer hangs.
const START_DEADLINE: Duration = Duration::from_secs(20);
/// Time for the last output of a dead container to arrive.
const LOG_DRAIN: Duration = Duration::from_secs(2);
/// Output of a probe or hook that is kept for the Event about it.
const OUTPUT_BYTES_MAX: u64 = 10 * 1024;

/// A running container.
#[derive(Debug)]
pub(super) struct ContainerProcess {
    supervisor: Child,
    /// Process 1 of the container, as this process sees it.
    pid: i32,
    logs: JoinHandle<()>,
}

impl ContainerProcess {
    /// Starts a container and returns once its program runs.
    pub(super) async fn start(
        program: &Path,
        (spec, spec_path): (&Spec, &Path),
        (open_logs, log_path): (&Arc<OpenLogs>, PathBuf),
    ) -> anyhow::Result<Self> {
        let Started { mut child, pid } = start(program, spec, spec_path).await?;
        let (stdout, stderr) =
            child.stdout.take().zip(child.stderr.take()).context("output of the container")?;
        let open_logs = Arc::clone(open_logs);
        let logs = tokio::spawn(async move { logs::record(&open_logs, &log_path, stdout, stderr).await });
        Ok(Self { supervisor: child, pid, logs })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for the end, and for the last output to be in the log. Cancel-safe.
    pub(super) async fn wait(&mut self) -> i32 {
        let code = match self.supervisor.wait().await {
            // Without a code the supervisor itself was killed, and the container with it.
            Ok(status) => status.code().unwrap_or(128 + Signal::SIGKILL as i32),
            Err(error) => {
                tracing::warn!(%error, "container not waited for");
                crate::sandbox::START_FAILED
            }
        };
        if !self.logs.is_finished() && tokio::time::timeout(LOG_DRAIN, &mut self.logs).await.is_err() {
            self.logs.abort();
        }
        code
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends SIGKILL.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        // While the supervisor is not waited for, the id belongs to its child, dead or alive.
        if let Err(error) = kill(Pid::from_raw(self.pid), signal) {
            tracing::debug!(pid = self.pid, %error, "container had ended already");
        }
    }
}

/// Exit code and output of a command in a container.
#[derive(Debug)]
pub(super) struct CommandOutput {
    pub(super) code: i32,
    pub(super) text: String,
}

/// Runs a command in a sandbox to its end; dropping the future kills it.
pub(super) async fn run_command(
    program: &Path,
    spec: &Spec,
    spec_path: &Path,
) -> anyhow::Result<CommandOutput> {
    let Started { mut child, .. } = start(program, spec, spec_path).await?;
    let (stdout, stderr) = child.stdout.take().zip(child.stderr.take()).context("output of the command")?;
    let mut output = Vec::new();
    let mut limited = stdout.chain(stderr).take(OUTPUT_BYTES_MAX);
    limited.read_to_end(&mut output).await.context("read the command's output")?;
    // A command that prints more must not wait for a reader.
    drop(limited);
    let status = child.wait().await.context("wait for the command")?;
    let code = status.code().unwrap_or(128 + Signal::SIGKILL as i32);
    Ok(CommandOutput { code, text: String::from_utf8_lossy(&output).into_owned() })
}

struct Started {
    child: Child,
    pid: i32,
}

async fn start(program: &Path, spec: &Spec, spec_path: &Path) -> anyhow::Result<Started> {
    spec.write(spec_path)?;
    let (reader, writer) = std::io::pipe().context("create the start pipe")?;
    let mut start_pipe =
        tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into()).context("register the start pipe")?;
    // A scope of its own: the command holds this side's copy of the pipe's writing end.
    let mut child = {
        let mut command = Command::new(program);
        command.args(["sandbox-init", "--spec"]).arg(spec_path);
        command.stdin(writer).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command.spawn().with_context(|| format!("start {}", program.display()))?
    };
    let mut report = String::new();
    let read = tokio::time::timeout(START_DEADLINE, start_pipe.read_to_string(&mut report)).await;
    read.context("the sandbox was not ready in time")?.context("read the start pipe")?;
    if let Some(cause) = report.lines().find_map(|line| line.strip_prefix("error ")) {
        child.wait().await.context("wait for the sandbox")?;
        bail!("{cause}");
    }
    let pid = report.lines().find_map(|line| line.strip_prefix("pid ")?.parse().ok());
    let Some(pid) = pid else {
        let mut text = String::new();
        if let Some(stderr) = child.stderr.take() {
            stderr
                .take(OUTPUT_BYTES_MAX)
                .read_to_string(&mut text)
                .await
                .context("read the sandbox's error")?;
        }
        bail!("the sandbox ended at once: {}", text.trim_end());
    };
    Ok(Started { child, pid })
}
