//! What of a lab runs.

use std::fmt;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::cluster;
use crate::control_plane::{API_PROCESS, ETCD_PROCESS, FOLLOWERS};
use crate::faults::Faults;
use crate::forward;
use crate::hosts::{Host, LAN, netns as netns_name};
use crate::netns;
use crate::proxy;

use super::Lab;

/// What of a lab runs.
#[derive(Clone, Debug)]
pub struct Status {
    /// The lab's name.
    pub lab: String,
    /// Kubeconfig of the administrator.
    pub kubeconfig: std::path::PathBuf,
    /// Every process the lab should have now.
    pub processes: Vec<ProcessStatus>,
    /// Hosts whose namespace is missing although nobody cut their power.
    pub missing_hosts: Vec<String>,
    /// The nodes as the cluster sees them, or why it does not answer.
    pub nodes: Result<Vec<NodeStatus>, String>,
    /// Faults in force.
    pub faults: Faults,
}

/// One process of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessStatus {
    /// Name, also of its log.
    pub name: String,
    /// Process id while it runs.
    pub pid: Option<i32>,
}

/// One node as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Name of the Node.
    pub name: String,
    /// Whether its `Ready` condition is true.
    pub ready: bool,
}

impl Status {
    /// Whether everything runs that nobody stopped on purpose.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let ready = |nodes: &Vec<NodeStatus>| {
            nodes.iter().all(|node| node.ready || self.faults.dead_nodes.contains(&node.name))
        };
        let master_is_dead = self.faults.dead_nodes.contains("master");
        self.missing_hosts.is_empty()
            && self.processes.iter().all(|process| process.pid.is_some())
            && (master_is_dead || self.nodes.as_ref().is_ok_and(ready))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.is_whole(), self.faults == Faults::default()) {
            (true, true) => "up",
            (true, false) => "up, with faults",
            (false, _) => "NOT whole",
        };
        write!(f, "lab \"{}\": {state}\nkubeconfig: {}", self.lab, self.kubeconfig.display())?;
        match &self.nodes {
            Ok(nodes) => {
                for node in nodes {
                    write!(f, "\nnode {:<10} {}", node.name, if node.ready { "Ready" } else { "NotReady" })?;
                }
            }
            Err(reason) => write!(f, "\nnodes: {reason}")?,
        }
        for host in &self.missing_hosts {
            write!(f, "\nhost {host:<10} missing")?;
        }
        for process in &self.processes {
            match process.pid {
                Some(pid) => write!(f, "\nprocess {:<26} {pid}", process.name)?,
                None => write!(f, "\nprocess {:<26} dead", process.name)?,
            }
        }
        write!(f, "{}", self.faults)
    }
}

impl Lab {
    /// Looks at everything the lab should have.
    ///
    /// # Errors
    /// When the lab's own files cannot be read; what does not run is no error.
    pub fn status(&self) -> anyhow::Result<Status> {
        let faults = self.faults()?;
        let alive = |host: &&Host| !faults.dead_nodes.contains(&host.name);
        let mut names = vec![forward::PROCESS.to_owned()];
        names.extend(self.nodes().filter(alive).flat_map(|node| self.processes_of(node)));
        let processes =
            names.into_iter().map(|name| ProcessStatus { pid: self.processes.running(&name), name });
        let namespaces = self.hosts.iter().filter(alive).map(|host| (host.name.clone(), host.netns.clone()));
        let lan = [(LAN.to_owned(), netns_name(self.name(), LAN))];
        let missing = namespaces.chain(lan).filter(|(_, namespace)| !netns::exists(namespace));
        Ok(Status {
            lab: self.name().to_owned(),
            kubeconfig: self.kubeconfig(),
            processes: processes.collect(),
            missing_hosts: missing.map(|(host, _)| host).collect(),
            nodes: self.node_statuses().map_err(|error| format!("{error:#}")),
            faults,
        })
    }

    fn node_statuses(&self) -> anyhow::Result<Vec<NodeStatus>> {
        cluster::converse(&self.kubeconfig(), async |client| {
            let nodes = Api::<Node>::all(client).list(&ListParams::default()).await?;
            let status = |node: &Node| NodeStatus { name: node.name_any(), ready: cluster::is_ready(node) };
            Ok(nodes.iter().map(status).collect())
        })
    }

    /// Names of the processes that run on a node.
    pub(super) fn processes_of(&self, node: &Host) -> Vec<String> {
        let mut names = Vec::new();
        if node.is_master() {
            names.extend(self.control_plane_processes());
            names.extend(FOLLOWERS.map(str::to_owned));
        }
        names.push(kubelet_process(&node.name));
        names.push(proxy::process_name(&node.name));
        names
    }

    pub(super) fn control_plane_processes(&self) -> Vec<String> {
        vec![ETCD_PROCESS.to_owned(), API_PROCESS.to_owned()]
    }
}

/// Name of the kubelet stand-in's process on a node.
pub(super) fn kubelet_process(node: &str) -> String {
    format!("kubelet-{node}")
}
