//! keepalived: VRRP between the two candidates, one plain process on each, as on a pair of hosts.
//!
//! The address is an address of the node that has it. What arrives there takes the same way to the Pod
//! as with the others: through kube-proxy, to which it is an external address of the Service.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::contender::Contender;
use super::processes::{Signal, signal};
use super::scenario::Scenario;
use super::stage::{ADDRESS, CANDIDATES, Stage, on};

/// Debian's.
const PROGRAM: &str = "keepalived";
/// How long it may take to end.
const END_MAX: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// keepalived with one configuration.
#[derive(Debug)]
pub(super) struct Keepalived {
    name: &'static str,
    /// Lines of the VRRP instance.
    settings: &'static str,
    running: Mutex<BTreeMap<String, Child>>,
}

impl Keepalived {
    /// As it is unless configured otherwise: VRRP version 2, an advertisement every second.
    pub(super) fn defaults() -> Self {
        Self { name: "keepalived", settings: "", running: Mutex::default() }
    }

    /// VRRP version 3 with ten advertisements a second.
    pub(super) fn fast() -> Self {
        Self {
            name: "keepalived 100 ms",
            settings: "  version 3\n  advert_int 0.1\n",
            running: Mutex::default(),
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, stage: &Stage, node: &str) -> Result<()> {
        let path = |kind: &str| stage.path(&format!("keepalived-{node}.{kind}"));
        fs::write(path("conf"), self.configuration(node)).context("could not write its configuration")?;
        for pid in ["pid", "vrrp.pid"] {
            // One that was killed leaves them behind, and would not be started a second time.
            drop(fs::remove_file(path(pid)));
        }
        let log = fs::File::options().create(true).append(true).open(path("log"))?;
        let mut command = on(node);
        command.args([PROGRAM, "--dont-fork", "--log-console", "--vrrp"]);
        command.arg("--use-file").arg(path("conf"));
        command.arg("--pid").arg(path("pid")).arg("--vrrp_pid").arg(path("vrrp.pid"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("could not start {PROGRAM}"))?;
        self.running().insert(node.to_owned(), child);
        Ok(())
    }

    fn configuration(&self, node: &str) -> String {
        let priority = if CANDIDATES.first() == Some(&node) { 100 } else { 90 };
        format!(
            "global_defs {{\n  router_id {node}\n}}\n\
             vrrp_instance address {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  \
             priority {priority}\n{}  virtual_ipaddress {{\n    {ADDRESS}/32\n  }}\n}}\n",
            self.settings
        )
    }

    /// Waits until the process that was started on the node has ended.
    fn wait_for_end(&self, node: &str) -> Result<()> {
        let Some(mut child) = self.running().remove(node) else { return Ok(()) };
        let deadline = Instant::now() + END_MAX;
        while child.try_wait().context("could not wait for it")?.is_none() {
            if Instant::now() >= deadline {
                bail!("{PROGRAM} on {node} does not end");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Contender for Keepalived {
    fn name(&self) -> &'static str {
        self.name
    }

    fn lab(&self) -> Value {
        json!({ "ferrolb": { "install": false } })
    }

    fn install(&self, stage: &Stage) -> Result<()> {
        let external = json!({ "spec": { "externalIPs": [ADDRESS] } }).to_string();
        stage.kubectl(&["patch", "service", "web", "--patch", &external])?;
        CANDIDATES.into_iter().try_for_each(|node| self.start(stage, node))
    }

    fn process(&self) -> &str {
        PROGRAM
    }

    fn observation(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn calm(&self) -> Duration {
        // At its defaults a node that is back waits for three advertisements.
        Duration::from_secs(4)
    }

    /// Its processes belong to nodes, not to a DaemonSet: replacing one is a planned move.
    fn plays(&self, scenario: Scenario) -> bool {
        scenario != Scenario::Upgrade
    }

    fn is_ready(&self, stage: &Stage, node: &str) -> Result<bool> {
        Ok(!stage.processes(node, PROGRAM)?.is_empty())
    }

    /// It ends in order: the other is told to take over.
    fn drain(&self, stage: &Stage, node: &str) -> Result<()> {
        signal(&stage.processes(node, PROGRAM)?, Signal::Terminate)
    }

    fn undrain(&self, stage: &Stage, node: &str) -> Result<()> {
        self.revive(stage, node)
    }

    fn upgrade(&self, _stage: &Stage) -> Result<()> {
        bail!("{PROGRAM} has no DaemonSet")
    }

    fn revive(&self, stage: &Stage, node: &str) -> Result<()> {
        self.wait_for_end(node)?;
        ensure!(stage.processes(node, PROGRAM)?.is_empty(), "a second {PROGRAM} runs on {node}");
        self.start(stage, node)
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        for child in self.running().values_mut() {
            // The lab has killed it with its node; this takes note of it.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Its version, such as `v2.2.7`.
pub(super) fn version() -> String {
    let said = Command::new(PROGRAM).arg("--version").output();
    // It says so on standard error.
    let said = said.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
    said.split_whitespace().nth(1).unwrap_or("unknown").to_owned()
}
