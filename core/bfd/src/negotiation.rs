//! The intervals that this side tells the peer, those that it goes by, and how it learns that the
//! peer knows: RFC 5880 §6.5, §6.8.3.

use ferrolb_wire::bfd::Interval;

/// bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intervals {
    pub(crate) desired_min_tx: Interval,
    pub(crate) required_min_rx: Interval,
}

/// Whether a Poll Sequence is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poll {
    Idle,
    /// The next packet bears Poll, the first of its sequence. No Final can be an answer to it.
    Due,
    /// Packets bear Poll until one with Final comes.
    Asked,
    /// Final has come. One more could come of the same sequence, so that another begins only when
    /// a packet without Final has come after it (§6.8.3, the last of the three ways).
    Settling,
}

/// What the peer is told, what is in force, and the Poll Sequence between them.
#[derive(Clone, Debug)]
pub(crate) struct Negotiation {
    advertised: Intervals,
    in_force: Intervals,
    poll: Poll,
}

impl Negotiation {
    pub(crate) const fn new(wanted: Intervals) -> Self {
        Self { advertised: wanted, in_force: wanted, poll: Poll::Idle }
    }

    /// Where that of another session has ended. A Poll Sequence that was under way begins again.
    pub(crate) const fn resume(advertised: Intervals, in_force: Intervals, is_polling: bool) -> Self {
        Self { advertised, in_force, poll: if is_polling { Poll::Due } else { Poll::Idle } }
    }

    pub(crate) const fn advertised(&self) -> Intervals {
        self.advertised
    }

    pub(crate) const fn in_force(&self) -> Intervals {
        self.in_force
    }

    /// Whether packets bear Poll.
    pub(crate) const fn is_polling(&self) -> bool {
        matches!(self.poll, Poll::Due | Poll::Asked)
    }

    /// A packet goes that bears Poll.
    pub(crate) const fn note_poll(&mut self) {
        self.poll = Poll::Asked;
    }

    /// The session is Up, or not, after a change of its state: `wanted` is told at once.
    pub(crate) fn change_state(&mut self, wanted: Intervals, is_up: bool) {
        if wanted != self.advertised {
            self.advertise(wanted);
        }
        self.in_force = if is_up { self.cautious() } else { wanted };
    }

    /// The operator's wish is `wanted`. While Up, one change waits for the Poll Sequence of the
    /// one before it.
    pub(crate) fn want(&mut self, wanted: Intervals, is_up: bool) {
        if wanted == self.advertised || (is_up && self.poll != Poll::Idle) {
            return;
        }
        self.advertise(wanted);
        self.in_force = if is_up { self.cautious() } else { wanted };
    }

    /// What the peer is told has changed in another way, and it is in Demand mode: §6.6.
    pub(crate) fn poll(&mut self) {
        if !self.is_polling() {
            self.poll = Poll::Due;
        }
    }

    /// A packet has come.
    pub(crate) fn note_packet(&mut self, is_final: bool) {
        self.poll = match (self.poll, is_final) {
            (Poll::Asked, true) => {
                self.in_force = self.advertised;
                Poll::Settling
            }
            (Poll::Settling, false) => Poll::Idle,
            (Poll::Idle | Poll::Due, true | false) | (Poll::Asked, false) | (Poll::Settling, true) => {
                self.poll
            }
        };
    }

    /// There is no peer to poll.
    pub(crate) fn stop_polling(&mut self) {
        self.poll = Poll::Idle;
    }

    fn advertise(&mut self, wanted: Intervals) {
        self.advertised = wanted;
        self.poll = Poll::Due;
    }

    /// §6.8.3: this side sends no more slowly before the peer has agreed to wait longer, and waits
    /// no less long before the peer has agreed to send faster. All else counts at once.
    fn cautious(&self) -> Intervals {
        Intervals {
            desired_min_tx: self.in_force.desired_min_tx.min(self.advertised.desired_min_tx),
            required_min_rx: self.in_force.required_min_rx.max(self.advertised.required_min_rx),
        }
    }
}
