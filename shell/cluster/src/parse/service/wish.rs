//! What a Service asks for, in its annotations and in `spec.loadBalancerIP`.

use ferrolb_api::annotations::{ADDRESS_CLAIM, Annotation};
use ferrolb_ipam::Wanted;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::value;

/// Which addresses it asks for.
pub(super) fn wanted(service: &Service) -> Wanted {
    let pool = value(service, Annotation::AddressPool).filter(|pool| !pool.is_empty()).map(Into::into);
    let listed = value(service, Annotation::LoadBalancerIps).filter(|listed| !listed.is_empty());
    let single = service.spec.as_ref().and_then(|spec| spec.load_balancer_ip.as_deref());
    let single = single.filter(|single| !single.is_empty());
    let claims = claims(service);
    if !claims.is_empty() {
        return match (&pool, listed, single) {
            (None, None, None) => Wanted::Claims(claims),
            (Some(_), ..) | (_, Some(_), _) | (.., Some(_)) => Wanted::Unreadable {
                why: "ferrolb.io/address-claim names claims, and metallb.io/loadBalancerIPs, \
                      metallb.io/address-pool or spec.loadBalancerIP asks for addresses too; ask by claim or by \
                      address, not both"
                    .into(),
            },
        };
    }
    let text = match (listed, single) {
        (None, None) => return pool.map_or(Wanted::Any, Wanted::Pool),
        (Some(_), Some(_)) => {
            let why = "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP; remove one";
            return Wanted::Unreadable { why: why.into() };
        }
        (Some(text), None) | (None, Some(text)) => text,
    };
    let parse = |text: &str| text.trim().parse().map_err(|_no_detail| text.trim().to_owned());
    match text.split(',').map(parse).collect() {
        Ok(addresses) => Wanted::Addresses { addresses, pool },
        Err(bad) => Wanted::Unreadable { why: format!("{bad:?} is not an IP address") },
    }
}

/// The claims that the Service names, each once.
fn claims(service: &Service) -> Vec<String> {
    let listed = service.annotations().get(ADDRESS_CLAIM).map(String::as_str).unwrap_or_default();
    let mut claims: Vec<String> = Vec::new();
    for name in listed.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !claims.iter().any(|claim| claim == name) {
            claims.push(name.into());
        }
    }
    claims
}
