//! BFD Control packets: RFC 5880 §4.1.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
//! |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//! +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
//! |                       My Discriminator                        |
//! |                      Your Discriminator                       |
//! |                    Desired Min TX Interval                    |
//! |                   Required Min RX Interval                    |
//! |                 Required Min Echo RX Interval                 |
//! +---------------------------------------------------------------+
//! |  an authentication section, if A is set                       |
//! +---------------------------------------------------------------+
//! ```
//!
//! Intervals are in microseconds. The authentication section is handed on unread, for whoever knows
//! whether the session uses one: [`Section`] reads it. What the Echo function sends is an [`Echo`] in
//! a [`Frame`].

use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;

use crate::cursor::{Reader, Truncated};
pub use authentication::{AuthType, MD5_LENGTH, PASSWORD_MAX, Password, SHA1_LENGTH, Section, SectionError};
pub use echo::{ECHO_PORT, Echo, Frame};
pub use payload::Payload;

mod authentication;
mod echo;
mod payload;

/// Octets of a packet without an authentication section.
pub const LENGTH: usize = 24;

/// What one system tells the other about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Why the sender's session left Up last (Diag).
    pub diagnostic: Diagnostic,
    /// The sender's session state (Sta).
    pub state: State,
    /// The sender wants a packet with Final at once (P).
    pub is_poll: bool,
    /// The answer to a packet with Poll (F).
    pub is_final: bool,
    /// The sender's BFD outlives its control plane (C).
    pub is_control_plane_independent: bool,
    /// The sender is in Demand mode: it wants no periodic packets (D).
    pub is_demand: bool,
    /// How many intervals without a packet from the sender are a failure.
    pub detect_mult: NonZeroU8,
    /// The sender's name of the session.
    pub my_discriminator: NonZeroU32,
    /// The receiver's name of the session; `None` while the sender does not know it.
    pub your_discriminator: Option<NonZeroU32>,
    /// The sender would like to send no oftener than this.
    pub desired_min_tx: Interval,
    /// The sender can receive no oftener than this; zero: it wants no periodic packets.
    pub required_min_rx: Interval,
    /// The sender can loop back Echo packets no oftener than this; zero: not at all.
    pub required_min_echo_rx: Interval,
}

/// A session's state (Sta).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Held down by its operator. No failure.
    AdminDown,
    /// Not established.
    Down,
    /// The peer is heard, and has not said yet that it hears.
    Init,
    /// Each hears the other.
    Up,
}

/// A time between packets, as it travels: whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(u32);

/// Why a session left Up last, five bits: RFC 5880 §4.1 and its registry. Codes that have no name
/// here travel as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic(u8);

/// A packet as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What it says.
    pub control: Control,
    /// Its octets as they came, without what followed them in the datagram: what a digest covers.
    pub octets: &'a [u8],
    /// The authentication section, type and length included, if there is one (A).
    pub authentication: Option<&'a [u8]>,
}

/// Why octets are no BFD Control packet to believe. In the order of RFC 5880 §6.8.6, the first
/// that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It ends before its length field.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// Another version of the protocol.
    #[error("version {0}, expected {VERSION}")]
    Version(u8),
    /// Its length field leaves no room for what a packet has.
    #[error("length {length}, expected at least {minimum}")]
    LengthTooShort {
        /// The length field.
        length: u8,
        /// The least it can be with its A bit.
        minimum: u8,
    },
    /// Its length field counts more than came.
    #[error("length {length}, with a payload of {payload} octets")]
    LengthBeyondPayload {
        /// The length field.
        length: u8,
        /// How many octets came.
        payload: usize,
    },
    /// Detect Mult is zero.
    #[error("detect mult is zero")]
    DetectMult,
    /// The M bit is set.
    #[error("the multipoint bit is set")]
    Multipoint,
    /// My Discriminator is zero.
    #[error("my discriminator is zero")]
    MyDiscriminator,
    /// Your Discriminator is zero in a state in which the sender must know it.
    #[error("your discriminator is zero in state {0:?}")]
    YourDiscriminator(State),
}

impl ParseError {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Truncated(_) => "truncated",
            Self::Version(_) => "version",
            Self::LengthTooShort { .. } => "length_too_short",
            Self::LengthBeyondPayload { .. } => "length_beyond_payload",
            Self::DetectMult => "detect_mult_zero",
            Self::Multipoint => "multipoint",
            Self::MyDiscriminator => "my_discriminator_zero",
            Self::YourDiscriminator(_) => "your_discriminator_zero",
        }
    }
}

impl Control {
    /// Reads a packet off the payload of a datagram. Octets after its length are ignored.
    ///
    /// # Errors
    /// It must be discarded whatever the session: RFC 5880 §6.8.6.
    pub fn parse(payload: &[u8]) -> Result<Received<'_>, ParseError> {
        let mut reader = Reader::new(payload);
        let first = reader.u8()?;
        let version = first >> 5;
        if version != VERSION {
            return Err(ParseError::Version(version));
        }
        let (flags, detect_mult, length) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let is_set = |bit: u8| flags & bit != 0;
        let minimum = if is_set(AUTHENTICATION_PRESENT) { LENGTH_MIN_AUTHENTICATED } else { LENGTH_MIN };
        if length < minimum {
            return Err(ParseError::LengthTooShort { length, minimum });
        }
        let Some(octets) = payload.get(..usize::from(length)) else {
            return Err(ParseError::LengthBeyondPayload { length, payload: payload.len() });
        };
        let detect_mult = NonZeroU8::new(detect_mult).ok_or(ParseError::DetectMult)?;
        if is_set(MULTIPOINT) {
            return Err(ParseError::Multipoint);
        }
        let control = Self {
            diagnostic: Diagnostic::of_bits(first),
            state: State::of_bits(flags),
            is_poll: is_set(POLL),
            is_final: is_set(FINAL),
            is_control_plane_independent: is_set(CONTROL_PLANE_INDEPENDENT),
            is_demand: is_set(DEMAND),
            detect_mult,
            my_discriminator: NonZeroU32::new(reader.u32()?).ok_or(ParseError::MyDiscriminator)?,
            your_discriminator: NonZeroU32::new(reader.u32()?),
            desired_min_tx: Interval(reader.u32()?),
            required_min_rx: Interval(reader.u32()?),
            required_min_echo_rx: Interval(reader.u32()?),
        };
        match control.state {
            State::Init | State::Up if control.your_discriminator.is_none() => {
                return Err(ParseError::YourDiscriminator(control.state));
            }
            State::AdminDown | State::Down | State::Init | State::Up => {}
        }
        let authentication = if is_set(AUTHENTICATION_PRESENT) {
            Some(reader.octets(usize::from(length).saturating_sub(LENGTH))?)
        } else {
            None
        };
        Ok(Received { control, octets, authentication })
    }

    /// The packet's octets, without an authentication section. They parse back unless Your
    /// Discriminator is missing in a state that needs it.
    #[must_use]
    pub fn emit(&self) -> [u8; LENGTH] {
        self.header(0, LENGTH_MIN)
    }

    /// The packet's octets with an authentication section. What is to be digested is what comes
    /// before its digest, and the key.
    #[must_use]
    pub fn emit_authenticated(&self, section: &Section) -> Payload {
        let length = LENGTH_MIN.saturating_add(section.length());
        let mut payload = Payload::from(self.header(AUTHENTICATION_PRESENT, length));
        section.emit(&mut payload);
        payload
    }

    fn header(&self, authentication: u8, length: u8) -> [u8; LENGTH] {
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let flags = self.state.bits()
            | flag(self.is_poll, POLL)
            | flag(self.is_final, FINAL)
            | flag(self.is_control_plane_independent, CONTROL_PLANE_INDEPENDENT)
            | flag(self.is_demand, DEMAND)
            | authentication;
        let first = VERSION << 5 | self.diagnostic.0;
        let words = [
            u32::from_be_bytes([first, flags, self.detect_mult.get(), length]),
            self.my_discriminator.get(),
            self.your_discriminator.map_or(0, NonZeroU32::get),
            self.desired_min_tx.0,
            self.required_min_rx.0,
            self.required_min_echo_rx.0,
        ];
        let mut octets = [0; LENGTH];
        let (chunks, _) = octets.as_chunks_mut();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.to_be_bytes();
        }
        octets
    }
}

impl State {
    const fn of_bits(flags: u8) -> Self {
        match flags >> 6 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _three => Self::Up,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1 << 6,
            Self::Init => 2 << 6,
            Self::Up => 3 << 6,
        }
    }
}

impl Interval {
    /// No interval: the meaning depends on the field.
    pub const ZERO: Self = Self(0);

    /// `micros` microseconds.
    #[must_use]
    pub const fn from_micros(micros: u32) -> Self {
        Self(micros)
    }

    /// `millis` milliseconds; above 71 minutes, the longest that there is.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Whole microseconds.
    #[must_use]
    pub const fn micros(self) -> u32 {
        self.0
    }

    /// The same as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0 as u64)
    }
}

impl Diagnostic {
    /// No diagnostic.
    pub const NONE: Self = Self(0);
    /// No packet came for the Detection Time.
    pub const CONTROL_DETECTION_TIME_EXPIRED: Self = Self(1);
    /// Echo packets did not come back.
    pub const ECHO_FUNCTION_FAILED: Self = Self(2);
    /// The peer said that its session is down.
    pub const NEIGHBOR_SIGNALED_SESSION_DOWN: Self = Self(3);
    /// The forwarding plane was reset.
    pub const FORWARDING_PLANE_RESET: Self = Self(4);
    /// The path is known to be down.
    pub const PATH_DOWN: Self = Self(5);
    /// A path beyond the sender is down.
    pub const CONCATENATED_PATH_DOWN: Self = Self(6);
    /// An operator holds the session down.
    pub const ADMINISTRATIVELY_DOWN: Self = Self(7);
    /// A path beyond the sender is down in the other direction.
    pub const REVERSE_CONCATENATED_PATH_DOWN: Self = Self(8);

    const fn of_bits(first: u8) -> Self {
        Self(first & 0x1f)
    }

    /// The code, below 32.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NONE => "none",
            Self::CONTROL_DETECTION_TIME_EXPIRED => "control_detection_time_expired",
            Self::ECHO_FUNCTION_FAILED => "echo_function_failed",
            Self::NEIGHBOR_SIGNALED_SESSION_DOWN => "neighbor_signaled_session_down",
            Self::FORWARDING_PLANE_RESET => "forwarding_plane_reset",
            Self::PATH_DOWN => "path_down",
            Self::CONCATENATED_PATH_DOWN => "concatenated_path_down",
            Self::ADMINISTRATIVELY_DOWN => "administratively_down",
            Self::REVERSE_CONCATENATED_PATH_DOWN => "reverse_concatenated_path_down",
            Self(_) => "reserved",
        }
    }
}

const VERSION: u8 = 1;
const LENGTH_MIN: u8 = 24;
const LENGTH_MIN_AUTHENTICATED: u8 = 26;

const POLL: u8 = 1 << 5;
const FINAL: u8 = 1 << 4;
const CONTROL_PLANE_INDEPENDENT: u8 = 1 << 3;
const AUTHENTICATION_PRESENT: u8 = 1 << 2;
const DEMAND: u8 = 1 << 1;
const MULTIPOINT: u8 = 1;

#[cfg(test)]
mod tests;
