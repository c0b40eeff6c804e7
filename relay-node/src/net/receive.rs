//! Batches of received datagrams (`recvmmsg`), gathered over many sockets.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use super::control::Control;
use super::memory::{PacketMemory, Table};
use super::name::SocketName;

/// The datagrams of one round, from as many sockets as there are slots.
pub struct ReceiveBatch {
    memory: PacketMemory,
    names: Table<SocketName>,
    controls: Table<Control>,
    headers: Table<libc::mmsghdr>,
    // The headers point to these.
    _pieces: Table<libc::iovec>,
    used: usize,
}

impl ReceiveBatch {
    /// A batch of at most `slots` datagrams.
    pub fn new(slots: usize) -> Self {
        let memory = PacketMemory::new(slots);
        let names = Table::new(vec![SocketName::EMPTY; slots]);
        let controls = Table::new(vec![Control::EMPTY; slots]);
        let pieces = Table::new(
            (0..slots)
                .map(|slot| libc::iovec {
                    iov_base: memory.payload_pointer(slot).cast(),
                    iov_len: PacketMemory::LARGEST,
                })
                .collect(),
        );
        let headers = (0..slots)
            .map(|slot| libc::mmsghdr {
                msg_hdr: libc::msghdr {
                    msg_name: names.pointer(slot).cast(),
                    msg_namelen: SocketName::CAPACITY,
                    msg_iov: pieces.pointer(slot),
                    msg_iovlen: 1,
                    msg_control: controls.pointer(slot).cast(),
                    msg_controllen: Control::CAPACITY,
                    msg_flags: 0,
                },
                msg_len: 0,
            })
            .collect();
        Self { memory, names, controls, headers: Table::new(headers), _pieces: pieces, used: 0 }
    }

    /// Slots that are free until [`Self::clear`].
    pub fn free(&self) -> usize {
        self.headers.len() - self.used
    }

    /// Takes what waits in `socket`, at most `limit` datagrams; the slots that they are in now.
    /// Fewer than asked for means that nothing else waits.
    pub fn receive(&mut self, socket: impl AsFd, limit: usize) -> io::Result<Range<usize>> {
        let start = self.used;
        let count = limit.min(self.free());
        if count == 0 {
            return Ok(start..start);
        }
        // SAFETY: `start..start + count` are entries of `headers`, whose pointers lead to as many
        // names, controls and pieces, and whose lengths are those of `new` since `clear`; a piece is
        // one slot's LARGEST bytes behind its headroom. All of them live in tables of `self` that do
        // not move, and `&mut self` keeps others away.
        let received = unsafe {
            // Not libc's own function: a cancellation point, with two atomic operations of its own.
            libc::syscall(
                libc::SYS_recvmmsg,
                socket.as_fd().as_raw_fd(),
                self.headers.pointer(start),
                count as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut::<libc::timespec>(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.used = start + received;
        Ok(start..self.used)
    }

    /// Frees all slots.
    pub fn clear(&mut self) {
        // The kernel wrote lengths into the headers that it used, and into no others.
        for header in self.headers.entries_mut().iter_mut().take(self.used) {
            header.msg_hdr.msg_namelen = SocketName::CAPACITY;
            header.msg_hdr.msg_controllen = Control::CAPACITY;
        }
        self.used = 0;
    }

    /// Who sent the datagram in `slot`.
    pub fn source(&self, slot: usize) -> Option<SocketAddr> {
        self.names.entries().get(slot)?.address()
    }

    /// The local address and the interface that it came to, where the socket tells them.
    pub fn destination(&self, slot: usize) -> Option<(IpAddr, u32)> {
        let len = self.headers.entries().get(slot)?.msg_hdr.msg_controllen;
        self.controls.entries().get(slot)?.messages(len).find_map(|message| message.destination())
    }

    /// Its place in [`PacketMemory::slot_mut`]'s slice.
    pub fn payload(&self, slot: usize) -> Range<usize> {
        let len = self.headers.entries().get(slot).map_or(0, |header| header.msg_len as usize);
        PacketMemory::HEADROOM..PacketMemory::HEADROOM + len
    }

    /// The memory that the datagrams are in.
    pub fn memory(&self) -> &PacketMemory {
        &self.memory
    }

    /// The memory that the datagrams are in, to write headers there.
    pub fn memory_mut(&mut self) -> &mut PacketMemory {
        &mut self.memory
    }
}

// SAFETY: the raw pointers in headers and pieces lead to tables of the same batch, which go with it,
// and are only followed in `receive`, by whoever has the batch.
unsafe impl Send for ReceiveBatch {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::udp;
    use std::net::UdpSocket;

    #[test]
    fn a_batch_gathers_from_several_sockets() {
        let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap());
        for (socket, texts) in [(&a, &["one", "", "three"][..]), (&b, &["four"])] {
            let sender = UdpSocket::bind((socket.local_addr().unwrap().ip(), 0)).unwrap();
            for text in texts {
                sender.send_to(text.as_bytes(), socket.local_addr().unwrap()).unwrap();
            }
        }
        let mut batch = ReceiveBatch::new(8);
        assert_eq!(batch.receive(&a, 2).unwrap(), 0..2);
        assert_eq!(batch.receive(&a, 8).unwrap(), 2..3);
        assert_eq!(batch.receive(&b, 8).unwrap(), 3..4);
        let texts: Vec<_> = (0..4)
            .map(|slot| {
                let payload = batch.payload(slot);
                String::from_utf8(batch.memory_mut().slot_mut(slot)[payload].to_vec()).unwrap()
            })
            .collect();
        assert_eq!(texts, ["one", "", "three", "four"]);
        assert!(batch.source(0).unwrap().is_ipv4() && batch.source(3).unwrap().is_ipv6());
        assert_eq!(batch.receive(&a, 8).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        batch.clear();
        assert_eq!(batch.free(), 8);
    }

    #[test]
    fn a_slot_is_as_good_as_new_when_it_is_used_again() {
        let (v4, v6) =
            (udp::listener("0.0.0.0:0".parse().unwrap()), udp::listener("[::]:0".parse().unwrap()));
        let mut batch = ReceiveBatch::new(1);
        // A short name after a long one and a long one after a short one, each with its destination.
        for (socket, ip) in [(&v6, "::1"), (&v4, "127.0.0.1"), (&v6, "::1")] {
            let (socket, ip) = (socket.as_ref().unwrap(), ip.parse::<IpAddr>().unwrap());
            let sender = UdpSocket::bind((ip, 0)).unwrap();
            sender.send_to(b"x", (ip, socket.local_addr().unwrap().port())).unwrap();
            assert_eq!(batch.receive(socket, 1).unwrap(), 0..1);
            assert_eq!(batch.source(0), Some(sender.local_addr().unwrap()));
            assert_eq!(batch.destination(0).unwrap().0, ip);
            batch.clear();
        }
    }
}
