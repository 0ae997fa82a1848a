//! `ferrolb-interop`: plays the features with routers and prints a line of JSON for each.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use ferrolb_interop::{FEATURES, Kind, Outcome, Stage};
use serde::Serialize;

/// Play FerroLB's BGP and BFD against routers; `cargo xtask interop` makes a table of it.
#[derive(Debug, Parser)]
struct Arguments {
    /// The routers, side by side
    #[arg(required = true, value_enum)]
    routers: Vec<Kind>,
    /// Where they are installed: the root of a system
    #[arg(long, default_value = "/")]
    root: PathBuf,
    /// Only features whose name contains this
    #[arg(long, default_value = "")]
    feature: String,
}

/// A line of the output.
#[derive(Debug, Serialize)]
struct Line<'a> {
    router: &'a str,
    feature: &'a str,
    seconds: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

fn main() -> ExitCode {
    let arguments = &Arguments::parse();
    if let Err(error) = Stage::sweep(&arguments.root) {
        let _written = writeln!(io::stderr(), "error: {error:#}");
        return ExitCode::FAILURE;
    }
    let results: Vec<io::Result<()>> = thread::scope(|scope| {
        let routers = arguments.routers.iter();
        let threads: Vec<_> = routers.map(|kind| scope.spawn(move || play(*kind, arguments))).collect();
        let crashed = |_panic| Err(io::Error::other("a scenario crashed"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(crashed)).collect()
    });
    match results.into_iter().collect::<io::Result<()>>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _written = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays the features with one router, one after the other.
fn play(kind: Kind, arguments: &Arguments) -> io::Result<()> {
    let value = kind.to_possible_value();
    let router = value.as_ref().map_or("", |value| value.get_name());
    for feature in FEATURES.iter().filter(|feature| feature.name.contains(&arguments.feature)) {
        let start = Instant::now();
        let outcome = feature.outcome(kind, &arguments.root);
        let seconds = start.elapsed().as_secs_f64();
        let line = serde_json::to_string(&Line { router, feature: feature.name, seconds, outcome })?;
        writeln!(io::stdout().lock(), "{line}")?;
    }
    Ok(())
}
