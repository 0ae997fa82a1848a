//! A connection that is open.

use std::io::{self, ErrorKind, Read};
use std::net::{self, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PeerError, TransportOptions};

/// How long a connection that is closed may take to be written out, and then the peer to close its
/// side.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Octets on their way to a peer and back.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// What was sent and not yet written: one batch of UPDATEs and some KEEPALIVEs, as the core sends
    /// no more before [`Self::take_writable`].
    unwritten: Vec<u8>,
    /// Whether something was sent since it was last told that all is written.
    has_sent: bool,
    /// Whether the system takes no more. Reading tells why, after what the peer has said before.
    is_broken: bool,
}

impl Connection {
    /// # Errors
    /// It is open no more.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
        Ok(Self { stream, local, remote, unwritten: Vec::new(), has_sent: false, is_broken: false })
    }

    /// One that comes from another process, with what that one has left to be written.
    ///
    /// # Errors
    /// It is open no more.
    pub(super) fn resume(stream: net::TcpStream, unwritten: Vec<u8>) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let mut connection = Self::new(TcpStream::from_std(stream)?)?;
        connection.send(unwritten);
        Ok(connection)
    }

    /// The connection as it goes to another process, and what is left to be written.
    pub(super) fn into_parts(self) -> io::Result<(net::TcpStream, Vec<u8>)> {
        Ok((self.stream.into_std()?, self.unwritten))
    }

    /// Whether there is something to read, or what waits can be written; the task is woken when there is.
    pub(super) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        // Refused or not: what can be done is found by doing it.
        let is_readable = self.stream.poll_read_ready(context).is_ready();
        let is_writable = !self.unwritten.is_empty() && self.stream.poll_write_ready(context).is_ready();
        if is_readable || is_writable { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Reads what has come; nothing means that the peer has closed its side.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream.try_read(buffer) {
            // So says the runtime, which may not have looked at the socket for a while.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                (&*SockRef::from(&self.stream)).read(buffer)
            }
            read => read,
        }
    }

    /// Writes octets, now or when they can be.
    pub(super) fn send(&mut self, mut octets: Vec<u8>) {
        if self.is_broken {
            return;
        }
        self.has_sent = true;
        if self.unwritten.is_empty() {
            self.unwritten = octets;
        } else {
            self.unwritten.append(&mut octets);
        }
        self.write();
    }

    /// Writes of what waits as much as the system takes.
    pub(super) fn write(&mut self) {
        while !self.unwritten.is_empty() {
            match self.stream.try_write(&self.unwritten) {
                Ok(length) => drop(self.unwritten.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_told_by_reading) => {
                    self.is_broken = true;
                    self.has_sent = false;
                    break;
                }
            }
        }
        self.unwritten = Vec::new();
    }

    /// Whether all that was sent is written, and that was not told before.
    pub(super) const fn is_writable(&self) -> bool {
        self.has_sent && self.unwritten.is_empty()
    }

    /// The same, and it is told.
    pub(super) const fn take_writable(&mut self) -> bool {
        let is_writable = self.is_writable();
        self.has_sent &= !is_writable;
        is_writable
    }

    /// Takes on these options, from now on.
    pub(super) fn apply(&self, options: &TransportOptions) -> Result<(), PeerError> {
        options.apply(&SockRef::from(&self.stream), self.remote.ip())
    }

    /// Has TCP end the connection once nothing of what was written has been acknowledged for so long, or
    /// when it finds right (`None`): it sees what the core cannot, whose SendHoldTimer ends with the write.
    pub(super) fn set_send_hold_time(&self, time: Option<Duration>) -> io::Result<()> {
        SockRef::from(&self.stream).set_tcp_user_timeout(time)
    }

    /// Writes out what waits and closes this side, so that the peer reads all of it; what the peer
    /// still says is forgotten until it closes its own. One that does neither is not waited for.
    pub(super) async fn close(mut self) {
        let written = async {
            self.stream.write_all(&self.unwritten).await?;
            self.stream.shutdown().await
        };
        if !matches!(timeout(FAREWELL_TIME, written).await, Ok(Ok(()))) {
            return self.abort();
        }
        let mut forgotten = [0; 4_096];
        let closed =
            async { while matches!(self.stream.read(&mut forgotten).await, Ok(length) if length > 0) {} };
        timeout(FAREWELL_TIME, closed).await.ok();
    }

    /// Drops the connection with all that waits to be written.
    pub(super) fn abort(self) {
        // Otherwise the system goes on writing for us.
        self.stream.set_zero_linger().ok();
    }
}

#[cfg(test)]
impl Connection {
    /// Whether something has come that is not read.
    pub(super) fn has_unread(&self) -> bool {
        let mut octet = [std::mem::MaybeUninit::uninit()];
        SockRef::from(&self.stream).peek(&mut octet).is_ok_and(|length| length > 0)
    }

    /// The system's end of it.
    pub(super) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Instant;
    use tokio::net::TcpListener;

    /// A connection, and the router's end of it.
    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Connection::new(stream.unwrap()).unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_is_closed_after_all_was_read_whatever_came_meanwhile() {
        let (mut connection, mut router) = pair().await;
        router.write_all(&[7; 10_000]).await.unwrap();
        connection.send(b"the last word".to_vec());
        let read = async move {
            let mut heard = Vec::new();
            router.read_to_end(&mut heard).await.unwrap();
            assert!(router.take_error().unwrap().is_none(), "the connection is not reset");
            heard
        };
        let ((), heard) = tokio::join!(connection.close(), read);
        assert_eq!(heard, b"the last word");
    }

    #[tokio::test]
    async fn who_neither_reads_nor_closes_is_not_waited_for() {
        let (mut connection, router) = pair().await;
        connection.send(vec![7; 64 << 20]);
        assert!(!connection.is_writable(), "the sockets have no room for so much");
        let (silent, _keeps_its_side_open) = pair().await;
        let started = Instant::now();
        tokio::join!(connection.close(), silent.close());
        println!("farewells took {:?}", started.elapsed());
        drop(router);
    }

    #[tokio::test]
    async fn what_is_written_is_told_once() {
        let (mut connection, mut router) = pair().await;
        assert!(!connection.take_writable(), "nothing was sent");
        connection.send(b"one".to_vec());
        connection.send(b"two".to_vec());
        assert!(connection.take_writable() && !connection.take_writable());
        let mut heard = [0; 6];
        router.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"onetwo");
    }

    #[tokio::test]
    async fn what_is_not_written_goes_on_with_the_connection_to_another_process() {
        let (mut connection, mut router) = pair().await;
        connection.send(vec![7; 16 << 20]);
        let (stream, unwritten) = connection.into_parts().unwrap();
        assert!(!unwritten.is_empty(), "the sockets have no room for so much");
        let mut resumed = Connection::resume(stream, unwritten).unwrap();
        let read = tokio::spawn(async move {
            let mut heard = Vec::new();
            router.read_to_end(&mut heard).await.unwrap();
            heard
        });
        while !resumed.is_writable() {
            poll_fn(|context| resumed.poll_ready(context)).await;
            resumed.write();
        }
        resumed.close().await;
        assert_eq!(read.await.unwrap(), vec![7; 16 << 20]);
    }

    #[tokio::test]
    async fn what_was_aborted_is_reset() {
        let (connection, mut router) = pair().await;
        connection.abort();
        let error = router.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_write_that_is_refused_leaves_what_the_router_has_said_to_be_read() {
        let (mut connection, mut router) = pair().await;
        router.write_all(b"bye").await.unwrap();
        router.set_zero_linger().unwrap();
        drop(router);
        let mut octets = [0; 8];
        while !connection.is_broken {
            connection.send(b"?".to_vec());
        }
        assert!(!connection.take_writable());
        assert_eq!(connection.read(&mut octets).unwrap(), 3);
        assert!(matches!(connection.read(&mut octets), Ok(0) | Err(_)));
    }
}
