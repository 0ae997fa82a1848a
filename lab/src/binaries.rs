//! The Kubernetes programs, built once from the pinned Go module into the user's cache.
//!
//! The cache key is the content of `lab/kubernetes/go.mod` and `go.sum`, which are part of this
//! program: a change of a version there builds anew, nothing else does.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::go;
use crate::state::{remove_directory, write};
use crate::steps::say;

const GO_MOD: &str = include_str!("../kubernetes/go.mod");
const GO_SUM: &str = include_str!("../kubernetes/go.sum");
/// What `go build tool` names a program, and what it is called here.
const PROGRAMS: [(&str, &str); 6] = [
    ("server", "etcd"),
    ("kube-apiserver", "kube-apiserver"),
    ("kube-controller-manager", "kube-controller-manager"),
    ("kube-proxy", "kube-proxy"),
    ("kube-scheduler", "kube-scheduler"),
    ("kubectl", "kubectl"),
];
/// Bytes of the hash that name the cache directory.
const KEY_BYTES: usize = 6;
const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);

/// Version of Kubernetes the lab runs, such as `v1.37.1`.
pub(crate) fn kubernetes_version() -> anyhow::Result<String> {
    module_version("k8s.io/kubernetes")
}

/// Directory of the programs, which are built if they are not there.
///
/// # Errors
/// When no Go toolchain can be had or the build fails; the error holds what Go said.
pub fn ensure_built() -> anyhow::Result<PathBuf> {
    let parent = cache()?.join("kubernetes");
    let directory = parent.join(key());
    if directory.is_dir() {
        return Ok(directory);
    }
    std::fs::create_dir_all(&parent).with_context(|| format!("create {}", parent.display()))?;
    let lock = parent.join("lock");
    let lock = File::create(&lock).with_context(|| format!("create {}", lock.display()))?;
    lock.lock().context("wait for another build of the Kubernetes programs")?;
    if directory.is_dir() {
        return Ok(directory);
    }
    let work = parent.join(format!("{}.building", key()));
    remove_directory(&work)?;
    build(&work)?;
    std::fs::rename(work.join("bin"), &directory)
        .with_context(|| format!("move the Kubernetes programs to {}", directory.display()))?;
    remove_directory(&work)?;
    say(&format!("built: {}", directory.display()));
    Ok(directory)
}

/// Directory of what is expensive to make again and not part of any lab.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    Ok(base
        .context("neither XDG_CACHE_HOME nor HOME is set; set one to say where caches go")?
        .join("ferrolb"))
}

fn key() -> String {
    let digest = Sha256::new().chain_update(GO_MOD).chain_update(GO_SUM).finalize();
    digest.iter().take(KEY_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

fn build(work: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let bin = work.join("bin");
    std::fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    write(&work.join("go.mod"), GO_MOD.as_bytes())?;
    write(&work.join("go.sum"), GO_SUM.as_bytes())?;
    let go = go::toolchain(go_version()?)?;
    say(&format!(
        "building Kubernetes {} and etcd {} with {}: once, about 6 minutes on 2 cores, \
         5 GB in Go's caches, 450 MB in ours",
        kubernetes_version()?,
        module_version("go.etcd.io/etcd/server/v3")?,
        go.display()
    ));
    run_go(&go, work, &["mod", "download"], "modules downloaded", started)?;
    let out = format!("{}/", bin.display());
    let flags = link_flags()?;
    run_go(
        &go,
        work,
        &["build", "-v", "-trimpath", "-ldflags", &flags, "-o", &out, "tool"],
        "packages compiled",
        started,
    )?;
    for (built, name) in PROGRAMS {
        let built = bin.join(built);
        ensure!(built.is_file(), "go build made no {}", built.display());
        std::fs::rename(&built, bin.join(name)).with_context(|| format!("name {name}"))?;
    }
    Ok(())
}

/// Runs Go and reports from time to time how many lines, one per package, it has written.
fn run_go(go: &Path, work: &Path, args: &[&str], unit: &str, started: Instant) -> anyhow::Result<()> {
    let mut child = Command::new(go)
        .args(args)
        .current_dir(work)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", go.display()))?;
    let stderr = child.stderr.take().context("go's standard error is not piped")?;
    let mut lines = Vec::new();
    let mut reported = Instant::now();
    for line in BufReader::new(stderr).lines() {
        lines.push(line.context("read go's output")?);
        if reported.elapsed() >= PROGRESS_INTERVAL {
            reported = Instant::now();
            say(&format!("  {:>4} s  {} {unit}", started.elapsed().as_secs(), lines.len()));
        }
    }
    let status = child.wait().context("wait for go")?;
    if !status.success() {
        let last: Vec<String> = lines.split_off(lines.len().saturating_sub(20));
        bail!("`go {}` ended with {status}:\n{}", args.join(" "), last.join("\n"));
    }
    say(&format!(
        "  {:>4} s  go {} done",
        started.elapsed().as_secs(),
        args.first().copied().unwrap_or_default()
    ));
    Ok(())
}

/// Without these, kubectl and the API server would not know their own version.
fn link_flags() -> anyhow::Result<String> {
    let version = kubernetes_version()?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let major = numbers.next().unwrap_or_default();
    let minor = numbers.next().unwrap_or_default();
    let base = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {base}.gitVersion={version} -X {base}.gitMajor={major} -X {base}.gitMinor={minor} \
         -X k8s.io/client-go/pkg/version.gitVersion={version}"
    ))
}

fn go_version() -> anyhow::Result<&'static str> {
    GO_MOD.lines().find_map(|line| line.strip_prefix("go ")).context("go.mod has no go directive")
}

fn module_version(module: &str) -> anyhow::Result<String> {
    let version = GO_MOD.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split(' ');
        (words.next() == Some(module)).then(|| words.next()).flatten()
    });
    Ok(version.with_context(|| format!("go.mod does not require {module}"))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{go_version, key, kubernetes_version, link_flags, module_version};

    #[test]
    fn versions_come_from_the_pinned_module() {
        let version = kubernetes_version().unwrap();
        assert!(version.starts_with("v1."), "{version}");
        assert!(module_version("go.etcd.io/etcd/server/v3").unwrap().starts_with("v3."));
        assert!(go_version().unwrap().starts_with("1."));
        assert!(link_flags().unwrap().contains(&format!("version.gitVersion={version} ")));
        assert!(module_version("k8s.io/nothing").is_err());
    }

    #[test]
    fn the_cache_key_is_twelve_hexadecimal_digits() {
        assert_eq!(key().len(), 12);
        assert!(key().chars().all(|c| c.is_ascii_hexdigit()));
    }
}
