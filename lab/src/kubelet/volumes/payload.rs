//! The files of a configMap, secret, downwardAPI or projected volume.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection,
    Volume, VolumeProjection,
};
use kube::api::{Api, PostParams};

use super::super::answer;
use super::super::env::{Facts, Sources, field, resource};

/// Files by their path in the volume.
pub(super) type Payload = BTreeMap<String, File>;

const DEFAULT_MODE: i32 = 0o644;
/// As the API server defaults it.
const TOKEN_LIFETIME_SECONDS: i64 = 3600;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// Service account tokens in use, by volume and path; each is renewed after four fifths of its life.
pub(super) type Tokens = BTreeMap<(String, String), Token>;

#[derive(Clone, Debug)]
pub(super) struct Token {
    value: String,
    renew_at: Timestamp,
}

/// The files a volume is to have now.
pub(super) async fn build(
    sources: &Sources,
    tokens: &mut Tokens,
    (pod, facts): (&Pod, &Facts),
    volume: &Volume,
) -> anyhow::Result<Payload> {
    let mut payload = Payload::new();
    if let Some(source) = &volume.config_map {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let map = sources.config_map(&source.name).await?;
        let files = map.map(config_map_files);
        let wanted = Wanted { kind: "configmap", name: &source.name, items: source.items.as_deref(), mode };
        wanted.select(files, source.optional == Some(true), &mut payload)?;
    } else if let Some(source) = &volume.secret {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let name = source.secret_name.as_deref().unwrap_or_default();
        let files = sources.secret(name).await?.map(secret_files);
        let wanted = Wanted { kind: "secret", name, items: source.items.as_deref(), mode };
        wanted.select(files, source.optional == Some(true), &mut payload)?;
    } else if let Some(source) = &volume.downward_api {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        downward(source.items.as_deref(), mode, (pod, facts), &mut payload)?;
    } else if let Some(source) = &volume.projected {
        let mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        for projection in source.sources.iter().flatten() {
            project(sources, (pod, facts), (projection, mode), &mut payload).await?;
            if let Some(wanted) = &projection.service_account_token {
                let key = (volume.name.clone(), wanted.path.clone());
                let value = token(sources, tokens, pod, (key, wanted)).await?;
                insert(&mut payload, &wanted.path, value.into_bytes(), mode)?;
            }
        }
    } else {
        bail!("this kind of volume is not supported by the lab");
    }
    Ok(payload)
}

async fn project(
    sources: &Sources,
    (pod, facts): (&Pod, &Facts),
    (projection, mode): (&VolumeProjection, i32),
    payload: &mut Payload,
) -> anyhow::Result<()> {
    if let Some(source) = &projection.config_map {
        let files = sources.config_map(&source.name).await?.map(config_map_files);
        let wanted = Wanted { kind: "configmap", name: &source.name, items: source.items.as_deref(), mode };
        wanted.select(files, source.optional == Some(true), payload)?;
    }
    if let Some(source) = &projection.secret {
        let files = sources.secret(&source.name).await?.map(secret_files);
        let wanted = Wanted { kind: "secret", name: &source.name, items: source.items.as_deref(), mode };
        wanted.select(files, source.optional == Some(true), payload)?;
    }
    if let Some(source) = &projection.downward_api {
        downward(source.items.as_deref(), mode, (pod, facts), payload)?;
    }
    Ok(())
}

fn config_map_files(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
    let binary = map.binary_data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0));
    text.chain(binary).collect()
}

fn secret_files(secret: Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect()
}

/// What a volume takes out of a ConfigMap or Secret.
struct Wanted<'a> {
    kind: &'static str,
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    mode: i32,
}

impl Wanted<'_> {
    fn select(
        &self,
        files: Option<BTreeMap<String, Vec<u8>>>,
        optional: bool,
        payload: &mut Payload,
    ) -> anyhow::Result<()> {
        let Self { kind, name, items, mode } = *self;
        let Some(mut files) = files else {
            if optional {
                return Ok(());
            }
            bail!("{kind} \"{name}\" not found");
        };
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            return files.into_iter().try_for_each(|(key, bytes)| insert(payload, &key, bytes, mode));
        };
        for item in items {
            match files.remove(&item.key) {
                Some(bytes) => insert(payload, &item.path, bytes, item.mode.unwrap_or(mode))?,
                None if optional => {}
                None => bail!("{kind} \"{name}\" references non-existent key: {}", item.key),
            }
        }
        Ok(())
    }
}

fn downward(
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: i32,
    (pod, facts): (&Pod, &Facts),
    payload: &mut Payload,
) -> anyhow::Result<()> {
    for item in items.unwrap_or_default() {
        let value = if let Some(reference) = &item.field_ref {
            let path = &reference.field_path;
            field(pod, facts, path).with_context(|| format!("fieldRef {path} is not supported"))?
        } else if let Some(selector) = &item.resource_field_ref {
            resource(pod, None, selector)?
        } else {
            bail!("downwardAPI item {} has neither fieldRef nor resourceFieldRef", item.path);
        };
        insert(payload, &item.path, value.into_bytes(), item.mode.unwrap_or(mode))?;
    }
    Ok(())
}

fn insert(payload: &mut Payload, path: &str, bytes: Vec<u8>, mode: i32) -> anyhow::Result<()> {
    let mode = u32::try_from(mode).ok().filter(|mode| *mode <= 0o777);
    let mode = mode.with_context(|| format!("{path}: the mode must be between 0 and 0777"))?;
    payload.insert(path.to_owned(), File { bytes, mode });
    Ok(())
}

/// The current token for a path, requested again when it is due.
async fn token(
    sources: &Sources,
    tokens: &mut Tokens,
    pod: &Pod,
    (key, wanted): ((String, String), &ServiceAccountTokenProjection),
) -> anyhow::Result<String> {
    let now = Timestamp::now();
    if let Some(token) = tokens.get(&key).filter(|token| now < token.renew_at) {
        return Ok(token.value.clone());
    }
    let token = request_token(sources, pod, wanted).await?;
    let value = token.value.clone();
    tokens.insert(key, token);
    Ok(value)
}

async fn request_token(
    sources: &Sources,
    pod: &Pod,
    wanted: &ServiceAccountTokenProjection,
) -> anyhow::Result<Token> {
    let account =
        pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    let lifetime_seconds = wanted.expiration_seconds.unwrap_or(TOKEN_LIFETIME_SECONDS);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(wanted.audience.iter().cloned().collect()),
            expiration_seconds: Some(lifetime_seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: pod.metadata.name.clone(),
                uid: pod.metadata.uid.clone(),
            }),
        }),
        ..TokenRequest::default()
    };
    let api: Api<ServiceAccount> = Api::namespaced(sources.client.clone(), &sources.namespace);
    let issued = answer(api.create_token_request(account, &PostParams::default(), &request))
        .await
        .with_context(|| format!("failed to fetch token for serviceaccount \"{account}\""))?;
    let value = issued.status.and_then(|status| status.token).context("the API server issued no token")?;
    // Counted from here: the lab's clocks are one clock.
    let renew_in = jiff::SignedDuration::from_secs(lifetime_seconds / 5 * 4);
    Ok(Token { value, renew_at: Timestamp::now() + renew_in })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::core::v1::KeyToPath;

    use super::{Payload, Wanted};

    fn select(items: Option<&[KeyToPath]>, exists: bool, optional: bool) -> Result<Payload, String> {
        let files = BTreeMap::from([("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())]);
        let mut payload = Payload::new();
        let wanted = Wanted { kind: "configmap", name: "settings", items, mode: 0o644 };
        wanted.select(exists.then_some(files), optional, &mut payload).map_err(|error| error.to_string())?;
        Ok(payload)
    }

    fn item(key: &str, path: &str, mode: Option<i32>) -> KeyToPath {
        KeyToPath { key: key.to_owned(), path: path.to_owned(), mode }
    }

    #[test]
    fn a_volume_has_all_keys_or_the_items_at_their_paths() {
        let all = select(None, true, false).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b"]);
        let some = select(Some(&[item("b", "dir/x", Some(0o400))]), true, false).unwrap();
        let (path, file) = some.first_key_value().unwrap();
        assert_eq!((path.as_str(), file.bytes.as_slice(), file.mode), ("dir/x", b"2".as_slice(), 0o400));
    }

    #[test]
    fn what_is_missing_is_an_error_unless_it_is_optional() {
        assert_eq!(select(None, false, false), Err("configmap \"settings\" not found".to_owned()));
        assert_eq!(select(None, false, true), Ok(Payload::new()));
        let missing = [item("z", "z", None)];
        assert!(select(Some(&missing), true, false).unwrap_err().contains("non-existent key: z"));
        assert_eq!(select(Some(&missing), true, true), Ok(Payload::new()));
    }
}
