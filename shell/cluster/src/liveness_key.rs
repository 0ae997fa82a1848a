//! The Secret that speakers know each other by. The controller makes it where there is none, and
//! never reads it.

use std::fmt::Write;
use std::future::Future;
use std::time::Duration;

use ferrolb_api::CONTROLLER;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use ring::rand::{SecureRandom, SystemRandom};

use crate::errors::{brief, is_conflict};

/// The Secret that every speaker's Pod mounts.
pub const SECRET: &str = "ferrolb-liveness";
/// Its entry, the file that speakers read: one key per line, the one to send with first.
pub const ENTRY: &str = "keys";
/// Octets of the key: as many as the hash has that it is used with (RFC 2104 §3).
const KEY_LEN: usize = 32;
/// After a request that was refused, the next waits so long.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Creates the Secret in `namespace` unless there is one; tries until that is so, or `stop`
/// resolves. Every replica does: the first one wins.
pub async fn ensure(client: Client, namespace: String, stop: impl Future<Output = ()>) {
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let mut stop = std::pin::pin!(stop);
    while let Err(reason) = create(&api).await {
        tracing::warn!(error = reason, "the key of the speakers was not made and is retried");
        tokio::select! {
            () = tokio::time::sleep(RETRY_AFTER) => {}
            () = &mut stop => return,
        }
    }
}

/// One attempt. Why it has to be repeated.
async fn create(api: &Api<Secret>) -> Result<(), String> {
    let mut key = [0; KEY_LEN];
    SystemRandom::new()
        .fill(&mut key)
        .map_err(|_unspecified| "the system gives no random octets".to_owned())?;
    let parameters = PostParams { field_manager: Some(CONTROLLER.into()), ..PostParams::default() };
    match api.create(&parameters, &secret(&key)).await {
        Ok(_) => tracing::info!(secret = SECRET, "the key of the speakers was made"),
        Err(error) if is_conflict(&error) => {}
        Err(error) => return Err(brief(&error)),
    }
    Ok(())
}

fn secret(key: &[u8]) -> Secret {
    let mut line = key.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").ok();
        text
    });
    line.push('\n');
    let mut secret = Secret::default();
    secret.metadata.name = Some(SECRET.into());
    let label = |key: &str, value: &str| (format!("app.kubernetes.io/{key}"), value.to_owned());
    secret.metadata.labels = Some([label("name", "ferrolb"), label("component", "speaker")].into());
    secret.data = Some([(ENTRY.to_owned(), ByteString(line.into_bytes()))].into());
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_one_line_of_text() {
        let secret = secret(&[0x0a, 0xff]);
        let entries = secret.data.expect("it has data");
        assert_eq!(entries[ENTRY], ByteString(b"0aff\n".to_vec()));
        assert_eq!(secret.metadata.name.as_deref(), Some("ferrolb-liveness"));
    }
}
