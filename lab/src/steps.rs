//! Telling the user what is happening and how long it took.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;

/// A sequence of named steps whose times are printed to standard error.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Runs one step and prints how long it took.
    pub(crate) fn run<T>(&self, name: &str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let started = Instant::now();
        let result = step().with_context(|| name.to_owned())?;
        say(&format!("  {:>6.2} s  {name}", started.elapsed().as_secs_f64()));
        Ok(result)
    }

    /// Prints the time of all steps together and returns it.
    pub(crate) fn finish(&self, what: &str) -> Duration {
        let elapsed = self.started.elapsed();
        say(&format!("  {:>6.2} s  {what}", elapsed.as_secs_f64()));
        elapsed
    }
}

/// Writes the answer of a command, a line or more, to standard output.
pub(crate) fn answer(text: impl std::fmt::Display) {
    // Whoever reads, as `head` does, may have enough before the end.
    let _written = writeln!(std::io::stdout(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn say(text: &str) {
    // A closed terminal is no reason to leave a lab half built.
    let _written = writeln!(std::io::stderr(), "{text}");
}
