use super::*;
use crate::chain;
use crate::serve::REQUEST_HEAD_MAX;
use prometheus_client::metrics::counter::Counter;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Beyond any time the server may take, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    health: Health,
    readiness: Readiness,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

async fn run() -> Running {
    let (health, readiness) = (Health::default(), Readiness::default());
    let mut registry = metrics::registry("1.2.3");
    let requests = Counter::<u64>::default();
    requests.inc_by(7);
    registry.register("ferrolb_test_turns", "Turns of the test", requests);
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = AdminServer::bind(loopback, registry, health.clone(), readiness.clone()).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(server.serve(async {
        stopped.await.ok();
    }));
    Running { address, health, readiness, stop, server }
}

/// Sends `request` and returns all that comes back until the server closes.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses a request may reset the connection after its answer.
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    };
    timeout(DEADLINE, exchange).await.expect("the server answers")
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn metrics_are_openmetrics_text() {
    let running = run().await;
    let answer = get(running.address, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert!(answer.contains("\nferrolb_build_info{version=\"1.2.3\"} 1\n"), "{answer}");
    assert!(answer.contains("\nferrolb_test_turns_total 7\n"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn healthz_fails_with_the_reason_while_a_loop_stalls() {
    let running = run().await;
    let plan = running.health.register("plan", Duration::from_secs(60));
    let answer = get(running.address, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("[+]plan ok\n"), "{answer}");

    // A loop that must turn all the time has always stalled.
    let stalled = running.health.register("l2", Duration::ZERO);
    let answer = get(running.address, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.contains("[-]l2 has not turned for") && answer.contains("[+]plan ok"), "{answer}");
    drop((plan, stalled));
}

#[tokio::test]
async fn readyz_lists_each_check() {
    let running = run().await;
    assert!(get(running.address, "/readyz").await.starts_with("HTTP/1.1 503"));
    let synced = running.readiness.register("synced");
    let drivers = running.readiness.register("drivers");
    synced.set(true);
    let answer = get(running.address, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("[-]drivers is not up\n[+]synced ok\n"), "{answer}");
    drivers.set(true);
    assert!(get(running.address, "/readyz").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn what_is_not_an_endpoint_is_refused() {
    let running = run().await;
    let answer = get(running.address, "/nothing").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("try /metrics"), "{answer}");
    let answer =
        exchange(running.address, b"POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let answer = exchange(running.address, b"\x00\x01 nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn an_oversized_request_head_is_refused() {
    let running = run().await;
    let request = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(2 * REQUEST_HEAD_MAX));
    let answer = exchange(running.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(get(running.address, "/metrics").await.starts_with("HTTP/1.1 200"), "others are still served");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_off_and_its_place_is_freed() {
    let running = run().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    let began = Instant::now();
    assert!(get(running.address, "/metrics").await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < 2 * REQUEST_TIMEOUT, "took {:?}", began.elapsed());
}

#[tokio::test]
async fn shutdown_closes_the_port_and_idle_connections() {
    let running = run().await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    assert!(get(running.address, "/metrics").await.starts_with("HTTP/1.1 200"));
    running.stop.send(()).unwrap();
    timeout(DEADLINE, running.server).await.expect("the server stops").unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let running = run().await;
    let error =
        AdminServer::bind(running.address, Registry::default(), Health::default(), Readiness::default())
            .await
            .unwrap_err();
    let text = chain(&error).to_string();
    assert!(text.contains(&running.address.to_string()), "{text}");
    assert!(text.contains("give another admin address") && text.contains("in use"), "{text}");
}
