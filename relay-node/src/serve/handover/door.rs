//! Where others come to a relay that serves: a socket in `recovery.directory`, for this user's processes alone, and
//! the line from the relay's keeper.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

use super::line::Line;
use crate::net::passing;
use crate::recovery::SOCKET;

/// Its name until it is in place.
const NEW: &str = "relay.new";
/// How long to wait when a visitor cannot be let in.
const PAUSE: Duration = Duration::from_millis(100);

/// The way in. Dropping it closes it; its name may be another relay's by then, and stays.
#[derive(Debug, Default)]
pub struct Door {
    listener: Option<UnixListener>,
    keepers: Option<UnixStream>,
}

impl Door {
    /// Opens the door in `directory`, whoever had one there until now.
    pub fn open(directory: Option<&Path>) -> io::Result<Self> {
        Ok(Self { listener: directory.map(listen).transpose()?, keepers: None })
    }

    /// The same, and who comes by the keeper's line is let in too.
    pub fn and_by(self, keepers: StdUnixStream) -> io::Result<Self> {
        Ok(Self { keepers: Some(to_tokio(keepers)?), ..self })
    }

    /// Waits for the next one who comes in.
    pub async fn next(&self) -> (Entrance, Line) {
        loop {
            let visitor = tokio::select! {
                visitor = self.by_directory() => visitor.map(|stream| (Entrance::Directory, stream)),
                visitor = self.by_keeper() => visitor.map(|stream| (Entrance::Keeper, stream)),
            };
            match visitor {
                Ok((entrance, stream)) => return (entrance, Line::over(stream)),
                Err(error) => {
                    tracing::warn!(%error, "somebody could not be let in who came to the relay's socket");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn by_directory(&self) -> io::Result<UnixStream> {
        let Some(listener) = &self.listener else { return std::future::pending().await };
        let (stream, _) = listener.accept().await?;
        ensure_same_user(&stream)?;
        Ok(stream)
    }

    async fn by_keeper(&self) -> io::Result<UnixStream> {
        let Some(line) = &self.keepers else { return std::future::pending().await };
        let mut passed = Vec::new();
        let receive = || passing::receive(line, &mut [0], &mut passed);
        let received = line.async_io(Interest::READABLE, receive).await?;
        match passed.pop() {
            Some(end) => to_tokio(end.into()),
            // The keeper ended, and so will this process.
            None if received == 0 => std::future::pending().await,
            None => Err(io::Error::other("the keeper's line brought no descriptor")),
        }
    }
}

/// Which way somebody came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// By the socket in the directory.
    Directory,
    /// By the keeper's line.
    Keeper,
}

/// Goes to the relay that has its door in `directory`.
pub async fn knock(directory: &Path) -> io::Result<Line> {
    let stream = UnixStream::connect(directory.join(SOCKET)).await?;
    ensure_same_user(&stream)?;
    Ok(Line::over(stream))
}

/// Goes to the relay at the other end of a keeper's line: only this process has the far end of what comes out, so
/// that its end is seen there.
pub fn knock_through(keepers: impl AsFd) -> io::Result<Line> {
    let (near, far) = StdUnixStream::pair()?;
    passing::send(keepers, &[0], &[far.as_fd()])?;
    Line::new(near)
}

fn listen(directory: &Path) -> io::Result<UnixListener> {
    let new = directory.join(NEW);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdUnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    // There is one at every moment.
    fs::rename(&new, directory.join(SOCKET))?;
    UnixListener::from_std(listener)
}

fn to_tokio(stream: StdUnixStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

fn ensure_same_user(stream: &UnixStream) -> io::Result<()> {
    let other = stream.peer_cred()?.uid();
    if other == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("it is of another user, {other}")))
}

#[cfg(test)]
mod tests {
    use super::super::message::Request;
    use super::*;

    async fn says_something(mut line: Line, door: &Door) -> Request {
        line.send(&Request::Resume, &[]).await.unwrap();
        door.next().await.1.receive().await.unwrap().0
    }

    #[tokio::test]
    async fn is_this_users_alone_and_replaces_one_that_was_left_over() {
        let directory = tempfile::tempdir().unwrap();
        drop(Door::open(Some(directory.path())).unwrap());
        let error = knock(directory.path()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "nobody is behind it");

        let door = Door::open(Some(directory.path())).unwrap();
        let mode = fs::metadata(directory.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(says_something(knock(directory.path()).await.unwrap(), &door).await, Request::Resume);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn who_opens_one_later_has_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let old = Door::open(Some(directory.path())).unwrap();
        let new = Door::open(Some(directory.path())).unwrap();
        drop(old);
        assert_eq!(says_something(knock(directory.path()).await.unwrap(), &new).await, Request::Resume);
    }

    #[tokio::test]
    async fn a_keepers_line_brings_one_visitor_after_the_other() {
        let (near, far) = StdUnixStream::pair().unwrap();
        let door = Door::default().and_by(near).unwrap();
        for _ in 0..2 {
            assert_eq!(says_something(knock_through(&far).unwrap(), &door).await, Request::Resume);
        }
    }
}
