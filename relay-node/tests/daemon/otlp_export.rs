//! Metrics and traces reach a collector over OTLP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{ALICE, Client, Daemon, UDP, wait_until};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::Signal;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector {
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

impl Collector {
    /// Starts one on a free port; it lives as long as the test.
    fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let (metrics, traces) = (collector.clone(), collector.clone());
        let (sender, address) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                sender.send(incoming.local_addr().unwrap()).unwrap();
                Server::builder()
                    .add_service(MetricsServiceServer::new(metrics))
                    .add_service(TraceServiceServer::new(traces))
                    .serve_with_incoming(incoming)
                    .await
                    .unwrap();
            });
        });
        (collector, address.recv().unwrap())
    }

    /// The names of all metrics so far.
    fn metric_names(&self) -> Vec<String> {
        let requests = self.metrics.lock().unwrap();
        let scopes =
            requests.iter().flat_map(|request| &request.resource_metrics).flat_map(|it| &it.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.name.clone()).collect()
    }

    /// All spans so far.
    fn spans(&self) -> Vec<Span> {
        let requests = self.traces.lock().unwrap();
        let scopes =
            requests.iter().flat_map(|request| &request.resource_spans).flat_map(|it| &it.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

fn attribute(span: &Span, name: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value
}

#[test]
fn metrics_and_spans_of_allocations_reach_a_collector() {
    let (collector, address) = Collector::start();
    let otlp = format!("telemetry = {{ otlp_endpoint = 'http://{address}', otlp_interval = '200ms' }}");
    let mut relay = Daemon::serve(&format!("{ALICE}\n{UDP}\n{otlp}"));
    let mut alice = Client::udp(relay.address("udp"));
    alice.allocate();
    assert_eq!(alice.refresh(0), 0);
    wait_until("metrics arrive", || {
        collector.metric_names().iter().any(|name| name == "turn_relayed_packets")
    });

    relay.line("allocation closed");
    // The end sends what is left.
    relay.signal(Signal::TERM);
    assert_eq!(relay.wait().code(), Some(0));
    let spans = collector.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    let span = &spans[0];
    assert_eq!(span.name, "allocation");
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    assert_eq!(attribute(span, "turn.close_reason"), Some(Value::StringValue("deleted".into())));
    assert_eq!(attribute(span, "network.transport"), Some(Value::StringValue("udp".into())));
    assert!(!format!("{spans:?}").contains("alice"), "no name from the wire");
}

#[test]
fn a_collector_that_is_down_does_not_stop_the_relay() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let otlp = format!("telemetry = {{ otlp_endpoint = 'http://{closed}', otlp_interval = '100ms' }}");
    let mut relay = Daemon::serve(&format!("{ALICE}\n{UDP}\n{otlp}"));
    let mut alice = Client::udp(relay.address("udp"));
    alice.allocate();
    assert_eq!(alice.refresh(0), 0);
    assert_eq!(relay.get("/ready").0, 200);
    relay.signal(Signal::TERM);
    assert_eq!(relay.wait().code(), Some(0));
}
