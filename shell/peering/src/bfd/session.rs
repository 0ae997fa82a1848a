//! One session as the driver carries it.

use std::num::NonZeroU32;
use std::time::Duration;

use ferrolb_bfd::{Config, DownReason, Event, Path};
use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::{Diagnostic, State};
use nix::errno::Errno;
use ring::rand::{SecureRandom, SystemRandom};

use super::echo::Neighbor;
use super::metrics::SessionMetrics;
use super::retry::Retry;
use super::sender::Sender;
use super::{Counts, SessionError, SessionStatus};

/// The longest that a session is kept to tell its peer AdminDown, whatever the peer asks for.
const FAREWELL_MAX: Duration = Duration::from_secs(300);

/// A session, wanted or about to end, running or not.
#[derive(Debug)]
pub(super) struct Session {
    /// `None` while it only tells its peer that it ends.
    pub(super) wanted: Option<Config>,
    pub(super) running: Option<Running>,
    /// Why it was not started, or not changed.
    pub(super) error: Option<SessionError>,
    pub(super) retry: Retry,
    pub(super) counts: Counts,
    up_since: Option<Instant>,
    down: Option<DownReason>,
    metrics: SessionMetrics,
}

/// What the engine has of a session, and what sends for it.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) local_discr: NonZeroU32,
    pub(super) path: Path,
    pub(super) sender: Sender,
    /// Where Echo packets go; `None` before the peer's frames were seen.
    pub(super) neighbor: Option<Neighbor>,
    /// Why the last packet was not sent.
    pub(super) send_error: Option<Errno>,
    /// When it has told its peer for long enough that it ends.
    pub(super) ends: Option<Instant>,
}

impl Session {
    /// One that is to be started at once.
    pub(super) fn new(metrics: SessionMetrics, now: Instant) -> Self {
        Self {
            wanted: None,
            running: None,
            error: None,
            retry: Retry::at_once(now),
            counts: Counts::default(),
            up_since: None,
            down: None,
            metrics,
        }
    }

    /// Whether it waits to be started.
    pub(super) const fn is_pending(&self) -> bool {
        self.wanted.is_some() && self.running.is_none()
    }

    /// It goes on, and has been Up since then.
    pub(super) const fn note_resumed(&mut self, up_since: Instant) {
        self.up_since = Some(up_since);
    }

    /// How long it has been Up.
    pub(super) fn up_for(&self, now: Instant) -> Duration {
        self.up_since.map(|since| now.saturating_since(since)).unwrap_or_default()
    }

    /// It came Up or left it.
    pub(super) fn note(&mut self, change: Event) {
        match change {
            Event::Up { at } => {
                self.counts.ups += 1;
                self.up_since = Some(at);
            }
            Event::Down { why, .. } => {
                self.counts.downs += 1;
                self.up_since = None;
                self.down = Some(why);
            }
        }
        self.metrics.count_event(change);
    }

    /// Shows it in the metrics.
    pub(super) fn show(&self, core: Option<&ferrolb_bfd::Session>) {
        self.metrics.show(&self.counts, core);
    }

    /// How it is, by what the engine says of it while it runs.
    pub(super) fn status(&self, core: Option<&ferrolb_bfd::Session>) -> SessionStatus {
        let send_error = || Some(SessionError::Send(self.running.as_ref()?.send_error?));
        SessionStatus {
            state: core.map_or(State::Down, ferrolb_bfd::Session::state),
            remote_state: core.map_or(State::Down, ferrolb_bfd::Session::remote_state),
            local_diag: core.map_or(Diagnostic::NONE, ferrolb_bfd::Session::local_diag),
            remote_diag: core.map_or(Diagnostic::NONE, ferrolb_bfd::Session::remote_diag),
            local_discr: core.map(ferrolb_bfd::Session::local_discr),
            tx_interval: core.and_then(ferrolb_bfd::Session::tx_interval),
            rx_interval: core.and_then(ferrolb_bfd::Session::rx_interval),
            detection_time: core.and_then(ferrolb_bfd::Session::detection_time),
            echo_interval: core.and_then(ferrolb_bfd::Session::echo_interval),
            up_since: self.up_since,
            down: self.down,
            counts: self.counts,
            error: self.error.clone().or_else(send_error),
        }
    }
}

/// How long the peer is to hear AdminDown from a session that was disabled: RFC 5880 §6.8.16. A
/// peer that is not heard need not.
pub(super) fn farewell(core: &ferrolb_bfd::Session) -> Duration {
    match core.detection_time() {
        Some(_heard) => core.peer_detection_time().min(FAREWELL_MAX),
        None => Duration::ZERO,
    }
}

/// Octets that nobody can predict.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SessionError> {
    let mut octets = [0; N];
    SystemRandom::new().fill(&mut octets).map_err(|_unspecified| SessionError::Random)?;
    Ok(octets)
}
