//! Licences, sources and duplicate versions of the dependencies, by cargo-deny and deny.toml.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, workspace};

/// The version that deny.toml is written for.
const VERSION: &str = "0.20.2";

/// What is known about the dependencies today.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Advisories {
    /// No advisory concerns them.
    Clear,
    /// The database could not be fetched, and why.
    Unknown(String),
}

/// Holds the dependency tree against deny.toml.
///
/// Bans, licences and sources are facts about this tree. Advisories are facts about the world
/// of today, in a database on a Git host that not every machine reaches.
///
/// # Errors
/// When cargo-deny cannot be installed, or finds something.
pub(crate) fn run() -> Result<Advisories> {
    let program = install()?;
    let check = |what: &[&str]| {
        let mut deny = Command::new(&program);
        deny.current_dir(workspace::root())
            .args(["--log-level", "error", "check", "--hide-inclusion-graph"])
            .args(what);
        deny
    };
    process::run(&mut check(&["bans", "licenses", "sources"]))?;
    let mut fetch = Command::new(&program);
    fetch.current_dir(workspace::root()).args(["--log-level", "error", "fetch", "db"]);
    // A Git host that swallows connections must not hold everything up.
    fetch
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1")
        .env("GIT_HTTP_LOW_SPEED_TIME", "20");
    if let Err(error) = process::output(&mut fetch) {
        let cause = error.to_string();
        let cause = cause.lines().last().unwrap_or_default().trim();
        return Ok(Advisories::Unknown(format!("the RustSec database could not be fetched: {cause}")));
    }
    process::run(&mut check(&["advisories"]))?;
    Ok(Advisories::Clear)
}

/// Runs the checks and tells what is not known.
///
/// # Errors
/// As [`run`].
pub(crate) fn tell() -> Result<()> {
    if let Advisories::Unknown(why) = run()? {
        println!("advisories not checked: {why}");
    }
    Ok(())
}

/// Installs cargo-deny into the user cache, once; returns the program.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn install() -> Result<PathBuf> {
    let dir = workspace::cache()?.join(format!("cargo-deny-{VERSION}"));
    let program = dir.join("bin/cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    println!("building cargo-deny {VERSION} into {}: two to five minutes, once", dir.display());
    let mut install = workspace::cargo();
    // Not a temporary folder, which cargo would throw away together with an interrupted build.
    install.args(["install", "cargo-deny", "--locked", "--quiet", "--version", VERSION, "--root"]).arg(&dir);
    let objects = workspace::target().join("tools");
    install.arg("--target-dir").arg(&objects);
    process::run(&mut install)
        .context("cargo-deny could not be installed; it needs the crate registry and a C compiler")?;
    fs::remove_dir_all(&objects).with_context(|| format!("could not remove {}", objects.display()))?;
    Ok(program)
}
