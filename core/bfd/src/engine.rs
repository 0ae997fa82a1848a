//! All sessions of a node.

use alloc::collections::{BTreeMap, VecDeque};
use core::num::NonZeroU32;

use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::{Control, Payload};

use crate::authentication::Sequences;
use crate::config::Config;
use crate::session::{Event, Resumption, Session, Timer};
pub use echo::{ECHO_TTL, EchoArrived, EchoTransmit};
pub use path::{AddError, Arrival, Discarded, Path, TTL};
use sorted::Sorted;

mod echo;
mod path;
mod sorted;

/// The most sessions of a node: a rack's routers are a few, and one thread sends for all. With
/// intervals of 300 ms these are 3,900 packets a second.
pub const SESSIONS_MAX: usize = 1_024;

/// All sessions of a node, each known by its local discriminator.
///
/// Driver law: after each call that takes `now`, send what [`Engine::poll_transmit`] and
/// [`Engine::poll_echo`] yield and take what [`Engine::poll_event`] yields until all are empty, then
/// sleep until [`Engine::poll_timeout`]. Packets that have come are handed in before
/// [`Engine::handle_timeout`] is called, or a driver that was held up takes living peers for dead.
#[derive(Debug, Default)]
pub struct Engine {
    sessions: BTreeMap<NonZeroU32, Entry>,
    paths: BTreeMap<Path, NonZeroU32>,
    /// When something is to be done for a session, the next first: one entry at most for each.
    timers: Sorted<(Instant, NonZeroU32)>,
    /// Sessions that may have packets to send.
    ready: Sorted<NonZeroU32>,
    /// At most one per session and call, drained after each.
    events: VecDeque<(NonZeroU32, Event)>,
    /// The same.
    echoes: VecDeque<EchoTransmit>,
    /// By the names of the reasons, of which there are a score.
    discards: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Entry {
    path: Path,
    session: Session,
    sequences: Sequences,
    timer: Option<Instant>,
}

/// A packet to send, with Time to Live or Hop Limit [`TTL`], to port [`Path::port`], from the
/// source port that is the session's alone (RFC 5881 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Whose it is.
    pub session: NonZeroU32,
    /// Where to.
    pub path: Path,
    /// The payload's octets.
    pub payload: Payload,
}

impl Engine {
    /// Adds the session of `path`, of which there is one at most: RFC 5881 §3.
    ///
    /// # Errors
    /// There are [`SESSIONS_MAX`] already, or one with the same path or discriminator. For the
    /// last, draw another discriminator.
    pub fn add(&mut self, path: Path, session: Session) -> Result<(), AddError> {
        self.insert(path, session, Sequences::default())
    }

    /// Adds a session in the place of one that has ended elsewhere, to the peer the same: it is Up, and
    /// a packet is to go at once. What `config` changes is told as if it had changed now. The peer has a
    /// Detection Time from `now` on to be heard: what it has said meanwhile is lost.
    ///
    /// # Errors
    /// As those of [`Engine::add`]; if the discriminator is taken, begin anew.
    pub fn resume(
        &mut self,
        path: Path,
        resumption: &Resumption,
        config: Config,
        now: Instant,
    ) -> Result<(), AddError> {
        let session = Session::resume(resumption, config, now);
        self.insert(path, session, Sequences::resume(resumption.numbers(), now))
    }

    /// What it takes to go on with a session elsewhere, once all that it had to send is sent, and
    /// nothing more will be; `None` if there is none, or it is not Up.
    #[must_use]
    pub fn resumption(&self, session: NonZeroU32) -> Option<Resumption> {
        let entry = self.sessions.get(&session)?;
        Some(entry.session.resumption()?.with_numbers(entry.sequences.numbers()))
    }

    fn insert(&mut self, path: Path, session: Session, sequences: Sequences) -> Result<(), AddError> {
        let local_discr = session.local_discr();
        if self.sessions.contains_key(&local_discr) {
            return Err(AddError::DiscriminatorTaken);
        }
        if self.paths.contains_key(&path) {
            return Err(AddError::PathTaken);
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(AddError::Full);
        }
        self.paths.insert(path, local_discr);
        let entry = Entry { path, session, sequences, timer: None };
        self.sessions.insert(local_discr, entry);
        self.follow_up(local_discr);
        Ok(())
    }

    /// Forgets a session: nothing more is sent for it. To tell the peer first, see
    /// [`Session::disable`]. Whether there was one.
    pub fn remove(&mut self, session: NonZeroU32) -> bool {
        let Some(entry) = self.sessions.remove(&session) else { return false };
        self.paths.remove(&entry.path);
        if let Some(timer) = entry.timer {
            self.timers.remove(&(timer, session));
        }
        self.ready.remove(&session);
        self.events.retain(|(of, _)| *of != session);
        self.echoes.retain(|echo| echo.session != session);
        true
    }

    /// See [`Session::set_config`]. Whether there is such a session.
    pub fn set_config(&mut self, session: NonZeroU32, config: Config, now: Instant) -> bool {
        self.change(session, |session| session.set_config(config, now))
    }

    /// See [`Session::disable`]. Whether there is such a session.
    pub fn disable(&mut self, session: NonZeroU32, now: Instant) -> bool {
        self.change(session, |session| session.disable(now))
    }

    /// See [`Session::enable`]. Whether there is such a session.
    pub fn enable(&mut self, session: NonZeroU32, now: Instant) -> bool {
        self.change(session, |session| session.enable(now))
    }

    /// A packet has come: RFC 5880 §6.8.6, RFC 5881 §5. Whose it is.
    ///
    /// # Errors
    /// Why it was discarded, which is counted.
    pub fn handle_packet(
        &mut self,
        arrival: Arrival,
        payload: &[u8],
        now: Instant,
    ) -> Result<NonZeroU32, Discarded> {
        let taken = self.take_packet(arrival, payload, now);
        taken.inspect_err(|discarded| self.count_discard(*discarded))
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        // At most one turn for each: whatever is due after that is due in the next call.
        for _each in 0..self.sessions.len() {
            let Some(&(due, session)) = self.timers.first() else { return };
            if due > now {
                return;
            }
            self.change(session, |session| session.handle_timeout(now));
        }
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some(&session) = self.ready.first() {
            if let Some(entry) = self.sessions.get_mut(&session)
                && let Some(payload) = entry.poll_payload()
            {
                return Some(Transmit { session, path: entry.path, payload });
            }
            self.ready.remove(&session);
        }
        None
    }

    /// What became of a session, the oldest first.
    pub fn poll_event(&mut self) -> Option<(NonZeroU32, Event)> {
        self.events.pop_front()
    }

    /// When to call [`Engine::handle_timeout`], and why then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let (_, session) = self.timers.first()?;
        self.sessions.get(session)?.session.poll_timeout()
    }

    /// The session of a discriminator.
    #[must_use]
    pub fn session(&self, local_discr: NonZeroU32) -> Option<&Session> {
        self.sessions.get(&local_discr).map(|entry| &entry.session)
    }

    /// All sessions, by their discriminators.
    pub fn sessions(&self) -> impl Iterator<Item = (Path, &Session)> {
        self.sessions.values().map(|entry| (entry.path, &entry.session))
    }

    /// How many packets were discarded since the start, by [`Discarded::reason`].
    #[must_use]
    pub const fn discards(&self) -> &BTreeMap<&'static str, u64> {
        &self.discards
    }

    fn take_packet(
        &mut self,
        arrival: Arrival,
        payload: &[u8],
        now: Instant,
    ) -> Result<NonZeroU32, Discarded> {
        let received = Control::parse(payload)?;
        let control = received.control;
        let local_discr = match control.your_discriminator {
            Some(local_discr) => local_discr,
            None => *self.paths.get(&arrival.path).ok_or(Discarded::UnknownPeer)?,
        };
        let entry = self.sessions.get_mut(&local_discr);
        let entry = entry.ok_or(Discarded::UnknownDiscriminator(local_discr))?;
        if arrival.path.port() != entry.path.port() {
            return Err(Discarded::Port(arrival.path.port()));
        }
        let minimum = entry.path.minimum_ttl(entry.session.config());
        if arrival.ttl < minimum {
            return Err(Discarded::Ttl { ttl: arrival.ttl, minimum });
        }
        let config = entry.session.config();
        entry.sequences.admit(config.authentication.as_ref(), &received, now)?;
        let taken = entry.session.handle_packet(&control, now);
        self.follow_up(local_discr);
        taken.map(|()| local_discr)
    }

    fn change(&mut self, session: NonZeroU32, change: impl FnOnce(&mut Session)) -> bool {
        let Some(entry) = self.sessions.get_mut(&session) else { return false };
        change(&mut entry.session);
        self.follow_up(session);
        true
    }

    /// After each call of a session.
    fn follow_up(&mut self, session: NonZeroU32) {
        let Some(entry) = self.sessions.get_mut(&session) else { return };
        let timer = entry.session.poll_timeout().map(|(due, _)| due);
        if timer != entry.timer {
            if let Some(before) = entry.timer {
                self.timers.remove(&(before, session));
            }
            if let Some(due) = timer {
                self.timers.insert((due, session));
            }
            entry.timer = timer;
        }
        entry.sequences.note_detection_time(entry.session.detection_time());
        if let Some(event) = entry.session.poll_event() {
            self.events.push_back((session, event));
        }
        if let Some(sequence) = entry.session.poll_echo() {
            self.echoes.push_back(EchoTransmit { session, path: entry.path, sequence });
        }
        self.ready.insert(session);
    }

    fn count_discard(&mut self, discarded: Discarded) {
        let count = self.discards.entry(discarded.reason()).or_default();
        *count = count.saturating_add(1);
    }
}

impl Entry {
    /// The octets of the session's next packet.
    fn poll_payload(&mut self) -> Option<Payload> {
        let packet = self.session.poll_transmit()?;
        let config = self.session.config();
        Some(match &config.authentication {
            Some(authentication) => self.sequences.seal(&packet, authentication, || self.session.draw()),
            None => packet.emit().into(),
        })
    }
}

#[cfg(test)]
mod tests;
