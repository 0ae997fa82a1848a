//! An address on an interface, and what other stations' packets mean for it. Pure bookkeeping.

use core::time::Duration;

use ferrolb_vocab::{Instant, MacAddr};

use crate::schedule::{FELLOW_ANSWERS, FELLOW_CLAIMS, FELLOW_MEMORY, FELLOW_PATIENCE, Probing, Schedule};

/// How an address begins on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// No speaker has owned it before: it is probed for (RFC 5227 §2.1, RFC 4862 §5.4), and used only
    /// where nobody has it.
    Probe,
    /// A speaker has owned it: it is announced at once. Its former owner may be half dead and
    /// answer a probe, and who waits for the address waits already.
    TakeOver,
}

/// An address on an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// How it begins when the interface can carry it, and again when that has changed.
    pub(crate) start: Start,
    pub(crate) state: State,
    /// Who had it when it was last probed for.
    pub(crate) occupant: Option<MacAddr>,
    pub(crate) reported: Option<Instant>,
    pub(crate) defended: Option<Instant>,
    /// Other nodes that claim it, which may only be early.
    fellow_heard: Option<Heard>,
}

/// Claims of other nodes, each at least [`FELLOW_PATIENCE`] after the one before.
#[derive(Clone, Copy, Debug)]
struct Heard {
    first: Instant,
    last: Instant,
    times: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    /// The interface cannot carry the address's family.
    Waiting,
    /// Whether it is free is being found out, or will be.
    Probing(Probing),
    /// It is answered for and announced.
    Announced(Schedule),
}

/// A station that is heard of an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    pub(crate) is_fellow: bool,
    pub(crate) evidence: Evidence,
}

/// What a packet says about an address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Evidence {
    /// Its sender has it.
    Claim,
    /// Its sender wants it and asks whether anyone has it.
    Probe,
}

/// What a packet means for an address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Nothing,
    /// Another node of the cluster claims it, which may be over in a moment.
    Passing,
    /// Another station has it, before we used it.
    Occupied,
    /// Another station claims it while we use it.
    Conflict,
}

impl State {
    /// The state of an address that begins at `now`.
    pub(crate) const fn beginning(start: Start, now: Instant) -> Self {
        match start {
            Start::Probe => Self::Probing(Probing::starting(now)),
            Start::TakeOver => Self::Announced(Schedule::starting(now)),
        }
    }

    /// When something is to be done.
    pub(crate) const fn due(&self) -> Option<Instant> {
        match self {
            Self::Waiting => None,
            Self::Probing(probing) => Some(probing.due()),
            Self::Announced(schedule) => Some(schedule.due()),
        }
    }
}

impl Claim {
    pub(crate) const fn new(start: Start) -> Self {
        Self {
            start,
            state: State::Waiting,
            occupant: None,
            reported: None,
            defended: None,
            fellow_heard: None,
        }
    }

    /// Who has the address, as far as is known.
    pub(crate) const fn occupied_by(&self) -> Option<MacAddr> {
        match self.state {
            State::Probing(_) => self.occupant,
            State::Waiting | State::Announced(_) => None,
        }
    }

    /// What it means that `station` is heard at `now`.
    pub(crate) fn judge(&mut self, station: Station, now: Instant) -> Meaning {
        let meaning = match (self.state, station.evidence) {
            (State::Waiting, Evidence::Claim | Evidence::Probe) | (State::Announced(_), Evidence::Probe) => {
                return Meaning::Nothing;
            }
            (State::Probing(probing), _) if !probing.has_begun(now) => return Meaning::Nothing,
            // A fellow that probes does not have it either; the epochs say who of us shall.
            (State::Probing(_), Evidence::Probe) if station.is_fellow => return Meaning::Nothing,
            (State::Probing(_), Evidence::Claim | Evidence::Probe) => Meaning::Occupied,
            (State::Announced(_), Evidence::Claim) => Meaning::Conflict,
        };
        let times = if station.is_fellow { self.hear_fellow(now) } else { u8::MAX };
        let enough = match self.state {
            State::Waiting | State::Probing(_) => FELLOW_ANSWERS,
            State::Announced(_) => FELLOW_CLAIMS,
        };
        if times < enough { Meaning::Passing } else { meaning }
    }

    /// How often a fellow has claimed it, at times apart and not too long ago. Not always the same one: where
    /// several have the address, now one is faster to answer and now another.
    fn hear_fellow(&mut self, now: Instant) -> u8 {
        let heard = match self.fellow_heard.filter(|_| self.is_fellow_around(now)) {
            None => Heard { first: now, last: now, times: 1 },
            Some(heard) if now.saturating_since(heard.last) < FELLOW_PATIENCE => heard,
            Some(heard) => Heard { last: now, times: heard.times.saturating_add(1), ..heard },
        };
        self.fellow_heard = Some(heard);
        heard.times
    }

    /// Whether another node has claimed it not long ago.
    pub(crate) fn is_fellow_around(&self, now: Instant) -> bool {
        self.fellow_heard.is_some_and(|heard| now.saturating_since(heard.first) <= FELLOW_MEMORY)
    }
}

/// Whether something last done at `last` may be done again.
pub(crate) fn is_due(last: Option<Instant>, interval: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now.saturating_since(last) >= interval)
}
