//! The Echo packets of all sessions: RFC 5880 §6.4, RFC 5881 §4.

use core::num::NonZeroU32;

use ferrolb_vocab::Instant;
use ferrolb_wire::bfd::{Echo, Interval};

use super::{Arrival, Discarded, Engine, Path, TTL};
use crate::session::Session;

/// The Time to Live of an Echo packet that has come back: it was sent with [`TTL`], and the peer is
/// one hop.
pub const ECHO_TTL: u8 = TTL - 1;

/// An Echo packet to send to this side's own address, in a frame to the peer, with [`TTL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoTransmit {
    /// Whose it is.
    pub session: NonZeroU32,
    /// Which peer the frame goes to.
    pub path: Path,
    /// Its number.
    pub sequence: u32,
}

/// What to do with an Echo packet that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoArrived {
    /// It is the peer's: it goes back, with a Time to Live of [`ECHO_TTL`].
    LoopBack(NonZeroU32),
    /// It is a session's own, and is back.
    Returned(NonZeroU32),
}

impl EchoTransmit {
    /// What the packet says.
    #[must_use]
    pub const fn payload(&self) -> [u8; Echo::LENGTH] {
        Echo { discriminator: self.session, sequence: self.sequence }.emit()
    }
}

impl Engine {
    /// From now on the driver can send Echo packets of the session to its peer, sees those that come
    /// back, and sends back the peer's. Before that the peer is told that there is no Echo function.
    /// Whether there is such a session.
    pub fn allow_echo(&mut self, session: NonZeroU32, now: Instant) -> bool {
        self.change(session, |session| session.set_echo_possible(true, now))
    }

    /// From now on the driver cannot. Whether there is such a session.
    pub fn deny_echo(&mut self, session: NonZeroU32, now: Instant) -> bool {
        self.change(session, |session| session.set_echo_possible(false, now))
    }

    /// An Echo packet has come: §6.8.8. The peer of its path is the address that it goes to, which is
    /// its sender's.
    ///
    /// # Errors
    /// Why it is of no use, which is counted.
    pub fn handle_echo(&mut self, arrival: Arrival, payload: &[u8]) -> Result<EchoArrived, Discarded> {
        let taken = self.take_echo(arrival, payload);
        taken.inspect_err(|discarded| self.count_discard(*discarded))
    }

    /// The next Echo packet to send.
    pub fn poll_echo(&mut self) -> Option<EchoTransmit> {
        self.echoes.pop_front()
    }

    /// The session of a path.
    #[must_use]
    pub fn session_of(&self, path: &Path) -> Option<&Session> {
        self.session(*self.paths.get(path)?)
    }

    fn take_echo(&mut self, arrival: Arrival, payload: &[u8]) -> Result<EchoArrived, Discarded> {
        match arrival.ttl {
            TTL => {
                let loops_back = |session: &&Session| session.required_min_echo_rx() != Interval::ZERO;
                let session = self.session_of(&arrival.path).filter(loops_back);
                let session = session.ok_or(Discarded::UnknownPeer)?;
                Ok(EchoArrived::LoopBack(session.local_discr()))
            }
            ECHO_TTL => {
                let echo = Echo::parse(payload).ok_or(Discarded::Echo)?;
                let entry = self.sessions.get_mut(&echo.discriminator);
                let entry = entry.ok_or(Discarded::UnknownDiscriminator(echo.discriminator))?;
                let is_awaited = entry.session.handle_echo(echo.sequence);
                if is_awaited { Ok(EchoArrived::Returned(echo.discriminator)) } else { Err(Discarded::Echo) }
            }
            ttl => Err(Discarded::Ttl { ttl, minimum: ECHO_TTL }),
        }
    }
}
