//! One peer: the state machine of RFC 4271 §8 over the two connections that there can be.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use ferrolb_vocab::{Instant, Random};
use ferrolb_wire::bgp::{Cease, MessageType, Notification};

use crate::config::{BfdPolicy, Config};
use crate::connection::{Agreed, Connection, ConnectionId, Direction, Phase};
use crate::negotiation::{Circumstances, offer};
use crate::rib_out::RibOut;
pub use configuring::ResetCause;
pub use events::{BfdState, Event, Reason, State, Stop, Timer, Transmit};
use record::Record;
pub(crate) use record::Tally;
pub use record::{Lost, MessageCounts, Received, Status, Told};

mod agreeing;
mod configuring;
mod dialling;
mod ending;
mod events;
mod receiving;
mod record;
mod resuming;
mod sending;

/// How long the peer may take for its OPEN: the "large value" of RFC 4271 §8.2.2.
pub const OPEN_HOLD_TIME: Duration = Duration::from_secs(240);

/// One router, seen from this side. What its driver owes it: [crate].
#[derive(Debug)]
pub struct Peer {
    config: Config,
    random: Random,
    is_started: bool,
    /// Until when the peer may have routes from before the speaker's restart.
    restarting_until: Option<Instant>,
    /// Whether the last session was one after which both sides keep routes: RFC 8538.
    is_preserved: bool,
    /// Whether the last NOTIFICATION of the peer's refused an OPEN with capabilities.
    is_plain: bool,
    bfd: BfdState,
    attempt: Option<Attempt>,
    connections: BTreeMap<Direction, Connection>,
    /// When to connect (ConnectRetryTimer). Set only while this side has to.
    retry: Option<Instant>,
    /// Attempts and sessions that have failed in a row (ConnectRetryCounter).
    failures: u32,
    rib_out: RibOut,
    /// Until when announcements of the session wait for others to share UPDATEs with; `None`: the next
    /// goes at once.
    packed_until: Option<Instant>,
    connection_ids: u64,
    /// A few per call, drained after each.
    transmits: VecDeque<Transmit>,
    /// A few per call, drained after each.
    events: VecDeque<Event>,
    record: Record,
}

/// An outgoing connection that TCP has not opened yet.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    id: ConnectionId,
    /// When it is given up.
    until: Instant,
}

impl Peer {
    /// A peer in Idle, to which nobody connects. `seed` differs between peers and speakers.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            random: Random::new(seed),
            is_started: false,
            restarting_until: None,
            is_preserved: false,
            is_plain: false,
            bfd: BfdState::Down,
            attempt: None,
            connections: BTreeMap::new(),
            retry: None,
            failures: 0,
            rib_out: RibOut::new(),
            packed_until: None,
            connection_ids: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            record: Record::default(),
        }
    }

    /// Lets the session come up: ManualStart, RFC 4271 §8.1.2.
    pub fn start(&mut self, now: Instant) {
        if !self.is_started {
            self.is_started = true;
            self.failures = 0;
        }
        self.settle(now);
    }

    /// The same, for a speaker that has restarted and whose routes the peer may still keep: for the
    /// Restart Time, or until there is a session, OPENs say so (RFC 4724 §4.1). Where there is one
    /// already, as [`Self::resume`] goes on with, there was no restart.
    pub fn start_restarted(&mut self, now: Instant) {
        let restart = self.config.graceful_restart.filter(|_| self.established().is_none());
        self.restarting_until = restart.map(|restart| now + Duration::from_secs(restart.restart_time.into()));
        self.start(now);
    }

    /// TCP has opened a connection. One of the peer's is refused, with a NOTIFICATION, where there
    /// is no use for it.
    #[expect(clippy::too_many_arguments, reason = "the two ends and the time are what there is to tell")]
    pub fn handle_connected(
        &mut self,
        id: ConnectionId,
        direction: Direction,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        match direction {
            Direction::Outgoing if self.attempt.is_some_and(|attempt| attempt.id == id) => {
                self.attempt = None;
                self.open(id, direction, [local, remote], now);
            }
            // It was given up before.
            Direction::Outgoing => self.transmits.push_back(Transmit::Abort { id }),
            Direction::Incoming => match self.admit(now) {
                Ok(()) => self.open(id, direction, [local, remote], now),
                Err(cease) => self.refuse(id, cease, now),
            },
        }
        self.settle(now);
    }

    /// TCP has not opened the connection: TcpConnectionFails, RFC 4271 §8.1.4.
    pub fn handle_connect_failed(&mut self, id: ConnectionId, now: Instant) {
        if self.attempt.is_some_and(|attempt| attempt.id == id) {
            self.attempt = None;
            self.fail(Reason::ConnectFailed, now);
        }
        self.settle(now);
    }

    /// The connection is gone: the peer has closed or reset it.
    pub fn handle_closed(&mut self, id: ConnectionId, now: Instant) {
        self.lose(id, Reason::ConnectionClosed, now);
    }

    /// The connection is gone: TCP has given it up, as the peer has acknowledged nothing for too long.
    pub fn handle_timed_out(&mut self, id: ConnectionId, now: Instant) {
        self.lose(id, Reason::ConnectionTimedOut, now);
    }

    /// Octets have come.
    pub fn handle_octets(&mut self, id: ConnectionId, octets: &[u8], now: Instant) {
        if let Some(direction) = self.direction_of(id) {
            self.take_octets(direction, id, octets, now);
        }
        self.settle(now);
    }

    /// All that was sent on the connection has been written: it can take UPDATEs.
    pub fn handle_writable(&mut self, id: ConnectionId, now: Instant) {
        if let Some(direction) = self.direction_of(id)
            && let Some(connection) = self.connections.get_mut(&direction)
        {
            connection.unwritten = None;
        }
        self.flush(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if is_due(self.attempt.map(|attempt| attempt.until)) {
            self.give_up_attempt();
            self.fail(Reason::ConnectTimedOut, now);
        }
        for direction in DIRECTIONS {
            let Some(connection) = self.connections.get(&direction) else { continue };
            if is_due(connection.send_hold()) {
                // Nothing more can be written: not even why, RFC 9687 §4.3.
                self.end(direction, Reason::SendHoldTimerExpired, ending::Farewell::Abort, now);
            } else if is_due(connection.hold) {
                let farewell = ending::Farewell::Notify(Notification::hold_timer_expired());
                self.end(direction, Reason::HoldTimerExpired, farewell, now);
            } else if is_due(connection.keepalive) {
                self.send_keepalive(direction, now);
            }
        }
        if is_due(self.packed_until) {
            self.packed_until = None;
            self.flush(now);
        }
        self.settle(now);
    }

    /// The next thing to do.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What has become of the peer, the oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Peer::handle_timeout`], and why then. `None` only while there is nothing to
    /// wait for but the peer, BFD or [`Peer::start`], or the agreed hold time is zero.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let retry = self.retry.map(|due| (due, Timer::ConnectRetry));
        let attempt = self.attempt.map(|attempt| (attempt.until, Timer::Connect));
        let packed = self.packed_until.filter(|_| !self.rib_out.is_settled());
        let update = packed.map(|due| (due, Timer::Update));
        let connections = self.connections.values().flat_map(|connection| {
            let hold = connection.hold.map(|due| (due, Timer::Hold));
            let keepalive = connection.keepalive.map(|due| (due, Timer::Keepalive));
            let send_hold = connection.send_hold().map(|due| (due, Timer::SendHold));
            [hold, keepalive, send_hold]
        });
        [retry, attempt, update].into_iter().chain(connections).flatten().min()
    }

    /// A name for a connection of the peer's, to call [`Peer::handle_connected`] with.
    pub fn next_connection(&mut self) -> ConnectionId {
        self.connection_ids += 1;
        ConnectionId(self.connection_ids)
    }

    /// What the operator wants.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The state of the connection that has come furthest: RFC 4271 §8.2.2.
    #[must_use]
    pub fn state(&self) -> State {
        let open = self.connections.values().map(|connection| match connection.phase {
            Phase::OpenSent => State::OpenSent,
            Phase::OpenConfirm(_) => State::OpenConfirm,
            Phase::Established(..) => State::Established,
        });
        let without = match (self.attempt, self.is_started) {
            (Some(_), _) => State::Connect,
            (None, true) => State::Active,
            (None, false) => State::Idle,
        };
        open.max().unwrap_or(without)
    }

    /// What the peer is to know and has been told.
    #[must_use]
    pub const fn rib_out(&self) -> &RibOut {
        &self.rib_out
    }

    /// The same, to change it; [`Peer::flush`] then sends what can be sent.
    pub const fn rib_out_mut(&mut self) -> &mut RibOut {
        &mut self.rib_out
    }

    /// Whether a connection of the peer's is of use, or why not. One that it takes the place of is
    /// closed.
    fn admit(&mut self, now: Instant) -> Result<(), Cease> {
        if !self.is_started {
            return Err(Cease::ConnectionRejected);
        }
        if self.waits_for_bfd() {
            return Err(Cease::BfdDown);
        }
        if let Some((direction, connection)) = self.established() {
            // RFC 4724 §4.2, §5: such a peer has restarted, and the old connection with it. Beside a
            // session that has just begun it is the other of two that were opened at once.
            let is_old = connection.established().is_some_and(|since| now > since + COLLISION_TIME);
            if !is_old || !connection.agreed().is_some_and(Agreed::restarts_gracefully) {
                return Err(Cease::CollisionResolution);
            }
            self.end(direction, Reason::Replaced, ending::Farewell::Close, now);
        }
        // A peer that connects once more has lost the connection that it opened before.
        let farewell = Notification::cease(Cease::CollisionResolution, None);
        self.end(Direction::Incoming, Reason::Collision, ending::Farewell::Notify(farewell), now);
        Ok(())
    }

    /// Greets the peer on a connection that has just been opened.
    fn open(&mut self, id: ConnectionId, direction: Direction, ends: [SocketAddr; 2], now: Instant) {
        let [local, remote] = ends;
        let offer = offer(&self.config, self.circumstances(now));
        let connection = Connection {
            id,
            local,
            remote,
            offer: offer.clone(),
            phase: Phase::OpenSent,
            received: Vec::new(),
            hold: Some(now + OPEN_HOLD_TIME),
            keepalive: None,
            unwritten: None,
        };
        self.connections.insert(direction, connection);
        self.send(direction, offer.emit(), now);
        self.record.sent.count(MessageType::Open);
    }

    /// How this side's next OPEN differs from the usual one.
    fn circumstances(&self, now: Instant) -> Circumstances {
        Circumstances {
            is_restarting: self.restarting_until.is_some_and(|until| now < until),
            is_preserved: self.is_preserved,
            is_plain: self.is_plain,
        }
    }

    /// A connection is gone, whoever has ended it.
    fn lose(&mut self, id: ConnectionId, reason: Reason, now: Instant) {
        if let Some(direction) = self.direction_of(id) {
            self.end(direction, reason, ending::Farewell::None, now);
        }
        self.settle(now);
    }

    fn direction_of(&self, id: ConnectionId) -> Option<Direction> {
        self.connections.iter().find(|(_, connection)| connection.id == id).map(|(direction, _)| *direction)
    }

    /// The connection on which there is a session.
    pub(crate) fn established(&self) -> Option<(Direction, &Connection)> {
        let mut connections = self.connections.iter();
        let found = connections.find(|(_, connection)| connection.established().is_some())?;
        Some((*found.0, found.1))
    }

    fn waits_for_bfd(&self) -> bool {
        self.config.bfd == BfdPolicy::Strict && self.bfd == BfdState::Down
    }

    /// What follows from any change.
    fn settle(&mut self, now: Instant) {
        self.dial(now);
        let state = self.state();
        self.record.note_state(state, now);
    }
}

/// For how long a session that has begun may meet the other of two connections.
const COLLISION_TIME: Duration = Duration::from_secs(5);

const DIRECTIONS: [Direction; 2] = [Direction::Outgoing, Direction::Incoming];

#[cfg(test)]
mod tests;
