//! Two faces as bytes, and what they say.

use super::face;

/// A record whose check tells that it is not what was written: no kill leaves that, only foreign hands or broken
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The face of a cell that counts.
#[derive(Debug)]
pub(super) struct Newest<'c> {
    /// Which of the two: 0 or 1. Its tail is the same one of the two tails.
    pub(super) face: usize,
    sequence: u64,
    check: u64,
    body: &'c [u8],
}

/// The face of `cell` that counts; none in one that was never written.
pub(super) fn newest(cell: &[u8]) -> Option<Newest<'_>> {
    let (first, second) = cell.split_at(cell.len() / 2);
    let faces = [first, second].into_iter().enumerate().filter_map(|(face, bytes)| {
        let (sequence, bytes) = bytes.split_first_chunk()?;
        let (check, body) = bytes.split_first_chunk()?;
        let [sequence, check] = [*sequence, *check].map(u64::from_ne_bytes);
        (check != 0).then_some(Newest { face, sequence, check, body })
    });
    faces.max_by_key(|face| face.sequence)
}

impl Newest<'_> {
    /// How many bytes of the record stand in the tail.
    pub(super) fn len_of_tail(&self) -> usize {
        face::record_len(self.check).saturating_sub(self.body.len())
    }

    /// Puts the record into `record`: of no bytes, where what was there was removed.
    ///
    /// # Errors
    /// When it is damaged.
    pub(super) fn read(&self, tail: &[u8], record: &mut Vec<u8>) -> Result<(), Damaged> {
        record.clear();
        let length = face::record_len(self.check);
        record.extend(self.body.iter().chain(tail).take(length));
        let whole = record.len() == length && face::check(self.sequence, record) == self.check;
        if whole { Ok(()) } else { Err(Damaged) }
    }
}
