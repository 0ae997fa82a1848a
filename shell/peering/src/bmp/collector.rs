//! A station of a test, which does as little as it can.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{BmpConfig, RETRY_MIN};

/// Beyond any time that a connection may take on a busy machine, so that a hanging test ends.
const DEADLINE: Duration = Duration::from_secs(30);

/// Octets before the body of a message.
const COMMON_HEADER: usize = 6;

/// Octets after which that of a message about a peer begins.
pub(crate) const PER_PEER_HEADER: usize = 42;

/// Where a station listens.
pub(crate) struct Collector {
    listener: TcpListener,
}

/// A connection that a station has.
pub(crate) struct Session {
    stream: TcpStream,
}

/// What a station hears: the type of a message, and what follows the common header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) message_type: u8,
    pub(crate) body: Vec<u8>,
}

impl Collector {
    /// With so many octets of room for what it has not read.
    pub(crate) fn listen(room: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(room).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { listener: socket.listen(8).unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub(crate) async fn accept(&self) -> Session {
        let accepted = timeout(DEADLINE, self.listener.accept()).await.expect("somebody connects");
        Session { stream: accepted.unwrap().0 }
    }
}

impl Session {
    /// The next message; `None` once the other side is closed.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        timeout(DEADLINE, self.read()).await.expect("something comes")
    }

    /// The next message, which is of this type.
    pub(crate) async fn expect(&mut self, message_type: u8) -> Vec<u8> {
        let heard = self.next().await.expect("the other side is open");
        assert_eq!(heard.message_type, message_type, "{heard:?}");
        heard.body
    }

    async fn read(&mut self) -> Option<Heard> {
        let mut header = [0; COMMON_HEADER];
        self.stream.read_exact(&mut header).await.ok()?;
        let [version, a, b, c, d, message_type] = header;
        assert_eq!(version, 3);
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap();
        let mut body = vec![0; length - COMMON_HEADER];
        self.stream.read_exact(&mut body).await.unwrap();
        Some(Heard { message_type, body })
    }
}

/// A driver for these stations.
pub(crate) fn config<const N: usize>(stations: [&Collector; N]) -> BmpConfig {
    BmpConfig {
        stations: stations.into_iter().map(Collector::address).collect(),
        system_description: "ferrolb 1".into(),
        system_name: "node-1".into(),
        retry_min: RETRY_MIN,
    }
}
