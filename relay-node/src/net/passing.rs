//! Descriptors that go to another process beside bytes, through a Unix stream socket (SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors that go at a time; the kernel takes 253.
pub const MOST: usize = 250;

const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST));

/// Sends some of `bytes`, and with the first of them all `descriptors`; how many bytes.
///
/// # Errors
/// What the system says: `ETOOMANYREFS` where as many are on their way as the sender may have open.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    // A signal would end the whole relay since the other process went away.
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

/// Receives some bytes, 0 at the end, and adds the descriptors that come with them. They are closed when another
/// program is executed.
///
/// # Errors
/// What the system says, and if not all descriptors could be taken.
pub fn receive(socket: impl AsFd, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("not all descriptors could be taken: too few open files are allowed"));
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_arrives_is_the_same_socket() {
        let (from, to) = UnixStream::pair().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(send(&from, b"here", &[socket.as_fd()]).unwrap(), 4);
        let (mut bytes, mut passed) = ([0; 8], Vec::new());
        assert_eq!(receive(&to, &mut bytes, &mut passed).unwrap(), 4);
        let [passed] = <[OwnedFd; 1]>::try_from(passed).unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        assert_eq!(UdpSocket::from(passed).local_addr().unwrap(), address, "it outlives who passed it");
    }

    #[test]
    fn each_part_comes_with_its_own_descriptors() {
        let (from, to) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(&from, b"one", &[writer.as_fd()]).unwrap();
        send(&from, b"two", &[]).unwrap();
        drop(writer);
        let (mut bytes, mut passed) = ([0; 3], Vec::new());
        assert_eq!(receive(&to, &mut bytes, &mut passed).unwrap(), 3);
        assert_eq!((&bytes, passed.len()), (b"one", 1));
        io::PipeWriter::from(passed.pop().unwrap()).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        receive(&to, &mut bytes, &mut passed).unwrap();
        assert_eq!((&bytes, passed.len()), (b"two", 0));
    }

    #[test]
    fn as_many_go_at_a_time_as_it_says() {
        let (from, to) = UnixStream::pair().unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        assert!(send(&from, b"x", &vec![reader.as_fd(); 260]).is_err());
        send(&from, b"x", &[reader.as_fd(); MOST]).unwrap();
        let mut passed = Vec::new();
        receive(&to, &mut [0; 1], &mut passed).unwrap();
        assert_eq!(passed.len(), MOST);
    }

    #[test]
    fn who_went_away_is_an_error_and_no_signal() {
        let (from, to) = UnixStream::pair().unwrap();
        drop(to);
        assert_eq!(send(&from, b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
