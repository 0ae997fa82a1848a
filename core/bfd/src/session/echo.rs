//! This side's Echo packets: when they go, and which have come back. RFC 5880 §6.8.5, §6.8.8, §6.8.9.

use core::mem;

use ferrolb_vocab::{Instant, Random};
use ferrolb_wire::bfd::Interval;

use super::jitter::jittered;

/// The Echo function of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct EchoFunction {
    /// Whether the driver can send to the peer what comes back, and send back what the peer sends.
    pub(super) is_possible: bool,
    /// `None` while the function is not active.
    flow: Option<Flow>,
}

/// The packets of one time that the function is active.
#[derive(Clone, Copy, Debug)]
struct Flow {
    /// The time between two packets, jitter aside.
    interval: Interval,
    began: Instant,
    /// When the last packet went, and the draw that gives the time of the next.
    sent: Option<(Instant, u32)>,
    /// The number of the last packet.
    sequence: u32,
    /// How many went after the last that came back.
    unanswered: u32,
    /// Whether the last is still to be sent.
    is_owed: bool,
}

impl EchoFunction {
    /// Packets go every `interval` from now on, or none.
    pub(super) fn set_interval(&mut self, interval: Option<Interval>, now: Instant, random: &mut Random) {
        self.flow = interval.map(|interval| match self.flow {
            Some(flow) => Flow { interval, ..flow },
            None => Flow {
                interval,
                began: now,
                sent: None,
                sequence: random.draw(),
                unanswered: 0,
                is_owed: false,
            },
        });
    }

    /// When the next packet is to go.
    pub(super) fn due(&self, is_alone: bool) -> Option<Instant> {
        let flow = self.flow?;
        let after = |(sent, draw)| sent + jittered(flow.interval, is_alone, draw);
        Some(flow.sent.map_or(flow.began, after))
    }

    /// Whether the last `detect_mult` packets have all not come back. To be asked when the next is
    /// due, so that each has had its time, and packets that a driver could not send are not missed.
    pub(super) fn has_failed(&self, detect_mult: u8) -> bool {
        self.flow.is_some_and(|flow| flow.unanswered >= u32::from(detect_mult))
    }

    /// The next packet is to go.
    pub(super) fn owe_packet(&mut self, now: Instant, draw: u32) {
        if let Some(flow) = &mut self.flow {
            flow.sent = Some((now, draw));
            flow.sequence = flow.sequence.wrapping_add(1);
            flow.unanswered = flow.unanswered.saturating_add(1);
            flow.is_owed = true;
        }
    }

    /// The number of the packet to send.
    pub(super) fn poll(&mut self) -> Option<u32> {
        let flow = self.flow.as_mut()?;
        mem::take(&mut flow.is_owed).then_some(flow.sequence)
    }

    /// A packet has come back. Whether it was waited for: that it came says that those before it
    /// need not be.
    pub(super) fn note_return(&mut self, sequence: u32) -> bool {
        let Some(flow) = &mut self.flow else { return false };
        let after_it = flow.sequence.wrapping_sub(sequence);
        let is_awaited = after_it < flow.unanswered;
        if is_awaited {
            flow.unanswered = after_it;
        }
        is_awaited
    }
}
