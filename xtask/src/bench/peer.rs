//! Programs of others that ours are compared with, built once from pinned Go modules.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{process, workspace};

/// Programs and the module that pins them.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Path of the module whose version is the peer's.
    module: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
}

pub(super) const METALLB: Peer = Peer {
    name: "metallb",
    module: "go.universe.tf/metallb",
    go_mod: include_str!("../../../bench/peers/metallb/go.mod"),
    go_sum: include_str!("../../../bench/peers/metallb/go.sum"),
};

impl Peer {
    /// The pinned version, such as `v0.16.1`.
    fn version(&self) -> &'static str {
        let version = self.go_mod.lines().find_map(|line| {
            let mut words = line.trim().trim_start_matches("require ").split(' ');
            (words.next() == Some(self.module)).then(|| words.next()).flatten()
        });
        version.unwrap_or("unknown")
    }

    /// Its name and version.
    pub(super) fn versioned(&self) -> (String, String) {
        (self.name.to_owned(), self.version().to_owned())
    }

    /// The path of a program, by what `go build tool` calls it; all are built unless the user cache
    /// has them.
    ///
    /// # Errors
    /// When there is no Go toolchain, or it does not compile.
    pub(super) fn ensure_built(&self, program: &str) -> Result<PathBuf> {
        let parent = workspace::cache()?.join("peers").join(self.name);
        let program = parent.join(self.key()).join(program);
        fs::create_dir_all(&parent).with_context(|| format!("could not create {}", parent.display()))?;
        let lock =
            File::create(parent.join("lock")).context("could not create the lock of the peers' cache")?;
        lock.lock().context("could not wait for another build of the same peer")?;
        if !program.is_file() {
            self.build(&parent.join(self.key()))?;
            ensure!(program.is_file(), "`go build tool` made no {}", program.display());
        }
        Ok(program)
    }

    /// Folder of the module's source, in Go's own cache.
    ///
    /// # Errors
    /// When it was not downloaded.
    pub(super) fn source(&self) -> Result<PathBuf> {
        let directory = workspace::cache()?.join("peers").join(self.name).join(self.key());
        let found = process::output(&mut go(
            &directory,
            ["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", self.module],
        ))?;
        Ok(PathBuf::from(found.trim()))
    }

    /// Builds a program that uses packages which only the module itself may: `source` is put beside them
    /// as package `name`, in a copy of the module. Go's own cache has what has not changed.
    ///
    /// # Errors
    /// When there is no Go toolchain, or it does not compile.
    pub(super) fn build_inside(&self, name: &str, source: &str, program: &Path) -> Result<()> {
        let original = self.source()?;
        let directory = workspace::cache()?.join("peers").join(self.name).join(name);
        let copy = directory.join("module");
        fs::create_dir_all(copy.join(name))
            .with_context(|| format!("could not create {}", copy.display()))?;
        for part in INSIDE {
            let mut cp = Command::new("cp");
            cp.args(["--recursive", "--force", "--no-preserve=mode"]).arg(original.join(part)).arg(&copy);
            process::run(&mut cp)?;
        }
        fs::write(copy.join(name).join("main.go"), source)?;
        let replaced = format!("{}\nreplace {} => ./module\n", self.go_mod, self.module);
        fs::write(directory.join("go.mod"), replaced)?;
        fs::write(directory.join("go.sum"), self.go_sum)?;
        let program = program.to_str().context("a path of ours is no text")?;
        let package = format!("{}/{name}", self.module);
        process::run(&mut go(&directory, ["build", "-mod=readonly", "-trimpath", "-o", program, &package]))
    }

    fn build(&self, directory: &Path) -> Result<()> {
        println!("building {} {}: once, about 3 minutes on 2 processors", self.name, self.version());
        fs::create_dir_all(directory).with_context(|| format!("could not create {}", directory.display()))?;
        fs::write(directory.join("go.mod"), self.go_mod)?;
        fs::write(directory.join("go.sum"), self.go_sum)?;
        let build = ["build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", "./", "tool"];
        process::run(&mut go(directory, build))
            .context("peers need the Go toolchain that their go.mod names, on the PATH")
    }

    /// Changes with the pinned versions. A new Rust may change it too, which costs a build.
    fn key(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.go_mod, self.go_sum).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// What packages of a module's own need of it.
const INSIDE: [&str; 3] = ["go.mod", "api", "internal"];

/// Go in the module in `directory`, whatever the user's own settings are.
fn go<const N: usize>(directory: &Path, arguments: [&str; N]) -> Command {
    let mut go = Command::new("go");
    go.args(arguments).current_dir(directory).envs([
        ("CGO_ENABLED", "0"),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", "off"),
        ("GOFLAGS", ""),
    ]);
    go
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_pinned_modules() {
        assert!(METALLB.version().starts_with("v0."), "{}", METALLB.version());
    }

    #[test]
    fn what_is_pinned_names_the_cache() {
        let other = Peer { go_sum: "", ..METALLB };
        assert_eq!(METALLB.key().len(), 16);
        assert_ne!(METALLB.key(), other.key());
    }
}
