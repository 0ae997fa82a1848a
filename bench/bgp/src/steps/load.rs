//! BFD sessions that nothing happens to while somebody else keeps all processors busy: how often one leaves
//! Up. Nobody cuts a cable, so that each time is once too often, whoever was late.
//!
//! The other ends are FRR's. Two pairs run side by side: at 50 ms with FRR as it is, at 10 ms with all of
//! FRR real-time as FerroLB's BFD thread is.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use ferrolb_interop::{Host, Stage};
use ferrolb_wire::bfd::State;

use super::links_up::wait_until_up;
use super::{Sample, bfd, other_end, place};
use crate::Kind;
use crate::capture::{Capture, Packet};
use crate::contenders::{Contender, Place, Priority};
use crate::scene::{explained, links, scene};

/// What is measured, how often packets go, and how FRR runs.
const PAIRS: [(&str, u32, Priority); 2] =
    [("load: 3 x 50 ms: downs", 50, Priority::Own), ("load: 3 x 10 ms: downs", 10, Priority::Realtime)];

/// Two sides that shall stay Up.
struct Pair {
    // Dropped in this order: processes before what they run in.
    _sides: [Box<dyn Contender>; 2],
    capture: Capture,
    _stage: Stage,
    /// Packets before it counts.
    skipped: usize,
}

pub(super) fn measure(time: Duration) -> Result<Vec<Sample>> {
    let mut pairs = Vec::new();
    for (_measure, interval_ms, priority) in PAIRS {
        pairs.push(Pair::start(interval_ms, priority)?);
    }
    for pair in &mut pairs {
        pair.skipped = pair.capture.packets()?.len();
    }
    sleep(time);
    let mut samples = Vec::new();
    for (pair, (measure, interval_ms, _priority)) in pairs.iter_mut().zip(PAIRS) {
        let packets = pair.capture.packets()?;
        // Both sides send more than that; who has seen less has not looked all the time.
        let least = pair.skipped as u128 + time.as_millis() / u128::from(interval_ms);
        ensure!(packets.len() as u128 >= least, "{measure}: only {} packets were seen", packets.len());
        let downs = downs(packets, pair.skipped);
        samples.push(Sample::new(measure, Kind::Ferrolb, vec![f64::from(downs)]));
    }
    Ok(samples)
}

impl Pair {
    fn start(interval_ms: u32, priority: Priority) -> Result<Self> {
        let stage = scene(0, 1)?;
        let mut capture = Capture::start(&stage, Host::Speaker)?;
        match sides(&stage, &mut capture, interval_ms, priority) {
            Ok(sides) => Ok(Self { _sides: sides, capture, _stage: stage, skipped: 0 }),
            Err(error) => Err(explained(&error, &stage)),
        }
    }
}

/// FRR and FerroLB, Up.
fn sides(
    stage: &Stage,
    capture: &mut Capture,
    interval_ms: u32,
    priority: Priority,
) -> Result<[Box<dyn Contender>; 2]> {
    let links = links(Host::Speaker, 1);
    let other = Place { priority, ..place(stage, Host::Router) };
    let other = Kind::Frr.start(other, &other_end(1, interval_ms))?;
    let ours = Kind::Ferrolb.start(place(stage, Host::Speaker), &bfd(links.clone(), interval_ms))?;
    wait_until_up(capture, &links, interval_ms)?;
    Ok([other, ours])
}

/// How often either side said that it is not Up any more, after the first `skipped` packets.
fn downs(packets: &[Packet], skipped: usize) -> u32 {
    let mut states: BTreeMap<Ipv4Addr, State> = BTreeMap::new();
    let mut downs = 0;
    for (number, packet) in packets.iter().enumerate() {
        let before = states.insert(packet.source, packet.control.state);
        let has_left = before == Some(State::Up) && packet.control.state != State::Up;
        if number >= skipped && has_left {
            downs += 1;
        }
    }
    downs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tests::up;

    #[test]
    fn each_way_out_of_up_counts_once() {
        let [one, other] = [1, 2].map(|last| Ipv4Addr::new(198, 18, last, 1));
        let down = |at_ms, source| {
            let mut packet = up(at_ms, source);
            packet.control.state = State::Down;
            packet
        };
        let packets =
            [up(0, one), up(1, other), down(2, one), down(3, one), down(4, other), up(5, one), down(6, one)];
        assert_eq!(downs(&packets, 0), 3);
        assert_eq!(downs(&packets, 3), 2, "the first came before");
        assert_eq!(downs(&packets[..2], 0), 0);
    }
}
