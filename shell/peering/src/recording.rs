//! The last things that a speaker was told and did, for whoever has to find out what has happened.
//!
//! [`Recorder`] keeps the last [`ENTRIES_MAX`] in memory, of [`OCTETS_MAX`] octets altogether. For a BGP
//! peer they are all that its state machine was given, and what it made of that, in order: given to
//! another [`ferrolb_bgp::Peer`] they lead to the same state, as long as its beginning is among them.
//! Of its routes only the table that is wanted still can be read.
//!
//! Nothing secret is written down: the keys of TCP-MD5 are the driver's, and no part of what a state
//! machine is given.
//!
//! Whoever writes holds a lock for as long as it takes to append, and whoever reads for as long as it takes
//! to copy a reference to each: microseconds.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ferrolb_bgp::{BfdState, Config, ConnectionId, Direction, Event, Route, Stop, Transmit};
use ferrolb_vocab::{Instant, IpPrefix, ObjectName};

use crate::bfd::BfdEvent;

/// Entries that are kept: of four peers with nothing but KEEPALIVEs every 30 s, those of an hour.
pub const ENTRIES_MAX: usize = 2_048;

/// Octets that entries take altogether, as far as they are counted: what four peers are told of 10,000
/// prefixes, and as much again. The newest entry is kept whatever it takes.
pub const OCTETS_MAX: usize = 524_288;

/// Where everything is written down. Copies write into the same.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    octets: usize,
    lost: u64,
}

/// What is kept at one moment.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The oldest first.
    pub entries: Vec<Arc<Entry>>,
    /// How many came before the oldest and are forgotten.
    pub lost: u64,
}

/// One thing that has happened.
#[derive(Debug)]
pub struct Entry {
    /// When, on the clock of [`ferrolb_telemetry::clock`].
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What has happened.
#[derive(Debug)]
pub enum What {
    /// To the state machine of a BGP peer.
    Bgp {
        /// Which.
        peer: Arc<ObjectName>,
        /// What it was given, or did.
        step: BgpStep,
    },
    /// A BFD session came up or left it.
    Bfd(BfdEvent),
    /// Something else that the speaker was told or has decided.
    Speaker {
        /// Where it comes from.
        kind: &'static str,
        /// What it is, for people.
        text: Box<str>,
    },
}

/// What the state machine of a peer was given, as the calls of [`ferrolb_bgp::Peer`], and what it did.
#[derive(Debug)]
pub enum BgpStep {
    /// It was made.
    Created {
        /// Of which jitter is drawn.
        seed: u64,
        /// What the operator wants.
        config: Box<Config>,
    },
    /// What the peer is to know.
    Routes(WantedRoutes),
    /// These are all routes, from now on for good: [`ferrolb_bgp::RibOut::complete`].
    Complete,
    /// Whether the routes are about to go away is otherwise than before.
    GracefulShutdown(bool),
    /// The operator wants something else.
    Configured(Box<Config>),
    /// What BFD says, whether that is new or not.
    Bfd(BfdState),
    /// It was started, as one whose peer may have routes of a former life or not, and sends what can be sent.
    Started {
        /// Whether the peer may have them.
        has_restarted: bool,
    },
    /// It was stopped.
    Stopped(Stop),
    /// A connection is open.
    Connected {
        /// Which.
        id: ConnectionId,
        /// Who opened it.
        direction: Direction,
        /// This end.
        local: SocketAddr,
        /// The other.
        remote: SocketAddr,
    },
    /// A connection was not opened.
    ConnectFailed(ConnectionId),
    /// A connection is gone.
    Closed(ConnectionId),
    /// A connection is gone, because TCP has given it up.
    GivenUp(ConnectionId),
    /// It goes on with the session of the process before it.
    Resumed {
        /// On which connection.
        id: ConnectionId,
        /// A [`ferrolb_bgp::Resumption`], as text.
        session: Box<str>,
        /// This end.
        local: SocketAddr,
        /// The other.
        remote: SocketAddr,
    },
    /// Octets have come.
    Received {
        /// On which connection.
        id: ConnectionId,
        /// As they came: messages begin and end anywhere.
        octets: Box<[u8]>,
    },
    /// All that was sent on a connection is written.
    Written(ConnectionId),
    /// Something was due.
    TimedOut,
    /// What it had the driver do.
    Did(Transmit),
    /// What has become of it.
    Became(Box<Event>),
}

/// Routes that a peer is to know. They are not kept for the sake of the recording.
#[derive(Debug)]
pub struct WantedRoutes {
    /// How many.
    pub count: usize,
    table: Weak<BTreeMap<IpPrefix, Arc<Route>>>,
}

impl Recorder {
    /// Writes down what has happened at a time.
    pub fn note(&self, at: Instant, what: What) {
        let entry = Arc::new(Entry { at, what });
        let octets = entry.octets();
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.octets += octets;
        ring.entries.push_back(entry);
        while ring.entries.len() > ENTRIES_MAX || (ring.octets > OCTETS_MAX && ring.entries.len() > 1) {
            let Some(oldest) = ring.entries.pop_front() else { break };
            ring.octets -= oldest.octets();
            ring.lost += 1;
        }
    }

    /// What is kept now.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Recording { entries: ring.entries.iter().map(Arc::clone).collect(), lost: ring.lost }
    }
}

impl Entry {
    /// What it takes, which never changes.
    fn octets(&self) -> usize {
        let beside = match &self.what {
            What::Bgp { step, .. } => step.octets(),
            What::Bfd(_) => 0,
            What::Speaker { text, .. } => text.len(),
        };
        size_of::<Self>() + beside
    }
}

impl BgpStep {
    /// What it takes beside itself.
    fn octets(&self) -> usize {
        match self {
            Self::Created { .. } | Self::Configured(_) => size_of::<Config>(),
            Self::Received { octets, .. } => octets.len(),
            Self::Resumed { session, .. } => session.len(),
            Self::Did(Transmit::Send { octets, .. }) => octets.len(),
            Self::Became(_) => size_of::<Event>(),
            Self::Routes(_)
            | Self::Complete
            | Self::GracefulShutdown(_)
            | Self::Bfd(_)
            | Self::Started { .. }
            | Self::Stopped(_)
            | Self::Connected { .. }
            | Self::ConnectFailed(_)
            | Self::Closed(_)
            | Self::GivenUp(_)
            | Self::Written(_)
            | Self::TimedOut
            | Self::Did(Transmit::Connect { .. } | Transmit::Close { .. } | Transmit::Abort { .. }) => 0,
        }
    }
}

impl WantedRoutes {
    /// Takes note of a table.
    pub(crate) fn of(table: &Arc<BTreeMap<IpPrefix, Arc<Route>>>) -> Self {
        Self { count: table.len(), table: Arc::downgrade(table) }
    }

    /// The table, as long as somebody wants it.
    #[must_use]
    pub fn table(&self) -> Option<Arc<BTreeMap<IpPrefix, Arc<Route>>>> {
        self.table.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn speaker(text: &str) -> What {
        What::Speaker { kind: "test", text: text.into() }
    }

    fn at(seconds: usize) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds.try_into().unwrap()))
    }

    #[test]
    fn the_oldest_entries_are_forgotten_and_counted() {
        let recorder = Recorder::default();
        for index in 0..ENTRIES_MAX + 3 {
            recorder.note(at(index), speaker(""));
        }
        let Recording { entries, lost } = recorder.recording();
        assert_eq!((entries.len(), lost), (ENTRIES_MAX, 3));
        assert_eq!((entries[0].at, entries[ENTRIES_MAX - 1].at), (at(3), at(ENTRIES_MAX + 2)));
    }

    #[test]
    fn long_entries_leave_room_for_fewer_and_the_newest_is_kept_whatever_it_takes() {
        let recorder = Recorder::default();
        let half = "x".repeat(OCTETS_MAX / 2 - size_of::<Entry>());
        recorder.note(at(0), speaker(&half));
        recorder.note(at(1), speaker(&half));
        assert_eq!(recorder.recording().entries.len(), 2, "there is room for just these");
        recorder.note(at(2), speaker(""));
        assert_eq!(recorder.recording().lost, 1);
        recorder.note(at(3), speaker(&"x".repeat(2 * OCTETS_MAX)));
        let Recording { entries, lost } = recorder.recording();
        assert_eq!((entries.len(), entries[0].at, lost), (1, at(3), 3));
        recorder.note(at(4), speaker(""));
        assert_eq!(recorder.recording().entries[0].at, at(4), "what was too long made room again");
    }

    #[test]
    fn routes_are_read_for_as_long_as_somebody_wants_them() {
        let table = Arc::new(BTreeMap::from([("192.0.2.1/32".parse().unwrap(), Arc::default())]));
        let noted = WantedRoutes::of(&table);
        assert_eq!(noted.table(), Some(Arc::clone(&table)));
        drop(table);
        assert_eq!((noted.table(), noted.count), (None, 1));
    }
}
