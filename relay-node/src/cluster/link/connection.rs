//! One connection: to a server, or to a Redis Cluster.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::task::JoinSet;

/// One connection: to a server, or to a Redis Cluster. Clones share it; the last one that goes closes it.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Asks one command. What Redis refuses is an error.
    pub(super) async fn command(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let value = match self {
            Self::Server(connection) => connection.req_packed_command(cmd).await,
            Self::Cluster(connection) => connection.req_packed_command(cmd).await,
        };
        value?.extract_error()
    }

    /// Asks many commands, and tells of each what came.
    pub(super) async fn commands(&mut self, cmds: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        match self {
            Self::Server(connection) => {
                let mut pipeline = Pipeline::with_capacity(cmds.len());
                let count = cmds.len();
                cmds.into_iter().for_each(|cmd| {
                    pipeline.add_command(cmd);
                });
                connection.req_packed_commands(&pipeline, 0, count).await
            }
            Self::Cluster(connection) => each_alone(connection, cmds).await,
        }
    }
}

/// Whether a connection on which this happened is of no use any more: it is closed, or whoever is at its other end is
/// not the one to talk to.
pub(super) fn is_broken_by(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    match error.kind() {
        ErrorKind::Server(kind) => {
            matches!(kind, BusyLoading | ClusterDown | MasterDown | Moved | ReadOnly)
        }
        ErrorKind::Extension => matches!(error.code(), Some("NOAUTH")),
        ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

/// Commands of one pipeline belong to one slot; these may belong to any.
async fn each_alone(connection: &ClusterConnection, cmds: Vec<Cmd>) -> RedisResult<Vec<Value>> {
    let mut values = vec![Value::Nil; cmds.len()];
    let mut asked = JoinSet::new();
    for (index, cmd) in cmds.into_iter().enumerate() {
        let mut connection = connection.clone();
        asked.spawn(async move { (index, connection.req_packed_command(&cmd).await) });
    }
    while let Some(answer) = asked.join_next().await {
        let Ok((index, answer)) = answer else { continue };
        let value = match answer {
            Err(error) if is_broken_by(&error) => return Err(error),
            Err(error) => Value::ServerError(redis::ServerError::try_from(error)?),
            Ok(value) => value,
        };
        if let Some(place) = values.get_mut(index) {
            *place = value;
        }
    }
    Ok(values)
}
