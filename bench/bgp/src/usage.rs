//! What processes take, as the kernel knows it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What processes have taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Processor time of all threads that there are. None of a contender's ends while it is measured.
    pub(crate) processor: Duration,
    /// Memory now, in MiB: pages that are shared count in equal parts (PSS).
    pub(crate) memory: f64,
}

impl Usage {
    /// Of the processes with these ids, together.
    pub(crate) fn of(processes: &[u32]) -> Result<Self> {
        let mut usage = Self::default();
        for process in processes {
            let tasks = format!("/proc/{process}/task");
            for task in fs::read_dir(&tasks).with_context(|| format!("list {tasks}"))? {
                let path = task?.path().join("schedstat");
                let stat = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                usage.processor += time_on_processor(&stat).with_context(|| format!("no time: {stat}"))?;
            }
            let path = format!("/proc/{process}/smaps_rollup");
            let memory = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
            usage.memory += proportional_mib(&memory).with_context(|| format!("{path} has no Pss"))?;
        }
        Ok(usage)
    }

    /// The processor time since `earlier`, in milliseconds for each second of `time`.
    pub(crate) fn processor_share(&self, earlier: &Self, time: Duration) -> f64 {
        let taken = self.processor.saturating_sub(earlier.processor);
        taken.as_secs_f64() * 1000.0 / time.as_secs_f64()
    }
}

/// The first field of `schedstat`, in nanoseconds.
fn time_on_processor(stat: &str) -> Option<Duration> {
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn proportional_mib(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_kernel_writes_them() {
        assert_eq!(time_on_processor("1500000 7 4\n"), Some(Duration::from_micros(1_500)));
        let rollup = "7f00-7fff ---p 0 00:00 0 [rollup]\nRss:  9 kB\nPss:      2048 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(proportional_mib(rollup), Some(2.0));
        assert_eq!(proportional_mib("Rss: 9 kB\n"), None);
    }

    #[test]
    fn a_process_that_works_takes_time_and_memory() {
        let before = Usage::of(&[std::process::id()]).unwrap();
        assert!(before.memory > 0.0, "{before:?}");
        let mut sum = 0_u64;
        let mut after = before;
        while after.processor <= before.processor {
            sum = std::hint::black_box((0..1_000_000).fold(sum, u64::wrapping_add));
            after = Usage::of(&[std::process::id()]).unwrap();
        }
        assert!(after.processor_share(&before, Duration::from_secs(1)) > 0.0);
    }
}
