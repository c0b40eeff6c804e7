//! What the relay tells of itself, and to whom.

use std::time::Duration;

use axum::http::Uri;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::document::TelemetrySection;
use super::problem::Problems;
use super::value;

/// Logs, metrics and traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// Where metrics and traces go by OTLP over gRPC.
    pub otlp_endpoint: Option<Uri>,
    /// How often metrics go there.
    pub otlp_interval: Duration,
    /// Which log lines are written.
    pub log_level: Targets,
    /// How they are written.
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(super) fn check(problems: &mut Problems, section: &TelemetrySection) -> Option<Telemetry> {
    let otlp_endpoint = section.otlp_endpoint.as_deref().and_then(|text| {
        let uri = text.parse::<Uri>().ok();
        let uri =
            uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if uri.is_none() {
            let fix = "Write one such as \"http://127.0.0.1:4317\"";
            problems.add("telemetry.otlp_endpoint", text, "this is no http or https URL", fix);
        }
        uri
    });
    let otlp_interval = value::duration(
        problems,
        "telemetry.otlp_interval",
        &section.otlp_interval,
        Duration::from_millis(100),
    );
    let log_level = log_filter(&section.log_level);
    if log_level.is_none() {
        problems.add(
            "telemetry.log_level",
            &section.log_level,
            "this is no level and no filter",
            "Write error, warn, info, debug or trace, or a filter such as \"info,edgerelay::tls=debug\"",
        );
    }
    let log_format = match section.log_format.as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        other => {
            problems.add("telemetry.log_format", other, "there is no such format", "Write text or json");
            None
        }
    };
    Some(Telemetry {
        otlp_endpoint,
        otlp_interval: otlp_interval?,
        log_level: log_level?,
        log_format: log_format?,
    })
}

/// Reads a log filter: a level, or a list of `target=level` that may hold a level for all the rest.
fn log_filter(text: &str) -> Option<Targets> {
    // `Targets` takes any word without a level for a target.
    let is_known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    text.split(',').all(is_known).then(|| text.parse().ok()).flatten()
}
