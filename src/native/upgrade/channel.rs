//! What goes between two processes when one takes over: sockets, a line, and
//! then a word from each side.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as BlockingStream;
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::native::sockets::Sockets;

/// What the new process says when it can go on alone.
pub(super) const READY: &[u8] = b"ready\n";
/// What the old one says when it should.
pub(super) const GO: &[u8] = b"go\n";

/// Sockets in one message; the system allows 253.
const SOCKETS_MAX: usize = 128;

/// The longest line: a hundred thousand servers take half of it.
const LINE_MAX: usize = 128 << 20;

/// How long the old process may take to send, which it does at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// One end.
#[derive(Debug)]
pub(super) struct Channel(BlockingStream);

/// What has come from the old process.
pub(super) struct Received {
    pub(super) channel: Channel,
    pub(super) line: Vec<u8>,
    pub(super) sockets: Vec<TcpListener>,
}

impl Channel {
    /// An end for this process, and one for another's standard input.
    pub(super) fn pair() -> io::Result<(Self, Stdio)> {
        let (ours, theirs) = BlockingStream::pair()?;
        Ok((Self(ours), Stdio::from(OwnedFd::from(theirs))))
    }

    fn stream(&self) -> io::Result<UnixStream> {
        self.0.set_nonblocking(true)?;
        UnixStream::from_std(self.0.try_clone()?)
    }

    /// Sends all sockets, those of the proxy first, and a line.
    pub(super) async fn send(&self, sockets: &Sockets, line: &[u8]) -> io::Result<()> {
        let stream = self.stream()?;
        let sockets = sockets.proxy.iter().chain(&sockets.api);
        let sockets: Vec<BorrowedFd<'_>> = sockets.map(AsFd::as_fd).collect();
        for some in sockets.chunks(SOCKETS_MAX) {
            let send = || {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
                let mut beside = SendAncillaryBuffer::new(&mut space);
                if !beside.push(SendAncillaryMessage::ScmRights(some)) {
                    return Err(io::Error::other("too many sockets in one message"));
                }
                // Something has to go with them; before the line, a space is
                // nothing.
                let text = [IoSlice::new(b" ")];
                Ok(sendmsg(&stream, &text, &mut beside, SendFlags::NOSIGNAL)?)
            };
            stream.async_io(Interest::WRITABLE, send).await?;
        }
        write(&stream, line).await
    }

    pub(super) async fn say(&self, word: &[u8]) -> io::Result<()> {
        write(&self.stream()?, word).await
    }

    /// Waits for the word.
    pub(super) async fn hear(&self, word: &[u8]) -> io::Result<()> {
        let stream = self.stream()?;
        let mut heard = vec![0; word.len()];
        let mut n_heard = 0;
        while n_heard < heard.len() {
            stream.readable().await?;
            match stream.try_read(&mut heard[n_heard..]) {
                Ok(0) => {
                    let message = "the other process has closed the channel";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                Ok(n) => n_heard += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if heard == word {
            return Ok(());
        }
        let heard = String::from_utf8_lossy(&heard);
        Err(io::Error::other(format!("it said {heard:?}")))
    }
}

async fn write(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes standard input for the channel, and what has been sent on it.
pub(super) fn of_standard_input() -> io::Result<Received> {
    let stream = BlockingStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // What this process starts must not find it.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut line, mut sockets) = (Vec::new(), Vec::new());
    let mut bytes = vec![0; 64 << 10];
    while line.last() != Some(&b'\n') {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut text = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg(&stream, &mut text, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                sockets.extend(passed.map(TcpListener::from));
            }
        }
        if message.bytes == 0 || line.len() + message.bytes > LINE_MAX {
            let what = "the old process has sent no whole line";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        line.extend_from_slice(&bytes[..message.bytes]);
    }
    stream.set_read_timeout(None)?;
    Ok(Received {
        channel: Channel(stream),
        line,
        sockets,
    })
}
