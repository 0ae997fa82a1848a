//! What the end-to-end tests share: a cluster that is empty at the start of each test, and
//! words for what a person would do and see, through kubectl and from the client outside.
//!
//! The lab is started by `cargo xtask test`; [`Cluster::fresh`] says what to do without it.
//! Every wait is for a condition, with a deadline, and says at the end what it last saw.

#![expect(clippy::indexing_slicing, reason = "a serde_json::Value answers null where there is nothing")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ferrolb_lab::Lab;

/// The environment variable that names the lab to test on.
pub const LAB_VARIABLE: &str = "FERROLB_E2E_LAB";
/// The lab that `cargo xtask test` starts.
pub const LAB_DEFAULT: &str = "ferrolbtest";
/// How long something may take that should happen within a second or a few. Generous: it is a
/// deadline for a broken system, not a measurement.
pub const SOON: Duration = Duration::from_secs(60);
/// Attempts of a condition per second.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A running cluster, empty but for FerroLB.
#[derive(Debug)]
pub struct Cluster {
    /// The lab it runs in.
    pub lab: Lab,
}

/// curl's exit code for a connection that was established and then broke.
const CURL_RECEIVE_ERROR: i32 = 56;

/// Ends the requests, also when the test fails meanwhile.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What somebody who requests something all the time sees while something happens.
#[derive(Debug, Default)]
pub struct Disturbance {
    /// The longest time between two successes.
    pub longest_gap: Duration,
    /// What curl says of requests without a connection or an answer.
    pub failures: Vec<String>,
    /// Connections that were established, and reset before the answer: a move of the address breaks
    /// those of that instant as it breaks older ones.
    pub interrupted: usize,
}

impl Cluster {
    /// The lab, with everything removed that an earlier test made.
    ///
    /// # Panics
    /// When there is no lab, or it cannot be reset.
    #[must_use]
    pub fn fresh() -> Self {
        let name = std::env::var(LAB_VARIABLE).unwrap_or_else(|_| LAB_DEFAULT.into());
        let lab = Lab::open(&name).unwrap_or_else(|error| {
            panic!("{error:#}\nrun `cargo xtask test`, or `cargo xtask lab up --name {name}` as root first")
        });
        let took = lab.reset().unwrap_or_else(|error| panic!("the lab cannot be reset: {error:#}"));
        say(&format!("lab {name} reset in {:.1} s", took.as_secs_f64()));
        // What the client learnt of an address in an earlier test would reach a node that announces nothing.
        lab.exec("client", &["ip", "neigh", "flush", "all"]).expect("the client is there");
        Self { lab }
    }

    /// Runs kubectl, which must succeed; returns what it printed.
    ///
    /// # Panics
    /// When kubectl fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let output = self.kubectl_output(args);
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "kubectl {}: {stderr}{stdout}", args.join(" "));
        stdout
    }

    /// Runs kubectl, which must refuse; returns what it said.
    ///
    /// # Panics
    /// When kubectl succeeds.
    pub fn kubectl_refused(&self, args: &[&str]) -> String {
        let output = self.kubectl_output(args);
        let (stdout, stderr) = texts(&output);
        assert!(!output.status.success(), "kubectl {} was accepted: {stdout}", args.join(" "));
        stderr
    }

    fn kubectl_output(&self, args: &[&str]) -> Output {
        self.lab.kubectl(args).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Creates a file of `examples/walkthrough`, as the walkthrough does: `kubectl create -f`.
    pub fn create_example(&self, file: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/walkthrough").join(file);
        self.kubectl(&["create", "-f", &path.to_string_lossy()])
    }

    /// Applies `yaml`, which must be accepted.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn apply(&self, yaml: &str) -> String {
        let output = self.apply_output(yaml);
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{stderr}\n{yaml}");
        stdout
    }

    /// Applies `yaml`, which must be refused; returns what was said.
    ///
    /// # Panics
    /// When the API server takes it.
    pub fn apply_refused(&self, yaml: &str) -> String {
        let output = self.apply_output(yaml);
        let (stdout, stderr) = texts(&output);
        assert!(!output.status.success(), "was accepted: {stdout}\n{yaml}");
        stderr
    }

    fn apply_output(&self, yaml: &str) -> Output {
        let mut command = self.lab.kubectl_command(&["apply", "-f", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(yaml.as_bytes()).expect("kubectl reads");
        drop(stdin);
        child.wait_with_output().expect("kubectl ends")
    }

    /// One object, or its absence, as JSON.
    #[must_use]
    pub fn get(&self, args: &[&str]) -> serde_json::Value {
        let mut all = vec!["get", "-o", "json", "--ignore-not-found"];
        all.extend(args);
        serde_json::from_str(&self.kubectl(&all)).unwrap_or(serde_json::Value::Null)
    }

    /// The addresses in a Service's status, of the default namespace.
    #[must_use]
    pub fn addresses(&self, service: &str) -> Vec<String> {
        let object = self.get(&["service", service]);
        let ingress = object["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
        ingress.iter().filter_map(|entry| Some(entry["ip"].as_str()?.to_owned())).collect()
    }

    /// Waits until the Service has exactly these addresses.
    pub fn wait_addresses(&self, service: &str, expected: &[&str]) {
        eventually(&format!("service {service} has addresses {expected:?}"), || {
            let found = self.addresses(service);
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }

    /// The Events of an object of the default namespace, as `Type Reason From Message` lines.
    #[must_use]
    pub fn events(&self, object: &str) -> Vec<String> {
        let list = self.get(&["events.events.k8s.io", "-n", "default"]);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let of_object = items.iter().filter(|event| event["regarding"]["name"].as_str() == Some(object));
        let text =
            |event: &serde_json::Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        of_object
            .map(|event| {
                let parts = ["type", "reason", "reportingController", "note"];
                parts.map(|part| text(event, part)).join(" ")
            })
            .collect()
    }

    /// Waits for an Event of the object that contains `text`.
    pub fn wait_event(&self, object: &str, text: &str) {
        eventually(&format!("{object} has an Event with {text:?}"), || {
            let events = self.events(object);
            if events.iter().any(|event| event.contains(text)) { Ok(()) } else { Err(events.join("\n")) }
        });
    }

    /// A condition of an object as `Status Reason: Message`.
    #[must_use]
    pub fn condition(&self, args: &[&str], type_: &str) -> String {
        let object = self.get(args);
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|condition| condition["type"].as_str() == Some(type_));
        let text = |field: &str| found.and_then(|condition| condition[field].as_str()).unwrap_or_default();
        format!("{} {}: {}", text("status"), text("reason"), text("message"))
    }

    /// Waits for a condition that starts with `Status Reason`; returns it whole.
    pub fn wait_condition(&self, args: &[&str], type_: &str, expected: &str) -> String {
        eventually(&format!("{} has {type_} = {expected}", args.join(" ")), || {
            let found = self.condition(args, type_);
            if found.starts_with(expected) { Ok(found) } else { Err(found) }
        })
    }

    /// Requests `url` from the client outside the cluster once; returns the body.
    ///
    /// # Errors
    /// What went wrong, as curl says it.
    pub fn curl_once(&self, url: &str) -> Result<String, String> {
        let output = self.lab.exec("client", &["curl", "-sS", "--max-time", "2", url]);
        let output = output.map_err(|error| format!("{error:#}"))?;
        let (stdout, stderr) = texts(&output);
        if output.status.success() { Ok(stdout.trim_end().to_owned()) } else { Err(stderr) }
    }

    /// Requests `url` from the client until it answers.
    pub fn curl(&self, url: &str) -> String {
        eventually(&format!("{url} answers"), || self.curl_once(url))
    }

    /// Requests `url` over and over while `disturb` runs and until requests succeed again.
    ///
    /// # Panics
    /// When requests do not succeed again.
    pub fn disturbed(&self, url: &str, disturb: impl FnOnce()) -> Disturbance {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let requests = scope.spawn(|| self.request_until(url, &done));
            let ended = End(&done);
            disturb();
            self.curl(url);
            drop(ended);
            requests.join().expect("the requests do not panic")
        })
    }

    fn request_until(&self, url: &str, done: &AtomicBool) -> Disturbance {
        let mut seen = Disturbance::default();
        let mut last_success = Instant::now();
        // TCP repeats a lost first segment after a second: each that is lost is a failure.
        let argv = ["curl", "-sS", "--connect-timeout", "0.2", "--max-time", "0.9", url];
        while !done.load(Ordering::Relaxed) {
            let Ok(output) = self.lab.exec("client", &argv) else { continue };
            if output.status.success() {
                seen.longest_gap = seen.longest_gap.max(last_success.elapsed());
                last_success = Instant::now();
            } else if output.status.code() == Some(CURL_RECEIVE_ERROR) {
                seen.interrupted += 1;
            } else {
                seen.failures.push(texts(&output).1);
            }
        }
        seen
    }

    /// Who answers `count` requests to `url`, all of which must succeed.
    ///
    /// # Panics
    /// When a request fails.
    #[must_use]
    pub fn answers(&self, url: &str, count: usize) -> BTreeSet<String> {
        let answer = |_| self.curl_once(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        (0..count).map(answer).collect()
    }

    /// Requests `url` until all of `count` answers were seen.
    pub fn wait_answers(&self, url: &str, count: usize) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        eventually(&format!("{count} Pods answer at {url}"), || {
            seen.insert(self.curl_once(url)?);
            if seen.len() == count { Ok(()) } else { Err(format!("{seen:?}")) }
        });
        seen
    }

    /// The node that announces a Service, by its `ServiceL2Status`; waits until there is one.
    pub fn announcer(&self, service: &str) -> String {
        eventually(&format!("a node announces {service}"), || self.announcer_now(service))
    }

    /// The node that announces a Service now.
    ///
    /// # Errors
    /// There is not exactly one; those there are.
    pub fn announcer_now(&self, service: &str) -> Result<String, String> {
        let selector = format!("metallb.io/service-name={service}");
        let list = self.get(&["servicel2statuses.metallb.io", "-n", "ferrolb-system", "-l", &selector]);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let node = |item: &serde_json::Value| item["status"]["node"].as_str().map(str::to_owned);
        let nodes: Vec<String> = items.iter().filter_map(node).collect();
        match nodes.as_slice() {
            [node] => Ok(node.clone()),
            _ => Err(format!("{nodes:?}")),
        }
    }

    /// Waits until `node` announces the Service.
    pub fn wait_announcer(&self, service: &str, node: &str) {
        eventually(&format!("{node} announces {service}"), || match self.announcer_now(service)? {
            found if found == node => Ok(()),
            found => Err(found),
        });
    }

    /// The walkthrough's pool and advertisement.
    pub fn create_pool(&self) {
        self.create_example("metallb-ip.yaml");
        self.create_example("metallb-l2.yaml");
    }

    /// Three Pods that answer on 8080, and the Service `svc-lb` in front of them, reachable.
    pub fn create_web(&self) {
        self.create_example("rs-web-v1.yaml");
        self.create_example("svc-node-web-lb.yaml");
        self.wait_addresses("svc-lb", &["192.168.100.240"]);
        self.curl("http://192.168.100.240");
    }
}

/// A pool of the given name and addresses in MetalLB's namespace.
#[must_use]
pub fn pool_yaml(name: &str, addresses: &[&str]) -> String {
    let mut yaml = format!(
        "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n\
         metadata: {{name: {name}, namespace: metallb-system}}\nspec:\n  addresses:\n"
    );
    for address in addresses {
        writeln!(yaml, "  - {address}").expect("a String takes text");
    }
    yaml
}

/// A LoadBalancer Service on port 80 for the Pods with label app=`app`; `more` are further
/// lines of its spec.
#[must_use]
pub fn service_yaml(name: &str, app: &str, more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  type: LoadBalancer\n  \
         ports: [{{name: http, port: 80, targetPort: 8080}}]\n  selector: {{app: {app}}}\n{more}"
    )
}

/// Tries `attempt` until it succeeds, for [`SOON`].
///
/// # Panics
/// When it never does; the message says what is missing and what was seen last.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(seen) => assert!(Instant::now() < deadline, "not within {SOON:?}: {what}; last seen: {seen}"),
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Asserts that `holds` stays true for `duration`.
///
/// # Panics
/// When it does not; the message says what was seen.
pub fn stays(what: &str, duration: Duration, mut holds: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        if let Err(seen) = holds() {
            panic!("{what} did not last: {seen}");
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Prints a finding of a test, such as a time it measured.
#[expect(clippy::print_stderr, reason = "test output")]
pub fn say(text: &str) {
    eprintln!("{text}");
}

fn texts(output: &Output) -> (String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

pub mod bgp;
pub mod bgp_more;
mod capture;
mod layer2;
mod router;
mod second_lan;
mod speakers;

pub use capture::{Capture, Frame, Kind};
pub use layer2::{V4, V6, advertisement_yaml, on_nodes};
pub use router::Router;
pub use second_lan::SecondLan;
pub use speakers::{Stopped, counted};
