//! The HTTPS server: `POST /validate` and `POST /convert` on one port.
//!
//! One task per connection, at most [`CONNECTIONS_MAX`]; a connection carries one request and ends
//! within [`REQUEST_TIMEOUT`], whatever its client does. The certificate is looked up at each
//! handshake, so a new one needs no restart. A review never waits, so no more of them are unpacked at
//! a time than the runtime has threads.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use ferrolb_telemetry::chain;
use ferrolb_telemetry::serve::{Bounds, serve};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::certificate::{CertificateError, serving};
use crate::review::{self, ReviewError, Reviewer};

/// Connections at a time. An API server asks once per write of a configuration object; further
/// connections wait in the kernel's backlog.
pub const CONNECTIONS_MAX: usize = 16;
/// Octets of a body. A review carries an object twice, and the API server stores at most 1.5 MiB.
pub const BODY_MAX: usize = 4 * 1024 * 1024;
/// From accepting a connection to its end, the handshake included. API servers wait 5 s, as
/// `deploy/webhook` asks.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long [`WebhookServer::serve`] waits for open requests once it is told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The certificate that handshakes show, to be replaced at any time. Without one, they fail.
#[derive(Clone, Debug, Default)]
pub struct ServingCertificate(Arc<RwLock<Option<Arc<CertifiedKey>>>>);

/// The server, bound and not yet serving.
#[expect(missing_debug_implementations, reason = "the acceptor has none")]
pub struct WebhookServer {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error(
        "listening on {address} for the webhook was refused; stop what uses that port, or give another webhook address"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The TLS library does not do what is asked of it.
    #[error("TLS 1.3 is not to be had")]
    Tls(#[source] rustls::Error),
}

impl ServingCertificate {
    /// Shows `certificate`, a chain in PEM, from the next handshake on.
    ///
    /// # Errors
    /// They are not PEM, or the key is another certificate's. What was served is served on.
    pub fn replace(&self, certificate: &str, key: &str) -> Result<(), CertificateError> {
        let serving = Arc::new(serving(certificate, key)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(serving);
        Ok(())
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl WebhookServer {
    /// Binds `address`; port 0 takes a free one, see [`WebhookServer::address`].
    ///
    /// # Errors
    /// The address is in use or not this host's.
    pub async fn bind(
        address: SocketAddr,
        certificate: ServingCertificate,
        reviewer: Arc<dyn Reviewer>,
    ) -> Result<Self, BindError> {
        let refused = |source| BindError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(BindError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificate));
        let router = Router::new()
            .route("/validate", post(validate))
            .route("/convert", post(convert))
            .fallback(not_found)
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .with_state(reviewer);
        Ok(Self { listener, address, acceptor: TlsAcceptor::from(Arc::new(tls)), router })
    }

    /// The address that is listened on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers reviews until `shutdown` completes, then lets open ones finish within
    /// [`SHUTDOWN_GRACE`].
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let bounds = Bounds {
            name: "webhook",
            connections: CONNECTIONS_MAX,
            request: REQUEST_TIMEOUT,
            grace: SHUTDOWN_GRACE,
        };
        let acceptor = self.acceptor;
        serve(self.listener, self.router, bounds, |stream| acceptor.accept(stream), shutdown).await;
    }
}

async fn validate(State(reviewer): State<Arc<dyn Reviewer>>, body: Bytes) -> Response {
    answer(review::validate(&body, reviewer.as_ref()))
}

async fn convert(State(reviewer): State<Arc<dyn Reviewer>>, body: Bytes) -> Response {
    answer(review::convert(&body, reviewer.as_ref()))
}

fn answer(review: Result<Value, ReviewError>) -> Response {
    match review {
        Ok(review) => Json(review).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{}\n", chain(&error))).into_response(),
    }
}

async fn not_found(uri: Uri) -> Response {
    let text = format!("{} is not here; try /validate or /convert\n", uri.path());
    (StatusCode::NOT_FOUND, text).into_response()
}

#[cfg(test)]
mod tests;
