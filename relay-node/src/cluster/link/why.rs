//! What is in the way of Redis, in a sentence for the person who removes it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::route::Route;

/// Longer texts of others are cut.
const LONGEST: usize = 200;

/// What is in the way, what it may be, and where that is set.
pub(super) fn sentence(route: &Route, error: &RedisError) -> String {
    let text = error.to_string();
    let has = |part: &str| text.contains(part);
    let said = match error.kind() {
        ErrorKind::MasterNameNotFoundBySentinel => {
            "they know no primary of that name: see cluster.redis.primary".to_owned()
        }
        ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            "it is a replica, which takes no writes: name the primary in cluster.redis.urls, or the Sentinels with \
             cluster.redis.mode = \"sentinel\""
                .to_owned()
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => format!(
            "its ACL user may not do what a node does ({}): see edgerelay.example.toml for the ACL line",
            shown(error)
        ),
        ErrorKind::Server(ServerErrorKind::BusyLoading) => "it loads its data".to_owned(),
        ErrorKind::Server(ServerErrorKind::ClusterDown) => {
            "some of its primaries are away (CLUSTERDOWN)".to_owned()
        }
        _ if has("NOAUTH") => "it asks for a password: see cluster.redis.password_file".to_owned(),
        ErrorKind::AuthenticationFailed => {
            "it refuses the user or the password: see cluster.redis.username and cluster.redis.password_file".to_owned()
        }
        _ if has("WRONGPASS") => {
            "it refuses the user or the password: see cluster.redis.username and cluster.redis.password_file".to_owned()
        }
        _ if has("Expired") || has("expired") => "its certificate, or that of this node, has expired: renew it".to_owned(),
        _ if has("UnknownIssuer") || has("BadSignature") => {
            "its certificate comes from an authority that is not trusted: see cluster.redis.ca_file".to_owned()
        }
        _ if has("NotValidForName") || has("not valid for name") => {
            "its certificate does not name that address: see cluster.redis.urls".to_owned()
        }
        _ if has("CertificateRequired") || has("HandshakeFailure") => {
            "it asks for a certificate of this node: see cluster.redis.certificate and cluster.redis.key".to_owned()
        }
        _ if has("corrupt message") || has("InvalidContentType") => {
            "it does not speak TLS there: write redis:// in cluster.redis.urls, or turn TLS on in Redis".to_owned()
        }
        _ if error.is_connection_refusal() => {
            "nothing listens there: start it, or see cluster.redis.urls".to_owned()
        }
        _ if error.is_timeout() => "it does not answer".to_owned(),
        _ if error.is_connection_dropped() => "it closed the connection".to_owned(),
        ErrorKind::Client if has("moved to") => text.clone(),
        _ => shown(error),
    };
    format!("{route}: {said}")
}

/// What others say, fit for a log line.
pub(super) fn shown(error: &RedisError) -> String {
    let text: String = error.to_string().chars().take(LONGEST).collect();
    text.escape_debug().to_string()
}

/// The Sentinels name another primary.
pub(super) fn moved(to: &str) -> RedisError {
    RedisError::from((ErrorKind::Client, "the primary moved to", to.to_owned()))
}
