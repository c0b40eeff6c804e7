//! The long-term credential mechanism, step by step (RFC 8489 section 9.2.4).

use stun::attribute::{AttributeType, PasswordAlgorithm, PasswordAlgorithms};
use stun::{IntegrityKind, Key, Message, Method};

use crate::address::{Client, Entrance, FiveTuple};
use crate::allocation::{Allocation, Owner, OwnerName};
use crate::answer::{ReplyTo, Signature};
use crate::credentials::{Algorithm, Name, UserId};
use crate::nonce::{NonceCheck, NonceKind};
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::settings::Realm;
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
    /// What its nonce was given for.
    pub(crate) nonce: NonceKind,
    pub(crate) name: Name<'m>,
    algorithm: Algorithm,
    proved: Proved,
}

/// What a request's integrity has shown.
#[derive(Debug)]
struct Proved {
    user: UserId,
    key: Key,
    /// The one that the key is bound to.
    realm: Realm,
}

/// What a request says of its credentials.
#[derive(Clone, Copy)]
struct Claim<'m> {
    integrity: IntegrityKind,
    name: Name<'m>,
    realm: &'m [u8],
    nonce: &'m [u8],
}

/// Why a request proved nothing, by what it has shown at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproved {
    /// Nothing: its address may be spoofed.
    Stranger(Refusal),
    /// That the client is where it says: it has a nonce that we gave to that address, or good credentials.
    Reached(Refusal),
    /// From there too much was wrong lately for another answer.
    Guessing,
}

impl Unproved {
    /// A refusal of somebody who is where it says, if that `is_shown`.
    const fn of(refusal: Refusal, is_shown: bool) -> Self {
        if is_shown { Self::Reached(refusal) } else { Self::Stranger(refusal) }
    }
}

impl Authenticated<'_> {
    /// Whose quota the request counts against.
    pub(crate) fn user(&self) -> &UserId {
        &self.proved.user
    }

    /// Whether the allocation was made with the same name (RFC 8656 section 5).
    ///
    /// USERNAME in any form and USERHASH of one user of the configuration are the same name. Names with
    /// a time are the same only to the letter.
    pub(crate) fn is_owner_of(&self, allocation: &Allocation) -> bool {
        let owner = &allocation.owner;
        owner.name.is(self.name) || owner.user == *self.user() && owner.user.long_term_name().is_some()
    }

    /// What an allocation keeps of who made it.
    pub(crate) fn to_owner(&self) -> Owner {
        let name = match self.name {
            Name::Username(name) => OwnerName::Username(name.into()),
            Name::Userhash(hash) => OwnerName::Userhash(*hash),
        };
        let Proved { user, key, realm } = &self.proved;
        Owner { user: user.clone(), name, key: key.clone(), algorithm: self.algorithm, realm: realm.clone() }
    }
}

impl Turn {
    /// Checks a request's credentials.
    ///
    /// In the order of the RFC but for one step: a nonce that we never gave to that address is refused
    /// before anything is derived or normalised, as whoever made it up can have as many as it likes sent. A
    /// nonce of ours that is too old is told last, as the RFC has it.
    pub(crate) fn authenticate<'m>(
        &self,
        now: Now,
        message: &Message<'m>,
        reply: ReplyTo,
    ) -> Result<Authenticated<'m>, Unproved> {
        // "If the message does not contain MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256: 401."
        // "If it does not contain USERNAME or USERHASH, REALM, and NONCE: 400."
        let claim = Claim::read(message).map_err(Unproved::Stranger)?;
        let client = reply.client.five_tuple.client;
        let (nonce, is_stale) = match self.settings.nonces.check(now.unix, client.ip(), claim.nonce) {
            NonceCheck::Valid(kind) => (kind, false),
            NonceCheck::Stale(kind) => (kind, true),
            NonceCheck::Foreign => return Err(Unproved::Stranger(Refusal::StaleNonce)),
        };
        let is_shown = shows_address(&reply.client, nonce);
        // "If the nonce cookie has the 'Password algorithms' bit": bid-down protection.
        let algorithm = algorithm_in(message, claim.nonce);
        let algorithm = algorithm.map_err(|refusal| Unproved::of(refusal, is_shown))?;
        // "If the value of USERNAME or USERHASH is not valid: 401", "if the integrity does not match: 401."
        let slot = self.table.find(&reply.client.five_tuple);
        let proved = match self.prove_as_owner(message, &claim, algorithm, slot) {
            Some(proved) => proved,
            None if !self.budget.hears(now.monotonic, client, is_shown) => return Err(Unproved::Guessing),
            None => self.prove(now, message, &claim, algorithm).ok_or_else(|| {
                self.budget.note_wrong(now.monotonic, client, is_shown);
                Unproved::of(Refusal::Unauthenticated, is_shown)
            })?,
        };
        // "If the NONCE is no longer valid: 438."
        if is_stale {
            return Err(Unproved::Reached(Refusal::StaleNonce));
        }
        let key = proved.key.clone();
        let signature = match claim.integrity {
            IntegrityKind::Sha1 => Signature::Sha1(key),
            IntegrityKind::Sha256 | IntegrityKind::Both => Signature::Sha256(key),
        };
        Ok(Authenticated {
            message: *message,
            reply: reply.signed(signature),
            slot,
            nonce,
            name: claim.name,
            algorithm,
            proved,
        })
    }

    /// Whether a request with a nonce that is not ours comes from the owner of a live allocation, as after
    /// a change of the nonce key. Costs one HMAC and derives nothing.
    pub(crate) fn comes_from_owner(&self, message: &Message<'_>, five_tuple: &FiveTuple) -> bool {
        let Some(slot) = self.table.find(five_tuple) else { return false };
        let Ok(claim) = Claim::read(message) else { return false };
        algorithm_in(message, claim.nonce)
            .is_ok_and(|algorithm| self.prove_as_owner(message, &claim, algorithm, Some(slot)).is_some())
    }

    /// The realm that a client is challenged with: that of its live allocation, so that it can go on.
    pub(crate) fn realm_for(&self, five_tuple: &FiveTuple) -> &Realm {
        let allocation = self.table.find(five_tuple).and_then(|slot| self.table.get(slot));
        allocation.map_or(&self.settings.realm, |allocation| &allocation.owner.realm)
    }

    /// The key and the realm are those of the live allocation if the name is, so that a call outlives a
    /// change of the realm and of the secret or the password that it began under. It does not outlive its user.
    fn prove_as_owner(
        &self,
        message: &Message<'_>,
        claim: &Claim<'_>,
        algorithm: Algorithm,
        slot: Option<Slot>,
    ) -> Option<Proved> {
        let owner = &self.table.get(slot?)?.owner;
        let proves = owner.algorithm == algorithm
            && owner.name.is(claim.name)
            && owner.realm.as_str().as_bytes() == claim.realm
            && !self.settings.credentials.is_removed(&owner.user)
            && !self.settings.revocations.hits_owner(owner)
            && holds(message, claim.integrity, &owner.key);
        proves.then(|| Proved {
            user: owner.user.clone(),
            key: owner.key.clone(),
            realm: owner.realm.clone(),
        })
    }

    fn prove(
        &self,
        now: Now,
        message: &Message<'_>,
        claim: &Claim<'_>,
        algorithm: Algorithm,
    ) -> Option<Proved> {
        let (realm, credentials) = (&self.settings.realm, &self.settings.credentials);
        if claim.realm != realm.as_str().as_bytes() {
            return None;
        }
        let Some(candidate) = credentials.lookup(claim.name) else {
            std::hint::black_box(holds(message, claim.integrity, credentials.decoy(algorithm)));
            return None;
        };
        // The time in a REST username bounds when allocations begin, not how long they live.
        if message.method() == Method::ALLOCATE && candidate.expired(now.unix) {
            return None;
        }
        let key = candidate.key(realm, algorithm, |key| holds(message, claim.integrity, key))?;
        // Asked last: nobody learns who is revoked without the credentials.
        if self.settings.revocations.hits(&candidate.user, claim.name) {
            return None;
        }
        Some(Proved { user: candidate.user, key, realm: realm.clone() })
    }
}

/// Whether a request with a nonce of ours shows that its client is where it says: the handshake of a stream does,
/// and so does a nonce that was given to that address. Nothing does where a load balancer may have changed it.
fn shows_address(client: &Client, nonce: NonceKind) -> bool {
    client.entrance == Entrance::Direct
        && (client.five_tuple.transport.is_stream() || nonce == NonceKind::Bound)
}

impl<'m> Claim<'m> {
    fn read(message: &Message<'m>) -> Result<Self, Refusal> {
        let integrity = message.integrity().ok_or(Refusal::Unauthenticated)?;
        let name = match message.raw(AttributeType::USERNAME) {
            Some(username) => Name::Username(username),
            None => {
                let hash = message.raw(AttributeType::USERHASH).ok_or(Refusal::BadRequest)?;
                Name::Userhash(hash.try_into().map_err(|_| Refusal::BadRequest)?)
            }
        };
        let realm = message.raw(AttributeType::REALM).ok_or(Refusal::BadRequest)?;
        let nonce = message.raw(AttributeType::NONCE).ok_or(Refusal::BadRequest)?;
        Ok(Self { integrity, name, realm, nonce })
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

/// Which key the request is made with (RFC 8489 section 9.2.4, third step): what the client chose
/// from the very list that it was offered, or MD5 if it is older than that choice.
fn algorithm_in(message: &Message<'_>, nonce: &[u8]) -> Result<Algorithm, Refusal> {
    let bad = |_| Refusal::BadRequest;
    let offered = message.get::<PasswordAlgorithms<'_>>().map_err(bad)?;
    let chosen = message.get::<PasswordAlgorithm>().map_err(bad)?;
    if !crate::nonce::offers_password_algorithms(nonce) {
        return Ok(Algorithm::Md5);
    }
    match (offered, chosen) {
        (None, None) => Ok(Algorithm::Md5),
        (Some(PasswordAlgorithms::SHA256_MD5), Some(PasswordAlgorithm::Md5)) => Ok(Algorithm::Md5),
        (Some(PasswordAlgorithms::SHA256_MD5), Some(PasswordAlgorithm::Sha256)) => Ok(Algorithm::Sha256),
        _ => Err(Refusal::BadRequest),
    }
}

/// Where both integrity attributes are, the stronger one has to hold.
fn holds(message: &Message<'_>, integrity: IntegrityKind, key: &Key) -> bool {
    match integrity {
        IntegrityKind::Sha1 => message.verify_sha1(key),
        IntegrityKind::Sha256 | IntegrityKind::Both => message.verify_sha256(key),
    }
    .is_ok()
}
