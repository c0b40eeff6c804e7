//! The life of each allocation, as a log line when it begins and when it ends, and as a span.

use std::sync::Arc;
use std::time::SystemTime;

use crossbeam_queue::ArrayQueue;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanKind, Tracer};
use opentelemetry_sdk::trace::SdkTracer;
use turn::Event;

/// Takes note of what the workers queued.
#[derive(Debug)]
pub struct Allocations {
    queues: Vec<Arc<ArrayQueue<Event>>>,
    tracer: Option<SdkTracer>,
}

impl Allocations {
    pub(super) fn new(queues: Vec<Arc<ArrayQueue<Event>>>, tracer: Option<SdkTracer>) -> Self {
        Self { queues, tracer }
    }

    /// Notes everything that is queued now.
    pub fn note(&self) {
        for queue in &self.queues {
            // Workers go on filling it: no more than it held at first.
            for _ in 0..queue.len() {
                let Some(event) = queue.pop() else { break };
                self.note_one(&event);
            }
        }
    }

    fn note_one(&self, event: &Event) {
        match event {
            Event::AllocationCreated { five_tuple, user, relayed, lifetime } => {
                tracing::info!(
                    target: "edgerelay::allocation",
                    client = %five_tuple.client,
                    server = %five_tuple.server,
                    transport = five_tuple.transport.name(),
                    // Shown, it escapes what the client made up.
                    %user,
                    relayed = relayed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                    lifetime_seconds = lifetime.as_secs(),
                    "allocation created"
                );
            }
            Event::RelayedAddressLost { five_tuple, user, address, reason } => {
                tracing::warn!(
                    target: "edgerelay::allocation",
                    client = %five_tuple.client,
                    server = %five_tuple.server,
                    transport = five_tuple.transport.name(),
                    %user,
                    relayed = %address,
                    %reason,
                    "relayed address lost"
                );
            }
            Event::AllocationClosed { five_tuple, user, reason, age, to_peers, to_client } => {
                tracing::info!(
                    target: "edgerelay::allocation",
                    client = %five_tuple.client,
                    server = %five_tuple.server,
                    transport = five_tuple.transport.name(),
                    %user,
                    reason = reason.name(),
                    age_seconds = age.as_secs_f64(),
                    to_peers_packets = to_peers.packets,
                    to_peers_bytes = to_peers.bytes,
                    to_client_packets = to_client.packets,
                    to_client_bytes = to_client.bytes,
                    "allocation closed"
                );
                let Some(tracer) = &self.tracer else { return };
                let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                let end = SystemTime::now();
                let mut span = tracer
                    .span_builder("allocation")
                    .with_kind(SpanKind::Server)
                    .with_start_time(end.checked_sub(*age).unwrap_or(end))
                    .with_attributes([
                        KeyValue::new("network.transport", five_tuple.transport.name()),
                        KeyValue::new("client.address", five_tuple.client.ip().to_string()),
                        KeyValue::new("client.port", i64::from(five_tuple.client.get().port())),
                        KeyValue::new("server.address", five_tuple.server.ip().to_string()),
                        KeyValue::new("turn.close_reason", reason.name()),
                        KeyValue::new("turn.to_peers.packets", number(to_peers.packets)),
                        KeyValue::new("turn.to_peers.bytes", number(to_peers.bytes)),
                        KeyValue::new("turn.to_client.packets", number(to_client.packets)),
                        KeyValue::new("turn.to_client.bytes", number(to_client.bytes)),
                    ])
                    .start(tracer);
                span.end_with_timestamp(end);
            }
        }
    }
}
