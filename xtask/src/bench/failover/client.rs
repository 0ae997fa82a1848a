//! The client, a process in the lab's client, and what it counted.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::processes::REAL_TIME;
use super::stage::{ADDRESS, on};
use crate::workspace;

/// How long the address may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The client counts so long before anything happens.
const WARM_UP: Duration = Duration::from_millis(500);

/// What a client counted; the lab's `client` says what each means. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(super) attempts: u64,
    pub(super) failed: u64,
    pub(super) interrupted: u64,
    pub(super) longest_gap_us: u64,
    pub(super) longest_pause_us: u64,
    pub(super) established: u64,
    pub(super) broken: u64,
    pub(super) resolution: Resolution,
}

/// What its ARP requests came to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resolution {
    pub(super) longest_gap_us: u64,
    pub(super) doubled_us: u64,
}

/// The lines that matter here.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
enum Line {
    Ready,
    Failure {},
    Summary(Counts),
}

/// A client that is counting.
#[derive(Debug)]
pub(super) struct Client {
    child: Child,
    log: PathBuf,
}

impl Client {
    /// Starts it; what it writes is kept in `log`. Returns once it counts.
    pub(super) fn start(log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("could not create {}", log.display()))?;
        let program = workspace::program("ferrolb-lab").display().to_string();
        let child = on("client")
            .args(REAL_TIME)
            .args([&program, "client", &format!("{ADDRESS}:80")])
            .stdin(Stdio::piped())
            .stdout(output)
            .spawn()
            .context("could not start the client")?;
        let mut client = Self { child, log: log.to_owned() };
        let deadline = Instant::now() + START_MAX;
        while !client.lines()?.iter().any(|line| matches!(line, Line::Ready)) {
            if let Some(status) = client.child.try_wait()? {
                bail!("the client ended with {status}");
            }
            ensure!(Instant::now() < deadline, "the client does not get ready");
            std::thread::sleep(POLL_INTERVAL);
        }
        std::thread::sleep(WARM_UP);
        Ok(client)
    }

    /// Tells it to end and returns what it counted.
    pub(super) fn finish(mut self) -> Result<Counts> {
        drop(self.child.stdin.take());
        let status = self.child.wait().context("could not wait for the client")?;
        ensure!(status.success(), "the client ended with {status}");
        let summary = |line| match line {
            Line::Summary(counts) => Some(counts),
            Line::Ready | Line::Failure {} => None,
        };
        let counts = self.lines()?.into_iter().find_map(summary);
        counts.with_context(|| format!("{} has no summary", self.log.display()))
    }

    /// The whole lines it has written so far.
    fn lines(&self) -> Result<Vec<Line>> {
        let text = fs::read_to_string(&self.log)
            .with_context(|| format!("could not read {}", self.log.display()))?;
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).with_context(|| format!("the client wrote `{line}`")))
            .collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Counts {
    /// Whether all that could be held against the address is that the client itself stood still for
    /// longer than `time`.
    pub(super) fn is_void(&self, time: Duration) -> bool {
        let is_answered = self.failed + self.interrupted == 0;
        is_answered && u128::from(self.longest_pause_us) > time.as_micros()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |micros: u64| micros.div_ceil(1000);
        write!(
            f,
            "{} of {} new connections failed and {} were interrupted, {} of {} established broke, gap {} ms, \
             ARP gap {} ms, two owners {} ms, own pause {} ms",
            self.failed,
            self.attempts,
            self.interrupted,
            self.broken,
            self.established,
            millis(self.longest_gap_us),
            millis(self.resolution.longest_gap_us),
            millis(self.resolution.doubled_us),
            millis(self.longest_pause_us),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_lines_are_understood() {
        let line = |text| serde_json::from_str::<Line>(text).unwrap();
        assert!(matches!(line(r#"{"event":"ready"}"#), Line::Ready));
        let failure = r#"{"event":"failure","atUs":1,"connection":"new","error":"timed out"}"#;
        assert!(matches!(line(failure), Line::Failure {}));
        let summary = r#"{"event":"summary","attempts":9,"failed":2,"interrupted":1,"longestGapUs":274366,
            "longestPauseUs":11549,"established":10,"broken":1,
            "resolution":{"requests":7,"longestGapUs":276064,"doubledUs":5000,"owners":2}}"#;
        let Line::Summary(counts) = line(summary) else { panic!("not a summary") };
        assert_eq!((counts.failed, counts.broken, counts.resolution.doubled_us), (2, 1, 5000));
        assert!(counts.to_string().contains("gap 275 ms"), "{counts}");
        let pause = Duration::from_millis(10);
        assert!(!counts.is_void(pause), "connections failed, whatever the client did");
        let quiet = Counts { failed: 0, interrupted: 0, ..counts };
        assert!(quiet.is_void(pause));
        assert!(!quiet.is_void(2 * pause));
    }
}
