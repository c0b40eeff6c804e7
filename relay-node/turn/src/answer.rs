//! Answers: success and error responses, signed where the request was (RFC 8489 section 6.3.1, 9.2.4).

use stun::attribute::{
    self, AlternateDomain, AlternateServer, AttributeType, Nonce, PasswordAlgorithms, Software,
    UnknownAttributes,
};
use stun::{BufferFull, Class, Key, Message, MessageWriter, TransactionId};

use crate::address::Client;
use crate::nonce::NONCE_LEN;
use crate::outbox::Outbox;
use crate::redirect::Target;
use crate::refusal::Refusal;
use crate::settings::Realm;
use crate::stats::{RequestKind, Stats};

/// What an answer needs of its request. Outlives the request's bytes: an Allocate is answered only
/// when its socket is open.
#[derive(Clone, Debug)]
pub(crate) struct ReplyTo {
    pub(crate) client: Client,
    pub(crate) kind: RequestKind,
    pub(crate) transaction: TransactionId,
    fingerprint: bool,
    /// Present once the request proved its credentials.
    signature: Option<Signature>,
}

/// How to sign: with the integrity attribute that the request had.
#[derive(Clone, Debug)]
pub(crate) enum Signature {
    Sha1(Key),
    Sha256(Key),
}

impl ReplyTo {
    pub(crate) fn new(client: &Client, kind: RequestKind, message: &Message<'_>) -> Self {
        Self {
            client: *client,
            kind,
            transaction: message.transaction_id(),
            fingerprint: message.has(AttributeType::FINGERPRINT),
            signature: None,
        }
    }

    /// The same request, now that it proved its credentials.
    pub(crate) fn signed(self, signature: Signature) -> Self {
        Self { signature: Some(signature), ..self }
    }

    /// A success response with what `attributes` writes.
    pub(crate) fn success(
        &self,
        outbox: &mut Outbox,
        stats: &mut Stats,
        software: Option<&str>,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> usize {
        stats.count_answer(self.kind, None);
        self.write(outbox, Class::Success, |writer| {
            attributes(writer)?;
            // Only who proved its credentials is told: it is of use to attackers and costs bytes.
            if let (Some(software), Some(_)) = (software, &self.signature) {
                writer.attribute(&Software(software.as_bytes()))?;
            }
            Ok(())
        })
    }

    /// An error response.
    pub(crate) fn refuse(&self, outbox: &mut Outbox, stats: &mut Stats, refusal: Refusal) -> usize {
        stats.count_answer(self.kind, Some(refusal));
        self.write(outbox, Class::Error, |writer| writer.attribute(&refusal.error_code()).map(drop))
    }

    /// 420, naming what was not understood (RFC 8489 section 6.3.1).
    pub(crate) fn refuse_unknown(
        &self,
        outbox: &mut Outbox,
        stats: &mut Stats,
        unknown: &UnknownAttributes,
    ) -> usize {
        let refusal = Refusal::UnknownAttribute;
        stats.count_answer(self.kind, Some(refusal));
        self.write(outbox, Class::Error, |writer| {
            writer.attribute(&refusal.error_code())?;
            writer.attribute(unknown).map(drop)
        })
    }

    /// 401 or 438: how to authenticate in `realm`, with a fresh nonce (RFC 8489 section 9.2.4). Never signed.
    pub(crate) fn challenge(
        &self,
        outbox: &mut Outbox,
        stats: &mut Stats,
        refusal: Refusal,
        realm: &Realm,
        nonce: &[u8; NONCE_LEN],
    ) -> usize {
        stats.count_answer(self.kind, Some(refusal));
        self.write(outbox, Class::Error, |writer| {
            writer.attribute(&refusal.error_code())?;
            writer.attribute(&attribute::Realm(realm.as_str().as_bytes()))?;
            writer.attribute(&Nonce(nonce))?;
            writer.attribute(&PasswordAlgorithms::SHA256_MD5).map(drop)
        })
    }

    /// 300: where to go, signed, with all that the request needs there (RFC 8489 section 10).
    pub(crate) fn redirect(
        &self,
        outbox: &mut Outbox,
        stats: &mut Stats,
        target: &Target<'_>,
        realm: &Realm,
        nonce: &[u8; NONCE_LEN],
    ) -> usize {
        let refusal = Refusal::TryAlternate;
        stats.count_answer(self.kind, Some(refusal));
        self.write(outbox, Class::Error, |writer| {
            writer.attribute(&refusal.error_code())?;
            // Section 14.15: of "the same address family as the source of the request", and clients differ in
            // which of several they take.
            writer.attribute(&AlternateServer(target.address))?;
            // Section 14.16: what the certificate there is checked by.
            if let Some(domain) = target.domain {
                writer.attribute(&AlternateDomain(domain.as_bytes()))?;
            }
            writer.attribute(&attribute::Realm(realm.as_str().as_bytes()))?;
            writer.attribute(&Nonce(nonce)).map(drop)
        })
    }

    fn write(
        &self,
        outbox: &mut Outbox,
        class: Class,
        attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
    ) -> usize {
        outbox.message(&self.client, |buf| {
            let mut writer = MessageWriter::new(buf, class, self.kind.method(), self.transaction)?;
            attributes(&mut writer)?;
            match &self.signature {
                Some(Signature::Sha1(key)) => writer.integrity_sha1(key).map(drop)?,
                Some(Signature::Sha256(key)) => writer.integrity_sha256(key).map(drop)?,
                None => {}
            }
            if self.fingerprint {
                writer.fingerprint()?;
            }
            Ok(writer.finish())
        })
    }
}
