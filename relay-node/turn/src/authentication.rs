//! The long-term credential mechanism, step by step (RFC 8489 section 9.2.4).

use stun::attribute::{AttributeType, PasswordAlgorithm, PasswordAlgorithms};
use stun::{IntegrityKind, Key, Message, Method};

use crate::address::Client;
use crate::allocation::{Allocation, Owner, OwnerName};
use crate::answer::{ReplyTo, Signature};
use crate::credentials::{Algorithm, Name, UserId};
use crate::nonce::NonceCheck;
use crate::server::Turn;
use crate::table::Slot;
use crate::time::Now;

/// A request that proved its credentials. Only [`Turn::authenticate`] makes one.
#[derive(Debug)]
pub(crate) struct Authenticated<'m> {
    pub(crate) message: Message<'m>,
    /// Signs with the request's own key.
    pub(crate) reply: ReplyTo,
    /// The allocation of the request's 5-tuple, whoever owns it.
    pub(crate) slot: Option<Slot>,
    user: UserId,
    name: Name<'m>,
    key: Key,
    algorithm: Algorithm,
}

/// Why a request proved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproved {
    /// 400.
    BadRequest,
    /// 401, with a challenge.
    Challenge,
    /// 438, with a challenge.
    StaleNonce,
}

impl Authenticated<'_> {
    /// Whose quota the request counts against.
    pub(crate) fn user(&self) -> &UserId {
        &self.user
    }

    /// Whether the allocation was made with the same name (RFC 8656 section 5). USERNAME and USERHASH
    /// of one user are the same name.
    pub(crate) fn is_owner_of(&self, allocation: &Allocation) -> bool {
        let owner = &allocation.owner;
        let same_kind = matches!(
            (&owner.name, self.name),
            (OwnerName::Username(_), Name::Username(_)) | (OwnerName::Userhash(_), Name::Userhash(_))
        );
        if same_kind { owner.name.is(self.name) } else { owner.user == self.user }
    }

    /// What an allocation keeps of who made it.
    pub(crate) fn to_owner(&self) -> Owner {
        let name = match self.name {
            Name::Username(name) => OwnerName::Username(name.into()),
            Name::Userhash(hash) => OwnerName::Userhash(*hash),
        };
        Owner { user: self.user.clone(), name, key: self.key.clone(), algorithm: self.algorithm }
    }
}

impl Turn {
    /// Checks a request's credentials.
    pub(crate) fn authenticate<'m>(
        &self,
        now: Now,
        message: &Message<'m>,
        reply: ReplyTo,
    ) -> Result<Authenticated<'m>, Unproved> {
        // "If the message does not contain MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256: 401."
        let integrity = message.integrity().ok_or(Unproved::Challenge)?;
        // "If it does not contain USERNAME or USERHASH, REALM, and NONCE: 400."
        let name = name_in(message)?;
        let realm = message.raw(AttributeType::REALM).ok_or(Unproved::BadRequest)?;
        let nonce = message.raw(AttributeType::NONCE).ok_or(Unproved::BadRequest)?;
        // "If the nonce cookie has the 'Password algorithms' bit": bid-down protection.
        let algorithm = algorithm_in(message, nonce)?;
        // "If the value of USERNAME or USERHASH is not valid: 401."
        if realm != self.settings.realm.as_str().as_bytes() {
            return Err(Unproved::Challenge);
        }
        let slot = self.table.find(&reply.client.five_tuple);
        let (user, key) = self.prove(now, message, integrity, name, algorithm, slot)?;
        // "If the NONCE is no longer valid: 438."
        self.check_nonce(now, &reply.client, nonce)?;
        let signature = match integrity {
            IntegrityKind::Sha1 => Signature::Sha1(key.clone()),
            IntegrityKind::Sha256 | IntegrityKind::Both => Signature::Sha256(key.clone()),
        };
        Ok(Authenticated {
            message: *message,
            reply: reply.signed(signature),
            slot,
            user,
            name,
            key,
            algorithm,
        })
    }

    /// "If the message integrity does not match: 401." The key is that of the live allocation if the
    /// name is, so that a call outlives the rotation of its secret.
    fn prove(
        &self,
        now: Now,
        message: &Message<'_>,
        integrity: IntegrityKind,
        name: Name<'_>,
        algorithm: Algorithm,
        slot: Option<Slot>,
    ) -> Result<(UserId, Key), Unproved> {
        if let Some(owner) = slot.and_then(|slot| self.table.get(slot)).map(|allocation| &allocation.owner)
            && owner.algorithm == algorithm
            && owner.name.is(name)
            && matches(message, integrity, &owner.key)
        {
            return Ok((owner.user.clone(), owner.key.clone()));
        }
        let credentials = &self.settings.credentials;
        let Some(candidates) = credentials.lookup(&self.settings.realm, name, algorithm) else {
            std::hint::black_box(matches(message, integrity, credentials.decoy(algorithm)));
            return Err(Unproved::Challenge);
        };
        // The time in a REST username bounds when allocations begin, not how long they live.
        if message.method() == Method::ALLOCATE && candidates.expired(now.unix) {
            return Err(Unproved::Challenge);
        }
        let user = candidates.user().clone();
        let key = candidates.into_keys().find(|key| matches(message, integrity, key));
        key.map(|key| (user, key)).ok_or(Unproved::Challenge)
    }

    fn check_nonce(&self, now: Now, client: &Client, nonce: &[u8]) -> Result<(), Unproved> {
        let address = client.five_tuple.client.ip();
        match self.settings.nonces.check(now.unix, Some(address), nonce) {
            NonceCheck::Valid => Ok(()),
            NonceCheck::Stale | NonceCheck::Foreign => Err(Unproved::StaleNonce),
        }
    }
}

impl OwnerName {
    fn is(&self, name: Name<'_>) -> bool {
        match (self, name) {
            (Self::Username(theirs), Name::Username(ours)) => **theirs == *ours,
            (Self::Userhash(theirs), Name::Userhash(ours)) => theirs == ours,
            _ => false,
        }
    }
}

fn name_in<'m>(message: &Message<'m>) -> Result<Name<'m>, Unproved> {
    if let Some(username) = message.raw(AttributeType::USERNAME) {
        return Ok(Name::Username(username));
    }
    let userhash = message.raw(AttributeType::USERHASH).ok_or(Unproved::BadRequest)?;
    userhash.try_into().map(Name::Userhash).map_err(|_| Unproved::BadRequest)
}

/// Which key the request is made with (RFC 8489 section 9.2.4, third step): what the client chose
/// from the very list that it was offered, or MD5 if it is older than that choice.
fn algorithm_in(message: &Message<'_>, nonce: &[u8]) -> Result<Algorithm, Unproved> {
    let bad = |_| Unproved::BadRequest;
    let offered = message.get::<PasswordAlgorithms<'_>>().map_err(bad)?;
    let chosen = message.get::<PasswordAlgorithm>().map_err(bad)?;
    if !crate::nonce::offers_password_algorithms(nonce) {
        return Ok(Algorithm::Md5);
    }
    match (offered, chosen) {
        (None, None) => Ok(Algorithm::Md5),
        (Some(PasswordAlgorithms::SHA256_MD5), Some(PasswordAlgorithm::Md5)) => Ok(Algorithm::Md5),
        (Some(PasswordAlgorithms::SHA256_MD5), Some(PasswordAlgorithm::Sha256)) => Ok(Algorithm::Sha256),
        _ => Err(Unproved::BadRequest),
    }
}

/// Where both integrity attributes are, the stronger one has to hold.
fn matches(message: &Message<'_>, integrity: IntegrityKind, key: &Key) -> bool {
    match integrity {
        IntegrityKind::Sha1 => message.verify_sha1(key),
        IntegrityKind::Sha256 | IntegrityKind::Both => message.verify_sha256(key),
    }
    .is_ok()
}
