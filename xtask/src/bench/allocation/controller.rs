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
use crate::process;

/// Ticks of `/proc/PID/stat` in a second: fixed for all of Linux's user space.
const TICKS_PER_SECOND: f64 = 100.0;
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
        cpu_seconds(&stat).with_context(|| format!("{path} has no processor times"))
    }

    /// The most memory that was resident at one time, in MiB.
    pub(super) fn peak_memory(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
        peak_mib(&status).with_context(|| format!("{path} has no VmHWM"))
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

/// User and system time in `/proc/PID/stat`: its fields 14 and 15, of which the program's name,
/// in parentheses and with any character in it, is the second.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// `VmHWM` of `/proc/PID/status`, which is in KiB, in MiB.
fn peak_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 10";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn peak_memory_is_the_high_water_mark() {
        assert_eq!(peak_mib("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2.0));
        assert_eq!(peak_mib("Name: x"), None);
    }
}
