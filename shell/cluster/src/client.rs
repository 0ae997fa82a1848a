//! The client of the API server, on connections that notice when their other end is gone.

use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::config::InferConfigError;
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing says where the API server is.
    #[error("no way to the API server is configured; run in a Pod with a service account, or set KUBECONFIG")]
    NotConfigured(#[source] InferConfigError),
    /// The credentials or certificates cannot be used.
    #[error("the credentials for the API server cannot be used")]
    Credentials(#[source] kube::Error),
}

/// A client by the kubeconfig or the Pod's service account.
///
/// A watch is silent while nothing happens. When the API server's machine loses power, nobody
/// ends the connection, and kube's own idle timeout takes five minutes to doubt it: keepalive
/// probes doubt it within [`DEAD_AFTER`].
///
/// # Errors
/// Nothing says where the API server is, or with what credentials.
pub async fn connect() -> Result<Client, ConnectError> {
    let config = Config::infer().await.map_err(ConnectError::NotConfigured)?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(DEAD_AFTER));
    http.set_keepalive(Some(KEEPALIVE_IDLE));
    http.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    http.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    // Keepalive is silent while data is unacknowledged; then this bounds the wait.
    http.set_tcp_user_timeout(Some(DEAD_AFTER));
    let https = config.rustls_https_connector_with_connector(http).map_err(ConnectError::Credentials)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(ConnectError::Credentials)?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build(https));
    Ok(Client::new(service, config.default_namespace))
}

/// The longest silence of a dead connection: the idle time before the first probe, and all retries.
pub const DEAD_AFTER: Duration = Duration::from_secs(10);
/// A quiet connection is probed after this time: 8 watches of 1,000 nodes are 2,000 probes a second.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 3;
