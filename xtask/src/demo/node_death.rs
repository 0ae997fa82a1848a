//! The node that announces loses its power while a client keeps asking.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::Stage;
use super::outage::Outage;
use crate::probe::{self, Sample};
use crate::process;

const ADDRESS: &str = "192.168.100.240";

/// Requests of the client: at 20 ms each 8 s, and at most 40 s if none is answered.
const REQUESTS: u32 = 400;
const INTERVAL_MS: u32 = 20;
const TIMEOUT_MS: u32 = 100;

/// Answers that must have come before the power is cut.
const ANSWERS_BEFORE: usize = 25;

/// Kills the node that announces [`ADDRESS`], shows what the client saw, and brings it back.
/// Returns the node that announces afterwards.
///
/// # Errors
/// When the address does not come back, or the node does not.
pub(super) fn play(stage: &Stage) -> Result<String> {
    stage.section("The node that announces loses its power while the client keeps asking");
    let victim = stage.until("the ServiceL2Status of svc-lb", || announcer(stage))?;
    stage.kubectl("get servicel2statuses --all-namespaces")?;
    println!(
        "{victim} announces {ADDRESS}. The client asks every {INTERVAL_MS} ms and waits at most {TIMEOUT_MS} ms.\n"
    );
    let control_plane = stage.ask(&format!("get node {victim} --show-labels"))?;
    let took_api_server = control_plane.contains("node-role.kubernetes.io/control-plane");

    let (cut_at, samples) = kill_under_load(stage, &victim)?;
    tell(&victim, cut_at, &samples)?;
    if took_api_server {
        println!("\nThe API server died with {victim}; nobody asked it:\n");
        stage.kubectl_may_fail("get nodes --request-timeout=2s")?;
    }
    let successor = owner(stage)?;
    println!("{successor} took over.");
    ensure!(
        successor != victim,
        "{victim} has no power, yet the client's neighbour table says that it has {ADDRESS}"
    );

    stage.section(&format!("{victim} comes back"));
    println!("$ cargo xtask lab start-node {victim}");
    process::run(&mut stage.lab(&format!("start-node {victim}")))?;
    stage.until(&format!("the speaker of {victim}"), || speaker_is_back(stage, &victim, cut_at))?;
    stage.kubectl("get nodes")?;
    stage.kubectl("get pods -o wide --namespace ferrolb-system")?;
    let heir = owner(stage)?;
    stage.until("the ServiceL2Status of the owner", || Ok(announcer(stage)?.filter(|node| *node == heir)))?;
    stage.kubectl("get servicel2statuses --all-namespaces")?;
    if heir == successor {
        println!("{heir} keeps the address.\n");
    } else {
        println!("The address is back at {heir}, the first in the order that every speaker computes.\n");
    }
    stage.kubectl("get services")?;
    Ok(heir)
}

#[derive(Deserialize)]
struct List {
    items: Vec<ServiceL2Status>,
}

#[derive(Deserialize)]
struct ServiceL2Status {
    #[serde(default)]
    status: Announced,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Announced {
    node: String,
    service_name: String,
    service_namespace: String,
}

/// The node that says that it announces `svc-lb`.
fn announcer(stage: &Stage) -> Result<Option<String>> {
    let list: List = serde_json::from_str(&stage.ask("get servicel2statuses --all-namespaces -o json")?)?;
    let ours = |status: &Announced| status.service_name == "svc-lb" && status.service_namespace == "default";
    Ok(list.items.into_iter().map(|item| item.status).find(ours).map(|status| status.node))
}

/// `Some` when a speaker that started after `since_ms` is ready on `node`.
fn speaker_is_back(stage: &Stage, node: &str, since_ms: u64) -> Result<Option<()>> {
    let speakers = "--namespace ferrolb-system --selector app.kubernetes.io/component=speaker";
    let pods = stage.ask(&format!("get pods {speakers} --field-selector spec.nodeName={node} -o json"))?;
    let pods: serde_json::Value = serde_json::from_str(&pods)?;
    let container =
        pods.pointer("/items/0/status/containerStatuses/0").context("the speaker has no container yet")?;
    let started = container.pointer("/state/running/startedAt").and_then(serde_json::Value::as_str);
    let started: jiff::Timestamp = started.context("the speaker does not run")?.parse()?;
    // Kubernetes tells it in whole seconds.
    let is_new = u64::try_from(started.as_second())? >= since_ms / 1000;
    let is_ready = container.get("ready").and_then(serde_json::Value::as_bool) == Some(true);
    Ok((is_new && is_ready).then_some(()))
}

/// The node whose link-layer address the client has for [`ADDRESS`], shown as the client shows it.
fn owner(stage: &Stage) -> Result<String> {
    stage.curl(&format!("http://{ADDRESS}"))?;
    let line = format!("ip neigh show {ADDRESS}");
    println!("client$ {line}");
    let entry = process::output(&mut stage.lab(&format!("exec client -- {line}")))?;
    println!("{entry}");
    let mac = entry.split_whitespace().skip_while(|word| *word != "lladdr").nth(1);
    let mac = mac.with_context(|| format!("the client has no link-layer address for {ADDRESS}: {entry}"))?;
    for host in ["master", "worker1", "worker2"] {
        // A node without power has no address to compare.
        let link = process::output(&mut stage.lab(&format!("exec {host} -- ip -o link show eth0")));
        if link.is_ok_and(|link| link.contains(mac)) {
            return Ok(host.to_owned());
        }
    }
    bail!("{mac} is no living node's link-layer address")
}

/// A client that asks while we do something else.
struct Client {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn start(stage: &Stage) -> Result<Self> {
        let own = env::current_exe().context("find xtask's own program")?;
        let mut command = stage.lab("exec client --");
        command.arg(own).args(["probe", &format!("http://{ADDRESS}")]);
        command.arg(format!("--count={REQUESTS}")).arg(format!("--interval-ms={INTERVAL_MS}"));
        command.arg(format!("--timeout-ms={TIMEOUT_MS}")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start the client")?;
        let stdout = child.stdout.take().context("the client's standard output is not a pipe")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    fn next(&mut self) -> Result<Option<Sample>> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        Ok(Some(serde_json::from_str(&line?).context("read a sample of the client")?))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Cuts the power of `victim` between two requests; returns when, and what the client saw.
fn kill_under_load(stage: &Stage, victim: &str) -> Result<(u64, Vec<Sample>)> {
    let mut client = Client::start(stage)?;
    let mut samples = Vec::new();
    while samples.iter().filter(|sample: &&Sample| sample.answer.is_some()).count() < ANSWERS_BEFORE {
        let sample = client.next()?;
        samples.push(sample.context("the client ended before it had enough answers")?);
    }
    println!("$ cargo xtask lab kill-node {victim}");
    let cut_at = probe::now_ms();
    process::run(&mut stage.lab(&format!("kill-node {victim}")))?;
    while let Some(sample) = client.next()? {
        samples.push(sample);
    }
    Ok((cut_at, samples))
}

/// Tells the turns of the client's fortune, and how long the outage was.
fn tell(victim: &str, cut_at: u64, samples: &[Sample]) -> Result<()> {
    let start = samples.first().context("the client asked nothing")?.at_ms;
    let at = |ms: u64| format!("{:+8.3} s", Duration::from_millis(ms.saturating_sub(start)).as_secs_f64());
    println!("\nWhat the client saw:");
    let mut was_answered = None;
    let mut cut = Some(cut_at);
    for sample in samples {
        if let Some(cut_at) = cut.take_if(|cut_at| *cut_at <= sample.until_ms) {
            println!("{}  -- the power of {victim} is being cut --", at(cut_at));
        }
        if was_answered.replace(sample.answer.is_some()) != Some(sample.answer.is_some()) {
            let saw = sample.answer.clone().or_else(|| sample.error.clone()).unwrap_or_default();
            println!("{}  {saw}", at(sample.at_ms));
        }
    }
    let outage = Outage::of(samples);
    println!("\n{} requests, {} without an answer.", outage.asked, outage.failed);
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    match outage.first_failure_to_answer {
        Some(length) => println!(
            "Outage: {} from the first request without an answer to the next answer; longest time between two answers {}.",
            seconds(length),
            seconds(outage.longest_gap)
        ),
        None if outage.failed == 0 => {
            println!("No request failed; longest time between two answers {}.", seconds(outage.longest_gap));
        }
        None => {
            bail!("{ADDRESS} did not answer again within {REQUESTS} requests after {victim} lost its power")
        }
    }
    Ok(())
}
