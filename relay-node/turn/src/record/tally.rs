//! What packets change of an allocation.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ledger::PaidAt;
use crate::stats::Traffic;
use crate::time::Monotonic;

/// What packets have changed of one allocation: a line of memory that outlives the process, if its driver
/// puts it there, and that the core writes for every packet. All zeros is one of a new allocation.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Tally {
    to_peers: Count,
    to_client: Count,
    user_paid_at: AtomicU64,
    total_paid_at: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Count {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// What stands in a [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// What was relayed from the client.
    pub to_peers: Traffic,
    /// What was relayed to the client.
    pub to_client: Traffic,
    /// What its user and all users together had to pay for after its last packet.
    pub paid_at: PaidAt,
}

impl Tally {
    /// So many numbers of 64 bits it begins with: the rest of its line is not used.
    pub const WORDS: usize = 6;

    /// One with these numbers, as they stand in the memory of another one.
    pub fn from_words(words: [u64; Self::WORDS]) -> Self {
        let [to_peers, to_peers_bytes, to_client, to_client_bytes, user, total] = words.map(AtomicU64::new);
        Self {
            to_peers: Count { packets: to_peers, bytes: to_peers_bytes },
            to_client: Count { packets: to_client, bytes: to_client_bytes },
            user_paid_at: user,
            total_paid_at: total,
        }
    }

    /// What stands there. Of a worker that was killed while it wrote, one packet may be counted by half.
    pub fn read(&self) -> Tallied {
        let time = |nanos: &AtomicU64| Monotonic::from_nanos(nanos.load(Ordering::Relaxed));
        Tallied {
            to_peers: self.to_peers.read(),
            to_client: self.to_client.read(),
            paid_at: PaidAt { user: time(&self.user_paid_at), total: time(&self.total_paid_at) },
        }
    }

    /// Puts other numbers there. Only stores: the allocation itself has the numbers to count on, so that no
    /// packet waits for this line.
    pub fn write(&self, tallied: &Tallied) {
        self.to_peers.write(tallied.to_peers);
        self.to_client.write(tallied.to_client);
        self.user_paid_at.store(tallied.paid_at.user.as_nanos(), Ordering::Relaxed);
        self.total_paid_at.store(tallied.paid_at.total.as_nanos(), Ordering::Relaxed);
    }
}

impl Count {
    fn read(&self) -> Traffic {
        Traffic { packets: self.packets.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    fn write(&self, traffic: Traffic) {
        self.packets.store(traffic.packets, Ordering::Relaxed);
        self.bytes.store(traffic.bytes, Ordering::Relaxed);
    }
}
