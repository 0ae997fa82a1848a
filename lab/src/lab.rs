//! A lab that is up: its hosts, running programs on them, and its cluster.

mod down;
mod power;
mod status;
mod up;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::cluster;
use crate::config::LabConfig;
use crate::control_plane::{API_PORT, ControlPlane};
use crate::faults::{self, Faults};
use crate::hosts::{self, Host};
use crate::netns;
use crate::process::Processes;
use crate::program::run;
use crate::proxy;
use crate::reset::{self, Baseline};
use crate::state::{self, Facts, StateDir};
use crate::steps::Steps;

pub use status::{NodeStatus, ProcessStatus, Status};

/// Namespace FerroLB is installed in.
const FERROLB_NAMESPACE: &str = "ferrolb-system";
const BASELINES: &str = "baselines.json";
const FACTS: &str = "facts.json";

/// A handle on a running lab. It holds no process: dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Lab {
    config: LabConfig,
    state: StateDir,
    facts: Facts,
    hosts: Vec<Host>,
    processes: Processes,
}

impl Lab {
    /// Opens the lab of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(name: &str) -> anyhow::Result<Self> {
        let state = StateDir::of(name)?;
        ensure!(
            state.exists(),
            "no lab \"{name}\" in {}; start it with `lab up --name {name}`, `lab list` shows those there are",
            state::base().display()
        );
        let half_built = || format!("lab \"{name}\" is half built; `lab down --name {name}` removes it");
        let config = state.read_config().with_context(half_built)?;
        let facts = state.read_json(FACTS).with_context(half_built)?;
        let hosts = hosts::hosts(&config)?;
        let processes = Processes::of(&state);
        Ok(Self { config, state, facts, hosts, processes })
    }

    /// Names of the labs that have state on this machine, running or not.
    ///
    /// # Errors
    /// When the state directory cannot be listed.
    pub fn list() -> anyhow::Result<Vec<String>> {
        state::names()
    }

    /// The lab's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The parameters it was started with.
    #[must_use]
    pub fn config(&self) -> &LabConfig {
        &self.config
    }

    /// All hosts: nodes in order, then the client and the router.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host of this name.
    ///
    /// # Errors
    /// When there is none; the error lists those there are.
    pub fn host(&self, name: &str) -> anyhow::Result<&Host> {
        let known = || self.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = self.hosts.iter().find(|host| host.name == name);
        found.with_context(|| format!("no host \"{name}\" in lab \"{}\"; there are {}", self.name(), known()))
    }

    /// Names of the nodes, the control plane's first.
    #[must_use]
    pub fn node_names(&self) -> Vec<String> {
        self.nodes().map(|node| node.name.clone()).collect()
    }

    /// Address of a host on the LAN, of the preferred family.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn address(&self, host: &str) -> anyhow::Result<IpAddr> {
        preferred_address(self.host(host)?)
    }

    /// Kubeconfig of the administrator, for clients on this machine.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.kubeconfig()
    }

    /// The lab's directory: logs, pidfiles, per-node state.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.state.root()
    }

    /// A command for the lab's own kubectl, with its kubeconfig.
    #[must_use]
    pub fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.facts.kubernetes.join("kubectl"));
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.state.kubectl_cache())
            .args(args);
        command
    }

    /// Runs the lab's kubectl to its end. A command that fails is not an error: look at the status.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.kubectl_command(args).output().with_context(|| format!("start kubectl {}", args.join(" ")))
    }

    /// A command that runs on a host.
    ///
    /// # Errors
    /// When there is no such host, or it is without power.
    pub fn command(&self, host: &str, argv: &[&str]) -> anyhow::Result<Command> {
        let host = self.host(host)?;
        ensure!(!argv.is_empty(), "no command to run on {}", host.name);
        if !netns::exists(&host.netns) {
            bail!("host {} is down; `lab start-node {}` brings it back", host.name, host.name);
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &host.netns]).args(argv);
        Ok(command)
    }

    /// Runs a command on a host to its end. One that fails is not an error: look at the status.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub fn exec(&self, host: &str, argv: &[&str]) -> anyhow::Result<Output> {
        self.command(host, argv)?.output().with_context(|| format!("run {} on {host}", argv.join(" ")))
    }

    /// As [`Self::exec`], without blocking; the command is killed when the future is dropped.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub async fn exec_async(&self, host: &str, argv: &[&str]) -> anyhow::Result<Output> {
        let mut command = tokio::process::Command::from(self.command(host, argv)?);
        command.kill_on_drop(true).stdin(std::process::Stdio::null());
        command.output().await.with_context(|| format!("run {} on {host}", argv.join(" ")))
    }

    /// A client of the lab's API server, with all rights, on the caller's runtime.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn kube_client(&self) -> anyhow::Result<kube::Client> {
        cluster::client(&self.kubeconfig()).await
    }

    /// The faults in force on the LAN.
    ///
    /// # Errors
    /// When their file cannot be read.
    pub fn faults(&self) -> anyhow::Result<Faults> {
        self.state.read_json(faults::FILE)
    }

    /// Drops all frames between two hosts, both ways.
    ///
    /// # Errors
    /// When a host is unknown or the switch refuses.
    pub fn partition(&self, a: &str, b: &str) -> anyhow::Result<()> {
        ensure!(a != b, "a host cannot be cut off from itself: name two hosts");
        self.host(a)?;
        self.host(b)?;
        self.change_faults(|faults| faults.partition(a, b))
    }

    /// Drops this percentage of the frames to and from a host; 0 ends it.
    ///
    /// # Errors
    /// When the host is unknown, the percentage above 100 or the switch refuses.
    pub fn loss(&self, host: &str, percent: u8) -> anyhow::Result<()> {
        self.host(host)?;
        ensure!(percent <= 100, "loss of {percent} %: expected 0 to 100");
        self.change_faults(|faults| faults.lose(host, percent))
    }

    /// Ends all partitions and losses. Nodes without power stay so.
    ///
    /// # Errors
    /// When the switch refuses.
    pub fn heal(&self) -> anyhow::Result<()> {
        self.change_faults(Faults::heal)
    }

    /// Makes the cluster empty and whole again: faults healed, nodes restarted, objects of tests
    /// deleted, nodes as after `up`. Prints and returns how long that took.
    ///
    /// # Errors
    /// Names what does not go away or come back.
    pub fn reset(&self) -> anyhow::Result<Duration> {
        let steps = Steps::start();
        self.heal()?;
        let dead = self.faults()?.dead_nodes;
        // The control plane first: the others cannot register without it.
        for node in self.nodes().filter(|node| dead.contains(&node.name)) {
            steps.run(&format!("node {} restarted", node.name), || self.start_node(&node.name))?;
            if node.is_master() {
                self.end_api_connections()?;
            }
        }
        let deadline = Instant::now() + Duration::from_secs(self.config.timeouts.reset_seconds);
        let kubeconfig = self.kubeconfig();
        let baselines: std::collections::BTreeMap<String, Baseline> = self.state.read_json(BASELINES)?;
        steps.run("nodes restored, objects deleted", || {
            cluster::converse(&kubeconfig, async |client| {
                // Nodes first: one that was tainted or cordoned may be what keeps objects alive.
                reset::restore_nodes(&client, &baselines).await?;
                reset::delete_objects(&client, deadline).await
            })
        })?;
        // A Service of the same name would start with the old one's dead Pods.
        steps.run("rules of deleted Services gone", || self.wait_for_kube_proxy(deadline))?;
        if self.config.ferrolb.install {
            steps.run("FerroLB ready", || self.wait_for_ferrolb())?;
        }
        Ok(steps.finish(&format!("lab \"{}\" reset", self.name())))
    }

    /// Ends all connections to the API server from nodes and Pods. Clients of a master that lost power
    /// wait, some for minutes, for an answer on a connection that nobody remembers.
    fn end_api_connections(&self) -> anyhow::Result<()> {
        let master = &self.master()?.netns;
        let filter = format!("( dport = :{API_PORT} or dport = :443 )");
        for namespace in netns::list()?.iter().filter(|name| hosts::owns_netns(self.name(), name)) {
            if namespace != master {
                run(
                    "ip",
                    &["netns", "exec", namespace, "ss", "-K", "-H", "-t", "state", "established", &filter],
                    "",
                )?;
            }
        }
        Ok(())
    }

    fn change_faults(&self, change: impl FnOnce(&mut Faults)) -> anyhow::Result<()> {
        let _lock = self.state.lock()?;
        let mut faults = self.faults()?;
        change(&mut faults);
        faults.apply(self.name())?;
        self.state.write_json(faults::FILE, &faults)
    }

    fn wait_for_kube_proxy(&self, deadline: Instant) -> anyhow::Result<()> {
        let nodes: Vec<&Host> = self.nodes().collect();
        cluster::converse(&self.kubeconfig(), async |client| {
            let services = reset::services(&client).await?;
            let look = async || proxy::all_forgot(self.config.proxy_mode, &nodes, &services);
            cluster::wait_until(deadline, look).await
        })
    }

    fn wait_for_ferrolb(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(self.config.timeouts.ferrolb_seconds);
        cluster::converse(&self.kubeconfig(), async |client| {
            cluster::wait_until(deadline, async || cluster::workloads_ready(&client, FERROLB_NAMESPACE).await)
                .await
        })
        .context("FerroLB is not ready; look at it with `lab kubectl -- -n ferrolb-system get pods`")
    }

    fn nodes(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.is_node())
    }

    fn master(&self) -> anyhow::Result<&Host> {
        self.nodes().find(|node| node.is_master()).context("the lab has no master")
    }

    fn control_plane(&self) -> anyhow::Result<ControlPlane<'_>> {
        let master = self.master()?;
        Ok(ControlPlane {
            config: &self.config,
            state: &self.state,
            kubernetes: &self.facts.kubernetes,
            master,
            address: preferred_address(master)?,
        })
    }
}

fn preferred_address(host: &Host) -> anyhow::Result<IpAddr> {
    host.ips().first().copied().with_context(|| format!("host {} has no address", host.name))
}
