//! The lab's own command line, built first: the lab's processes are that program again.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Quiet;
use crate::{process, workspace};

/// The lab's program.
const LAB: &str = "ferrolb-lab";

/// What a lab installs.
const MANIFEST: &str = "deploy/ferrolb.yaml";

/// Builds what the lab runs: itself, the FerroLB in it, and once its Kubernetes, for which it
/// fetches a Go toolchain where none fits.
///
/// # Errors
/// When something does not compile.
pub(crate) fn build() -> Result<()> {
    workspace::build(Quiet::No)?;
    process::run(Command::new(workspace::program(LAB)).arg("build"))
}

/// Becomes `ferrolb-lab` with `arguments`.
///
/// # Errors
/// When it does not compile or cannot be started.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    workspace::build(Quiet::Yes)?;
    let program = workspace::program(LAB);
    let error = Command::new(&program).args(arguments).exec();
    bail!("could not start {}: {error}", program.display())
}

/// `ferrolb-lab` on the lab called `name`.
pub(crate) fn command<'a>(name: &str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(workspace::program(LAB));
    command.args(["--name", name]).args(arguments);
    command
}

/// Starts the lab called `name`, empty and made of what is built now. One that is up is reused
/// if nothing of it has been built anew since.
///
/// # Errors
/// When it does not come up.
pub(crate) fn fresh(name: &str) -> Result<()> {
    if !process::succeeds(&mut command(name, ["status"])) {
        return process::run(&mut command(name, ["up"]));
    }
    if is_outdated(name)? {
        println!("lab \"{name}\" is older than what it runs, and is started anew");
        process::run(&mut command(name, ["down"]))?;
        return process::run(&mut command(name, ["up"]));
    }
    process::run(&mut command(name, ["reset"]))
}

fn is_outdated(name: &str) -> Result<bool> {
    let made = process::output(&mut command(name, ["kubeconfig"]))?;
    let made = fs::metadata(made.trim())?.modified()?;
    let parts = workspace::PROGRAMS
        .iter()
        .map(|name| workspace::program(name))
        .chain([workspace::root().join(MANIFEST)]);
    let newer =
        |part: &Path| fs::metadata(part).and_then(|part| part.modified()).is_ok_and(|time| time > made);
    Ok(parts.into_iter().any(|part| newer(&part)))
}
