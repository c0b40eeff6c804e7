//! Any bytes as a file of records, and as records: whatever stands there, reading it comes to an end, and what
//! is read is what was written.

#![no_main]

#[path = "../../src/recovery/records/format/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the relay writes, too")]
mod format;

use std::fmt::Debug;
use std::io;

use format::{
    ALLOCATIONS, CHANNELS, Contents, DELETIONS, Header, Owner, PERMISSIONS, RESERVATIONS, Shape, Source,
    TALLIES, face,
};
use libfuzzer_sys::fuzz_target;
use turn::record::{
    AllocationRecord, ChannelRecord, DeletionRecord, PermissionRecord, Record, ReservationRecord, VERSION,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = Header::from_bytes(bytes) {
        assert!(bytes.starts_with(&header.to_bytes()), "a header has one form");
    }
    has_one_form::<AllocationRecord>(bytes);
    has_one_form::<PermissionRecord>(bytes);
    has_one_form::<ChannelRecord>(bytes);
    has_one_form::<ReservationRecord>(bytes);
    has_one_form::<DeletionRecord>(bytes);

    let image = Image::of(bytes);
    for owner in [Owner::Worker(0), Owner::Node] {
        let contents = Contents::read(&image, owner).expect("memory can be read");
        if !image.is_forged {
            image.has(contents.allocations.iter().map(|(record, _)| record));
            image.has(contents.permissions.iter().map(|(_, record)| record));
            image.has(contents.channels.iter().map(|(_, record)| record));
            image.has(contents.deletions.iter().map(|(_, record)| record));
            image.has(&contents.reservations);
        }
    }
});

fn has_one_form<R: Record + Debug>(bytes: &[u8]) {
    if let Ok(record) = R::decode(bytes) {
        let version = u16::from_be_bytes([bytes[0], bytes[1]]);
        assert_eq!(encoded(version, &record), bytes, "{record:?}");
    }
}

fn encoded<R: Record>(version: u16, record: &R) -> Vec<u8> {
    let mut bytes = vec![0; R::MAX_LEN];
    let length = record.encode_as(version, &mut bytes).expect("it fits");
    bytes.truncate(length);
    bytes
}

/// A sparse file, made of what is written here and there.
#[derive(Default)]
struct Image {
    /// Later ones lie over earlier ones.
    extents: Vec<(u64, Vec<u8>)>,
    /// What was written as records.
    records: Vec<Vec<u8>>,
    /// Whether something was written in another way.
    is_forged: bool,
}

impl Image {
    /// Of writes one behind the other: what (the table in the low bits; with the highest bit, bytes as they
    /// come), cell, sequence number, length, and so many bytes.
    fn of(bytes: &[u8]) -> Self {
        let (mut image, mut rest) = (Self::default(), bytes);
        while let Some(([what, cell, sequence, high, low], behind)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
            let (record, behind) = behind.split_at(length);
            rest = behind;
            let shapes = [ALLOCATIONS, PERMISSIONS, CHANNELS, RESERVATIONS, DELETIONS];
            let shape = &shapes[usize::from(what & 0x7F) % shapes.len()];
            let cell = usize::from(*cell);
            if what & 0x80 != 0 {
                image.is_forged = true;
                image.extents.push((start(shape, cell) + u64::from(*sequence), record.to_vec()));
                image.extents.push((TALLIES.start, record.to_vec()));
            } else if record.len() <= shape.body + shape.tail {
                image.write(shape, cell, u64::from(*sequence), record);
            }
        }
        image
    }

    /// As a relay does.
    fn write(&mut self, shape: &Shape, cell: usize, sequence: u64, record: &[u8]) {
        let face = (sequence % 2) as usize;
        let (body, words) = ((face::HEADER_LEN + shape.body) as u64, 8);
        let faces = start(shape, cell) + face as u64 * body;
        let tails = shape.tails.place(cell).map_or(0, |(segment, offset)| {
            shape.tails.start_of(segment) + (offset + face * shape.tail) as u64
        });
        for (word, value) in face::stores(sequence, record) {
            let place = word as u64 * words;
            let offset = if place < body { faces + place } else { tails + place - body };
            self.extents.push((offset, value.to_ne_bytes().to_vec()));
        }
        self.records.push(record.to_vec());
    }

    fn has<'r, R: Record + Debug + 'r>(&self, records: impl IntoIterator<Item = &'r R>) {
        for record in records {
            let written = (1..=VERSION).any(|version| self.records.contains(&encoded(version, record)));
            assert!(written, "{record:?} was never written");
        }
    }
}

fn start(shape: &Shape, cell: usize) -> u64 {
    let (segment, offset) = shape.faces.place(cell).expect("every table has more cells");
    shape.faces.start_of(segment) + offset as u64
}

impl Source for Image {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0);
        for (start, extent) in &self.extents {
            let (skip, at) = (offset.saturating_sub(*start) as usize, start.saturating_sub(offset) as usize);
            if let (Some(extent), Some(bytes)) = (extent.get(skip..), bytes.get_mut(at..)) {
                bytes.iter_mut().zip(extent).for_each(|(byte, written)| *byte = *written);
            }
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        let behind = self.extents.iter().filter(|(start, extent)| start + extent.len() as u64 > offset);
        Ok(behind.map(|(start, _)| *start.max(&offset)).min())
    }
}
