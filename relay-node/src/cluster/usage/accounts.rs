//! Where in Redis it is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use redis::{Cmd, RedisError, Value, cmd, from_redis_value};
use tokio::sync::mpsc;
use turn::credentials::UserId;

use super::{Line, Used};
use crate::cluster::allocations::{Filter, Name};
use crate::cluster::link::{Away, Link, Script};
use crate::cluster::seal::Seal;
use crate::cluster::tally::Tally;
use crate::cluster::{Context, Incarnation};

/// Usage that nobody adds to is kept for so many seconds: a month can be billed after its end.
const RETENTION: u64 = 35 * 24 * 3600;
/// For how many seconds an allocation is known that nobody tells of: so long a node may be cut off.
const KNOWN: u64 = 24 * 3600;
/// An allocation that nobody has told of for so many seconds is not counted as live.
const LIVE: u64 = 150;
/// Users that wait for who asked for them.
const AHEAD: usize = 256;
/// How many users Redis is asked for at once.
const PAGE: usize = 256;

static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("write.lua")));

/// What a user has used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Who.
    pub user: UserId,
    /// Allocations, those that have ended and those that live.
    pub allocations: u64,
    /// Those that live.
    pub live: u64,
    /// All of them together.
    pub used: Used,
}

/// The accounts of all users.
#[derive(Clone)]
pub struct Accounts {
    link: Link,
    seal: Seal,
    tally: Arc<Tally>,
}

impl Accounts {
    /// Those of the fleet.
    pub fn of(context: &Context) -> Self {
        Self::new(&context.link, &context.seal, &context.tally)
    }

    /// Those that this way leads to. What is found there that nobody of the fleet put there, `tally` counts.
    pub fn new(link: &Link, seal: &Seal, tally: &Arc<Tally>) -> Self {
        Self { link: link.clone(), seal: seal.clone(), tally: Arc::clone(tally) }
    }

    /// Tells something of a user's allocations, by the `number`th call of a process, which has one of that user at a
    /// time on its way. Whoever got no answer repeats it as it was; what was done already changes nothing then.
    ///
    /// # Errors
    /// When Redis has not, or perhaps not, done that.
    pub async fn tell(
        &self,
        writer: Incarnation,
        number: u64,
        user: &UserId,
        lines: &[Line],
    ) -> Result<(), Away> {
        let key = self.key(&self.name_of(user));
        let mut arguments = vec![
            format!("{:x}", writer.0).into_bytes(),
            number.to_string().into_bytes(),
            self.seal.seal(&key, OWNER, 0, &plain(user)),
            RETENTION.to_string().into_bytes(),
            KNOWN.to_string().into_bytes(),
        ];
        for line in lines {
            let (kind, name, used) = match line {
                Line::Live(name, used) => ("live", name.to_string(), used),
                Line::Over(name, used) => ("over", name.to_string(), used),
                Line::Sum(allocations, used) => ("sum", allocations.to_string(), used),
            };
            let Used { to_peers, to_client, millis } = used;
            arguments.extend([kind.as_bytes().to_vec(), name.into_bytes()]);
            arguments.extend([to_peers, to_client, millis].map(|number| number.to_string().into_bytes()));
        }
        match self.link.script(&WRITE, &key, &arguments).await {
            Err(Away::Refused(error)) if is_poisoned_by(&error) => {
                self.tally.rejected("usage");
                self.link.query::<()>(&cmd("UNLINK").arg(&key).take()).await?;
                self.link.script(&WRITE, &key, &arguments).await
            }
            other => other,
        }
    }

    /// What was told of allocations that live, each with whose it is: nothing of one that nobody told of.
    ///
    /// # Errors
    /// When Redis does not say.
    pub async fn told(&self, allocations: &[(&UserId, Name)]) -> Result<Vec<Used>, Away> {
        let ask = |(user, name): &(&UserId, Name)| {
            cmd("HGET").arg(self.key(&self.name_of(user))).arg(format!("@{name}")).take()
        };
        let answers = self.link.pipeline(allocations.iter().map(ask).collect()).await?;
        let used = |answer| from_redis_value::<String>(answer).ok().and_then(|cell| used_of(&cell));
        Ok(answers.into_iter().map(|answer| used(answer).unwrap_or_default()).collect())
    }

    /// Makes users be found of whom something was told, and forgets those of whom nothing was for long.
    ///
    /// # Errors
    /// When Redis has not done all of that.
    pub async fn enlist(&self, users: impl Iterator<Item = &UserId>) -> Result<(), Away> {
        let now = since_1970();
        let mut shards: BTreeMap<String, Cmd> = BTreeMap::new();
        for user in users {
            let key = self.link.key(&self.shard_of(user.tenant()));
            let command = shards.entry(key).or_insert_with_key(|key| cmd("ZADD").arg(key).take());
            command.arg(now).arg(self.name_of(user));
        }
        let forget = |key: &String| {
            cmd("ZREMRANGEBYSCORE").arg(key).arg("-inf").arg(now.saturating_sub(RETENTION)).take()
        };
        let commands: Vec<_> = shards.keys().map(forget).collect();
        self.link.pipeline(commands.into_iter().chain(shards.into_values()).collect()).await?;
        Ok(())
    }

    /// What users have used of whom `filter` fits (its `id` does not count), as it comes from Redis, which is asked no
    /// faster than it is taken. An error is the last that comes: what was there then is not all.
    pub fn list(&self, filter: Filter) -> mpsc::Receiver<Result<Usage, Away>> {
        let (sender, usage) = mpsc::channel(AHEAD);
        let accounts = self.clone();
        tokio::spawn(async move {
            if let Err(away) = accounts.send(&filter, &sender).await {
                // Nobody may wait for it any more.
                let _ = sender.send(Err(away)).await;
            }
        });
        usage
    }

    async fn send(&self, filter: &Filter, sender: &mpsc::Sender<Result<Usage, Away>>) -> Result<(), Away> {
        let shards: Vec<_> = match &filter.tenant {
            Some(tenant) => vec![self.shard_of(Some(tenant))],
            None => shards().collect(),
        };
        for shard in shards {
            let key = self.link.key(&shard);
            let (mut cursor, mut seen) = (0, HashSet::new());
            loop {
                let scan = cmd("ZSCAN").arg(&key).arg(cursor).arg("COUNT").arg(PAGE).take();
                let (next, members): (u64, Vec<(Vec<u8>, f64)>) = self.link.query(&scan).await?;
                let name = |(member, _): (Vec<u8>, f64)| {
                    let name = String::from_utf8(member).ok();
                    name.filter(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
                };
                // Redis may show one twice while the set grows.
                let names = members.into_iter().filter_map(name).filter(|name| seen.insert(name.clone()));
                let names: Vec<_> = names.collect();
                for usage in self.read(&names).await?.into_iter().filter(|it| filter.fits(&it.user)) {
                    if sender.send(Ok(usage)).await.is_err() {
                        return Ok(());
                    }
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok(())
    }

    async fn read(&self, names: &[String]) -> Result<Vec<Usage>, Away> {
        let ask = |name: &String| cmd("HGETALL").arg(self.key(name)).take();
        let answers = self.link.pipeline(names.iter().map(ask).collect()).await?;
        let now = since_1970();
        let usage = names.iter().zip(answers).filter_map(|(name, answer)| {
            let fields = match answer {
                Value::ServerError(_) => None,
                answer => from_redis_value::<HashMap<Vec<u8>, Vec<u8>>>(answer).ok(),
            };
            if fields.as_ref().is_some_and(HashMap::is_empty) {
                // It was forgotten meanwhile.
                return None;
            }
            let usage = fields.and_then(|fields| self.parse(name, &fields, now));
            if usage.is_none() {
                self.tally.rejected("usage");
            }
            usage
        });
        Ok(usage.collect())
    }

    /// Nothing if the fleet has not written that, as far as that can be seen.
    fn parse(&self, name: &str, fields: &HashMap<Vec<u8>, Vec<u8>>, now: u64) -> Option<Usage> {
        let sealed = fields.get(&b"user"[..])?;
        let user = user_of(&self.seal.open(&self.key(name), OWNER, 0, sealed)?)?;
        let number = |field: &str| match fields.get(field.as_bytes()) {
            Some(digits) => str::from_utf8(digits).ok()?.parse().ok(),
            // Nothing was ever added to it.
            None => Some(0),
        };
        let told = |(field, value): (&Vec<u8>, &Vec<u8>)| {
            let when = str::from_utf8(value).ok()?.rsplit(' ').next()?.parse::<u64>().ok()?;
            (field.first() == Some(&b'@')).then_some(when)
        };
        let told = fields.iter().filter_map(told);
        Some(Usage {
            user,
            allocations: number("allocations")?,
            live: told.filter(|told| told.saturating_add(LIVE) > now).count() as u64,
            used: Used {
                to_peers: number("to_peers")?,
                to_client: number("to_client")?,
                millis: number("millis")?,
            },
        })
    }

    fn key(&self, name: &str) -> String {
        self.link.key(&format!("usage:{name}"))
    }

    /// What a user is called in Redis.
    fn name_of(&self, user: &UserId) -> String {
        self.seal.name_of(&plain(user))
    }

    /// Which of the sets has a tenant's users: one of them, so that few have to be looked through.
    fn shard_of(&self, tenant: Option<&str>) -> String {
        let name = self.seal.name_of(tenant.unwrap_or_default().as_bytes());
        format!("users:{}", name.get(..1).unwrap_or_default())
    }
}

/// Whose the sealed names of users are: no node's.
const OWNER: &str = "usage";

/// All sets of users.
fn shards() -> impl Iterator<Item = String> {
    (0..16).map(|shard| format!("users:{shard:x}"))
}

/// A user's name and kind.
fn plain(user: &UserId) -> Vec<u8> {
    [&[u8::from(user.is_time_limited())], user.name().as_bytes()].concat()
}

/// Whose that is.
fn user_of(plain: &[u8]) -> Option<UserId> {
    let (kind, name) = plain.split_first()?;
    let name = str::from_utf8(name).ok()?;
    match kind {
        0 => Some(UserId::long_term(name)),
        1 => Some(UserId::time_limited(name)),
        _ => None,
    }
}

/// What a cell of the script says; no more than its numbers can be without being rounded.
fn used_of(cell: &str) -> Option<Used> {
    let mut numbers = cell.split(' ').map(str::parse);
    let mut next = || numbers.next()?.ok().filter(|number: &u64| *number <= 1 << 53);
    Some(Used { to_peers: next()?, to_client: next()?, millis: next()? })
}

/// Whether Redis refuses the script for what is there: nothing that the script wrote.
pub(super) fn is_poisoned_by(error: &RedisError) -> bool {
    matches!(error.code(), Some("WRONGTYPE" | "ERR"))
}

fn since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_as_it_was_written_and_kinds_are_not_confused() {
        let users =
            [UserId::long_term("alice"), UserId::time_limited("alice"), UserId::time_limited("t1:alice")];
        for user in &users {
            assert_eq!(user_of(&plain(user)).as_ref(), Some(user));
        }
        assert_ne!(plain(&users[0]), plain(&users[1]));
        assert_eq!(user_of(b""), None);
        assert_eq!(user_of(b"\x02alice"), None);
    }

    #[test]
    fn what_was_told_is_read_as_it_was_written_and_nothing_that_could_overflow() {
        let used = Used { to_peers: 1, to_client: 0, millis: 1 << 53 };
        assert_eq!(used_of("1 0 9007199254740992 1800000000"), Some(used));
        for other in
            ["", "1 2", "1 2 x 4", "-1 2 3 4", "1 2 9007199254740993 4", "18446744073709551616 2 3 4"]
        {
            assert_eq!(used_of(other), None, "{other}");
        }
    }
}
