//! Who is measured: how each is started, and how its operator has it tell other routes.

use std::fmt::Debug;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;
use ferrolb_interop::{Host, Stage};
use serde::Serialize;

use crate::Wanted;
use bird::Bird;
use frr::Frr;
use gobgp::Gobgp;
use told::Told;

mod bird;
mod frr;
mod gobgp;
mod mrt;
mod told;

/// Who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The drivers of FerroLB: `ferrolb-bench-speaker`.
    Ferrolb,
    /// FRRouting: zebra with bgpd and bfdd as they are needed.
    Frr,
    /// BIRD 2 or 3.
    Bird,
    /// GoBGP, which has no BFD in Debian's version.
    Gobgp,
    /// MetalLB's native BGP, without the speaker around it: `metallb-native`. It has no BFD.
    Metallb,
}

/// Where a contender runs, and as what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) host: Host,
    pub(crate) priority: Priority,
}

/// Before whom a contender runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// As its maker has it: FerroLB makes its BFD thread real-time itself.
    Own,
    /// All of it before whatever is not real-time (`SCHED_FIFO`).
    Realtime,
}

/// One that runs. It ends when it is dropped, before its stage.
pub(crate) trait Contender: Debug {
    /// The ids of its processes.
    fn processes(&self) -> Vec<u32>;

    /// Waits until it has the routes that it was started with.
    fn wait_until_loaded(&self, stage: &Stage) -> Result<()>;

    /// Has it tell the first so many routes from now on. Returns when its operator would go home.
    fn tell(&mut self, stage: &Stage, routes: u16) -> Result<()>;
}

impl Kind {
    /// Starts it.
    pub(crate) fn start(self, place: Place<'_>, wanted: &Wanted) -> Result<Box<dyn Contender>> {
        Ok(match self {
            Self::Ferrolb => Box::new(Told::speaker(place, wanted)?),
            Self::Frr => Box::new(Frr::start(place, wanted)?),
            Self::Bird => Box::new(Bird::start(place, wanted)?),
            Self::Gobgp => Box::new(Gobgp::start(place, wanted)?),
            Self::Metallb => Box::new(Told::metallb(place, wanted)?),
        })
    }

    /// Whether it can have BFD sessions.
    pub(crate) const fn has_bfd(self) -> bool {
        match self {
            Self::Ferrolb | Self::Frr | Self::Bird => true,
            Self::Gobgp | Self::Metallb => false,
        }
    }

    /// A process of FerroLB's contender without drivers, until it is dropped.
    pub(crate) fn without_drivers(place: Place<'_>) -> Result<Box<dyn Contender>> {
        Ok(Box::new(Told::idle(place)?))
    }
}

impl Place<'_> {
    /// `program`, with the place's priority. Its process has the id of the child.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        match self.priority {
            Priority::Own => self.stage.on(self.host, program),
            Priority::Realtime => {
                let mut command = self.stage.on(self.host, "chrt");
                command.args(["--fifo", REALTIME_PRIORITY]).arg(program.as_ref());
                command
            }
        }
    }
}

/// Above the BFD thread of FerroLB, which takes the least.
const REALTIME_PRIORITY: &str = "10";
