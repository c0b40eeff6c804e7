//! Batches of datagrams to send (`sendmmsg`), grouped by socket.
#![allow(unsafe_code)]

mod failure;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::sockopt::socket_error;
use rustix::net::{SendFlags, sendto};

use self::failure::{Failure, Uncut};
use super::control::Control;
use super::memory::{Packet, PacketMemory, Table};
use super::name::SocketName;
use super::udp;

/// A datagram that waits for the end of the round.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// The caller's number for the socket that it leaves from.
    pub socket: u32,
    /// Where it goes.
    pub to: SocketAddr,
    /// The local address that it leaves from, where the socket is bound to none.
    pub from: Option<IpAddr>,
    /// What it carries.
    pub packet: Packet,
    /// Whether routers must not fragment it. For a socket that is bound to its address.
    pub dont_fragment: bool,
}

/// What became of the datagrams of a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Taken by the kernel.
    pub sent: u64,
    /// Dropped since the socket's buffer, or the queue of the device, is full.
    pub blocked: u64,
    /// Refused by the kernel: no route, too long, a socket that is gone.
    pub refused: u64,
    /// System calls that it took.
    pub calls: u64,
}

/// Most datagrams that the kernel cuts from one buffer (UDP_MAX_SEGMENTS of older kernels).
const MAX_SEGMENTS: usize = 64;
/// Most bytes of such a buffer: an IPv6 packet's payload less a UDP header.
const MAX_SEGMENTED: usize = 65_535 - 40 - 8;

/// Datagrams that leave together.
///
/// What the kernel says of one of them is about that one alone: the others leave as if it were not there.
pub struct SendBatch {
    // At most as many as there are headers.
    queue: Vec<Datagram>,
    // Keys `socket << 32 | place in queue`, sorted: groups by socket, each in order of arrival.
    order: Vec<u64>,
    names: Table<SocketName>,
    controls: Table<Control>,
    pieces: Table<libc::iovec>,
    headers: Table<libc::mmsghdr>,
    // How many datagrams each header carries; none for headers of an earlier flush.
    carried: Vec<u32>,
    segmentation: bool,
    uncut: Uncut,
}

impl SendBatch {
    /// A batch of at most `capacity` datagrams. `segmentation`: let the kernel cut runs of datagrams
    /// of one size to one address from one buffer (UDP_SEGMENT), as long as it is willing to.
    pub fn new(capacity: usize, segmentation: bool) -> Self {
        let names = Table::new(vec![SocketName::EMPTY; capacity]);
        let controls = Table::new(vec![Control::EMPTY; capacity]);
        // Each header has its name and control messages in its own place, and pieces from anywhere.
        let headers = (0..capacity)
            .map(|index| libc::mmsghdr {
                msg_hdr: libc::msghdr {
                    msg_name: names.pointer(index).cast(),
                    msg_namelen: 0,
                    msg_iov: std::ptr::null_mut(),
                    msg_iovlen: 0,
                    msg_control: controls.pointer(index).cast(),
                    msg_controllen: 0,
                    msg_flags: 0,
                },
                msg_len: 0,
            })
            .collect();
        Self {
            queue: Vec::with_capacity(capacity),
            order: Vec::with_capacity(capacity),
            names,
            controls,
            pieces: Table::new(vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; capacity]),
            headers: Table::new(headers),
            carried: Vec::with_capacity(capacity),
            segmentation,
            uncut: Uncut::default(),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether another datagram needs a flush first.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= self.headers.len()
    }

    /// Adds a datagram. The caller flushes a full batch first: one too many is refused.
    pub fn push(&mut self, datagram: Datagram) -> bool {
        if self.is_full() {
            return false;
        }
        self.order.push(u64::from(datagram.socket) << 32 | self.queue.len() as u64);
        self.queue.push(datagram);
        true
    }

    /// Sends everything; afterwards the batch is empty. `sockets` finds a socket by its number.
    pub fn flush<'s>(
        &mut self,
        memory: &PacketMemory,
        sockets: impl Fn(u32) -> Option<BorrowedFd<'s>>,
    ) -> Sent {
        let mut sent = Sent::default();
        self.order.sort_unstable();
        let mut from = 0;
        while let Some(first) = self.order.get(from) {
            let number = (first >> 32) as u32;
            let group = self.order.get(from..).unwrap_or_default();
            let len = group.iter().take_while(|key| (*key >> 32) as u32 == number).count();
            match sockets(number) {
                Some(socket) => self.send_group(socket, memory, from, from + len, &mut sent),
                None => sent.refused += len as u64,
            }
            from += len;
        }
        self.queue.clear();
        self.order.clear();
        sent
    }

    /// Sends the datagrams `from..to` of `order`, all of one socket.
    fn send_group(
        &mut self,
        socket: BorrowedFd<'_>,
        memory: &PacketMemory,
        from: usize,
        to: usize,
        sent: &mut Sent,
    ) {
        let mut next = from;
        while next < to {
            let Some(&datagram) = self.datagram(next) else { return };
            if datagram.dont_fragment {
                send_unfragmented(socket, datagram.to, memory.bytes(datagram.packet), sent);
                next += 1;
            } else if to - from == 1 && datagram.from.is_none() {
                // The usual case towards peers, which needs no header.
                send_alone(socket, datagram.to, memory.bytes(datagram.packet), true, sent);
                next += 1;
            } else {
                let rest = self.order.get(next..to).unwrap_or_default();
                let plain = rest.iter().take_while(|key| !self.is_unfragmented(**key)).count();
                self.send_plain(socket, memory, next, next + plain, self.segmentation, sent);
                next += plain;
            }
        }
    }

    /// Sends the datagrams `from..to` of `order`, which want nothing special, in runs if `segmentation`.
    fn send_plain(
        &mut self,
        socket: BorrowedFd<'_>,
        memory: &PacketMemory,
        mut from: usize,
        to: usize,
        segmentation: bool,
        sent: &mut Sent,
    ) {
        while from < to {
            self.prepare(memory, from, to, segmentation);
            let Some(refused) = self.send_prepared(socket, sent) else { return };
            // That run leaves uncut, then the others as before.
            let before: u32 = self.carried.iter().take(refused).sum();
            let start = from + before as usize;
            let end = start + self.carried.get(refused).map_or(1, |run| *run as usize);
            self.send_plain(socket, memory, start, end, false, sent);
            from = end;
        }
    }

    fn is_unfragmented(&self, key: u64) -> bool {
        self.queue.get(key as u32 as usize).is_some_and(|datagram| datagram.dont_fragment)
    }

    fn datagram(&self, place: usize) -> Option<&Datagram> {
        self.queue.get(*self.order.get(place)? as u32 as usize)
    }

    /// Writes headers for the datagrams `from..to` of `order`.
    fn prepare(&mut self, memory: &PacketMemory, from: usize, to: usize, segmentation: bool) {
        self.carried.clear();
        let mut place = from;
        while place < to {
            let run = if segmentation { self.run(place, to) } else { 1 };
            if self.prepare_run(memory, self.carried.len(), place, run).is_none() {
                return;
            }
            self.carried.push(run as u32);
            place += run;
        }
    }

    /// How many datagrams from `place` on can be cut from one buffer: to one address, of one size,
    /// but for the last, which may be shorter.
    fn run(&self, place: usize, to: usize) -> usize {
        let Some(first) = self.datagram(place) else { return 0 };
        let size = first.packet.len();
        let mut run = 1;
        while run < MAX_SEGMENTS
            && (run + 1) * size <= MAX_SEGMENTED
            && place + run < to
            && let Some(next) = self.datagram(place + run)
            && next.to == first.to
            && next.from == first.from
            && !next.packet.is_empty()
            && next.packet.len() <= size
        {
            run += 1;
            if next.packet.len() < size {
                break;
            }
        }
        if run > 1 && self.uncut.contains(first.to.ip()) { 1 } else { run }
    }

    /// Writes header `index` for the `run` datagrams from `place` on. `None` if it is not whole.
    fn prepare_run(&mut self, memory: &PacketMemory, index: usize, place: usize, run: usize) -> Option<()> {
        let Datagram { to, from, packet: first, .. } = *self.datagram(place)?;
        for place in place..place + run {
            let bytes = memory.bytes(self.datagram(place)?.packet);
            // The kernel only reads what is sent; the C type has no const.
            let piece = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            *self.pieces.entries_mut().get_mut(place)? = piece;
        }
        let name_len = self.names.entries_mut().get_mut(index)?.set(to);
        let control = self.controls.entries_mut().get_mut(index)?;
        let mut control_len = 0;
        if let Some(source) = from {
            let interface = match to {
                SocketAddr::V6(v6) => v6.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            control_len = control.push_source(control_len, source, interface);
        }
        if run > 1 {
            control_len = control.push_segment(control_len, first.len() as u16);
        }
        let header = &mut self.headers.entries_mut().get_mut(index)?.msg_hdr;
        header.msg_namelen = name_len;
        header.msg_iov = self.pieces.pointer(place);
        header.msg_iovlen = run;
        header.msg_controllen = control_len;
        Some(())
    }

    /// Sends what `prepare` wrote. A header whose run the kernel does not cut ends it early.
    fn send_prepared(&mut self, socket: BorrowedFd<'_>, sent: &mut Sent) -> Option<usize> {
        let mut next = 0;
        let mut retried = false;
        while let Some(run) = self.carried.get(next).copied() {
            sent.calls += 1;
            match self.send_headers(socket, next) {
                Ok(count) => {
                    let carried = self.carried.iter().skip(next).take(count);
                    sent.sent += carried.map(|run| u64::from(*run)).sum::<u64>();
                    next += count.max(1);
                    retried = false;
                    continue;
                }
                Err(error) => match Failure::from(error) {
                    Failure::Interrupted => continue,
                    Failure::SocketFull => {
                        let left = self.carried.iter().skip(next);
                        sent.blocked += left.map(|run| u64::from(*run)).sum::<u64>();
                        return None;
                    }
                    Failure::DeviceFull => sent.blocked += u64::from(run),
                    Failure::CannotCut if run > 1 => {
                        if let Some(destination) = self.destination(next) {
                            self.uncut.insert(destination);
                        }
                        return Some(next);
                    }
                    // Larger than the path's MTU, or more than this kernel cuts: not this time.
                    Failure::TooLong if run > 1 => return Some(next),
                    // An ICMP error of an earlier datagram was waiting, and is out of the way now.
                    _ if !retried => {
                        retried = true;
                        continue;
                    }
                    _ => sent.refused += u64::from(run),
                },
            }
            retried = false;
            next += 1;
        }
        None
    }

    /// Where the datagrams of header `index` go.
    fn destination(&self, index: usize) -> Option<IpAddr> {
        self.names.entries().get(index)?.address().map(|address| address.ip())
    }

    /// Sends the headers from `next` on; how many the kernel took.
    fn send_headers(&mut self, socket: BorrowedFd<'_>, next: usize) -> io::Result<usize> {
        let count = self.carried.len() - next;
        // SAFETY: the headers' names and control messages are entries of tables of `self`, which do not
        // move, since `new`. `prepare` wrote the pieces and all lengths of those below `carried.len()` in
        // this flush, and clears that list first; the pieces lead to packets of the memory that `flush`
        // borrows until it is done.
        let taken = unsafe {
            // Not libc's own function: a cancellation point, with two atomic operations of its own.
            libc::syscall(
                libc::SYS_sendmmsg,
                socket.as_raw_fd(),
                self.headers.pointer(next),
                count as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(taken).map_err(|_| io::Error::last_os_error())
    }
}

/// Sends one datagram without a header. `retry`: an error may be about an earlier datagram, by ICMP; it
/// is out of the way then, so that trying again shows.
fn send_alone(socket: BorrowedFd<'_>, to: SocketAddr, bytes: &[u8], mut retry: bool, sent: &mut Sent) {
    loop {
        sent.calls += 1;
        match sendto(socket, bytes, SendFlags::DONTWAIT, &to).map_err(Failure::from) {
            Ok(_) => sent.sent += 1,
            Err(Failure::Interrupted) => continue,
            Err(Failure::SocketFull | Failure::DeviceFull) => sent.blocked += 1,
            Err(_) if retry => {
                retry = false;
                continue;
            }
            Err(_) => sent.refused += 1,
        }
        return;
    }
}

/// Sends one datagram whole or not at all. Rare: the option is the socket's, so it is set around it.
fn send_unfragmented(socket: BorrowedFd<'_>, to: SocketAddr, bytes: &[u8], sent: &mut Sent) {
    // Takes the error of an earlier datagram out of the way: "too long" is about this one, and to try
    // again would report it to the client twice.
    let _ = socket_error(socket);
    match udp::set_dont_fragment(socket, to, true) {
        Ok(()) => send_alone(socket, to, bytes, false, sent),
        Err(_) => sent.refused += 1,
    }
    // A failure here leaves the stricter setting; the next call tries again.
    let _ = udp::set_dont_fragment(socket, to, false);
}

// SAFETY: the raw pointers in headers lead to tables of the same batch, which go with it, and those in
// pieces to memory that is borrowed for the one `flush` in which they are written and followed.
unsafe impl Send for SendBatch {}

#[cfg(test)]
mod tests;
