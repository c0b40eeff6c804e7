//! The instruments. Each reads what workers have counted at the moment that it is asked.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use turn::{DropReason, Redirection, Refusal, RequestKind};

use crate::admin::Health;
use crate::recovery::state::{Crash, State};
use crate::serve::Reloads;
use crate::worker::{Counters, Workers};

/// One number of a worker, with its labels.
type Observe<'a> = &'a mut dyn FnMut(u64, &[(&'static str, &'static str)]);

/// Makes all instruments on `meter`.
pub(super) fn register(
    meter: &Meter,
    workers: &Workers,
    health: &Arc<Health>,
    reloads: &Arc<Reloads>,
    crashes: Option<Arc<State>>,
) {
    let instruments = Instruments { meter, workers: workers.counters().into() };
    turn_core(&instruments);
    sockets(&instruments);
    process(meter, health, reloads);
    if let Some(state) = crashes {
        recovery(meter, state);
    }
}

fn turn_core(instruments: &Instruments<'_>) {
    instruments.counter("turn_relayed_packets", "", "Packets relayed", |worker, observe| {
        let stats = worker.turn();
        observe(stats.to_peers.packets, &[("direction", "to_peers")]);
        observe(stats.to_clients.packets, &[("direction", "to_clients")]);
    });
    instruments.counter("turn_relayed", "By", "Application data relayed", |worker, observe| {
        let stats = worker.turn();
        observe(stats.to_peers.bytes, &[("direction", "to_peers")]);
        observe(stats.to_clients.bytes, &[("direction", "to_clients")]);
    });
    instruments.counter("turn_dropped_packets", "", "Packets that went nowhere", |worker, observe| {
        let stats = worker.turn();
        for reason in DropReason::ALL {
            observe(stats.dropped(reason), &[("reason", reason.name())]);
        }
    });
    instruments.counter("turn_answers", "", "Requests answered, by error code", |worker, observe| {
        let stats = worker.turn();
        for kind in RequestKind::ALL {
            // Most of the table stays empty; success is there from the start.
            observe(stats.answers(kind, None), &[("method", kind.name()), ("code", "success")]);
            for refusal in Refusal::ALL {
                let count = stats.answers(kind, Some(*refusal));
                if count > 0 {
                    observe(count, &[("method", kind.name()), ("code", refusal.label())]);
                }
            }
        }
    });
    instruments.counter(
        "edgerelay_cluster_redirects",
        "",
        "Allocates that came where clients are sent to another node, by what became of them",
        |worker, observe| {
            let stats = worker.turn();
            for (outcome, count) in Redirection::ALL.iter().zip(stats.redirections) {
                observe(count, &[("result", outcome.name())]);
            }
        },
    );
    instruments.counter(
        "turn_unauthenticated_answers",
        "By",
        "Answers to requests that proved no credentials",
        |worker, observe| observe(worker.turn().unauthenticated_answer_bytes, &[]),
    );
    instruments.gauge("turn_allocations", "Allocations that live", |worker, observe| {
        observe(worker.allocations(), &[]);
    });
    instruments.counter("turn_allocations_created", "", "Allocations that came to be", |worker, observe| {
        observe(worker.turn().allocations_created, &[]);
    });
    instruments.counter(
        "turn_allocations_restored",
        "",
        "Allocations taken over from a former process",
        |worker, observe| observe(worker.turn().allocations_restored, &[]),
    );
    instruments.counter(
        "turn_allocations_released",
        "",
        "Allocations that a later process serves since",
        |worker, observe| observe(worker.turn().allocations_released, &[]),
    );
    instruments.counter("turn_allocations_closed", "", "Allocations that ended", |worker, observe| {
        observe(worker.turn().allocations_closed, &[]);
    });
    instruments.gauge("turn_permissions", "Permissions in force", |worker, observe| {
        observe(worker.turn().permissions, &[]);
    });
    instruments.gauge("turn_channels", "Channels bound", |worker, observe| {
        observe(worker.turn().channels, &[]);
    });
}

fn sockets(instruments: &Instruments<'_>) {
    instruments.counter("edgerelay_datagrams", "", "Datagrams at the sockets", |worker, observe| {
        let sockets = worker.sockets();
        observe(sockets.datagrams_received, &[("direction", "received")]);
        observe(sockets.datagrams_sent, &[("direction", "sent")]);
    });
    instruments.counter("edgerelay_socket_calls", "", "System calls for datagrams", |worker, observe| {
        let sockets = worker.sockets();
        observe(sockets.receive_calls, &[("direction", "received")]);
        observe(sockets.send_calls, &[("direction", "sent")]);
    });
    instruments.counter(
        "edgerelay_dropped_datagrams",
        "",
        "Datagrams that could not be sent or handed over",
        |worker, observe| {
            let sockets = worker.sockets();
            observe(sockets.datagrams_blocked, &[("reason", "buffer_full")]);
            observe(sockets.datagrams_refused, &[("reason", "refused")]);
            observe(sockets.handovers_dropped, &[("reason", "mailbox_full")]);
        },
    );
    instruments.counter(
        "edgerelay_handed_over_datagrams",
        "",
        "Datagrams handed to the worker that their client, or the relayed address that they are for, belongs to",
        |worker, observe| observe(worker.sockets().datagrams_handed_over, &[]),
    );
    instruments.counter("edgerelay_icmp_errors", "", "ICMP errors from peers", |worker, observe| {
        observe(worker.sockets().icmp_errors, &[]);
    });
    instruments.gauge("edgerelay_relay_sockets", "Relay sockets that are open", |worker, observe| {
        observe(worker.sockets().relays_open, &[]);
    });
    instruments.gauge("edgerelay_connections", "Connections that are open", |worker, observe| {
        observe(worker.sockets().connections_open, &[]);
    });
    instruments.counter("edgerelay_accepted_connections", "", "Connections accepted", |worker, observe| {
        observe(worker.sockets().connections_accepted, &[]);
    });
    instruments.counter(
        "edgerelay_rejected_connections",
        "",
        "Connections that the relay closed",
        |worker, observe| {
            let sockets = worker.sockets();
            observe(sockets.connections_refused, &[("reason", "limit")]);
            observe(sockets.connections_displaced, &[("reason", "displaced")]);
            observe(sockets.connections_untrusted, &[("reason", "no_proxy")]);
            observe(sockets.connections_invalid, &[("reason", "invalid")]);
            observe(sockets.connections_late, &[("reason", "late")]);
            observe(sockets.connections_stuck, &[("reason", "stuck")]);
            observe(sockets.connections_crowded, &[("reason", "crowded")]);
        },
    );
    instruments.gauge(
        "edgerelay_waiting_stream_bytes",
        "Memory that holds messages that have begun and what waits for clients that read too slowly",
        |worker, observe| observe(worker.sockets().stream_bytes_waiting, &[]),
    );
    instruments.counter(
        "edgerelay_paused_accepts",
        "",
        "Times that a listener waited since files or memory ran out",
        |worker, observe| observe(worker.sockets().accepts_paused, &[]),
    );
    instruments.counter(
        "edgerelay_dropped_stream_packets",
        "",
        "Packets dropped since their client reads too slowly",
        |worker, observe| observe(worker.sockets().stream_packets_dropped, &[]),
    );
    instruments.counter(
        "edgerelay_quota_answers",
        "",
        "Allocations of which the fleet was to be asked, by its answer",
        |worker, observe| {
            let sockets = worker.sockets();
            observe(sockets.quotas_granted, &[("answer", "granted")]);
            observe(sockets.quotas_refused, &[("answer", "refused")]);
            observe(sockets.quotas_unanswered, &[("answer", "none")]);
            observe(sockets.quotas_not_asked, &[("answer", "not_asked")]);
        },
    );
    instruments.counter(
        "edgerelay_dropped_events",
        "",
        "Log lines and spans of allocations that were lost",
        |worker, observe| observe(worker.sockets().events_dropped, &[]),
    );
    instruments.counter(
        "edgerelay_unwritten_records",
        "",
        "Changes that would not outlive a crash, since there was no room to write them down",
        |worker, observe| observe(worker.sockets().records_unwritten, &[]),
    );
}

fn process(meter: &Meter, health: &Arc<Health>, reloads: &Arc<Reloads>) {
    let health = Arc::clone(health);
    meter
        .u64_observable_gauge("edgerelay_draining")
        .with_description("Whether new allocations are refused or made elsewhere: the relay is to end, or drains by command")
        .with_callback(move |observer| observer.observe(u64::from(health.is_draining()), &[]))
        .build();
    let counted = Arc::clone(reloads);
    meter
        .u64_observable_counter("edgerelay_configuration_reloads")
        .with_description("Changes of the configuration, and attempts that failed")
        .with_callback(move |observer| {
            observer.observe(counted.applied(), &[KeyValue::new("result", "applied")]);
            observer.observe(counted.failed(), &[KeyValue::new("result", "failed")]);
        })
        .build();
    let reloads = Arc::clone(reloads);
    meter
        .u64_observable_gauge("edgerelay_configuration_valid")
        .with_description(
            "Whether the configuration as it is now on disk can be used; if not, the last good one is",
        )
        .with_callback(move |observer| observer.observe(u64::from(reloads.is_valid()), &[]))
        .build();
}

fn recovery(meter: &Meter, state: Arc<State>) {
    let counted = Arc::clone(&state);
    meter
        .u64_observable_counter("edgerelay_restarts")
        .with_description("Relay processes that the keeper started since the one before had crashed")
        .with_callback(move |observer| {
            for (crash, reason) in [
                (Crash::Killed, "killed"),
                (Crash::Aborted, "aborted"),
                (Crash::Fault, "fault"),
                (Crash::NotRestored, "not_restored"),
            ] {
                observer.observe(counted.crashes(crash), &[KeyValue::new("reason", reason)]);
            }
        })
        .build();
    meter
        .u64_observable_counter("edgerelay_records_left_out")
        .with_description("Allocations that ended since they may be why the relay crashed again and again")
        .with_callback(move |observer| observer.observe(state.left_out(), &[]))
        .build();
}

/// Makes instruments that read every worker's numbers.
struct Instruments<'a> {
    meter: &'a Meter,
    workers: Arc<[Arc<Counters>]>,
}

impl Instruments<'_> {
    fn counter(
        &self,
        name: &'static str,
        unit: &'static str,
        description: &'static str,
        read: impl Fn(&Counters, Observe<'_>) + Send + Sync + 'static,
    ) {
        let workers = Arc::clone(&self.workers);
        self.meter
            .u64_observable_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                each(&workers, &read, |number, labels| observer.observe(number, labels));
            })
            .build();
    }

    fn gauge(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn(&Counters, Observe<'_>) + Send + Sync + 'static,
    ) {
        let workers = Arc::clone(&self.workers);
        self.meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| {
                each(&workers, &read, |number, labels| observer.observe(number, labels));
            })
            .build();
    }
}

/// Reads every worker, and labels what it says with the worker's number.
fn each(
    workers: &[Arc<Counters>],
    read: &impl Fn(&Counters, Observe<'_>),
    mut observe: impl FnMut(u64, &[KeyValue]),
) {
    for (index, worker) in workers.iter().enumerate() {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        read(worker, &mut |number, labels| {
            let mut all = vec![KeyValue::new("worker", index)];
            all.extend(labels.iter().map(|(name, value)| KeyValue::new(*name, *value)));
            observe(number, &all);
        });
    }
}
