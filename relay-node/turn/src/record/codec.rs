//! Records as bytes: a version, a kind, then the fields in their order, each in one form only. Records of former
//! versions are read, and written for relays that know no later one: what they do not have is left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use stun::TransactionId;
use stun::attribute::AddressFamily;
use thiserror::Error;

use crate::time::Monotonic;

/// The version of the encoding of all records, and of [`Tally`](super::Tally)'s layout. Grows with every
/// change.
///
/// The feature `next-record-version` makes it one more than it is, for tests of what happens when it grows.
pub const VERSION: u16 = 1 + cfg!(feature = "next-record-version") as u16;

/// The first version, which can still be read.
const OLDEST: u16 = 1;

/// Whether records of that version can be read, and written.
pub const fn is_known(version: u16) -> bool {
    OLDEST <= version && version <= VERSION
}

/// Something that is kept as bytes.
pub trait Record: Field {
    /// Tells it from records of other kinds.
    const KIND: u8;
    /// Bytes that one takes at most.
    const MAX_LEN: usize = HEADER_LEN + Self::MOST;

    /// Writes it to the front of `cell`, and tells how many bytes it takes; nothing if it does not fit, which
    /// it does in [`Self::MAX_LEN`].
    fn encode(&self, cell: &mut [u8]) -> Option<usize> {
        self.encode_as(VERSION, cell)
    }

    /// The same for a relay that reads no later version than that. Nothing if it [is not
    /// known](is_known) here.
    fn encode_as(&self, version: u16, cell: &mut [u8]) -> Option<usize> {
        let mut writer = Writer { version, cell, len: 0, fits: true };
        version.write(&mut writer);
        Self::KIND.write(&mut writer);
        self.write(&mut writer);
        (writer.fits && is_known(writer.version)).then_some(writer.len)
    }

    /// Reads what [`Self::encode`] wrote, in this version or a former one: all of `bytes`, and nothing else
    /// than that.
    ///
    /// # Errors
    /// When they are of a later version or another kind, or no record.
    fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader { version: VERSION, rest: bytes };
        reader.version = u16::read(&mut reader)?;
        if !is_known(reader.version) {
            return Err(Unreadable::Version(reader.version));
        }
        match u8::read(&mut reader)? {
            kind if kind == Self::KIND => {}
            other => return Err(Unreadable::Kind(other)),
        }
        let record = Self::read(&mut reader)?;
        if reader.rest.is_empty() { Ok(record) } else { Err(Unreadable::Long(reader.rest.len())) }
    }
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// A later version of the relay wrote it.
    #[error("the record is of version {0}, this relay reads versions up to {VERSION}")]
    Version(u16),
    /// It stands where records of another kind are kept.
    #[error("the record is of kind {0}, which does not belong there")]
    Kind(u8),
    /// It ends too early.
    #[error("the record is cut short")]
    Short,
    /// So many bytes are behind its end.
    #[error("the record has {0} bytes too many")]
    Long(usize),
    /// A field holds what no relay writes.
    #[error("the record's {0} is none that there can be")]
    Value(&'static str),
}

/// Version and kind.
const HEADER_LEN: usize = 3;

/// A part of a record.
pub trait Field: Sized {
    /// Bytes that one takes at most.
    const MOST: usize;

    /// Writes it behind what is there.
    fn write(&self, to: &mut Writer<'_>);

    /// Reads the next one.
    ///
    /// # Errors
    /// When the bytes are none.
    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable>;
}

/// Writes fields one behind the other, as long as there is room.
pub struct Writer<'c> {
    /// What fields write for whom.
    version: u16,
    cell: &'c mut [u8],
    len: usize,
    fits: bool,
}

impl Writer<'_> {
    #[cfg(feature = "next-record-version")]
    pub(super) const fn version(&self) -> u16 {
        self.version
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        match self.cell.get_mut(self.len..).and_then(|free| free.get_mut(..bytes.len())) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.fits = false,
        }
    }

    /// Bytes behind their number.
    pub(super) fn put_counted(&mut self, bytes: &[u8]) {
        (bytes.len() as u16).write(self);
        self.put(bytes);
    }
}

/// Reads fields one behind the other.
pub struct Reader<'b> {
    /// Of whom the fields are.
    version: u16,
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    #[cfg(feature = "next-record-version")]
    pub(super) const fn version(&self) -> u16 {
        self.version
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Unreadable::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Bytes behind their number.
    pub(super) fn take_counted(&mut self) -> Result<&'b [u8], Unreadable> {
        let count = u16::read(self)?;
        let (taken, rest) = self.rest.split_at_checked(count.into()).ok_or(Unreadable::Short)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Makes a struct a field of which each of its own is written in turn.
macro_rules! fields {
    ($name:ident { $($(#[$when:meta])? $field:ident: $kind:ty),* $(,)? }) => {
        impl Field for $name {
            const MOST: usize = {
                let most = 0;
                $($(#[$when])? let most = most + <$kind as Field>::MOST;)*
                most
            };

            fn write(&self, to: &mut Writer<'_>) {
                $($(#[$when])? self.$field.write(to);)*
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
                Ok(Self { $($(#[$when])? $field: <$kind>::read(from)?),* })
            }
        }
    };
}

/// Makes an enum a field of one byte.
macro_rules! choices {
    ($name:ident { $($choice:ident = $code:literal),* } $what:literal) => {
        impl Field for $name {
            const MOST: usize = u8::MOST;

            fn write(&self, to: &mut Writer<'_>) {
                let code: u8 = match self {
                    $(Self::$choice => $code,)*
                };
                code.write(to);
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
                match u8::read(from)? {
                    $($code => Ok(Self::$choice),)*
                    _ => Err(Unreadable::Value($what)),
                }
            }
        }
    };
}

macro_rules! numbers {
    ($($number:ident)*) => {
        $(impl Field for $number {
            const MOST: usize = size_of::<Self>();

            fn write(&self, to: &mut Writer<'_>) {
                to.put(&self.to_be_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
                from.take().map(Self::from_be_bytes)
            }
        })*
    };
}

pub(super) use {choices, fields};

numbers!(u8 u16 u32 u64);
choices!(AddressFamily { V4 = 4, V6 = 6 } "address family");

impl<const N: usize> Field for [u8; N] {
    const MOST: usize = N;

    fn write(&self, to: &mut Writer<'_>) {
        to.put(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        from.take()
    }
}

impl<T: Field> Field for Option<T> {
    const MOST: usize = 1 + T::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        u8::from(self.is_some()).write(to);
        if let Some(field) = self {
            field.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        match u8::read(from)? {
            0 => Ok(None),
            1 => T::read(from).map(Some),
            _ => Err(Unreadable::Value("mark of what may be missing")),
        }
    }
}

impl Field for Monotonic {
    const MOST: usize = u64::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        self.as_nanos().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        u64::read(from).map(Self::from_nanos)
    }
}

impl Field for TransactionId {
    const MOST: usize = 12;

    fn write(&self, to: &mut Writer<'_>) {
        self.as_bytes().write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        from.take().map(Self::new)
    }
}

impl Field for IpAddr {
    const MOST: usize = AddressFamily::MOST + 16;

    fn write(&self, to: &mut Writer<'_>) {
        AddressFamily::of(*self).write(to);
        match self {
            Self::V4(v4) => v4.octets().write(to),
            Self::V6(v6) => v6.octets().write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(match AddressFamily::read(from)? {
            AddressFamily::V4 => Self::V4(Ipv4Addr::from_octets(from.take()?)),
            AddressFamily::V6 => Self::V6(Ipv6Addr::from_octets(from.take()?)),
        })
    }
}

impl Field for SocketAddr {
    const MOST: usize = IpAddr::MOST + u16::MOST + 2 * u32::MOST;

    fn write(&self, to: &mut Writer<'_>) {
        self.ip().write(to);
        self.port().write(to);
        if let Self::V6(v6) = self {
            v6.flowinfo().write(to);
            v6.scope_id().write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let (ip, port) = (IpAddr::read(from)?, u16::read(from)?);
        Ok(match ip {
            IpAddr::V4(v4) => Self::V4(SocketAddrV4::new(v4, port)),
            IpAddr::V6(v6) => {
                let (flow, scope) = (u32::read(from)?, u32::read(from)?);
                Self::V6(SocketAddrV6::new(v6, port, flow, scope))
            }
        })
    }
}
