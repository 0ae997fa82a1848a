//! Which address each Service has, followed through one watch, as any client would see it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::controller::PATIENCE;
use crate::process;

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// One line an event: the Service's name, and its address if it has one.
pub(super) const COLUMNS: &str = r#"jsonpath={.metadata.name} {.status.loadBalancer.ingress[0].ip}{"\n"}"#;

/// The addresses by Service; the watch ends when this is dropped.
#[derive(Debug)]
pub(super) struct Addresses {
    /// The process that watches; `None` once it is not wanted any more.
    watch: Arc<Mutex<Option<Child>>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    addresses: BTreeMap<String, String>,
    changed: Instant,
}

impl Addresses {
    /// Follows what `watch` prints, a line for each event. An API server that is busy ends the watch of
    /// who reads slowly; then it is started again, and begins with all there is.
    pub(super) fn follow(mut watch: Command) -> Result<Self> {
        let (child, mut lines) = start(&mut watch)?;
        let running = Arc::new(Mutex::new(Some(child)));
        let seen = Arc::new(Mutex::new(Seen { addresses: BTreeMap::new(), changed: Instant::now() }));
        let (writer, current) = (Arc::clone(&seen), Arc::clone(&running));
        std::thread::spawn(move || {
            loop {
                for line in lines.by_ref().map_while(std::io::Result::ok) {
                    let (service, address) = line.split_once(' ').unwrap_or((&line, ""));
                    lock(&writer).record(service, address);
                }
                let mut current = lock(&current);
                let Some(ended) = current.as_mut() else { return };
                drop(ended.wait());
                let Ok((child, output)) = start(&mut watch) else { return };
                (*current, lines) = (Some(child), output);
            }
        });
        Ok(Self { watch: running, seen })
    }

    /// When a Service last came, or its address last changed.
    pub(super) fn changed(&self) -> Instant {
        lock(&self.seen).changed
    }

    /// How many Services have an address that fits.
    pub(super) fn count(&self, fits: impl Fn(&str) -> bool) -> usize {
        lock(&self.seen).addresses.values().filter(|address| !address.is_empty() && fits(address)).count()
    }

    /// Waits until `wanted` Services have an address that fits; returns when the last one came.
    pub(super) fn wait(&self, wanted: usize, fits: impl Fn(&str) -> bool) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let have = self.count(&fits);
            if have == wanted {
                return Ok(self.changed());
            }
            ensure!(Instant::now() < deadline, "{have} of {wanted} Services have their address");
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        if let Some(mut watch) = lock(&self.watch).take() {
            // One that has ended cannot be killed, which is what is wanted.
            drop(watch.kill());
            drop(watch.wait());
        }
    }
}

impl Seen {
    fn record(&mut self, service: &str, address: &str) {
        if self.addresses.get(service).map(String::as_str) != Some(address) {
            self.addresses.insert(service.to_owned(), address.to_owned());
            self.changed = Instant::now();
        }
    }
}

/// A process that watches, and what it prints.
fn start(watch: &mut Command) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let child = watch.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("could not start `{}`", process::shown(watch)))?;
    let output = child.stdout.take().context("the watch's output is not a pipe")?;
    Ok((child, BufReader::new(output).lines()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(script: &str) -> Addresses {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Addresses::follow(command).unwrap()
    }

    #[test]
    fn a_watch_that_ends_is_started_again() {
        let name = format!("ferrolb-watch-{}", std::process::id());
        let been = std::env::temp_dir().join(name);
        let script = "if [ -e $0 ]; then printf 'a 10.0.0.1\\n'; sleep 60; else touch $0; printf 'a \\n'; fi";
        let addresses = followed(&script.replace("$0", &been.display().to_string()));
        addresses.wait(1, |address| address == "10.0.0.1").unwrap();
        std::fs::remove_file(been).unwrap();
    }

    #[test]
    fn the_last_line_of_a_service_counts_and_no_address_is_none() {
        let lines = r"printf 'a \nb 10.0.0.1\nb 10.0.0.2\na 10.1.0.1\nc \n'; sleep 60";
        let addresses = followed(lines);
        addresses.wait(2, |_| true).unwrap();
        addresses.wait(1, |address| address == "10.0.0.2").unwrap();
        assert_eq!(addresses.count(|address| address == "10.0.0.1"), 0);
    }
}
