use super::cell::{Damaged, newest};
use super::face::{self, stores};
use super::{ALLOCATIONS, PERMISSIONS, Shape};

/// The memory of one cell and of its tails.
#[derive(Clone)]
struct Cell {
    faces: Vec<u64>,
    tails: Vec<u64>,
}

impl Cell {
    fn new(shape: &Shape) -> Self {
        Self { faces: vec![0; shape.faces.cell_len / 8], tails: vec![0; 2 * shape.tail / 8] }
    }

    fn store(&mut self, face: usize, word: usize, value: u64) {
        let (body, tail) = (self.faces.len() / 2, self.tails.len() / 2);
        match word.checked_sub(body) {
            None => self.faces[face * body + word] = value,
            Some(word) => self.tails[face * tail + word] = value,
        }
    }

    fn write(&mut self, face: usize, sequence: u64, record: &[u8]) {
        stores(sequence, record).for_each(|(word, value)| self.store(face, word, value));
    }

    fn read(&self) -> Option<Result<Vec<u8>, Damaged>> {
        let bytes = |words: &[u64]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
        let (faces, tails) = (bytes(&self.faces), bytes(&self.tails));
        let newest = newest(&faces)?;
        let mut record = Vec::new();
        let tail = tails.len() / 2;
        Some(newest.read(&tails[newest.face * tail..][..tail], &mut record).map(|()| record))
    }
}

/// What a cell says after each store of the write that follows these ones.
fn said_after_each_store(
    shape: &Shape,
    former: &[&[u8]],
    record: &[u8],
) -> Vec<Option<Result<Vec<u8>, Damaged>>> {
    let mut cell = Cell::new(shape);
    let mut sequence = 0;
    for record in former {
        sequence += 1;
        cell.write(sequence as usize % 2, sequence, record);
    }
    sequence += 1;
    let mut said = vec![cell.read()];
    for (word, value) in stores(sequence, record) {
        cell.store(sequence as usize % 2, word, value);
        said.push(cell.read());
    }
    said
}

#[test]
fn a_write_that_is_cut_short_anywhere_leaves_what_was_or_what_is() {
    let (short, whole, long) = ([1; 40], [2; 240], [3; 1700]);
    let lengths: [&[u8]; 5] = [&[], &[9], &short, &whole, &long];
    for first in lengths {
        for second in lengths {
            for third in lengths {
                let mut said = said_after_each_store(&ALLOCATIONS, &[first, second], third);
                assert_eq!(said.pop(), Some(Some(Ok(third.to_vec()))));
                assert!(said.iter().all(|it| *it == Some(Ok(second.to_vec()))));
            }
        }
    }
}

#[test]
fn the_first_write_that_is_cut_short_leaves_nothing() {
    let mut said = said_after_each_store(&PERMISSIONS, &[], b"a permission");
    assert_eq!(said.pop(), Some(Some(Ok(b"a permission".to_vec()))));
    assert!(said.iter().all(Option::is_none));
}

#[test]
fn a_changed_bit_is_seen_wherever_it_is() {
    let mut cell = Cell::new(&ALLOCATIONS);
    let (former, record) = ([1; 100], [7; 300]);
    cell.write(0, 1, &former);
    cell.write(1, 2, &record);
    let body = cell.faces.len() / 2;
    for word in 0..body {
        for bit in 0..64 {
            let mut changed = cell.clone();
            changed.faces[body + word] ^= 1 << bit;
            match changed.read() {
                Some(Err(Damaged)) => {}
                // A sequence number that became the lower one.
                Some(Ok(read)) => assert!(word == face::SEQUENCE && read == former),
                None => panic!("something was written"),
            }
        }
    }
    cell.tails[ALLOCATIONS.tail / 8] ^= 1;
    assert_eq!(cell.read(), Some(Err(Damaged)));
}
