//! The kubelet's HTTPS API, as far as `kubectl logs` needs it: `GET /containerLogs/NAMESPACE/POD/CONTAINER`.
//!
//! Callers show a client certificate of the cluster's authority, as the API server does; the node's own
//! certificate signs itself, which the API server accepts as long as it has no kubelet authority.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::logs::{self, LogOptions, LogReader};
use super::{API_PORT, Kubelet};
use crate::node::NodeConfig;

/// A client that does not finish its TLS handshake in this time is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes at the same time; more wait in the kernel's backlog.
const HANDSHAKES_MAX: usize = 16;
/// How often a followed log is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// The socket of the API.
pub(super) struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener {
    pub(super) async fn bind(node: &NodeConfig) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, API_PORT));
        let tcp = TcpListener::bind(address).await.with_context(|| {
            format!("listen on {address} for the kubelet's API; is this node running already?")
        })?;
        Ok(Self { tcp, acceptor: TlsAcceptor::from(Arc::new(tls_config(node)?)) })
    }

    pub(super) async fn serve(self, kubelet: Arc<Kubelet>) {
        let router = Router::new()
            .route("/healthz", get(|| std::future::ready("ok")))
            .route("/containerLogs/{namespace}/{pod}/{container}", get(container_logs))
            .fallback(|| {
                std::future::ready((StatusCode::NOT_IMPLEMENTED, "the lab's kubelet serves logs only\n"))
            })
            .with_state(kubelet);
        let address = self.tcp.local_addr();
        let (sender, streams) = mpsc::channel(HANDSHAKES_MAX);
        let handshakes = tokio::spawn(accept(self, sender));
        if let Err(error) = axum::serve(Established { streams, address }, router).await {
            tracing::error!(%error, "API of the kubelet ended");
        }
        handshakes.abort();
    }
}

/// Accepts connections and shakes hands with several clients at once.
async fn accept(listener: Listener, established: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.len() >= HANDSHAKES_MAX {
            handshakes.join_next().await;
        }
        let (stream, client) = match listener.tcp.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "connection not accepted");
                tokio::time::sleep(FOLLOW_INTERVAL).await;
                continue;
            }
        };
        let (acceptor, established) = (listener.acceptor.clone(), established.clone());
        handshakes.spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                // Nobody takes it any more when the node stops.
                Ok(Ok(stream)) => drop(established.send((stream, client)).await),
                Ok(Err(error)) => tracing::debug!(%client, %error, "TLS handshake not finished"),
                Err(_elapsed) => tracing::debug!(%client, "TLS handshake took too long"),
            }
        });
    }
}

/// Connections whose handshake is done, as a listener.
struct Established {
    streams: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: std::io::Result<SocketAddr>,
}

impl axum::serve::Listener for Established {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.streams.recv().await {
            Some(established) => established,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.address.as_ref().copied().map_err(|error| error.kind().into())
    }
}

fn tls_config(node: &NodeConfig) -> anyhow::Result<ServerConfig> {
    let ca = &node.cluster_ca;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).with_context(|| format!("read {}", ca.display()))? {
        let certificate = certificate.with_context(|| format!("parse {}", ca.display()))?;
        roots.add(certificate).with_context(|| format!("trust {}", ca.display()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .context("verifier of client certificates")?;
    let names = node.internal_ips.iter().map(ToString::to_string).chain([node.name.clone()]);
    let own = rcgen::generate_simple_self_signed(names.collect::<Vec<_>>())
        .context("make the node's certificate")?;
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())
        .map_err(|cause| anyhow::anyhow!("use the node's key: {cause}"))?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.cert.der().clone()], key)
        .context("use the node's certificate")
}

async fn container_logs(
    State(kubelet): State<Arc<Kubelet>>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    Query(options): Query<LogOptions>,
) -> Response {
    let Some(uid) = kubelet.names.uid(&namespace, &pod) else {
        return (StatusCode::NOT_FOUND, format!("pod \"{pod}\" not found in namespace \"{namespace}\"\n"))
            .into_response();
    };
    let dir = kubelet.pod_dir(&uid);
    let path =
        if options.previous { logs::previous_path(&dir, &container) } else { logs::path(&dir, &container) };
    let follows = options.follow;
    let missing = if options.previous {
        format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
    } else {
        format!("container \"{container}\" in pod \"{pod}\" is waiting to start")
    };
    let opened = LogReader::open(&path, options).and_then(|mut reader| {
        let existing = reader.existing().context("read the log")?;
        Ok((reader, existing))
    });
    let (reader, existing) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::debug!(error = format!("{error:#}"), "log not served");
            return (StatusCode::BAD_REQUEST, format!("{missing}\n")).into_response();
        }
    };
    if !follows {
        return existing.into_response();
    }
    let followed = futures::stream::unfold((Some(existing), reader), move |(existing, mut reader)| {
        let (kubelet, path) = (Arc::clone(&kubelet), path.clone());
        async move {
            if let Some(existing) = existing {
                return Some((Ok(Bytes::from(existing)), (None, reader)));
            }
            loop {
                // Asked before reading: what was written until the log was closed is read.
                let is_open = kubelet.open_logs.contains(&path);
                match reader.added() {
                    Ok(added) if !added.is_empty() => return Some((Ok(Bytes::from(added)), (None, reader))),
                    Ok(_) if !is_open => return None,
                    Ok(_) => tokio::time::sleep(FOLLOW_INTERVAL).await,
                    Err(error) => return Some((Err(error), (None, reader))),
                }
            }
        }
    });
    Body::from_stream(followed).into_response()
}
