//! The line between two relays: messages one after the other, and descriptors beside them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::message::{Passed, Reply};
use crate::net::passing;

/// The longest message: the metrics of a thousand workers are some megabytes.
const LONGEST: usize = 16 << 20;
/// Each message begins with its length.
const HEADER: usize = size_of::<u32>();
/// How much is read at a time.
const PART: usize = 64 << 10;
/// How long to wait when more descriptors are on their way than may be.
const CROWDED: Duration = Duration::from_millis(1);

/// Why nothing goes over a line any more.
#[derive(Debug, Error)]
pub enum LineError {
    /// The other one closed it, or ended.
    #[error("the other relay went away")]
    Gone,
    /// What the system says.
    #[error("the line to the other relay broke: {0}")]
    Broken(#[source] io::Error),
    /// Another version's, or something else.
    #[error("the other relay said something that this one does not understand: {0}")]
    Unknown(#[from] serde_json::Error),
    /// More than anybody has to say.
    #[error("the other relay's message is too long")]
    TooLong,
    /// What came is not what was to come.
    #[error("the other relay did not say what was its turn to say")]
    OutOfTurn,
}

impl LineError {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            // Whose line nobody took, or who left something unread.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Gone,
            _ => Self::Broken(error),
        }
    }
}

/// One end of a line.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
    /// What has come of the next message.
    frame: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Line {
    /// The end that `stream` is. Has to be called in a Tokio runtime.
    pub fn new(stream: StdUnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream).map(Self::over)
    }

    /// The same, of a stream that Tokio has already.
    pub fn over(stream: UnixStream) -> Self {
        Self { stream, frame: Vec::new(), descriptors: Vec::new() }
    }

    /// The next message, and the descriptors that came with it. Who stops waiting loses nothing.
    pub async fn receive<M: DeserializeOwned>(&mut self) -> Result<(M, Vec<OwnedFd>), LineError> {
        let mut part = vec![0; PART];
        loop {
            let missing = self.missing()?;
            if missing == 0 {
                let frame = std::mem::take(&mut self.frame);
                let descriptors = std::mem::take(&mut self.descriptors);
                return Ok((serde_json::from_slice(frame.get(HEADER..).unwrap_or_default())?, descriptors));
            }
            // Never more than this message, so that no descriptor of the next one comes.
            let room = part.get_mut(..missing.min(PART)).unwrap_or_default();
            let (stream, descriptors) = (&self.stream, &mut self.descriptors);
            let receive = || passing::receive(stream, room, descriptors);
            let received = stream.async_io(Interest::READABLE, receive).await.map_err(LineError::of)?;
            if received == 0 {
                return Err(LineError::Gone);
            }
            if self.descriptors.len() > passing::MOST {
                return Err(LineError::OutOfTurn);
            }
            self.frame.extend_from_slice(part.get(..received).unwrap_or_default());
        }
    }

    /// How much of a message, or of its header, has yet to come.
    fn missing(&self) -> Result<usize, LineError> {
        let Some(header) = self.frame.first_chunk::<HEADER>() else { return Ok(HEADER - self.frame.len()) };
        let length = u32::from_be_bytes(*header) as usize;
        if length > LONGEST {
            return Err(LineError::TooLong);
        }
        Ok((HEADER + length).saturating_sub(self.frame.len()))
    }

    /// Sends a message, with `descriptors` beside it. Who stops waiting has said half of it.
    pub async fn send(
        &mut self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), LineError> {
        let mut frame = vec![0; HEADER];
        serde_json::to_writer(&mut frame, message)?;
        let length = u32::try_from(frame.len() - HEADER).map_err(|_| LineError::TooLong)?;
        frame.splice(..HEADER, length.to_be_bytes());
        let mut sent = 0;
        while let Some(rest) = frame.get(sent..).filter(|rest| !rest.is_empty()) {
            let beside = if sent == 0 { descriptors } else { &[] };
            let send = || passing::send(&self.stream, rest, beside);
            match self.stream.async_io(Interest::WRITABLE, send).await {
                Ok(more) => sent += more,
                Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => sleep(CROWDED).await,
                Err(error) => return Err(LineError::of(error)),
            }
        }
        Ok(())
    }

    /// Passes descriptors, as many at a time as can be.
    pub async fn pass(&mut self, passed: &[(Passed, OwnedFd)]) -> Result<(), LineError> {
        for some in passed.chunks(passing::MOST) {
            let message = Reply::Passing { passed: some.iter().map(|(what, _)| what.clone()).collect() };
            let descriptors: Vec<_> = some.iter().map(|(_, descriptor)| descriptor.as_fd()).collect();
            self.send(&message, &descriptors).await?;
        }
        Ok(())
    }

    /// Takes so many descriptors that were passed.
    pub async fn take(&mut self, count: usize) -> Result<Vec<(Passed, OwnedFd)>, LineError> {
        let mut taken = Vec::new();
        while taken.len() < count {
            match self.receive().await? {
                (Reply::Passing { passed }, descriptors)
                    if !passed.is_empty() && passed.len() == descriptors.len() =>
                {
                    taken.extend(passed.into_iter().zip(descriptors));
                }
                _ => return Err(LineError::OutOfTurn),
            }
        }
        Ok(taken)
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::UdpSocket;

    use super::super::message::Request;
    use super::*;
    use crate::serve::fleet::Kept;

    fn ends() -> (Line, Line) {
        let (one, other) = StdUnixStream::pair().unwrap();
        (Line::new(one).unwrap(), Line::new(other).unwrap())
    }

    #[tokio::test]
    async fn messages_arrive_one_by_one_with_their_descriptors() {
        let (mut new, mut old) = ends();
        let (reader, _writer) = io::pipe().unwrap();
        new.send(&Request::Resume, &[]).await.unwrap();
        new.send(&Request::Drain, &[reader.as_fd()]).await.unwrap();
        new.send(&Request::Stop, &[]).await.unwrap();
        let mut said = Vec::new();
        for _ in 0..3 {
            let (message, descriptors) = old.receive::<Request>().await.unwrap();
            said.push((message, descriptors.len()));
        }
        assert_eq!(said, [(Request::Resume, 0), (Request::Drain, 1), (Request::Stop, 0)]);
        drop(new);
        assert!(matches!(old.receive::<Request>().await, Err(LineError::Gone)));
    }

    #[tokio::test]
    async fn a_message_longer_than_the_sockets_buffer_arrives_whole() {
        let (mut new, mut old) = ends();
        let configuration: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let settings = Request::Settings { configuration, fleet: Kept::default() };
        let sent = settings.clone();
        let sending = tokio::spawn(async move { new.send(&sent, &[]).await });
        assert_eq!(old.receive::<Request>().await.unwrap().0, settings);
        sending.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_stops_waiting_loses_nothing() {
        let (mut peer, end) = StdUnixStream::pair().unwrap();
        let mut line = Line::new(end).unwrap();
        let text = serde_json::to_vec(&Request::Resume).unwrap();
        let frame = [&(text.len() as u32).to_be_bytes()[..], &text].concat();
        for byte in frame.get(..frame.len() - 1).unwrap() {
            peer.write_all(&[*byte]).unwrap();
            tokio::select! {
                biased;
                _ = line.receive::<Request>() => panic!("a part of a message"),
                () = tokio::task::yield_now() => {}
            }
        }
        peer.write_all(frame.get(frame.len() - 1..).unwrap()).unwrap();
        assert_eq!(line.receive::<Request>().await.unwrap().0, Request::Resume);
    }

    #[tokio::test]
    async fn more_descriptors_than_go_at_a_time_arrive_in_their_order() {
        let (mut old, mut new) = ends();
        let sockets = (0..2 * passing::MOST + 1).map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            (Passed::Relay { local: socket.local_addr().unwrap() }, OwnedFd::from(socket))
        });
        let sockets: Vec<_> = sockets.collect();
        let count = sockets.len();
        let passing = tokio::spawn(async move { old.pass(&sockets).await });
        let taken = new.take(count).await.unwrap();
        passing.await.unwrap().unwrap();
        for (what, descriptor) in taken {
            let local = UdpSocket::from(descriptor).local_addr().unwrap();
            assert_eq!(what, Passed::Relay { local });
        }
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error() {
        for (bytes, wanted) in [
            (&b"\xff\xff\xff\xffxxxx"[..], "the other relay's message is too long"),
            (b"\0\0\0\x04nope", "the other relay said something that this one does not understand"),
            (b"\0\0\0\0", "the other relay said something that this one does not understand"),
            (b"\0\0\0\x10{\"say\":\"dance\"}.", "the other relay said something"),
        ] {
            let (mut peer, end) = StdUnixStream::pair().unwrap();
            peer.write_all(bytes).unwrap();
            let error = Line::new(end).unwrap().receive::<Request>().await.unwrap_err();
            assert!(error.to_string().starts_with(wanted), "{error}");
        }
    }

    #[tokio::test]
    async fn descriptors_without_a_word_are_not_taken() {
        let (mut old, mut new) = ends();
        old.send(&Reply::Passing { passed: vec![Passed::Line { generation: 1 }] }, &[]).await.unwrap();
        assert!(matches!(new.take(1).await, Err(LineError::OutOfTurn)));
    }
}
