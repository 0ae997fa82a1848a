//! The control plane on the master node: etcd, kube-apiserver, kube-controller-manager and
//! kube-scheduler, each with credentials of its own, RBAC, Node authorization and NodeRestriction on.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use crate::config::LabConfig;
use crate::hosts::Host;
use crate::pki::Pki;
use crate::process::{Process, Processes};
use crate::state::StateDir;

/// Port of kube-apiserver on the master.
pub(crate) const API_PORT: u16 = 6443;
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";

/// Names of the processes, in the order they start.
pub(crate) const ETCD_PROCESS: &str = "etcd";
pub(crate) const API_PROCESS: &str = "kube-apiserver";
pub(crate) const FOLLOWERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

/// What the control plane's flags are made from.
#[derive(Debug)]
pub(crate) struct ControlPlane<'a> {
    pub config: &'a LabConfig,
    pub state: &'a StateDir,
    /// Directory of the Kubernetes programs.
    pub kubernetes: &'a Path,
    pub master: &'a Host,
    /// The master's address of the preferred family.
    pub address: IpAddr,
}

impl ControlPlane<'_> {
    /// Starts the store and the API server, which waits for it.
    pub(crate) fn start_api(&self, processes: &Processes) -> anyhow::Result<()> {
        self.start(processes, ETCD_PROCESS, self.etcd_flags())?;
        self.start(processes, API_PROCESS, self.api_server_flags())
    }

    /// Starts the programs that give up when the API server is not there yet.
    pub(crate) fn start_followers(&self, processes: &Processes) -> anyhow::Result<()> {
        self.start(processes, "kube-controller-manager", self.controller_manager_flags())?;
        self.start(processes, "kube-scheduler", self.scheduler_flags())
    }

    fn start(&self, processes: &Processes, name: &str, args: Vec<String>) -> anyhow::Result<()> {
        processes.spawn(Process {
            name: name.into(),
            netns: &self.master.netns,
            program: &self.kubernetes.join(name),
            args,
            env: Vec::new(),
            stdin: Stdio::null(),
        })
    }

    fn etcd_flags(&self) -> Vec<String> {
        vec![
            "--name=lab".into(),
            flag("data-dir", self.state.etcd().display()),
            // A lab does not survive the machine, and the page cache survives a killed process.
            "--unsafe-no-fsync".into(),
            flag("listen-client-urls", ETCD),
            flag("advertise-client-urls", ETCD),
            flag("listen-peer-urls", ETCD_PEER),
            flag("initial-advertise-peer-urls", ETCD_PEER),
            flag("initial-cluster", format_args!("lab={ETCD_PEER}")),
            "--log-level=warn".into(),
        ]
    }

    fn api_server_flags(&self) -> Vec<String> {
        let pki = Pki::at(self.state.pki());
        let any = if self.address.is_ipv4() { "0.0.0.0" } else { "::" };
        let server = pki.files("kube-apiserver");
        let kubelet_client = pki.files("kube-apiserver-kubelet-client");
        let front_proxy = pki.files("front-proxy-client");
        vec![
            flag("advertise-address", self.address),
            flag("bind-address", any),
            flag("secure-port", API_PORT),
            flag("etcd-servers", ETCD),
            flag("service-cluster-ip-range", self.config.prefixes(|plan| plan.services)),
            "--authorization-mode=Node,RBAC".into(),
            "--enable-admission-plugins=NodeRestriction".into(),
            "--allow-privileged=true".into(),
            path_flag("client-ca-file", &pki.ca().certificate),
            path_flag("tls-cert-file", &server.certificate),
            path_flag("tls-private-key-file", &server.key),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
            path_flag("service-account-key-file", &pki.service_account_public_key()),
            path_flag("service-account-signing-key-file", &pki.service_account_key()),
            "--kubelet-preferred-address-types=InternalIP".into(),
            path_flag("kubelet-client-certificate", &kubelet_client.certificate),
            path_flag("kubelet-client-key", &kubelet_client.key),
            path_flag("requestheader-client-ca-file", &pki.files("front-proxy-ca").certificate),
            "--requestheader-allowed-names=front-proxy-client".into(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
            "--requestheader-group-headers=X-Remote-Group".into(),
            "--requestheader-username-headers=X-Remote-User".into(),
            path_flag("proxy-client-cert-file", &front_proxy.certificate),
            path_flag("proxy-client-key-file", &front_proxy.key),
            flag("v", self.config.log.kubernetes),
        ]
    }

    fn controller_manager_flags(&self) -> Vec<String> {
        let pki = Pki::at(self.state.pki());
        let ca = pki.ca();
        let mut flags = self.client_flags("kube-controller-manager");
        flags.extend([
            // Nodes bring their Pod prefixes along.
            "--controllers=*,-node-ipam-controller".into(),
            "--allocate-node-cidrs=false".into(),
            "--node-monitor-period=1s".into(),
            flag(
                "node-monitor-grace-period",
                format_args!("{}s", self.config.timeouts.node_monitor_grace_seconds),
            ),
            "--use-service-account-credentials=true".into(),
            path_flag("root-ca-file", &ca.certificate),
            path_flag("service-account-private-key-file", &pki.service_account_key()),
            path_flag("cluster-signing-cert-file", &ca.certificate),
            path_flag("cluster-signing-key-file", &ca.key),
            // Created if it is missing, and the default is outside the lab.
            path_flag("flex-volume-plugin-dir", &self.state.root().join("flex-volume-plugins")),
            // A lab's few objects come and go in bursts; the defaults are for sharing an API server.
            "--kube-api-qps=200".into(),
            "--kube-api-burst=400".into(),
        ]);
        flags
    }

    fn scheduler_flags(&self) -> Vec<String> {
        self.client_flags("kube-scheduler")
    }

    fn client_flags(&self, component: &str) -> Vec<String> {
        let kubeconfig = self.state.component_kubeconfig(component);
        vec![
            path_flag("kubeconfig", &kubeconfig),
            path_flag("authentication-kubeconfig", &kubeconfig),
            path_flag("authorization-kubeconfig", &kubeconfig),
            "--bind-address=127.0.0.1".into(),
            "--leader-elect=false".into(),
            flag("v", self.config.log.kubernetes),
        ]
    }
}

/// URL of an API server.
pub(crate) fn url(address: IpAddr, port: u16) -> String {
    format!("https://{}", SocketAddr::new(address, port))
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

fn path_flag(name: &str, path: &Path) -> String {
    flag(name, path.display())
}
