//! An allocation with all that belongs to it, as bytes that another process can go on from, on the same node or after
//! a reboot of it.
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | the layout: 1 |
//! | 24 | the clock that all times in it are told by |
//! | 8 + 8 | when it was written, by that clock and by the time of day |
//! | 4 times 8 | what was relayed so far: packets and bytes to peers, packets and bytes to the client |
//! | the rest | [records](turn::record), each behind its length in two bytes: the allocation, its permissions, its channels |

use std::time::Duration;

use turn::record::{
    AllocationRecord, ChannelRecord, PermissionRecord, Record, Survivor, Tallied, Unreadable,
};
use turn::{Monotonic, Traffic};
use zeroize::Zeroizing;

use super::moment::Moment;
use crate::recovery::records::format::Clock;

/// Grows with every change of what stands in front of the records, which have a version of their own.
pub(super) const LAYOUT: u8 = 1;

/// An allocation as somebody wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// When.
    pub at: Moment,
    /// What, with times by the clock of then.
    pub survivor: Survivor,
}

impl Written {
    /// With the key of its owner in it.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let Self { at, survivor } = self;
        let Tallied { to_peers, to_client, paid_at: _ } = survivor.tallied;
        let mut bytes = Zeroizing::new(Vec::with_capacity(512));
        bytes.push(LAYOUT);
        bytes.extend(at.clock.boot.to_be_bytes());
        let unix = at.unix.as_nanos().try_into().unwrap_or(u64::MAX);
        for number in [at.clock.namespace, at.monotonic.as_nanos(), unix]
            .into_iter()
            .chain([to_peers, to_client].into_iter().flat_map(|it| [it.packets, it.bytes]))
        {
            bytes.extend(number.to_be_bytes());
        }
        append(&mut bytes, &survivor.allocation);
        survivor.permissions.iter().for_each(|permission| append(&mut bytes, permission));
        survivor.channels.iter().for_each(|channel| append(&mut bytes, channel));
        bytes
    }

    /// Nothing if they are no such bytes: of another version, or made by somebody else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[layout], bytes) = bytes.split_first_chunk()?;
        let (boot, bytes) = bytes.split_first_chunk()?;
        let (numbers, mut bytes) = bytes.split_first_chunk::<{ 7 * size_of::<u64>() }>()?;
        let (numbers, _) = numbers.as_chunks();
        let numbers: Vec<u64> = numbers.iter().copied().map(u64::from_be_bytes).collect();
        let &[namespace, monotonic, unix, to_peers, bytes_to_peers, to_client, bytes_to_client] =
            numbers.as_slice()
        else {
            return None;
        };
        if layout != LAYOUT {
            return None;
        }
        let mut survivor = Survivor {
            allocation: AllocationRecord::decode(take(&mut bytes)?).ok()?,
            tallied: Tallied {
                to_peers: Traffic { packets: to_peers, bytes: bytes_to_peers },
                to_client: Traffic { packets: to_client, bytes: bytes_to_client },
                ..Tallied::default()
            },
            permissions: Vec::new(),
            channels: Vec::new(),
        };
        while !bytes.is_empty() {
            let record = take(&mut bytes)?;
            match PermissionRecord::decode(record) {
                Ok(permission) => survivor.permissions.push(permission),
                Err(Unreadable::Kind(_)) => survivor.channels.push(ChannelRecord::decode(record).ok()?),
                Err(_) => return None,
            }
        }
        // Somebody else's would be nobody's.
        let id = survivor.allocation.id;
        let belongs = survivor.permissions.iter().all(|it| it.allocation == id)
            && survivor.channels.iter().all(|it| it.allocation == id);
        let at = Moment {
            clock: Clock { boot: u128::from_be_bytes(*boot), namespace },
            monotonic: Monotonic::from_nanos(monotonic),
            unix: Duration::from_nanos(unix),
        };
        belongs.then_some(Self { at, survivor })
    }

    /// When it ends unless it is refreshed, by the time of day.
    pub fn expires(&self) -> Duration {
        let expiries = self.survivor.allocation.relayed.present().map(|(_, relayed)| relayed.expires);
        self.at.unix(expiries.max().unwrap_or_default())
    }

    /// When it came to be, by the time of day.
    pub fn created(&self) -> Duration {
        self.at.unix(self.survivor.allocation.created)
    }

    /// The same with times by the clock of `now`. After a reboot it begins anew as far as usage goes: what it is known
    /// by there contains when it came to be, which may be before this clock's beginning.
    pub fn translated(self, now: &Moment) -> Survivor {
        let Self { at, mut survivor } = self;
        let translate = |time: &mut Monotonic| *time = now.translate(&at, *time);
        let allocation = &mut survivor.allocation;
        if now.clock != at.clock {
            survivor.tallied = Tallied::default();
        }
        translate(&mut allocation.created);
        let relayed = &mut allocation.relayed;
        [&mut relayed.v4, &mut relayed.v6].into_iter().flatten().for_each(|it| translate(&mut it.expires));
        survivor.permissions.iter_mut().for_each(|it| translate(&mut it.expires));
        survivor.channels.iter_mut().for_each(|it| translate(&mut it.expires));
        survivor
    }
}

/// A record behind its length.
fn append<R: Record>(bytes: &mut Vec<u8>, record: &R) {
    let start = bytes.len() + size_of::<u16>();
    bytes.resize(start + R::MAX_LEN, 0);
    // It always fits.
    let length = bytes.get_mut(start..).and_then(|place| record.encode(place)).unwrap_or_default();
    bytes.truncate(start + length);
    if let Some(place) = bytes.get_mut(start - size_of::<u16>()..start) {
        place.copy_from_slice(&(length as u16).to_be_bytes());
    }
}

fn take<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (record, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    *bytes = rest;
    Some(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::allocations::example::written;

    proptest! {
        #[test]
        fn an_allocation_is_read_as_it_was_written(
            slot in 0..100_u32,
            permissions in 0..20_usize,
            channels in 0..20_usize,
            tallies: [u32; 4],
        ) {
            let mut written = written(slot, permissions, channels);
            let [packets, bytes, back, back_bytes] = tallies.map(u64::from);
            written.survivor.tallied.to_peers = Traffic { packets, bytes };
            written.survivor.tallied.to_client = Traffic { packets: back, bytes: back_bytes };
            prop_assert_eq!(Written::decode(&written.encode()), Some(written));
        }

        #[test]
        fn no_bytes_break_it(place: u16, change: u8, length: u16, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut whole = written(1, 2, 2).encode();
            let (place, length) = (usize::from(place) % whole.len(), usize::from(length) % whole.len());
            whole[place] ^= change;
            let _ = (Written::decode(&whole), Written::decode(&bytes));
            // Cut between two of its records it is one with fewer of them.
            let cut = Written::decode(&whole[..length]);
            prop_assert!(cut.is_none_or(|cut| cut.survivor.permissions.len() + cut.survivor.channels.len() < 4));
        }
    }

    #[test]
    fn a_permission_of_another_allocation_is_refused() {
        let mut written = written(1, 1, 0);
        written.survivor.permissions[0].allocation = super::tests::written(2, 0, 0).survivor.allocation.id;
        assert_eq!(Written::decode(&written.encode()), None);
    }

    #[test]
    fn after_a_reboot_it_has_as_long_to_live_and_has_relayed_nothing_yet() {
        let mut written = written(1, 1, 1);
        written.survivor.tallied.to_peers.bytes = 7;
        let until = |survivor: &Survivor| {
            let relayed = survivor.allocation.relayed.v4.unwrap().expires;
            [relayed, survivor.permissions[0].expires, survivor.channels[0].expires]
        };
        let before = until(&written.survivor).map(|it| it.since(written.at.monotonic));
        let minute = Duration::from_secs(60);
        let clock = Clock { boot: 2, namespace: 0 };
        let now = Moment { clock, monotonic: Monotonic::from_nanos(5), unix: written.at.unix + minute };
        let after = written.clone().translated(&now);
        assert_eq!(until(&after).map(|it| it.since(now.monotonic) + minute), before);
        assert_eq!(after.tallied.to_peers.bytes, 0);
        assert_eq!(
            written.clone().translated(&written.at),
            written.survivor,
            "in the same boot nothing changes"
        );
    }
}
