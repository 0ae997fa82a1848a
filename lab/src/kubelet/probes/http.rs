//! One HTTP or HTTPS request, answered by its status code.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

const USER_AGENT: &str = concat!("kube-probe/ferrolb-lab-", env!("CARGO_PKG_VERSION"));

pub(super) async fn get(address: SocketAddr, action: &HTTPGetAction) -> anyhow::Result<u16> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("dial tcp {address}"))?;
    if action.scheme.as_deref() != Some("HTTPS") {
        return exchange(stream, address, action).await;
    }
    let name = ServerName::IpAddress(address.ip().into());
    let stream = connector()?.connect(name, stream).await.context("TLS handshake")?;
    exchange(stream, address, action).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    address: SocketAddr,
    action: &HTTPGetAction,
) -> anyhow::Result<u16> {
    let path = action.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
    let mut request = Request::builder().method(Method::GET).uri(path);
    let headers = action.http_headers.iter().flatten();
    let has = |name: &str| headers.clone().any(|header| header.name.eq_ignore_ascii_case(name));
    let defaults = [
        ("Host", address.to_string()),
        ("User-Agent", USER_AGENT.to_owned()),
        ("Connection", "close".to_owned()),
    ];
    for (name, value) in defaults {
        if !has(name) {
            request = request.header(name, value);
        }
    }
    for header in headers.clone() {
        request = request.header(&header.name, &header.value);
    }
    let request = request.body(Empty::<Bytes>::new()).context("httpGet is not a valid request")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = sender.send_request(request);
    tokio::pin!(exchange, connection);
    tokio::select! {
        response = &mut exchange => Ok(response?.status().as_u16()),
        // A server that closes at once ends both together; the response is there by then.
        ended = &mut connection => {
            ended?;
            Ok(exchange.await?.status().as_u16())
        }
    }
}

fn connector() -> anyhow::Result<TlsConnector> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .context("TLS versions")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Takes every certificate: a probe asks whether the container answers, not who it is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
