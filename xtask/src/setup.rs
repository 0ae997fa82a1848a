//! What a machine needs, and installing what it lacks.
//!
//! Each need is looked for before it is installed, so a second run changes nothing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{deny, process, workspace};

mod kernel;

/// What the machine is set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The lab: demo, benchmarks.
    Lab,
    /// The lab and every check of `cargo xtask test`.
    Everything,
}

/// A Debian package of ours.
#[derive(Debug)]
struct Package {
    name: &'static str,
    /// A file it installs: absolute, or a program to look for.
    provides: &'static str,
    why: &'static str,
}

const PACKAGES: [Package; 9] = [
    Package {
        name: "ca-certificates",
        provides: "/etc/ssl/certs/ca-certificates.crt",
        why: "Go modules come over TLS",
    },
    Package {
        name: "conntrack",
        provides: "conntrack",
        why: "kube-proxy in iptables mode forgets flows with it",
    },
    Package { name: "curl", provides: "curl", why: "the lab's client" },
    Package { name: "iproute2", provides: "ip", why: "the lab's namespaces, links and routes" },
    Package { name: "iptables", provides: "iptables", why: "kube-proxy in iptables mode" },
    Package { name: "kmod", provides: "modprobe", why: "kernel modules that are not loaded yet" },
    Package { name: "nftables", provides: "nft", why: "kube-proxy in nftables mode, the lab's packet loss" },
    Package { name: "python3-pip", provides: "pip3", why: "fetches a Go toolchain where none fits" },
    Package { name: "tcpdump", provides: "tcpdump", why: "the end-to-end tests look at frames with it" },
];

/// What only a benchmark needs: not everybody's machine gets a VRRP daemon.
const PEERS: [Package; 1] =
    [Package { name: "keepalived", provides: "keepalived", why: "a peer of the failover benchmark" }];

/// What only `cargo xtask interop` needs: not everybody's machine gets five routing daemons.
const ROUTERS: [Package; 5] = [
    Package { name: "bird2", provides: "bird", why: "BIRD, a router to speak BGP and BFD with" },
    Package { name: "exabgp", provides: "exabgp", why: "ExaBGP, a router to speak BGP with" },
    Package { name: "frr", provides: "/usr/lib/frr/bgpd", why: "FRR, a router to speak BGP and BFD with" },
    Package { name: "gobgpd", provides: "gobgpd", why: "GoBGP, a router to speak BGP with" },
    Package { name: "openbgpd", provides: "bgpctl", why: "OpenBGPD, a router to speak BGP with" },
];

const COMPONENTS: [(&str, &str); 2] = [("clippy", "cargo-clippy"), ("rustfmt", "cargo-fmt")];

/// Installs what is missing for `purpose`.
///
/// # Errors
/// With everything that is missing and cannot be installed here, and what to do about it.
pub(crate) fn run(purpose: Purpose) -> Result<()> {
    let mut missing = Vec::new();
    missing.extend(root());
    missing.extend(packages(&PACKAGES));
    missing.extend(components());
    // What follows uses what is above, and the last takes minutes.
    if missing.is_empty() {
        missing.extend(kernel::missing());
    }
    if missing.is_empty() && purpose == Purpose::Everything {
        missing.extend(deny::install().err().map(|error| format!("{error:#}")));
    }
    if !missing.is_empty() {
        bail!("this machine is not ready:\n  {}", missing.join("\n  "));
    }
    println!(
        "this machine has what {} needs",
        if purpose == Purpose::Lab { "the lab" } else { "every check" }
    );
    Ok(())
}

/// Installs the packages that benchmarks compare with.
///
/// # Errors
/// With what is missing and cannot be installed here.
pub(crate) fn peers() -> Result<()> {
    installed(&PEERS)
}

/// Installs the routers that `cargo xtask interop` plays with. Where packages start services, theirs
/// run from then on: `systemctl disable --now` them.
///
/// # Errors
/// With what is missing and cannot be installed here.
pub(crate) fn routers() -> Result<()> {
    installed(&ROUTERS)
}

/// The packages of routers that are not installed.
pub(crate) fn missing_routers() -> Vec<&'static str> {
    let absent = ROUTERS.iter().filter(|package| program(package.provides).is_none());
    absent.map(|package| package.name).collect()
}

fn installed(wanted: &[Package]) -> Result<()> {
    let missing = packages(wanted);
    if !missing.is_empty() {
        bail!("this machine is not ready:\n  {}", missing.join("\n  "));
    }
    Ok(())
}

fn root() -> Option<String> {
    (!workspace::is_root()).then(|| {
        "root: network namespaces and raw sockets need it; run this again as root, e.g. with `sudo env HOME=$HOME PATH=$PATH`"
            .to_owned()
    })
}

/// The program `name`, where root finds it too.
fn program(name: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Path::new(name).exists().then(|| name.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn packages(wanted: &[Package]) -> Vec<String> {
    let absent: Vec<_> = wanted.iter().filter(|package| program(package.provides).is_none()).collect();
    if absent.is_empty() {
        return Vec::new();
    }
    for package in &absent {
        println!("missing: Debian package {} ({})", package.name, package.why);
    }
    let names: Vec<_> = absent.iter().map(|package| package.name).collect();
    match install(&names) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("packages {}: {error:#}; install them by hand", names.join(" "))],
    }
}

fn install(names: &[&str]) -> Result<()> {
    let apt = program("apt-get").context("no apt-get: this is not Debian, or not one we can install on")?;
    if !workspace::is_root() {
        bail!("only root can install them");
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new(&apt);
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-o", "Dpkg::Use-Pty=0"])
            .args(arguments);
        command
    };
    process::run(&mut apt_get(&["update"]))?;
    process::run(apt_get(&["install", "--yes", "--no-install-recommends"]).args(names))
}

fn components() -> Vec<String> {
    let absent =
        COMPONENTS.iter().filter(|(_, program)| !process::succeeds(Command::new(program).arg("--version")));
    let add = |component: &str| {
        let mut rustup = Command::new("rustup");
        rustup.current_dir(workspace::root()).args(["component", "add", component]);
        process::run(&mut rustup).err()
    };
    absent
        .filter_map(|(component, _)| {
            add(component)
                .map(|error| format!("Rust component {component}: {error:#}; install it with your toolchain"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_name_and_a_file_by_its_path() {
        assert!(program("sh").is_some());
        assert_eq!(program("/"), Some("/".into()));
        assert_eq!(program("no-such-program-of-ours"), None);
    }

    #[test]
    fn every_package_says_why_once() {
        for packages in [&PACKAGES[..], &ROUTERS] {
            for pair in packages.windows(2) {
                assert!(pair[0].name < pair[1].name, "keep the packages sorted: {}", pair[1].name);
            }
            assert!(packages.iter().all(|package| !package.why.is_empty()));
        }
    }
}
