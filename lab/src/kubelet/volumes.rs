//! Volumes of a Pod: directories on this node, the contents of the API's ones kept up to date.
//!
//! The nodes of a lab share one machine, so a `hostPath` is taken below the node's own directory; only what
//! belongs to the kernel or the machine's programs ([`SHARED`]) is the machine's.

mod atomic;
mod payload;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{HostPathVolumeSource, Pod, Volume, VolumeMount};

use super::Kubelet;
use super::env::{Facts, Sources};
use crate::sandbox::Mount;
use payload::{Payload, Tokens};

/// Host paths that all nodes have in common.
const SHARED: [&str; 7] = ["/bin", "/dev", "/lib", "/lib64", "/proc", "/sys", "/usr"];

/// The volumes of one Pod.
pub(super) struct Volumes {
    sources: Sources,
    dir: PathBuf,
    host_root: PathBuf,
    fs_group: Option<u32>,
    paths: BTreeMap<String, PathBuf>,
    contents: BTreeMap<String, Payload>,
    tokens: Tokens,
}

/// A volume that cannot be set up, and why.
#[derive(Debug)]
pub(super) struct MountError {
    pub(super) volume: String,
    pub(super) cause: anyhow::Error,
}

impl std::fmt::Display for MountError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MountVolume.SetUp failed for volume \"{}\" : {:#}", self.volume, self.cause)
    }
}

impl Volumes {
    pub(super) fn new(kubelet: &Kubelet, sources: Sources, pod: &Pod, pod_dir: &Path) -> Self {
        let security = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
        let fs_group = security.and_then(|security| security.fs_group);
        Self {
            sources,
            dir: pod_dir.join("volumes"),
            host_root: kubelet.node.state_dir.join("host"),
            fs_group: fs_group.and_then(|group| u32::try_from(group).ok()),
            paths: BTreeMap::new(),
            contents: BTreeMap::new(),
            tokens: Tokens::default(),
        }
    }

    /// Sets up every volume, or brings the contents of those that are set up to date.
    pub(super) async fn sync(&mut self, pod: &Pod, facts: &Facts) -> Result<(), MountError> {
        for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            self.sync_one(pod, facts, volume)
                .await
                .map_err(|cause| MountError { volume: volume.name.clone(), cause })?;
        }
        Ok(())
    }

    async fn sync_one(&mut self, pod: &Pod, facts: &Facts, volume: &Volume) -> anyhow::Result<()> {
        let name = &volume.name;
        if let Some(host_path) = &volume.host_path {
            if !self.paths.contains_key(name) {
                self.paths.insert(name.clone(), self.host_path(host_path)?);
            }
            return Ok(());
        }
        let path = self.dir.join(name);
        if volume.empty_dir.is_some() {
            if !self.paths.contains_key(name) {
                create_empty_dir(&path, self.fs_group)?;
                self.paths.insert(name.clone(), path);
            }
            return Ok(());
        }
        let payload = payload::build(&self.sources, &mut self.tokens, (pod, facts), volume).await?;
        if self.contents.get(name) != Some(&payload) {
            atomic::write(&path, &payload, self.fs_group)?;
            self.contents.insert(name.clone(), payload);
            self.paths.insert(name.clone(), path);
        }
        Ok(())
    }

    fn host_path(&self, source: &HostPathVolumeSource) -> anyhow::Result<PathBuf> {
        let wanted = Path::new(&source.path);
        if wanted.components().any(|component| component == std::path::Component::ParentDir) {
            bail!("hostPath {} contains '..'", source.path);
        }
        let path = if SHARED.iter().any(|shared| wanted.starts_with(shared)) {
            wanted.to_owned()
        } else {
            self.host_root.join(wanted.strip_prefix("/").unwrap_or(wanted))
        };
        let shown = path.display();
        match source.type_.as_deref().unwrap_or_default() {
            "DirectoryOrCreate" => {
                std::fs::create_dir_all(&path).with_context(|| format!("create {shown}"))?
            }
            "FileOrCreate" if !path.exists() => {
                std::fs::write(&path, "").with_context(|| format!("create {shown}"))?;
            }
            "Directory" if !path.is_dir() => bail!("hostPath type check failed: {shown} is not a directory"),
            "File" if !path.is_file() => bail!("hostPath type check failed: {shown} is not a file"),
            // As container runtimes do for a path that does not exist.
            "" if !path.exists() => {
                std::fs::create_dir_all(&path).with_context(|| format!("create {shown}"))?;
            }
            _ if !path.exists() => bail!("hostPath type check failed: {shown} does not exist"),
            _ => {}
        }
        Ok(path)
    }

    /// The bind mount of one `volumeMount`.
    pub(super) fn mount(&self, pod: &Pod, mount: &VolumeMount) -> anyhow::Result<Mount> {
        let name = &mount.name;
        let base = self.paths.get(name).with_context(|| format!("volume \"{name}\" is not set up"))?;
        let source = match mount.sub_path.as_deref().unwrap_or_default() {
            "" => base.clone(),
            sub_path => self.sub_path(base, name, sub_path)?,
        };
        let is_writable =
            pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).any(|volume| {
                volume.name == *name && (volume.empty_dir.is_some() || volume.host_path.is_some())
            });
        Ok(Mount {
            target: PathBuf::from(&mount.mount_path),
            source,
            read_only: mount.read_only == Some(true) || !is_writable,
        })
    }

    /// A file or directory inside a volume; one that does not exist becomes an empty directory.
    fn sub_path(&self, base: &Path, name: &str, sub_path: &str) -> anyhow::Result<PathBuf> {
        if Path::new(sub_path).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            bail!("volumeMounts: subPath {sub_path} of volume \"{name}\" must stay inside the volume");
        }
        let path = base.join(sub_path);
        if !path.exists() {
            if self.contents.contains_key(name) {
                bail!("volume \"{name}\" has no file {sub_path}");
            }
            create_empty_dir(&path, self.fs_group)?;
        }
        // Resolved once: a file mounted by subPath does not follow later changes.
        path.canonicalize().with_context(|| format!("resolve {}", path.display()))
    }
}

fn create_empty_dir(path: &Path, group: Option<u32>) -> anyhow::Result<()> {
    let create = || {
        std::fs::create_dir_all(path)?;
        if group.is_some() {
            std::os::unix::fs::chown(path, None, group)?;
        }
        // Every user of the Pod may write; with an fsGroup new files belong to it.
        let mode = if group.is_some() { 0o2777 } else { 0o777 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    create().with_context(|| format!("create {}", path.display()))
}
