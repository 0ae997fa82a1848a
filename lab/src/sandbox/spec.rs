//! What the kubelet tells `sandbox-init`: one JSON file per container.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// A process to run and where to run it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The kubelet's process id: a supervisor whose parent is another one was orphaned while starting.
    pub parent: u32,
    /// A container of its own, or one that runs already.
    pub entry: Entry,
    /// The process.
    pub process: Process,
}

/// Where the process runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// In a new container.
    Create(Root),
    /// In the container whose process 1 has this process id on the host.
    Join {
        /// Process id as the kubelet sees it.
        pid: i32,
    },
}

/// Namespaces and root file system of a new container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Root {
    /// Name of the Pod's network namespace; none for a Pod on the host network, which stays in the node's.
    pub netns: Option<String>,
    /// Host name in the container's UTS namespace.
    pub hostname: String,
    /// Directory on the host over which the root file system is mounted, inside the container only.
    pub directory: PathBuf,
    /// Directory of the image's program, visible at the same path, read-only.
    pub program_dir: Option<PathBuf>,
    /// Volumes and the files the kubelet manages, each below the ones before it.
    pub mounts: Vec<Mount>,
    /// `securityContext.readOnlyRootFilesystem`.
    pub read_only: bool,
    /// `securityContext.privileged`: the kernel's settings under `/proc` and `/sys` stay writable.
    pub privileged: bool,
    /// Network settings of the Pod, `net.*`, applied in its network namespace.
    pub sysctls: Vec<(String, String)>,
}

/// One bind mount from the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: PathBuf,
    /// Path on the host, a directory or a file.
    pub source: PathBuf,
    /// Whether the container may not write to it.
    pub read_only: bool,
}

/// The process and its privileges.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Run instead of `argv` when the program of `argv` is not an absolute path that exists in the container.
    pub fallback: Option<Vec<String>>,
    /// The whole environment, in order.
    pub env: Vec<(String, String)>,
    /// Created when it does not exist.
    pub working_dir: PathBuf,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// Names of the capabilities it may have, such as `CAP_NET_RAW`.
    pub capabilities: BTreeSet<String>,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
}

impl Process {
    /// Program and arguments to execute, seen from inside the container.
    pub(super) fn resolve(&self) -> &[String] {
        let as_written =
            self.argv.first().is_some_and(|program| program.starts_with('/') && Path::new(program).exists());
        match &self.fallback {
            Some(fallback) if !as_written => fallback,
            Some(_) | None => &self.argv,
        }
    }
}

impl Spec {
    /// Reads a specification.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold one.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read(path).with_context(|| format!("read sandbox specification {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("parse sandbox specification {}", path.display()))
    }

    /// Writes the specification, readable by root only because the environment may hold Secrets.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self).context("serialize sandbox specification")?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(&text))
            .with_context(|| format!("write sandbox specification {}", path.display()))
    }
}
