//! Where a lab keeps its files: one directory, removed by `lab down`.
//!
//! ```text
//! $FERROLB_LAB_STATE or /var/lib/ferrolb-lab
//!   <name>.lock           held while the lab is being changed
//!   <name>/
//!     lab.yaml            the resolved configuration
//!     facts.json          what `up` found out: paths of programs, the forwarded port
//!     faults.json         partitions and losses in force
//!     kubeconfig          for kubectl on this machine
//!     kubeconfigs/ pki/ etcd/ run/ (pidfiles) logs/
//!     nodes/<node>/       node.json, baseline.json, kube-proxy.yaml, pods/ …
//! ```

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{LabConfig, validate_name};

const DEFAULT_BASE: &str = "/var/lib/ferrolb-lab";
const VARIABLE: &str = "FERROLB_LAB_STATE";

/// Paths of one lab's files.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
}

/// What `up` found out and later commands need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The lab's own program.
    pub program: PathBuf,
    /// Directory of the Kubernetes programs.
    pub kubernetes: PathBuf,
    /// Port on the machine's loopback that leads to kube-apiserver.
    pub port: u16,
}

/// Holds a lab for one command; released on drop, also by a crash.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Directory of all labs.
pub(crate) fn base() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| PathBuf::from(DEFAULT_BASE), PathBuf::from)
}

/// Names of the labs that have state.
pub(crate) fn names() -> anyhow::Result<Vec<String>> {
    let base = base();
    let entries = match std::fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("list {}", base.display())),
    };
    let directories = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> =
        directories.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

impl StateDir {
    /// The directory of the lab with this name, which may not exist.
    pub(crate) fn of(name: &str) -> anyhow::Result<Self> {
        validate_name(name)?;
        Ok(Self { root: base().join(name) })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn exists(&self) -> bool {
        self.root.is_dir()
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.root.join("etcd")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn node(&self, node: &str) -> PathBuf {
        self.root.join("nodes").join(node)
    }

    /// Kubeconfig of a component of the lab.
    pub(crate) fn component_kubeconfig(&self, component: &str) -> PathBuf {
        self.root.join("kubeconfigs").join(component)
    }

    /// Kubeconfig of the administrator on this machine.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// Cache of the lab's kubectl; a lab's discovery documents must not outlive it.
    pub(crate) fn kubectl_cache(&self) -> PathBuf {
        self.root.join("kubectl-cache")
    }

    /// Creates the directories.
    pub(crate) fn create(&self, nodes: &[String]) -> anyhow::Result<()> {
        let mut directories =
            vec![self.pki(), self.etcd(), self.run(), self.logs(), self.root.join("kubeconfigs")];
        directories.extend(nodes.iter().map(|node| self.node(node)));
        for directory in directories {
            std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        }
        Ok(())
    }

    pub(crate) fn read_config(&self) -> anyhow::Result<LabConfig> {
        LabConfig::read(&self.root.join("lab.yaml"))
    }

    pub(crate) fn write_config(&self, config: &LabConfig) -> anyhow::Result<()> {
        let text = serde_saphyr::to_string(config).context("serialize the lab's configuration")?;
        write(&self.root.join("lab.yaml"), text.as_bytes())
    }

    /// Reads a JSON file below the lab's directory.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, file: &str) -> anyhow::Result<T> {
        let path = self.root.join(file);
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))
    }

    /// Writes a JSON file below the lab's directory.
    pub(crate) fn write_json<T: Serialize>(&self, file: &str, value: &T) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(value).with_context(|| format!("serialize {file}"))?;
        write(&self.root.join(file), &text)
    }

    /// Takes the lab's lock, waiting for another command that is changing the lab.
    pub(crate) fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.lock_file();
        let base = base();
        std::fs::create_dir_all(&base).with_context(|| format!("create {}", base.display()))?;
        loop {
            let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
            file.lock().with_context(|| format!("lock {}", path.display()))?;
            let locked = file.metadata().with_context(|| format!("look at {}", path.display()))?.ino();
            // Who waited for `down` holds a file that is gone, which locks nothing.
            if std::fs::metadata(&path).is_ok_and(|now| now.ino() == locked) {
                return Ok(Lock { _file: file });
            }
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.root.with_extension("lock")
    }

    /// Removes the lock's file, for who holds it.
    pub(crate) fn remove_lock(&self, _lock: &Lock) -> anyhow::Result<()> {
        let path = self.lock_file();
        std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
    }

    /// Unmounts whatever nodes mounted below this directory, the innermost first.
    pub(crate) fn unmount_below(directory: &Path) -> anyhow::Result<()> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
        let below: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
        for point in below.iter().rev() {
            nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH)
                .with_context(|| format!("unmount {}", point.display()))?;
        }
        Ok(())
    }

    /// Removes the directory with everything mounted below it.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        Self::unmount_below(&self.root)?;
        remove_directory(&self.root)
    }
}

/// Removes a directory tree, if it exists.
pub(crate) fn remove_directory(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("remove {}: {error}", path.display())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
