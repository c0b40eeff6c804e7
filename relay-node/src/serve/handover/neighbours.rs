//! The other relays of this node that serve somebody: those that went before, and the one that came after.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use turn::Ledger;
use turn::ledger::OpenPorts;

use super::message::Near;
use crate::recovery::ports;

/// Another relay of this node, or this one as others see it.
#[derive(Debug)]
pub struct Neighbour {
    /// Which, and where its relayed addresses are.
    pub near: Near,
    /// Where it shows which it has.
    piece: OwnedFd,
    open: &'static OpenPorts,
}

impl Neighbour {
    /// The one that shows in `piece` what it has open.
    ///
    /// # Errors
    /// When that is something else.
    pub fn new(near: Near, piece: OwnedFd) -> io::Result<Self> {
        let open = ports::map(&piece)?;
        Ok(Self { near, piece, open })
    }

    /// What it has open.
    pub fn open(&self) -> &'static OpenPorts {
        self.open
    }

    /// The same once more.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { near: self.near, piece: self.piece.try_clone()?, open: self.open })
    }

    /// What it shows, to be passed on.
    pub fn into_passed(self) -> (Near, OwnedFd) {
        (self.near, self.piece)
    }
}

impl AsFd for Neighbour {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.piece.as_fd()
    }
}

/// Lets the clients of `ledger` reach those of `neighbours`, and of nobody else.
pub fn set<'n>(ledger: &Ledger, neighbours: impl IntoIterator<Item = &'n Neighbour>) {
    let beside = |it: &Neighbour| turn::ledger::Neighbour { relay: it.near.relay(), open: it.open };
    ledger.set_neighbours(&neighbours.into_iter().map(beside).collect::<Vec<_>>());
}

/// The neighbours that a relay is told of.
#[derive(Debug)]
pub struct Told {
    ledger: Arc<Ledger>,
    neighbours: Vec<Neighbour>,
}

impl Told {
    /// None yet.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, neighbours: Vec::new() }
    }

    /// Takes these, and no others, for neighbours.
    ///
    /// # Errors
    /// When they cannot be looked at. Then those before stay.
    pub fn replace(&mut self, near: Vec<Near>, pieces: Vec<OwnedFd>) -> io::Result<()> {
        if near.len() != pieces.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut neighbours = Vec::with_capacity(near.len());
        for (near, piece) in near.into_iter().zip(pieces) {
            // One that is known is mapped already.
            let known = self.neighbours.iter().find(|known| known.near == near);
            neighbours.push(known.map_or_else(|| Neighbour::new(near, piece), Neighbour::try_clone)?);
        }
        self.neighbours = neighbours;
        set(&self.ledger, &self.neighbours);
        Ok(())
    }
}
