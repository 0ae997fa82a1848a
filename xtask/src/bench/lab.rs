//! The lab itself: its times bound every other measurement and the test suite.

use anyhow::{Context, Result};

use super::{Goal, Row, Summary, timed};
use crate::{lab, process};

/// A lab of its own, so that one that is up stays up.
const NAME: &str = "ferrolbbench";
const UPS: usize = 3;
const RESETS_PER_UP: usize = 3;

/// Times `up`, `reset` and `down`.
pub(super) fn run() -> Result<Vec<Row>> {
    lab::build()?;
    let ask = |verb: &str| process::run(&mut lab::command(NAME, [verb]));
    ask("down")?;
    let (mut ups, mut resets, mut downs) = (Vec::new(), Vec::new(), Vec::new());
    let measured = (0..UPS).try_for_each(|_| -> Result<()> {
        ups.push(timed(|| ask("up"))?.as_secs_f64());
        for _ in 0..RESETS_PER_UP {
            resets.push(timed(|| ask("reset"))?.as_secs_f64());
        }
        downs.push(timed(|| ask("down"))?.as_secs_f64());
        Ok(())
    });
    if measured.is_err() {
        ask("down")?;
    }
    measured?;
    let row = |measure: &str, samples: Vec<f64>, bound: f64| -> Result<Row> {
        let ours = Summary::of(samples).context("nothing was measured")?;
        Ok(Row::new(measure, "s", ours, Goal::Below(bound)))
    };
    Ok(vec![row("up", ups, 60.0)?, row("reset", resets, 5.0)?, row("down", downs, 15.0)?])
}
