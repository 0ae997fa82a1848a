//! FerroLB and MetalLB: a DaemonSet of speakers, the same objects, the same nodes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::contender::Contender;
use super::scenario::Scenario;
use super::stage::Stage;
use crate::bench::peer::METALLB;
use crate::workspace;

/// A load balancer whose speakers are a DaemonSet called `speaker`.
#[derive(Debug)]
pub(crate) struct InCluster {
    name: &'static str,
    namespace: &'static str,
    /// Label of the speakers' Pods.
    speakers: &'static str,
    process: String,
    ready_url: &'static str,
    /// What marks a node that is to give its addresses up: kind of mark, key and value.
    drain: (&'static str, &'static str, &'static str),
    observation: Duration,
    calm: Duration,
    /// Images and the programs that stand in for them.
    images: Vec<(&'static str, PathBuf)>,
    /// A manifest to install, with its own patches; ours is installed by the lab.
    manifest: Option<PathBuf>,
    /// A file of `bench` that changes the DaemonSet once it is installed.
    patch: Option<&'static str>,
}

impl InCluster {
    /// Ours, as `deploy/ferrolb.yaml` has it.
    pub(crate) fn ferrolb(program: PathBuf) -> Self {
        Self {
            name: "ferrolb",
            namespace: "ferrolb-system",
            speakers: "app.kubernetes.io/component=speaker",
            // Of a program that is built already, it may be another.
            process: program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            ready_url: "http://127.0.0.1:9481/readyz",
            drain: ("annotate", "ferrolb.io/drain", "true"),
            observation: Duration::from_secs(3),
            calm: Duration::from_secs(2),
            images: vec![("ferrolb/ferrolb", program)],
            manifest: None,
            patch: None,
        }
    }

    /// Ours with the profile `fast`.
    pub(crate) fn ferrolb_fast(program: PathBuf) -> Self {
        Self { name: "ferrolb fast", patch: Some("liveness/fast.yaml"), ..Self::ferrolb(program) }
    }

    /// MetalLB with memberlist, as its manifest has it. Its documented way to take a node out is the
    /// label that excludes it from load balancers.
    pub(crate) fn metallb() -> Result<Self> {
        Ok(Self {
            name: METALLB.name,
            namespace: "metallb-system",
            speakers: "component=speaker",
            process: "speaker".to_owned(),
            ready_url: "http://127.0.0.1:17472/readyz",
            drain: ("label", "node.kubernetes.io/exclude-from-external-load-balancers", ""),
            observation: Duration::from_secs(12),
            calm: Duration::from_secs(4),
            images: vec![
                ("quay.io/metallb/controller", METALLB.ensure_built("controller")?),
                ("quay.io/metallb/speaker", METALLB.ensure_built("speaker")?),
            ],
            manifest: Some(METALLB.source()?.join("config/manifests/metallb-native.yaml")),
            patch: None,
        })
    }

    fn wait_for_rollout(&self, stage: &Stage) -> Result<()> {
        let namespace = format!("--namespace={}", self.namespace);
        stage.kubectl(&["rollout", "status", "daemonset/speaker", &namespace, "--timeout=120s"]).map(drop)
    }
}

impl Contender for InCluster {
    fn name(&self) -> &'static str {
        self.name
    }

    fn lab(&self) -> Value {
        let image = |(image, program): &(&str, PathBuf)| json!({ "image": image, "program": program });
        json!({
            "images": self.images.iter().map(image).collect::<Vec<_>>(),
            "ferrolb": { "install": self.manifest.is_none() },
        })
    }

    fn install(&self, stage: &Stage) -> Result<()> {
        if let Some(manifest) = &self.manifest {
            let directory = kustomized(stage, self.name, manifest)?;
            let directory = directory.display().to_string();
            stage.kubectl(&["apply", "--server-side", "-k", &directory])?;
            stage.kubectl(&[
                "wait",
                "customresourcedefinition",
                "--all",
                "--for=condition=established",
                "--timeout=30s",
            ])?;
        }
        if let Some(patch) = self.patch {
            let patch = format!("--patch-file={}", workspace::root().join("bench").join(patch).display());
            let namespace = format!("--namespace={}", self.namespace);
            stage.kubectl(&["patch", "daemonset/speaker", &namespace, &patch])?;
        }
        self.wait_for_rollout(stage)?;
        stage.apply("pool.yaml")
    }

    fn process(&self) -> &str {
        &self.process
    }

    fn observation(&self) -> Duration {
        self.observation
    }

    fn calm(&self) -> Duration {
        self.calm
    }

    fn plays(&self, _scenario: Scenario) -> bool {
        true
    }

    fn is_ready(&self, stage: &Stage, node: &str) -> Result<bool> {
        // Not the Pod's condition, which is what it was while its node was dead.
        Ok(stage.exec(node, &["curl", "-sf", "--max-time", "1", self.ready_url]).is_ok())
    }

    fn drain(&self, stage: &Stage, node: &str) -> Result<()> {
        let (verb, key, value) = self.drain;
        stage.kubectl(&[verb, "node", node, &format!("{key}={value}")]).map(drop)
    }

    fn undrain(&self, stage: &Stage, node: &str) -> Result<()> {
        let (verb, key, _) = self.drain;
        stage.kubectl(&[verb, "node", node, &format!("{key}-")]).map(drop)
    }

    fn upgrade(&self, stage: &Stage) -> Result<()> {
        let namespace = format!("--namespace={}", self.namespace);
        stage.kubectl(&["rollout", "restart", "daemonset/speaker", &namespace])?;
        self.wait_for_rollout(stage)
    }

    /// A new Pod, because the kubelet waits longer before each restart of a container.
    fn revive(&self, stage: &Stage, node: &str) -> Result<()> {
        let namespace = format!("--namespace={}", self.namespace);
        let node = format!("--field-selector=spec.nodeName={node}");
        let speakers = format!("--selector={}", self.speakers);
        stage.kubectl(&["delete", "pod", &namespace, &speakers, &node])?;
        self.wait_for_rollout(stage)
    }
}

/// The folder with the manifest and our patches of it.
fn kustomized(stage: &Stage, name: &str, manifest: &Path) -> Result<PathBuf> {
    let directory = stage.path(name);
    fs::create_dir_all(&directory).with_context(|| format!("could not create {}", directory.display()))?;
    let patches = workspace::root().join("bench/failover").join(name).join("kustomization.yaml");
    for from in [patches.as_path(), manifest] {
        let to = directory.join(from.file_name().context("a manifest has a file name")?);
        // The text and not the file: Go's module cache is read-only.
        let text = fs::read(from).with_context(|| format!("could not read {}", from.display()))?;
        fs::write(&to, text).with_context(|| format!("could not write {}", to.display()))?;
    }
    Ok(directory)
}
