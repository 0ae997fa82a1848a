//! What the steps of a run came to, and how it is told.

use std::fmt;
use std::time::Duration;

/// Results of `cargo test`, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds a line of output; lines that are no result change nothing.
    ///
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    pub(super) fn add_line(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, word)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) failure: Option<String>,
    /// Why it was left out.
    pub(super) skipped: Option<String>,
    /// What depends on the day and the network and could not be looked at; proves nothing about the tree.
    pub(super) note: Option<String>,
}

impl Outcome {
    pub(super) fn passed() -> Self {
        Self::default()
    }

    pub(super) fn failed(failure: String) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }

    pub(super) fn skipped(why: String) -> Self {
        Self { skipped: Some(why), ..Self::default() }
    }

    pub(super) fn noted(note: String) -> Self {
        Self { note: Some(note), ..Self::default() }
    }
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Option<Duration>,
    outcome: Outcome,
}

/// The steps of a run, in their order.
#[derive(Debug, Default)]
pub(super) struct Report {
    steps: Vec<Step>,
}

impl Report {
    /// Keeps a step; returns whether it passed.
    pub(super) fn add(&mut self, name: &'static str, took: Option<Duration>, outcome: Outcome) -> bool {
        let passed = outcome.failure.is_none();
        self.steps.push(Step { name, took, outcome });
        passed
    }

    /// Why the run as a whole failed, if it did. With `ci`, what is skipped fails it too.
    pub(super) fn verdict(&self, ci: bool) -> Option<String> {
        let names = |is_meant: fn(&Step) -> bool| {
            self.steps
                .iter()
                .filter(|step| is_meant(step))
                .map(|step| step.name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let failed = names(|step| step.outcome.failure.is_some());
        let skipped = names(|step| step.outcome.skipped.is_some() || step.outcome.tally.ignored > 0);
        let mut parts = Vec::new();
        if !failed.is_empty() {
            parts.push(format!("failed: {failed}"));
        }
        if ci && !skipped.is_empty() {
            parts.push(format!("skipped, which CI takes for a failure: {skipped}"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Tests that passed, and tests and checks that failed: a failed step counts as one where
    /// no test of it failed, so that a broken build is never `0 failed`.
    fn totals(&self) -> (u64, u64) {
        let passed = self.steps.iter().map(|step| step.outcome.tally.passed).sum();
        let failures = |step: &Step| step.outcome.tally.failed.max(u64::from(step.outcome.failure.is_some()));
        (passed, self.steps.iter().map(failures).sum())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<18}{:>10}  result", "step", "time")?;
        for step in &self.steps {
            let took = step.took.map_or_else(|| "-".to_owned(), seconds);
            let outcome = &step.outcome;
            let word = match (&outcome.failure, step.took) {
                (Some(_), _) => "FAILED",
                (None, Some(_)) => "passed",
                (None, None) => "skipped",
            };
            write!(f, "{:<18}{took:>10}  {word}", step.name)?;
            if outcome.tally != Tally::default() {
                write!(f, ", {} passed, {} failed", outcome.tally.passed, outcome.tally.failed)?;
            }
            writeln!(f)?;
        }
        let total = self.steps.iter().filter_map(|step| step.took).sum();
        writeln!(f, "{:<18}{:>10}", "together", seconds(total))?;
        for step in &self.steps {
            if let Some(why) = &step.outcome.skipped {
                writeln!(f, "skipped: {}: {why}", step.name)?;
            }
            if step.outcome.tally.ignored > 0 {
                writeln!(
                    f,
                    "skipped in {}: {} tests marked #[ignore]",
                    step.name, step.outcome.tally.ignored
                )?;
            }
        }
        for step in &self.steps {
            if let Some(note) = &step.outcome.note {
                writeln!(f, "note: {}: {note}", step.name)?;
            }
        }
        let (passed, failed) = self.totals();
        writeln!(f, "{passed} passed, {failed} failed")
    }
}

/// A time as a reader compares it: `71.3 s`.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(lines: &[&str], failure: Option<&str>) -> Outcome {
        let mut tally = Tally::default();
        for line in lines {
            tally.add_line(line);
        }
        Outcome { tally, failure: failure.map(str::to_owned), ..Outcome::default() }
    }

    const OK: &str =
        "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s";
    const BAD: &str =
        "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";

    #[test]
    fn results_are_added_up_and_other_lines_are_not() {
        let outcome = tested(&[OK, "test a ... ok", BAD, "3 passed; 4 failed"], None);
        assert_eq!(outcome.tally, Tally { passed: 7, failed: 2, ignored: 1 });
    }

    #[test]
    fn the_last_line_has_the_totals_alone() {
        let mut report = Report::default();
        report.add("unit tests", Some(Duration::from_millis(1500)), tested(&[OK, BAD], Some("exit 101")));
        report.add("e2e", None, Outcome::skipped("not root".to_owned()));
        let text = report.to_string();
        assert!(text.ends_with("\n7 passed, 2 failed\n"), "{text}");
        assert!(text.contains("skipped: e2e: not root"), "{text}");
        assert!(text.contains("1.5 s  FAILED"), "{text}");
    }

    #[test]
    fn a_step_that_failed_before_its_tests_is_not_zero_failed() {
        let mut report = Report::default();
        report.add("unit tests", Some(Duration::ZERO), Outcome::failed("did not compile".to_owned()));
        assert!(report.to_string().ends_with("\n0 passed, 1 failed\n"));
        assert_eq!(report.verdict(false).as_deref(), Some("failed: unit tests"));
    }

    #[test]
    fn a_skip_fails_only_in_ci_and_an_ignored_test_is_a_skip() {
        let mut report = Report::default();
        report.add("unit tests", Some(Duration::ZERO), tested(&[OK], None));
        assert_eq!(report.verdict(false), None);
        assert!(report.verdict(true).is_some_and(|why| why.ends_with("unit tests")));
    }
}
