//! The stand-in for the walkthroughs' web images: answers HTTP and UDP with the Pod's name.
//!
//! What it answers follows the image it stands for (`LAB_IMAGE`), where it listens the container's ports
//! (`LAB_PORTS`, such as `8080,53/UDP`). On `/ip` every image answers the client's address.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, Uri};
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longest UDP request that is read; the answer does not depend on it.
const DATAGRAM_BYTES_MAX: usize = 2048;

/// Image whose port is 8080 when the manifest declares none.
const NODE_WEB: &str = "whatwant/node-web";

/// What the echo server stands for and where it listens.
#[derive(Clone, Debug, clap::Args)]
pub struct EchoArgs {
    /// Image it stands for, which decides the answer.
    #[arg(long, env = "LAB_IMAGE", default_value = "whatwant/node-web:1.0")]
    pub image: String,
    /// Ports to listen on, `PORT` or `PORT/UDP`, separated by commas; by default the image's own.
    #[arg(long, env = "LAB_PORTS", value_delimiter = ',')]
    pub ports: Vec<String>,
}

/// Serves until SIGTERM, then finishes the requests in flight.
///
/// # Errors
/// When a port is not a number or cannot be listened on.
pub async fn run(args: EchoArgs) -> anyhow::Result<()> {
    let hostname = nix::unistd::gethostname().context("read the host name")?.to_string_lossy().into_owned();
    let server = Arc::new(Server { answer: Answer::of(&args.image), hostname });
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for port in ports(&args)? {
        match port {
            Port::Tcp(port) => {
                let listener = TcpListener::bind(any_address(port))
                    .await
                    .with_context(|| format!("listen on TCP port {port}"))?;
                let router = Router::new().fallback(handle).with_state(Arc::clone(&server));
                let service = router.into_make_service_with_connect_info::<SocketAddr>();
                let mut stopped = stopped.clone();
                tasks.spawn(async move {
                    let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
                    axum::serve(listener, service).with_graceful_shutdown(stop).await
                });
            }
            Port::Udp(port) => {
                let socket = UdpSocket::bind(any_address(port))
                    .await
                    .with_context(|| format!("listen on UDP port {port}"))?;
                tasks.spawn(answer_datagrams(socket, Arc::clone(&server), stopped.clone()));
            }
        }
    }
    say("node-web server starting...");
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    while let Some(ended) = tasks.join_next().await {
        ended.context("echo server task")?.context("serve")?;
    }
    Ok(())
}

#[derive(Debug)]
struct Server {
    answer: Answer,
    hostname: String,
}

/// The text an image answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// `whatwant/node-web:1.0`.
    Hit,
    /// `whatwant/node-web:2.0`.
    HitVersion2,
    /// `sysnet4admin/echo-hname`.
    Hostname,
    /// `sysnet4admin/echo-ip`.
    Client,
}

impl Answer {
    fn of(image: &str) -> Self {
        let name = image.rsplit('/').next().unwrap_or(image);
        match name.split_once(':').unwrap_or((name, "")) {
            ("echo-hname", _) => Self::Hostname,
            ("echo-ip", _) => Self::Client,
            (_, tag) if tag == "2" || tag.starts_with("2.") => Self::HitVersion2,
            _ => Self::Hit,
        }
    }

    fn text(self, hostname: &str, method: &Method, client: IpAddr) -> String {
        match self {
            Self::Hit => format!("You've hit {hostname}\n"),
            Self::HitVersion2 => format!("You've hit {hostname}(Ver2.0)\n"),
            Self::Hostname => format!("{hostname}\n"),
            Self::Client => {
                format!("Request Method: {method} | Remote IP: {client} | Hostname: {hostname}\n")
            }
        }
    }
}

async fn handle(
    State(server): State<Arc<Server>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
) -> String {
    let client = client.ip().to_canonical();
    say(&format!("Received request from {client}"));
    if uri.path() == "/ip" {
        return format!("{client}\n");
    }
    server.answer.text(&server.hostname, &method, client)
}

async fn answer_datagrams(
    socket: UdpSocket,
    server: Arc<Server>,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut datagram) => received,
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
        };
        // An ICMP error about an earlier answer is reported here and concerns that client only.
        let Ok((_, client)) = received else { continue };
        say(&format!("Received datagram from {}", client.ip().to_canonical()));
        if let Err(error) = socket.send_to(format!("{}\n", server.hostname).as_bytes(), client).await {
            say(&format!("Answer to {client} not sent: {error}"));
        }
    }
}

/// Prints a line for `kubectl logs`, as the walkthrough's own program does.
fn say(line: &str) {
    // Whether anybody still reads the log does not concern the clients.
    drop(writeln!(std::io::stdout(), "{line}"));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    Tcp(u16),
    Udp(u16),
}

fn ports(args: &EchoArgs) -> anyhow::Result<Vec<Port>> {
    if args.ports.iter().all(String::is_empty) {
        return Ok(vec![Port::Tcp(if args.image.contains(NODE_WEB) { 8080 } else { 80 })]);
    }
    args.ports.iter().map(|port| parse_port(port)).collect()
}

fn parse_port(text: &str) -> anyhow::Result<Port> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
    let number = number.parse().with_context(|| format!("port {text}: expected PORT or PORT/PROTOCOL"))?;
    match protocol {
        "TCP" => Ok(Port::Tcp(number)),
        "UDP" => Ok(Port::Udp(number)),
        _ => bail!("port {text}: the echo server speaks TCP and UDP"),
    }
}

/// Every address of both families; of IPv4 alone where the kernel has no IPv6.
fn any_address(port: u16) -> SocketAddr {
    if std::path::Path::new("/proc/net/if_inet6").exists() {
        (Ipv6Addr::UNSPECIFIED, port).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, port).into()
    }
}

#[cfg(test)]
mod tests;
