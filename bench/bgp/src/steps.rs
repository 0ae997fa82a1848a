//! What is measured.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use ferrolb_interop::{Host, Stage};
use serde::Serialize;

use crate::contenders::{Kind, Place, Priority};
use crate::scene::{CONTENDER, links, peers};
use crate::{BfdLink, Wanted};

mod change;
mod crowd;
mod detection;
mod event;
mod footprint;
mod links_up;
mod load;
mod table;

/// A part of the benchmark.
#[derive(Clone, Debug, Subcommand)]
pub enum Step {
    /// All routes at once, to a receiver that knows none
    Table {
        /// Who tells them
        contender: Kind,
        /// How often
        #[arg(long)]
        runs: usize,
    },
    /// A few routes more or less, beside many that stay
    Change {
        /// Who tells them
        contender: Kind,
        /// How often
        #[arg(long)]
        runs: usize,
    },
    /// Changes of objects in a lab, from the API server's event on; to be run on the lab's router
    Event {
        /// Who tells of them: the load balancer in the lab
        contender: Kind,
        /// How often each
        #[arg(long)]
        runs: usize,
        /// The lab's kubeconfig
        #[arg(long)]
        kubeconfig: PathBuf,
    },
    /// No BFD packet comes any more: FerroLB and another, each as the one that notices
    Detection {
        /// The other
        other: Kind,
        /// Between BFD packets, in milliseconds
        #[arg(long)]
        interval_ms: u32,
        /// How often each of them
        #[arg(long)]
        runs: usize,
    },
    /// Memory and processor, without routes and with many
    Footprint {
        /// Whose
        contender: Kind,
        /// How long
        #[arg(long)]
        seconds: u64,
    },
    /// Processor of many BFD sessions
    Crowd {
        /// Whose
        contender: Kind,
        /// How long
        #[arg(long)]
        seconds: u64,
    },
    /// BFD sessions of FerroLB and FRR that nothing happens to; whoever asks loads the processors
    Load {
        /// How long
        #[arg(long)]
        seconds: u64,
    },
}

/// Figures of one contender.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// What of, a word that `cargo xtask bench bgp` knows.
    pub measure: String,
    /// Whose.
    pub contender: Kind,
    /// One for each time that it was measured.
    pub figures: Vec<f64>,
}

impl Step {
    /// Takes the step.
    ///
    /// # Errors
    /// A contender does not do what it shall, or the system does not let it.
    pub fn take(self) -> Result<Vec<Sample>> {
        match self {
            Self::Table { contender, runs } => table::measure(contender, runs),
            Self::Change { contender, runs } => change::measure(contender, runs),
            Self::Event { contender, runs, kubeconfig } => event::measure(contender, runs, &kubeconfig),
            Self::Detection { other, interval_ms, runs } => detection::measure(other, interval_ms, runs),
            Self::Footprint { contender, seconds } => {
                footprint::measure(contender, Duration::from_secs(seconds))
            }
            Self::Crowd { contender, seconds } => crowd::measure(contender, Duration::from_secs(seconds)),
            Self::Load { seconds } => load::measure(Duration::from_secs(seconds)),
        }
    }
}

impl Sample {
    fn new(measure: impl Into<String>, contender: Kind, figures: Vec<f64>) -> Self {
        Self { measure: measure.into(), contender, figures }
    }
}

/// Before something is measured, so that what was before it is over: a contender's timers of up to a
/// second have run, and what it has thrown away is free.
const SETTLING_TIME: Duration = Duration::from_secs(2);

const fn place(stage: &Stage, host: Host) -> Place<'_> {
    Place { stage, host, priority: Priority::Own }
}

/// To tell so many routes to so many peers.
fn bgp(peer_count: u8, routes: u16) -> Wanted {
    Wanted { local: CONTENDER, peers: peers(peer_count), routes, bfd: Vec::new(), interval_ms: 0 }
}

/// To have these BFD sessions and nothing else.
fn bfd(links: Vec<BfdLink>, interval_ms: u32) -> Wanted {
    Wanted { local: CONTENDER, peers: Vec::new(), routes: 0, bfd: links, interval_ms }
}

/// The other end of so many BFD sessions of the contender.
fn other_end(count: u8, interval_ms: u32) -> Wanted {
    bfd(links(Host::Router, count), interval_ms)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
