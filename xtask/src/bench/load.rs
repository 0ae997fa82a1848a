//! Full load: loops that compete with everything else for the processors.

use std::fs;
use std::num::NonZero;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// One alone would leave its processor to whatever wakes up.
const LOOPS_PER_PROCESSOR: usize = 2;
/// It looks now and then whether we still run, so that it ends with us whatever ends us.
const LOOP: &str = "while kill -0 $PPID; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done";
const PROCESSORS_TIMES: &str = "/proc/stat";

/// Loops that run; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Load {
    loops: Vec<Child>,
    /// The processors' times when the loops ran.
    since: Times,
}

/// What the processors did since the machine started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    idle: f64,
    all: f64,
}

impl Load {
    /// Starts twice as many loops as there are processors.
    pub(super) fn start() -> Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut load = Self { loops: Vec::new(), since: Times::read()? };
        for _ in 0..LOOPS_PER_PROCESSOR * processors {
            // A session of its own, because the kernel may share the processors out by session first.
            let started = Command::new("setsid")
                .args(["sh", "-c", LOOP])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            load.loops.push(started.context("could not start a loop")?);
        }
        load.since = Times::read()?;
        Ok(load)
    }

    /// Ends the loops; returns the share of the processors' time that nobody used, in percent.
    pub(super) fn finish(mut self) -> Result<f64> {
        let now = Times::read()?;
        for child in &mut self.loops {
            ensure!(child.try_wait()?.is_none(), "a loop has ended before its time");
        }
        Ok(now.idle_percent(self.since))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.loops {
            // One that has ended cannot be killed, which is what is wanted.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Times {
    fn read() -> Result<Self> {
        let stat = fs::read_to_string(PROCESSORS_TIMES)
            .with_context(|| format!("could not read {PROCESSORS_TIMES}"))?;
        Self::of(&stat).with_context(|| format!("{PROCESSORS_TIMES} has no times of all processors"))
    }

    /// Of the first line: user, nice, system, idle, iowait, irq, softirq, steal; the rest is part of those.
    fn of(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let times = line.split_whitespace().take(8).map(str::parse).collect::<Result<Vec<f64>, _>>().ok()?;
        Some(Self { idle: times.get(3)? + times.get(4)?, all: times.iter().sum() })
    }

    fn idle_percent(self, since: Self) -> f64 {
        100.0 * (self.idle - since.idle) / (self.all - since.all).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_share_is_that_of_all_processors_between_two_times() {
        let times = |stat| Times::of(stat).unwrap();
        let before = times("cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 1 1 1 1 1 1 1 0 0\n");
        assert_eq!(before, Times { idle: 850.0, all: 1000.0 });
        let after = times("cpu  270 10 60 805 55 0 0 0 9 9\n");
        assert!((after.idle_percent(before) - 5.0).abs() < 1e-9, "{after:?}");
        assert_eq!(Times::of("intr 1 2 3\n"), None);
    }

    #[test]
    fn loops_run_until_they_are_dropped() {
        let load = Load::start().unwrap();
        let ids: Vec<_> = load.loops.iter().map(Child::id).collect();
        let runs = |id: &u32| fs::exists(format!("/proc/{id}")).unwrap();
        assert!(ids.iter().all(runs), "{ids:?}");
        drop(load);
        assert!(!ids.iter().any(runs), "{ids:?}");
    }
}
