//! Messages for tests, made in one line.

use stun::{BufferFull, Class, MessageWriter, Method, TransactionId};

/// The transaction of the messages that tests make.
pub(crate) const ID: TransactionId = TransactionId::new([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

/// A message of class and method with what `fill` puts into it.
pub(crate) fn message(
    class: Class,
    method: Method,
    fill: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>,
) -> Vec<u8> {
    let mut buffer = vec![0xEE; 70_000];
    let mut writer = MessageWriter::new(&mut buffer, class, method, ID).unwrap();
    fill(&mut writer).unwrap();
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

/// A Binding request with what `fill` puts into it.
pub(crate) fn request(fill: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), BufferFull>) -> Vec<u8> {
    message(Class::Request, Method::BINDING, fill)
}
