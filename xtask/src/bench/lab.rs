//! The lab itself: its times bound every other measurement and the test suite.

use anyhow::{Context, Result};

use super::{Goal, Row, Summary, timed};
use crate::{lab, process, workspace};

/// A lab of its own, so that one that is up stays up.
const NAME: &str = "ferrolbbench";
const UPS: usize = 3;
const RESETS_PER_UP: usize = 3;

/// What there is to reset: what a test of the walkthrough leaves behind.
const OBJECTS: [&str; 5] = [
    "rs-web-v1.yaml",
    "svc-node-web-nodeport-v1.yaml",
    "metallb-ip.yaml",
    "metallb-l2.yaml",
    "svc-node-web-lb.yaml",
];

/// Times `up`, `reset` and `down`.
pub(super) fn run() -> Result<Vec<Row>> {
    lab::build()?;
    let ask = |verb: &str| process::run(&mut lab::command(NAME, [verb]));
    ask("down")?;
    let (mut ups, mut resets, mut downs) = (Vec::new(), Vec::new(), Vec::new());
    let measured = (0..UPS).try_for_each(|_| -> Result<()> {
        ups.push(timed(|| ask("up"))?.as_secs_f64());
        for _ in 0..RESETS_PER_UP {
            fill()?;
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

/// Creates [`OBJECTS`] and waits until their Pods run.
fn fill() -> Result<()> {
    let kubectl = |arguments: &[&str]| {
        let mut kubectl = lab::command(NAME, ["kubectl", "--"]);
        kubectl.current_dir(workspace::root().join("examples/walkthrough")).args(arguments);
        process::output(&mut kubectl).map(drop)
    };
    for object in OBJECTS {
        kubectl(&["create", "-f", object])?;
    }
    kubectl(&["wait", "replicaset", "rs-web-v1", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s"])
}
