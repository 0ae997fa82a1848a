//! `cargo xtask interop`: our BGP and BFD with the routers of others, feature by feature.
//!
//! `tests/interop` plays; this finds or makes the systems that routers are installed in, and makes a
//! table of what came of it. Without `--all` these are the versions of this machine's own Debian.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::{process, setup, workspace};

mod report;
mod suites;

use report::{Line, Report};

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Also FRR and BIRD of Debian's later suites, in systems of their own in the user cache
    #[arg(long)]
    all: bool,
    /// Write docs/reference/interop.md
    #[arg(long, conflicts_with = "feature")]
    write: bool,
    /// Only features whose name contains this
    feature: Option<String>,
}

/// The page that has the table.
const PAGE: &str = "docs/reference/interop.md";

/// The program that plays.
const PROGRAM: &str = "ferrolb-interop";

/// A router as Debian has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Router {
    /// What [`PROGRAM`] calls it.
    id: &'static str,
    /// What its makers call it.
    name: &'static str,
    package: &'static str,
}

const FRR: Router = Router { id: "frr", name: "FRR", package: "frr" };
const BIRD2: Router = Router { id: "bird", name: "BIRD", package: "bird2" };
const BIRD3: Router = Router { id: "bird", name: "BIRD", package: "bird3" };
const GOBGP: Router = Router { id: "gobgp", name: "GoBGP", package: "gobgpd" };
const EXABGP: Router = Router { id: "exabgp", name: "ExaBGP", package: "exabgp" };
const OPENBGPD: Router = Router { id: "openbgpd", name: "OpenBGPD", package: "openbgpd" };

/// A system and the routers in it.
#[derive(Debug)]
struct System {
    root: PathBuf,
    routers: &'static [Router],
}

/// Plays.
///
/// # Errors
/// When a router is not installed, or something was not as it should be.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(workspace::is_root(), "network namespaces need root: run this again as root");
    let missing = setup::missing_routers();
    ensure!(
        missing.is_empty(),
        "routers are missing, Debian packages {}; `cargo xtask setup --routers` installs them",
        missing.join(" ")
    );
    let mut systems = vec![System { root: "/".into(), routers: &[FRR, BIRD2, GOBGP, EXABGP, OPENBGPD] }];
    if options.all {
        systems.extend(suites::systems()?);
    }
    process::run(workspace::cargo().args(["build", "--quiet", "--locked", "--package", PROGRAM]))?;
    let start = Instant::now();
    let mut report = Report::default();
    for system in &systems {
        play(system, options, &mut report)?;
    }
    println!("\n{report}\ntogether {:.1} s", start.elapsed().as_secs_f64());
    let failures = report.failures();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    ensure!(!report.is_empty(), "no feature has {:?} in its name", options.feature.as_deref().unwrap_or(""));
    if options.write {
        fs::write(workspace::root().join(PAGE), report.page())
            .with_context(|| format!("could not write {PAGE}"))?;
        println!("written: {PAGE}");
    }
    Ok(())
}

/// Plays with the routers of a system, side by side.
fn play(system: &System, options: &Options, report: &mut Report) -> Result<()> {
    let mut columns = Vec::new();
    for router in system.routers {
        columns.push((router.id, report.add_router(router.name, &version(system, router)?)));
    }
    let mut command = Command::new(workspace::program(PROGRAM));
    command.arg("--root").arg(&system.root);
    command.args(["--feature", options.feature.as_deref().unwrap_or("")]);
    command.args(system.routers.iter().map(|router| router.id)).stdout(Stdio::piped());
    // Where daemons are, whichever way this user has become root.
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    let spawned = command.spawn();
    let mut child = spawned.with_context(|| format!("could not start `{}`", process::shown(&command)))?;
    let stdout = child.stdout.take().context("the child's standard output is not a pipe")?;
    for line in BufReader::new(stdout).lines() {
        let line: Line = serde_json::from_str(&line?).with_context(|| format!("{PROGRAM} says no JSON"))?;
        let column = columns.iter().find(|(id, _)| *id == line.router);
        let (_, column) = column.with_context(|| format!("{PROGRAM} plays with {}", line.router))?;
        println!("{}", report.add(*column, line));
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{}` ended with {status}", process::shown(&command));
    Ok(())
}

/// The version of a router as its makers call it: Debian's without what Debian adds.
fn version(system: &System, router: &Router) -> Result<String> {
    let mut query = Command::new("dpkg-query");
    query.arg("--admindir").arg(system.root.join("var/lib/dpkg"));
    query.args(["--show", "--showformat=${Version}", router.package]);
    Ok(upstream(&process::output(&mut query)?).to_owned())
}

/// `1:8.4.4-1.1~deb12u1` without epoch and revision.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_epoch, version)| version);
    let version = version.rsplit_once('-').map_or(version, |(version, _revision)| version);
    version.split(['+', '~']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_makers() {
        for (debian, makers) in [
            ("8.4.4-1.1~deb12u1", "8.4.4"),
            ("1:3.10.0-1+b5", "3.10.0"),
            ("4.2.21-1", "4.2.21"),
            ("7.7+ds-1", "7.7"),
            ("2.0", "2.0"),
        ] {
            assert_eq!(upstream(debian), makers);
        }
    }
}
