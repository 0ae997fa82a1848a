//! Where things are: the repository and its files, the user cache, the built programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Folders that are never ours to look into.
const FOREIGN: [&str; 2] = ["target", ".git"];

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// A cargo command at the repository's root, by the toolchain that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // `cargo run` describes xtask to us in these. Build scripts that watch them (ring's does) would
    // take every change between `cargo build` and `cargo xtask` for a reason to build anew.
    for (name, _) in std::env::vars_os() {
        if DESCRIBES_XTASK.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// How the names of the variables begin that `cargo run` sets for the program it runs.
const DESCRIBES_XTASK: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_"];

/// Ours that others run: a lab is made of the two, and the manifest comes out of the first.
pub(crate) const PROGRAMS: [&str; 2] = ["ferrolb", "ferrolb-lab"];

/// Builds [`PROGRAMS`], always together: cargo would build their dependencies twice, with the
/// features that each of them alone asks for.
///
/// # Errors
/// When they do not compile.
pub(crate) fn build(mode: Quiet) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--locked"]).args(PROGRAMS.iter().flat_map(|name| ["--package", name]));
    if mode == Quiet::Yes {
        build.arg("--quiet");
    }
    process::run(&mut build)
}

/// Whether cargo shows its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    Yes,
    No,
}

/// Where the program `name` of [`PROGRAMS`] is once it is built.
pub(crate) fn program(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Cargo's output folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Every file of the tree below `dir`, sorted, as paths from the root.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(dir, dir, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("could not list {}", dir.display()))? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_file() {
            found.push(path.strip_prefix(root)?.to_owned());
        } else if kind.is_dir() && !FOREIGN.iter().any(|name| entry.file_name() == *name) {
            collect(root, &path, found)?;
        }
    }
    Ok(())
}

/// The text of `path`, which is relative to the repository's root.
///
/// # Errors
/// When it cannot be read as UTF-8.
pub(crate) fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = root().join(path);
    fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))
}

/// FerroLB's folder in the user cache: what is built once and outlives `cargo clean`.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub(crate) fn cache() -> Result<PathBuf> {
    let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = xdg.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set; set HOME")?;
    Ok(base.join("ferrolb"))
}

/// Whether we run as root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
