//! A session goes on in another process, and its peer notices nothing.
//!
//! The one that ends says what it takes, in a text that holds no secret; the one that follows begins
//! Up, with the same discriminators, and speaks at once.

use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;
use core::str::FromStr;
use core::time::Duration;

use ferrolb_vocab::{Instant, Random};
use ferrolb_wire::bfd::{Control, Diagnostic, Interval, LENGTH, State};

use super::echo::EchoFunction;
use super::remote::Remote;
use super::{Session, next_state};
use crate::authentication::SequenceNumbers;
use crate::config::{Config, INTERVAL_MAX, INTERVAL_MIN};
use crate::negotiation::{Intervals, Negotiation};

/// What a session that is Up says of itself, so that another can take its place: the state variables of
/// RFC 5880 §6.8.1, as far as they do not follow from the configuration.
///
/// Its text is six words: a packet of this side's and one of the peer's in hexadecimal digits, the
/// transmit and the receive interval in force in microseconds, and the sequence numbers of the last
/// packets sent and received, `-` where there is none. What follows is a later version's and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// What this side would say next, with Poll during a Poll Sequence.
    says: Control,
    /// What the peer said last, without Poll and Final.
    heard: Control,
    in_force: Intervals,
    numbers: SequenceNumbers,
}

/// Why a text is no session to go on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumptionError {
    /// There are fewer words.
    #[error("expected six words at least: two packets, two intervals and two sequence numbers")]
    Words,
    /// A word is not what its place is for.
    #[error("{0:?} is neither a packet nor a number, or not where it is expected")]
    Word(String),
    /// No session has such an interval.
    #[error(
        "an interval of {} us: expected {} to {} us",
        .0.micros(), INTERVAL_MIN.micros(), INTERVAL_MAX.micros()
    )]
    Interval(Interval),
    /// The two sides speak of different sessions, or of one that is not Up.
    #[error("the two packets are not those of one session that is Up")]
    NotUp,
}

impl Session {
    /// What it takes to go on elsewhere, but for the sequence numbers; `None` unless the session is Up:
    /// to begin anew costs any other nothing.
    pub(crate) fn resumption(&self) -> Option<Resumption> {
        let remote = self.remote.filter(|_| self.state == State::Up)?;
        Some(Resumption {
            says: Control { is_poll: self.negotiation.is_polling(), ..self.contents() },
            heard: remote.packet(self.local_discr),
            in_force: self.negotiation.in_force(),
            numbers: SequenceNumbers::default(),
        })
    }

    /// A session in the place of one that has ended. It is Up and says so at once: the peer has waited
    /// since the last packet of the one before. What `config` changes is told as if it had changed now.
    ///
    /// The peer counts as heard now: what it has said meanwhile is lost, and not by its fault.
    pub(crate) fn resume(resumption: &Resumption, config: Config, now: Instant) -> Self {
        let Resumption { says, heard, in_force, .. } = resumption;
        let advertised =
            Intervals { desired_min_tx: says.desired_min_tx, required_min_rx: says.required_min_rx };
        // No other session of this side or the peer's has the two numbers.
        let [own, peers] = [says, heard].map(|packet| u64::from(packet.my_discriminator.get()));
        let mut session = Self {
            local_discr: says.my_discriminator,
            config,
            state: State::Up,
            local_diag: Diagnostic::NONE,
            remote: Some(Remote::of(heard, now)),
            negotiation: Negotiation::resume(advertised, *in_force, says.is_poll),
            // Until the driver has found the way to the peer again there is none.
            echo: EchoFunction::default(),
            random: Random::new(own << u32::BITS | peers),
            // So that there is news.
            said: None,
            sent: None,
            owes_final: false,
            owes_packet: false,
            event: None,
        };
        session.settle(now);
        session
    }
}

impl Resumption {
    /// This side's name of the session.
    #[must_use]
    pub const fn local_discr(&self) -> NonZeroU32 {
        self.says.my_discriminator
    }

    /// How long the peer waits for this side's packets, as far as this side can know: who goes on later
    /// than this finds the session down.
    #[must_use]
    pub fn peer_detection_time(&self) -> Duration {
        let interval = self.says.desired_min_tx.max(self.heard.required_min_rx);
        interval.duration() * u32::from(self.says.detect_mult.get())
    }

    /// The numbers of its authenticated packets.
    pub(crate) const fn numbers(&self) -> SequenceNumbers {
        self.numbers
    }

    /// The same with those numbers.
    pub(crate) const fn with_numbers(self, numbers: SequenceNumbers) -> Self {
        Self { numbers, ..self }
    }

    /// Whether there can be such a session.
    fn check(&self) -> Result<(), ResumptionError> {
        let Self { says, heard, in_force, .. } = self;
        let is_one = says.your_discriminator == Some(heard.my_discriminator)
            && heard.your_discriminator == Some(says.my_discriminator);
        let is_up = says.state == State::Up && next_state(says.state, heard.state) == State::Up;
        if !is_one || !is_up {
            return Err(ResumptionError::NotUp);
        }
        let intervals =
            [says.desired_min_tx, says.required_min_rx, in_force.desired_min_tx, in_force.required_min_rx];
        let odd = intervals.into_iter().find(|interval| !(INTERVAL_MIN..=INTERVAL_MAX).contains(interval));
        odd.map_or(Ok(()), |interval| Err(ResumptionError::Interval(interval)))
    }
}

impl fmt::Display for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for packet in [&self.says, &self.heard] {
            for octet in packet.emit() {
                write!(f, "{octet:02x}")?;
            }
            f.write_str(" ")?;
        }
        let Intervals { desired_min_tx, required_min_rx } = self.in_force;
        write!(f, "{} {}", desired_min_tx.micros(), required_min_rx.micros())?;
        for number in [self.numbers.sent, self.numbers.received] {
            match number {
                Some(number) => write!(f, " {number}")?,
                None => write!(f, " {NO_NUMBER}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Resumption {
    type Err = ResumptionError;

    fn from_str(text: &str) -> Result<Self, ResumptionError> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(ResumptionError::Words);
        let (says, heard) = (packet(next()?)?, packet(next()?)?);
        let [desired_min_tx, required_min_rx] =
            [number(next()?)?, number(next()?)?].map(Interval::from_micros);
        let numbers = SequenceNumbers { sent: optional(next()?)?, received: optional(next()?)? };
        let in_force = Intervals { desired_min_tx, required_min_rx };
        let resumption = Self { says, heard, in_force, numbers };
        resumption.check()?;
        Ok(resumption)
    }
}

fn packet(word: &str) -> Result<Control, ResumptionError> {
    let packet = octets(word).and_then(|octets| Some(Control::parse(&octets).ok()?.control));
    packet.ok_or_else(|| ResumptionError::Word(word.into()))
}

/// The octets of a packet without an authentication section.
fn octets(digits: &str) -> Option<[u8; LENGTH]> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != LENGTH || !rest.is_empty() {
        return None;
    }
    let mut octets = [0; LENGTH];
    for (octet, &[high, low]) in octets.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *octet = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(octets)
}

fn number(word: &str) -> Result<u32, ResumptionError> {
    word.parse().ok().ok_or_else(|| ResumptionError::Word(word.into()))
}

fn optional(word: &str) -> Result<Option<u32>, ResumptionError> {
    if word == NO_NUMBER { Ok(None) } else { number(word).map(Some) }
}

const NO_NUMBER: &str = "-";
