//! What a file of records is of.

use thiserror::Error;
use turn::record::VERSION;

/// Says that it is a file of records.
const MAGIC: [u8; 8] = *b"EdgeRecs";
/// Grows with every change of what stands where.
const LAYOUT: u32 = 1;

/// What the times of records are told by: times of another clock mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// The kernel's number for its boot.
    pub boot: u128,
    /// The time namespace (time_namespaces(7)), in which CLOCK_BOOTTIME may have another origin.
    pub namespace: u64,
}

/// Whose records they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The worker of this number.
    Worker(u32),
    /// All workers of the node together.
    Node,
}

/// What stands at the beginning of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The encoding of its records.
    pub version: u16,
    /// The generation that wrote it.
    pub generation: u64,
    /// Who of it.
    pub owner: Owner,
    /// By which clock.
    pub clock: Clock,
}

/// A file that is none of ours, or not one that this relay can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Stranger {
    /// It begins otherwise.
    #[error("is no file of records")]
    Magic,
    /// It begins so, and goes on otherwise.
    #[error("has a damaged header")]
    Damaged,
    /// Of another version of the relay.
    #[error("is of layout {0}, this relay reads layout {LAYOUT}")]
    Layout(u32),
    /// Of a later version of the relay.
    #[error("holds records of version {0}, this relay reads versions up to {VERSION}")]
    Version(u16),
}

/// The owner of what is the node's.
const NODE: u32 = u32::MAX;

impl Header {
    /// Bytes that one takes.
    pub const LEN: usize = 64;

    /// As bytes.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let Self { version, generation, owner, clock } = self;
        let owner = match owner {
            Owner::Worker(worker) => worker,
            Owner::Node => NODE,
        };
        let fields = MAGIC
            .into_iter()
            .chain(LAYOUT.to_ne_bytes())
            .chain(u32::from(version).to_ne_bytes())
            .chain(generation.to_ne_bytes())
            .chain(clock.boot.to_ne_bytes())
            .chain(clock.namespace.to_ne_bytes())
            .chain(owner.to_ne_bytes());
        let mut bytes = [0; Self::LEN];
        bytes.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        if let Some((fields, check)) = bytes.split_last_chunk_mut() {
            *check = crc32fast::hash(fields).to_ne_bytes();
        }
        bytes
    }

    /// From the beginning of a file, as many bytes as there are.
    ///
    /// # Errors
    /// When this relay cannot read what follows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Stranger> {
        let mut rest = bytes.get(..Self::LEN).ok_or(Stranger::Magic)?;
        if take(&mut rest)? != MAGIC {
            return Err(Stranger::Magic);
        }
        let layout = u32::from_ne_bytes(take(&mut rest)?);
        if layout != LAYOUT {
            return Err(Stranger::Layout(layout));
        }
        let version = u32::from_ne_bytes(take(&mut rest)?) as u16;
        let generation = u64::from_ne_bytes(take(&mut rest)?);
        let boot = u128::from_ne_bytes(take(&mut rest)?);
        let namespace = u64::from_ne_bytes(take(&mut rest)?);
        let owner = match u32::from_ne_bytes(take(&mut rest)?) {
            NODE => Owner::Node,
            worker => Owner::Worker(worker),
        };
        let header = Self { version, generation, owner, clock: Clock { boot, namespace } };
        // All bytes have one meaning only.
        if !bytes.starts_with(&header.to_bytes()) {
            return Err(Stranger::Damaged);
        }
        if turn::record::is_known(version) { Ok(header) } else { Err(Stranger::Version(version)) }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Stranger> {
    let (taken, behind) = rest.split_first_chunk().ok_or(Stranger::Magic)?;
    *rest = behind;
    Ok(*taken)
}
