//! The processes of the speakers, and what can happen to them.

use std::process::Command;

use crate::Cluster;

/// Speakers' processes that stand still until this value is gone.
#[derive(Debug)]
pub struct Stopped {
    processes: Vec<String>,
}

/// The series of this name and these labels in what a process counts; zero where there is none.
#[must_use]
pub fn counted(metrics: &str, series: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or(0)
}

impl Cluster {
    /// What the process of FerroLB counts whose admin port is at `admin`, seen from `host`.
    ///
    /// # Errors
    /// What curl could not do.
    pub fn metrics(&self, host: &str, admin: &str) -> Result<String, String> {
        let url = format!("http://{admin}/metrics");
        let output = self.lab.exec(host, &["curl", "-sS", "--max-time", "2", &url]);
        let output = output.map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What a node's speaker counts.
    ///
    /// # Errors
    /// What curl could not do.
    pub fn speaker_metrics(&self, node: &str) -> Result<String, String> {
        self.metrics(node, "127.0.0.1:9481")
    }

    /// Kills a node's speaker: the process ends without a word, the kubelet starts it again.
    pub fn kill_speaker(&self, node: &str) {
        for process in self.speakers(node) {
            signal("KILL", &process);
        }
    }

    /// Stops the speakers of these nodes where they are (SIGSTOP).
    #[must_use]
    pub fn stop_speakers(&self, nodes: &[&str]) -> Stopped {
        let stopped = Stopped { processes: nodes.iter().flat_map(|node| self.speakers(node)).collect() };
        stopped.processes.iter().for_each(|process| signal("STOP", process));
        stopped
    }

    /// The speakers' processes on a node: one, or two while one follows another.
    ///
    /// # Panics
    /// When there is none.
    fn speakers(&self, node: &str) -> Vec<String> {
        let host = self.lab.host(node).expect("the node exists");
        let output = Command::new("ip").args(["netns", "pids", &host.netns]).output().expect("`ip` runs");
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_speaker = |process: &&str| {
            let command = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let mut words = command.split(|octet| *octet == 0);
            words.next().is_some_and(|program| program.ends_with(b"/ferrolb"))
                && words.next() == Some(b"speaker")
        };
        let found: Vec<String> = output.lines().filter(is_speaker).map(str::to_owned).collect();
        assert!(!found.is_empty(), "no speaker runs on {node}");
        found
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.processes.iter().for_each(|process| signal("CONT", process));
    }
}

fn signal(name: &str, process: &str) {
    // One that has ended meanwhile needs no signal.
    drop(Command::new("kill").args([&format!("-{name}"), process]).output());
}
