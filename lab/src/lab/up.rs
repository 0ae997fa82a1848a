//! Starting a lab.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;

use crate::binaries;
use crate::cluster;
use crate::config::LabConfig;
use crate::control_plane::{API_PORT, url};
use crate::faults::{self, Faults};
use crate::forward;
use crate::hosts::{self, Host};
use crate::node::{ImageConfig, NodeConfig};
use crate::pki::{Identity, Pki, write_kubeconfig};
use crate::process::{Process, Processes};
use crate::program::{beside, lab_program};
use crate::requirements;
use crate::reset;
use crate::state::{Facts, StateDir};
use crate::steps::{Steps, say};
use crate::topology;

use super::status::kubelet_process;
use super::{BASELINES, FACTS, Lab};

/// Images of the walkthroughs, answered by the lab's echo server.
const ECHO_IMAGES: [&str; 3] = ["sysnet4admin/echo-hname", "sysnet4admin/echo-ip", "whatwant/node-web"];
const FERROLB_IMAGE: &str = "ferrolb/ferrolb";
const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// Without it, the walkthrough's Pods would also run on the master.
const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/control-plane=:NoSchedule";
/// Clients with certificates of their own, besides the kubelets.
const COMPONENTS: [&str; 3] = ["kube-controller-manager", "kube-scheduler", "kube-proxy"];
const ADMIN: &str = "admin";
const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";

impl Lab {
    /// Starts a lab and returns when it is ready. A lab that runs with the same parameters is left
    /// as it is, one that is half dead is removed first.
    ///
    /// # Errors
    /// Names what is missing on the machine or did not become ready. What was started stays for
    /// inspection until `down` or the next `up`.
    pub fn up(config: LabConfig) -> anyhow::Result<Self> {
        config.validate()?;
        requirements::check_programs(&config)?;
        let state = StateDir::of(&config.name)?;
        let _lock = state.lock()?;
        if let Some(running) = Self::running(&config, &state)? {
            return Ok(running);
        }
        let steps = Steps::start();
        let program = lab_program()?;
        let manifest = manifest(&config)?;
        let images = images(&config, &program)?;
        let kubernetes = steps.run("Kubernetes programs found", binaries::ensure_built)?;
        steps.run("leftovers removed", || Self::remove(&config.name, &state))?;
        steps.run("kernel tried", || requirements::try_kernel(&config))?;
        let hosts = hosts::hosts(&config)?;
        let processes = Processes::of(&state);
        let facts = Facts { program, kubernetes, port: 0 };
        let mut lab = Self { config, state, facts, hosts, processes };
        steps.run("hosts and switch", || lab.create_network())?;
        steps.run("certificates, kubeconfigs, node configurations", || lab.write_files(&images))?;
        steps.run("etcd and kube-apiserver", || lab.start_control_plane())?;
        steps.run("nodes ready, kube-proxy programmed", || lab.start_nodes())?;
        if let Some(manifest) = manifest {
            steps.run("FerroLB installed and ready", || lab.install_ferrolb(&manifest))?;
        }
        steps.finish(&format!("lab \"{}\" is up", lab.name()));
        Ok(lab)
    }

    /// The lab, if it runs in full with these parameters.
    fn running(config: &LabConfig, state: &StateDir) -> anyhow::Result<Option<Self>> {
        if !state.exists() {
            return Ok(None);
        }
        let Ok(lab) = Self::open(&config.name) else { return Ok(None) };
        let status = lab.status()?;
        if !status.is_whole() {
            say(&format!("lab \"{}\" is not whole and is started anew", config.name));
            return Ok(None);
        }
        ensure!(
            lab.config == *config,
            "lab \"{name}\" runs with other parameters ({}); `lab down --name {name}` first, or choose another name",
            state.root().join("lab.yaml").display(),
            name = config.name,
        );
        say(&format!("lab \"{}\" is up already{}", config.name, status.faults));
        Ok(Some(lab))
    }

    fn write_files(&mut self, images: &[ImageConfig]) -> anyhow::Result<()> {
        self.state.create(&self.node_names())?;
        self.state.write_config(&self.config)?;
        self.state.write_json(faults::FILE, &Faults::default())?;
        self.create_pki()?;
        let api_server = SocketAddr::new(self.address("master")?, API_PORT);
        self.facts.port =
            forward::start(&self.config.name, &self.facts.program, api_server, &self.processes)?;
        self.write_kubeconfigs(api_server)?;
        for node in self.nodes() {
            self.node_config(node, api_server, images.to_vec())?.write()?;
        }
        self.state.write_json(FACTS, &self.facts)
    }

    fn create_pki(&self) -> anyhow::Result<()> {
        let names = ["localhost", "master", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut names: Vec<String> = names.map(str::to_owned).to_vec();
        names.push("kubernetes.default.svc.cluster.local".into());
        let mut addresses: Vec<IpAddr> = vec!["127.0.0.1".parse()?, "::1".parse()?];
        addresses.extend(self.master()?.ips());
        for plan in self.config.address_plans() {
            addresses.extend(plan.services.nth(1));
        }
        let mut clients = vec![Identity::admin(ADMIN), Identity::admin(KUBELET_CLIENT)];
        clients.extend(COMPONENTS.map(Identity::component));
        clients.extend(self.nodes().map(|node| Identity::kubelet(&node.name)));
        Pki::at(self.state.pki()).create(&names, &addresses, &clients)
    }

    fn write_kubeconfigs(&self, api_server: SocketAddr) -> anyhow::Result<()> {
        let pki = Pki::at(self.state.pki());
        let ca = pki.ca().certificate;
        let on_lan = url(api_server.ip(), api_server.port());
        let kubelets = self.nodes().map(|node| Identity::kubelet(&node.name).file);
        for component in COMPONENTS.map(str::to_owned).into_iter().chain(kubelets) {
            let path = self.state.component_kubeconfig(&component);
            write_kubeconfig(&path, &on_lan, &ca, &pki.files(&component))?;
        }
        let on_machine = format!("https://127.0.0.1:{}", self.facts.port);
        write_kubeconfig(&self.kubeconfig(), &on_machine, &ca, &pki.files(ADMIN))
    }

    fn node_config(
        &self,
        node: &Host,
        api_server: SocketAddr,
        images: Vec<ImageConfig>,
    ) -> anyhow::Result<NodeConfig> {
        let plan = *self.config.address_plans().first().context("no address family")?;
        let is_tainted = node.is_master() && self.config.nodes > 1;
        Ok(NodeConfig {
            name: node.name.clone(),
            lab: self.config.name.clone(),
            netns: node.netns.clone(),
            internal_ips: node.ips(),
            pod_cidrs: node.pod_prefixes.iter().map(ToString::to_string).collect(),
            kubeconfig: self.state.component_kubeconfig(&Identity::kubelet(&node.name).file),
            state_dir: self.state.node(&node.name),
            labels: role_labels(node),
            taints: if is_tainted { vec![CONTROL_PLANE_TAINT.to_owned()] } else { Vec::new() },
            kubernetes_version: binaries::kubernetes_version()?,
            images,
            api_server,
            service_ip: plan.services.nth(1).context("services: no address for kubernetes")?,
            cluster_ca: Pki::at(self.state.pki()).ca().certificate,
        })
    }

    fn create_network(&self) -> anyhow::Result<()> {
        topology::create_lan(self.name())?;
        self.hosts.iter().try_for_each(|host| topology::create_host(self.name(), host, &self.hosts))
    }

    fn start_nodes(&self) -> anyhow::Result<()> {
        let since = Timestamp::now();
        self.nodes().try_for_each(|node| self.start_node_processes(node))?;
        self.wait_for_nodes(&self.node_names(), since)?;
        let deadline = Instant::now() + Duration::from_secs(self.config.timeouts.nodes_seconds);
        let baselines = cluster::converse(&self.kubeconfig(), async |client| {
            for node in self.nodes() {
                cluster::label_node(&client, &node.name, &role_labels(node)).await?;
            }
            cluster::wait_until(deadline, async || cluster::default_service_account(&client).await).await?;
            reset::baselines(&client).await
        })?;
        self.state.write_json(BASELINES, &baselines)
    }

    pub(super) fn start_kubelet(&self, node: &Host) -> anyhow::Result<()> {
        self.processes.spawn(Process {
            name: kubelet_process(&node.name),
            netns: &node.netns,
            program: &self.facts.program,
            args: vec!["node".into(), "--state".into(), self.state.node(&node.name).display().to_string()],
            env: vec![("RUST_LOG", self.config.log.node.clone())],
            stdin: Stdio::null(),
        })
    }

    fn install_ferrolb(&self, manifest: &std::path::Path) -> anyhow::Result<()> {
        let shown = manifest.display().to_string();
        let output = self.kubectl(&["apply", "-f", &shown])?;
        if !output.status.success() {
            bail!("`kubectl apply -f {shown}`: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        self.wait_for_ferrolb()
    }
}

/// Labels that say what a node is for. NodeRestriction lets nobody give them to itself.
fn role_labels(node: &Host) -> BTreeMap<String, String> {
    let role = node.is_master().then(|| (CONTROL_PLANE_LABEL.to_owned(), String::new()));
    role.into_iter().collect()
}

/// The manifest to install, if FerroLB is wanted.
fn manifest(config: &LabConfig) -> anyhow::Result<Option<PathBuf>> {
    if !config.ferrolb.install {
        return Ok(None);
    }
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/ferrolb.yaml"));
    let path = config.ferrolb.manifest.clone().unwrap_or_else(default);
    let path = path.canonicalize().with_context(|| {
        format!(
            "find FerroLB's manifest {}; correct `ferrolb.manifest`, or use --without-ferrolb",
            path.display()
        )
    })?;
    Ok(Some(path))
}

/// Which program stands in for which image, the configured ones first.
fn images(config: &LabConfig, lab_program: &std::path::Path) -> anyhow::Result<Vec<ImageConfig>> {
    let mut images = config.images.clone();
    for image in &mut images {
        image.program =
            beside(lab_program, &image.program).with_context(|| format!("image {}", image.image))?;
    }
    let built_in = |image: &str, program: PathBuf, args: &[&str]| ImageConfig {
        image: image.to_owned(),
        program,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: BTreeMap::new(),
    };
    images.extend(ECHO_IMAGES.map(|image| built_in(image, lab_program.to_owned(), &["echo"])));
    match beside(lab_program, "ferrolb".as_ref()) {
        Ok(program) => images.push(built_in(FERROLB_IMAGE, program, &[])),
        Err(error) if config.ferrolb.install => return Err(error.context("FerroLB is not built")),
        // A manifest applied later says itself that its image is unknown.
        Err(_) => {}
    }
    Ok(images)
}
