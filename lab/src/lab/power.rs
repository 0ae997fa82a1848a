//! Nodes losing power and coming back.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;

use crate::cluster;
use crate::faults;
use crate::hosts::Host;
use crate::netns;
use crate::state::{StateDir, remove_directory};
use crate::topology;

use super::Lab;

impl Lab {
    /// Cuts a node's power: its cable goes dead first, then everything on it dies at once, Pods
    /// included, and nothing of it says goodbye. Files survive, memory does not.
    ///
    /// # Errors
    /// When there is no such node, or it is without power already.
    pub fn kill_node(&self, name: &str) -> anyhow::Result<()> {
        let _lock = self.state.lock()?;
        let node = self.node(name)?;
        let mut faults = self.faults()?;
        ensure!(faults.dead_nodes.insert(name.to_owned()), "node {name} is without power already");
        topology::unplug(self.name(), node)?;
        let mut namespaces = self.pod_namespaces(node);
        namespaces.push(node.netns.clone());
        netns::kill_processes(&namespaces)?;
        for process in self.processes_of(node) {
            self.processes.kill(&process);
        }
        // A socket somewhere else may keep the namespace alive, but not its place on the LAN.
        topology::remove_port(self.name(), node)?;
        for namespace in &namespaces {
            netns::delete(namespace)?;
        }
        let directory = self.state.node(name);
        StateDir::unmount_below(&directory)?;
        remove_directory(&directory.join("pods"))?;
        self.state.write_json(faults::FILE, &faults)
    }

    /// Gives a node its power back and waits until it is ready; on the master the control plane
    /// comes back with it.
    ///
    /// # Errors
    /// When the node runs already or does not become ready.
    pub fn start_node(&self, name: &str) -> anyhow::Result<()> {
        let _lock = self.state.lock()?;
        let node = self.node(name)?;
        let mut faults = self.faults()?;
        ensure!(faults.dead_nodes.remove(name), "node {name} runs already");
        let since = Timestamp::now();
        netns::delete(&node.netns)?;
        topology::create_host(self.name(), node, &self.hosts)?;
        self.state.write_json(faults::FILE, &faults)?;
        if node.is_master() {
            self.start_control_plane()?;
        }
        self.start_node_processes(node)?;
        self.wait_for_nodes(std::slice::from_ref(&node.name), since)
    }

    /// Starts the control plane and waits until it serves.
    pub(super) fn start_control_plane(&self) -> anyhow::Result<()> {
        let control_plane = self.control_plane()?;
        control_plane.start_api(&self.processes)?;
        let deadline = Instant::now() + Duration::from_secs(self.config.timeouts.control_plane_seconds);
        cluster::converse(&self.kubeconfig(), async |client| {
            cluster::wait_until(deadline, async || {
                self.check_processes(&self.control_plane_processes())?;
                cluster::api_ready(&client).await
            })
            .await
        })
        .context("the API server does not become ready")?;
        control_plane.start_followers(&self.processes)
    }

    /// Starts the kubelet stand-in and kube-proxy of a node.
    pub(super) fn start_node_processes(&self, node: &Host) -> anyhow::Result<()> {
        self.start_kubelet(node)?;
        crate::proxy::start(&self.config, &self.state, &self.facts.kubernetes, node, &self.processes)
    }

    /// Waits until these nodes are ready and their kube-proxy has programmed them.
    pub(super) fn wait_for_nodes(&self, names: &[String], since: Timestamp) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(self.config.timeouts.nodes_seconds);
        let nodes: Vec<&Host> = self.nodes().filter(|node| names.contains(&node.name)).collect();
        let processes: Vec<String> = nodes.iter().flat_map(|node| self.processes_of(node)).collect();
        cluster::converse(&self.kubeconfig(), async |client| {
            cluster::wait_until(deadline, async || {
                self.check_processes(&processes)?;
                cluster::nodes_ready(&client, names, since).await
            })
            .await?;
            cluster::wait_until(deadline, async || crate::proxy::all_healthy(&nodes)).await
        })
        .with_context(|| {
            format!("nodes do not become ready; their logs are in {}", self.state.logs().display())
        })
    }

    /// An error with the log of the first process that has died.
    fn check_processes(&self, names: &[String]) -> anyhow::Result<()> {
        match names.iter().find(|name| !self.processes.is_running(name)) {
            Some(dead) => bail!(self.processes.death(dead)),
            None => Ok(()),
        }
    }

    fn node(&self, name: &str) -> anyhow::Result<&Host> {
        let host = self.host(name)?;
        ensure!(host.is_node(), "{name} is not a node; nodes are {}", self.node_names().join(", "));
        Ok(host)
    }

    /// Namespaces of the Pods of a node, as its kubelet recorded them.
    fn pod_namespaces(&self, node: &Host) -> Vec<String> {
        let pods = std::fs::read_dir(self.state.node(&node.name).join("pods"));
        let records = pods.into_iter().flatten().flatten().map(|pod| pod.path().join("netns"));
        records
            .filter_map(|record| std::fs::read_to_string(record).ok())
            .map(|name| name.trim().rsplit('/').next().unwrap_or_default().to_owned())
            .filter(|name| crate::hosts::owns_netns(self.name(), name))
            .collect()
    }
}
