//! Reading it.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use redis::{Value, cmd, from_redis_value};
use tokio::sync::mpsc;
use turn::credentials::UserId;

use super::{Used, key_of, shard_of, shards, user_of};
use crate::cluster::Context;
use crate::cluster::allocations::Filter;
use crate::cluster::link::Away;

/// Users that wait for who asked for them.
const AHEAD: usize = 256;
/// How many users Redis is asked for at once.
const PAGE: usize = 256;
/// An allocation that nobody has told of for so many seconds is not counted as live.
const LIVE: u64 = 150;

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

/// What users have used of whom this fits (its `id` does not count), as it comes from Redis, which is asked no faster
/// than it is taken. An error is the last that comes: what was there then is not all.
pub fn list(context: &Context, filter: Filter) -> mpsc::Receiver<Result<Usage, Away>> {
    let (sender, usage) = mpsc::channel(AHEAD);
    let context = context.clone();
    tokio::spawn(async move {
        if let Err(away) = send(&context, &filter, &sender).await {
            // Nobody may wait for it any more.
            let _ = sender.send(Err(away)).await;
        }
    });
    usage
}

async fn send(
    context: &Context,
    filter: &Filter,
    sender: &mpsc::Sender<Result<Usage, Away>>,
) -> Result<(), Away> {
    let shards: Vec<_> = match &filter.tenant {
        Some(tenant) => vec![shard_of(&context.seal, Some(tenant))],
        None => shards().collect(),
    };
    for shard in shards {
        let key = context.link.key(&shard);
        let (mut cursor, mut seen) = (0, HashSet::new());
        loop {
            let scan = cmd("ZSCAN").arg(&key).arg(cursor).arg("COUNT").arg(PAGE).take();
            let (next, members): (u64, Vec<(Vec<u8>, f64)>) = context.link.query(&scan).await?;
            let name = |(member, _): (Vec<u8>, f64)| {
                let name = String::from_utf8(member).ok();
                name.filter(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
            };
            // Redis may show one twice while the set grows.
            let names = members.into_iter().filter_map(name).filter(|name| seen.insert(name.clone()));
            let names: Vec<_> = names.collect();
            for usage in read(context, &names).await?.into_iter().filter(|it| filter.fits(&it.user)) {
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

async fn read(context: &Context, names: &[String]) -> Result<Vec<Usage>, Away> {
    let key = |name: &String| context.link.key(&format!("usage:{name}"));
    let ask = |name| cmd("HGETALL").arg(key(name)).take();
    let answers = context.link.pipeline(names.iter().map(ask).collect()).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let usage = names.iter().zip(answers).filter_map(|(name, answer)| {
        let fields: HashMap<Vec<u8>, Vec<u8>> = match answer {
            Value::ServerError(_) => HashMap::new(),
            answer => from_redis_value(answer).unwrap_or_default(),
        };
        if fields.is_empty() {
            // It was forgotten meanwhile.
            return None;
        }
        let usage = parse(context, &key(name), name, &fields, now);
        if usage.is_none() {
            context.tally.rejected("usage");
        }
        usage
    });
    Ok(usage.collect())
}

/// Nothing if the fleet has not written that, as far as that can be seen.
fn parse(
    context: &Context,
    key: &str,
    name: &str,
    fields: &HashMap<Vec<u8>, Vec<u8>>,
    now: u64,
) -> Option<Usage> {
    let user = user_of(&context.seal.open(key, "usage", 0, fields.get(&b"user"[..])?)?)?;
    let number = |field: &str| match fields.get(field.as_bytes()) {
        Some(digits) => str::from_utf8(digits).ok()?.parse().ok(),
        // Nothing was ever added to it.
        None => Some(0),
    };
    let told = |(field, value): (&Vec<u8>, &Vec<u8>)| {
        let when = str::from_utf8(value).ok()?.rsplit(' ').next()?.parse::<u64>().ok()?;
        (field.first() == Some(&b'@')).then_some(when)
    };
    let live = fields.iter().filter_map(told).filter(|told| told.saturating_add(LIVE) > now).count() as u64;
    let used =
        Used { to_peers: number("to_peers")?, to_client: number("to_client")?, millis: number("millis")? };
    let is_its = key_of(&context.seal, &user) == name;
    is_its.then_some(Usage { user, allocations: number("allocations")?, live, used })
}
