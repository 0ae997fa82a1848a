//! What of a Pod's specification the lab cannot do. It is refused at the Pod, never passed over.
//!
//! Accepted without effect, because nothing a Pod computes depends on it: resource requests and limits (no
//! cgroups), `emptyDir` size and medium, seccomp and AppArmor profiles of the runtime's default, and image
//! pull policy and secrets (nothing is pulled).

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod, PodSpec, Probe, Volume};

/// The first thing in the Pod that the lab does not support, as a path and what it is.
pub(super) fn unsupported(pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let init = spec.init_containers.iter().flatten();
    pod_fields(spec)
        .map(|field| format!("spec.{field}"))
        .or_else(|| spec.volumes.iter().flatten().find_map(volume))
        .or_else(|| containers.into_iter().find_map(|found| container(spec, found)))
        .or_else(|| {
            init.into_iter()
                .find(|init| init.restart_policy.is_some())
                .map(|init| format!("spec.initContainers[{}].restartPolicy (a sidecar)", init.name))
        })
}

/// The first of these that is set.
fn first(fields: &[(bool, &str)]) -> Option<String> {
    fields.iter().find(|(is_set, _)| *is_set).map(|(_, field)| (*field).to_owned())
}

fn pod_fields(spec: &PodSpec) -> Option<String> {
    let security = spec.security_context.as_ref();
    let foreign_sysctl = security
        .and_then(|security| security.sysctls.as_ref())
        .is_some_and(|sysctls| sysctls.iter().any(|sysctl| !sysctl.name.starts_with("net.")));
    let localhost = |kind: Option<&str>| kind == Some("Localhost");
    let seccomp = security.and_then(|security| security.seccomp_profile.as_ref());
    first(&[
        (spec.host_pid == Some(true), "hostPID"),
        (spec.host_ipc == Some(true), "hostIPC"),
        (spec.host_users == Some(false), "hostUsers: false"),
        (spec.share_process_namespace == Some(true), "shareProcessNamespace"),
        (spec.set_hostname_as_fqdn == Some(true), "setHostnameAsFQDN"),
        (spec.runtime_class_name.is_some(), "runtimeClassName"),
        (spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()), "resourceClaims"),
        (spec.active_deadline_seconds.is_some(), "activeDeadlineSeconds"),
        (spec.os.as_ref().is_some_and(|os| os.name != "linux"), "os.name other than linux"),
        (foreign_sysctl, "securityContext.sysctls outside net.*"),
        (
            spec.host_network == Some(true) && security.is_some_and(|security| security.sysctls.is_some()),
            "securityContext.sysctls on the host network",
        ),
        (
            localhost(seccomp.map(|profile| profile.type_.as_str())),
            "securityContext.seccompProfile of type Localhost",
        ),
        (
            spec.dns_policy.as_deref() == Some("None") && spec.dns_config.is_none(),
            "dnsPolicy None without dnsConfig",
        ),
    ])
}

fn volume(volume: &Volume) -> Option<String> {
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let unknown_projection = projected.into_iter().any(|source| {
        source.config_map.is_none()
            && source.secret.is_none()
            && source.downward_api.is_none()
            && source.service_account_token.is_none()
    });
    if unknown_projection {
        return Some(format!("spec.volumes[{}].projected with this source", volume.name));
    }
    let known = volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.empty_dir.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
        || volume.host_path.is_some();
    (!known).then(|| {
        let kinds = "configMap, secret, emptyDir, downwardAPI, projected, hostPath";
        format!("spec.volumes[{}]: this kind of volume (known are {kinds})", volume.name)
    })
}

fn container(spec: &PodSpec, container: &Container) -> Option<String> {
    let probes = [&container.liveness_probe, &container.readiness_probe, &container.startup_probe];
    let security = container.security_context.as_ref();
    let profile = security.and_then(|security| security.seccomp_profile.as_ref());
    let mounts = || container.volume_mounts.iter().flatten();
    let lifecycle = container.lifecycle.as_ref();
    let hooks = lifecycle.into_iter().flat_map(|lifecycle| [&lifecycle.post_start, &lifecycle.pre_stop]);
    let host_port = |ports: &[k8s_openapi::api::core::v1::ContainerPort]| {
        spec.host_network != Some(true)
            && ports.iter().any(|port| port.host_port.is_some_and(|port| port != 0))
    };
    let field = first(&[
        (container.ports.as_deref().is_some_and(host_port), "ports.hostPort without hostNetwork"),
        (container.tty == Some(true), "tty"),
        (container.volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()), "volumeDevices"),
        (container.restart_policy_rules.is_some(), "restartPolicyRules"),
        (probes.into_iter().flatten().any(is_grpc), "probe of kind grpc"),
        (hooks.flatten().any(is_tcp_hook), "lifecycle handler of kind tcpSocket"),
        (lifecycle.is_some_and(|lifecycle| lifecycle.stop_signal.is_some()), "lifecycle.stopSignal"),
        (mounts().any(|mount| mount.sub_path_expr.is_some()), "volumeMounts.subPathExpr"),
        (
            mounts().any(|mount| mount.mount_propagation.as_deref() == Some("Bidirectional")),
            "volumeMounts.mountPropagation Bidirectional",
        ),
        (
            profile.is_some_and(|profile| profile.type_ == "Localhost"),
            "securityContext.seccompProfile of type Localhost",
        ),
    ])?;
    Some(format!("spec.containers[{}].{field}", container.name))
}

fn is_grpc(probe: &Probe) -> bool {
    probe.grpc.is_some()
}

fn is_tcp_hook(hook: &LifecycleHandler) -> bool {
    hook.tcp_socket.is_some()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::unsupported;

    fn verdict(spec: Value) -> Option<String> {
        let pod: Pod = serde_json::from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
        unsupported(&pod)
    }

    #[test]
    fn what_the_lab_cannot_do_is_named_with_its_path() {
        let cases = [
            (json!({"containers": [], "hostPID": true}), "spec.hostPID"),
            (
                json!({"containers": [], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]}),
                "spec.volumes[data]",
            ),
            (
                json!({"containers": [{"name": "web", "ports": [{"containerPort": 80, "hostPort": 80}]}]}),
                "spec.containers[web].ports.hostPort",
            ),
            (
                json!({"containers": [], "initContainers": [{"name": "side", "restartPolicy": "Always"}]}),
                "spec.initContainers[side].restartPolicy",
            ),
            (
                json!({"containers": [{"name": "web", "livenessProbe": {"grpc": {"port": 1}}}]}),
                "spec.containers[web].probe of kind grpc",
            ),
        ];
        for (spec, expected) in cases {
            let found = verdict(spec).unwrap();
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn an_ordinary_pod_is_accepted() {
        let spec = json!({
            "hostNetwork": true,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "speaker",
                "ports": [{"containerPort": 7472, "hostPort": 7472}],
                "resources": {"limits": {"cpu": "1"}},
                "volumeMounts": [{"name": "c", "mountPath": "/c", "subPath": "x"}],
            }],
            "volumes": [{"name": "c", "configMap": {"name": "c"}}],
        });
        assert_eq!(verdict(spec), None);
    }
}
