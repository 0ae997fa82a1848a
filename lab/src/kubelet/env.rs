//! The environment of a container, and `$(VAR)` in its command.
//!
//! Of Services, only the variables of `default/kubernetes` are set, not those of `enableServiceLinks`.

use std::net::IpAddr;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvFromSource, EnvVar, EnvVarSource, Pod, ResourceFieldSelector, Secret,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{Api, Client, ResourceExt as _};

use super::quantity;
use crate::node::{ImageConfig, NodeConfig};

/// The port of the Service `default/kubernetes`.
const API_SERVICE_PORT: u16 = 443;
/// As container runtimes set it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables in the order they are set; a later one replaces an earlier one of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment(Vec<(String, String)>);

impl Environment {
    pub(super) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn into_vec(self) -> Vec<(String, String)> {
        self.0
    }

    /// Replaces `$(NAME)` of known variables; `$$` is one dollar sign, everything else stays.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'))
            {
                match self.get(name) {
                    Some(value) => expanded.push_str(value),
                    None => expanded.push_str(&format!("$({name})")),
                }
                rest = after;
            } else {
                expanded.push('$');
            }
        }
        expanded.push_str(rest);
        expanded
    }
}

/// What the downward API knows besides the Pod object.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) host_ips: Vec<IpAddr>,
    pub(super) pod_ips: Vec<IpAddr>,
}

/// The value of a `fieldRef`, if the lab knows the field.
pub(super) fn field(pod: &Pod, facts: &Facts, path: &str) -> Option<String> {
    let spec = pod.spec.as_ref();
    let metadata = &pod.metadata;
    let list = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let first = |ips: &[IpAddr]| ips.first().map(ToString::to_string).unwrap_or_default();
    let subscript = |name: &str| path.strip_prefix(name)?.strip_prefix("['")?.strip_suffix("']");
    if let Some(key) = subscript("metadata.labels") {
        return Some(pod.labels().get(key).cloned().unwrap_or_default());
    }
    if let Some(key) = subscript("metadata.annotations") {
        return Some(pod.annotations().get(key).cloned().unwrap_or_default());
    }
    let lines = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
    };
    Some(match path {
        "metadata.name" => metadata.name.clone().unwrap_or_default(),
        "metadata.namespace" => metadata.namespace.clone().unwrap_or_default(),
        "metadata.uid" => metadata.uid.clone().unwrap_or_default(),
        "metadata.labels" => lines(pod.labels()),
        "metadata.annotations" => lines(pod.annotations()),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => {
            spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()
        }
        "status.hostIP" => first(&facts.host_ips),
        "status.hostIPs" => list(&facts.host_ips),
        "status.podIP" => first(&facts.pod_ips),
        "status.podIPs" => list(&facts.pod_ips),
        _ => return None,
    })
}

/// The value of a `resourceFieldRef`; an absent limit is what the node has.
pub(super) fn resource(
    pod: &Pod,
    container: Option<&Container>,
    selector: &ResourceFieldSelector,
) -> anyhow::Result<String> {
    let named = selector
        .container_name
        .as_deref()
        .and_then(|name| pod.spec.as_ref()?.containers.iter().find(|container| container.name == name));
    let container = named.or(container).context("resourceFieldRef: no such container")?;
    let path = selector.resource.as_str();
    let Some((kind, name)) = path.split_once('.') else { bail!("resourceFieldRef {path} is not understood") };
    let resources = container.resources.as_ref();
    let set = match kind {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()?.get(name)),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()?.get(name)),
        _ => bail!("resourceFieldRef {path}: expected limits.… or requests.…"),
    };
    let value = match (set, kind) {
        (Some(value), _) => value.clone(),
        (None, "limits") => super::node::capacity()
            .remove(name)
            .with_context(|| format!("resourceFieldRef {path}: the node has no such resource"))?,
        (None, _) => Quantity("0".to_owned()),
    };
    let divisor = selector.divisor.clone().unwrap_or_else(|| Quantity("1".to_owned()));
    Ok(quantity::divide(&value, &divisor)?.to_string())
}

/// The ConfigMaps and Secrets of one namespace, as this node may read them.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) client: Client,
    pub(super) namespace: String,
}

impl Sources {
    pub(super) async fn config_map(&self, name: &str) -> anyhow::Result<Option<ConfigMap>> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        super::answer(api.get_opt(name)).await.with_context(|| format!("get configmap \"{name}\""))
    }

    pub(super) async fn secret(&self, name: &str) -> anyhow::Result<Option<Secret>> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        super::answer(api.get_opt(name)).await.with_context(|| format!("get secret \"{name}\""))
    }
}

/// The environment of a container: the runtime's, the image's, the API server's Service, `envFrom`, `env`.
pub(super) async fn build(
    (node, sources): (&NodeConfig, &Sources),
    (pod, facts): (&Pod, &Facts),
    container: &Container,
    image: &ImageConfig,
) -> anyhow::Result<Environment> {
    let mut environment = Environment::default();
    environment.set("PATH", PATH);
    environment.set("HOME", "/root");
    for (name, value) in &image.env {
        environment.set(name, value);
    }
    set_api_service(&mut environment, node.service_ip);
    if super::images::is_echo(image) {
        environment.set("LAB_IMAGE", container.image.clone().unwrap_or_default());
        environment.set("LAB_PORTS", super::images::echo_ports(container));
    }
    for source in container.env_from.iter().flatten() {
        set_all_from(&mut environment, sources, source).await?;
    }
    for variable in container.env.iter().flatten() {
        let EnvVar { name, value, value_from } = variable;
        let value = match value_from {
            Some(source) => value_from_source(sources, (pod, facts), container, source)
                .await
                .with_context(|| format!("env {name}"))?,
            None => Some(environment.expand(value.as_deref().unwrap_or_default())),
        };
        if let Some(value) = value {
            environment.set(name, value);
        }
    }
    Ok(environment)
}

fn set_api_service(environment: &mut Environment, ip: IpAddr) {
    let port = API_SERVICE_PORT;
    let url = match ip {
        IpAddr::V4(_) => format!("tcp://{ip}:{port}"),
        IpAddr::V6(_) => format!("tcp://[{ip}]:{port}"),
    };
    environment.set("KUBERNETES_SERVICE_HOST", ip.to_string());
    environment.set("KUBERNETES_SERVICE_PORT", port.to_string());
    environment.set("KUBERNETES_SERVICE_PORT_HTTPS", port.to_string());
    environment.set("KUBERNETES_PORT", url);
}

async fn set_all_from(
    environment: &mut Environment,
    sources: &Sources,
    source: &EnvFromSource,
) -> anyhow::Result<()> {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    if let Some(reference) = &source.config_map_ref {
        match sources.config_map(&reference.name).await? {
            Some(map) => {
                for (key, value) in map.data.iter().flatten() {
                    environment.set(format!("{prefix}{key}"), value);
                }
            }
            None if reference.optional == Some(true) => {}
            None => bail!("configmap \"{}\" not found", reference.name),
        }
    }
    if let Some(reference) = &source.secret_ref {
        match sources.secret(&reference.name).await? {
            Some(secret) => {
                for (key, value) in secret.data.iter().flatten() {
                    environment.set(format!("{prefix}{key}"), String::from_utf8_lossy(&value.0));
                }
            }
            None if reference.optional == Some(true) => {}
            None => bail!("secret \"{}\" not found", reference.name),
        }
    }
    Ok(())
}

/// The value, or none for an optional key that does not exist.
async fn value_from_source(
    sources: &Sources,
    (pod, facts): (&Pod, &Facts),
    container: &Container,
    source: &EnvVarSource,
) -> anyhow::Result<Option<String>> {
    if let Some(reference) = &source.field_ref {
        let path = &reference.field_path;
        return Ok(Some(
            field(pod, facts, path).with_context(|| format!("fieldRef {path} is not supported"))?,
        ));
    }
    if let Some(selector) = &source.resource_field_ref {
        return resource(pod, Some(container), selector).map(Some);
    }
    let namespace = &sources.namespace;
    if let Some(reference) = &source.config_map_key_ref {
        let (name, key, optional) = (&reference.name, &reference.key, reference.optional == Some(true));
        let map = sources.config_map(name).await?;
        let found = map.is_some();
        let value = map.and_then(|map| map.data.unwrap_or_default().remove(key));
        return match value {
            None if optional => Ok(None),
            None if !found => bail!("configmap \"{name}\" not found"),
            None => bail!("couldn't find key {key} in ConfigMap {namespace}/{name}"),
            value => Ok(value),
        };
    }
    if let Some(reference) = &source.secret_key_ref {
        let (name, key, optional) = (&reference.name, &reference.key, reference.optional == Some(true));
        let secret = sources.secret(name).await?;
        let found = secret.is_some();
        let value = secret.and_then(|secret| secret.data.unwrap_or_default().remove(key));
        return match value {
            None if optional => Ok(None),
            None if !found => bail!("secret \"{name}\" not found"),
            None => bail!("couldn't find key {key} in Secret {namespace}/{name}"),
            Some(bytes) => Ok(Some(String::from_utf8_lossy(&bytes.0).into_owned())),
        };
    }
    bail!("this kind of valueFrom is not supported by the lab")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::{Environment, Facts, field};

    #[test]
    fn known_variables_expand_and_everything_else_stays() {
        let mut environment = Environment::default();
        environment.set("NAME", "web");
        environment.set("EMPTY", "");
        let cases = [
            ("--name=$(NAME)", "--name=web"),
            ("$(NAME)$(NAME)", "webweb"),
            ("[$(EMPTY)]", "[]"),
            ("$(OTHER)", "$(OTHER)"),
            ("$$(NAME)", "$(NAME)"),
            ("$$$(NAME)", "$web"),
            ("$NAME", "$NAME"),
            ("$(NAME", "$(NAME"),
            ("a$", "a$"),
        ];
        for (text, expected) in cases {
            assert_eq!(environment.expand(text), expected, "{text}");
        }
    }

    #[test]
    fn a_later_variable_replaces_an_earlier_one_in_its_place() {
        let mut environment = Environment::default();
        environment.set("A", "1");
        environment.set("B", "2");
        environment.set("A", "3");
        let expected = [("A".to_owned(), "3".to_owned()), ("B".to_owned(), "2".to_owned())];
        assert_eq!(environment.into_vec(), expected);
    }

    #[test]
    fn fields_of_the_downward_api() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web-1", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
            "spec": {"nodeName": "worker1", "containers": []},
        }))
        .unwrap();
        let facts = Facts {
            host_ips: vec!["192.168.100.201".parse().unwrap()],
            pod_ips: vec!["10.233.65.2".parse().unwrap(), "fd00::2".parse().unwrap()],
        };
        let value = |path| field(&pod, &facts, path);
        assert_eq!(value("metadata.labels['app']").as_deref(), Some("web"));
        assert_eq!(value("metadata.labels['none']").as_deref(), Some(""));
        assert_eq!(value("metadata.labels").as_deref(), Some("app=\"web\""));
        assert_eq!(value("spec.nodeName").as_deref(), Some("worker1"));
        assert_eq!(value("status.hostIP").as_deref(), Some("192.168.100.201"));
        assert_eq!(value("status.podIPs").as_deref(), Some("10.233.65.2,fd00::2"));
        assert_eq!(value("spec.containers"), None);
    }
}
