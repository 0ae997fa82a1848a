//! Looking into a speaker that runs, from its own node: one question, one answer, on a Unix socket.
//!
//! Like the one of [`crate::handover`] it has an abstract name, and who is at the other end must be the same
//! user. A question changes nothing: all that it can say is what it is about.
//!
//! ```text
//! asker                                            speaker
//!     | ---- "1 advertised metallb-system/tor\n" ----> |
//!     | <--- "ok 512\n", then as many octets --------- |
//!     | <--- or "no 25\n", and why not --------------- |
//! ```
//!
//! A speaker attends to [`ASKERS_MAX`] at once, to each for [`ANSWER_TIMEOUT`] at most, and to one question
//! of each. Further ones wait in the kernel's backlog.

use std::time::Duration;
use std::{fmt, io};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::abstract_socket::{self, Listener};

/// The socket's name.
pub const NAME: &str = "ferrolb/inspect";

/// Askers that are attended to at once.
pub const ASKERS_MAX: usize = 4;

/// From when an asker is attended to until it has its answer, on either side.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Octets of an answer: what 100,000 routes take as JSON.
pub const ANSWER_MAX: usize = 16_777_216;

/// Octets of a question: two names of Kubernetes objects, and what goes with them.
const QUESTION_MAX: u64 = 1_024;

/// Octets of the line before an answer.
const STATUS_MAX: u64 = 32;

/// The only version of all this.
const VERSION: &str = "1";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// About what.
    pub topic: Topic,
    /// About this peer alone, by its name or by namespace and name.
    pub peer: Option<String>,
}

/// What can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// How BGP sessions are.
    Sessions,
    /// What BGP peers have been told.
    Advertised,
    /// What has happened last.
    Recording,
}

/// The socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("the socket {NAME:?}, by which this speaker can be looked into, cannot be listened on")]
pub struct ListenError(#[source] io::Error);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error(
        "no speaker runs here: nobody listens on the socket {NAME:?}; ask in the Pod of a node's speaker \
         (kubectl exec), or on the node itself, in the network namespace of the host"
    )]
    NoSpeaker,
    /// Somebody else's process listens.
    #[error("the socket {NAME:?} belongs to user {0}, and this process to another; ask as that user")]
    Stranger(u32),
    /// The speaker does not answer.
    #[error(
        "the speaker did not answer in {} s; ask again, and see whether it is well (/healthz)",
        ANSWER_TIMEOUT.as_secs()
    )]
    TimedOut,
    /// The connection broke.
    #[error("the connection to the speaker broke; it may be ending: ask again")]
    Broken(#[source] io::Error),
    /// What came is no answer.
    #[error("the speaker answered in other words than these; use the `ferrolb` of its own version")]
    NotUnderstood,
    /// The speaker says why not.
    #[error("{0}")]
    Refused(String),
}

/// Where questions come in.
#[derive(Debug)]
pub struct Inspection {
    listener: Listener,
}

impl Inspection {
    /// Waits for questions under `name`.
    ///
    /// # Errors
    /// The name is taken: another speaker of the node has it, or another process.
    pub fn listen(name: &str) -> Result<Self, ListenError> {
        Ok(Self { listener: Listener::bind(name).map_err(ListenError)? })
    }

    /// Answers by `answer`, which gives a text or says why there is none. Runs until it is dropped,
    /// and then lets go of all who ask.
    pub async fn serve<F>(mut self, answer: impl Fn(Question) -> F + Clone + Send + 'static)
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        let mut askers = JoinSet::new();
        loop {
            tokio::select! {
                Some(_ended) = askers.join_next() => {}
                stream = self.listener.accept(), if askers.len() < ASKERS_MAX => {
                    let answer = answer.clone();
                    askers.spawn(async move {
                        let attended = timeout(ANSWER_TIMEOUT, attend(stream, answer)).await;
                        if !matches!(attended, Ok(Ok(()))) {
                            tracing::debug!("somebody asked the speaker and did not take the answer");
                        }
                    });
                }
            }
        }
    }
}

/// Asks the speaker that listens under `name`.
///
/// # Errors
/// There is none, or it gives no answer.
pub async fn ask(name: &str, question: &Question) -> Result<String, AskError> {
    let mut stream = connect(name)?;
    let exchange = async {
        stream.write_all(format!("{question}\n").as_bytes()).await.map_err(AskError::Broken)?;
        read_answer(&mut BufReader::new(stream)).await
    };
    timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_elapsed| AskError::TimedOut)?
}

fn connect(name: &str) -> Result<UnixStream, AskError> {
    let stream = abstract_socket::connect(name).map_err(|error| {
        let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
        if is_refused { AskError::NoSpeaker } else { AskError::Broken(error) }
    })?;
    match abstract_socket::other_user(&stream).map_err(AskError::Broken)? {
        None => Ok(stream),
        Some(user) => Err(AskError::Stranger(user)),
    }
}

async fn read_answer(stream: &mut BufReader<UnixStream>) -> Result<String, AskError> {
    let mut status = String::new();
    (&mut *stream).take(STATUS_MAX).read_line(&mut status).await.map_err(AskError::Broken)?;
    let (is_answer, length) = parse_status(&status).ok_or(AskError::NotUnderstood)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(AskError::Broken)?;
    let body = String::from_utf8(body).map_err(|_not_text| AskError::NotUnderstood)?;
    if is_answer { Ok(body) } else { Err(AskError::Refused(body)) }
}

/// Whether an answer follows, or else why there is none; and in how many octets.
fn parse_status(line: &str) -> Option<(bool, usize)> {
    let (word, length) = line.strip_suffix('\n')?.split_once(' ')?;
    let is_answer = match word {
        ANSWER => true,
        REFUSAL => false,
        _other => return None,
    };
    Some((is_answer, length.parse().ok().filter(|length| *length <= ANSWER_MAX)?))
}

/// Takes one question and answers it.
async fn attend<F>(stream: UnixStream, answer: impl Fn(Question) -> F) -> io::Result<()>
where
    F: Future<Output = Result<String, String>>,
{
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(QUESTION_MAX).read_line(&mut line).await?;
    let answered = match Question::parse(&line) {
        Ok(question) => answer(question).await,
        Err(why) => Err(why),
    };
    let (word, body) = match answered {
        Ok(body) if body.len() <= ANSWER_MAX => (ANSWER, body),
        Ok(body) => (REFUSAL, too_long(body.len())),
        Err(why) => (REFUSAL, why),
    };
    stream.write_all(format!("{word} {}\n", body.len()).as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn too_long(length: usize) -> String {
    format!("the answer has {length} octets, and {ANSWER_MAX} at most are given; ask about one peer alone")
}

impl Question {
    /// Reads the line of a question, with what ends it.
    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.strip_suffix('\n').unwrap_or_default().split(' ');
        if words.next() != Some(VERSION) {
            return Err(format!(
                "this speaker takes questions of version {VERSION}; use the `ferrolb` of its own version"
            ));
        }
        let topic = words.next().unwrap_or_default();
        let topic = Topic::ALL.into_iter().find(|known| known.name() == topic).ok_or_else(|| {
            format!("this speaker says nothing about {topic:?}; use the `ferrolb` of its own version")
        })?;
        match (words.next(), words.next()) {
            (peer, None) => Ok(Self { topic, peer: peer.map(ToOwned::to_owned) }),
            (_peer, Some(more)) => Err(format!("expected the name of one peer alone, found {more:?} too")),
        }
    }
}

impl fmt::Display for Question {
    /// The line, without what ends it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION} {}", self.topic.name())?;
        // The name of an object has no blanks. What has some stays on this line, and is refused.
        for word in self.peer.iter().flat_map(|peer| peer.split_whitespace()) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

impl Topic {
    const ALL: [Self; 3] = [Self::Sessions, Self::Advertised, Self::Recording];

    const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Advertised => "advertised",
            Self::Recording => "recording",
        }
    }
}

/// The word before an answer.
const ANSWER: &str = "ok";
/// The word before why there is none.
const REFUSAL: &str = "no";

#[cfg(test)]
mod tests;
