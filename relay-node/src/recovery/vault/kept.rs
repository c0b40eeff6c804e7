//! Pieces that are kept whole: each time under a new number, so that the one before is there until this one is.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;

use super::Vault;

/// Says that what follows was kept.
const MAGIC: [u8; 8] = *b"EdgeKept";
/// Magic, length and check.
const HEADER_LEN: usize = 16;
/// Nothing of a relay is longer.
const LONGEST: usize = 64 * 1024 * 1024;

impl Vault {
    /// Keeps `bytes` as `name` instead of what was kept under it: whoever is killed meanwhile leaves the one or
    /// the other, whole.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > LONGEST {
            return Err(io::Error::new(ErrorKind::FileTooLarge, format!("{name} is too long to be kept")));
        }
        let former = self.numbers_of(name)?;
        let number = former.first().map_or(0, |highest| highest.wrapping_add(1));
        let new = numbered(name, number);
        let written = self.create(&new).and_then(|piece| {
            let mut file = File::from(piece);
            file.write_all(&header(bytes))?;
            file.write_all(bytes)?;
            file.sync_data()
        });
        if let Err(error) = written {
            // So that it does not take the room that the next one may need.
            self.remove(&new)?;
            return Err(error);
        }
        former.into_iter().try_for_each(|former| self.remove(&numbered(name, former)))
    }

    /// What [`Self::keep`] kept last; nothing if it was damaged.
    pub fn kept(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        for number in self.numbers_of(name)? {
            if let Some(piece) = self.open(&numbered(name, number))?
                && let Some(bytes) = read(File::from(piece))?
            {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Under which numbers something is kept as `name`, the newest first.
    fn numbers_of(&self, name: &str) -> io::Result<Vec<u64>> {
        let names = self.names()?;
        let number = |piece: &String| piece.strip_prefix(name)?.strip_prefix('.')?.parse().ok();
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        Ok(numbers)
    }
}

fn numbered(name: &str, number: u64) -> String {
    format!("{name}.{number}")
}

fn header(bytes: &[u8]) -> [u8; HEADER_LEN] {
    let (mut header, length) = ([0; HEADER_LEN], bytes.len() as u32);
    let fields = MAGIC.into_iter().chain(length.to_le_bytes()).chain(crc32fast::hash(bytes).to_le_bytes());
    header.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
    header
}

/// The bytes behind the header, if all of them are there as they were.
fn read(file: File) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    let Some(length) = length.checked_sub(HEADER_LEN as u64).filter(|length| *length <= LONGEST as u64)
    else {
        return Ok(None);
    };
    let (mut found, mut bytes) = ([0; HEADER_LEN], vec![0; length as usize]);
    // At offsets, since all copies of a descriptor have one place in the file together.
    match file.read_exact_at(&mut found, 0).and_then(|()| file.read_exact_at(&mut bytes, HEADER_LEN as u64)) {
        Ok(()) => Ok((found == header(&bytes)).then_some(bytes)),
        // Somebody cut it short meanwhile.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
