//! `L2Advertisement` objects.

use ferrolb_api::L2Advertisement;
use ferrolb_api::annotations::{FAILBACK, SPREAD};
use ferrolb_api::selector::parse_preference;
use ferrolb_plan::{self as plan, NodePreference};
use kube::ResourceExt;

use super::pool::selectors;
use super::{INVALID_SPEC, ObjectError};

/// The advertisement as the plan sees it.
///
/// # Errors
/// The first field that means nothing. Such an advertisement announces nothing until it is corrected.
pub fn l2_advertisement(object: &L2Advertisement) -> Result<plan::L2Advertisement, ObjectError> {
    parse(object).map_err(|message| ObjectError::at(object, INVALID_SPEC, message))
}

/// Whether an annotation of ours is `"true"`; anything else is as if it were not there.
fn is_true(object: &L2Advertisement, annotation: &str) -> bool {
    object.annotations().get(annotation).is_some_and(|value| value == "true")
}

fn parse(object: &L2Advertisement) -> Result<plan::L2Advertisement, String> {
    let spec = &object.spec;
    let preference = |(index, preferred): (usize, &ferrolb_api::l2_advertisement::PreferredNodeSelector)| {
        let field = format!("spec.preferredNodeSelectors[{index}]");
        let weight = u32::try_from(preferred.weight).ok().filter(|weight| (1..=100).contains(weight));
        Ok(NodePreference {
            weight: weight
                .ok_or_else(|| format!("{field}.weight: expected 1 to 100, found {}", preferred.weight))?,
            selector: parse_preference(&preferred.preference)
                .map_err(|error| format!("{field}.preference: {error}"))?,
        })
    };
    Ok(plan::L2Advertisement {
        pools: spec.ip_address_pools.iter().map(Into::into).collect(),
        pool_selectors: selectors("spec.ipAddressPoolSelectors", &spec.ip_address_pool_selectors)?,
        node_selectors: selectors("spec.nodeSelectors", &spec.node_selectors)?,
        interfaces: spec.interfaces.iter().map(Into::into).collect(),
        service_selectors: selectors("spec.serviceSelectors", &spec.service_selectors)?,
        preferences: spec
            .preferred_node_selectors
            .iter()
            .enumerate()
            .map(preference)
            .collect::<Result<_, String>>()?,
        failback: is_true(object, FAILBACK),
        spread: is_true(object, SPREAD),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn error(spec: &Value) -> Option<String> {
        let object = json!({"metadata": {"name": "lb", "namespace": "metallb-system"}, "spec": spec});
        l2_advertisement(&serde_json::from_value(object).unwrap()).err().map(|error| error.message)
    }

    #[test]
    fn each_list_of_selectors_rejects_equal_ones() {
        let twice = json!([{"matchLabels": {"zone": "a"}}, {"matchLabels": {"zone": "a"}}]);
        for field in ["ipAddressPoolSelectors", "nodeSelectors", "serviceSelectors"] {
            let message = error(&json!({ field: twice })).unwrap();
            let expected = format!("spec.{field}[1]: duplicate definition of {field}: ");
            assert!(message.starts_with(&expected), "{message}");
        }
    }

    #[test]
    fn a_preference_may_repeat_another_and_itself() {
        let preferred = json!({"weight": 1, "preference": {"matchExpressions": [
            {"key": "zone", "operator": "In", "values": ["a", "a"]},
            {"key": "zone", "operator": "In", "values": ["a"]},
        ]}});
        assert_eq!(error(&json!({"preferredNodeSelectors": [preferred, preferred]})), None);
    }
}
