//! A router of a test, which does as little as it can.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ferrolb_bgp::{BfdPolicy, BfdState, CONNECT_RETRY_TIME, Config, HoldTime, RemoteAsn, Role, Transport};
use ferrolb_vocab::{Asn, BgpId, Community, IpPrefix};
use ferrolb_wire::bgp::{
    Capabilities, Decoding, Disposition, Families, Family, Frame, MESSAGE_MAX, MessageType, Notification,
    Open, Update, keepalive,
};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::DEADLINE;
use crate::bgp::options::{set_ttl, sign};
use crate::bgp::{Password, TransportOptions, WantedPeer};

/// A router, AS 64513, at an address that no other has.
pub(crate) struct Router {
    listener: TcpListener,
}

/// A connection that a router has.
pub(crate) struct Session {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What a router hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Open(Open),
    Update(Told),
    Notification(Notification),
    Keepalive,
    RouteRefresh,
}

/// What an UPDATE says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) withdrawn: Vec<IpPrefix>,
    pub(crate) reachable: Vec<IpPrefix>,
    pub(crate) communities: Vec<Community>,
    pub(crate) end_of_rib: Option<Family>,
}

impl Router {
    pub(crate) async fn listen() -> Self {
        Self::listen_at((own_address(), 0).into()).await
    }

    pub(crate) async fn listen_at(address: SocketAddr) -> Self {
        Self { listener: TcpListener::bind(address).await.unwrap() }
    }

    /// With room for little that it has not read.
    pub(crate) async fn listen_narrowly() -> Self {
        let address = Self::listen().await.address();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.bind(address).unwrap();
        Self { listener: socket.listen(1).unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Signs the connections with a speaker at `remote`, from the first segment on.
    pub(crate) fn sign(&self, remote: IpAddr, password: &Password) {
        sign(&SockRef::from(&self.listener), remote, Some(password)).unwrap();
    }

    /// Sends with this Time to Live.
    pub(crate) fn set_ttl(&self, ttl: NonZeroU8) {
        set_ttl(&SockRef::from(&self.listener), self.address().ip(), ttl).unwrap();
    }

    pub(crate) async fn accept(&self) -> Session {
        let accepted = timeout(DEADLINE, self.listener.accept()).await.expect("somebody connects");
        Session { stream: accepted.unwrap().0, received: Vec::new() }
    }

    /// Accepts a connection and agrees to all that it offers.
    pub(crate) async fn establish(&self) -> Session {
        let mut session = self.accept().await;
        session.establish().await;
        session
    }
}

impl Session {
    /// Connects to a speaker.
    pub(crate) async fn open(
        from: Ipv4Addr,
        to: SocketAddr,
        password: Option<&Password>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        sign(&SockRef::from(&socket), to.ip(), password)?;
        Ok(Self { stream: timeout(DEADLINE, socket.connect(to)).await??, received: Vec::new() })
    }

    /// Waits for an OPEN and agrees to all that it offers.
    pub(crate) async fn establish(&mut self) {
        let message = self.next().await;
        assert!(matches!(message, Some(Message::Open(_))), "{message:?}");
        self.agree().await;
    }

    /// Changes the key, for all that is sent and taken from now on.
    pub(crate) fn sign(&self, password: Option<&Password>) {
        let remote = self.stream.peer_addr().unwrap().ip();
        sign(&SockRef::from(&self.stream), remote, password).unwrap();
    }

    /// Answers an OPEN, and agrees to all that it offers.
    pub(crate) async fn agree(&mut self) {
        self.send(&open().emit()).await;
        self.send(&keepalive()).await;
        assert_eq!(self.next().await, Some(Message::Keepalive));
    }

    /// The next message; `None` once the other side is closed.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        timeout(DEADLINE, self.read()).await.expect("something comes").expect("the connection is not reset")
    }

    /// The next message that is no KEEPALIVE.
    pub(crate) async fn next_word(&mut self) -> Option<Message> {
        loop {
            let message = self.next().await;
            if message != Some(Message::Keepalive) {
                return message;
            }
        }
    }

    pub(crate) async fn next_update(&mut self) -> Told {
        match self.next_word().await {
            Some(Message::Update(told)) => told,
            other => panic!("an UPDATE comes, not {other:?}"),
        }
    }

    /// The NOTIFICATION that comes after whatever else, and after it the end.
    pub(crate) async fn last_word(&mut self) -> Notification {
        loop {
            match self.next().await {
                Some(Message::Notification(notification)) => {
                    assert_eq!(self.next().await, None);
                    return notification;
                }
                Some(_other) => {}
                None => panic!("a NOTIFICATION comes before the end"),
            }
        }
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// Sends without leaving the thread to anyone.
    pub(crate) fn send_at_once(&self, octets: &[u8]) {
        assert_eq!(self.stream.try_write(octets).unwrap(), octets.len());
    }

    /// Sends KEEPALIVEs as fast as they are read, until they are not taken any more.
    pub(crate) async fn flood(mut self) {
        while self.stream.write_all(&keepalive().repeat(100)).await.is_ok() {}
    }

    /// Sends a message as fast as it is read, and reads whatever comes, until the connection has ended.
    pub(crate) async fn insist(self, message: Vec<u8>) {
        let (mut reads, mut writes) = self.stream.into_split();
        let messages = message.repeat(100);
        let sending = async { while writes.write_all(&messages).await.is_ok() {} };
        let reading = async {
            let mut octets = [0; MESSAGE_MAX];
            while matches!(reads.read(&mut octets).await, Ok(length) if length > 0) {}
        };
        tokio::join!(sending, reading);
    }

    /// Sends a message again and again until the sockets have no room. How many octets they took.
    pub(crate) fn fill(&self, message: &[u8]) -> usize {
        let messages = message.repeat(1_000);
        let mut sent = 0;
        while let Ok(length) = self.stream.try_write(&messages[sent % messages.len()..]) {
            sent += length;
        }
        sent
    }

    async fn read(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some((frame, length)) = Frame::next(&self.received).unwrap() {
                let message = Message::parse(frame);
                self.received.drain(..length);
                return Ok(Some(message));
            }
            let mut octets = [0; MESSAGE_MAX];
            match self.stream.read(&mut octets).await? {
                0 => return Ok(None),
                length => self.received.extend_from_slice(&octets[..length]),
            }
        }
    }
}

impl Message {
    fn parse(frame: Frame<'_>) -> Self {
        match frame.message_type {
            MessageType::Open => Self::Open(Open::parse(frame.body).unwrap()),
            MessageType::Update => Self::Update(Told::parse(frame.body)),
            MessageType::Notification => Self::Notification(Notification::parse(frame.body).unwrap()),
            MessageType::Keepalive => Self::Keepalive,
            MessageType::RouteRefresh => Self::RouteRefresh,
        }
    }
}

impl Told {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let decoding = Decoding {
            four_octet_as: true,
            is_internal: false,
            local_asn: Asn(64_513),
            families: Families::IPV4,
        };
        let update = Update::parse(body, &decoding).unwrap();
        assert_eq!(update.disposition(), Disposition::Accept);
        Self {
            withdrawn: update.withdrawn().collect(),
            reachable: update.reachable().collect(),
            communities: update.communities().collect(),
            end_of_rib: update.end_of_rib(),
        }
    }
}

/// What the router says of itself.
fn open() -> Open {
    let capabilities = Capabilities {
        families: Some(Families::IPV4),
        four_octet_asn: Some(Asn(64_513)),
        ..Capabilities::default()
    };
    Open { asn: Asn(64_513), hold_time: 90, bgp_id: bgp_id([10, 0, 0, 2]), capabilities }
}

/// A peer at that address, without a route.
pub(crate) fn wanted(remote: SocketAddr) -> WantedPeer {
    let config = Config {
        local_asn: Asn(64_512),
        local_as: None,
        remote_asn: RemoteAsn::External,
        bgp_id: bgp_id([10, 0, 0, 1]),
        transport: Transport { remote, source: None, interface: None },
        role: Role::Active,
        families: Families::IPV4,
        extended_next_hop: false,
        next_hop_ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)),
        next_hop_ipv6: None,
        hold_time: HoldTime::SUGGESTED,
        keepalive_time: None,
        connect_retry_time: CONNECT_RETRY_TIME,
        graceful_restart: None,
        hostname: None,
        bfd: BfdPolicy::Ignore,
    };
    WantedPeer {
        config,
        options: options(),
        routes: Arc::default(),
        is_complete: true,
        is_shutting_down: false,
        bfd: BfdState::Down,
        has_restarted: false,
    }
}

/// For a peer on the link that wants nothing special.
pub(crate) fn options() -> TransportOptions {
    TransportOptions {
        ttl: NonZeroU8::MIN,
        min_ttl: None,
        password: None,
        listen_port: None,
        dead_link: None,
    }
}

/// An address of 127.0.0.0/8 that no other has.
pub(crate) fn own_address() -> Ipv4Addr {
    static LAST: AtomicU8 = AtomicU8::new(1);
    let [high, low] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
    Ipv4Addr::new(127, high, low, LAST.fetch_add(1, Ordering::Relaxed))
}

fn bgp_id(octets: [u8; 4]) -> BgpId {
    BgpId::from_ipv4(octets.into()).unwrap()
}
