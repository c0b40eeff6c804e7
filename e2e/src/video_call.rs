//! A video call of two headless Chromiums that may use nothing but relayed candidates.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::within;

use crate::browser::Browser;
use crate::network::{Family, Network};
use crate::relay::Relay;
use crate::signalling::Signalling;
use crate::transport::Transport;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(90);
const ROLES: [&str; 2] = ["offer", "answer"];

/// The call: alice offers, bob answers, each sends the picture of a fake camera.
#[derive(Debug)]
pub struct VideoCall {
    signalling: Signalling,
    _browsers: [Browser; 2],
}

impl VideoCall {
    /// Opens both pages.
    pub fn begin(network: &Network, relay: &Relay<'_>, transport: Transport) -> Self {
        Self::by(network, relay, &relay.url(transport, Family::V4))
    }

    /// The same where the pages know another URL than that of the relay, whose credentials they have.
    pub fn by(network: &Network, relay: &Relay<'_>, url: &str) -> Self {
        let credential = relay.credential("browser");
        let signalling = Signalling::new(&json!({
            "iceServers": [{
                "urls": [url],
                "username": credential.username,
                "credential": credential.password,
            }],
            "iceTransportPolicy": "relay",
        }));
        let authority = relay.certificate().authority();
        let browsers = [("offer", &network.alice), ("answer", &network.bob)].map(|(role, party)| {
            Browser::open(party, &format!("{}/?role={role}", signalling.open_door(party)), &authority)
        });
        Self { signalling, _browsers: browsers }
    }

    /// Waits until the newest reports of both peers satisfy the condition; what they are.
    ///
    /// # Panics
    /// When a page fails, or they never do.
    pub fn both(&self, what: &str, condition: impl Fn(&Value) -> bool) -> [Value; 2] {
        let mut newest = [Value::Null, Value::Null];
        let found = within(DEADLINE, || {
            newest = ROLES.map(|role| self.signalling.report(role).unwrap_or_default());
            for report in &newest {
                assert!(report["error"].is_null(), "a page failed: {report}");
            }
            newest.iter().all(&condition).then_some(())
        });
        assert!(found.is_some(), "waited {DEADLINE:?} in vain for {what}; last reports: {newest:?}");
        newest
    }

    /// Waits until each peer has counted so much more of something than it had `before`.
    pub fn both_grow(&self, before: &[Value; 2], counts: &[(&str, u64)]) -> [Value; 2] {
        let [offer, answer] = before;
        self.both(&format!("{counts:?} to grow"), |report| {
            let before = if report["role"] == "offer" { offer } else { answer };
            counts.iter().all(|(key, by)| {
                report[*key].as_u64().zip(before[*key].as_u64()).is_some_and(|(now, then)| now >= then + by)
            })
        })
    }
}
