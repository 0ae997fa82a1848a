//! From one speaker of a node to the next: what the one owns, the other takes over.
//!
//! The two meet at a Unix socket with an abstract name (unix(7)), which belongs to the host's
//! network namespace as they do: no file, no mount.
//!
//! ```text
//! successor                 predecessor
//!     | ---- connects ------> |  knows that it will be followed
//!     |      gets ready       |  goes on
//!     | ---- "take 1" ------> |
//!     |                       |  stops, its ports are free
//!     | <--- what it owns --- |
//!     |      goes on          |  does nothing more
//! ```
//!
//! A successor that goes away before it asks is forgotten.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::time::Duration;

use ferrolb_vocab::Epoch;
use nix::unistd::Uid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// The socket's name.
pub const NAME: &str = "ferrolb/speaker";
/// The only version, asked for by the successor.
const REQUEST: &str = "take 1\n";
/// Last line of an answer: what ends without it was cut off.
const END: &str = ".";
/// Octets of an answer: 65,536 addresses with their epochs.
const ANSWER_MAX: u64 = 65_536 * 64;
/// A predecessor that was asked has so long to stop and to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a speaker owns.
pub type Estate = BTreeMap<IpAddr, Epoch>;

/// Why a predecessor could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The socket cannot be used.
    #[error("the hand-over socket {NAME:?} cannot be used")]
    Socket(#[source] io::Error),
    /// Somebody else's process answers.
    #[error("the hand-over socket {NAME:?} belongs to user {0}, not to this one; end that process")]
    Stranger(u32),
    /// The answer broke off or took too long.
    #[error("the speaker before this one did not say what it owns")]
    NoAnswer,
    /// A line of the answer means nothing.
    #[error("the speaker before this one wrote {0:?}, expected an address and an epoch")]
    Line(String),
}

/// The speaker that runs on this node already.
#[derive(Debug)]
pub struct Predecessor {
    stream: BufReader<UnixStream>,
}

impl Predecessor {
    /// Meets the speaker under `name`; `None` when there is none.
    ///
    /// # Errors
    /// The socket is refused, or is another user's.
    pub fn meet(name: &str) -> Result<Option<Self>, HandoverError> {
        let address = abstract_address(name)?;
        let stream = match StdStream::connect_addr(&address) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
            Err(error) => return Err(HandoverError::Socket(error)),
        };
        stream.set_nonblocking(true).map_err(HandoverError::Socket)?;
        let stream = UnixStream::from_std(stream).map_err(HandoverError::Socket)?;
        expect_own(&stream)?;
        Ok(Some(Self { stream: BufReader::new(stream) }))
    }

    /// Takes over: when this returns, the predecessor has stopped.
    ///
    /// # Errors
    /// It did not answer in time, or not with what it owns.
    pub async fn take(mut self) -> Result<Estate, HandoverError> {
        let exchange = async {
            self.stream.write_all(REQUEST.as_bytes()).await?;
            let mut answer = String::new();
            (&mut self.stream).take(ANSWER_MAX).read_to_string(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        let answer = timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_elapsed| HandoverError::NoAnswer)?;
        parse(&answer.map_err(HandoverError::Socket)?)
    }
}

/// Where the next speaker of this node is awaited.
#[derive(Debug)]
pub struct Handover {
    listener: UnixListener,
    waiting: Option<BufReader<UnixStream>>,
}

/// The next speaker, ready to take over.
#[derive(Debug)]
pub struct Successor {
    stream: BufReader<UnixStream>,
}

impl Handover {
    /// Waits for successors under `name`.
    ///
    /// # Errors
    /// The name is taken: there is a predecessor that was not asked.
    pub fn listen(name: &str) -> Result<Self, HandoverError> {
        let listener = StdListener::bind_addr(&abstract_address(name)?).map_err(HandoverError::Socket)?;
        listener.set_nonblocking(true).map_err(HandoverError::Socket)?;
        let listener = UnixListener::from_std(listener).map_err(HandoverError::Socket)?;
        Ok(Self { listener, waiting: None })
    }

    /// Whether a successor has come and is getting ready.
    #[must_use]
    pub const fn is_expected(&self) -> bool {
        self.waiting.is_some()
    }

    /// Waits until a successor is ready to take over. One that goes away is forgotten, and a later
    /// one takes its place. Cancel-safe.
    pub async fn asked(&mut self) -> Successor {
        loop {
            let Some(waiting) = &mut self.waiting else {
                match self.listener.accept().await {
                    Ok((stream, _)) if expect_own(&stream).is_ok() => {
                        self.waiting = Some(BufReader::new(stream))
                    }
                    Ok(_) => tracing::warn!("another user's process wanted to follow this speaker"),
                    Err(error) => {
                        tracing::debug!(%error, "a successor was not accepted");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                }
                continue;
            };
            match waiting.fill_buf().await {
                Ok(received) if received == REQUEST.as_bytes() => {
                    if let Some(stream) = self.waiting.take() {
                        return Successor { stream };
                    }
                }
                Ok(_) | Err(_) => self.waiting = None,
            }
        }
    }
}

impl Successor {
    /// Says what this speaker owned, after it has stopped.
    ///
    /// # Errors
    /// The successor is gone.
    pub async fn give(mut self, estate: &Estate) -> io::Result<()> {
        let mut answer = String::new();
        for (address, epoch) in estate {
            answer.push_str(&format!("{address} {epoch}\n"));
        }
        answer.push_str(END);
        answer.push('\n');
        self.stream.write_all(answer.as_bytes()).await?;
        self.stream.shutdown().await
    }
}

fn parse(answer: &str) -> Result<Estate, HandoverError> {
    let body = answer.strip_suffix(&format!("{END}\n")).ok_or(HandoverError::NoAnswer)?;
    let entry = |line: &str| {
        let (address, epoch) = line.split_once(' ')?;
        Some((address.parse().ok()?, Epoch(epoch.parse().ok()?)))
    };
    body.lines().map(|line| entry(line).ok_or_else(|| HandoverError::Line(line.into()))).collect()
}

fn abstract_address(name: &str) -> Result<SocketAddr, HandoverError> {
    SocketAddr::from_abstract_name(name).map_err(HandoverError::Socket)
}

/// The other end must run as the same user: on the host's network there are others.
fn expect_own(stream: &UnixStream) -> Result<(), HandoverError> {
    let user = stream.peer_cred().map_err(HandoverError::Socket)?.uid();
    if user == Uid::effective().as_raw() { Ok(()) } else { Err(HandoverError::Stranger(user)) }
}

/// Pause after an `accept` that was refused.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(test: &str) -> String {
        format!("ferrolb/test/{}/{test}", std::process::id())
    }

    fn estate() -> Estate {
        [("192.168.100.240".parse().unwrap(), Epoch(3)), ("fd00::1".parse().unwrap(), Epoch(u64::MAX))].into()
    }

    #[tokio::test]
    async fn nobody_is_followed_where_nobody_is() {
        assert!(Predecessor::meet(&name("nobody")).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_successor_gets_what_the_predecessor_owns() {
        let name = name("follow");
        let mut handover = Handover::listen(&name).unwrap();
        let predecessor = Predecessor::meet(&name).unwrap().expect("it is there");
        let taken = tokio::spawn(predecessor.take());
        let successor = handover.asked().await;
        drop(handover);
        successor.give(&estate()).await.unwrap();
        assert_eq!(taken.await.unwrap().unwrap(), estate());
        assert!(Handover::listen(&name).is_ok(), "the name is free");
    }

    #[tokio::test]
    async fn a_successor_that_goes_away_is_forgotten_and_the_next_is_served() {
        let name = name("forgotten");
        let mut handover = Handover::listen(&name).unwrap();
        drop(Predecessor::meet(&name).unwrap());
        let next = Predecessor::meet(&name).unwrap().expect("it is there");
        let taken = tokio::spawn(next.take());
        handover.asked().await.give(&Estate::new()).await.unwrap();
        assert_eq!(taken.await.unwrap().unwrap(), Estate::new());
    }

    #[tokio::test]
    async fn a_predecessor_knows_that_a_successor_gets_ready() {
        let name = name("expected");
        let mut handover = Handover::listen(&name).unwrap();
        assert!(!handover.is_expected());
        let _successor = Predecessor::meet(&name).unwrap();
        assert!(timeout(Duration::from_millis(50), handover.asked()).await.is_err());
        assert!(handover.is_expected());
    }

    #[tokio::test]
    async fn a_predecessor_that_ends_while_asked_leaves_nothing_to_take() {
        let name = name("ends");
        let mut handover = Handover::listen(&name).unwrap();
        let predecessor = Predecessor::meet(&name).unwrap().expect("it is there");
        let taken = tokio::spawn(predecessor.take());
        drop(handover.asked().await);
        assert!(matches!(taken.await.unwrap(), Err(HandoverError::NoAnswer | HandoverError::Socket(_))));
    }

    #[test]
    fn an_answer_that_was_cut_off_or_means_nothing_is_refused() {
        assert!(matches!(parse("10.0.0.1 3\n"), Err(HandoverError::NoAnswer)));
        assert!(matches!(parse(""), Err(HandoverError::NoAnswer)));
        assert!(matches!(parse("10.0.0.1 x\n.\n"), Err(HandoverError::Line(line)) if line == "10.0.0.1 x"));
        assert_eq!(parse(".\n").unwrap(), Estate::new());
    }
}
