//! What other threads hand to a worker: commands, and packets that reached the wrong worker.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use crossbeam_queue::{ArrayQueue, SegQueue};
use turn::{Client, Drain, HEADROOM, Settings, Shortcut, Span, TAILROOM};

use crate::net::wake::Waker;

use super::backlog::Backlog;
use super::fleet::Wish;
use super::freezing::RelaySocket;
use super::stream::{Seat, Taken};

/// What a worker is told to do.
pub(super) enum Command {
    /// Go on under these settings.
    Apply(Arc<Settings>),
    /// Refuse new allocations, or have them made elsewhere.
    Drain(Drain),
    /// Take new allocations again.
    Resume,
    /// Go on with a TLS handshake.
    Handshake(Taken),
    /// Close a connection whose place another one has.
    Displace(Seat),
    /// Do what the fleet wants.
    Fleet(Wish),
    /// Stand still, and say when nothing is left to be done.
    Freeze(Sender<Vec<RelaySocket>>),
    /// Go on.
    Thaw,
    /// Go on without what another process serves.
    Release,
    /// End all allocations and the worker.
    Stop,
    /// Do something that no worker should.
    #[cfg(test)]
    Misbehave(Box<dyn FnOnce() + Send>),
}

/// Who sent what is in a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A client of this worker: a whole packet.
    Client(Client),
    /// A relayed address of another worker: a payload for one of this worker.
    Relay(Shortcut),
}

/// A packet on its way to the worker that it belongs to.
pub(super) struct Parcel {
    /// Who sent it.
    pub(super) origin: Origin,
    // The packet lies at HEADROOM, with TAILROOM behind it.
    bytes: Vec<u8>,
    len: usize,
}

impl Parcel {
    fn empty(origin: Origin) -> Self {
        Self { origin, bytes: Vec::new(), len: 0 }
    }

    fn fill(&mut self, packet: &[u8]) {
        let end = HEADROOM + packet.len();
        if let Some(more) = (end + TAILROOM).checked_sub(self.bytes.len()) {
            // No more than that: it may be kept.
            self.bytes.reserve_exact(more);
            self.bytes.resize(end + TAILROOM, 0);
        }
        if let Some(place) = self.bytes.get_mut(HEADROOM..end) {
            place.copy_from_slice(packet);
        }
        self.len = packet.len();
    }

    /// The packet's place, with the room around it.
    pub(super) fn packet_mut(&mut self) -> (&mut [u8], Span) {
        (&mut self.bytes, Span { start: HEADROOM, end: HEADROOM + self.len })
    }
}

/// Parcels that wait at most; one more is dropped, as in a full socket buffer.
const PARCELS: usize = 2048;
/// Most of these that have another way: they leave room for those that have none.
const PASSED_ON: usize = PARCELS / 2;

/// A parcel with more room than this is not kept for the next one.
const KEPT: usize = 4096;

/// A worker's mailbox. No sender ever waits.
pub(super) struct Mailbox {
    commands: SegQueue<Command>,
    parcels: ArrayQueue<Box<Parcel>>,
    // Empty parcels, used again.
    spare: ArrayQueue<Box<Parcel>>,
    waker: Waker,
    // Whether the waker has been rung since the worker last looked.
    rung: AtomicBool,
    // Whether the worker has been asked to look, and has not yet.
    asked: AtomicBool,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            commands: SegQueue::new(),
            parcels: ArrayQueue::new(PARCELS),
            spare: ArrayQueue::new(PARCELS),
            waker: Waker::new()?,
            rung: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        })
    }

    /// What the worker waits for.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Tells the worker to do something.
    pub(super) fn command(&self, command: Command) {
        self.commands.push(command);
        self.ring();
    }

    /// Puts a packet in; whether there was room for it. Somebody rings later.
    fn post(&self, origin: Origin, packet: &[u8]) -> bool {
        let mut parcel = self.spare.pop().unwrap_or_else(|| Box::new(Parcel::empty(origin)));
        parcel.origin = origin;
        parcel.fill(packet);
        self.parcels.push(parcel).is_ok()
    }

    /// Whether there is room for a packet that has another way.
    fn can_spare_room(&self, packet: &[u8]) -> bool {
        packet.len() <= KEPT - HEADROOM - TAILROOM && self.parcels.len() < PASSED_ON
    }

    /// Makes the worker look.
    pub(super) fn ring(&self) {
        // One system call for all that comes until the worker looks.
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// The worker looks. If it leaves something for later, it rings for itself.
    pub(super) fn open(&self) {
        self.waker.reset();
        self.rung.store(false, Ordering::SeqCst);
        self.asked.store(false, Ordering::Relaxed);
    }

    /// Has the worker look, only to see that it does.
    pub(super) fn ask_to_open(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.ring();
    }

    /// Whether it has, since it was asked to.
    pub(super) fn has_been_opened(&self) -> bool {
        !self.asked.load(Ordering::Relaxed)
    }

    /// Waits until there may be something to look at.
    pub(super) fn wait(&self) {
        self.waker.wait();
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.parcels.is_empty()
    }

    /// The next command.
    pub(super) fn next_command(&self) -> Option<Command> {
        self.commands.pop()
    }

    /// The next parcel.
    pub(super) fn next_parcel(&self) -> Option<Box<Parcel>> {
        self.parcels.pop()
    }

    /// Gives back an opened parcel.
    pub(super) fn recycle(&self, parcel: Box<Parcel>) {
        if parcel.bytes.capacity() <= KEPT {
            // A full store of spares needs no other.
            let _ = self.spare.push(parcel);
        }
    }
}

/// All workers' mailboxes, to one of them.
pub(super) struct Post {
    mailboxes: Vec<Arc<Mailbox>>,
    // Who has got something in this round.
    unrung: Backlog,
}

impl Post {
    /// By the workers' indices.
    pub(super) fn new(mailboxes: Vec<Arc<Mailbox>>) -> Self {
        Self { mailboxes, unrung: Backlog::default() }
    }

    /// Hands a client's packet to a worker at the end of the round; whether its mailbox had room.
    pub(super) fn hand_over(&mut self, worker: usize, client: &Client, packet: &[u8]) -> bool {
        let Some(mailbox) = self.mailboxes.get(worker) else { return false };
        // Also when it was full: then it is high time.
        self.unrung.add(worker);
        mailbox.post(Origin::Client(*client), packet)
    }

    /// Hands what a relayed address sends to another one to that one's worker at the end of the round;
    /// whether it did. If it did not, the packet goes through the kernel.
    pub(super) fn pass_on(&mut self, shortcut: Shortcut, payload: &[u8]) -> bool {
        let worker = usize::from(shortcut.worker().0);
        let Some(mailbox) = self.mailboxes.get(worker) else { return false };
        if !mailbox.can_spare_room(payload) {
            return false;
        }
        self.unrung.add(worker);
        mailbox.post(Origin::Relay(shortcut), payload)
    }

    /// Wakes the workers that have got something: once for all that this round had for them.
    pub(super) fn ring(&mut self) {
        while let Some(worker) = self.unrung.next() {
            if let Some(mailbox) = self.mailboxes.get(worker) {
                mailbox.ring();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use turn::{ClientAddr, Entrance, FiveTuple, PathId, ServerAddr, Transport};

    use super::*;

    fn client(path: u32) -> Client {
        let address = "192.0.2.1:5".parse().unwrap();
        let five_tuple = FiveTuple {
            client: ClientAddr::new(address),
            server: ServerAddr::new(address),
            transport: Transport::Udp,
        };
        Client { five_tuple, path: PathId(path), entrance: Entrance::Direct }
    }

    fn post(mailbox: &Mailbox, path: u32, packet: &[u8]) -> bool {
        mailbox.post(Origin::Client(client(path)), packet)
    }

    /// What the next parcel holds.
    fn next(mailbox: &Mailbox) -> (Origin, Vec<u8>) {
        let mut parcel = mailbox.next_parcel().unwrap();
        let (buffer, packet) = parcel.packet_mut();
        assert!(packet.start >= HEADROOM && buffer.len() >= packet.end + TAILROOM);
        let packet = buffer[packet.range()].to_vec();
        let origin = parcel.origin;
        mailbox.recycle(parcel);
        (origin, packet)
    }

    #[test]
    fn a_full_mailbox_refuses_and_recovers() {
        let mailbox = Mailbox::new().unwrap();
        for number in 0..PARCELS {
            assert!(post(&mailbox, number as u32, b"x"));
        }
        assert!(!post(&mailbox, 0, b"too many"));
        mailbox.open();
        assert_eq!(next(&mailbox), (Origin::Client(client(0)), b"x".to_vec()));
        assert!(post(&mailbox, 9, b"again"));
    }

    #[test]
    fn what_has_another_way_leaves_half_of_the_room() {
        let mailbox = Mailbox::new().unwrap();
        assert!(!mailbox.can_spare_room(&[0; KEPT]), "larger than what is kept");
        for _ in 0..PASSED_ON {
            assert!(mailbox.can_spare_room(b"x"));
            assert!(post(&mailbox, 1, b"x"));
        }
        assert!(!mailbox.can_spare_room(b"x"));
        assert!(post(&mailbox, 1, b"x"), "a client's packet has no other");
    }

    #[test]
    fn a_parcel_used_again_holds_the_new_packet_alone() {
        let mailbox = Mailbox::new().unwrap();
        for packet in [&b"a long one"[..], b"", b"short"] {
            post(&mailbox, 1, packet);
            assert_eq!(next(&mailbox).1, packet);
        }
    }

    #[test]
    fn a_parcel_of_any_size_that_is_kept_grows_no_further_than_that() {
        let mailbox = Mailbox::new().unwrap();
        for size in [0, 1, 1200, 2000, 3000, KEPT - HEADROOM - TAILROOM] {
            post(&mailbox, 1, &vec![7; size]);
            next(&mailbox);
            assert_eq!((mailbox.spare.len(), mailbox.parcels.len()), (1, 0), "{size} bytes");
        }
    }

    #[test]
    fn a_worker_is_woken_once_for_all_that_a_round_has_for_it() {
        let mailboxes: Vec<_> = (0..2).map(|_| Arc::new(Mailbox::new().unwrap())).collect();
        let mut post = Post::new(mailboxes.clone());
        let rung = || mailboxes.iter().map(|it| it.rung.load(Ordering::SeqCst)).collect::<Vec<_>>();
        for _ in 0..3 {
            assert!(post.hand_over(1, &client(1), b"x"));
        }
        assert_eq!(rung(), [false, false]);
        post.ring();
        assert_eq!(rung(), [false, true]);
        mailboxes[1].open();
        post.ring();
        assert_eq!(rung(), [false, false]);
        assert!(!post.hand_over(7, &client(1), b"to nobody"));
    }
}
