//! The way from the machine to the API server: a process that listens on the machine's loopback and
//! dials inside the master's namespace.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::hosts;
use crate::netns;
use crate::process::{Process, Processes};

/// Name of the process.
pub(crate) const PROCESS: &str = "forward";
const FIRST_PORT: u16 = 16443;
/// Ports a name can lead to; a taken one moves on to the next.
const PORTS: u16 = 1000;
/// A master that does not answer is down: the client shall hear so soon.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// A master that lost power says no farewell: its connections end after this silence.
const IDLE_PROBE: Duration = Duration::from_secs(5);
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBES: u32 = 3;

/// Starts the forwarder and returns the port it listens on.
///
/// It inherits the listening socket as its standard input, so the port cannot be lost between choosing
/// and listening, and the process itself can live in the lab: the socket stays the machine's.
pub(crate) fn start(
    lab: &str,
    program: &Path,
    target: SocketAddr,
    processes: &Processes,
) -> anyhow::Result<u16> {
    let listener = listen(lab)?;
    let port = listener.local_addr().context("read the forwarder's own port")?.port();
    processes.spawn(Process {
        name: PROCESS.into(),
        netns: &hosts::netns(lab, hosts::LAN),
        program,
        args: vec![
            "forward".into(),
            "--netns".into(),
            hosts::netns(lab, "master"),
            "--target".into(),
            target.to_string(),
        ],
        env: Vec::new(),
        stdin: Stdio::from(std::os::fd::OwnedFd::from(listener)),
    })?;
    Ok(port)
}

fn listen(lab: &str) -> anyhow::Result<TcpListener> {
    let digest = Sha256::digest(lab.as_bytes());
    let hash = digest.iter().take(2).fold(0u16, |hash, byte| (hash << 8) | u16::from(*byte));
    let addresses: Vec<SocketAddr> = (0..PORTS)
        .map(|step| FIRST_PORT + (hash % PORTS + step) % PORTS)
        .map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())
        .collect();
    TcpListener::bind(addresses.as_slice()).with_context(|| {
        format!("find a free port from {FIRST_PORT} to {} on 127.0.0.1", FIRST_PORT + PORTS - 1)
    })
}

/// Serves the listening socket on standard input until killed.
///
/// # Errors
/// When standard input is no listening socket.
pub fn serve(netns: &str, target: SocketAddr) -> anyhow::Result<()> {
    let socket =
        std::io::stdin().as_fd().try_clone_to_owned().context("take the socket from standard input")?;
    let listener = TcpListener::from(socket);
    for client in listener.incoming() {
        let client = match client {
            Ok(client) => client,
            // Out of descriptors, or the client has gone: neither ends the service.
            Err(error) => {
                tracing::warn!(%error, "client not accepted");
                std::thread::sleep(PROBE_INTERVAL);
                continue;
            }
        };
        let netns = netns.to_owned();
        std::thread::spawn(move || {
            if let Err(error) = forward(&client, &netns, target) {
                tracing::debug!(error = %format_args!("{error:#}"), "connection ended");
            }
        });
    }
    Ok(())
}

/// Carries both directions of one connection.
fn forward(client: &TcpStream, netns: &str, target: SocketAddr) -> anyhow::Result<()> {
    let server = netns::within(netns, || TcpStream::connect_timeout(&target, DIAL_TIMEOUT))?
        .with_context(|| format!("connect to {target} in {netns}"))?;
    let keepalive =
        socket2::TcpKeepalive::new().with_time(IDLE_PROBE).with_interval(PROBE_INTERVAL).with_retries(PROBES);
    let socket = socket2::SockRef::from(&server);
    socket.set_tcp_keepalive(&keepalive).context("set keepalive")?;
    socket.set_tcp_user_timeout(Some(IDLE_PROBE)).context("set user timeout")?;
    for stream in [client, &server] {
        stream.set_nodelay(true).context("set no delay")?;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| carry(client, &server));
        carry(&server, client);
    });
    Ok(())
}

/// Copies until either side ends, then lets both know.
fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let _copied = std::io::copy(&mut from, &mut to);
    let _closed = to.shutdown(std::net::Shutdown::Write);
    let _closed = from.shutdown(std::net::Shutdown::Read);
}
