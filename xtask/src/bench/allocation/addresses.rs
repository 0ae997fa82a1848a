//! Which address each Service has, followed through one watch, as any client would see it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
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
    watch: Child,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug)]
struct Seen {
    addresses: BTreeMap<String, String>,
    changed: Instant,
}

impl Addresses {
    /// Follows what `watch` prints, a line for each event.
    pub(super) fn follow(watch: &mut Command) -> Result<Self> {
        let child = watch.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("could not start `{}`", process::shown(watch)))?;
        let lines = BufReader::new(child.stdout.take().context("the watch's output is not a pipe")?).lines();
        let seen = Arc::new(Mutex::new(Seen { addresses: BTreeMap::new(), changed: Instant::now() }));
        let writer = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.map_while(std::io::Result::ok) {
                let (service, address) = line.split_once(' ').unwrap_or((&line, ""));
                lock(&writer).record(service, address);
            }
        });
        Ok(Self { watch: child, seen })
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
        // One that has ended cannot be killed, which is what is wanted.
        drop(self.watch.kill());
        drop(self.watch.wait());
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

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_service_counts_and_no_address_is_none() {
        let lines = r"printf 'a \nb 10.0.0.1\nb 10.0.0.2\na 10.1.0.1\nc \n'; sleep 60";
        let addresses = Addresses::follow(Command::new("sh").args(["-c", lines])).unwrap();
        addresses.wait(2, |_| true).unwrap();
        addresses.wait(1, |address| address == "10.0.0.2").unwrap();
        assert_eq!(addresses.count(|address| address == "10.0.0.1"), 0);
    }
}
