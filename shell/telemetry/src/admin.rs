//! The admin endpoints: `/metrics`, `/healthz` and `/readyz` on one port.
//!
//! One task per connection, at most [`CONNECTIONS_MAX`]; a connection carries one request and
//! ends within [`REQUEST_TIMEOUT`], whatever its client does. Dropping [`AdminServer::serve`]
//! closes them all.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::clock;
use crate::health::{Health, Readiness, Report};
use crate::metrics;
use crate::serve::{Bounds, serve};

/// Connections at a time. The kubelet, a scraper and a person need three; further ones wait in
/// the kernel's backlog.
pub const CONNECTIONS_MAX: usize = 64;

/// From accepting a connection to its end. Scraping thousands of series takes milliseconds.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long [`AdminServer::serve`] waits for open requests once it is told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The admin endpoints, bound and not yet serving.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

/// The admin address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "listening on {address} for the admin endpoints was refused; stop what uses that port, or give another admin address"
)]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

#[derive(Clone)]
struct Endpoints {
    registry: Arc<Registry>,
    health: Health,
    readiness: Readiness,
}

impl AdminServer {
    /// Binds `address`; port 0 takes a free one, see [`AdminServer::address`].
    ///
    /// # Errors
    /// The address is in use or not this host's.
    pub async fn bind(
        address: SocketAddr,
        registry: Registry,
        health: Health,
        readiness: Readiness,
    ) -> Result<Self, BindError> {
        let refused = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let endpoints = Endpoints { registry: Arc::new(registry), health, readiness };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .fallback(not_found)
            .with_state(endpoints);
        Ok(Self { listener, address, router })
    }

    /// The address that is listened on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` completes, then lets open ones finish within
    /// [`SHUTDOWN_GRACE`].
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let bounds = Bounds {
            name: "admin",
            connections: CONNECTIONS_MAX,
            request: REQUEST_TIMEOUT,
            grace: SHUTDOWN_GRACE,
        };
        serve(self.listener, self.router, bounds, |stream| std::future::ready(Ok(stream)), shutdown).await;
    }
}

async fn metrics(State(endpoints): State<Endpoints>) -> Response {
    match metrics::encode(&endpoints.registry) {
        Ok(body) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("a metric cannot be encoded: {error}\n"))
            .into_response(),
    }
}

async fn healthz(State(endpoints): State<Endpoints>) -> Response {
    answer(endpoints.health.report(clock::now()))
}

async fn readyz(State(endpoints): State<Endpoints>) -> Response {
    answer(endpoints.readiness.report())
}

fn answer(report: Report) -> Response {
    let status = if report.is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, report.text).into_response()
}

async fn not_found(uri: Uri) -> Response {
    let text = format!("{} is not here; try /metrics, /healthz or /readyz\n", uri.path());
    (StatusCode::NOT_FOUND, text).into_response()
}

#[cfg(test)]
mod tests;
