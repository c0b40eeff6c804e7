//! The end of a relay that has calls: it takes no new ones and waits for those that there are.

use std::time::Duration;

use tokio::time::{Instant, interval, sleep_until};

use crate::admin::Health;
use crate::telemetry::Allocations;
use crate::worker::Workers;

use super::{EndSignals, ROUND};

/// Refuses new allocations and waits until none is left, the deadline is over, or a second signal
/// comes. Readiness goes on telling that packets are served, since load balancers cut off who is not ready.
pub(super) async fn drain(
    workers: &Workers,
    health: &Health,
    allocations: &Allocations,
    end_asked: &mut EndSignals,
    deadline: Duration,
) {
    tracing::info!(
        allocations = workers.allocations(),
        deadline_seconds = deadline.as_secs_f64(),
        "draining: no new allocations"
    );
    health.set_draining();
    workers.drain();
    let deadline = sleep_until(Instant::now() + deadline);
    tokio::pin!(deadline);
    let mut round = interval(ROUND);
    // The first tick is at once; the workers' numbers are of before the drain then.
    round.tick().await;
    loop {
        tokio::select! {
            _ = round.tick() => {
                allocations.note();
                if workers.allocations() == 0 {
                    tracing::info!("drained");
                    return;
                }
            }
            () = &mut deadline => {
                tracing::warn!(allocations = workers.allocations(), "the drain deadline is over");
                return;
            }
            () = end_asked.asked() => {
                tracing::warn!(allocations = workers.allocations(), "told again: ending at once");
                return;
            }
        }
    }
}
