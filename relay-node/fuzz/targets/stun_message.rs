//! Any bytes as a STUN message: all of it is read, checked and written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stun::attribute::*;
use stun::{
    AttributeType, BufferFull, Class, Fingerprint, IntegrityError, Key, Message, MessageWriter, Method,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    let key = Key::short_term(b"password");
    let _ = (message.verify_sha1(&key), message.verify_sha256(&key));
    let _ = format!("{message:?} {:?}", message.unknown_required(&[AttributeType::USERNAME]));

    // Room for a header and two signatures more.
    let mut buffer = vec![0; bytes.len() + 100];
    read_typed(&message, &mut buffer);
    let length = write_again(&message, &mut buffer).expect("it was as long before");
    let again = Message::parse(&buffer[..length]).expect("what is written is a message");
    assert!(again.attributes().eq(message.attributes()));
    assert_eq!(again.bytes()[4..20], bytes[4..20]);

    // What the key signs, the key verifies, unless an older signature comes first.
    if message.integrity().is_none() {
        assert_eq!(again.verify_sha1(&key).err(), Some(IntegrityError::Missing));
        let mut writer = writer(&message, &mut buffer).expect("a header fits");
        writer.integrity_sha1(&key).and_then(|writer| writer.integrity_sha256(&key)).expect("it fits");
        writer.fingerprint().expect("it fits");
        let length = writer.finish();
        let signed = Message::parse(&buffer[..length]).expect("what is written is a message");
        assert_eq!((signed.verify_sha1(&key), signed.verify_sha256(&key)), (Ok(()), Ok(())));
        assert_eq!(signed.fingerprint(), Fingerprint::Valid);
    }
});

fn writer<'b>(message: &Message<'_>, buffer: &'b mut [u8]) -> Result<MessageWriter<'b>, BufferFull> {
    let (class, method, id) = (message.class(), message.method(), message.transaction_id());
    if message.is_classic() {
        MessageWriter::classic(buffer, class, method, message.classic_cookie(), id)
    } else {
        MessageWriter::new(buffer, class, method, id)
    }
}

fn write_again(message: &Message<'_>, buffer: &mut [u8]) -> Result<usize, BufferFull> {
    let mut writer = writer(message, buffer)?;
    for attribute in message.attributes() {
        writer.raw(attribute.kind, attribute.value)?;
    }
    Ok(writer.finish())
}

/// Reads the attributes of every type and checks that each is read alike when written again.
fn read_typed(message: &Message<'_>, buffer: &mut [u8]) {
    macro_rules! read {
        ($($type:ty),* $(,)?) => {
            $(
                for attribute in message.all::<$type>().flatten() {
                    let id = message.transaction_id();
                    let mut writer = MessageWriter::new(buffer, Class::Request, Method::BINDING, id)
                        .expect("a header fits");
                    writer.attribute(&attribute).expect("it was as long before");
                    let length = writer.finish();
                    let again = Message::parse(&buffer[..length]).expect("what is written is a message");
                    assert_eq!(again.get::<$type>(), Ok(Some(attribute)));
                }
            )*
        };
    }
    read!(
        MappedAddress,
        SourceAddress,
        ChangedAddress,
        AlternateServer,
        XorMappedAddress,
        XorPeerAddress,
        XorRelayedAddress,
        Username<'_>,
        Realm<'_>,
        Nonce<'_>,
        Software<'_>,
        AlternateDomain<'_>,
        Userhash,
        ErrorCode<'_>,
        AddressErrorCode<'_>,
        UnknownAttributes,
        PasswordAlgorithm,
        PasswordAlgorithms<'_>,
        ChannelNumber,
        Lifetime,
        Data<'_>,
        RequestedAddressFamily,
        AdditionalAddressFamily,
        EvenPort,
        RequestedTransport,
        DontFragment,
        ReservationToken,
        Icmp,
    );
}
