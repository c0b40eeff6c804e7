//! Where in Redis one node's allocations are.

use std::collections::HashSet;
use std::sync::Arc;

use redis::{Cmd, Value, cmd};

use super::name::Name;
use super::record::{LAYOUT, Written};
use crate::cluster::Context;
use crate::cluster::link::{Away, Link};
use crate::cluster::seal::Seal;
use crate::cluster::tally::Tally;

/// For how many milliseconds a node's allocations outlive its last word: as long as a client may let one live without a
/// refresh (RFC 8656 section 7.2: an hour).
const OUTLIVES: u64 = 3_600_000;
/// How many allocations Redis is asked for at once.
const PAGE: usize = 256;

/// The place of one node's allocations.
#[derive(Clone)]
pub struct Shelf {
    link: Link,
    seal: Seal,
    tally: Arc<Tally>,
    node: String,
    key: String,
}

/// A field of the hash, and what is there: whatever somebody wrote.
type Field = (Vec<u8>, Vec<u8>);

/// A look through a shelf, some of it at a time.
pub struct Walk<'s> {
    shelf: &'s Shelf,
    cursor: Option<u64>,
    /// Redis may show something twice while the shelf grows.
    seen: HashSet<Name>,
}

impl Shelf {
    /// That of `node`.
    pub fn of(context: &Context, node: &str) -> Self {
        Self::new(&context.link, &context.seal, &context.tally, node)
    }

    /// That of `node` by this way to Redis. What is found there that nobody of the fleet put there, `tally` counts.
    pub fn new(link: &Link, seal: &Seal, tally: &Arc<Tally>, node: &str) -> Self {
        let key = link.key(&format!("calls:{node}"));
        Self { link: link.clone(), seal: seal.clone(), tally: Arc::clone(tally), node: node.to_owned(), key }
    }

    /// Whose it is.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Puts some there, in place of what they were before, and takes others away.
    ///
    /// # Errors
    /// When Redis has not, or perhaps not, done that.
    pub async fn change(&self, put: &[(Name, Written)], removed: &[Name]) -> Result<(), Away> {
        let mut commands = Vec::new();
        if !put.is_empty() {
            let mut command = self.command("HSET");
            for (name, written) in put {
                command.arg(name.to_string()).arg(self.seal(*name, written));
            }
            commands.push(command);
        }
        if !removed.is_empty() {
            let names: Vec<_> = removed.iter().map(Name::to_string).collect();
            commands.push(self.command("HDEL").arg(names).take());
        }
        commands.push(self.command("PEXPIRE").arg(OUTLIVES).take());
        for answer in self.link.pipeline(commands).await? {
            if let Value::ServerError(error) = answer {
                let error = redis::RedisError::from(error);
                if error.code() == Some("WRONGTYPE") {
                    // Nobody of the fleet made it.
                    self.tally.rejected("allocations");
                    self.link.query::<()>(&self.command("UNLINK")).await?;
                }
                return Err(Away::Refused(error));
            }
        }
        Ok(())
    }

    /// The one of that name.
    ///
    /// # Errors
    /// When Redis does not say.
    pub async fn get(&self, name: Name) -> Result<Option<Written>, Away> {
        let sealed: Option<Vec<u8>> = self.link.query(self.command("HGET").arg(name.to_string())).await?;
        Ok(sealed.and_then(|sealed| self.open(name, &sealed)))
    }

    /// A look at all of them.
    pub fn walk(&self) -> Walk<'_> {
        Walk { shelf: self, cursor: Some(0), seen: HashSet::new() }
    }

    /// Takes away all that `is_there` does not know, and what nobody of the fleet put there.
    ///
    /// # Errors
    /// When Redis has not done all of that.
    pub async fn sweep(&self, is_there: impl Fn(Name) -> bool) -> Result<(), Away> {
        let mut cursor = 0;
        loop {
            let (next, fields) = self.scan(cursor).await?;
            let name = |field: &[u8]| str::from_utf8(field).ok().and_then(Name::parse);
            let foreign = |field: &[u8]| !name(field).is_some_and(&is_there);
            let garbage: Vec<_> =
                fields.into_iter().map(|(field, _)| field).filter(|field| foreign(field)).collect();
            if !garbage.is_empty() {
                self.link.query::<u64>(self.command("HDEL").arg(garbage)).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<Field>), Away> {
        self.link.query(self.command("HSCAN").arg(cursor).arg("COUNT").arg(PAGE)).await
    }

    fn command(&self, verb: &str) -> Cmd {
        let mut command = cmd(verb);
        command.arg(&self.key);
        command
    }

    fn seal(&self, name: Name, written: &Written) -> Vec<u8> {
        let plain = written.encode();
        self.seal.seal(&self.sealed_as(name), &self.node, LAYOUT.into(), &plain)
    }

    /// Nothing if the fleet has not sealed it as that.
    fn open(&self, name: Name, sealed: &[u8]) -> Option<Written> {
        let plain = self.seal.open(&self.sealed_as(name), &self.node, LAYOUT.into(), sealed);
        let written = plain.map(zeroize::Zeroizing::new).and_then(|plain| Written::decode(&plain));
        if written.is_none() {
            self.tally.rejected("allocation");
        }
        written
    }

    fn sealed_as(&self, name: Name) -> String {
        format!("calls:{}:{name}", self.node)
    }
}

impl Walk<'_> {
    /// The next few of them, or none any more. What nobody of the fleet put there is left out.
    ///
    /// # Errors
    /// When Redis does not say; it can be asked again.
    pub async fn next(&mut self) -> Result<Option<Vec<(Name, Written)>>, Away> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let (next, fields) = self.shelf.scan(cursor).await?;
        self.cursor = (next != 0).then_some(next);
        let mut page = Vec::with_capacity(fields.len());
        for (field, sealed) in fields {
            let Some(name) = str::from_utf8(&field).ok().and_then(Name::parse) else {
                self.shelf.tally.rejected("allocation");
                continue;
            };
            if self.seen.insert(name)
                && let Some(written) = self.shelf.open(name, &sealed)
            {
                page.push((name, written));
            }
        }
        Ok(Some(page))
    }
}
