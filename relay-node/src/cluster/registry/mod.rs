//! The registry: which nodes there are, where clients reach them, and how much each has to do.
//!
//! A node is in it by telling of itself each second ([`member`]): a sealed entry of its own ([`entry`], [`wire`]) that Redis
//! forgets if it is not renewed, and a place in sorted sets by load. It reads a few others ([`sample`]), knows them for as
//! long as they can be believed ([`known`]), and makes of them who its clients are sent to ([`snapshot`]). What else is asked
//! of the registry is answered by the [`Directory`].

mod chosen;
mod directory;
pub mod entry;
#[cfg(test)]
pub(super) mod fixtures;
mod known;
mod member;
mod sample;
mod snapshot;
mod wire;

use std::future::{self, Future};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::{MissedTickBehavior, interval, sleep_until};
use turn::Alternates;

use super::Context;
use super::node::Node;
use crate::config;
use entry::{Life, NodeName};

pub use directory::Directory;
pub use member::{Identity, Member, Told};

/// How often a node tells of itself: two times may be missed.
const RENEWAL: Duration = Duration::from_secs(1);

/// What the registry needs of the relay.
pub trait Relay: Send {
    /// What the node tells of itself now.
    fn told(&self) -> Told;
    /// From now on clients are sent to these.
    fn set_alternates(&self, alternates: Arc<Alternates>);
}

/// Keeps this node in the registry until the fleet's part ends.
pub(super) async fn serve(context: Context) {
    // The configuration takes no other names.
    let Some(name) = NodeName::new(&context.config.node) else { return };
    let identity = Identity {
        name,
        life: Life::begin(context.incarnation),
        zone: context.config.zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let member =
        Member::new(context.link.clone(), context.seal.clone(), Arc::clone(&context.tally), identity);
    let relay = (Arc::clone(&context.node), Arc::clone(&context.config));
    run(member, Arc::clone(&context.directory), relay, context.ended()).await;
}

/// Keeps a node in the registry until `ended`, and tells its relay and the `directory` who else is there.
pub async fn run(
    mut member: Member,
    directory: Arc<Directory>,
    relay: impl Relay,
    ended: impl Future<Output = ()>,
) {
    let mut renewal = interval(RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = std::pin::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => {
                // If Redis is away, the entry expires.
                let _ = member.leave().await;
                return;
            }
            _ = renewal.tick() => {
                // Without Redis, what is known stays: there is nothing to do about it.
                let _ = member.round(relay.told(), unix_millis()).await;
            }
            () = at(member.next_lapse()) => member.lapse(),
        }
        let known = member.choices();
        let alternates = snapshot::alternates(&known, member.zone());
        relay.set_alternates(Arc::new(Alternates::new(alternates)));
        directory.set(known);
    }
}

impl Relay for (Arc<Node>, Arc<config::Cluster>) {
    fn told(&self) -> Told {
        let (node, config) = self;
        Told {
            addresses: node.direct_addresses().to_vec(),
            tls: node.tls(),
            internal: config.grpc.as_ref().map(|grpc| grpc.advertised),
            load: node.load(),
        }
    }

    fn set_alternates(&self, alternates: Arc<Alternates>) {
        self.0.set_alternates(&alternates);
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => future::pending().await,
    }
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
