//! What many measurements of one thing say.

use serde::{Deserialize, Serialize};

/// The least, middle and greatest of some measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    /// Of an even number of measurements, the mean of the two in the middle.
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// `None` without a measurement.
    pub(crate) fn of(measurements: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { min: *sorted.first()?, median: f64::midpoint(lower, upper), max: *sorted.last()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_one() {
        assert_eq!(Summary::of([5.0, 1.0, 3.0]), Some(Summary { min: 1.0, median: 3.0, max: 5.0 }));
        assert_eq!(Summary::of([2.0]), Some(Summary { min: 2.0, median: 2.0, max: 2.0 }));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Summary::of([4.0, 1.0, 2.0, 100.0]), Some(Summary { min: 1.0, median: 3.0, max: 100.0 }));
    }

    #[test]
    fn nothing_measured_is_no_summary() {
        assert_eq!(Summary::of([]), None);
    }
}
