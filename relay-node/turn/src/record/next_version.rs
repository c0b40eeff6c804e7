//! What the version after this one might have more.

use super::codec::{Field, Reader, Unreadable, VERSION, Writer};

/// A field that records of former versions do not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Novelty(pub(crate) u32);

impl Field for Novelty {
    const MOST: usize = u32::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        if to.version() == VERSION {
            self.0.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        if from.version() == VERSION { u32::read(from).map(Self) } else { Ok(Self::default()) }
    }
}
