//! A few routes more or less, beside many that stay: from the operator's word until the last of them is in
//! the receiver's table.
//!
//! The word is what each has: for FerroLB the new plan, handed to the driver; a file of commands for
//! `vtysh`; a file and `birdc configure`; `gobgp`; for MetalLB the call that its speaker makes. So much
//! of all of them is measured that starts programs or reads files, and no API server of any.

use std::thread::sleep;
use std::time::Instant;

use anyhow::{Context, Result};
use ferrolb_interop::{Host, Stage};

use super::{SETTLING_TIME, Sample, bgp, milliseconds, place};
use crate::Kind;
use crate::contenders::Contender;
use crate::receiver::Receiver;
use crate::scene::on_scene;

/// Routes at first.
const ROUTES: u16 = 1_000;
/// What is done one after the other: what it is called, and how many routes there are then.
const CHANGES: [(&str, u16); 4] = [
    ("change: 1 added", ROUTES + 1),
    ("change: 100 added", ROUTES + 101),
    ("change: 100 withdrawn", ROUTES + 1),
    ("change: 1,000 added", 2 * ROUTES + 1),
];

pub(super) fn measure(contender: Kind, runs: usize) -> Result<Vec<Sample>> {
    let mut samples = CHANGES.map(|(name, _routes)| Sample::new(name, contender, Vec::new()));
    for _ in 0..runs {
        on_scene(1, 0, |stage| {
            let mut running = contender.start(place(stage, Host::Speaker), &bgp(1, ROUTES))?;
            running.wait_until_loaded(stage)?;
            let receiver = Receiver::start(stage)?;
            receiver.wait(1, ROUTES)?;
            for (sample, (_name, routes)) in samples.iter_mut().zip(CHANGES) {
                sleep(SETTLING_TIME);
                sample.figures.push(changed(stage, &mut *running, &receiver, routes)?);
            }
            Ok(())
        })?;
    }
    Ok(samples.into())
}

fn changed(stage: &Stage, contender: &mut dyn Contender, receiver: &Receiver, routes: u16) -> Result<f64> {
    receiver.forget_times();
    let start = Instant::now();
    contender.tell(stage, routes)?;
    let arrival = receiver.wait(1, routes)?.into_iter().next().context("there is no session")?;
    let last = arrival.last.context("nothing was told")?;
    Ok(milliseconds(last.saturating_duration_since(start)))
}
