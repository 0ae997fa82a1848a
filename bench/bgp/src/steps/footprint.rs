//! Memory and processor: with peers and no route, and with many routes that all peers know.
//!
//! Whoever has BFD has a session beside each peer, at MetalLB's default interval; their other ends are
//! FerroLB's and not counted.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use ferrolb_interop::{Host, Stage};

use super::links_up::wait_until_up;
use super::{SETTLING_TIME, Sample, bgp, other_end, place};
use crate::capture::Capture;
use crate::contenders::Contender;
use crate::receiver::Receiver;
use crate::scene::{links, on_scene};
use crate::usage::Usage;
use crate::{Kind, Wanted};

const PEERS: u8 = 4;
const ROUTES: u16 = 10_000;
/// The default of `BFDProfile`.
const INTERVAL_MS: u32 = 300;

/// What a contender takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    /// MiB at the end.
    pub(super) memory: f64,
    /// Milliseconds in each second.
    pub(super) processor: f64,
}

pub(super) fn measure(contender: Kind, time: Duration) -> Result<Vec<Sample>> {
    let link_count = if contender.has_bfd() { PEERS } else { 0 };
    on_scene(PEERS, link_count, |stage| {
        let without_drivers = match contender {
            Kind::Ferrolb => Some(idle_memory(stage)?),
            Kind::Frr | Kind::Bird | Kind::Gobgp | Kind::Metallb => None,
        };
        let [rest, full] = footprints(stage, contender, link_count, time)?;
        let mut samples = vec![
            Sample::new("footprint: rest: memory", contender, vec![rest.memory]),
            Sample::new("footprint: rest: processor", contender, vec![rest.processor]),
            Sample::new("footprint: full: memory", contender, vec![full.memory]),
            Sample::new("footprint: full: processor", contender, vec![full.processor]),
        ];
        if let Some(without) = without_drivers {
            samples.push(Sample::new("footprint: full: added", contender, vec![full.memory - without]));
        }
        Ok(samples)
    })
}

/// Without routes, and with them.
fn footprints(stage: &Stage, contender: Kind, link_count: u8, time: Duration) -> Result<[Footprint; 2]> {
    let _other = Kind::Ferrolb.start(place(stage, Host::Router), &other_end(link_count, INTERVAL_MS))?;
    let links = links(Host::Speaker, link_count);
    let wanted = Wanted { bfd: links.clone(), interval_ms: INTERVAL_MS, ..bgp(PEERS, 0) };
    let mut running = contender.start(place(stage, Host::Speaker), &wanted)?;
    running.wait_until_loaded(stage)?;
    let receiver = Receiver::start(stage)?;
    receiver.wait(PEERS.into(), 0)?;
    wait_until_up(&mut Capture::start(stage, Host::Speaker)?, &links, INTERVAL_MS)?;
    let rest = at_rest(&*running, time)?;
    running.tell(stage, ROUTES)?;
    receiver.wait(PEERS.into(), ROUTES)?;
    Ok([rest, at_rest(&*running, time)?])
}

/// FerroLB's process without drivers, in MiB.
fn idle_memory(stage: &Stage) -> Result<f64> {
    let idle = Kind::without_drivers(place(stage, Host::Speaker))?;
    sleep(SETTLING_TIME);
    Ok(Usage::of(&idle.processes())?.memory)
}

/// What a contender takes in this time, in which nothing happens.
pub(super) fn at_rest(contender: &dyn Contender, time: Duration) -> Result<Footprint> {
    sleep(SETTLING_TIME);
    let processes = contender.processes();
    let (start, before) = (Instant::now(), Usage::of(&processes)?);
    sleep(time);
    let (elapsed, after) = (start.elapsed(), Usage::of(&processes)?);
    Ok(Footprint { memory: after.memory, processor: after.processor_share(&before, elapsed) })
}
