//! What a client that kept asking saw of a node's death.

use std::time::Duration;

use crate::probe::Sample;

/// The time without an answer, as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) asked: usize,
    pub(super) failed: usize,
    /// From the sending of the first request that failed to the first answer after it; `None`
    /// when none failed, or none was answered afterwards.
    pub(super) first_failure_to_answer: Option<Duration>,
    /// The longest time between two answers.
    pub(super) longest_gap: Duration,
}

impl Outage {
    /// Reads it off `samples`, which are in the order of their sending.
    pub(super) fn of(samples: &[Sample]) -> Self {
        let is_answer = |sample: &&Sample| sample.answer.is_some();
        let first_failure = samples.iter().position(|sample| sample.answer.is_none());
        let first_failure_to_answer = first_failure.and_then(|first| {
            let (failed, answered) = (samples.get(first)?, samples.iter().skip(first).find(is_answer)?);
            Some(Duration::from_millis(answered.until_ms.saturating_sub(failed.at_ms)))
        });
        let answers: Vec<u64> = samples.iter().filter(is_answer).map(|sample| sample.until_ms).collect();
        let gaps =
            answers.iter().zip(answers.iter().skip(1)).map(|(before, after)| after.saturating_sub(*before));
        Self {
            asked: samples.len(),
            failed: samples.iter().filter(|sample| sample.answer.is_none()).count(),
            first_failure_to_answer,
            longest_gap: Duration::from_millis(gaps.max().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, until_ms: u64, answered: bool) -> Sample {
        let answer = answered.then(|| "You've hit a".to_owned());
        let error = (!answered).then(|| "connect: timed out".to_owned());
        Sample { at_ms, until_ms, answer, error }
    }

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_answer() {
        let samples = [
            sample(0, 2, true),
            sample(20, 22, true),
            sample(40, 140, false),
            sample(140, 240, false),
            sample(240, 243, true),
            sample(260, 262, true),
        ];
        let outage = Outage::of(&samples);
        assert_eq!((outage.asked, outage.failed), (6, 2));
        assert_eq!(outage.first_failure_to_answer, Some(Duration::from_millis(203)));
        assert_eq!(outage.longest_gap, Duration::from_millis(221));
    }

    #[test]
    fn without_a_failure_there_is_no_outage_and_without_recovery_no_length() {
        assert_eq!(Outage::of(&[sample(0, 2, true), sample(20, 22, true)]).first_failure_to_answer, None);
        let lost = Outage::of(&[sample(0, 2, true), sample(20, 120, false)]);
        assert_eq!((lost.failed, lost.first_failure_to_answer), (1, None));
        assert_eq!(Outage::of(&[]).longest_gap, Duration::ZERO);
    }
}
