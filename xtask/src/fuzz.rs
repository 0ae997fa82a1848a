//! `cargo xtask fuzz`: the fuzz targets one after the other, each for some minutes.
//!
//! A target is a test that gets its inputs from `core/wire/tests/fuzz/driver.rs`. In `cargo test` it
//! runs for a second or two, always with the same inputs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{process, workspace};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Names of targets; none runs all
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

/// A module with one test, and where it is.
struct Target {
    name: &'static str,
    package: &'static str,
    test: &'static str,
}

const TARGETS: [Target; 14] = [
    Target { name: "decode_any", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "decode_open", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "decode_notification", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "update_attrs", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "stream", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "communities", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "bfd_decode", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "bmp_encode", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "ra_parse", package: "ferrolb-wire", test: "fuzz" },
    Target { name: "session_fsm", package: "ferrolb-bgp", test: "simulation" },
    Target { name: "session_pair", package: "ferrolb-bgp", test: "simulation" },
    Target { name: "rib_out", package: "ferrolb-bgp", test: "simulation" },
    Target { name: "resumption", package: "ferrolb-bgp", test: "simulation" },
    Target { name: "bfd_pair", package: "ferrolb-bfd", test: "simulation" },
];

/// Tells the driver how long to run.
const MINUTES_VARIABLE: &str = "FERROLB_FUZZ_MINUTES";

/// Runs the targets asked for, all of them even if one has a finding.
///
/// # Errors
/// With one line per target that has a finding, or does not exist.
pub(crate) fn run(options: &Options) -> Result<()> {
    let is_known = |name: &String| TARGETS.iter().any(|target| target.name == name);
    if let Some(unknown) = options.targets.iter().find(|name| !is_known(name)) {
        bail!("there is no fuzz target {unknown}; those there are: {}", TARGETS.map(|of| of.name).join(", "));
    }
    let is_wanted = |target: &&Target| {
        options.targets.is_empty() || options.targets.iter().any(|name| name == target.name)
    };
    let failures: Vec<_> = TARGETS
        .iter()
        .filter(is_wanted)
        .filter_map(|target| target.run(options.minutes).err())
        .map(|error| format!("{error:#}"))
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

impl Target {
    fn run(&self, minutes: u32) -> Result<()> {
        let Self { name, package, test } = *self;
        let mut command = workspace::cargo();
        command.env(MINUTES_VARIABLE, minutes.to_string());
        command.args(["test", "--quiet", "--locked", "--package", package, "--test", test]);
        command.args(["--", "--nocapture"]).arg(format!("{name}::"));
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("could not start `{}`", process::shown(&command)))?;
        let stdout = child.stdout.take().context("the child's standard output is not a pipe")?;
        let mut has_run = false;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            has_run |= line.contains(&format!("{name}: ")) && line.contains(" executions in ");
            println!("{line}");
        }
        ensure!(child.wait()?.success(), "{name}: a finding, see above");
        // A filter that fits nothing is a success to cargo.
        ensure!(has_run, "{name}: test {test} of {package} has no such target");
        Ok(())
    }
}
