//! What an operator wants of a session.

use core::num::NonZeroU8;

use ferrolb_wire::bfd::Interval;

use crate::authentication::Authentication;

/// The shortest interval: `BFDProfile` allows no shorter one, and a driver's thread that shares
/// its processors keeps no shorter one.
pub const INTERVAL_MIN: Interval = Interval::from_millis(10);

/// The longest interval, `BFDProfile`'s: beyond a minute nobody could be said to watch.
pub const INTERVAL_MAX: Interval = Interval::from_millis(60_000);

/// A session's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How often packets go and must come.
    pub timing: Timing,
    /// Who speaks first.
    pub role: Role,
    /// A packet of a session over several hops that arrives with less Time to Live or Hop Limit
    /// is not believed. Over one hop 255 is required whatever this says, RFC 5881 §5.
    pub minimum_ttl: u8,
    /// How packets are authenticated, on both sides; `None`: not at all. A change counts at once,
    /// and the session goes down unless the peer makes it within a Detection Time.
    pub authentication: Option<Authentication>,
}

/// Who speaks first, RFC 5880 §6.1. One side at least must be active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// This side speaks whether or not it has heard the peer.
    #[default]
    Active,
    /// This side says nothing before it has heard the peer.
    Passive,
}

/// How often packets go and must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    desired_min_tx: Interval,
    required_min_rx: Interval,
    detect_mult: NonZeroU8,
    echo: Option<Interval>,
}

/// An interval is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// The one between packets sent.
    #[error("transmit interval {} us: expected {} to {} us", .0.micros(), INTERVAL_MIN.micros(), INTERVAL_MAX.micros())]
    Transmit(Interval),
    /// The one between packets received.
    #[error("receive interval {} us: expected {} to {} us", .0.micros(), INTERVAL_MIN.micros(), INTERVAL_MAX.micros())]
    Receive(Interval),
    /// The one between Echo packets.
    #[error(
        "echo interval {} us: expected {} to {} us",
        .0.micros(), INTERVAL_MIN.micros(), INTERVAL_MAX.micros()
    )]
    Echo(Interval),
}

impl Timing {
    /// Packets are sent every `desired_min_tx` and must come every `required_min_rx`, or as much
    /// less often as the peer wants; `detect_mult` intervals of this side's silence are a failure
    /// to the peer.
    ///
    /// # Errors
    /// An interval is not between [`INTERVAL_MIN`] and [`INTERVAL_MAX`].
    pub fn new(
        desired_min_tx: Interval,
        required_min_rx: Interval,
        detect_mult: NonZeroU8,
    ) -> Result<Self, TimingError> {
        let range = INTERVAL_MIN..=INTERVAL_MAX;
        if !range.contains(&desired_min_tx) {
            return Err(TimingError::Transmit(desired_min_tx));
        }
        if !range.contains(&required_min_rx) {
            return Err(TimingError::Receive(required_min_rx));
        }
        Ok(Self { desired_min_tx, required_min_rx, detect_mult, echo: None })
    }

    /// The same with the Echo function, RFC 5880 §6.4: this side's Echo packets go every `interval`,
    /// or as much less often as the peer wants, and the peer's are looped back if they come no
    /// oftener. Only where the driver can: over one hop, and IPv4.
    ///
    /// # Errors
    /// The interval is not between [`INTERVAL_MIN`] and [`INTERVAL_MAX`].
    pub fn with_echo(self, interval: Interval) -> Result<Self, TimingError> {
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
            return Err(TimingError::Echo(interval));
        }
        Ok(Self { echo: Some(interval), ..self })
    }

    /// How often this side would send while the session is Up.
    #[must_use]
    pub const fn desired_min_tx(self) -> Interval {
        self.desired_min_tx
    }

    /// How often this side can receive.
    #[must_use]
    pub const fn required_min_rx(self) -> Interval {
        self.required_min_rx
    }

    /// How many intervals of this side's silence are a failure to the peer.
    #[must_use]
    pub const fn detect_mult(self) -> NonZeroU8 {
        self.detect_mult
    }

    /// How often Echo packets go and may come; `None` without the Echo function.
    #[must_use]
    pub const fn echo(self) -> Option<Interval> {
        self.echo
    }
}

impl Default for Timing {
    /// What `BFDProfile` means where it says nothing: 300 ms in both directions, times 3, no echo.
    fn default() -> Self {
        Self {
            desired_min_tx: Interval::from_millis(300),
            required_min_rx: Interval::from_millis(300),
            detect_mult: THREE,
            echo: None,
        }
    }
}

impl Default for Config {
    /// [`Timing::default`], active, unauthenticated, and any Time to Live: peers send over several
    /// hops with less than 255.
    fn default() -> Self {
        Self { timing: Timing::default(), role: Role::Active, minimum_ttl: 1, authentication: None }
    }
}

const THREE: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn intervals_out_of_range_are_refused_with_what_is_expected() {
        let ms = Interval::from_millis;
        let timing = |tx, rx| Timing::new(tx, rx, THREE);
        assert_eq!(timing(ms(9), ms(300)), Err(TimingError::Transmit(ms(9))));
        assert_eq!(timing(Interval::ZERO, ms(300)), Err(TimingError::Transmit(Interval::ZERO)));
        let error = timing(ms(300), ms(60_001)).unwrap_err();
        assert_eq!(error.to_string(), "receive interval 60001000 us: expected 10000 to 60000000 us");
        assert!(timing(INTERVAL_MIN, INTERVAL_MAX).is_ok());
        assert_eq!(timing(ms(300), ms(300)), Ok(Timing::default()));
        assert_eq!(Timing::default().with_echo(ms(9)), Err(TimingError::Echo(ms(9))));
        assert_eq!(Timing::default().with_echo(ms(10)).map(Timing::echo), Ok(Some(ms(10))));
    }
}
