//! `AddressClaim` objects.

use ferrolb_api::address_claim::AddressClaim;
use ferrolb_api::parse_selector;
use ferrolb_ipam::{ClaimRecord, ClaimRequest, ClaimWant};
use ferrolb_vocab::{ObjectName, Selector};
use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};

/// The claim's namespace and name.
#[must_use]
pub fn name<K: Resource<DynamicType = ()>>(claim: &K) -> ObjectName {
    ObjectName::new(claim.namespace().unwrap_or_default(), claim.name_any())
}

/// What the claim asks the allocator for. One that means nothing asks for nothing, but what it had
/// is given to nobody else.
#[must_use]
pub fn request(guarded: &DeserializeGuard<AddressClaim>) -> ClaimRequest {
    match &guarded.0 {
        Ok(claim) => {
            let recorded = claim.status.as_ref().and_then(|status| status.recorded());
            let (want, selector) = match parsed(claim) {
                Ok(parsed) => parsed,
                Err(why) => (ClaimWant::Unreadable { why }, None),
            };
            ClaimRequest {
                want,
                selector,
                recorded: recorded.map(|(address, reserved)| ClaimRecord { address, reserved }),
                created: created(claim),
            }
        }
        Err(invalid) => {
            let why = format!("it does not have the shape of its kind: {}", invalid.error);
            ClaimRequest { created: created(guarded), ..ClaimRequest::new(ClaimWant::Unreadable { why }) }
        }
    }
}

fn parsed(claim: &AddressClaim) -> Result<(ClaimWant, Option<Selector>), String> {
    let spec = &claim.spec;
    let want = match (&spec.address, &spec.pool, spec.family) {
        (Some(address), None, None) => {
            let parsed = address.parse().map_err(|_no_detail| {
                format!("spec.address: {address:?} is not an IP address; write one, like 192.0.2.1")
            });
            ClaimWant::Address(parsed?)
        }
        (None, Some(pool), family) => {
            ClaimWant::Pool { pool: pool.as_str().into(), family: family.unwrap_or_default().into() }
        }
        (Some(_), None, Some(_)) => return Err("spec.family is only for spec.pool; remove it".into()),
        (Some(_), Some(_), _) | (None, None, _) => {
            return Err("exactly one of spec.address and spec.pool is needed; write one of them".into());
        }
    };
    let selector = spec.service_selector.as_ref().map(parse_selector).transpose();
    Ok((want, selector.map_err(|error| format!("spec.serviceSelector: {error}"))?))
}

fn created<K: Resource<DynamicType = ()>>(object: &K) -> u64 {
    let created = object.creation_timestamp().map(|created| created.0.as_second());
    created.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolb_vocab::IpFamily;
    use serde_json::{Value, json};

    fn read(object: &Value) -> ClaimRequest {
        request(&serde_json::from_value(object.clone()).unwrap())
    }

    fn with_spec(spec: &Value) -> ClaimRequest {
        read(&json!({
            "apiVersion": "ferrolb.io/v1alpha1",
            "kind": "AddressClaim",
            "metadata": {
                "namespace": "shop", "name": "front", "creationTimestamp": "1970-01-01T00:01:00Z"
            },
            "spec": spec,
        }))
    }

    #[test]
    fn a_claim_asks_for_an_address_or_for_one_of_a_pool() {
        let claim = with_spec(&json!({ "address": "2001:db8:0::1" }));
        assert_eq!(claim.want, ClaimWant::Address("2001:db8::1".parse().unwrap()));
        assert_eq!((claim.created, claim.selector), (60, None));
        let of_pool = |family| ClaimWant::Pool { pool: "lb-pool".into(), family };
        assert_eq!(with_spec(&json!({ "pool": "lb-pool" })).want, of_pool(IpFamily::V4));
        let claim = with_spec(&json!({ "pool": "lb-pool", "family": "IPv6", "serviceSelector": {} }));
        assert_eq!((claim.want, claim.selector), (of_pool(IpFamily::V6), Some(Selector::default())));
    }

    #[test]
    fn what_means_nothing_is_told_and_asks_for_nothing() {
        let why = |claim: ClaimRequest| match claim.want {
            ClaimWant::Unreadable { why } => why,
            ClaimWant::Address(_) | ClaimWant::Pool { .. } => panic!("{:?}", claim.want),
        };
        for (spec, expected) in [
            (json!({}), "exactly one of spec.address and spec.pool is needed; write one of them"),
            (
                json!({ "address": "10.0.0.1", "pool": "p" }),
                "exactly one of spec.address and spec.pool is needed; write one of them",
            ),
            (
                json!({ "address": "10.0.0.1", "family": "IPv4" }),
                "spec.family is only for spec.pool; remove it",
            ),
            (
                json!({ "address": "ten" }),
                "spec.address: \"ten\" is not an IP address; write one, like 192.0.2.1",
            ),
            (
                json!({ "pool": "p", "serviceSelector": { "matchExpressions": [{ "key": "a", "operator": "is" }] } }),
                "spec.serviceSelector: matchExpressions on label \"a\": operator \"is\" does not exist; use In, NotIn, Exists or DoesNotExist",
            ),
        ] {
            assert_eq!(why(with_spec(&spec)), expected);
        }
        assert!(
            why(with_spec(&json!({ "pool": 7 }))).starts_with("it does not have the shape of its kind: ")
        );
    }

    #[test]
    fn the_record_is_the_address_with_the_condition() {
        let recorded = |conditions: Value| {
            read(&json!({
                "metadata": { "namespace": "shop", "name": "front" },
                "spec": { "pool": "p" },
                "status": { "address": "10.0.0.1", "conditions": conditions },
            }))
            .recorded
        };
        let condition = |status: &str| {
            json!([{
                "type": "Reserved", "status": status, "reason": "", "message": "",
                "lastTransitionTime": "2026-11-20T07:00:00Z",
            }])
        };
        let record = |reserved| Some(ClaimRecord { address: "10.0.0.1".parse().unwrap(), reserved });
        assert_eq!(recorded(condition("True")), record(true));
        assert_eq!(recorded(condition("False")), record(false));
        assert_eq!(recorded(json!([])), record(false));
    }
}
