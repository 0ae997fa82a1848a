//! The controller under measurement: one process, and what the kernel knows of it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Contender;
use super::addresses::Addresses;
use crate::bench::proc;
use crate::process;

/// Seconds of a processor that a controller may use in [`QUIET`] and count as idle.
const IDLE_CPU: f64 = 0.05;
/// How long a controller must be idle, and write nothing, to count as settled.
const QUIET: Duration = Duration::from_secs(3);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);
/// How long an answer about readiness may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest wait for anything; a controller that takes longer has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// A running controller; killed when dropped.
#[derive(Debug)]
pub(super) struct Controller {
    child: Child,
    pub(super) started: Instant,
    admin: SocketAddr,
}

impl Controller {
    /// Starts `contender` with the credentials in `kubeconfig`; it logs to `log`.
    pub(super) fn start(contender: &Contender, kubeconfig: &Path, log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| format!("could not create {}", log.display()))?;
        let mut command = Command::new(&contender.program);
        command
            .args(contender.arguments)
            .envs(contender.environment.iter().copied())
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let started = Instant::now();
        let child =
            command.spawn().with_context(|| format!("could not start `{}`", process::shown(&command)))?;
        Ok(Self { child, started, admin: contender.admin })
    }

    /// Seconds of processor time used so far.
    pub(super) fn cpu(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
        proc::cpu_seconds(&stat).with_context(|| format!("{path} has no processor times"))
    }

    /// The most memory that was resident at one time, in MiB.
    pub(super) fn peak_memory(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
        proc::mib(&status, "VmHWM:").with_context(|| format!("{path} has no VmHWM"))
    }

    /// Waits until the controller is ready, has been idle, and no address has changed, for [`QUIET`];
    /// returns when that began.
    pub(super) fn settle(&mut self, addresses: &Addresses) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        let (mut since, mut used) = (Instant::now(), self.cpu()?);
        let mut ready = false;
        loop {
            ready = ready || is_ready(self.admin);
            ensure!(self.child.try_wait()?.is_none(), "the controller has ended; its log says why");
            ensure!(Instant::now() < deadline, "the controller did not settle within {PATIENCE:?}");
            let now = self.cpu()?;
            if now - used > IDLE_CPU || !ready {
                (since, used) = (Instant::now(), now);
            }
            std::thread::sleep(SAMPLE_INTERVAL);
            let quiet_since = since.max(addresses.changed());
            if quiet_since.elapsed() >= QUIET {
                return Ok(quiet_since);
            }
        }
    }

    /// Ends the controller as the kubelet would.
    pub(super) fn stop(mut self) -> Result<()> {
        process::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().context("could not wait for the controller")?.is_none() {
            ensure!(Instant::now() < deadline, "the controller did not end within {PATIENCE:?} of SIGTERM");
            std::thread::sleep(SAMPLE_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether `/readyz` is answered with 200.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut connection = TcpStream::connect_timeout(&admin, ANSWER_TIMEOUT)?;
        connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut version_and_status = [0; 12];
        connection.read_exact(&mut version_and_status)?;
        Ok(version_and_status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
