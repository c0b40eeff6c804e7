//! What a node goes on from whose own records are gone.

use std::cmp::Reverse;

use turn::record::Survivor;

use super::moment::Moment;
use super::name::Name;
use super::record::Written;
use super::shelf::Shelf;
use crate::cluster::link::Away;
use crate::cluster::usage::Accounts;

/// The node's allocations as they were last written down, the newest first: of two that have something in common, the
/// end of the older one was not written any more. Not those of clients on connections, which are gone, nor those
/// that are over. What they had relayed is what `accounts` know of that, which is told more often.
///
/// # Errors
/// When Redis does not say.
pub(super) async fn recall(shelf: &Shelf, accounts: &Accounts, now: &Moment) -> Result<Vec<Survivor>, Away> {
    let mut recalled: Vec<(Name, Written)> = Vec::new();
    let mut walk = shelf.walk();
    while let Some(page) = walk.next().await? {
        let mut page: Vec<_> = page.into_iter().filter(|(_, written)| goes_on(written, now)).collect();
        let names: Vec<_> =
            page.iter().map(|(name, written)| (written.survivor.allocation.user(), *name)).collect();
        let told = accounts.told(&names).await?;
        for ((_, written), told) in page.iter_mut().zip(told) {
            let tallied = &mut written.survivor.tallied;
            tallied.to_peers.bytes = tallied.to_peers.bytes.max(told.to_peers);
            tallied.to_client.bytes = tallied.to_client.bytes.max(told.to_client);
        }
        recalled.extend(page);
    }
    recalled.sort_by_key(|(_, written)| Reverse(written.created()));
    Ok(recalled.into_iter().map(|(_, written)| written.translated(now)).collect())
}

fn goes_on(written: &Written, now: &Moment) -> bool {
    written.expires() > now.unix && !written.survivor.allocation.five_tuple.transport.is_stream()
}
