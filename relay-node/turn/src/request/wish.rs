//! What an Allocate asks for, read before anything is done (RFC 8656 section 7.2).

use stun::Message;
use stun::attribute::{
    AdditionalAddressFamily, AddressFamily, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport,
    ReservationToken,
};

use super::or_unknown;
use crate::ledger::PortKind;
use crate::refusal::Refusal;

/// What an Allocate asks for.
pub(super) struct Wish {
    family: AddressFamily,
    /// Both families are wanted; `family` is then IPv4.
    additional: bool,
    pub(super) port: PortWish,
    pub(super) lifetime: Option<u32>,
}

/// Which port.
#[derive(Clone, Copy)]
pub(super) enum PortWish {
    Fresh(PortKind),
    Reserved(ReservationToken),
}

impl Wish {
    /// The families that are wanted.
    pub(super) fn families(&self) -> &[AddressFamily] {
        if self.additional { &AddressFamily::BOTH } else { std::slice::from_ref(&self.family) }
    }

    /// Steps 3 to 9 of RFC 8656 section 7.2. A malformed attribute is a bad request.
    pub(super) fn read(message: &Message<'_>) -> Result<Self, Refusal> {
        let bad = |_| Refusal::BadRequest;
        // 3. "REQUESTED-TRANSPORT is missing: 400; another protocol than UDP: 442."
        let transport = message.get::<RequestedTransport>().map_err(bad)?.ok_or(Refusal::BadRequest)?;
        if transport != RequestedTransport::UDP {
            return Err(Refusal::UnsupportedTransport);
        }
        // 4. DONT-FRAGMENT is supported.
        // 5. "RESERVATION-TOKEN beside EVEN-PORT, REQUESTED- or ADDITIONAL-ADDRESS-FAMILY: 400."
        let token = message.get::<ReservationToken>().map_err(bad)?;
        let even = message.get::<EvenPort>().map_err(bad)?;
        // 6. "An unknown family: 440."
        let unknown = or_unknown(Refusal::AddressFamilyNotSupported);
        let requested = message.get::<RequestedAddressFamily>().map_err(unknown)?;
        let additional = message.get::<AdditionalAddressFamily>().map_err(bad)?;
        if token.is_some() && (even.is_some() || requested.is_some() || additional.is_some()) {
            return Err(Refusal::BadRequest);
        }
        // 6. "Both REQUESTED- and ADDITIONAL-ADDRESS-FAMILY: 400."
        if requested.is_some() && additional.is_some() {
            return Err(Refusal::BadRequest);
        }
        let family = requested.map_or(AddressFamily::V4, |RequestedAddressFamily(family)| family);
        // 7. EVEN-PORT: whether such a port is free shows later.
        let port = match (token, even) {
            (Some(token), _) => PortWish::Reserved(token),
            (None, None) => PortWish::Fresh(PortKind::Any),
            (None, Some(EvenPort { reserve_next: false })) => PortWish::Fresh(PortKind::Even),
            (None, Some(EvenPort { reserve_next: true })) => PortWish::Fresh(PortKind::EvenAndNext),
        };
        // 9. "ADDITIONAL-ADDRESS-FAMILY other than IPv6, or beside EVEN-PORT with R: 400."
        if let Some(AdditionalAddressFamily(family)) = additional
            && (family != AddressFamily::V6 || matches!(port, PortWish::Fresh(PortKind::EvenAndNext)))
        {
            return Err(Refusal::BadRequest);
        }
        let lifetime = message.get::<Lifetime>().map_err(bad)?.map(|Lifetime(seconds)| seconds);
        Ok(Self { family, additional: additional.is_some(), port, lifetime })
    }
}
