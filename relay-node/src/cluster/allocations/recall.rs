//! What a node goes on from whose own records are gone.

use turn::record::Survivor;

use super::moment::Moment;
use super::shelf::Shelf;
use crate::cluster::link::Away;

/// The node's allocations as they were last written down, the newest first: of two that have something in common, the
/// end of the older one was not written any more. Not those of clients on connections, which are gone, nor those
/// that are over.
///
/// # Errors
/// When Redis does not say.
pub(super) async fn recall(shelf: &Shelf, now: &Moment) -> Result<Vec<Survivor>, Away> {
    let mut survivors = Vec::new();
    let mut walk = shelf.walk();
    while let Some(page) = walk.next().await? {
        let lives = page.into_iter().map(|(_, written)| written).filter(|written| {
            written.expires() > now.unix && !written.survivor.allocation.five_tuple.transport.is_stream()
        });
        survivors.extend(lives);
    }
    survivors.sort_by_key(|written| std::cmp::Reverse(written.created()));
    Ok(survivors.into_iter().map(|written| written.translated(now)).collect())
}
