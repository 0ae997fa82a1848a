//! What a speaker took and sent, as the kernel of its node knows it.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::failover::Stage;
use crate::bench::proc;

/// Shows the counter of `bench/rest/sent.nft`.
const COUNTER: [&str; 6] = ["nft", "list", "counter", "netdev", "bench", "sent"];

/// One speaker so far.
#[derive(Debug)]
pub(super) struct Reading {
    at: Instant,
    /// Id of its process.
    process: String,
    /// Seconds of processor time.
    processor: f64,
    /// MiB that are resident.
    memory: f64,
    frames: f64,
    bytes: f64,
}

/// One speaker between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Milliseconds of processor time in a second.
    pub(super) processor: f64,
    /// MiB that are resident at the end.
    pub(super) memory: f64,
    /// In a second.
    pub(super) frames: f64,
    /// In a second.
    pub(super) bytes: f64,
}

impl Reading {
    /// Of the speaker on `node`, whose process is called `program`.
    pub(super) fn of(stage: &Stage, node: &str, program: &str) -> Result<Self> {
        let processes = stage.processes(node, program)?;
        let [process] = processes.as_slice() else {
            bail!("{node} has {} processes called {program}: expected one, its speaker", processes.len());
        };
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).with_context(|| format!("could not read {path}"))
        };
        let at = Instant::now();
        let (stat, status) = (read("stat")?, read("status")?);
        let counter = stage.exec(node, &COUNTER)?;
        let counted = |what| number_after(&counter, what).with_context(|| format!("no {what}: {counter}"));
        Ok(Self {
            at,
            process: process.clone(),
            processor: proc::cpu_seconds(&stat).with_context(|| format!("no processor times: {stat}"))?,
            memory: proc::mib(&status, "VmRSS:").context("a process has no VmRSS")?,
            frames: counted("packets")?,
            bytes: counted("bytes")?,
        })
    }

    /// What came since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Result<Usage> {
        ensure!(self.process == earlier.process, "a speaker was started again");
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        Ok(Usage {
            processor: (self.processor - earlier.processor) * 1000.0 / seconds,
            memory: self.memory,
            frames: (self.frames - earlier.frames) / seconds,
            bytes: (self.bytes - earlier.bytes) / seconds,
        })
    }
}

/// The number that follows a word.
fn number_after(text: &str, word: &str) -> Option<f64> {
    text.split_whitespace().skip_while(|found| *found != word).nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_number_is_found_behind_its_word() {
        let counter = "table netdev bench {\n\tcounter sent {\n\t\tpackets 12 bytes 1098\n\t}\n}\n";
        let found = ["packets", "bytes"].map(|word| number_after(counter, word));
        assert_eq!(found, [Some(12.0), Some(1098.0)]);
        assert_eq!(number_after("packets", "packets"), None);
    }

    #[test]
    fn usage_is_per_second_and_memory_is_the_last() {
        let reading = |at, times: f64| Reading {
            at,
            process: "7".to_owned(),
            processor: 0.5 * times,
            memory: 10.0 * times,
            frames: 100.0 * times,
            bytes: 6_000.0 * times,
        };
        let start = Instant::now();
        let (before, after) = (reading(start, 1.0), reading(start + Duration::from_secs(2), 2.0));
        let usage = after.since(&before).unwrap();
        assert_eq!((usage.processor, usage.memory), (250.0, 20.0));
        assert_eq!((usage.frames, usage.bytes), (50.0, 3_000.0));
        let another = Reading { process: "8".to_owned(), ..after };
        assert!(another.since(&before).is_err());
    }
}
