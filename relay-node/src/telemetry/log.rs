//! Structured log lines on standard error.

use std::io;

use tracing::Dispatch;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Telemetry};

/// Starts to write log lines. A process does so once; what wins is what came first.
pub fn start(settings: &Telemetry) {
    if log(settings).try_init().is_err() {
        tracing::debug!("log lines are written already");
    }
}

/// What writes log lines, for whoever does so only now and then.
pub fn log(settings: &Telemetry) -> Dispatch {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(settings.log_level.clone())).into()
}
