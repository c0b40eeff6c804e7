//! Structured log lines on standard error.

use std::io;

use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Telemetry};

/// Starts to write log lines. A process does so once; what wins is what came first.
pub fn start(settings: &Telemetry) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(settings.log_level.clone()));
    if registry.try_init().is_err() {
        tracing::debug!("log lines are written already");
    }
}
