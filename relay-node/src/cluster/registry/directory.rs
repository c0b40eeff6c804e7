//! What the fleet's part asks the registry: who is best, where a node is, who is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use redis::{Value, cmd};
use turn::AddressFamily;

use super::entry::{Entry, NodeName};
use super::sample::{self, Sets};
use super::snapshot::{self, Choice};
use super::{member, unix_millis};
use crate::cluster::link::{Away, Link};
use crate::cluster::seal::Seal;

/// What the fleet's part asks the registry.
pub struct Directory {
    link: Link,
    seal: Seal,
    zone: String,
    known: ArcSwap<Vec<Choice>>,
}

/// Nodes that are listed. No fleet has more.
const MOST: usize = 10_000;
/// Entries that are read at once.
const PAGE: usize = 128;

impl Directory {
    /// The registry as a node of `zone` sees it, which knows nobody yet.
    pub fn new(link: Link, seal: Seal, zone: String) -> Self {
        Self { link, seal, zone, known: ArcSwap::default() }
    }

    /// Up to `most` nodes for a client of `zone`, or of this node's if it is empty: reached by one of these families, the
    /// best first. The first one counts as chosen. Nobody is asked.
    pub fn best(&self, most: usize, zone: &str, families: &[AddressFamily]) -> Vec<Arc<Entry>> {
        let zone = if zone.is_empty() { &self.zone } else { zone };
        let known = self.known.load();
        let best = snapshot::best(&known, zone, families, most, &mut rand::rng());
        best.into_iter().map(|choice| Arc::clone(&choice.entry)).collect()
    }

    /// The nodes that this one knows, itself among them: all of a small fleet, some of a large one. Nobody is asked.
    pub fn known(&self) -> Vec<Arc<Entry>> {
        self.known.load().iter().map(|choice| Arc::clone(&choice.entry)).collect()
    }

    /// What the node with this name tells, if it is there.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn find(&self, name: &NodeName) -> Result<Option<Entry>, Away> {
        Ok(self.read(&[name]).await?.pop())
    }

    /// What all nodes of the fleet tell, in the order of their names.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn all(&self) -> Result<Vec<Entry>, Away> {
        let mut names = BTreeSet::new();
        for family in [AddressFamily::V4, AddressFamily::V6] {
            let sets = Sets::new(&self.link, &self.seal, family, "");
            let members: Value =
                self.link.query(cmd("ZRANGE").arg(&sets.everywhere).arg(0).arg(MOST - 1)).await?;
            let (found, _) = sample::names(members);
            names.extend(found);
        }
        let names: Vec<&NodeName> = names.iter().take(MOST).collect();
        let mut entries = Vec::with_capacity(names.len());
        for page in names.chunks(PAGE) {
            entries.extend(self.read(page).await?);
        }
        Ok(entries)
    }

    /// Reads the entries of these nodes; those that are not there, or not to be trusted, are left out.
    async fn read(&self, names: &[&NodeName]) -> Result<Vec<Entry>, Away> {
        let keys = names.iter().map(|name| member::key_of(&self.link, name));
        let commands = keys.map(|key| sample::entry_command(&key)).collect();
        let answers = self.link.pipeline(commands).await?;
        let now = unix_millis();
        let open = |(name, answer): (&&NodeName, Value)| match answer {
            Value::BulkString(sealed) => member::open(&self.link, &self.seal, name, &sealed, now).ok(),
            _ => None,
        };
        Ok(names.iter().zip(answers).filter_map(open).collect())
    }

    /// These are known now.
    pub(super) fn set(&self, known: Vec<Choice>) {
        self.known.store(Arc::new(known));
    }
}
