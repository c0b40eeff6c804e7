//! One of the two places for a cell's record: what is written there, and in which order.
//!
//! | word | |
//! | --- | --- |
//! | 0 | the sequence number: the higher one of two faces counts |
//! | 1 | a mark, the record's length, and a check over sequence number, length and record; zero while the face is being written |
//! | 2... | the record, with zeros behind it up to a whole word |
//!
//! The last words of a long record stand in a place of their own, the tail.

/// Bytes of a word.
const WORD: usize = size_of::<u64>();
/// Bytes in front of the record.
pub const HEADER_LEN: usize = 2 * WORD;
/// Where the sequence number stands.
pub const SEQUENCE: usize = 0;
/// Where the check stands.
pub const CHECK: usize = 1;

/// Tells a check from zero, whatever it is of.
const MARK: u64 = 0xED6E << 48;

/// The stores that write `record` into a face, in the order in which they have to be made: which word, and what
/// it becomes. Who is killed between two of them leaves a face without a check, which does not count.
pub fn stores(sequence: u64, record: &[u8]) -> impl Iterator<Item = (usize, u64)> {
    let words = record.chunks(WORD).map(|bytes| {
        let mut word = [0; WORD];
        word.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        u64::from_ne_bytes(word)
    });
    [(CHECK, 0), (SEQUENCE, sequence)]
        .into_iter()
        .chain((CHECK + 1..).zip(words))
        .chain([(CHECK, check(sequence, record))])
}

/// What word 1 is when all of `record` stands there.
pub fn check(sequence: u64, record: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_ne_bytes());
    hasher.update(&(record.len() as u64).to_ne_bytes());
    hasher.update(record);
    MARK | (record.len() as u64 & 0xFFFF) << 32 | u64::from(hasher.finalize())
}

/// The length of the record that a check is of.
pub const fn record_len(check: u64) -> usize {
    (check >> 32 & 0xFFFF) as usize
}
