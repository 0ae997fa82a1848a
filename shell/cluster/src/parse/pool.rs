//! `IPAddressPool` objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ferrolb_api::ip_address_pool::ServiceAllocation;
use ferrolb_api::{IpAddressPool, parse_selector};
use ferrolb_ipam as ipam;
use ferrolb_vocab::{IpRange, Labels, Selector};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;

use super::{INVALID_SPEC, ObjectError};

/// The pool as the allocator sees it, and what in it means nothing; `namespaces` are the
/// cluster's, for its selectors. A pool with errors holds what could be read, to be frozen
/// rather than used ([`ipam::PoolSet::freeze`]).
#[must_use]
pub fn ipam_pool(object: &IpAddressPool, namespaces: &[Arc<Namespace>]) -> (ipam::Pool, Vec<ObjectError>) {
    let mut errors = Vec::new();
    let mut parsed = Vec::new();
    for range in ranges(object) {
        range.map_or_else(|error| errors.push(error), |range| parsed.push(range));
    }
    let allocation = object.spec.service_allocation.as_ref();
    let allocation = allocation.map(|allocation| service_allocation(allocation, namespaces)).transpose();
    let service_allocation = allocation.unwrap_or_else(|message| {
        errors.push(ObjectError::at(object, INVALID_SPEC, message));
        None
    });
    let pool = ipam::Pool {
        name: object.name_any().into(),
        ranges: parsed,
        auto_assign: object.spec.auto_assign,
        avoid_buggy_ips: object.spec.avoid_buggy_ips,
        service_allocation,
    };
    (pool, errors)
}

/// The entries of `spec.addresses`, each parsed or an error that names the entry.
pub fn ranges(object: &IpAddressPool) -> impl Iterator<Item = Result<IpRange, ObjectError>> {
    object.spec.addresses.iter().enumerate().map(|(index, entry)| {
        entry.parse().map_err(|error: ferrolb_vocab::ParseRangeError| {
            ObjectError::at(object, INVALID_SPEC, format!("spec.addresses[{index}]: {error}"))
        })
    })
}

fn service_allocation(
    allocation: &ServiceAllocation,
    namespaces: &[Arc<Namespace>],
) -> Result<ipam::ServiceAllocation, String> {
    let by_label = selectors("spec.serviceAllocation.namespaceSelectors", &allocation.namespace_selectors)?;
    let service_selectors =
        selectors("spec.serviceAllocation.serviceSelectors", &allocation.service_selectors)?;
    let restricted = !allocation.namespaces.is_empty() || !by_label.is_empty();
    let selected = |namespace: &&Arc<Namespace>| {
        let labels = Labels::from(namespace.labels());
        by_label.iter().any(|by| by.matches(&labels))
    };
    let admitted: BTreeSet<String> = allocation
        .namespaces
        .iter()
        .cloned()
        .chain(namespaces.iter().filter(selected).map(|namespace| namespace.name_any()))
        .collect();
    let priority = allocation.priority.unwrap_or(0);
    Ok(ipam::ServiceAllocation {
        priority: u32::try_from(priority).map_err(|_out_of_range| {
            format!("spec.serviceAllocation.priority: expected 0 to {}, found {priority}", u32::MAX)
        })?,
        namespaces: restricted.then_some(admitted),
        service_selectors,
    })
}

/// Parses a list of selectors, no two of which are equal; an error names the entry of `field`.
pub(super) fn selectors(field: &str, list: &[LabelSelector]) -> Result<Vec<Selector>, String> {
    let parse =
        |(index, selector)| parse_selector(selector).map_err(|error| format!("{field}[{index}]: {error}"));
    let parsed = list.iter().enumerate().map(parse).collect::<Result<Vec<Selector>, String>>()?;
    match equal_entries(list, &parsed) {
        Some((earlier, index)) => {
            let name = field.rsplit_once('.').map_or(field, |(_, name)| name);
            Err(format!(
                "{field}[{index}]: duplicate definition of {name}: it is equal to {field}[{earlier}]; \
                 remove one of the two"
            ))
        }
        None => Ok(parsed),
    }
}

/// The places of two entries that were written equal, but for the order of values. As in `MetalLB`,
/// a label is not equal to an expression that means the same.
fn equal_entries(list: &[LabelSelector], parsed: &[Selector]) -> Option<(usize, usize)> {
    let mut places = BTreeMap::new();
    list.iter().zip(parsed).enumerate().find_map(|(index, (written, selector))| {
        let labels = written.match_labels.as_ref().map_or(0, BTreeMap::len);
        Some((places.insert((labels, selector), index)?, index))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_api::ip_address_pool::IpAddressPoolSpec;
    use kube::api::ObjectMeta;

    fn pool(addresses: &[&str]) -> IpAddressPool {
        let addresses = addresses.iter().map(|entry| (*entry).into()).collect();
        let spec = IpAddressPoolSpec {
            addresses,
            auto_assign: true,
            avoid_buggy_ips: false,
            service_allocation: None,
        };
        IpAddressPool::new("lb-pool", spec)
    }

    fn namespace(name: &str, team: &str) -> Arc<Namespace> {
        Arc::new(Namespace {
            metadata: ObjectMeta {
                name: Some(name.into()),
                labels: Some([("team".into(), team.into())].into()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        })
    }

    #[test]
    fn a_bad_entry_is_named_with_its_place() {
        let (read, errors) = ipam_pool(&pool(&["10.0.0.0/24", "10.0.1.9-10.0.1.1"]), &[]);
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(read.ranges.len(), 1, "what can be read is kept");
        assert_eq!(error.message, "spec.addresses[1]: 10.0.1.9-10.0.1.1: start is above end; swap them");
        assert_eq!(error.object.name.as_deref(), Some("lb-pool"));
        assert_eq!(error.object.kind.as_deref(), Some("IPAddressPool"));
    }

    #[test]
    fn namespaces_by_name_and_by_label_add_up() {
        let mut object = pool(&["10.0.0.0/24"]);
        object.spec.service_allocation = Some(ServiceAllocation {
            namespaces: vec!["one".into()],
            namespace_selectors: vec![LabelSelector {
                match_labels: Some([("team".into(), "web".into())].into()),
                ..LabelSelector::default()
            }],
            ..ServiceAllocation::default()
        });
        let namespaces = [namespace("two", "web"), namespace("three", "db")];
        let parsed = ipam_pool(&object, &namespaces).0.service_allocation.unwrap();
        assert_eq!(parsed.namespaces, Some(["one".into(), "two".into()].into()));
    }

    #[test]
    fn a_selector_that_matches_no_namespace_admits_nobody() {
        let mut object = pool(&["10.0.0.0/24"]);
        object.spec.service_allocation = Some(ServiceAllocation {
            namespace_selectors: vec![LabelSelector {
                match_labels: Some([("team".into(), "none".into())].into()),
                ..LabelSelector::default()
            }],
            ..ServiceAllocation::default()
        });
        let (parsed, _) = ipam_pool(&object, &[namespace("two", "web")]);
        assert_eq!(parsed.service_allocation.unwrap().namespaces, Some(BTreeSet::new()));
    }

    #[test]
    fn equal_selectors_in_a_list_are_rejected_whatever_the_order_of_their_values() {
        let error = |written: serde_json::Value| {
            let list: Vec<LabelSelector> = serde_json::from_value(written).unwrap();
            selectors("spec.serviceAllocation.serviceSelectors", &list).err()
        };
        let expression = |values: &[&str]| {
            let expression = serde_json::json!({"key": "tier", "operator": "In", "values": values});
            serde_json::json!({"matchExpressions": [expression]})
        };
        let label = serde_json::json!({"matchLabels": {"tier": "web"}});
        let message = "spec.serviceAllocation.serviceSelectors[2]: duplicate definition of serviceSelectors: it is \
                       equal to spec.serviceAllocation.serviceSelectors[0]; remove one of the two";
        for equal in [
            serde_json::json!([expression(&["a", "b"]), label, expression(&["b", "a"])]),
            serde_json::json!([label, {}, label]),
            serde_json::json!([{}, label, {"matchLabels": {}, "matchExpressions": []}]),
        ] {
            assert_eq!(error(equal), Some(message.into()));
        }
        assert_eq!(error(serde_json::json!([label, expression(&["web"]), {}, expression(&["a"])])), None);
    }
}
