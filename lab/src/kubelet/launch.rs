//! From a container's specification to its sandbox.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Capabilities, Container, Pod, PodSpec};
use kube::ResourceExt as _;
use tokio::sync::Mutex;

use super::Kubelet;
use super::env::{self, Environment, Facts, Sources};
use super::images::{self, CommandLine};
use super::network::PodNetwork;
use super::process::{CommandOutput, run_command};
use super::volumes::Volumes;
use crate::node::ImageConfig;
use crate::sandbox::{Entry, Mount, Process, Root, Spec};

/// What container runtimes grant when the manifest asks for nothing.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Longest host name of Linux.
const HOSTNAME_BYTES_MAX: usize = 63;
const TERMINATION_LOG: &str = "/dev/termination-log";

/// A Pod that has its network and volumes: what its containers have in common.
pub(super) struct PodSandbox {
    pub(super) kubelet: Arc<Kubelet>,
    /// As it was when the sandbox was made; what containers use of it does not change.
    pub(super) pod: Arc<Pod>,
    pub(super) dir: PathBuf,
    pub(super) sources: Sources,
    pub(super) network: PodNetwork,
    pub(super) facts: Facts,
    pub(super) volumes: Mutex<Volumes>,
}

/// A container ready to start.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) spec: Spec,
    pub(super) spec_path: PathBuf,
    /// File that becomes the message of the container's end.
    pub(super) termination_log: PathBuf,
}

impl PodSandbox {
    pub(super) fn spec(&self) -> PodSpec {
        self.pod.spec.clone().unwrap_or_default()
    }

    /// The host name in the Pod's containers.
    fn hostname(&self) -> String {
        let spec = self.pod.spec.as_ref();
        if spec.is_some_and(|spec| spec.host_network == Some(true)) {
            return self.kubelet.node.name.clone();
        }
        let chosen = spec.and_then(|spec| spec.hostname_override.clone().or_else(|| spec.hostname.clone()));
        let mut hostname = chosen.unwrap_or_else(|| self.pod.name_any());
        hostname.truncate(hostname.floor_char_boundary(HOSTNAME_BYTES_MAX));
        hostname
    }

    /// Prepares a container: its environment, files and privileges.
    pub(super) async fn prepare(&self, container: &Container, image: &ImageConfig) -> anyhow::Result<Launch> {
        let spec = self.spec();
        let dir = self.dir.join("containers").join(&container.name);
        std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let mut environment =
            env::build((&self.kubelet.node, &self.sources), (&self.pod, &self.facts), container, image)
                .await?;
        let hostname = self.hostname();
        environment.set("HOSTNAME", hostname.clone());
        let termination_log = dir.join("termination-log");
        std::fs::write(&termination_log, "").context("create the termination log")?;

        let security = container.security_context.as_ref();
        let root = Root {
            netns: self.network.netns.clone(),
            directory: dir.join("rootfs"),
            program_dir: image.program.parent().map(Path::to_owned),
            mounts: self.mounts(container, &hostname, &termination_log).await?,
            read_only: security.and_then(|security| security.read_only_root_filesystem) == Some(true),
            privileged: security.and_then(|security| security.privileged) == Some(true),
            sysctls: sysctls(&spec),
            hostname,
        };
        let process = process(&spec, container, image, environment)?;
        Ok(Launch {
            spec: Spec { parent: std::process::id(), entry: Entry::Create(root), process },
            spec_path: dir.join("spec.json"),
            termination_log,
        })
    }

    async fn mounts(
        &self,
        container: &Container,
        hostname: &str,
        termination_log: &Path,
    ) -> anyhow::Result<Vec<Mount>> {
        let volumes = self.volumes.lock().await;
        let mut mounts = Vec::new();
        for mount in container.volume_mounts.iter().flatten() {
            mounts.push(volumes.mount(&self.pod, mount)?);
        }
        let termination_path = container.termination_message_path.as_deref().unwrap_or(TERMINATION_LOG);
        let mut managed = self.managed_files(hostname)?;
        managed.push(Mount {
            target: termination_path.into(),
            source: termination_log.to_owned(),
            read_only: false,
        });
        for file in managed {
            if mounts.iter().all(|mount| mount.target != file.target) {
                mounts.push(file);
            }
        }
        // A parent before what is mounted inside it.
        mounts.sort();
        Ok(mounts)
    }

    /// `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, which the kubelet writes for every Pod.
    fn managed_files(&self, hostname: &str) -> anyhow::Result<Vec<Mount>> {
        let spec = self.spec();
        let dir = self.dir.join("etc");
        std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let files = [
            ("hosts", hosts(&spec, hostname, &self.facts.pod_ips)),
            ("hostname", format!("{hostname}\n")),
            ("resolv.conf", resolv_conf(&spec, &self.sources.namespace)),
        ];
        files
            .into_iter()
            .map(|(name, text)| {
                let source = dir.join(name);
                std::fs::write(&source, text).with_context(|| format!("write {}", source.display()))?;
                Ok(Mount { target: Path::new("/etc").join(name), source, read_only: false })
            })
            .collect()
    }
}

fn process(
    spec: &PodSpec,
    container: &Container,
    image: &ImageConfig,
    environment: Environment,
) -> anyhow::Result<Process> {
    let expand = |list: &Option<Vec<String>>| -> Vec<String> {
        list.iter().flatten().map(|word| environment.expand(word)).collect()
    };
    let CommandLine { argv, fallback } =
        images::command_line(image, &expand(&container.command), &expand(&container.args));
    let security = container.security_context.as_ref();
    let pod = spec.security_context.as_ref();
    let user = security.and_then(|own| own.run_as_user).or_else(|| pod.and_then(|pod| pod.run_as_user));
    let group = security.and_then(|own| own.run_as_group).or_else(|| pod.and_then(|pod| pod.run_as_group));
    let non_root =
        security.and_then(|own| own.run_as_non_root).or_else(|| pod.and_then(|pod| pod.run_as_non_root));
    if non_root == Some(true) && user.unwrap_or_default() == 0 {
        bail!(
            "container has runAsNonRoot and would run as root: set securityContext.runAsUser (container {})",
            container.name
        );
    }
    let id = |value: i64| {
        u32::try_from(value).with_context(|| format!("user or group id {value} is out of range"))
    };
    let supplemental = pod
        .into_iter()
        .flat_map(|pod| pod.fs_group.into_iter().chain(pod.supplemental_groups.iter().flatten().copied()));
    let is_privileged = security.and_then(|own| own.privileged) == Some(true);
    Ok(Process {
        argv,
        fallback,
        env: environment.into_vec(),
        working_dir: container.working_dir.as_deref().filter(|dir| !dir.is_empty()).unwrap_or("/").into(),
        uid: id(user.unwrap_or_default())?,
        gid: id(group.unwrap_or_default())?,
        groups: supplemental.map(id).collect::<Result<_, _>>()?,
        capabilities: capabilities(security.and_then(|own| own.capabilities.as_ref()), is_privileged),
        no_new_privileges: security.and_then(|own| own.allow_privilege_escalation) == Some(false),
    })
}

/// The default set, less what is dropped, plus what is added.
fn capabilities(wanted: Option<&Capabilities>, is_privileged: bool) -> BTreeSet<String> {
    let all = || caps::all().into_iter().map(|capability| capability.to_string());
    if is_privileged {
        return all().collect();
    }
    let mut granted: BTreeSet<String> = DEFAULT_CAPABILITIES.map(str::to_owned).into();
    let named = |name: &str| {
        let name = name.to_uppercase();
        if name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
    };
    let (add, drop) = wanted.map_or((None, None), |wanted| (wanted.add.as_ref(), wanted.drop.as_ref()));
    for name in drop.into_iter().flatten().map(|name| named(name)) {
        if name == "CAP_ALL" {
            granted.clear();
        }
        granted.remove(&name);
    }
    for name in add.into_iter().flatten().map(|name| named(name)) {
        if name == "CAP_ALL" {
            granted.extend(all());
        } else {
            granted.insert(name);
        }
    }
    granted
}

fn sysctls(spec: &PodSpec) -> Vec<(String, String)> {
    let security = spec.security_context.as_ref();
    let sysctls = security.into_iter().flat_map(|security| security.sysctls.iter().flatten());
    sysctls.map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect()
}

fn hosts(spec: &PodSpec, hostname: &str, ips: &[IpAddr]) -> String {
    let mut text = "# Kubernetes-managed hosts file (ferrolb-lab).\n\
                    127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::0\tip6-localnet\n\
                    fe00::0\tip6-mcastprefix\n\
                    fe00::1\tip6-allnodes\n\
                    fe00::2\tip6-allrouters\n"
        .to_owned();
    for ip in ips {
        text += &format!("{ip}\t{hostname}\n");
    }
    for alias in spec.host_aliases.iter().flatten() {
        text += &format!("{}\t{}\n", alias.ip, alias.hostnames.clone().unwrap_or_default().join("\t"));
    }
    text
}

/// The lab has no cluster DNS: names resolve only through `/etc/hosts` and the Pod's own `dnsConfig`.
fn resolv_conf(spec: &PodSpec, namespace: &str) -> String {
    let config = spec.dns_config.clone().unwrap_or_default();
    let mut searches = config.searches.unwrap_or_default();
    if matches!(spec.dns_policy.as_deref(), Some("ClusterFirst" | "ClusterFirstWithHostNet")) {
        let cluster =
            [format!("{namespace}.svc.cluster.local"), "svc.cluster.local".into(), "cluster.local".into()];
        searches = cluster.into_iter().chain(searches).collect();
    }
    let mut text = "# The lab has no cluster DNS.\n".to_owned();
    for server in config.nameservers.unwrap_or_default() {
        text += &format!("nameserver {server}\n");
    }
    if !searches.is_empty() {
        text += &format!("search {}\n", searches.join(" "));
    }
    for option in config.options.unwrap_or_default() {
        let value = option.value.map(|value| format!(":{value}")).unwrap_or_default();
        text += &format!("options {}{value}\n", option.name.unwrap_or_default());
    }
    text
}

/// Runs commands in a running container, as its own process runs.
#[derive(Debug)]
pub(super) struct Exec {
    pub(super) program: PathBuf,
    pub(super) process: Process,
    pub(super) pid: i32,
    /// Directory of the container, for the specifications.
    pub(super) dir: PathBuf,
    pub(super) count: AtomicU64,
}

impl Exec {
    /// Runs a command to its end; dropping the future kills it.
    pub(super) async fn run(&self, purpose: &str, command: &[String]) -> anyhow::Result<CommandOutput> {
        let process = Process { argv: command.to_vec(), fallback: None, ..self.process.clone() };
        let spec = Spec { parent: std::process::id(), entry: Entry::Join { pid: self.pid }, process };
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let file = SpecFile(self.dir.join(format!("{purpose}-{number}.json")));
        run_command(&self.program, &spec, &file.0).await
    }
}

/// Removes the specification also when a timeout drops the command.
struct SpecFile(PathBuf);

impl Drop for SpecFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "specification not removed");
        }
    }
}

#[cfg(test)]
mod tests;
