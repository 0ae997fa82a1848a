//! A connection that asks over HTTP and reads the answer to its end.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: client\r\n\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";
/// More than the echo server's longest answer.
const ANSWER_MAX: usize = 4096;

/// A connection to the echo server.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(super) async fn open(target: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        // It ends with a reset: thousands a minute in TIME_WAIT would use up the ports.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(Self { stream })
    }

    /// Asks once and reads the whole answer.
    pub(super) async fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(REQUEST).await?;
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if answer.len() > ANSWER_MAX {
                return Err(Error::new(ErrorKind::InvalidData, "the answer is too long"));
            }
        }
        if answer.starts_with(b"HTTP/1.1 200 ") {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::InvalidData, "the answer is not HTTP 200"))
        }
    }
}

/// Whether a head and a body are there. The echo server's body is one line.
fn is_whole(answer: &[u8]) -> bool {
    let head = answer.windows(HEAD_END.len()).position(|window| window == HEAD_END);
    head.is_some_and(|head| answer.len() > head + HEAD_END.len()) && answer.ends_with(b"\n")
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_is_whole_with_the_line_after_its_head() {
        assert!(!is_whole(b""));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\n\r\nYou've"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\n\r\nYou've hit a\n"));
    }
}
