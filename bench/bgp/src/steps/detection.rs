//! No BFD packet of one side comes through any more: from its last one until the other's first that says
//! Down, as both pass the other's end of the cable.
//!
//! The Detection Time is counted from the last packet (RFC 5880 §6.8.4), so that it does not matter when the
//! cable was cut between two of them. Each direction is cut for itself: who notices can still say so.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use ferrolb_interop::wait::until;
use ferrolb_interop::{Host, Stage};
use ferrolb_wire::bfd::{Diagnostic, State};

use super::links_up::wait_until_up;
use super::{Sample, bfd, milliseconds, other_end, place};
use crate::capture::{Capture, Packet};
use crate::scene::{cut, heal, links, on_scene};
use crate::{BfdLink, Kind};

/// How long silence was until somebody noticed, and how long it should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Detection {
    took: Duration,
    /// What the last packets say: RFC 5880 §6.8.4.
    detection_time: Duration,
}

/// A side that is to notice.
struct Side {
    who: Kind,
    /// What arrives at it and what it sends.
    capture: Capture,
    link: BfdLink,
    /// Whose packets are cut off.
    silent: Host,
    detections: Vec<Detection>,
}

pub(super) fn measure(other: Kind, interval_ms: u32, runs: usize) -> Result<Vec<Sample>> {
    let sides = on_scene(0, 1, |stage| {
        let mut sides = [
            Side::new(stage, Kind::Ferrolb, Host::Speaker, Host::Router)?,
            Side::new(stage, other, Host::Router, Host::Speaker)?,
        ];
        let ours = bfd(links(Host::Speaker, 1), interval_ms);
        let _other = other.start(place(stage, Host::Router), &other_end(1, interval_ms))?;
        let _ours = Kind::Ferrolb.start(place(stage, Host::Speaker), &ours)?;
        for _ in 0..runs {
            for side in &mut sides {
                side.play(stage, interval_ms)?;
            }
        }
        Ok(sides)
    })?;
    let samples = sides.iter().flat_map(|side| {
        let measure = |name: &str| format!("detection: 3 x {interval_ms} ms: {name}");
        let figures = |figure: fn(&Detection) -> f64| side.detections.iter().map(figure).collect::<Vec<_>>();
        [
            Sample::new(measure("time"), side.who, figures(|seen| milliseconds(seen.took))),
            Sample::new(measure("share"), side.who, figures(Detection::share)),
        ]
    });
    Ok(samples.collect())
}

impl Detection {
    /// In percent of the Detection Time.
    fn share(&self) -> f64 {
        100.0 * self.took.as_secs_f64() / self.detection_time.as_secs_f64()
    }
}

impl Side {
    fn new(stage: &Stage, who: Kind, host: Host, silent: Host) -> Result<Self> {
        let link = links(host, 1).pop().context("the scene has a link")?;
        Ok(Self { who, capture: Capture::start(stage, host)?, link, silent, detections: Vec::new() })
    }

    fn play(&mut self, stage: &Stage, interval_ms: u32) -> Result<()> {
        wait_until_up(&mut self.capture, &[self.link], interval_ms)?;
        let before = self.capture.packets()?.len();
        cut(stage, self.silent)?;
        let look = || Ok(detection(self.capture.packets()?, before, self.link));
        let seen = until(&format!("{:?} notices", self.who), look, Option::is_some);
        // Whoever looks at what has gone wrong finds the cable whole.
        heal(stage, self.silent)?;
        self.detections.push(seen?.context("it was waited for")?);
        Ok(())
    }
}

/// What came of a silence that began among the packets from `start` on, or just before them, seen from the
/// local end of `link`.
fn detection(packets: &[Packet], start: usize, link: BfdLink) -> Option<Detection> {
    let is_down = |packet: &Packet| {
        packet.source == link.local
            && packet.control.state == State::Down
            && packet.control.diagnostic == Diagnostic::CONTROL_DETECTION_TIME_EXPIRED
    };
    let at = start + packets.iter().skip(start).position(is_down)?;
    let down = packets.get(at)?;
    let last_of = |source: Ipv4Addr| packets.get(..at)?.iter().rev().find(|packet| packet.source == source);
    let (last_heard, last_sent) = (last_of(link.peer)?, last_of(link.local)?);
    let interval = last_sent.control.required_min_rx.max(last_heard.control.desired_min_tx);
    Some(Detection {
        took: down.at.saturating_sub(last_heard.at),
        detection_time: interval.duration() * u32::from(last_heard.control.detect_mult.get()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tests::up;

    const LINK: BfdLink = BfdLink { local: Ipv4Addr::new(198, 18, 0, 1), peer: Ipv4Addr::new(198, 18, 1, 1) };

    /// Of the local end, which has taken the peer for dead.
    fn down(at_ms: u64) -> Packet {
        let mut packet = up(at_ms, LINK.local);
        packet.control.state = State::Down;
        packet.control.diagnostic = Diagnostic::CONTROL_DETECTION_TIME_EXPIRED;
        packet
    }

    #[test]
    fn silence_is_counted_from_the_last_packet_that_came_through() {
        let packets = [
            down(1), // of an earlier cut
            up(900, LINK.peer),
            up(950, LINK.local),
            up(960, LINK.peer),
            up(1_000, LINK.local),
            down(1_112),
            down(2_000),
        ];
        let expected =
            Detection { took: Duration::from_millis(152), detection_time: Duration::from_millis(150) };
        assert_eq!(detection(&packets, 2, LINK), Some(expected));
        assert_eq!(detection(&packets, 4, LINK), Some(expected), "the cut came late");
        assert_eq!(detection(&packets[..5], 2, LINK), None);
    }

    #[test]
    fn a_side_that_is_told_of_the_failure_has_not_detected_it() {
        let mut told = down(1_112);
        told.control.diagnostic = Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN;
        assert_eq!(detection(&[up(960, LINK.peer), up(1_000, LINK.local), told], 0, LINK), None);
    }
}
