//! Contenders of one process that reads what it is to do from its standard input: ours, and MetalLB's
//! native BGP.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};
use ferrolb_interop::Stage;

use super::{Contender, Place};
use crate::Wanted;

/// Ours.
const SPEAKER: &str = "ferrolb-bench-speaker";
/// MetalLB's, built from `bench/bgp/native.go`.
const METALLB: &str = "metallb-native";

/// The process.
#[derive(Debug)]
pub(super) struct Told {
    child: Child,
    stdin: ChildStdin,
    language: Language,
}

/// What its lines are.
#[derive(Clone, Debug)]
enum Language {
    /// A [`Wanted`] as JSON.
    Wanted(Wanted),
    /// The number of routes.
    Number,
    /// It is told nothing.
    Nothing,
}

impl Told {
    /// Ours, told what is wanted.
    pub(super) fn speaker(place: Place<'_>, wanted: &Wanted) -> Result<Self> {
        let command = place.command(beside(SPEAKER)?);
        let mut speaker = Self::start(place, command, Language::Wanted(wanted.clone()))?;
        speaker.say(wanted.routes)?;
        Ok(speaker)
    }

    /// Ours before it is told anything.
    pub(super) fn idle(place: Place<'_>) -> Result<Self> {
        Self::start(place, place.command(beside(SPEAKER)?), Language::Nothing)
    }

    /// MetalLB's.
    pub(super) fn metallb(place: Place<'_>, wanted: &Wanted) -> Result<Self> {
        if !wanted.bfd.is_empty() {
            bail!("MetalLB's native BGP has no BFD");
        }
        let mut command = place.command(beside(METALLB)?);
        command.arg(wanted.local.to_string()).args(wanted.peers.iter().map(ToString::to_string));
        let mut metallb = Self::start(place, command, Language::Number)?;
        metallb.say(wanted.routes)?;
        Ok(metallb)
    }

    fn start(place: Place<'_>, mut command: Command, language: Language) -> Result<Self> {
        let log = place.stage.outside("told.log");
        let log = File::options().create(true).append(true).open(log).context("open a log")?;
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let stdin = child.stdin.take().context("its standard input is not a pipe")?;
        Ok(Self { child, stdin, language })
    }

    fn say(&mut self, routes: u16) -> Result<()> {
        let line = match &mut self.language {
            Language::Wanted(wanted) => {
                wanted.routes = routes;
                serde_json::to_string(wanted)?
            }
            Language::Number => routes.to_string(),
            Language::Nothing => bail!("it is to be told nothing"),
        };
        self.stdin.write_all((line + "\n").as_bytes()).context("tell it; told.log says why it has ended")
    }
}

impl Contender for Told {
    fn processes(&self) -> Vec<u32> {
        vec![self.child.id()]
    }

    /// It takes milliseconds, and a session a second at least: its first attempt to connect was refused.
    fn wait_until_loaded(&self, _stage: &Stage) -> Result<()> {
        Ok(())
    }

    fn tell(&mut self, _stage: &Stage, routes: u16) -> Result<()> {
        self.say(routes)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Whether it has ended by itself matters to nobody any more.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A program beside this one.
fn beside(program: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(program);
    if !path.exists() {
        bail!("there is no {}; `cargo xtask bench bgp` builds it", path.display());
    }
    Ok(path)
}
