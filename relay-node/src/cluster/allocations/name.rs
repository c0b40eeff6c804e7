//! What an allocation is called outside its node.

use std::fmt;

use turn::{FiveTuple, Monotonic};

use crate::cluster::seal::Seal;

/// The name of an allocation: it stays when its process crashes, says nothing of its client to who has not the fleet's
/// key, and is what operators see and end it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u128);

impl Name {
    /// Of the allocation that this client made then: no other one of the node has both in common.
    pub fn of(seal: &Seal, five_tuple: &FiveTuple, created: Monotonic) -> Self {
        let FiveTuple { client, server, transport } = five_tuple;
        let created = created.as_nanos();
        let text = format!("{} {} {} {created}", client.get(), server.get(), transport.name());
        // It is one of ours.
        Self::parse(&seal.name_of(text.as_bytes())).unwrap_or(Self(0))
    }

    /// What [`Display`](fmt::Display) shows; nothing if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let looks = text.len() == 32 && text.chars().all(digits);
        looks.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// One of this number, for tests.
    #[cfg(test)]
    pub(crate) const fn new(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_shown_and_in_no_other_form() {
        for number in [0, 1, u128::MAX] {
            assert_eq!(Name::parse(&Name(number).to_string()), Some(Name(number)));
        }
        for other in [
            "",
            "1",
            &"g".repeat(32),
            &"A".repeat(32),
            &"+".repeat(32),
            &"0".repeat(33),
            &"\u{e9}".repeat(16),
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
