//! What `/healthz` and `/readyz` answer: loops that must keep turning, parts that must be up.
//!
//! Both print their findings one per line, `[+]name ok` or `[-]name` with the reason, as the
//! Kubernetes components do.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrolb_vocab::Instant;

use crate::clock;

/// A verdict and the lines that explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether every line is good.
    pub is_ok: bool,
    /// One line per loop or check.
    pub text: String,
}

/// The loops of the process: it is alive while each of them turns within its bound.
#[derive(Clone, Debug, Default)]
pub struct Health {
    loops: Arc<Mutex<BTreeMap<&'static str, Loop>>>,
}

#[derive(Debug)]
struct Loop {
    bound: Duration,
    turned_us: Arc<AtomicU64>,
}

/// The handle by which a loop shows that it turns.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    turned_us: Arc<AtomicU64>,
}

impl Health {
    /// Watches the loop `name`, which must call [`Heartbeat::bump`] at least every `bound`,
    /// also when it has nothing to do. Counts as a first bump.
    #[must_use]
    pub fn register(&self, name: &'static str, bound: Duration) -> Heartbeat {
        let turned_us = Arc::new(AtomicU64::new(micros(clock::now())));
        lock(&self.loops).insert(name, Loop { bound, turned_us: Arc::clone(&turned_us) });
        Heartbeat { turned_us }
    }

    /// What is known at `now`; good if every loop has turned within its bound.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        let mut lines = Lines::default();
        for (name, watched) in lock(&self.loops).iter() {
            let turned = Duration::from_micros(watched.turned_us.load(Ordering::Relaxed));
            let silent = now.saturating_since(Instant::from_origin(turned));
            if silent <= watched.bound {
                lines.good(name);
            } else {
                let bound = watched.bound.as_secs_f64();
                lines.bad(
                    name,
                    &format!("has not turned for {:.1} s, bound {bound:.1} s", silent.as_secs_f64()),
                );
            }
        }
        lines.report()
    }
}

impl Heartbeat {
    /// Records that the loop has turned.
    pub fn bump(&self) {
        self.turned_us.store(micros(clock::now()), Ordering::Relaxed);
    }
}

/// The parts of the process that must be up before it is ready.
///
/// Register every part before serving: with none registered the process is not ready.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, Arc<AtomicBool>>>>,
}

/// The handle by which a part says whether it is up. Down until it says otherwise, and down
/// again when dropped: a part that has ended is not up.
#[derive(Debug)]
#[must_use = "a dropped check is down for good"]
pub struct Check {
    is_up: Arc<AtomicBool>,
}

impl Readiness {
    /// Adds the check `name`, down at first. A second registration replaces the first.
    pub fn register(&self, name: &'static str) -> Check {
        let is_up = Arc::new(AtomicBool::new(false));
        lock(&self.checks).insert(name, Arc::clone(&is_up));
        Check { is_up }
    }

    /// What is known now; good if there are checks and all are up.
    #[must_use]
    pub fn report(&self) -> Report {
        let checks = lock(&self.checks);
        let mut lines = Lines::default();
        for (name, is_up) in checks.iter() {
            if is_up.load(Ordering::Relaxed) {
                lines.good(name);
            } else {
                lines.bad(name, "is not up");
            }
        }
        if checks.is_empty() {
            lines.bad("start", "has not registered its checks");
        }
        lines.report()
    }
}

impl Check {
    /// Says whether the part is up.
    pub fn set(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[derive(Default)]
struct Lines {
    is_bad: bool,
    text: String,
}

impl Lines {
    fn good(&mut self, name: &str) {
        self.line(format_args!("[+]{name} ok"));
    }

    fn bad(&mut self, name: &str, reason: &str) {
        self.is_bad = true;
        self.line(format_args!("[-]{name} {reason}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a String cannot fail");
    }

    fn report(self) -> Report {
        Report { is_ok: !self.is_bad, text: self.text }
    }
}

fn micros(at: Instant) -> u64 {
    u64::try_from(at.since_origin().as_micros()).unwrap_or(u64::MAX)
}

/// The maps stay consistent across a panic of a holder: each change is one insert.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stalls_beyond_its_bound_is_reported_and_recovers() {
        let health = Health::default();
        let heartbeat = health.register("plan", Duration::from_secs(10));
        assert_eq!(health.report(clock::now()), Report { is_ok: true, text: "[+]plan ok\n".into() });

        let late = clock::now() + Duration::from_secs(11);
        let report = health.report(late);
        assert!(!report.is_ok);
        assert!(
            report.text.starts_with("[-]plan has not turned for 11.0 s, bound 10.0 s"),
            "{}",
            report.text
        );

        heartbeat.bump();
        assert!(health.report(clock::now()).is_ok);
    }

    #[test]
    fn ready_means_every_check_is_up() {
        let readiness = Readiness::default();
        assert!(!readiness.report().is_ok, "nothing registered");
        let (synced, drivers) = (readiness.register("synced"), readiness.register("drivers"));
        synced.set(true);
        assert_eq!(
            readiness.report(),
            Report { is_ok: false, text: "[-]drivers is not up\n[+]synced ok\n".into() }
        );
        drivers.set(true);
        assert!(readiness.report().is_ok);
        drop(drivers);
        assert!(!readiness.report().is_ok, "a part that has ended is not up");
    }

    #[test]
    fn a_restarted_part_is_not_pulled_down_by_its_predecessor() {
        let readiness = Readiness::default();
        let old = readiness.register("synced");
        let new = readiness.register("synced");
        new.set(true);
        drop(old);
        assert!(readiness.report().is_ok);
    }
}
