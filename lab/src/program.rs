//! Running programs of the machine to their end, and finding the lab's own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// Runs a program with this standard input and returns its standard output; the error holds the
/// command and what it wrote to standard error.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> anyhow::Result<String> {
    let shown = || format!("{program} {}", args.join(" "));
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{}`", shown()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // The inputs of `ip` and `nft` fit a pipe, so writing ends before reading starts. A program
        // that died at once says why on its standard error, not here.
        let _written = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("wait for `{}`", shown()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    let input = if input.is_empty() { String::new() } else { format!("\ninput was:\n{input}") };
    bail!("`{}` ended with {}: {}{input}", shown(), output.status, reason.trim_end())
}

/// Whether a program of this name is on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

/// Absolute path of a program on the PATH.
pub(crate) fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The lab's own program, which nodes, the forwarder and the echo server are started from: this
/// one, or `ferrolb-lab` beside it (`cargo xtask`) or one directory up (tests).
pub(crate) fn lab_program() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("find the path of this program")?;
    let beside = this.ancestors().skip(1).take(2).map(|directory| directory.join("ferrolb-lab"));
    for candidate in beside {
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("no program ferrolb-lab beside {}; build it with `cargo build -p ferrolb-lab`", this.display())
}

/// A program named in the configuration: relative paths start beside the lab's own program.
pub(crate) fn beside(lab_program: &Path, program: &Path) -> anyhow::Result<PathBuf> {
    let directory = lab_program.parent().context("the lab's own program has no directory")?;
    let path = directory.join(program);
    ensure!(
        path.is_file(),
        "no program {}; build it with `cargo build`, or correct `images`",
        path.display()
    );
    Ok(path)
}
