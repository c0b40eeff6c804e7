//! Memory that the kernel reads and writes while safe code holds no reference to it.
#![allow(unsafe_code)]

use std::ptr::NonNull;

/// A fixed table that never moves, to which system calls get raw pointers.
pub struct Table<T> {
    start: NonNull<[T]>,
}

impl<T> Table<T> {
    /// A table of these entries.
    pub fn new(entries: Vec<T>) -> Self {
        Self { start: NonNull::from(Box::leak(entries.into_boxed_slice())) }
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries.
    pub fn entries(&self) -> &[T] {
        // SAFETY: `start` comes from a leaked box that only `drop` takes back. The kernel writes
        // through pointers of this table only during a call that holds `&mut` to its owner.
        unsafe { self.start.as_ref() }
    }

    /// The entries, to change.
    pub fn entries_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `entries`, and `&mut self` makes this reference the only one.
        unsafe { self.start.as_mut() }
    }

    /// Where entry `index` lies, for a system call. Panics outside the table: a wrong index there
    /// would be a wild pointer.
    pub(super) fn pointer(&self, index: usize) -> *mut T {
        assert!(index < self.len(), "entry {index} of a table of {}", self.len());
        // SAFETY: the index was checked; the pointer stays within the one allocation.
        unsafe { self.start.as_ptr().cast::<T>().add(index) }
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // SAFETY: `start` was leaked from a box by `new`, and nothing uses it after this.
        drop(unsafe { Box::from_raw(self.start.as_ptr()) });
    }
}

// SAFETY: a table owns its entries like a box, which may go to another thread if they may.
unsafe impl<T: Send> Send for Table<T> {}

/// A packet's place in a [`PacketMemory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    offset: u32,
    len: u32,
}

impl Packet {
    /// Its length in bytes.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether it is a packet of zero bytes.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// All packets of one round: slots that receives fill, and an outbox that is written from its front.
///
/// One allocation of zeroed pages, which exist only once they are written. A slot takes the largest
/// datagram, with room before and behind it, so that nothing is ever cut off.
pub struct PacketMemory {
    bytes: Table<u8>,
    slots: usize,
    outbox: usize,
}

/// The largest UDP payload plus room for headers around it. Not a multiple of a page: slots at equal
/// places in their pages would compete for the same few cache lines.
const STRIDE: usize = 65_536 + 2 * 64;

/// Bytes for messages of our own that leave in one round.
const OUTBOX: usize = 128 * 1024;

impl PacketMemory {
    /// Bytes in front of a received payload.
    pub const HEADROOM: usize = 64;
    /// The largest datagram that a slot takes.
    pub const LARGEST: usize = STRIDE - Self::HEADROOM - 8;

    /// Memory for `slots` received packets.
    pub fn new(slots: usize) -> Self {
        Self { bytes: Table::new(vec![0; slots * STRIDE + OUTBOX]), slots, outbox: 0 }
    }

    /// How many received packets it holds.
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// A slot's bytes: a received payload starts at [`Self::HEADROOM`].
    pub fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        self.bytes.entries_mut().get_mut(slot * STRIDE..(slot + 1) * STRIDE).unwrap_or_default()
    }

    /// A part of a slot as a packet to send. `None` if it is not a part of it.
    pub fn packet(&self, slot: usize, start: usize, end: usize) -> Option<Packet> {
        if slot >= self.slots || start > end || end > STRIDE {
            return None;
        }
        Some(Packet { offset: (slot * STRIDE + start) as u32, len: (end - start) as u32 })
    }

    /// Copies a message into the outbox. `None` if it is full until [`Self::clear_outbox`].
    pub fn write(&mut self, message: &[u8]) -> Option<Packet> {
        let start = self.slots * STRIDE + self.outbox;
        let room = self.bytes.entries_mut().get_mut(start..start + message.len())?;
        room.copy_from_slice(message);
        self.outbox += message.len();
        Some(Packet { offset: start as u32, len: message.len() as u32 })
    }

    /// Forgets the outbox: its packets have left.
    pub fn clear_outbox(&mut self) {
        self.outbox = 0;
    }

    /// A packet's bytes.
    pub fn bytes(&self, packet: Packet) -> &[u8] {
        let start = packet.offset as usize;
        self.bytes.entries().get(start..start + packet.len()).unwrap_or_default()
    }

    /// Where a received payload goes, for a system call.
    pub(super) fn payload_pointer(&self, slot: usize) -> *mut u8 {
        self.bytes.pointer(slot * STRIDE + Self::HEADROOM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_table_goes_to_another_thread_only_if_its_entries_may() {
        fn is_send<T: Send>() {}
        is_send::<Table<u8>>();
        // Ambiguous, and so no program, if such a table were `Send`.
        trait Unless<T> {
            fn it_is_send() {}
        }
        impl<T> Unless<()> for T {}
        impl<T: Send> Unless<u8> for T {}
        <Table<Rc<u8>> as Unless<_>>::it_is_send();
    }

    #[test]
    fn the_outbox_says_when_it_is_full() {
        let mut memory = PacketMemory::new(1);
        let message = vec![7; OUTBOX];
        let packet = memory.write(&message).unwrap();
        assert_eq!(memory.bytes(packet), message);
        assert_eq!(memory.write(&[1]), None);
        memory.clear_outbox();
        assert!(memory.write(&[1]).is_some());
    }

    #[test]
    fn a_packet_lies_within_one_slot() {
        let mut memory = PacketMemory::new(2);
        memory.slot_mut(1)[60..64].copy_from_slice(b"abcd");
        let packet = memory.packet(1, 60, 64).unwrap();
        assert_eq!(memory.bytes(packet), b"abcd");
        assert_eq!(memory.packet(2, 0, 1), None);
        assert_eq!(memory.packet(0, 9, 8), None);
        assert_eq!(memory.packet(0, 0, STRIDE + 1), None);
    }
}
