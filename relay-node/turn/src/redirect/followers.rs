//! Who goes where a 300 (Try Alternate) sends them, told by the shape of their Allocate: the one table of it.
//!
//! The others take it for a failure and do not come back. So what is not known here does not follow.

use stun::attribute::{AttributeType, Lifetime, RawAttribute};
use stun::{Attribute, Message};

use crate::address::Transport;
use crate::credentials::Name;
use crate::redirect::Redirect;

use AttributeType as A;
use Part::{Exactly, Integrity, Lasting, Maybe, Named, Starting};
use Transport::{Tcp, Tls, Udp};

/// A kind of client.
struct Kind {
    /// Over what it follows.
    follows_over: &'static [Transport],
    /// The attributes of an Allocate with credentials, in order.
    shape: &'static [Part],
}

/// What may stand at a place in a message.
enum Part {
    Exactly(AttributeType),
    Maybe(AttributeType),
    /// A text that begins so.
    Starting(AttributeType, &'static str),
    /// LIFETIME, with so many seconds.
    Lasting(u32),
    /// USERNAME or USERHASH.
    Named,
    /// Either MESSAGE-INTEGRITY.
    Integrity,
}

/// As seen on the wire. pion, aioice and werift differ from the first two by a FINGERPRINT or the order alone.
const KINDS: [Kind; 6] = [
    // libwebrtc, in Chromium and elsewhere.
    Kind {
        follows_over: &[Udp, Tcp, Tls],
        shape: &[
            Exactly(A::REQUESTED_TRANSPORT),
            Exactly(A::USERNAME),
            Exactly(A::REALM),
            Exactly(A::NONCE),
            Integrity,
        ],
    },
    // Firefox, which takes no new address over TLS.
    Kind {
        follows_over: &[Udp, Tcp],
        shape: &[
            Exactly(A::REQUESTED_TRANSPORT),
            Lasting(3600),
            Exactly(A::USERNAME),
            Exactly(A::REALM),
            Exactly(A::NONCE),
            Integrity,
            Exactly(A::FINGERPRINT),
        ],
    },
    // libnice.
    Kind {
        follows_over: &[Udp, Tcp],
        shape: &[
            Starting(A::SOFTWARE, "libnice"),
            Exactly(A::REQUESTED_TRANSPORT),
            Exactly(A::REALM),
            Exactly(A::NONCE),
            Exactly(A::USERNAME),
            Integrity,
        ],
    },
    // libjuice. Versions differ in whether they take up the password algorithms that they are offered.
    Kind {
        follows_over: &[Udp],
        shape: &[
            Lasting(600),
            Exactly(A::REQUESTED_TRANSPORT),
            Starting(A::SOFTWARE, "libjuice"),
            Named,
            Exactly(A::REALM),
            Exactly(A::NONCE),
            Maybe(A::PASSWORD_ALGORITHMS),
            Maybe(A::PASSWORD_ALGORITHM),
            Integrity,
            Maybe(A::MESSAGE_INTEGRITY_SHA256),
            Exactly(A::FINGERPRINT),
        ],
    },
    // coturn's turnutils_uclient.
    Kind {
        follows_over: &[Udp, Tcp, Tls],
        shape: &[
            Exactly(A::REQUESTED_TRANSPORT),
            Lasting(777),
            Maybe(A::EVEN_PORT),
            Exactly(A::REQUESTED_ADDRESS_FAMILY),
            Exactly(A::USERNAME),
            Exactly(A::NONCE),
            Exactly(A::REALM),
            Integrity,
            Exactly(A::FINGERPRINT),
        ],
    },
    // `edgerelay try`.
    Kind {
        follows_over: &[Udp, Tcp, Tls],
        shape: &[
            Starting(A::SOFTWARE, "edgerelay-try"),
            Exactly(A::REQUESTED_TRANSPORT),
            Maybe(A::REQUESTED_ADDRESS_FAMILY),
            Named,
            Exactly(A::REALM),
            Exactly(A::NONCE),
            Maybe(A::PASSWORD_ALGORITHMS),
            Maybe(A::PASSWORD_ALGORITHM),
            Integrity,
            Exactly(A::FINGERPRINT),
        ],
    },
];

impl Redirect {
    /// Whether the client that sent `message` over `transport`, under `name`, may be sent to another node.
    pub(super) fn follows(self, message: &Message<'_>, transport: Transport, name: Name<'_>) -> bool {
        let kind = || KINDS.iter().find(|kind| kind.is_of(message));
        let is_known = || kind().map(|kind| kind.follows_over.contains(&transport));
        match self {
            Self::Never => false,
            // What an application says of its clients is nothing against what is known of them.
            Self::Known => is_known().unwrap_or_else(|| name.is_marked()),
            Self::All => is_known().unwrap_or(true),
        }
    }
}

impl Kind {
    fn is_of(&self, message: &Message<'_>) -> bool {
        let mut given = message.attributes().peekable();
        let fits = self.shape.iter().all(|part| {
            let fits = given.next_if(|attribute| part.is(message, attribute)).is_some();
            fits || matches!(part, Maybe(_))
        });
        fits && given.next().is_none()
    }
}

impl Part {
    fn is(&self, message: &Message<'_>, attribute: &RawAttribute<'_>) -> bool {
        let RawAttribute { kind, value } = attribute;
        match self {
            Exactly(expected) | Maybe(expected) => kind == expected,
            Starting(expected, text) => kind == expected && value.starts_with(text.as_bytes()),
            Lasting(seconds) => {
                let lifetime = Lifetime::decode(value, &message.transaction_id());
                *kind == A::LIFETIME && lifetime == Ok(Lifetime(*seconds))
            }
            Named => matches!(*kind, A::USERNAME | A::USERHASH),
            Integrity => matches!(*kind, A::MESSAGE_INTEGRITY | A::MESSAGE_INTEGRITY_SHA256),
        }
    }
}

#[cfg(test)]
mod tests;
