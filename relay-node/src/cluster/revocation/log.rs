//! The log in Redis: a stream of sealed lines.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use redis::cmd;
use redis::streams::{StreamRangeReply, StreamReadReply};
use tokio::time::{Instant, sleep};

use super::list::{Line, List, Millis};
use crate::cluster::Context;
use crate::cluster::link::{Away, Reader, Script};

const STREAM: &str = "revoked";
/// The one field of an entry.
const FIELD: &str = "line";
/// Whose the lines are: not one node's.
const OWNER: &str = "fleet";
/// For how much longer than it matters a line is kept: nodes' clocks are not all right.
const MARGIN: Duration = Duration::from_secs(3600);
/// Lines that are read or written at once.
const PAGE: usize = 500;
/// How long a read waits for news, and how late its answer may be.
const WAIT: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(1);
/// The whole log is read again that often, whatever happens.
const AGAIN: Duration = Duration::from_secs(300);
/// Before a new connection.
const PAUSE: Duration = Duration::from_millis(500);
/// An id before all others.
const BEGINNING: &str = "0-0";

/// Appends lines: whatever was written before, or only if that (`ARGV[1]`) is the newest. Removes lines that are older than
/// `ARGV[2]`, and all of it once nothing was said for `ARGV[3]` milliseconds.
static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if ARGV[1] ~= '' then \
         local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] \
         if (last and last[1] or '0-0') ~= ARGV[1] then return 0 end end \
         for line = 4, #ARGV do redis.call('XADD', KEYS[1], 'MINID', '~', ARGV[2], '*', 'line', ARGV[line]) end \
         redis.call('PEXPIRE', KEYS[1], ARGV[3]) return 1",
    )
});

/// How far the log has been read, and what is in it.
struct Place {
    key: String,
    last: String,
    read: List,
}

/// Hears what other nodes say, and says again what Redis has lost, as long as this is polled.
pub(in crate::cluster) async fn run(context: Context) {
    tokio::join!(forget(&context), listen(&context));
}

/// Writes `lines` if what was written `last` is the newest still, or whatever is if nothing is said of that. Tells
/// whether it did.
///
/// # Errors
/// Without an answer: they may have been written then.
pub(super) async fn append(context: &Context, last: Option<&str>, lines: &[Line]) -> Result<bool, Away> {
    let key = context.link.key(STREAM);
    let kept = context.config.issuing.max_ttl + MARGIN;
    let kept = u64::try_from(kept.as_millis()).unwrap_or(Millis::MAX);
    let oldest = now().saturating_sub(kept);
    let head = [last.unwrap_or_default().to_owned(), oldest.to_string(), kept.to_string()];
    let lines = lines.iter().map(|line| seal(context, &key, line));
    let arguments: Vec<Vec<u8>> = head.into_iter().map(String::into_bytes).chain(lines).collect();
    context.link.script(&APPEND, &key, arguments).await
}

/// Puts out of force what has ended, whether Redis answers or not.
async fn forget(context: &Context) {
    loop {
        sleep(WAIT).await;
        let now = now();
        context.fleet.send_if_modified(|fleet| fleet.change_revocations(|list| list.forget(now)));
    }
}

async fn listen(context: &Context) {
    let mut link = context.link.state();
    // Without a link there is nothing to hear: the fleet's part ends.
    while let Ok(epoch) = link.wait_for(|state| state.up).await.map(|state| state.epoch) {
        let reconnected = async { _ = link.wait_for(|state| state.epoch != epoch).await };
        tokio::select! {
            Err(away) = follow(context) => heal(context, &away).await,
            () = reconnected => {}
        }
        sleep(PAUSE.mul_f64(rand::random())).await;
    }
}

async fn follow(context: &Context) -> Result<Infallible, Away> {
    let mut reader = context.link.reader().await?;
    loop {
        let mut place =
            Place { key: context.link.key(STREAM), last: BEGINNING.to_owned(), read: List::default() };
        while place.read(context, &mut reader, None).await? == PAGE {}
        let until = Instant::now() + AGAIN;
        while Instant::now() < until {
            place.say_what_is_missing(context).await?;
            if place.is_lost(context).await? {
                break;
            }
            place.read(context, &mut reader, Some(WAIT)).await?;
        }
    }
}

impl Place {
    /// Reads what comes next, waiting for it if told so, and tells how much that was.
    async fn read(
        &mut self,
        context: &Context,
        reader: &mut Reader,
        wait: Option<Duration>,
    ) -> Result<usize, Away> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(PAGE);
        if let Some(wait) = wait {
            read.arg("BLOCK").arg(wait.as_millis() as u64);
        }
        read.arg("STREAMS").arg(&self.key).arg(&self.last);
        let deadline = wait.unwrap_or_default() + LATE;
        let reply = reader.query::<Option<StreamReadReply>>(&read, deadline).await?.unwrap_or_default();
        let entries: Vec<_> = reply.keys.into_iter().flat_map(|key| key.ids).collect();
        let now = now();
        let mut lines = Vec::new();
        for entry in &entries {
            self.last.clone_from(&entry.id);
            let sealed: Option<Vec<u8>> = entry.get(FIELD);
            match sealed.and_then(|sealed| open(context, &self.key, &sealed)) {
                Some(line) => lines.push(line),
                None => context.tally.rejected("revocation"),
            }
        }
        for line in &lines {
            self.read.hear(line.clone(), now);
        }
        if !lines.is_empty() {
            context.fleet.send_if_modified(|fleet| {
                fleet.change_revocations(|list| {
                    // All of them, not up to the first that is news.
                    lines.into_iter().filter(|line| list.hear(line.clone(), now)).count() > 0
                })
            });
        }
        Ok(entries.len())
    }

    /// Writes what this node knows and the log does not have, unless another node was faster: then that is read first.
    async fn say_what_is_missing(&mut self, context: &Context) -> Result<(), Away> {
        self.read.forget(now());
        let missing: Vec<Line> = context.fleet.borrow().revoked().beyond(&self.read).take(PAGE).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if append(context, Some(&self.last), &missing).await? {
            tracing::info!(
                lines = missing.len(),
                "cluster: revocations that Redis did not have are in its log again"
            );
        }
        Ok(())
    }

    /// Whether Redis has lost what was read.
    async fn is_lost(&self, context: &Context) -> Result<bool, Away> {
        let mut newest = cmd("XREVRANGE");
        newest.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
        let newest: StreamRangeReply = context.link.query(&newest).await?;
        let newest = newest.ids.first().map_or(BEGINNING, |entry| entry.id.as_str());
        Ok(order(newest) < order(&self.last))
    }
}

/// What is kept there is no stream: no node has written it, and nobody misses it.
async fn heal(context: &Context, away: &Away) {
    let Away::Refused(error) = away else { return };
    if error.code() == Some("WRONGTYPE") {
        context.tally.rejected("revocation");
        let _ = context.link.query::<u64>(cmd("DEL").arg(context.link.key(STREAM))).await;
    }
}

fn seal(context: &Context, key: &str, line: &Line) -> Vec<u8> {
    // A line is text and numbers, which JSON holds.
    let plain = serde_json::to_vec(line).unwrap_or_default();
    context.seal.seal(key, OWNER, 0, &plain)
}

fn open(context: &Context, key: &str, sealed: &[u8]) -> Option<Line> {
    serde_json::from_slice(&context.seal.open(key, OWNER, 0, sealed)?).ok()
}

/// The two numbers of an id.
fn order(id: &str) -> (u64, u64) {
    let (millis, count) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or_default(), count.parse().unwrap_or_default())
}

fn now() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
