//! HTTP connections with bounds: how many at a time, and how long each.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::chain;

/// Octets of a request's line and headers; more is answered with 431. The smallest that hyper
/// allows.
pub const REQUEST_HEAD_MAX: usize = 8 * 1024;

/// Pause after an `accept` that was refused, which happens when the process is out of file
/// descriptors: retrying at once would burn a CPU.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What the clients of a listener may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What is served, for the log.
    pub name: &'static str,
    /// Connections at a time. Further ones wait in the kernel's backlog.
    pub connections: usize,
    /// From accepting a connection to its end; each carries one request.
    pub request: Duration,
    /// How long open requests may go on at the end.
    pub grace: Duration,
}

/// Answers requests on `listener` by `router` until `shutdown` completes; `open` makes of each
/// connection what is spoken on, TLS for example.
///
/// One task per connection. Dropping the future closes them all.
pub async fn serve<S, F>(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    open: impl Fn(TcpStream) -> F,
    shutdown: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut shutdown = pin!(shutdown);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_ended) = connections.join_next() => {}
            stream = accept(&listener, bounds.name), if connections.len() < bounds.connections => {
                let (opened, router, watcher) = (open(stream), router.clone(), graceful.watcher());
                let served = async move {
                    let connection = http1::Builder::new()
                        .keep_alive(false)
                        .max_buf_size(REQUEST_HEAD_MAX)
                        .serve_connection(TokioIo::new(opened.await?), TowerToHyperService::new(router));
                    watcher.watch(connection).await.map_err(io::Error::other)
                };
                connections.spawn(async move {
                    match timeout(bounds.request, served).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            tracing::debug!(kind = bounds.name, error = %chain(&error), "a request was broken off");
                        }
                        Err(_elapsed) => tracing::debug!(kind = bounds.name, "a request took too long"),
                    }
                });
            }
        }
    }
    drop(listener);
    if timeout(bounds.grace, graceful.shutdown()).await.is_err() {
        tracing::debug!(kind = bounds.name, "requests were still open at shutdown");
    }
}

/// The next connection; an `accept` that is refused is logged and retried.
async fn accept(listener: &TcpListener, name: &'static str) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _client)) => return stream,
            Err(error) => {
                tracing::debug!(kind = name, error = %chain(&error), "accepting a connection was refused");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
