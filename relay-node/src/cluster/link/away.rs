//! Why a call has no answer.

use redis::{ErrorKind, RedisError};
use thiserror::Error;

use super::why;

/// Why a call has no answer.
#[derive(Clone, Debug, Error)]
pub enum Away {
    /// There is no connection at present.
    #[error("Redis is out of reach")]
    Down,
    /// The connection broke, or the answer did not come in time. Redis may have done it.
    #[error("Redis did not answer in time")]
    Late,
    /// Too many calls wait for an answer already.
    #[error("too many calls wait for Redis already")]
    Busy,
    /// Redis said no, or something else than was asked for.
    #[error("Redis refuses it: {}", why::shown(.0))]
    Refused(RedisError),
}

impl Away {
    /// What became of a call that ended in `error`.
    pub(super) fn of(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => {
                Self::Refused(error)
            }
            _ => Self::Late,
        }
    }

    /// In one word, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Late => "late",
            Self::Busy => "busy",
            Self::Refused(_) => "refused",
        }
    }
}
