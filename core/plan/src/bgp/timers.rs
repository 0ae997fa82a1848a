//! How long a session is silent, and how often it speaks.

use core::fmt;
use core::time::Duration;

/// The times of a session, all in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    hold_time: u16,
    keepalive_time: u16,
    connect_retry_time: u16,
}

/// The times as they were written contradict themselves, or RFC 4271.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimersError {
    /// The hold time is 1 or 2 s once it is cut to whole seconds, or three keepalive times are:
    /// RFC 4271 §4.2.
    HoldTime(Duration),
    /// The hold time does not fit the two octets that an OPEN has for it.
    HoldTimeTooLong(Duration),
    /// Keepalives would come later than the hold time is over.
    KeepaliveTime {
        /// The hold time.
        hold: Duration,
        /// The keepalive time.
        keepalive: Duration,
    },
    /// The connect time is out of its range.
    ConnectTime(Duration),
    /// The connect time has parts of a second.
    ConnectTimeFraction(Duration),
}

impl Timers {
    /// Completes what an operator wrote: where only one of hold and keepalive time is given, hold is
    /// three times keepalive, and keepalive a third of hold; where neither is, and for the connect time,
    /// holds what RFC 4271 §10 suggests. Hold and keepalive time are cut to whole seconds.
    ///
    /// A keepalive time of zero beside a hold time stands for the third of that: without keepalives
    /// the peer would end the session.
    ///
    /// # Errors
    /// What contradicts itself, or RFC 4271.
    pub fn complete(
        hold: Option<Duration>,
        keepalive: Option<Duration>,
        connect: Option<Duration>,
    ) -> Result<Self, TimersError> {
        if let (Some(hold), Some(keepalive)) = (hold, keepalive)
            && keepalive > hold
        {
            return Err(TimersError::KeepaliveTime { hold, keepalive });
        }
        let written = match (hold, keepalive) {
            (Some(hold), _) => hold,
            (None, Some(keepalive)) => keepalive.saturating_mul(3),
            (None, None) => HOLD_TIME_DEFAULT,
        };
        if matches!(written.as_secs(), 1 | 2) {
            return Err(TimersError::HoldTime(written));
        }
        let hold_time =
            u16::try_from(written.as_secs()).map_err(|_too_long| TimersError::HoldTimeTooLong(written))?;
        let keepalive = keepalive.and_then(|keepalive| u16::try_from(keepalive.as_secs()).ok());
        Ok(Self {
            hold_time,
            keepalive_time: keepalive.filter(|seconds| *seconds > 0).unwrap_or(hold_time / 3),
            connect_retry_time: connect.map_or(Ok(CONNECT_RETRY_TIME_DEFAULT), whole_seconds)?,
        })
    }

    /// The longest silence of the peer, in seconds, that is proposed to it: 0, for ever, or at least
    /// 3. RFC 4271 §4.2.
    #[must_use]
    pub const fn hold_time(self) -> u16 {
        self.hold_time
    }

    /// The time between KEEPALIVEs in seconds, as long as the peer does not want a shorter hold time;
    /// 0 for none.
    #[must_use]
    pub const fn keepalive_time(self) -> u16 {
        self.keepalive_time
    }

    /// The longest time between two attempts to connect, in seconds.
    #[must_use]
    pub const fn connect_retry_time(self) -> u16 {
        self.connect_retry_time
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self { hold_time: 90, keepalive_time: 30, connect_retry_time: CONNECT_RETRY_TIME_DEFAULT }
    }
}

fn whole_seconds(connect: Duration) -> Result<u16, TimersError> {
    let seconds = u16::try_from(connect.as_secs()).ok().filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or(TimersError::ConnectTime(connect))?;
    match connect.subsec_nanos() {
        0 => Ok(seconds),
        _parts => Err(TimersError::ConnectTimeFraction(connect)),
    }
}

impl fmt::Display for TimersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HoldTime(hold) => write!(f, "invalid hold time {hold:?}: must be 0 or >=3s"),
            Self::HoldTimeTooLong(hold) => {
                write!(f, "invalid hold time {hold:?}: must be at most {}s", u16::MAX)
            }
            Self::KeepaliveTime { hold, keepalive } => write!(
                f,
                "invalid keepaliveTime {keepalive:?}, must be lower than holdTime {hold:?}: lower it to a third \
                 of holdTime"
            ),
            Self::ConnectTime(connect) => {
                write!(f, "connect time should be between 1 seconds to 65535, found {connect:?}")
            }
            Self::ConnectTimeFraction(connect) => {
                write!(f, "connect time should contain a whole number of seconds, found {connect:?}")
            }
        }
    }
}

impl core::error::Error for TimersError {}

/// What RFC 4271 §10 suggests.
const HOLD_TIME_DEFAULT: Duration = Duration::from_secs(90);
/// What RFC 4271 §10 suggests, in seconds.
const CONNECT_RETRY_TIME_DEFAULT: u16 = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn complete(hold: Option<u64>, keepalive: Option<u64>) -> Result<(u16, u16), TimersError> {
        let [hold, keepalive] = [hold, keepalive].map(|millis| millis.map(Duration::from_millis));
        let timers = Timers::complete(hold, keepalive, None)?;
        Ok((timers.hold_time(), timers.keepalive_time()))
    }

    #[test]
    fn one_of_hold_and_keepalive_time_completes_the_other() {
        for (hold, keepalive, expected) in [
            (None, None, (90, 30)),
            (Some(57_000), Some(13_000), (57, 13)), // acceptance 76
            (Some(10_000), None, (10, 3)),
            (Some(0), None, (0, 0)),
            (Some(3_999), None, (3, 1)),
            (None, Some(20_000), (60, 20)),
            (None, Some(1_900), (5, 1)),
            (None, Some(0), (0, 0)),
            (Some(0), Some(0), (0, 0)),
            (Some(90_000), Some(0), (90, 30)),
            (Some(90_000), Some(90_000), (90, 90)),
            (Some(65_535_000), None, (65_535, 21_845)),
        ] {
            assert_eq!(complete(hold, keepalive), Ok(expected), "{hold:?} {keepalive:?}");
        }
        let default = Timers::default();
        assert_eq!(Timers::complete(None, None, None), Ok(default));
        assert_eq!(default.connect_retry_time(), 120);
    }

    #[test]
    fn times_that_contradict_themselves_are_told_in_the_words_of_metallb() {
        for (hold, keepalive, expected) in [
            (Some(2_999), None, "invalid hold time 2.999s: must be 0 or >=3s"),
            (Some(1_000), Some(0), "invalid hold time 1s: must be 0 or >=3s"),
            (None, Some(500), "invalid hold time 1.5s: must be 0 or >=3s"),
            (Some(65_536_000), None, "invalid hold time 65536s: must be at most 65535s"),
            (None, Some(21_846_000), "invalid hold time 65538s: must be at most 65535s"),
            (Some(9_000), Some(9_001), "invalid keepaliveTime 9.001s, must be lower than holdTime 9s"),
            (Some(0), Some(1_000), "invalid keepaliveTime 1s, must be lower than holdTime 0ns"),
        ] {
            let message = complete(hold, keepalive).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_connect_time_is_whole_seconds_within_its_range() {
        let connect = |millis| Timers::complete(None, None, Some(Duration::from_millis(millis)));
        for (millis, seconds) in [(1_000, 1), (5_000, 5), (65_535_000, 65_535)] {
            assert_eq!(connect(millis).map(Timers::connect_retry_time), Ok(seconds));
        }
        for millis in [0, 999, 65_536_000] {
            let message = connect(millis).unwrap_err().to_string();
            assert!(message.starts_with("connect time should be between 1 seconds to 65535"), "{message}");
        }
        let message = connect(1_500).unwrap_err().to_string();
        assert!(message.starts_with("connect time should contain a whole number of seconds"), "{message}");
    }
}
