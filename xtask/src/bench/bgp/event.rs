//! The cluster of the part `event`: the lab and the load balancers of `failover`, with 1,000 Services, and
//! `ferrolb-bench-bgp` on its router.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::bench::failover::{InCluster, Stage};
use crate::bench::peer::METALLB;
use crate::bench::rest;
use crate::workspace;

use super::OURS;

/// What the lab is to have, beside `ferrolb-bench-bgp`.
pub(super) const PROGRAM: &str = "ferrolb";
const SERVICES: usize = 1_000;
/// What measures comes before all that is measured: who waits for a processor reads the event too late.
const PRIORITY: &str = "10";

/// Takes the step, whose second word is whose load balancer it is about; returns what it said.
pub(super) fn said(bench: &Path, step: &[String]) -> Result<String> {
    let contender = match step.get(1).map(String::as_str) {
        Some(OURS) => {
            let program = bench.with_file_name(PROGRAM);
            ensure!(program.is_file(), "there is no {PROGRAM} beside {}", bench.display());
            InCluster::ferrolb(program)
        }
        Some(name) if name == METALLB.name => InCluster::metallb()?,
        _ => bail!("no load balancer that a lab could have: {step:?}"),
    };
    let stage = Stage::new(&contender)?;
    stage.kubectl(&["delete", "service/web"])?;
    stage.kubectl(&["delete", "l2advertisement/bench", "--namespace=metallb-system"])?;
    let cluster = workspace::root().join("bench/bgp/cluster.yaml").display().to_string();
    stage.kubectl(&["apply", "-f", &cluster])?;
    rest::create(&stage, 0..SERVICES)?;
    let (bench, kubeconfig) = (bench.display().to_string(), stage.kubeconfig()?);
    let words =
        ["chrt", "--fifo", PRIORITY, bench.as_str()].into_iter().chain(step.iter().map(String::as_str));
    let words: Vec<_> = words.chain(["--kubeconfig", &kubeconfig]).collect();
    stage.exec("router", &words)
}
