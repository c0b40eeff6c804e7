//! All that stands in a file.

use std::io;

use turn::AddressFamily;
use turn::record::{
    AllocationRecord, ChannelRecord, DeletionRecord, PermissionRecord, Record, ReservationRecord, Tallied,
    Tally,
};
use zeroize::{Zeroize, Zeroizing};

use super::cell::{Damaged, newest};
use super::header::{Header, Owner, Stranger};
use super::layout::{
    ALLOCATIONS, Area, CHANNELS, DELETIONS, PERMISSIONS, RESERVATIONS, SEGMENT, Shape, TALLIES, reservation,
};

/// Something like a sparse file.
pub trait Source {
    /// Fills `bytes` from `offset` on, with zeros where there is nothing.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Where, from `offset` on, there may be something else than zeros.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>>;
}

/// What stands in a file, each record with its place.
#[derive(Debug, Default)]
pub struct Contents {
    /// Of one worker.
    pub allocations: Vec<(AllocationRecord, Tallied)>,
    /// Of one worker.
    pub permissions: Vec<(usize, PermissionRecord)>,
    /// Of one worker.
    pub channels: Vec<(usize, ChannelRecord)>,
    /// Of one worker.
    pub deletions: Vec<(usize, DeletionRecord)>,
    /// Of a node.
    pub reservations: Vec<ReservationRecord>,
    /// Records that are left out, since they cannot be what was written.
    pub damaged: u64,
}

/// A file's beginning.
///
/// # Errors
/// When it cannot be read, or what stands there is no header.
pub fn header(source: &impl Source) -> io::Result<Result<Header, Stranger>> {
    let mut bytes = [0; Header::LEN];
    source.read_at(0, &mut bytes)?;
    Ok(Header::from_bytes(&bytes))
}

impl Contents {
    /// All that stands in a file of this owner, whose header was read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(source: &impl Source, owner: Owner) -> io::Result<Self> {
        let mut contents = Self::default();
        let mut damaged = 0;
        if owner == Owner::Node {
            damaged += each(source, &RESERVATIONS, |cell, record: ReservationRecord| {
                let family = AddressFamily::of(record.address.bind);
                let in_place = cell == reservation(family, record.port);
                in_place.then(|| contents.reservations.push(record)).ok_or(Damaged)
            })?;
        } else {
            damaged += each(source, &ALLOCATIONS, |cell, record: AllocationRecord| {
                let in_place = cell == record.id.index();
                in_place.then(|| contents.allocations.push((record, Tallied::default()))).ok_or(Damaged)
            })?;
            for (record, tallied) in &mut contents.allocations {
                *tallied = tally(source, record.id.index())?.read();
            }
            damaged += each(source, &PERMISSIONS, |cell, record| {
                contents.permissions.push((cell, record));
                Ok(())
            })?;
            damaged += each(source, &CHANNELS, |cell, record| {
                contents.channels.push((cell, record));
                Ok(())
            })?;
            damaged += each(source, &DELETIONS, |cell, record| {
                contents.deletions.push((cell, record));
                Ok(())
            })?;
        }
        contents.damaged = damaged;
        Ok(contents)
    }
}

/// Takes each record of that shape with its cell, and tells how many there are that cannot be taken.
fn each<R: Record>(
    source: &impl Source,
    shape: &Shape,
    mut take: impl FnMut(usize, R) -> Result<(), Damaged>,
) -> io::Result<u64> {
    let mut damaged = 0;
    // Keys are in what is read.
    let mut record = Zeroizing::new(Vec::with_capacity(shape.body + shape.tail));
    let mut tail = Zeroizing::new(Vec::with_capacity(shape.tail));
    each_segment(source, &shape.faces, |first, segment| {
        for (cell, bytes) in (first..shape.faces.cells).zip(segment.chunks_exact(shape.faces.cell_len)) {
            let Some(newest) = newest(bytes) else { continue };
            tail.zeroize();
            if newest.len_of_tail() > 0
                && let Some((segment, offset)) = shape.tails.place(cell)
            {
                tail.resize(shape.tail, 0);
                let offset = shape.tails.start_of(segment) + (offset + newest.face * shape.tail) as u64;
                source.read_at(offset, &mut tail)?;
            }
            let taken = match newest.read(&tail, &mut record) {
                // It was removed.
                Ok(()) if record.is_empty() => Ok(()),
                Ok(()) => R::decode(&record).map_err(|_| Damaged).and_then(|record| take(cell, record)),
                Err(damage) => Err(damage),
            };
            damaged += u64::from(taken.is_err());
        }
        Ok(())
    })?;
    Ok(damaged)
}

/// Takes each segment that may have something in it, with the number of its first cell.
fn each_segment(
    source: &impl Source,
    area: &Area,
    mut take: impl FnMut(usize, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = Zeroizing::new(vec![0; SEGMENT]);
    let mut from = area.start;
    while let Some(data) = source.next_data(from)?.filter(|data| (from..area.end()).contains(data)) {
        let segment = ((data - area.start) / SEGMENT as u64) as usize;
        source.read_at(area.start_of(segment), &mut bytes)?;
        take(segment * area.in_segment(), &bytes)?;
        from = area.start_of(segment + 1);
    }
    Ok(())
}

fn tally(source: &impl Source, slot: usize) -> io::Result<Tally> {
    let mut words = [[0; 8]; Tally::WORDS];
    if let Some((segment, offset)) = TALLIES.place(slot) {
        source.read_at(TALLIES.start_of(segment) + offset as u64, words.as_flattened_mut())?;
    }
    Ok(Tally::from_words(words.map(u64::from_ne_bytes)))
}
