//! What is read of the fleet each second: the emptiest nodes and some at random, as many in a large fleet as in a small one.
//!
//! The emptiest of the fleet are the same for all who ask; the others keep these from taking every new call for a second,
//! and bring those to light that have died without a word. With zones, half of both are of the own zone.

use redis::{Cmd, Value, cmd};
use turn::AddressFamily;

use super::entry::NodeName;
use super::wire;
use crate::cluster::link::Link;
use crate::cluster::seal::Seal;

/// Emptiest nodes of a family, and as many random ones.
const MOST: usize = 16;

/// The sorted sets that a node is in, and reads: all nodes of a family by load, and those of its zone.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    pub(super) family: AddressFamily,
    pub(super) everywhere: String,
    pub(super) zone: Option<String>,
}

impl Sets {
    /// Those of a family, for a node of `zone`.
    pub(super) fn new(link: &Link, seal: &Seal, family: AddressFamily, zone: &str) -> Self {
        let everywhere = link.key(match family {
            AddressFamily::V4 => "load:v4",
            AddressFamily::V6 => "load:v6",
        });
        let zone = (!zone.is_empty()).then(|| format!("{everywhere}:{}", seal.name_of(zone.as_bytes())));
        Self { family, everywhere, zone }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        [&self.everywhere].into_iter().chain(&self.zone)
    }

    /// What asks for names, each with its key.
    pub(super) fn commands(&self) -> impl Iterator<Item = (String, Cmd)> {
        let each = if self.zone.is_some() { MOST / 2 } else { MOST };
        self.keys().flat_map(move |key| {
            let (mut emptiest, mut random) = (cmd("ZRANGE"), cmd("ZRANDMEMBER"));
            emptiest.arg(key).arg(0).arg(each - 1);
            random.arg(key).arg(each);
            [(key.clone(), emptiest), (key.clone(), random)]
        })
    }
}

/// What asks for a node's entry, at most as much as an entry can be.
pub(super) fn entry_command(key: &str) -> Cmd {
    let mut command = cmd("GETRANGE");
    command.arg(key).arg(0).arg(wire::LONGEST);
    command
}

/// What asks for how long Redis keeps it.
pub(super) fn left_command(key: &str) -> Cmd {
    let mut command = cmd("PTTL");
    command.arg(key);
    command
}

/// The names in an answer, and what there is beside names.
pub(super) fn names(answer: Value) -> (Vec<NodeName>, Vec<Vec<u8>>) {
    let Value::Array(members) = answer else { return (Vec::new(), Vec::new()) };
    let (mut names, mut foreign) = (Vec::new(), Vec::new());
    for member in members {
        let Value::BulkString(bytes) = member else { continue };
        match str::from_utf8(&bytes).ok().and_then(NodeName::new) {
            Some(name) => names.push(name),
            None => foreign.push(bytes),
        }
    }
    (names, foreign)
}
