//! From one speaker of a node to the next: what the one has, the other goes on with.
//!
//! The two meet at a Unix socket with an abstract name.
//!
//! ```text
//! successor                 predecessor
//!     | ---- connects ------> |  knows that it will be followed
//!     |      gets ready       |  goes on
//!     | ---- "take 2" ------> |
//!     |                       |  stops, its ports are free
//!     | <--- what it has ---- |
//!     |      goes on          |  does nothing more
//! ```
//!
//! A successor that goes away before it asks is forgotten. One that goes away with what it was given
//! takes the sessions with it: they end as those of a process that dies.
//!
//! # The answer
//! Lines of text, and a dot on the last: `ADDRESS EPOCH` for each address, `bfd WORDS` for each BFD
//! session and `bgp NAMESPACE/NAME WORDS` for each BGP session, whose connection comes with the line's
//! first octet. The words are those of [`crate::bfd`] and of [`ferrolb_bgp::Resumption`]. Who asks
//! `take 1`, as the first version did, is told addresses alone; a predecessor that knows nothing else
//! is asked so.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ferrolb_bgp::ParseResumptionError;
use ferrolb_vocab::{Epoch, ObjectName};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::abstract_socket::{self, Listener};
use crate::bgp::HandedOver;
use descriptors::Beside;

mod descriptors;

/// The socket's name.
pub const NAME: &str = "ferrolb/speaker";
/// BGP sessions that go from one speaker to the next. A node has a few; beyond it they begin anew.
pub const SESSIONS_MAX: usize = 256;
/// Last line of an answer: what ends without it was cut off.
const END: &str = ".\n";
/// Octets of an answer: 65,536 addresses with their epochs, and as many prefixes that each of four
/// peers knows. Sessions that have no room in it begin anew.
const ANSWER_MAX: usize = 16 << 20;
/// Octets that are read at once.
const READ_LENGTH: usize = 65_536;
/// A predecessor that was asked has so long to stop and to answer, and a successor to hear it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a speaker owns.
pub type Estate = BTreeMap<IpAddr, Epoch>;

/// What a speaker leaves to the next.
#[derive(Debug, Default)]
pub struct Legacy {
    /// Its addresses.
    pub estate: Estate,
    /// Its sessions with BGP peers.
    pub bgp: Vec<HandedOver>,
    /// Its BFD sessions, each in a line of words that the driver understands.
    pub bfd: Vec<String>,
}

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

/// What a successor asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Addresses, as the first version did.
    Addresses,
    /// Addresses and sessions.
    All,
}

/// The speaker that runs on this node already.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    name: String,
}

impl Predecessor {
    /// Meets the speaker under `name`; `None` when there is none.
    ///
    /// # Errors
    /// The socket is refused, or is another user's.
    pub fn meet(name: &str) -> Result<Option<Self>, HandoverError> {
        let stream = match abstract_socket::connect(name) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(None),
            Err(error) => return Err(HandoverError::Socket(error)),
        };
        match abstract_socket::other_user(&stream).map_err(HandoverError::Socket)? {
            None => Ok(Some(Self { stream, name: name.to_owned() })),
            Some(user) => Err(HandoverError::Stranger(user)),
        }
    }

    /// Takes over: when this returns, the predecessor has stopped.
    ///
    /// # Errors
    /// It did not answer in time, or not with what it owns.
    pub async fn take(self) -> Result<Legacy, HandoverError> {
        let Self { stream, name } = self;
        let answer = ask(stream, Request::All).await?;
        if !answer.octets.is_empty() {
            return answer.parse();
        }
        // It has hung up on what it does not know.
        let Some(Self { stream, .. }) = Self::meet(&name)? else { return Err(HandoverError::NoAnswer) };
        ask(stream, Request::Addresses).await?.parse()
    }
}

/// What came back.
#[derive(Debug, Default)]
struct Answer {
    octets: Vec<u8>,
    /// In the order of the lines that they came with; `None` in the place of one that could not be taken.
    connections: Vec<Option<OwnedFd>>,
}

async fn ask(mut stream: UnixStream, request: Request) -> Result<Answer, HandoverError> {
    let exchange = async {
        stream.write_all(request.line().as_bytes()).await?;
        Answer::receive(&stream).await
    };
    let answer = timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_elapsed| HandoverError::NoAnswer)?;
    answer.map_err(HandoverError::Socket)
}

impl Answer {
    /// All of it, up to the first that is too much.
    async fn receive(stream: &UnixStream) -> io::Result<Self> {
        let mut answer = Self::default();
        let mut buffer = vec![0; READ_LENGTH];
        loop {
            let (length, beside) = descriptors::receive(stream, &mut buffer).await?;
            answer.octets.extend_from_slice(buffer.get(..length).unwrap_or_default());
            if let Beside::Descriptor(connection) = beside {
                answer.connections.push(connection);
            }
            let is_too_much = answer.octets.len() > ANSWER_MAX || answer.connections.len() > SESSIONS_MAX;
            if length == 0 || is_too_much {
                return Ok(answer);
            }
        }
    }

    fn parse(self) -> Result<Legacy, HandoverError> {
        let text = String::from_utf8(self.octets).map_err(|_other| HandoverError::NoAnswer)?;
        let body = text.strip_suffix(END).ok_or(HandoverError::NoAnswer)?;
        let mut connections = self.connections.into_iter();
        let mut legacy = Legacy::default();
        for line in body.lines() {
            match line.split_once(' ') {
                Some((BGP, words)) => legacy.bgp.extend(session(words, connections.next().flatten())),
                Some((BFD, words)) => legacy.bfd.push(words.to_owned()),
                other => {
                    let entry = other.and_then(owned).ok_or_else(|| HandoverError::Line(line.to_owned()));
                    let (address, epoch) = entry?;
                    legacy.estate.insert(address, epoch);
                }
            }
        }
        Ok(legacy)
    }
}

fn owned((address, epoch): (&str, &str)) -> Option<(IpAddr, Epoch)> {
    Some((address.parse().ok()?, Epoch(epoch.parse().ok()?)))
}

/// A session and its connection. One that means nothing begins anew, and is no reason to lose the others.
fn session(words: &str, connection: Option<OwnedFd>) -> Option<HandedOver> {
    let (peer, words) = words.split_once(' ')?;
    let (namespace, name) = peer.split_once('/')?;
    let tell = |error: &ParseResumptionError| {
        tracing::warn!(object = peer, %error, "a BGP session of the former speaker cannot go on");
    };
    let resumption = words.parse().inspect_err(tell).ok()?;
    let Some(connection) = connection else {
        tracing::warn!(object = peer, "the connection of a BGP session did not come along; it begins anew");
        return None;
    };
    Some(HandedOver { peer: ObjectName::new(namespace, name), resumption, stream: connection.into() })
}

/// Where the next speaker of this node is awaited.
#[derive(Debug)]
pub struct Handover {
    listener: Listener,
    waiting: Option<BufReader<UnixStream>>,
}

/// The next speaker, ready to take over.
#[derive(Debug)]
pub struct Successor {
    stream: UnixStream,
    request: Request,
}

impl Handover {
    /// Waits for successors under `name`.
    ///
    /// # Errors
    /// The name is taken: there is a predecessor that was not asked.
    pub fn listen(name: &str) -> Result<Self, HandoverError> {
        let listener = Listener::bind(name).map_err(HandoverError::Socket)?;
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
                self.waiting = Some(BufReader::new(self.listener.accept().await));
                continue;
            };
            let request = waiting.fill_buf().await.ok().and_then(Request::parse);
            let successor = self.waiting.take().zip(request);
            if let Some((stream, request)) = successor {
                return Successor { stream: stream.into_inner(), request };
            }
        }
    }
}

impl Successor {
    /// Says what this speaker had, after it has stopped. Its own hold on the connections ends with that.
    ///
    /// # Errors
    /// The successor is gone, or reads nothing.
    pub async fn give(self, legacy: Legacy) -> io::Result<()> {
        let given = timeout(ANSWER_TIMEOUT, self.answer(legacy)).await;
        given.unwrap_or_else(|_elapsed| Err(ErrorKind::TimedOut.into()))
    }

    async fn answer(mut self, legacy: Legacy) -> io::Result<()> {
        let Legacy { estate, mut bgp, mut bfd } = legacy;
        if self.request == Request::Addresses {
            // Routers take one session of a node: these end before the next speaker opens its own.
            (bgp, bfd) = Default::default();
        }
        bgp.truncate(SESSIONS_MAX);
        let addresses = estate.iter().map(|(address, epoch)| format!("{address} {epoch}\n"));
        let paths = bfd.iter().map(|words| format!("{BFD} {words}\n"));
        let text: String = addresses.chain(paths).collect();
        self.stream.write_all(text.as_bytes()).await?;
        let mut room = ANSWER_MAX.saturating_sub(text.len() + END.len());
        for HandedOver { peer, resumption, stream } in bgp {
            let line = format!("{BGP} {peer} {resumption}\n");
            let Some(left) = room.checked_sub(line.len()) else {
                tracing::warn!(object = %peer, "a BGP session is too large to hand over; it begins anew");
                continue;
            };
            room = left;
            descriptors::send(&mut self.stream, line.as_bytes(), stream.as_fd()).await?;
        }
        self.stream.write_all(END.as_bytes()).await?;
        self.stream.shutdown().await
    }
}

impl Request {
    const fn line(self) -> &'static str {
        match self {
            Self::Addresses => "take 1\n",
            Self::All => "take 2\n",
        }
    }

    fn parse(line: &[u8]) -> Option<Self> {
        [Self::Addresses, Self::All].into_iter().find(|request| request.line().as_bytes() == line)
    }
}

/// First words of lines that are no address.
const BGP: &str = "bgp";
const BFD: &str = "bfd";

#[cfg(test)]
mod tests;
