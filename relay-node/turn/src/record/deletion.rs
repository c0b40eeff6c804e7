//! A Refresh that deleted an allocation, or one of its relayed addresses.

use stun::TransactionId;

use super::codec::{Field, Reader, Record, Unreadable, Writer, fields};
use crate::address::FiveTuple;
use crate::time::Monotonic;

/// A Refresh that deleted something and is answered alike when it comes again (RFC 8489 section 6.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionRecord {
    /// Who sent it.
    pub five_tuple: FiveTuple,
    /// What it is known by.
    pub transaction: TransactionId,
    /// Until when it may come again.
    pub until: Monotonic,
}

impl Record for DeletionRecord {
    const KIND: u8 = 5;
}

fields!(DeletionRecord { five_tuple: FiveTuple, transaction: TransactionId, until: Monotonic });
