//! FerroLB's only script language: `cargo xtask <command>`.
//!
//! What is absent: anything the product needs at run time. These commands build, check,
//! prove, show and measure what the other crates do.
//!
//! # Layout
//! [`setup`] installs what a fresh machine lacks; [`arch`], [`codegen`] and [`tidy`] check the
//! tree; [`mod@test`] runs all of it and the test suites, [`fuzz`] some of the tests for longer;
//! [`demo`] plays the walkthrough on the lab, with [`probe`] as its impatient client; [`interop`]
//! speaks with routers; [`mod@bench`] measures; [`process`] and [`workspace`] are how all of them run
//! programs and find files.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod arch;
mod bench;
mod codegen;
mod demo;
mod deny;
mod fuzz;
mod interop;
mod lab;
mod probe;
mod process;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, check, prove, show and measure FerroLB.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what this machine lacks and build what the lab runs; safe to run twice
    Setup {
        /// Also the routers of `cargo xtask interop`
        #[arg(long)]
        routers: bool,
    },
    /// Play the walkthrough on a lab cluster, then kill the announcing node under load
    Demo(demo::Options),
    /// Prove everything: formatting, lints, architecture, unit, property and end-to-end tests
    Test(test::Options),
    /// Check the dependencies between our crates against ARCHITECTURE.md
    Arch,
    /// Write the manifests in deploy from the Rust types, deploy/base and deploy/webhook
    Codegen {
        /// Change nothing; fail with a diff if a file is stale
        #[arg(long)]
        check: bool,
    },
    /// Check what no compiler checks: file sizes, links, leftovers, clause tables
    Tidy,
    /// Check licences, sources and duplicate versions of the dependencies
    Deny,
    /// Run the fuzz targets, each for some minutes
    Fuzz(fuzz::Options),
    /// Measure; `list` names the benchmarks
    Bench(bench::Options),
    /// Speak BGP and BFD with FRR, BIRD, GoBGP, ExaBGP and OpenBGPD, feature by feature
    Interop(interop::Options),
    /// Run the lab: up, down, status, kubeconfig, exec, kill-node …
    #[command(disable_help_flag = true)]
    Lab {
        /// Passed to ferrolb-lab as they stand
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Ask one URL again and again and print each answer as a line of JSON
    #[command(hide = true)]
    Probe(probe::Options),
}

/// Exit status of a command line that could not be understood (sysexits.h `EX_USAGE`).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = if error.use_stderr() { USAGE } else { 0 };
            return error.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(status));
        }
    };
    let result = match arguments.command {
        Command::Setup { routers } => set_up(routers),
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Arch => arch::run(),
        Command::Codegen { check } => {
            codegen::run(if check { codegen::Mode::Check } else { codegen::Mode::Write })
        }
        Command::Tidy => tidy::run(),
        Command::Deny => deny::tell(),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Interop(options) => interop::run(&options),
        Command::Lab { arguments } => lab::run(&arguments),
        Command::Probe(options) => probe::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn set_up(with_routers: bool) -> anyhow::Result<()> {
    setup::run(setup::Purpose::Everything)?;
    if with_routers {
        setup::routers()?;
    }
    lab::build()
}
