//! When the machine itself stood still: a processor that a hypervisor takes away, or a kernel that no
//! process may interrupt, silences what runs on it, and no software can help that.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};
use thread_priority::{RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

/// How often each processor is looked at.
const TICK: Duration = Duration::from_millis(2);
/// A pause from here on is printed when it is over.
const PRINTED: Duration = Duration::from_millis(20);

/// A thread on each processor that comes before everything else there.
#[derive(Debug)]
pub(super) struct Pauses {
    is_over: Arc<AtomicBool>,
    watchers: Vec<JoinHandle<Result<Duration>>>,
}

impl Pauses {
    /// Looks from now on.
    pub(super) fn watch() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let watcher = |processor| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || longest_on(processor, &is_over))
        };
        let watchers = (0..processors).map(watcher).collect();
        Self { is_over, watchers }
    }

    /// The longest time in which a processor did not run who comes before everything else.
    ///
    /// # Errors
    /// The system does not let a thread have a processor, or come first.
    pub(super) fn longest(mut self) -> Result<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        let watchers = std::mem::take(&mut self.watchers).into_iter();
        let pauses =
            watchers.map(|watcher| watcher.join().map_err(|_panic| anyhow!("a watcher panicked"))?);
        Ok(pauses.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or_default())
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn longest_on(processor: usize, is_over: &AtomicBool) -> Result<Duration> {
    let mut own = CpuSet::new();
    own.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &own).with_context(|| format!("have processor {processor}"))?;
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Max, policy)
        .map_err(|error| anyhow!("come before everything else (SCHED_FIFO): {error}"))?;
    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(TICK);
        let now = Instant::now();
        let pause = now - last;
        if pause >= PRINTED {
            println!(
                "processor {processor} stood still for {} ms until {}",
                pause.as_millis(),
                Timestamp::now()
            );
        }
        longest = longest.max(pause);
        last = now;
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_seen_no_more_often_than_it_is_looked_at() {
        let pauses = Pauses::watch();
        thread::sleep(5 * TICK);
        match pauses.longest() {
            Ok(longest) => assert!(longest >= TICK, "{longest:?}"),
            // Who is not root may not come first.
            Err(refused) => assert!(refused.to_string().contains("SCHED_FIFO"), "{refused}"),
        }
    }
}
