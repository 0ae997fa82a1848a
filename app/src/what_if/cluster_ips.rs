//! The cluster IPs that the API server would give a Service. Which ones does not matter to a load
//! balancer; of which families does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ferrolb_cluster::controller::ControllerObjects;
use ferrolb_vocab::IpFamily;
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use kube::ResourceExt;

/// The families of the cluster's Service network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClusterFamilies {
    /// What a Service gets that asks for nothing.
    primary: IpFamily,
    is_dual: bool,
}

impl ClusterFamilies {
    /// Read off what is there: the Service of the API server has the primary family, and in a
    /// dual-stack cluster nodes have Pod networks of both.
    pub(super) fn of(objects: &ControllerObjects) -> Self {
        let is_api = |service: &&Arc<Service>| {
            service.name_any() == "kubernetes" && service.namespace().as_deref() == Some("default")
        };
        let api = objects.services.iter().find(is_api).and_then(|service| service.spec.as_ref());
        let first = api.and_then(|spec| cluster_ips(spec).first().copied());
        let pod_cidrs = objects.nodes.iter().filter_map(|node| node.spec.as_ref()?.pod_cidrs.as_ref());
        Self {
            primary: first.map_or(IpFamily::V4, IpFamily::of),
            is_dual: pod_cidrs.into_iter().any(|of_node| of_node.len() > 1),
        }
    }

    /// Gives `service` a cluster IP of each family that it is due and lacks, a stand-in that is
    /// no address at all, and takes those of other families.
    pub(super) fn complete(self, service: &mut Service) {
        let Some(spec) = &mut service.spec else { return };
        let is_without = spec.cluster_ip.as_deref() == Some("None");
        if is_without || spec.type_.as_deref() == Some("ExternalName") {
            return;
        }
        let existing = cluster_ips(spec);
        let of_family = |family: IpFamily| {
            let own = existing.iter().copied().find(|address| IpFamily::of(*address) == family);
            own.unwrap_or(match family {
                IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
                IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
            })
        };
        let families = self.due(spec, existing.first().copied());
        spec.cluster_ips = Some(families.into_iter().map(|family| of_family(family).to_string()).collect());
    }

    fn due(self, spec: &ServiceSpec, first: Option<IpAddr>) -> Vec<IpFamily> {
        let asked: Vec<IpFamily> =
            spec.ip_families.iter().flatten().filter_map(|text| family(text)).collect();
        let primary = asked.first().copied().or(first.map(IpFamily::of)).unwrap_or(self.primary);
        let other = match primary {
            IpFamily::V4 => IpFamily::V6,
            IpFamily::V6 => IpFamily::V4,
        };
        let wants_both = match spec.ip_family_policy.as_deref() {
            Some("PreferDualStack" | "RequireDualStack") => true,
            Some(_) => false,
            None => asked.len() > 1,
        };
        if wants_both && self.is_dual { vec![primary, other] } else { vec![primary] }
    }
}

fn cluster_ips(spec: &ServiceSpec) -> Vec<IpAddr> {
    let listed = spec.cluster_ips.clone().unwrap_or_else(|| spec.cluster_ip.clone().into_iter().collect());
    listed.iter().filter_map(|address| address.parse().ok()).collect()
}

fn family(text: &str) -> Option<IpFamily> {
    match text {
        "IPv4" => Some(IpFamily::V4),
        "IPv6" => Some(IpFamily::V6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLE: ClusterFamilies = ClusterFamilies { primary: IpFamily::V4, is_dual: false };
    const DUAL: ClusterFamilies = ClusterFamilies { primary: IpFamily::V6, is_dual: true };

    #[test]
    fn a_service_gets_cluster_ips_of_the_families_it_is_due() {
        let (prefer, single) = (Some("PreferDualStack"), Some("SingleStack"));
        for (cluster, policy, families, existing, expected) in [
            (SINGLE, None, &[][..], &[][..], &["0.0.0.0"][..]),
            (SINGLE, prefer, &[], &[], &["0.0.0.0"]),
            (DUAL, None, &[], &[], &["::"]),
            (DUAL, prefer, &[], &[], &["::", "0.0.0.0"]),
            (DUAL, None, &["IPv4", "IPv6"], &[], &["0.0.0.0", "::"]),
            (DUAL, prefer, &["IPv4"], &["10.233.0.9"], &["10.233.0.9", "::"]),
            (DUAL, single, &["IPv4"], &["10.233.0.9", "fd00::9"], &["10.233.0.9"]),
            (DUAL, None, &[], &["10.233.0.9"], &["10.233.0.9"]),
        ] {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let spec = ServiceSpec {
                ip_family_policy: policy.map(Into::into),
                ip_families: Some(texts(families)),
                cluster_ips: Some(texts(existing)),
                ..ServiceSpec::default()
            };
            let mut service = Service { spec: Some(spec), ..Service::default() };
            cluster.complete(&mut service);
            let given = service.spec.unwrap().cluster_ips.unwrap();
            assert_eq!(given, texts(expected), "{cluster:?} {policy:?} {families:?} {existing:?}");
        }
    }
}
