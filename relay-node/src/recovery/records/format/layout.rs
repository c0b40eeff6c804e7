//! Where in a file everything stands.
//!
//! Each area is at a place of its own, with room for the most that there can be: what was never used takes none
//! of the disk or of the tmpfs. Room is taken a segment at a time.

use turn::record::{AllocationRecord, DeletionRecord, Record, ReservationRecord};
use turn::{AddressFamily, RelayPort};

use super::face;

/// Bytes of which room is taken at once: a multiple of every system's page size.
pub const SEGMENT: usize = 64 * 1024;

/// Allocations of a worker: each has a port of one address family at least.
const MOST_ALLOCATIONS: usize = 2 * PORTS;
/// Permissions, and channels: more than any quota that makes sense.
const MOST_PEERS: usize = 4 * 1024 * 1024;
/// Deletions that a worker remembers.
const MOST_DELETIONS: usize = 4096;
const PORTS: usize = 1 << 16;
/// Bytes of a [`Tally`](turn::record::Tally).
const TALLY_LEN: usize = 64;

/// What packets change of each allocation.
pub const TALLIES: Area = Area::behind(SEGMENT as u64, TALLY_LEN, MOST_ALLOCATIONS);
/// Allocations. Those with long names and realms have a tail.
pub const ALLOCATIONS: Shape = Shape::behind(TALLIES.end(), 240, 1536, MOST_ALLOCATIONS);
/// Permissions.
pub const PERMISSIONS: Shape = Shape::behind(ALLOCATIONS.end(), 48, 0, MOST_PEERS);
/// Channels.
pub const CHANNELS: Shape = Shape::behind(PERMISSIONS.end(), 48, 0, MOST_PEERS);
/// Deletions.
pub const DELETIONS: Shape = Shape::behind(CHANNELS.end(), 80, 0, MOST_DELETIONS);
/// Reservations, of which the workers of a node have one file together. Those with long names have a tail.
pub const RESERVATIONS: Shape = Shape::behind(SEGMENT as u64, 112, 512, 2 * PORTS);

const _: () = {
    assert!(size_of::<turn::record::Tally>() == TALLY_LEN);
    assert!(AllocationRecord::MAX_LEN <= ALLOCATIONS.body + ALLOCATIONS.tail);
    assert!(turn::record::PermissionRecord::MAX_LEN <= PERMISSIONS.body);
    assert!(turn::record::ChannelRecord::MAX_LEN <= CHANNELS.body);
    assert!(DeletionRecord::MAX_LEN <= DELETIONS.body);
    assert!(ReservationRecord::MAX_LEN <= RESERVATIONS.body + RESERVATIONS.tail);
};

/// The cell of a port's reservation.
pub const fn reservation(family: AddressFamily, port: RelayPort) -> usize {
    let family = match family {
        AddressFamily::V4 => 0,
        AddressFamily::V6 => PORTS,
    };
    family + port.get() as usize
}

/// Cells of one size, none of which lies in two segments.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// Where in the file it begins.
    pub start: u64,
    /// Bytes of a cell.
    pub cell_len: usize,
    /// How many cells.
    pub cells: usize,
}

impl Area {
    const fn behind(start: u64, cell_len: usize, cells: usize) -> Self {
        Self { start, cell_len, cells }
    }

    /// Cells of a segment.
    pub const fn in_segment(&self) -> usize {
        SEGMENT / self.cell_len
    }

    /// Where the area ends.
    pub const fn end(&self) -> u64 {
        self.start_of(self.cells.div_ceil(self.in_segment()))
    }

    /// Where a segment begins.
    pub const fn start_of(&self, segment: usize) -> u64 {
        self.start + (segment * SEGMENT) as u64
    }

    /// The segment of a cell, and where in it that begins. None if there is no such cell.
    pub fn place(&self, cell: usize) -> Option<(usize, usize)> {
        let place = (cell / self.in_segment(), cell % self.in_segment() * self.cell_len);
        (cell < self.cells).then_some(place)
    }
}

/// Cells with two faces, and with two tails elsewhere, if records may be longer than a face.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Where the faces are.
    pub faces: Area,
    /// Where the tails are.
    pub tails: Area,
    /// Bytes of a record that a face takes.
    pub body: usize,
    /// Bytes of a record that a tail takes.
    pub tail: usize,
}

impl Shape {
    const fn behind(start: u64, body: usize, tail: usize, cells: usize) -> Self {
        let faces = Area::behind(start, 2 * (face::HEADER_LEN + body), cells);
        // Of no cells, where there are no tails.
        let tails = if tail == 0 {
            Area::behind(faces.end(), SEGMENT, 0)
        } else {
            Area::behind(faces.end(), 2 * tail, cells)
        };
        Self { faces, tails, body, tail }
    }

    const fn end(&self) -> u64 {
        self.tails.end()
    }
}
