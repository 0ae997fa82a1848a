//! Octets on a Unix socket with a descriptor beside them: SCM_RIGHTS, unix(7).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Sends octets, one at least, and with the first of them a copy of the descriptor.
///
/// # Errors
/// The other end is gone.
pub(super) async fn send(
    stream: &mut UnixStream,
    octets: &[u8],
    descriptor: BorrowedFd<'_>,
) -> io::Result<()> {
    let socket: &UnixStream = stream;
    let sent = socket.async_io(Interest::WRITABLE, || send_some(socket, octets, descriptor)).await?;
    stream.write_all(octets.get(sent..).unwrap_or_default()).await
}

fn send_some(stream: &UnixStream, octets: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    Ok(sendmsg(stream, &[IoSlice::new(octets)], &mut control, SendFlags::NOSIGNAL)?)
}

/// What came with octets.
#[derive(Debug)]
pub(super) enum Beside {
    Nothing,
    /// A descriptor; `None`: one for which this process has no room.
    Descriptor(Option<OwnedFd>),
}

/// Waits for octets, of which nothing means that no more come, and for what came with them. The kernel ends a
/// read after octets with a descriptor, so that there is one of these at most.
///
/// # Errors
/// The connection was lost.
pub(super) async fn receive(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Beside)> {
    stream.async_io(Interest::READABLE, || receive_some(stream, buffer)).await
}

fn receive_some(stream: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Beside)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(buffer)];
    let received = recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| {
        if let RecvAncillaryMessage::ScmRights(rights) = message { Some(rights) } else { None }
    });
    let descriptor = rights.flatten().next();
    let beside = match descriptor {
        _ if received.flags.contains(ReturnFlags::CTRUNC) => Beside::Descriptor(None),
        None => Beside::Nothing,
        descriptor => Beside::Descriptor(descriptor),
    };
    Ok((received.bytes, beside))
}
