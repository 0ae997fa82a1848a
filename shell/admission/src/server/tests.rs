use super::*;
use crate::certificate::Bundle;
use crate::review::{AdmissionRequest, Operation, Verdict};
use serde_json::json;
use std::time::{Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Beyond any time the server may take, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);
const NAME: &str = "hook.ferrolb-system.svc";

/// Denies what is created and converts by adding the version.
struct Strict;

impl Reviewer for Strict {
    fn validate(&self, request: &AdmissionRequest) -> Verdict {
        match request.operation {
            Operation::Create => Verdict::Deny(format!("no {} here", request.kind.kind)),
            Operation::Update => Verdict::Unchecked("nobody looked".into()),
            Operation::Delete | Operation::Connect => Verdict::Allow,
        }
    }

    fn convert(&self, mut object: Value, api_version: &str) -> Result<Value, String> {
        let fields = object.as_object_mut().ok_or("not an object")?;
        fields.insert("apiVersion".into(), api_version.into());
        Ok(object)
    }
}

struct Running {
    address: SocketAddr,
    certificate: ServingCertificate,
    bundle: Bundle,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

fn bundle() -> Bundle {
    Bundle::create(&[NAME.into()], SystemTime::now()).unwrap()
}

async fn run() -> Running {
    let (certificate, bundle) = (ServingCertificate::default(), bundle());
    certificate.replace(&bundle.certificate, &bundle.key).unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = WebhookServer::bind(loopback, certificate.clone(), Arc::new(Strict)).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(server.serve(async {
        stopped.await.ok();
    }));
    Running { address, certificate, bundle, stop, server }
}

/// Connects as an API server does that trusts the authority of `bundle`.
async fn connect(address: SocketAddr, bundle: &Bundle) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(bundle.ca_certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await
}

/// Sends `request` and returns all that comes back until the server closes.
async fn exchange(running: &Running, request: &[u8]) -> String {
    let exchange = async {
        let mut stream = connect(running.address, &running.bundle).await.unwrap();
        // A server that refuses a body stops reading it.
        stream.write_all(request).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    };
    timeout(DEADLINE, exchange).await.expect("the server answers")
}

async fn post_body(running: &Running, path: &str, body: &str) -> String {
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: {NAME}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    exchange(running, head.as_bytes()).await
}

/// The answer's body, which must be a success.
fn review_of(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    serde_json::from_str(body).unwrap()
}

fn admission(operation: &str) -> String {
    let kind = json!({"group": "metallb.io", "version": "v1beta1", "kind": "IPAddressPool"});
    let request =
        json!({"uid": "u-1", "kind": kind, "operation": operation, "namespace": "n", "object": null});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string()
}

#[tokio::test]
async fn each_verdict_has_its_answer() {
    let running = run().await;
    for (operation, response) in [
        (
            "CREATE",
            json!({"uid": "u-1", "allowed": false, "status":
                {"code": 403, "reason": "Forbidden", "message": "no IPAddressPool here"}}),
        ),
        ("UPDATE", json!({"uid": "u-1", "allowed": true, "warnings": ["nobody looked"]})),
        ("DELETE", json!({"uid": "u-1", "allowed": true})),
    ] {
        let review = review_of(&post_body(&running, "/validate", &admission(operation)).await);
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["kind"], "AdmissionReview");
        assert_eq!(review["response"], response, "{operation}");
    }
}

#[tokio::test]
async fn a_conversion_is_of_all_objects_or_of_none() {
    let running = run().await;
    let ask = async |objects: Value| {
        let request = json!({"uid": "u-2", "desiredAPIVersion": "metallb.io/v2", "objects": objects});
        let review =
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request});
        review_of(&post_body(&running, "/convert", &review.to_string()).await)
    };
    let answer = ask(json!([{"a": 1}, {"b": 2}])).await;
    assert_eq!(
        answer["response"],
        json!({"uid": "u-2", "result": {"status": "Success"}, "convertedObjects":
            [{"a": 1, "apiVersion": "metallb.io/v2"}, {"b": 2, "apiVersion": "metallb.io/v2"}]})
    );
    let answer = ask(json!([{"a": 1}, 7])).await;
    assert_eq!(
        answer["response"],
        json!({"uid": "u-2", "result": {"status": "Failed", "message": "not an object"}})
    );
}

#[tokio::test]
async fn what_is_not_a_review_is_refused_with_the_reason() {
    let running = run().await;
    for (path, body, status, text) in [
        ("/validate", "", "400", "no AdmissionReview of admission.k8s.io/v1"),
        ("/validate", "{\"kind\": 7}", "400", "no AdmissionReview"),
        ("/validate", "\u{0}\u{1}", "400", "expected value"),
        ("/convert", &admission("CREATE"), "400", "no ConversionReview of apiextensions.k8s.io/v1"),
        ("/nothing", "{}", "404", "try /validate or /convert"),
    ] {
        let answer = post_body(&running, path, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {body:?}: {answer}");
        assert!(answer.contains(text), "{path} {body:?}: {answer}");
    }
    let old = admission("CREATE").replace("k8s.io/v1\"", "k8s.io/v1beta1\"");
    let answer = post_body(&running, "/validate", &old).await;
    assert!(answer.contains("expected AdmissionReview of admission.k8s.io/v1, found"), "{answer}");
    let answer = exchange(&running, b"GET /validate HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(exchange(&running, b"\x00\x01 nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_one_at_the_bound_is_read() {
    let running = run().await;
    let answer = post_body(&running, "/validate", &" ".repeat(BODY_MAX + 1)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let mut largest = admission("DELETE");
    largest.push_str(&" ".repeat(BODY_MAX - largest.len()));
    let review = review_of(&post_body(&running, "/validate", &largest).await);
    assert_eq!(review["response"]["allowed"], true);
}

#[tokio::test]
async fn silent_and_slow_clients_are_cut_off_and_their_places_freed() {
    let running = run().await;
    // Half of them do not even say hello, the others promise a body that never comes.
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX / 2 {
        open.push(TcpStream::connect(running.address).await.unwrap());
    }
    let mut slow = Vec::new();
    for _ in 0..CONNECTIONS_MAX / 2 {
        let mut stream = connect(running.address, &running.bundle).await.unwrap();
        stream.write_all(b"POST /validate HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    let review = review_of(&post_body(&running, "/validate", &admission("DELETE")).await);
    assert_eq!(review["response"]["allowed"], true);
    assert!(began.elapsed() < 2 * REQUEST_TIMEOUT, "took {:?}", began.elapsed());
    drop((open, slow));
}

#[tokio::test]
async fn a_new_certificate_is_shown_from_the_next_handshake_on() {
    let mut running = run().await;
    let mut before = connect(running.address, &running.bundle).await.unwrap();
    let other = bundle();
    assert!(connect(running.address, &other).await.is_err(), "another authority is not trusted");
    running.certificate.replace(&other.certificate, &other.key).unwrap();
    assert!(connect(running.address, &running.bundle).await.is_err(), "the former authority is not shown");

    before.write_all(b"GET /validate HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    before.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "an open connection goes on: {answer}");

    let mixed = running.certificate.replace(&other.certificate, &running.bundle.key).unwrap_err();
    assert!(mixed.to_string().contains("belong together"), "{mixed}");
    assert!(running.certificate.replace("", "").is_err());
    running.bundle = other;
    let review = review_of(&post_body(&running, "/validate", &admission("DELETE")).await);
    assert_eq!(review["response"]["allowed"], true, "what cannot be served replaces nothing");
}

#[tokio::test]
async fn without_a_certificate_handshakes_fail_until_there_is_one() {
    let certificate = ServingCertificate::default();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = WebhookServer::bind(loopback, certificate.clone(), Arc::new(Strict)).await.unwrap();
    let address = server.address();
    let _server = tokio::spawn(server.serve(std::future::pending()));
    let bundle = bundle();
    assert!(connect(address, &bundle).await.is_err());
    certificate.replace(&bundle.certificate, &bundle.key).unwrap();
    assert!(connect(address, &bundle).await.is_ok());
}

#[tokio::test]
async fn shutdown_closes_the_port() {
    let running = run().await;
    running.stop.send(()).unwrap();
    timeout(DEADLINE, running.server).await.expect("the server stops").unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let running = run().await;
    let second = WebhookServer::bind(running.address, ServingCertificate::default(), Arc::new(Strict)).await;
    let error = second.err().expect("the port is taken");
    let text = chain(&error).to_string();
    assert!(
        text.contains(&running.address.to_string()) && text.contains("another webhook address"),
        "{text}"
    );
}
