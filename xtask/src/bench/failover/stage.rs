//! The cluster: a lab of three nodes, the first of which survives everything.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::contender::Contender;
use super::processes;
use crate::{lab, process, workspace};

/// A lab of its own, so that one that is up stays up.
const NAME: &str = "benchfail";
/// The nodes that may have the address.
pub(crate) const CANDIDATES: [&str; 2] = ["worker1", "worker2"];
/// The address, see `bench/failover/pool.yaml`.
pub(super) const ADDRESS: &str = "192.168.100.240";
/// How long things that take seconds may take.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The lab, which goes when this is dropped, and the folder of its files.
#[derive(Debug)]
pub(crate) struct Stage {
    directory: PathBuf,
    /// The candidates' MAC addresses, in their order.
    macs: Vec<String>,
}

impl Stage {
    /// A new lab with `contender` and the Service in it.
    pub(crate) fn new(contender: &dyn Contender) -> Result<Self> {
        let directory = workspace::target().join("bench/failover");
        fs::create_dir_all(&directory)
            .with_context(|| format!("could not create {}", directory.display()))?;
        process::run(&mut lab::command(NAME, ["down"]))?;
        let mut stage = Self { directory, macs: Vec::new() };
        let parameters = stage.path("lab.yaml");
        fs::write(&parameters, contender.lab().to_string())
            .with_context(|| format!("could not write {}", parameters.display()))?;
        stage.lab(["up", "--nodes=3", "--ip-family=ipv4", "--config", &parameters.display().to_string()])?;
        for node in CANDIDATES {
            stage.macs.push(stage.exec(node, &["cat", "/sys/class/net/eth0/address"])?.trim().to_owned());
        }
        stage.apply("service.yaml")?;
        stage.kubectl(&["wait", "pod/web", "--for=condition=ready", "--timeout=60s"])?;
        processes::hasten_echo_servers(NAME, "ferrolb-lab")?;
        contender.install(&stage)?;
        Ok(stage)
    }

    /// Path of the file or folder `name` that belongs to this benchmark.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs a command of the lab.
    pub(super) fn lab<const N: usize>(&self, arguments: [&str; N]) -> Result<()> {
        self.quietly(lab::command(NAME, arguments))
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = lab::command(NAME, ["kubectl", "--"]);
        process::output(command.args(arguments))
    }

    /// Path of the kubeconfig of whoever may do everything.
    #[expect(clippy::unused_self, reason = "there is a cluster as long as there is a stage")]
    pub(crate) fn kubeconfig(&self) -> Result<String> {
        Ok(process::output(&mut lab::command(NAME, ["kubeconfig"]))?.trim().to_owned())
    }

    /// Applies a file of `bench/failover`.
    pub(super) fn apply(&self, file: &str) -> Result<()> {
        let path = workspace::root().join("bench/failover").join(file);
        self.kubectl(&["apply", "-f", &path.display().to_string()]).map(drop)
    }

    /// Runs a program on a host of the lab.
    pub(crate) fn exec(&self, host: &str, arguments: &[&str]) -> Result<String> {
        process::output(on(host).args(arguments))
    }

    /// Plugs a node's cable in or pulls it, at the switch.
    pub(super) fn set_link(&self, node: &str, state: &str) -> Result<()> {
        let switch = format!("{NAME}-lan");
        let mut ip = Command::new("ip");
        ip.args(["-n", &switch, "link", "set", "dev", node, state]);
        self.quietly(ip)
    }

    /// Ids of the processes called `name` on a node.
    #[expect(clippy::unused_self, reason = "there are nodes as long as there is a stage")]
    pub(crate) fn processes(&self, node: &str, name: &str) -> Result<Vec<String>> {
        processes::in_namespace(&format!("{NAME}-{node}"), name)
    }

    /// Waits until both candidates are ready and one of them keeps the address; returns it.
    pub(crate) fn settled(&self, contender: &dyn Contender) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut since: Option<(String, Instant)> = None;
        loop {
            let owner = self.ready_owner(contender)?;
            since = match (since, owner) {
                (Some((before, since)), Some(owner)) if before == owner => {
                    if since.elapsed() >= contender.calm() {
                        return Ok(owner);
                    }
                    Some((owner, since))
                }
                (_, owner) => owner.map(|owner| (owner, Instant::now())),
            };
            if Instant::now() >= deadline {
                bail!("no node keeps the address for {:?}; the last was {since:?}", contender.calm());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The node that has the address, if all candidates are ready.
    fn ready_owner(&self, contender: &dyn Contender) -> Result<Option<String>> {
        for node in CANDIDATES {
            if !contender.is_ready(self, node)? {
                return Ok(None);
            }
        }
        self.owner()
    }

    /// The node that has the address, if the client gets an answer.
    pub(crate) fn owner(&self) -> Result<Option<String>> {
        // Asked anew each time: what the client remembers says nothing about now.
        let ask = format!(
            "ip neigh del {ADDRESS} dev eth0 2>/dev/null; \
             curl -s -o /dev/null --max-time 1 http://{ADDRESS} && ip neigh show {ADDRESS}"
        );
        let Ok(entry) = self.exec("client", &["sh", "-c", &ask]) else { return Ok(None) };
        let owners = CANDIDATES.iter().zip(&self.macs);
        let owner = owners.into_iter().find(|(_, mac)| entry.contains(mac.as_str()));
        Ok(owner.map(|(node, _)| (*node).to_owned()))
    }

    /// Runs a command whose output is of interest only when it fails.
    #[expect(clippy::unused_self, reason = "there is something to run it on as long as there is a stage")]
    fn quietly(&self, mut command: Command) -> Result<()> {
        process::output(&mut command).map(drop)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = process::run(&mut lab::command(NAME, ["down"])) {
            println!("{error:#}");
        }
    }
}

/// A command on a host of the lab, without its arguments.
pub(super) fn on(host: &str) -> Command {
    lab::command(NAME, ["exec", host, "--"])
}
