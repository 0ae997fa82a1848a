//! A thread that runs as soon as it has something to do, whatever else the host does.

use std::io;

use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};
use thread_priority::{Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

/// Why the thread runs as any other.
#[derive(Debug, thiserror::Error)]
#[error(
    "the system does not let the liveness thread run first-in first-out (SCHED_FIFO); add the capability SYS_NICE to \
     the speaker's container, and give its control group real-time run time where the kernel shares that out by group"
)]
pub struct RealtimeError(#[source] io::Error);

/// Makes the calling thread run before every one that is not real-time. Among those that are it
/// comes last: it needs to come before the load, and not before the host's own watchdogs.
pub(super) fn enter() -> Result<(), RealtimeError> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).map_err(|error| {
        RealtimeError(match error {
            Error::OS(code) => io::Error::from_raw_os_error(code),
            Error::Priority(_) | Error::PriorityNotInRange(_) | Error::Ffi(_) => io::Error::other(error),
        })
    })
}
