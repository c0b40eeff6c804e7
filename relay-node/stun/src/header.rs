//! The 20 bytes that every STUN message starts with (RFC 8489 section 5).

use std::fmt;

/// The fixed value in bytes 4 to 7 of a message, in network byte order on the wire.
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// Bytes in a STUN header.
pub const HEADER_LEN: usize = 20;

/// What a packet is, by its first two bits (RFC 8656 section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `0b00`: a STUN message.
    Stun,
    /// `0b01`: a ChannelData message.
    ChannelData,
    /// Anything else, an empty packet included.
    Other,
}

impl Kind {
    /// What `packet` claims to be.
    #[inline]
    pub fn of(packet: &[u8]) -> Self {
        match packet.first().map(|first| first >> 6) {
            Some(0b00) => Self::Stun,
            Some(0b01) => Self::ChannelData,
            _ => Self::Other,
        }
    }
}

/// The class of a message (RFC 8489 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Answers a request that was carried out.
    Success,
    /// Answers a request that was not.
    Error,
}

/// The method of a message: 12 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// Binding (RFC 8489).
    pub const BINDING: Self = Self(0x001);
    /// Allocate (RFC 8656).
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh (RFC 8656).
    pub const REFRESH: Self = Self(0x004);
    /// Send (RFC 8656), an indication.
    pub const SEND: Self = Self(0x006);
    /// Data (RFC 8656), an indication.
    pub const DATA: Self = Self(0x007);
    /// CreatePermission (RFC 8656).
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// ChannelBind (RFC 8656).
    pub const CHANNEL_BIND: Self = Self(0x009);

    /// The method with number `code`, if that fits into 12 bits.
    pub const fn new(code: u16) -> Option<Self> {
        if code <= 0xFFF { Some(Self(code)) } else { None }
    }

    /// The method's number.
    pub const fn code(self) -> u16 {
        self.0
    }

    const fn name(self) -> Option<&'static str> {
        match self {
            Self::BINDING => Some("Binding"),
            Self::ALLOCATE => Some("Allocate"),
            Self::REFRESH => Some("Refresh"),
            Self::SEND => Some("Send"),
            Self::DATA => Some("Data"),
            Self::CREATE_PERMISSION => Some("CreatePermission"),
            Self::CHANNEL_BIND => Some("ChannelBind"),
            _ => None,
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Method({:#05x})", self.0),
        }
    }
}

/// What ties an answer to its request: 96 bits of the client's choice.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId([u8; 12]);

impl TransactionId {
    /// The transaction with these bytes.
    pub const fn new(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The bytes as they are on the wire.
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransactionId(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The first 16 bits of a message: M11..M7 C1 M6..M4 C0 M3..M0 below two zero bits.
pub(crate) const fn message_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x000,
        Class::Indication => 0x010,
        Class::Success => 0x100,
        Class::Error => 0x110,
    };
    let code = method.0;
    (code & 0xF80) << 2 | (code & 0x070) << 1 | (code & 0x00F) | class
}

/// The class in a message type.
pub(crate) const fn class_of(message_type: u16) -> Class {
    match (message_type & 0x100 != 0, message_type & 0x010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    }
}

/// The method in a message type.
pub(crate) const fn method_of(message_type: u16) -> Method {
    Method((message_type >> 2) & 0xF80 | (message_type >> 1) & 0x070 | message_type & 0x00F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_and_method_has_one_type() {
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            for code in 0..=0xFFF {
                let method = Method::new(code).unwrap();
                let message_type = message_type(class, method);
                assert!(message_type < 0x4000, "the first two bits are zero");
                assert_eq!((class_of(message_type), method_of(message_type)), (class, method));
            }
        }
        assert_eq!(Method::new(0x1000), None);
    }

    #[test]
    fn types_are_those_of_the_registry() {
        assert_eq!(message_type(Class::Request, Method::BINDING), 0x0001);
        assert_eq!(message_type(Class::Success, Method::ALLOCATE), 0x0103);
        assert_eq!(message_type(Class::Error, Method::CHANNEL_BIND), 0x0119);
        assert_eq!(message_type(Class::Indication, Method::DATA), 0x0017);
    }

    #[test]
    fn the_first_two_bits_tell_the_kind() {
        assert_eq!(Kind::of(&[0x00, 0x01]), Kind::Stun);
        assert_eq!(Kind::of(&[0x40, 0x00]), Kind::ChannelData);
        assert_eq!(Kind::of(&[0x7F]), Kind::ChannelData);
        assert_eq!(Kind::of(&[0x80]), Kind::Other);
        assert_eq!(Kind::of(&[0xC0]), Kind::Other);
        assert_eq!(Kind::of(&[]), Kind::Other);
    }
}
