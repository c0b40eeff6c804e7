//! Every error that this server answers (RFC 8489 sections 10 and 14.8, RFC 8656 section 19): the one table of them.

use stun::attribute::ErrorCode;

macro_rules! refusals {
    ($($name:ident $code:literal $reason:literal)*) => {
        /// An error that a request is answered with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Refusal {
            $(#[doc = $reason] $name,)*
        }

        impl Refusal {
            /// Every refusal, by code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number in ERROR-CODE.
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The number as metric labels have it.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($code),)*
                }
            }

            /// The reason phrase in ERROR-CODE.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                }
            }
        }
    };
}

refusals! {
    TryAlternate 300 "Try Alternate"
    BadRequest 400 "Bad Request"
    Unauthenticated 401 "Unauthenticated"
    Forbidden 403 "Forbidden"
    UnknownAttribute 420 "Unknown Attribute"
    AllocationMismatch 437 "Allocation Mismatch"
    StaleNonce 438 "Stale Nonce"
    AddressFamilyNotSupported 440 "Address Family not Supported"
    WrongCredentials 441 "Wrong Credentials"
    UnsupportedTransport 442 "Unsupported Transport Protocol"
    PeerAddressFamilyMismatch 443 "Peer Address Family Mismatch"
    AllocationQuotaReached 486 "Allocation Quota Reached"
    InsufficientCapacity 508 "Insufficient Capacity"
}

impl Refusal {
    pub(crate) const fn error_code(self) -> ErrorCode<'static> {
        ErrorCode { code: self.code(), reason: self.reason() }
    }
}
