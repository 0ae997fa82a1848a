//! Threads that run as soon as they have something to do, whatever else the host does.

use nix::errno::Errno;
use nix::libc::c_ulong;
use nix::sys::prctl;
use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};
use thread_priority::{Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

/// How much later than asked for a thread may wake, in nanoseconds: one that is not real-time
/// has 50 us otherwise (prctl(2), `PR_SET_TIMERSLACK`).
const TIMER_SLACK: c_ulong = 1_000;

/// Why a thread runs as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system does not let the {thread} thread run first-in first-out (SCHED_FIFO); add the capability SYS_NICE to \
     the speaker's container, and give its control group real-time run time where the kernel shares that out by group"
)]
pub struct RealtimeError {
    thread: &'static str,
    #[source]
    source: Errno,
}

impl RealtimeError {
    /// The system's refusal for a thread of that name.
    pub(crate) const fn new(thread: &'static str, source: Errno) -> Self {
        Self { thread, source }
    }
}

/// Makes the calling thread, which is named in the error, run before every one that is not
/// real-time. Among those that are it comes last: it needs to come before the load, and not
/// before the host's own watchdogs.
pub(crate) fn enter(thread: &'static str) -> Result<(), RealtimeError> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).map_err(|error| {
        let source = match error {
            Error::OS(code) => Errno::from_raw(code),
            Error::Priority(_) | Error::PriorityNotInRange(_) | Error::Ffi(_) => Errno::EINVAL,
        };
        RealtimeError::new(thread, source)
    })
}

/// Makes the calling thread wake when it asked to, and not when it suits others.
pub(crate) fn sharpen_timers() {
    // Refused by kernels without it only; they wake as they always did.
    prctl::set_timerslack(TIMER_SLACK).ok();
}
