//! Clients that come, stay for a moment and leave, one after the other.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::cores;
use crate::network::{Family, Network};
use crate::pace::at_intervals;
use crate::relay::Relay;
use crate::transport::Transport;

/// From one to the next at least.
const INTERVAL: Duration = Duration::from_millis(10);

/// Who has passed by.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassersBy {
    /// How many there were.
    pub count: u32,
    /// The longest that one stayed.
    pub slowest: Duration,
}

/// Has clients allocate, open a permission and a channel, refresh and leave until it is `over`; each is granted
/// whatever it asks for.
pub fn pass_by(network: &Network, relay: &Relay<'_>, over: &AtomicBool) -> PassersBy {
    cores::leave_the_relays();
    let mut passers_by = PassersBy::default();
    at_intervals(INTERVAL, over, || {
        let begun = Instant::now();
        let family = if passers_by.count.is_multiple_of(2) { Family::V4 } else { Family::V6 };
        let peer = (network.peer.v4, 9).into();
        let credential = relay.credential("passer-by");
        let mut client = Client::udp(&network.bob, relay.address(Transport::Udp, family), credential);
        let stay = |client: &mut Client| {
            match family {
                Family::V4 => client.allocate().map(drop)?,
                Family::V6 => client.allocate_both().map(drop)?,
            }
            client.permit(peer)?;
            client.refresh(600)?;
            client.bind(0x4000, peer)?;
            client.refresh(0)
        };
        stay(&mut client).unwrap_or_else(|code| panic!("a passer-by was refused with {code}"));
        passers_by.count += 1;
        passers_by.slowest = passers_by.slowest.max(begun.elapsed());
    });
    passers_by
}
