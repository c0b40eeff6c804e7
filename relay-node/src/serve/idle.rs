//! A relay of a deployment that has handed over to another one: something started it again, and it must not take
//! back what that one has. It waits until it is told to end.

use std::sync::Arc;

use crate::admin::{self, Health};
use crate::config::Config;

use super::signals::{Signals, Told};
use super::{ServeError, notify};

/// Waits. Its admin server says that it lives and is not ready, unless the relay that serves has its address.
pub(super) async fn wait(config: &Config, signals: &mut Signals) -> Result<(), ServeError> {
    let instance = config.recovery.instance.as_str();
    tracing::warn!(
        instance,
        "this deployment has handed over to another one, which may be newer: waiting idle until SIGTERM. To have it \
         serve again, give it another recovery.instance"
    );
    match admin::bind(config.admin, None) {
        Ok(listener) => {
            let address = listener.local_addr().map_err(ServeError::Control)?;
            tracing::info!(%address, "admin listening");
            let health = Arc::new(Health::superseded());
            tokio::spawn(admin::serve(listener, health, prometheus::Registry::new(), Arc::default()));
        }
        Err(error) => tracing::info!(%error, "the relay that serves answers admin requests"),
    }
    notify::ready("Waiting idle: this deployment has handed over to another one");
    while signals.next().await != Told::End {}
    tracing::info!("ended");
    Ok(())
}
