//! `ferrolb-peer` as the scenarios have it: told what to do, and asked how things are.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::description::{Command, Description, View};
use crate::stage::{Host, Stage};
use crate::wait::DEADLINE;

/// Views that wait to be looked at; beyond it the process waits with its next one.
const VIEWS_MAX: usize = 1_024;

/// A running `ferrolb-peer`. Dropping it kills it: the router's TCP sees its end, and nothing is said.
#[derive(Debug)]
pub struct Speaker {
    child: Child,
    /// Open until the process shall end.
    stdin: Option<ChildStdin>,
    views: Receiver<View>,
    /// The one that was seen last.
    view: View,
}

impl Speaker {
    /// Starts it, with a session to have.
    ///
    /// # Errors
    /// There is no such program beside this one.
    pub fn start(stage: &Stage, description: &Description) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("ferrolb-peer");
        let log =
            std::fs::File::options().create(true).append(true).open(stage.outside("ferrolb-peer.log"))?;
        let mut command = stage.on(Host::Speaker, &program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("its standard output is not a pipe")?;
        let (sender, views) = sync_channel(VIEWS_MAX);
        // Ends with the process, whose pipe it reads, or with the receiver.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(view) = serde_json::from_str(&line) else { return };
                if sender.send(view).is_err() {
                    return;
                }
            }
        });
        let mut speaker = Self { child, stdin, views, view: View::default() };
        speaker.tell(&Command::Speak(description.clone()))?;
        Ok(speaker)
    }

    /// Has it do something else from now on.
    ///
    /// # Errors
    /// It has ended.
    pub fn tell(&mut self, command: &Command) -> Result<()> {
        let stdin = self.stdin.as_mut().context("ferrolb-peer has ended")?;
        let line = serde_json::to_string(command)? + "\n";
        stdin.write_all(line.as_bytes()).context("tell ferrolb-peer; its log says why it has ended")
    }

    /// Waits until things are as expected, and returns how they are.
    ///
    /// # Errors
    /// They were not before [`DEADLINE`], or it has ended.
    pub fn wait(&mut self, what: &str, is_expected: impl Fn(&View) -> bool) -> Result<View> {
        self.wait_at_most(DEADLINE, what, is_expected)
    }

    /// The same, with a deadline that is part of what is to be shown.
    ///
    /// # Errors
    /// They were not in time, or it has ended.
    pub fn wait_at_most(
        &mut self,
        time: Duration,
        what: &str,
        is_expected: impl Fn(&View) -> bool,
    ) -> Result<View> {
        let deadline = Instant::now() + time;
        while !is_expected(&self.view) {
            match self.views.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(view) => self.view = view,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("not within {time:?}: {what}; ferrolb-peer says: {:?}", self.view)
                }
                Err(RecvTimeoutError::Disconnected) => bail!("ferrolb-peer ended before {what}"),
            }
        }
        Ok(self.view.clone())
    }

    /// How things are now.
    pub fn view(&mut self) -> View {
        while let Ok(view) = self.views.try_recv() {
            self.view = view;
        }
        self.view.clone()
    }

    /// Kills it.
    ///
    /// # Errors
    /// The system does not let this process kill another, or wait for its end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It did not before [`DEADLINE`], or said that something went wrong.
    pub fn wait_for_end(&mut self) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("ferrolb-peer ended with {status}"),
                None if Instant::now() >= deadline => bail!("ferrolb-peer does not end"),
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // One that has ended already is none that could be killed.
        let _killed = self.kill();
    }
}
