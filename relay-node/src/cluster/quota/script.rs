//! The one step in which Redis counts a user's allocations over the fleet.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{Cmd, ServerErrorKind, Value, cmd};

use crate::cluster::link::{Away, Link};
use crate::cluster::registry::entry::{Life, NodeName};

/// How long a node's share counts that is not renewed: so long the allocations of a node that died are missed.
pub(super) const LIFE: Duration = Duration::from_secs(10);

/// How a node's share is called.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// What the shares of all its lives begin with.
    node: String,
    name: String,
}

impl Share {
    /// That of one life of a node. A later one's is greater: it has what the earlier ones had.
    pub(super) fn new(name: &NodeName, Life { began_at, incarnation }: Life) -> Self {
        Self { node: format!("{name}/"), name: format!("{name}/{began_at:016x}{incarnation:016x}") }
    }
}

/// What a node asks for a user.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The key of the user's shares.
    pub(super) key: String,
    /// Allocations that the user has on this node already.
    pub(super) held: u32,
    /// How many more there shall be.
    pub(super) wanted: u32,
}

/// Asks for all of them at once for the node of `share`. The answers say how many more there may be; none
/// where Redis has refused the step.
///
/// # Errors
/// Without all answers in time.
pub(super) async fn ask(
    link: &Link,
    share: &Share,
    limit: u32,
    asks: &[&Ask],
) -> Result<Vec<Option<u32>>, Away> {
    let of =
        |verb: &'static str, script: &'static str| move |ask: &&Ask| ask.command(verb, script, share, limit);
    let mut answers = link.pipeline(asks.iter().map(of("EVALSHA", &HASH)).collect()).await?;
    // Redis has started since and does not know the script; it learns it thereby.
    let unknown: Vec<usize> =
        answers.iter().enumerate().filter(|(_, answer)| is_unknown(answer)).map(|(at, _)| at).collect();
    if !unknown.is_empty() {
        let again = unknown.iter().filter_map(|at| asks.get(*at)).map(of("EVAL", SCRIPT)).collect();
        for (at, answer) in unknown.into_iter().zip(link.pipeline(again).await?) {
            if let Some(place) = answers.get_mut(at) {
                *place = answer;
            }
        }
    }
    let granted = |answer| match answer {
        Value::Int(granted) => u32::try_from(granted).ok(),
        _ => None,
    };
    Ok(answers.into_iter().map(granted).collect())
}

impl Ask {
    fn command(&self, verb: &str, script: &str, share: &Share, limit: u32) -> Cmd {
        let mut command = cmd(verb);
        command.arg(script).arg(1).arg(&self.key);
        command
            .arg(&share.name)
            .arg(&share.node)
            .arg(self.held)
            .arg(self.wanted)
            .arg(limit)
            .arg(LIFE.as_millis() as u64);
        command
    }
}

fn is_unknown(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

static HASH: LazyLock<String> = LazyLock::new(|| redis::Script::new(SCRIPT).get_hash().to_owned());

/// `KEYS[1]` is a hash of the shares of one user: a node's life to how many allocations it has and until when that
/// counts, by this server's clock. Shares that are over, those of earlier lives of the node that asks, and what no node
/// writes are removed: a time that is too late too, so that what a stranger writes counts no longer than what a node does.
const SCRIPT: &str = r"
local key, own, node = KEYS[1], ARGV[1], ARGV[2]
local held, wanted, limit, life = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local nodes = redis.pcall('HLEN', key)
if type(nodes) == 'table' or nodes > 10000 then
  redis.call('DEL', key)
end

local others = 0
local shares = redis.call('HGETALL', key)
for i = 1, #shares, 2 do
  if shares[i] ~= own then
    local count, expiry = string.match(shares[i + 1], '^(%d+):(%d+)$')
    expiry = tonumber(expiry)
    local is_former = string.sub(shares[i], 1, #node) == node and shares[i] < own
    if not is_former and expiry and now < expiry and expiry <= now + life and #count < 10 then
      others = others + tonumber(count)
    else
      redis.call('HDEL', key, shares[i])
    end
  end
end

local granted = math.max(0, math.min(wanted, limit - others - held))
if held + granted > 0 then
  redis.call('HSET', key, own, string.format('%.0f:%.0f', held + granted, now + life))
  redis.call('PEXPIRE', key, life)
else
  redis.call('HDEL', key, own)
end
return granted
";
