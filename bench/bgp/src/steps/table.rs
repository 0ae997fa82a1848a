//! All routes at once: from Established until the last is in the receiver's table.

use std::time::Instant;

use anyhow::{Context, Result};
use ferrolb_interop::Host;

use super::{Sample, bgp, milliseconds, place};
use crate::Kind;
use crate::receiver::{Arrival, Receiver};
use crate::scene::on_scene;

const ROUTES: u16 = 10_000;

pub(super) fn measure(contender: Kind, runs: usize) -> Result<Vec<Sample>> {
    let (mut all, mut spread, mut updates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let Arrival { established, first, last, updates: count } = told(contender)?;
        let last = last.context("no UPDATE has a time")?;
        let since = |start: Option<Instant>| {
            let time = start.map(|start| last.saturating_duration_since(start));
            time.map(milliseconds).context("the session was never Established")
        };
        all.push(since(established)?);
        spread.push(since(first)?);
        #[expect(clippy::cast_precision_loss, reason = "there are fewer UPDATEs than routes")]
        let count = count as f64;
        updates.push(count);
    }
    Ok(vec![
        Sample::new("table: all", contender, all),
        Sample::new("table: first to last", contender, spread),
        Sample::new("table: updates", contender, updates),
    ])
}

/// The receiver listens when the contender is ready.
fn told(contender: Kind) -> Result<Arrival> {
    on_scene(1, 0, |stage| {
        let contender = contender.start(place(stage, Host::Speaker), &bgp(1, ROUTES))?;
        contender.wait_until_loaded(stage)?;
        let receiver = Receiver::start(stage)?;
        receiver.wait(1, ROUTES)?.into_iter().next().context("there is no session")
    })
}
