//! Lua scripts that Redis runs as one step.

use std::sync::LazyLock;

use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};

use super::connection::Connection;

/// A Lua script for Redis, that touches one key.
pub struct Script {
    text: &'static str,
    hash: LazyLock<String, Box<dyn FnOnce() -> String + Send>>,
}

impl Script {
    /// Takes `text` as a script: `KEYS[1]` is its key, `ARGV` what it is called with.
    pub fn new(text: &'static str) -> Self {
        let hash = move || redis::Script::new(text).get_hash().to_owned();
        Self { text, hash: LazyLock::new(Box::new(hash)) }
    }

    /// Runs it by its hash, and by its text where Redis does not know it: once after a restart.
    pub(super) async fn run(
        &self,
        connection: &mut Connection,
        key: &str,
        args: &[Vec<u8>],
    ) -> RedisResult<Value> {
        let known = connection.command(&call("EVALSHA", &self.hash, key, args)).await;
        match known {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.command(&call("EVAL", self.text, key, args)).await
            }
            other => other,
        }
    }
}

fn call(verb: &str, script: &str, key: &str, args: &[Vec<u8>]) -> Cmd {
    let mut cmd = redis::cmd(verb);
    cmd.arg(script).arg(1).arg(key);
    for arg in args {
        cmd.arg(arg.as_slice());
    }
    cmd
}
