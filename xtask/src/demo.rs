//! `cargo xtask demo`: the walkthrough on a lab, then the death of the node that announces.
//!
//! Every command that is printed is the one that runs, and every output its own. The lab stays
//! up afterwards.

use anyhow::Result;
use clap::Args;

use crate::{lab, setup};

mod node_death;
mod outage;
mod stage;
mod walkthrough;

use stage::Stage;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Stop after the first answered request to the external address
    #[arg(long)]
    quick: bool,
}

/// The lab of whoever names none: `cargo xtask lab …` afterwards is about this one.
const LAB: &str = "ferrolb";

/// Plays the demo.
///
/// # Errors
/// When the machine lacks something, or a step does not come to its end in time.
pub(crate) fn run(options: &Options) -> Result<()> {
    let stage = Stage::new(LAB);
    stage.section("The machine");
    setup::run(setup::Purpose::Lab)?;
    stage.section("Building FerroLB, the lab, and the lab's Kubernetes");
    lab::build()?;
    stage.section("Starting the lab: three nodes, a client, a router");
    lab::fresh(LAB)?;

    walkthrough::first_address(&stage)?;
    if options.quick {
        return stage.farewell(None);
    }
    walkthrough::load_balancer(&stage)?;
    walkthrough::scale(&stage)?;
    walkthrough::client_address(&stage)?;
    let owner = node_death::play(&stage)?;
    stage.farewell(Some(&owner))
}
