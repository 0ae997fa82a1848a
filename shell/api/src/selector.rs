//! Label selectors, from what was written to what it means.

use std::collections::{BTreeMap, BTreeSet};

use ferrolb_vocab::{Operator, Requirement, Selector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use thiserror::Error;

/// A `matchExpressions` entry means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseSelectorError {
    /// The operator is none of the four.
    #[error(
        "matchExpressions on label {key:?}: operator {operator:?} does not exist; use In, NotIn, Exists or DoesNotExist"
    )]
    UnknownOperator {
        /// The label's key.
        key: String,
        /// What was written.
        operator: String,
    },
    /// `In` or `NotIn` without a value.
    #[error(
        "matchExpressions on label {key:?}: operator {operator} compares with values, but there is none; list at least one under values"
    )]
    NoValues {
        /// The label's key.
        key: String,
        /// The operator.
        operator: &'static str,
    },
    /// `Exists` or `DoesNotExist` with values.
    #[error(
        "matchExpressions on label {key:?}: operator {operator} takes no values; remove them, or use In or NotIn"
    )]
    UnwantedValues {
        /// The label's key.
        key: String,
        /// The operator.
        operator: &'static str,
    },
    /// A value is listed twice.
    #[error(
        "matchExpressions on label {key:?}: duplicate definition of match expression value in label selector {value:?}; remove one of the two"
    )]
    DuplicateValue {
        /// The label's key.
        key: String,
        /// The value.
        value: String,
    },
    /// Two entries are equal, whatever the order of their values.
    #[error(
        "matchExpressions on label {key:?}: duplicate definition of match expressions; remove one of the two"
    )]
    DuplicateExpression {
        /// The label's key.
        key: String,
    },
}

/// Parses a label selector; an empty one matches everything.
///
/// # Errors
/// A requirement has an unknown operator, or values that do not fit its operator; or one of
/// `matchExpressions`, or a value in one, is there twice.
pub fn parse_selector(written: &LabelSelector) -> Result<Selector, ParseSelectorError> {
    let selector = parse_preference(written)?;
    for expression in written.match_expressions.iter().flatten() {
        if let Some(value) = repeated(expression.values.iter().flatten()) {
            let (key, value) = (expression.key.clone(), value.clone());
            return Err(ParseSelectorError::DuplicateValue { key, value });
        }
    }
    let labels = written.match_labels.as_ref().map_or(0, BTreeMap::len);
    match repeated(selector.requirements.iter().skip(labels)) {
        Some(expression) => Err(ParseSelectorError::DuplicateExpression { key: expression.key.clone() }),
        None => Ok(selector),
    }
}

/// Parses the selector of a preference, which may say the same twice: `MetalLB` rejects that in
/// lists of selectors only.
///
/// # Errors
/// A requirement has an unknown operator, or values that do not fit its operator.
pub fn parse_preference(written: &LabelSelector) -> Result<Selector, ParseSelectorError> {
    let labels = written.match_labels.iter().flatten().map(|(key, value)| {
        Ok(Requirement { key: key.clone(), operator: Operator::In([value.clone()].into()) })
    });
    let expressions = written.match_expressions.iter().flatten().map(parse_requirement);
    Ok(Selector { requirements: labels.chain(expressions).collect::<Result<_, _>>()? })
}

fn parse_requirement(written: &LabelSelectorRequirement) -> Result<Requirement, ParseSelectorError> {
    let key = written.key.clone();
    let values = written.values.as_deref().unwrap_or_default();
    let some = |operator| match values {
        [] => Err(ParseSelectorError::NoValues { key: key.clone(), operator }),
        values => Ok(values.iter().cloned().collect()),
    };
    let none = |operator| match values {
        [] => Ok(()),
        [..] => Err(ParseSelectorError::UnwantedValues { key: key.clone(), operator }),
    };
    let operator = match written.operator.as_str() {
        "In" => Operator::In(some("In")?),
        "NotIn" => Operator::NotIn(some("NotIn")?),
        "Exists" => none("Exists").map(|()| Operator::Exists)?,
        "DoesNotExist" => none("DoesNotExist").map(|()| Operator::DoesNotExist)?,
        other => return Err(ParseSelectorError::UnknownOperator { key, operator: other.into() }),
    };
    Ok(Requirement { key, operator })
}

/// The first item that is equal to an earlier one.
fn repeated<'a, T: Ord>(items: impl IntoIterator<Item = &'a T>) -> Option<&'a T> {
    let mut seen = BTreeSet::new();
    items.into_iter().find(|item| !seen.insert(*item))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: serde_json::Value) -> Result<Selector, ParseSelectorError> {
        parse_selector(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let selector = parse(serde_json::json!({
            "matchLabels": {"zone": "a"},
            "matchExpressions": [
                {"key": "role", "operator": "NotIn", "values": ["edge", "lab"]},
                {"key": "rack", "operator": "Exists"},
            ],
        }))
        .unwrap();
        assert!(selector.matches(&[("zone", "a"), ("rack", "7")].into()));
        assert!(!selector.matches(&[("zone", "a")].into()));
        assert!(!selector.matches(&[("zone", "a"), ("rack", "7"), ("role", "lab")].into()));
    }

    #[test]
    fn an_empty_selector_matches_everything() {
        assert_eq!(parse(serde_json::json!({})), Ok(Selector::default()));
    }

    #[test]
    fn errors_name_the_label_and_the_remedy() {
        let message = |operator: &str, values: &[&str]| {
            let expression = serde_json::json!({"key": "zone", "operator": operator, "values": values});
            parse(serde_json::json!({"matchExpressions": [expression]})).unwrap_err().to_string()
        };
        assert!(message("in", &["a"]).contains("\"zone\": operator \"in\" does not exist; use In, NotIn"));
        assert!(message("In", &[]).contains("list at least one under values"));
        assert!(message("NotIn", &[]).contains("operator NotIn compares"));
        assert!(message("Exists", &["a"]).contains("takes no values; remove them"));
        assert!(message("DoesNotExist", &["a"]).contains("operator DoesNotExist takes no values"));
    }

    #[test]
    fn what_a_selector_says_twice_is_rejected_except_in_a_preference() {
        let written = |expressions: serde_json::Value| -> LabelSelector {
            let labels = serde_json::json!({"rack": "1"});
            let selector = serde_json::json!({"matchLabels": labels, "matchExpressions": expressions});
            serde_json::from_value(selector).unwrap()
        };
        for (expressions, expected) in [
            (
                serde_json::json!([{"key": "rack", "operator": "In", "values": ["1", "2", "1"]}]),
                "matchExpressions on label \"rack\": duplicate definition of match expression value in label selector \"1\"; remove one of the two",
            ),
            (
                serde_json::json!([
                    {"key": "rack", "operator": "In", "values": ["1", "2"]},
                    {"key": "row", "operator": "Exists"},
                    {"key": "rack", "operator": "In", "values": ["2", "1"]},
                ]),
                "matchExpressions on label \"rack\": duplicate definition of match expressions; remove one of the two",
            ),
        ] {
            let selector = written(expressions);
            assert_eq!(parse_selector(&selector).unwrap_err().to_string(), expected);
            assert!(parse_preference(&selector).is_ok(), "{selector:?}");
        }
        let distinct = written(serde_json::json!([
            {"key": "rack", "operator": "In", "values": ["1"]},
            {"key": "rack", "operator": "In", "values": ["1", "2"]},
            {"key": "rack", "operator": "NotIn", "values": ["2"]},
        ]));
        assert!(parse_selector(&distinct).is_ok(), "a label is no expression");
    }
}
