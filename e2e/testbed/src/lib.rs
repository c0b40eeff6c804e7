//! What a test or a measurement stands on: network namespaces, programs inside them, asking and waiting.
//!
//! Nothing of it outlives the process that made it, however that ends: a [`Namespace`] has no name
//! that would keep it, and the kernel kills the programs of [`process::command`].

pub mod descriptors;
pub mod family;
pub mod http;
pub mod memory;
pub mod namespace;
pub mod process;
pub mod redis;
pub mod survivor;
pub mod waiting;

pub use namespace::{Namespace, NamespaceError};
pub use process::Process;
pub use redis::{Redis, RedisCluster, Sentinels};
pub use survivor::survivor;
pub use waiting::{eventually, eventually_true, within};
