//! `cargo xtask test`: everything that proves the project, one step after the other.
//!
//! A step that fails does not stop those that can still say something. At the end: what each
//! step took, what was skipped and why, and the number of tests that passed and failed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::{arch, codegen, deny, interop, lab, process, setup, tidy, workspace};

mod report;

use report::{Outcome, Report, Tally};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only what needs no lab and no download
    #[arg(long)]
    fast: bool,
    /// Take a skipped step for a failure; also with CI=true in the environment
    #[arg(long, global = true)]
    ci: bool,
    #[command(subcommand)]
    only: Option<Only>,
}

#[derive(Debug, Subcommand)]
enum Only {
    /// The end-to-end tests alone
    E2e {
        /// Those whose name contains this
        filter: Option<String>,
    },
}

/// Names the lab of the end-to-end tests, for them and for us: two checkouts can run side by side.
const LAB_VARIABLE: &str = "FERROLB_E2E_LAB";

/// The lab that the end-to-end tests have to themselves, unless [`LAB_VARIABLE`] names another.
const LAB_DEFAULT: &str = "ferrolbtest";

/// Proves.
///
/// # Errors
/// When a step failed, or was skipped although nothing may be.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::default();
    match &options.only {
        Some(Only::E2e { filter }) => {
            let ready = prepare(&mut report);
            end_to_end(&mut report, ready, filter.as_deref());
        }
        None => {
            let ready = if options.fast { Ready::No("--fast") } else { prepare(&mut report) };
            checks(&mut report, options.fast);
            interoperate(&mut report, ready);
            end_to_end(&mut report, ready, None);
        }
    }
    let ci = options.ci || std::env::var_os("CI").is_some_and(|value| value == "true");
    print!("{report}");
    match report.verdict(ci) {
        None => Ok(()),
        Some(failure) => bail!(failure),
    }
}

/// Whether what needs root and a lab's programs can run, or why not.
#[derive(Clone, Copy, Debug)]
enum Ready {
    Yes,
    No(&'static str),
}

fn prepare(report: &mut Report) -> Ready {
    if !workspace::is_root() {
        report.skip("setup", "not root; run it as root");
        return Ready::No("not root; run it as root");
    }
    let is_set_up =
        report.step("setup", || setup::run(setup::Purpose::Everything).map(|()| Outcome::passed()));
    if is_set_up { Ready::Yes } else { Ready::No("setup failed, see above") }
}

fn checks(report: &mut Report, fast: bool) {
    report.step("format", || checked(workspace::cargo().args(["fmt", "--all", "--check"])));
    report.step("clippy", || {
        checked(workspace::cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))
    });
    report.step("architecture", || arch::run().map(|()| Outcome::passed()));
    report.step("codegen", || codegen::run(codegen::Mode::Check).map(|()| Outcome::passed()));
    report.step("tidy", || tidy::run().map(|()| Outcome::passed()));
    if fast {
        report.skip("dependencies", "--fast");
        report.skip("documentation", "--fast");
    } else {
        report.step("dependencies", || {
            Ok(match deny::run()? {
                deny::Advisories::Clear => Outcome::passed(),
                deny::Advisories::Unknown(why) => Outcome::noted(format!("advisories not checked: {why}")),
            })
        });
        report.step("documentation", || {
            // For developers: private items are documented too, so a link to one leads somewhere.
            let mut doc = workspace::cargo();
            doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links").args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ]);
            checked(&mut doc)
        });
    }
    report.step("unit tests", || {
        let mut tests = workspace::cargo();
        tests.args(["test", "--workspace", "--exclude", "ferrolb-e2e", "--locked", "--no-fail-fast"]);
        tested(&mut tests)
    });
}

fn checked(command: &mut Command) -> Result<Outcome> {
    process::run(command).map(|()| Outcome::passed())
}

fn interoperate(report: &mut Report, ready: Ready) {
    if let Ready::No(why) = ready {
        report.skip("interop", why);
        return;
    }
    report.step("interop", || {
        setup::routers()?;
        interop::run(&interop::Options::default()).map(|()| Outcome::passed())
    });
}

fn end_to_end(report: &mut Report, ready: Ready, filter: Option<&str>) {
    if let Ready::No(why) = ready {
        report.skip("lab up", why);
        report.skip("end-to-end tests", why);
        return;
    }
    let name = std::env::var(LAB_VARIABLE).unwrap_or_else(|_unset| LAB_DEFAULT.to_owned());
    let is_built = report.step("lab programs", || lab::build().map(|()| Outcome::passed()));
    // One left over from an interrupted run would have its state.
    let is_up = is_built
        && report.step("lab up", || {
            process::run(&mut lab::command(&name, ["down"]))?;
            checked(&mut lab::command(&name, ["up"]))
        });
    if is_up {
        report.step("end-to-end tests", || {
            let mut tests = workspace::cargo();
            tests.env(LAB_VARIABLE, &name).args([
                "test",
                "--package",
                "ferrolb-e2e",
                "--locked",
                "--no-fail-fast",
                "--",
            ]);
            tests.arg("--test-threads=1").args(filter);
            tested(&mut tests)
        });
    } else {
        report.skip("end-to-end tests", "the lab did not come up, see above");
    }
    if is_built {
        report.step("lab down", || checked(&mut lab::command(&name, ["down"])));
    }
}

/// Runs a `cargo test`, showing its output and adding up its results.
fn tested(command: &mut Command) -> Result<Outcome> {
    let spawned = command.stdout(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("could not start `{}`", process::shown(command)))?;
    let stdout = child.stdout.take().context("the child's standard output is not a pipe")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        tally.add_line(&line);
    }
    let status = child.wait()?;
    let failure = (!status.success()).then(|| format!("`{}` ended with {status}", process::shown(command)));
    Ok(Outcome { tally, failure, ..Outcome::passed() })
}

impl Report {
    /// Runs a step and keeps what came of it; returns whether it passed.
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<Outcome>) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = work().unwrap_or_else(|error| Outcome::failed(format!("{error:#}")));
        let took = start.elapsed();
        let word = if outcome.failure.is_none() { "passed" } else { "FAILED" };
        if let Some(failure) = &outcome.failure {
            println!("{failure}");
        }
        println!("=== {name}: {word} in {}", report::seconds(took));
        self.add(name, Some(took), outcome)
    }

    fn skip(&mut self, name: &'static str, why: &str) {
        println!("\n=== {name}: skipped: {why}");
        self.add(name, None::<Duration>, Outcome::skipped(why.to_owned()));
    }
}
