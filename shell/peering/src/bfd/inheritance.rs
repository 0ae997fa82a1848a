//! Sessions that go on in another process: a line of text for each.
//!
//! ```text
//! 1 192.0.2.1 192.0.2.9 eth0 one 49170 1500 300000 300000 3 . active 1 plain 20c0… 20c0… 300000 300000 - -
//! ```
//!
//! The words are the version, the path (the peer, the local address, the interface, one hop or several),
//! the source port, for how many milliseconds the session was Up, how it was configured (the intervals to
//! transmit and to receive and Detect Mult, the interval of Echo packets, who speaks first, the least Time
//! to Live, whether packets are authenticated), and a [`Resumption`]. Intervals are in microseconds.
//!
//! With its configuration in the line a session goes on before anybody has read that again. A line has no
//! keys: what is authenticated goes on when they are known, if the peer waits so long.

use std::collections::BTreeMap;
use std::str::{FromStr, SplitN};
use std::time::Duration;

use ferrolb_bfd::{Config, Resumption, ResumptionError, Role, SESSIONS_MAX, Timing, TimingError};
use ferrolb_telemetry::chain;
use ferrolb_vocab::{Instant, InterfaceName};
use ferrolb_wire::bfd::Interval;

use super::SessionPath;

/// The only version. A line of another is not read, and its session begins anew.
const VERSION: &str = "1";

/// The words of a line, a [`Resumption`] taken for one.
const WORDS: usize = 15;

/// In the place of what is not there: no address and no interface is called so.
const NONE: &str = ".";

const HOPS: [&str; 2] = ["one", "several"];
const ROLES: [&str; 2] = ["active", "passive"];
const AUTHENTICATION: [&str; 2] = ["plain", "authenticated"];

/// What the process before this one has left.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    /// When that was.
    left: Instant,
    sessions: BTreeMap<SessionPath, Inherited>,
}

/// A session of another process, which has ended without a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inherited {
    /// What its packets were sent from: RFC 5881 §4.
    pub(super) source_port: u16,
    /// For how long it was Up.
    pub(super) up_for: Duration,
    /// How it was configured, but for keys.
    pub(super) config: Config,
    /// Whether there were keys.
    pub(super) is_authenticated: bool,
    pub(super) resumption: Resumption,
}

/// Why a line tells of no session.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum LineError {
    /// Another process speaks otherwise.
    #[error("version {0}, expected {VERSION}")]
    Version(String),
    /// It ends within.
    #[error("expected {WORDS} words and more, found fewer")]
    Short,
    /// A word is not what its place is for.
    #[error("{0:?} is not what is expected in its place")]
    Word(String),
    #[error(transparent)]
    Timing(#[from] TimingError),
    #[error(transparent)]
    Resumption(#[from] ResumptionError),
}

impl Inheritance {
    /// The sessions that `lines` tell of, left at `now`. Of others it is logged why they are not read.
    pub(super) fn read(lines: &[String], now: Instant) -> Self {
        let read = |line: &String| {
            let session = Inherited::parse(line);
            let note = |error: &LineError| {
                let error = chain(error);
                tracing::warn!(%error, "a BFD session of the speaker before this one begins anew");
            };
            session.inspect_err(note).ok()
        };
        Self { left: now, sessions: lines.iter().take(SESSIONS_MAX).filter_map(read).collect() }
    }

    /// The sessions that can go on before anybody says what is wanted.
    pub(super) fn configs(&self) -> BTreeMap<SessionPath, Config> {
        let sessions = self.sessions.iter().filter(|(_, session)| !session.is_authenticated);
        sessions.map(|(path, session)| (path.clone(), session.config)).collect()
    }

    /// The session of a path.
    pub(super) fn get(&self, path: &SessionPath) -> Option<&Inherited> {
        self.sessions.get(path)
    }

    /// The same, which has been taken over.
    pub(super) fn remove(&mut self, path: &SessionPath) -> Option<Inherited> {
        self.sessions.remove(path)
    }

    /// Forgets those that their peers have given up.
    pub(super) fn forget_late(&mut self, now: Instant) {
        let left = self.left;
        self.sessions.retain(|_, session| now < left + session.resumption.peer_detection_time());
    }

    /// Whether a source port is that of a session which is still to be taken over.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.sessions.values().any(|session| session.source_port == port)
    }
}

impl Inherited {
    /// The session as text, which [`Self::parse`] reads.
    pub(super) fn line(&self, path: &SessionPath) -> String {
        let Self { source_port, up_for, config, is_authenticated, resumption } = self;
        let SessionPath { peer, local, interface, is_multihop } = path;
        let Config { timing, role, minimum_ttl, authentication: _ } = config;
        let [tx, rx] = [timing.desired_min_tx(), timing.required_min_rx()].map(Interval::micros);
        let words: [String; WORDS] = [
            VERSION.to_owned(),
            peer.to_string(),
            optional(local.as_ref()),
            optional(interface.as_ref()),
            second_if(*is_multihop, HOPS),
            source_port.to_string(),
            up_for.as_millis().to_string(),
            tx.to_string(),
            rx.to_string(),
            timing.detect_mult().to_string(),
            optional(timing.echo().map(Interval::micros).as_ref()),
            second_if(*role == Role::Passive, ROLES),
            minimum_ttl.to_string(),
            second_if(*is_authenticated, AUTHENTICATION),
            resumption.to_string(),
        ];
        words.join(" ")
    }

    fn parse(line: &str) -> Result<(SessionPath, Self), LineError> {
        let mut words = Words(line.splitn(WORDS, ' '));
        let version = words.word()?;
        if version != VERSION {
            return Err(LineError::Version(version.to_owned()));
        }
        let path = SessionPath {
            peer: words.value()?,
            local: words.optional()?,
            interface: words.optional::<String>()?.map(InterfaceName::from),
            is_multihop: words.is_second(HOPS)?,
        };
        let (source_port, up_for) = (words.value()?, Duration::from_millis(words.value()?));
        let [tx, rx] = [words.value()?, words.value()?].map(Interval::from_micros);
        let mut timing = Timing::new(tx, rx, words.value()?)?;
        if let Some(echo) = words.optional()? {
            timing = timing.with_echo(Interval::from_micros(echo))?;
        }
        let role = if words.is_second(ROLES)? { Role::Passive } else { Role::Active };
        let config = Config { timing, role, minimum_ttl: words.value()?, authentication: None };
        let is_authenticated = words.is_second(AUTHENTICATION)?;
        let resumption = words.word()?.parse::<Resumption>()?;
        Ok((path, Self { source_port, up_for, config, is_authenticated, resumption }))
    }
}

/// The words of a line that are still to be read.
struct Words<'a>(SplitN<'a, char>);

impl<'a> Words<'a> {
    fn word(&mut self) -> Result<&'a str, LineError> {
        self.0.next().ok_or(LineError::Short)
    }

    fn value<T: FromStr>(&mut self) -> Result<T, LineError> {
        value(self.word()?)
    }

    fn optional<T: FromStr>(&mut self) -> Result<Option<T>, LineError> {
        let word = self.word()?;
        if word == NONE { Ok(None) } else { value(word).map(Some) }
    }

    fn is_second(&mut self, [first, second]: [&str; 2]) -> Result<bool, LineError> {
        let word = self.word()?;
        if word == first || word == second {
            Ok(word == second)
        } else {
            Err(LineError::Word(word.to_owned()))
        }
    }
}

fn value<T: FromStr>(word: &str) -> Result<T, LineError> {
    word.parse().map_err(|_unread| LineError::Word(word.to_owned()))
}

fn optional<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| NONE.to_owned(), T::to_string)
}

fn second_if(is_second: bool, [first, second]: [&str; 2]) -> String {
    let word = if is_second { second } else { first };
    word.to_owned()
}

#[cfg(test)]
mod tests;
