//! `ferrolb-bench-bgp`: takes a step of the benchmark and prints a line of JSON for each kind of figure.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ferrolb_bench_bgp::Step;

/// Measure BGP and BFD of one contender; `cargo xtask bench bgp` does it with all of them.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    step: Step,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _written = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    for sample in Arguments::parse().step.take()? {
        writeln!(io::stdout().lock(), "{}", serde_json::to_string(&sample)?)?;
    }
    Ok(())
}
