//! Labels and label selectors with the semantics of `metav1.LabelSelector`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An object's labels. Nearly all objects have few, and there are thousands of objects: this takes
/// the room of its entries, where a map takes that of eleven for the first, and copies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

impl Labels {
    /// The value of label `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(label, _)| *label == key).map(|(_, value)| value)
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl From<&BTreeMap<String, String>> for Labels {
    fn from(labels: &BTreeMap<String, String>) -> Self {
        Self(labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Labels {
    fn from(labels: [(&str, &str); N]) -> Self {
        let sorted = BTreeMap::from(labels);
        Self(sorted.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// A parsed label selector: every requirement must hold; none at all matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// All of these must hold. `matchLabels` entries are [`Operator::In`] with one value.
    pub requirements: Vec<Requirement>,
}

/// One requirement of a selector on one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What the label's value must satisfy.
    pub operator: Operator,
}

/// The four operators of `metav1.LabelSelectorRequirement`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// The label exists and its value is one of these.
    In(BTreeSet<String>),
    /// The label is missing, or its value is none of these.
    NotIn(BTreeSet<String>),
    /// The label exists.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

impl Selector {
    /// Whether `labels` satisfy every requirement.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether any of `selectors` matches, with an empty list matching everything: the way
    /// MetalLB's objects combine lists of selectors (docs/reference/metallb-contract.md).
    #[must_use]
    pub fn any_or_empty(selectors: &[Self], labels: &Labels) -> bool {
        selectors.is_empty() || selectors.iter().any(|selector| selector.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn requires(operator: Operator) -> Selector {
        Selector { requirements: vec![Requirement { key: "zone".into(), operator }] }
    }

    #[test]
    fn operators_mean_what_kubernetes_means() {
        let a_or_b: BTreeSet<String> = ["a".into(), "b".into()].into();
        let cases = [
            // operator, matches zone=a, matches zone=c, matches no zone
            (Operator::In(a_or_b.clone()), true, false, false),
            (Operator::NotIn(a_or_b), false, true, true),
            (Operator::Exists, true, true, false),
            (Operator::DoesNotExist, false, false, true),
        ];
        for (operator, in_a, in_c, absent) in cases {
            let selector = requires(operator);
            assert_eq!(selector.matches(&Labels::from([("zone", "a")])), in_a, "{selector:?}");
            assert_eq!(selector.matches(&Labels::from([("zone", "c")])), in_c, "{selector:?}");
            assert_eq!(selector.matches(&Labels::default()), absent, "{selector:?}");
        }
    }

    #[test]
    fn an_empty_selector_and_an_empty_list_match_everything() {
        assert!(Selector::default().matches(&Labels::default()));
        assert!(Selector::any_or_empty(&[], &Labels::default()));
        assert!(!Selector::any_or_empty(&[requires(Operator::Exists)], &Labels::default()));
    }
}
