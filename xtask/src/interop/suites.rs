//! Debian's later suites, each a system of its own in the user cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{BIRD2, BIRD3, FRR, Router, System};
use crate::{process, workspace};

/// A suite and the routers that are taken from it. One of BIRD 2 and 3 at most: they cannot be
/// installed together.
struct Suite {
    name: &'static str,
    routers: &'static [Router],
}

const SUITES: [Suite; 2] =
    [Suite { name: "trixie", routers: &[FRR, BIRD2] }, Suite { name: "sid", routers: &[FRR, BIRD3] }];

/// Names the mirror of Debian's packages to install from, where debootstrap's own choice is none that
/// can be reached.
const MIRROR_VARIABLE: &str = "FERROLB_DEBIAN_MIRROR";

/// What a package asks before it starts a service: nothing is to start.
const POLICY: &str = "#!/bin/sh\nexit 101\n";

/// The suites as they are installed, which the first call does.
///
/// # Errors
/// When debootstrap is not installed, or a package cannot be fetched.
pub(super) fn systems() -> Result<Vec<System>> {
    let cache = workspace::cache()?.join("interop");
    SUITES
        .iter()
        .map(|suite| {
            let root = cache.join(suite.name);
            if !root.exists() {
                install(suite, &root).with_context(|| format!("install Debian {}", suite.name))?;
            }
            Ok(System { root, routers: suite.routers })
        })
        .collect()
}

/// Installs a suite beside `root` and moves it there when it is complete: one that is there is whole.
fn install(suite: &Suite, root: &Path) -> Result<()> {
    let draft = PathBuf::from(format!("{}.draft", root.display()));
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(&draft)?;
    let mut bootstrap = Command::new("debootstrap");
    bootstrap.args(["--variant=minbase", suite.name]).arg(&draft);
    bootstrap.args(std::env::var_os(MIRROR_VARIABLE));
    process::run(&mut bootstrap).context("Debian package debootstrap")?;
    let policy = draft.join("usr/sbin/policy-rc.d");
    fs::write(&policy, POLICY)?;
    process::run(Command::new("chmod").arg("755").arg(&policy))?;
    let mut apt = Command::new("unshare");
    apt.args(["--mount-proc", "--root"]).arg(&draft).env("DEBIAN_FRONTEND", "noninteractive");
    apt.args(["apt-get", "-q", "install", "--yes", "--no-install-recommends"]);
    apt.args(suite.routers.iter().map(|router| router.package));
    process::run(&mut apt)?;
    fs::rename(&draft, root).with_context(|| format!("rename {}", draft.display()))
}
