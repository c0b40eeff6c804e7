//! Batches of IPv4 datagrams: one `sendmmsg` or `recvmmsg` for up to [`BATCH`] of them.
//!
//! The load speaks for thousands of clients through one socket: each datagram carries the source
//! address that it wants (IP_PKTINFO), and each received one says which address it was sent to.
//! Everything unsafe of this package is here.
#![allow(unsafe_code)]

use std::{
    io, mem,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// Datagrams in one system call, at most.
pub const BATCH: usize = 64;

/// Room for one datagram, Ethernet's 1,500 bytes and some.
pub const DATAGRAM: usize = 2048;

/// The one control message that is sent and asked for: IP_PKTINFO, laid out as `CMSG_DATA` has it on
/// 64-bit Linux, where the data follows its header directly.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct PacketInfo {
    header: libc::cmsghdr,
    info: libc::in_pktinfo,
}

impl PacketInfo {
    const LEN: usize = mem::size_of::<libc::cmsghdr>() + mem::size_of::<libc::in_pktinfo>();

    /// Asks for `source` as the address to send from.
    fn from_source(source: Ipv4Addr) -> Self {
        Self {
            header: libc::cmsghdr {
                cmsg_len: Self::LEN,
                cmsg_level: libc::IPPROTO_IP,
                cmsg_type: libc::IP_PKTINFO,
            },
            info: libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            },
        }
    }

    /// The address that a received datagram was sent to.
    fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from_be(self.info.ipi_addr.s_addr))
    }
}

#[derive(Clone)]
struct Slot {
    bytes: Box<[u8; DATAGRAM]>,
    len: usize,
    name: libc::sockaddr_in,
    control: PacketInfo,
    control_len: usize,
}

impl Slot {
    fn new() -> Self {
        Self {
            bytes: Box::new([0; DATAGRAM]),
            len: 0,
            name: socket_address(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
            control: PacketInfo::from_source(Ipv4Addr::UNSPECIFIED),
            control_len: 0,
        }
    }
}

/// The headers that the kernel reads and writes, pointing into `slots`; filled anew for each call,
/// so that no pointer outlives the borrow it was made from.
struct Headers {
    vectors: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers inside are written before each system call and read by that call only.
unsafe impl Send for Headers {}

impl Headers {
    fn new() -> Self {
        // SAFETY: both are plain C structures for which all zeroes (null pointers, no lengths) are valid.
        let (vector, message) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self { vectors: vec![vector; BATCH].into(), messages: vec![message; BATCH].into() }
    }

    /// Points the first `slots.len()` headers at `slots`, with the data and control lengths that
    /// `lengths` gives, and returns where the headers start.
    fn point_at(
        &mut self,
        slots: &mut [Slot],
        lengths: impl Fn(&Slot) -> (usize, usize),
    ) -> *mut libc::mmsghdr {
        let headers = self.vectors.iter_mut().zip(self.messages.iter_mut());
        for (slot, (vector, message)) in slots.iter_mut().zip(headers) {
            let (data, control) = lengths(slot);
            *vector = libc::iovec { iov_base: slot.bytes.as_mut_ptr().cast(), iov_len: data };
            let header = &mut message.msg_hdr;
            header.msg_name = ptr::from_mut(&mut slot.name).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control =
                if control == 0 { ptr::null_mut() } else { ptr::from_mut(&mut slot.control).cast() };
            header.msg_controllen = control;
            header.msg_flags = 0;
        }
        self.messages.as_mut_ptr()
    }
}

/// Datagrams that wait to be sent together.
pub struct SendBatch {
    slots: Vec<Slot>,
    headers: Headers,
    filled: usize,
}

impl Default for SendBatch {
    /// An empty batch.
    fn default() -> Self {
        Self { slots: vec![Slot::new(); BATCH], headers: Headers::new(), filled: 0 }
    }
}

impl SendBatch {
    /// An empty batch whose datagrams hold `byte` wherever nothing else is written.
    pub fn filled_with(byte: u8) -> Self {
        let mut batch = Self::default();
        batch.slots.iter_mut().for_each(|slot| slot.bytes.fill(byte));
        batch
    }

    /// Whether [`SendBatch::push`] would be refused.
    pub fn is_full(&self) -> bool {
        self.filled == BATCH
    }

    /// Adds one datagram to `to`, from the address `from` if one is given. `fill` writes the datagram
    /// and returns its length. Returns false, without a call of `fill`, when the batch is full.
    pub fn push(
        &mut self,
        to: SocketAddrV4,
        from: Option<Ipv4Addr>,
        fill: impl FnOnce(&mut [u8; DATAGRAM]) -> usize,
    ) -> bool {
        let Some(slot) = self.slots.get_mut(self.filled) else { return false };
        slot.len = fill(&mut slot.bytes).min(DATAGRAM);
        slot.name = socket_address(to);
        slot.control_len = 0;
        if let Some(source) = from {
            slot.control = PacketInfo::from_source(source);
            slot.control_len = mem::size_of::<PacketInfo>();
        }
        self.filled += 1;
        true
    }

    /// Sends what was pushed and empties the batch. Returns how many datagrams the kernel took; the
    /// others are lost, as on any full link.
    ///
    /// # Errors
    /// Anything but a full buffer or a refusal that belongs to an earlier datagram.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let total = mem::take(&mut self.filled);
        let mut taken = 0;
        while let Some(slots) = self.slots.get_mut(taken..total).filter(|slots| !slots.is_empty()) {
            let count = slots.len();
            let messages = self.headers.point_at(slots, |slot| (slot.len, slot.control_len));
            // SAFETY: `messages` points at `count` headers, each of which points into its slot; both
            // live, and nobody else touches them, until the call returns.
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), messages, count as libc::c_uint, libc::MSG_DONTWAIT)
            };
            match usize::try_from(sent) {
                Ok(sent) => taken += sent,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::WouldBlock => break,
                    error if is_passing(&error) => {}
                    error => return Err(error),
                },
            }
        }
        Ok(taken)
    }
}

/// Datagrams received together.
pub struct ReceiveBatch {
    slots: Vec<Slot>,
    headers: Headers,
    filled: usize,
}

/// One received datagram.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// What it carries.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: SocketAddrV4,
    /// The address it was sent to, if the socket tells (IP_PKTINFO).
    pub to: Option<Ipv4Addr>,
}

impl Default for ReceiveBatch {
    /// An empty batch.
    fn default() -> Self {
        Self { slots: vec![Slot::new(); BATCH], headers: Headers::new(), filled: 0 }
    }
}

impl ReceiveBatch {
    /// Replaces the batch by the datagrams that wait on `socket`, without waiting for any; returns
    /// how many there were.
    ///
    /// # Errors
    /// Anything but an empty socket.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled = 0;
        let messages = self.headers.point_at(&mut self.slots, |_| (DATAGRAM, mem::size_of::<PacketInfo>()));
        // SAFETY: `messages` points at BATCH headers, each of which points into its slot; both live,
        // and nobody else touches them, until the call returns. No time-out is passed.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                messages,
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        match usize::try_from(received) {
            Ok(received) => self.filled = received,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock || is_passing(&error) => {}
                error => return Err(error),
            },
        }
        for (slot, message) in self.slots.iter_mut().zip(self.headers.messages.iter()).take(self.filled) {
            slot.len = message.msg_len as usize;
            slot.control_len = message.msg_hdr.msg_controllen;
        }
        Ok(self.filled)
    }

    /// The datagrams of the last [`ReceiveBatch::receive`].
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        self.slots.iter().take(self.filled).map(|slot| Received {
            bytes: slot.bytes.get(..slot.len).unwrap_or_default(),
            from: SocketAddrV4::new(
                Ipv4Addr::from(u32::from_be(slot.name.sin_addr.s_addr)),
                u16::from_be(slot.name.sin_port),
            ),
            to: (slot.control_len >= PacketInfo::LEN).then(|| slot.control.destination()),
        })
    }
}

/// Has a socket tell where each datagram was sent to ([`Received::to`]).
pub fn tell_destinations(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is the live integer `on`, of the length that is told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            ptr::from_ref(&on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Errors that an earlier datagram left on the socket, or a signal: the call is simply made again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted)
}

fn socket_address(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}
