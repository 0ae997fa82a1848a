//! Whether BFD sessions are up at their full rate, by their packets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use anyhow::Result;
use ferrolb_interop::wait::until;
use ferrolb_wire::bfd::{Control, Interval, State};

use crate::BfdLink;
use crate::capture::{Capture, Packet};

/// Waits until both ends of all sessions have said again and again that they are Up, at this interval and
/// with no Poll Sequence.
pub(super) fn wait_until_up(capture: &mut Capture, links: &[BfdLink], interval_ms: u32) -> Result<()> {
    let ends: BTreeSet<_> = links.iter().flat_map(|link| [link.local, link.peer]).collect();
    let interval = Interval::from_millis(interval_ms);
    let missing = || {
        let up = steady(capture.packets()?, interval);
        Ok(ends.difference(&up).copied().collect::<Vec<_>>())
    };
    until("both ends of all BFD sessions are Up", missing, Vec::is_empty).map(drop)
}

/// Whose last [`STEADY_PACKETS`] are all as they stay.
fn steady(packets: &[Packet], interval: Interval) -> BTreeSet<Ipv4Addr> {
    let mut in_a_row = BTreeMap::new();
    for packet in packets {
        let count = in_a_row.entry(packet.source).or_insert(0);
        *count = if is_steady(&packet.control, interval) { *count + 1 } else { 0 };
    }
    in_a_row.into_iter().filter(|(_, count)| *count >= STEADY_PACKETS).map(|(source, _)| source).collect()
}

/// Up, at the configured interval, and nothing is being agreed on.
fn is_steady(control: &Control, interval: Interval) -> bool {
    control.state == State::Up
        && control.desired_min_tx == interval
        && control.required_min_rx == interval
        && !control.is_poll
        && !control.is_final
}

const STEADY_PACKETS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tests::up;

    #[test]
    fn an_end_is_steady_after_packets_in_a_row_at_the_interval_that_is_wanted() {
        let [one, other] = [1, 2].map(|last| Ipv4Addr::new(198, 18, 0, last));
        let mut packets: Vec<_> = (0..5).map(|number| up(50 * number, one)).collect();
        packets.extend((0..5).map(|number| up(50 * number, other)));
        let interval = Interval::from_millis(50);
        assert_eq!(steady(&packets, interval), [one, other].into());
        assert!(steady(&packets, Interval::from_millis(10)).is_empty());
        packets[9].control.is_poll = true;
        assert_eq!(steady(&packets, interval), [one].into());
        packets[2].control.state = State::Down;
        assert!(steady(&packets, interval).is_empty());
    }
}
