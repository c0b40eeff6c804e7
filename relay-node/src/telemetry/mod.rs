//! What the relay tells of itself: log lines, metrics, and traces of allocations.
//!
//! Workers only count, and queue what happened to allocations; everything here runs on the control
//! thread. Labels are words of this program, never names that a client sent.

mod allocations;
mod cluster;
mod generations;
mod log;
mod metrics;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use thiserror::Error;

use crate::admin::Health;
use crate::config;
use crate::recovery::state::State;
use crate::serve::Reloads;
use crate::worker::Workers;

pub use allocations::Allocations;
pub use generations::Older;
pub use log::{log, start as start_log};

/// The name of this service and of its instruments.
const NAME: &str = "edgerelay";
/// How long the last export may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// The exporters of metrics and traces.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
}

/// Why there can be no metrics or traces.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The Prometheus registry could not be made.
    #[error("cannot set up metrics: {0}; this is a fault of the program, report it")]
    Registry(#[from] OTelSdkError),
    /// The OTLP endpoint cannot be used.
    #[error("cannot export to the OTLP endpoint {endpoint}: {source}; check telemetry.otlp_endpoint")]
    Exporter {
        /// The endpoint.
        endpoint: String,
        /// Why not.
        source: ExporterBuildError,
    },
}

impl Telemetry {
    /// Prepares what exports. Must be called in a Tokio runtime, which carries exports by OTLP.
    ///
    /// # Errors
    /// When the OTLP endpoint cannot be used. One that is down is no error.
    pub fn start(settings: &config::Telemetry) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let prometheus = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()?;
        let resource = Resource::builder()
            .with_service_name(NAME)
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let mut meters = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(prometheus);
        let mut tracers = None;
        if let Some(endpoint) = &settings.otlp_endpoint {
            let endpoint = endpoint.to_string();
            let failed = |source| TelemetryError::Exporter { endpoint: endpoint.clone(), source };
            let exporter =
                MetricExporter::builder().with_tonic().with_endpoint(&endpoint).build().map_err(failed)?;
            let reader = PeriodicReader::builder(exporter).with_interval(settings.otlp_interval).build();
            meters = meters.with_reader(reader);
            let exporter =
                SpanExporter::builder().with_tonic().with_endpoint(&endpoint).build().map_err(failed)?;
            tracers = Some(
                SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build(),
            );
        }
        Ok(Self { registry, meters: meters.build(), tracers })
    }

    /// From now on tells what `workers` count, what is known of reloads and health, and of crashes where a
    /// relay can go on after them.
    pub fn observe(
        &self,
        workers: &Workers,
        health: &Arc<Health>,
        reloads: &Arc<Reloads>,
        crashes: Option<Arc<State>>,
    ) {
        metrics::register(&self.meters.meter(NAME), workers, health, reloads, crashes);
        let cluster = cluster::Cluster::new(Arc::downgrade(health));
        if let Err(error) = cluster.and_then(|cluster| self.registry.register(Box::new(cluster))) {
            tracing::error!(%error, "what the fleet counts is not among the metrics");
        }
    }

    /// Where the admin server gathers metrics.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// All metrics as they are now, in Prometheus' text format.
    ///
    /// # Errors
    /// When one of them cannot be written so.
    pub fn page(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// What takes note of the allocations of `workers`.
    pub fn allocations(&self, workers: &Workers) -> Allocations {
        let tracer = self.tracers.as_ref().map(|tracers| tracers.tracer(NAME));
        Allocations::new(workers.events(), tracer)
    }

    /// Sends what has not been sent. Blocks, while the runtime that this was started in has to run.
    pub fn shutdown(&self) {
        if let Some(tracers) = &self.tracers
            && let Err(error) = tracers.shutdown_with_timeout(SHUTDOWN)
        {
            tracing::warn!(%error, "the last traces could not be exported");
        }
        if let Err(error) = self.meters.shutdown_with_timeout(SHUTDOWN) {
            tracing::warn!(%error, "the last metrics could not be exported");
        }
    }
}
