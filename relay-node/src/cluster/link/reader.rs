//! Reads that block.

use std::time::Duration;

use redis::{Cmd, FromRedisValue};
use tokio::time::timeout;

use super::Away;
use super::connection::Connection;
use super::route::Route;

/// A connection of its own, on which a command may block (`XREAD BLOCK`) without anybody behind it.
pub struct Reader {
    connection: Connection,
}

impl Reader {
    pub(super) async fn connect(route: &Route) -> Result<Self, Away> {
        let (connection, _) = route.connect().await.map_err(|_| Away::Down)?;
        Ok(Self { connection })
    }

    /// Asks one command, which has `deadline` to be answered. After an error connect anew.
    ///
    /// # Errors
    /// As [`super::Link::query`].
    pub async fn query<T: FromRedisValue>(&mut self, cmd: &Cmd, deadline: Duration) -> Result<T, Away> {
        let value = timeout(deadline, self.connection.command(cmd)).await.map_err(|_| Away::Late)?;
        redis::from_redis_value(value.map_err(Away::of)?).map_err(|error| Away::Refused(error.into()))
    }
}
