//! Binding (RFC 8489 section 2), and its classic form (RFC 3489 section 8).

use std::net::SocketAddr;

use stun::attribute::{AttributeType, MappedAddress, SourceAddress, UnknownAttributes, XorMappedAddress};
use stun::{BufferFull, Class, Message, MessageWriter};

use super::UNDERSTOOD;
use crate::address::Client;
use crate::answer::ReplyTo;
use crate::refusal::Refusal;
use crate::server::Turn;
use crate::stats::{DropReason, RequestKind};
use crate::time::Now;

impl Turn {
    /// Tells the client how its address looks from here. No credentials are asked.
    pub(super) fn binding(&mut self, now: Now, client: &Client, message: &Message<'_>) {
        if !self.may_answer_stranger(now, client, message) {
            self.stats.count_drop(DropReason::AnswerBudget);
            return;
        }
        let bytes = if message.is_classic() {
            self.classic_binding(client, message)
        } else {
            let reply = ReplyTo::new(client, RequestKind::Binding, message);
            let unknown = unknown_in(message);
            if unknown.is_empty() {
                let mapped = XorMappedAddress(client.five_tuple.client.get());
                reply.success(&mut self.outbox, &mut self.stats, None, |writer| {
                    writer.attribute(&mapped).map(drop)
                })
            } else {
                reply.refuse_unknown(&mut self.outbox, &mut self.stats, &unknown)
            }
        };
        self.count_stranger(now, client, message, bytes);
    }

    /// RFC 3489 clients know neither the magic cookie nor XOR-MAPPED-ADDRESS.
    fn classic_binding(&mut self, client: &Client, message: &Message<'_>) -> usize {
        let unknown = unknown_in(message);
        let refused = (!unknown.is_empty()).then_some(Refusal::UnknownAttribute);
        self.stats.count_answer(RequestKind::Binding, refused);
        self.outbox.message(client, |buf| {
            if refused.is_none() {
                let (mapped, source) = (client.five_tuple.client.get(), client.five_tuple.server.get());
                write_classic(buf, message, Class::Success, |writer| addresses(writer, mapped, source))
            } else {
                write_classic(buf, message, Class::Error, |writer| refusal(writer, &unknown))
            }
        })
    }
}

/// What this server does not understand in a Binding request. A CHANGE-REQUEST that asks for no
/// change is understood: RFC 3489 clients send it with every request.
fn unknown_in(message: &Message<'_>) -> UnknownAttributes {
    let mut unknown = message.unknown_required(&UNDERSTOOD);
    if message.raw(AttributeType::CHANGE_REQUEST).is_some_and(|flags| flags != [0; 4]) {
        unknown.insert(AttributeType::CHANGE_REQUEST);
    }
    unknown
}

fn write_classic(
    buf: &mut [u8],
    request: &Message<'_>,
    class: Class,
    attributes: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
) -> Result<usize, BufferFull> {
    let (cookie, id) = (request.classic_cookie(), request.transaction_id());
    let mut writer = MessageWriter::classic(buf, class, request.method(), cookie, id)?;
    attributes(&mut writer)?;
    Ok(writer.finish())
}

fn addresses(
    writer: &mut MessageWriter<'_>,
    mapped: SocketAddr,
    source: SocketAddr,
) -> Result<(), BufferFull> {
    writer.attribute(&MappedAddress(mapped))?.attribute(&SourceAddress(source)).map(drop)
}

fn refusal(writer: &mut MessageWriter<'_>, unknown: &UnknownAttributes) -> Result<(), BufferFull> {
    writer.attribute(&Refusal::UnknownAttribute.error_code())?;
    writer.attribute(unknown).map(drop)
}
