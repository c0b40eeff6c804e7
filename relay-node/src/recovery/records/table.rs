//! Cells of a file as memory, which is made part of the file a segment at a time.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};

use super::format::{Area, SEGMENT, Shape, face};
use crate::recovery::memory::{Mapping, WORD};

/// All cells of one shape in one file.
#[derive(Debug)]
pub(super) struct Table {
    body: usize,
    tail: usize,
    faces: Segments,
    tails: Segments,
}

/// The segments of an area that were used so far.
#[derive(Debug)]
struct Segments {
    area: Area,
    mapped: Vec<Option<Mapping>>,
}

impl Table {
    pub(super) const fn new(shape: &Shape) -> Self {
        Self {
            body: shape.body,
            tail: shape.tail,
            faces: Segments { area: shape.faces, mapped: Vec::new() },
            tails: Segments { area: shape.tails, mapped: Vec::new() },
        }
    }

    /// Writes `record` into a cell of `file`, in place of what stands there; no bytes are none. Nobody else may
    /// write to that cell meanwhile.
    ///
    /// # Errors
    /// When there is no room for it. Then there stands what did.
    pub(super) fn write(&mut self, file: BorrowedFd<'_>, cell: usize, record: &[u8]) -> io::Result<()> {
        if record.len() > self.body + self.tail {
            return Err(ErrorKind::InvalidInput.into());
        }
        let tails: &[AtomicU64] = match record.len() > self.body {
            true => self.tails.cell(file, cell)?,
            false => &[],
        };
        let faces = self.faces.cell(file, cell)?;
        let (face, sequence) = older(faces);
        let (body, tail) = (half_of(faces, face), half_of(tails, face));
        for (word, value) in face::stores(sequence, record) {
            // Words that the face has no place for are the tail's.
            let place = body.get(word).or_else(|| tail.get(word - body.len()));
            // Release: none of these stores can be seen, or left behind, without those before it.
            place.ok_or(ErrorKind::InvalidInput)?.store(value, Ordering::Release);
        }
        Ok(())
    }

    /// Removes what this table wrote into a cell.
    pub(super) fn clear(&mut self, file: BorrowedFd<'_>, cell: usize) -> io::Result<()> {
        // What has no memory was never written.
        if self.faces.is_mapped(cell) { self.write(file, cell, &[]) } else { Ok(()) }
    }
}

/// The face that does not count, and the sequence number that makes it count.
fn older(faces: &[AtomicU64]) -> (usize, u64) {
    let [first, second] = [0, 1].map(|face| {
        let face = half_of(faces, face);
        let word = |word: usize| face.get(word).map_or(0, |word| word.load(Ordering::Acquire));
        if word(face::CHECK) == 0 { 0 } else { word(face::SEQUENCE) }
    });
    (usize::from(second < first), first.max(second).wrapping_add(1))
}

fn half_of(words: &[AtomicU64], half: usize) -> &[AtomicU64] {
    let (first, second) = words.split_at(words.len() / 2);
    if half == 0 { first } else { second }
}

impl Segments {
    /// The words of a cell.
    fn cell(&mut self, file: BorrowedFd<'_>, cell: usize) -> io::Result<&[AtomicU64]> {
        let (segment, offset) = self.area.place(cell).ok_or(ErrorKind::StorageFull)?;
        if self.mapped.len() <= segment {
            self.mapped.resize_with(segment + 1, || None);
        }
        let place = self.mapped.get_mut(segment).ok_or(ErrorKind::StorageFull)?;
        let mapping = match place {
            Some(mapping) => mapping,
            None => {
                let start = self.area.start_of(segment);
                take_room(file, start)?;
                place.insert(Mapping::of(file, start, SEGMENT)?)
            }
        };
        let words = mapping.words().get(offset / WORD..(offset + self.area.cell_len) / WORD);
        words.ok_or(ErrorKind::StorageFull.into())
    }

    fn is_mapped(&self, cell: usize) -> bool {
        let mapping = self.area.place(cell).and_then(|(segment, _)| self.mapped.get(segment));
        matches!(mapping, Some(Some(_)))
    }
}

/// Has room for a segment of `file`: without, whoever touches its memory when the disk or the tmpfs is full
/// gets a fatal signal.
pub(super) fn take_room(file: BorrowedFd<'_>, start: u64) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::empty(), start, SEGMENT as u64)?)
}
