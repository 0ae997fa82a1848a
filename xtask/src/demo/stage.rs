//! Where the demo plays: commands and their output, as they happen.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{lab, process, workspace};

/// Between two looks at something that is awaited.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long the network may take to do what was asked: programming every kube-proxy included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the walkthrough's files are; kubectl runs there.
const FILES: &str = "examples/walkthrough";

/// A lab, and the reader's terminal.
#[derive(Debug)]
pub(super) struct Stage {
    lab: &'static str,
}

impl Stage {
    pub(super) fn new(lab: &'static str) -> Self {
        Self { lab }
    }

    pub(super) fn section(&self, title: &str) {
        println!("\n=== {title}\n");
    }

    /// A command about the lab.
    pub(super) fn lab(&self, line: &str) -> Command {
        lab::command(self.lab, line.split_whitespace())
    }

    fn kubectl_command(&self, line: &str) -> Command {
        let mut command = self.lab("kubectl --");
        command.current_dir(workspace::root().join(FILES)).args(line.split_whitespace());
        command
    }

    /// Shows a kubectl command and its output, which is returned too.
    ///
    /// # Errors
    /// When kubectl fails.
    pub(super) fn kubectl(&self, line: &str) -> Result<String> {
        let output = self.show_kubectl(line)?;
        ensure!(output.status.success(), "`kubectl {line}` ended with {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Shows a kubectl command that may fail.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub(super) fn kubectl_may_fail(&self, line: &str) -> Result<()> {
        self.show_kubectl(line).map(drop)
    }

    fn show_kubectl(&self, line: &str) -> Result<Output> {
        println!("$ kubectl {}", line.split_whitespace().map(process::quoted).collect::<Vec<_>>().join(" "));
        let mut command = self.kubectl_command(line);
        let output =
            command.output().with_context(|| format!("could not start `{}`", process::shown(&command)))?;
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    /// The output of a kubectl command that the reader need not see.
    ///
    /// # Errors
    /// When kubectl fails.
    pub(super) fn ask(&self, line: &str) -> Result<String> {
        process::output(&mut self.kubectl_command(line))
    }

    /// Shows what the client sees at `url`: the first answer, within [`PATIENCE`].
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn curl(&self, url: &str) -> Result<String> {
        self.curl_until(url, |_answer| true)
    }

    /// As [`Self::curl`], but the first answer that is `wanted`.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn curl_until(&self, url: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let line = format!("curl -s -m 2 {url}");
        let answer = self.until(&format!("the wanted answer to `{line}`"), || {
            let answer = process::output(&mut self.lab(&format!("exec client -- {line}")))?;
            Ok((!answer.is_empty() && wanted(answer.trim())).then_some(answer))
        })?;
        println!("client$ {line}\n{}\n", answer.trim_end());
        Ok(answer.trim().to_owned())
    }

    /// Shows how often each of `names` different answers comes when the client asks `times` times.
    ///
    /// # Errors
    /// When not as many answer.
    pub(super) fn curl_spread(&self, url: &str, times: u32, names: usize) -> Result<()> {
        let script = format!("for i in $(seq {times}); do curl -s -m 2 {url}; done | sort | uniq -c");
        let spread = self.until(&format!("{names} different answers from {url}"), || {
            let mut command = self.lab("exec client -- sh -c");
            let spread = process::output(command.arg(&script))?;
            Ok((spread.lines().count() == names).then_some(spread))
        })?;
        println!("client$ {script}\n{}\n", spread.trim_end());
        Ok(())
    }

    /// Looks until there is something to see, within [`PATIENCE`]. An error means not yet.
    ///
    /// # Errors
    /// When the time is up; with the last reason.
    pub(super) fn until<T>(&self, what: &str, look: impl Fn() -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reason = match look() {
                Ok(Some(seen)) => return Ok(seen),
                Ok(None) => None,
                Err(error) => Some(format!("{error:#}")),
            };
            if Instant::now() >= deadline {
                let reason = reason.unwrap_or_else(|| "everything else answered".to_owned());
                bail!("waited {} s for {what}, in vain; last: {reason}", PATIENCE.as_secs());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// What to do with the lab, which stays up.
    #[expect(clippy::unnecessary_wraps, reason = "the last step of a play whose steps can fail")]
    pub(super) fn farewell(&self, owner: Option<&str>) -> Result<()> {
        self.section("The lab stays up. Three commands to try next");
        println!("cargo xtask lab exec client -- curl -s http://192.168.100.240");
        println!("cargo xtask lab kubectl -- describe service svc-lb");
        match owner {
            Some(node) => println!(
                "cargo xtask lab kill-node {node}      # it announces now; `start-node` brings it back"
            ),
            None => println!(
                "cargo xtask demo                        # the whole of it, with the death of a node"
            ),
        }
        println!("\n`cargo xtask lab down` removes it.");
        Ok(())
    }
}
