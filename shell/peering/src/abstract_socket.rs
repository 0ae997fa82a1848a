//! Unix sockets with an abstract name (unix(7)): they belong to the host's network namespace, as speakers
//! do, and need no file and no mount. Whoever is in that namespace can connect, or listen first, so both
//! ends look who the other is.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::time::Duration;

use ferrolb_telemetry::{RateLimit, clock};
use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

/// Where processes of the same user come in.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    log: RateLimit,
}

impl Listener {
    /// # Errors
    /// The name is taken.
    pub(crate) fn bind(name: &str) -> io::Result<Self> {
        let listener = StdListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, log: RateLimit::new(LOG_INTERVAL) })
    }

    /// The next that comes in; other users' are sent away. Cancel-safe.
    pub(crate) async fn accept(&mut self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if other_user(&stream).is_ok_and(|user| user.is_none()) => return stream,
                Ok(_) => {
                    // They come as often as they like.
                    if let Some(suppressed) = self.log.admit(clock::now()) {
                        tracing::warn!(suppressed, "another user's process wanted to speak to this speaker");
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a process of this node was not accepted");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

/// Connects to who listens under `name`, whoever that is.
///
/// # Errors
/// Nobody does (`ConnectionRefused`), or the system refuses it.
pub(crate) fn connect(name: &str) -> io::Result<UnixStream> {
    let stream = StdStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// The user at the other end, if it is not the one that this process runs as.
///
/// # Errors
/// The system does not say.
pub(crate) fn other_user(stream: &UnixStream) -> io::Result<Option<u32>> {
    let user = stream.peer_cred()?.uid();
    Ok((user != Uid::effective().as_raw()).then_some(user))
}

/// Pause after an `accept` that was refused.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How often it is logged that others came.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
