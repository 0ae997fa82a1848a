//! Wakes a thread that sleeps on its sockets.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The end that wakes. The other end is readable for good once this one is dropped.
#[derive(Debug)]
pub(crate) struct Waker(UnixStream);

/// The end that is polled together with the thread's sockets.
#[derive(Debug)]
pub(crate) struct Wakened(UnixStream);

/// The two ends of a wake-up.
///
/// # Errors
/// The system has no descriptors left.
pub(crate) fn pair() -> io::Result<(Waker, Wakened)> {
    let (waker, wakened) = UnixStream::pair()?;
    waker.set_nonblocking(true)?;
    wakened.set_nonblocking(true)?;
    Ok((Waker(waker), Wakened(wakened)))
}

impl Waker {
    /// Wakes the thread, now or when it next sleeps.
    pub(crate) fn wake(&self) {
        // A full pipe means that a wake-up is pending already; a closed one, that nobody listens.
        (&self.0).write_all(&[0]).ok();
    }
}

impl Wakened {
    /// Forgets the wake-ups so far: only that there was one matters, not how many.
    pub(crate) fn drain(&self) {
        // End of file is read again by the closed waker.
        let mut wake_ups = [0; 64];
        while matches!((&self.0).read(&mut wake_ups), Ok(read) if read == wake_ups.len()) {}
    }
}

impl AsFd for Wakened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
