//! Attribute types by number (the IANA registry of STUN attributes).

use std::fmt;

/// The type of an attribute.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u16);

macro_rules! attribute_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl AttributeType {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The name in the registry, for the types that this codec knows.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

attribute_types! {
    /// MAPPED-ADDRESS, RFC 8489 section 14.1.
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS";
    /// RESPONSE-ADDRESS, RFC 3489 section 11.2.2.
    RESPONSE_ADDRESS = 0x0002, "RESPONSE-ADDRESS";
    /// CHANGE-REQUEST, RFC 3489 section 11.2.4.
    CHANGE_REQUEST = 0x0003, "CHANGE-REQUEST";
    /// SOURCE-ADDRESS, RFC 3489 section 11.2.5.
    SOURCE_ADDRESS = 0x0004, "SOURCE-ADDRESS";
    /// CHANGED-ADDRESS, RFC 3489 section 11.2.3.
    CHANGED_ADDRESS = 0x0005, "CHANGED-ADDRESS";
    /// USERNAME, RFC 8489 section 14.3.
    USERNAME = 0x0006, "USERNAME";
    /// MESSAGE-INTEGRITY, RFC 8489 section 14.5.
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY";
    /// ERROR-CODE, RFC 8489 section 14.8.
    ERROR_CODE = 0x0009, "ERROR-CODE";
    /// UNKNOWN-ATTRIBUTES, RFC 8489 section 14.13.
    UNKNOWN_ATTRIBUTES = 0x000A, "UNKNOWN-ATTRIBUTES";
    /// CHANNEL-NUMBER, RFC 8656 section 18.1.
    CHANNEL_NUMBER = 0x000C, "CHANNEL-NUMBER";
    /// LIFETIME, RFC 8656 section 18.2.
    LIFETIME = 0x000D, "LIFETIME";
    /// XOR-PEER-ADDRESS, RFC 8656 section 18.3.
    XOR_PEER_ADDRESS = 0x0012, "XOR-PEER-ADDRESS";
    /// DATA, RFC 8656 section 18.4.
    DATA = 0x0013, "DATA";
    /// REALM, RFC 8489 section 14.9.
    REALM = 0x0014, "REALM";
    /// NONCE, RFC 8489 section 14.10.
    NONCE = 0x0015, "NONCE";
    /// XOR-RELAYED-ADDRESS, RFC 8656 section 18.5.
    XOR_RELAYED_ADDRESS = 0x0016, "XOR-RELAYED-ADDRESS";
    /// REQUESTED-ADDRESS-FAMILY, RFC 8656 section 18.6.
    REQUESTED_ADDRESS_FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY";
    /// EVEN-PORT, RFC 8656 section 18.7.
    EVEN_PORT = 0x0018, "EVEN-PORT";
    /// REQUESTED-TRANSPORT, RFC 8656 section 18.8.
    REQUESTED_TRANSPORT = 0x0019, "REQUESTED-TRANSPORT";
    /// DONT-FRAGMENT, RFC 8656 section 18.9.
    DONT_FRAGMENT = 0x001A, "DONT-FRAGMENT";
    /// MESSAGE-INTEGRITY-SHA256, RFC 8489 section 14.6.
    MESSAGE_INTEGRITY_SHA256 = 0x001C, "MESSAGE-INTEGRITY-SHA256";
    /// PASSWORD-ALGORITHM, RFC 8489 section 14.12.
    PASSWORD_ALGORITHM = 0x001D, "PASSWORD-ALGORITHM";
    /// USERHASH, RFC 8489 section 14.4.
    USERHASH = 0x001E, "USERHASH";
    /// XOR-MAPPED-ADDRESS, RFC 8489 section 14.2.
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS";
    /// RESERVATION-TOKEN, RFC 8656 section 18.10.
    RESERVATION_TOKEN = 0x0022, "RESERVATION-TOKEN";
    /// ADDITIONAL-ADDRESS-FAMILY, RFC 8656 section 18.11.
    ADDITIONAL_ADDRESS_FAMILY = 0x8000, "ADDITIONAL-ADDRESS-FAMILY";
    /// ADDRESS-ERROR-CODE, RFC 8656 section 18.12.
    ADDRESS_ERROR_CODE = 0x8001, "ADDRESS-ERROR-CODE";
    /// PASSWORD-ALGORITHMS, RFC 8489 section 14.11.
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS";
    /// ALTERNATE-DOMAIN, RFC 8489 section 14.16.
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN";
    /// ICMP, RFC 8656 section 18.13.
    ICMP = 0x8004, "ICMP";
    /// SOFTWARE, RFC 8489 section 14.14.
    SOFTWARE = 0x8022, "SOFTWARE";
    /// ALTERNATE-SERVER, RFC 8489 section 14.15.
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER";
    /// FINGERPRINT, RFC 8489 section 14.7.
    FINGERPRINT = 0x8028, "FINGERPRINT";
}

impl AttributeType {
    /// Whether a message with this attribute must be refused by who does not know it
    /// (RFC 8489 section 14: comprehension-required).
    #[inline]
    pub const fn is_required(self) -> bool {
        self.0 < 0x8000
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
