//! What the fleet's part counts, as metrics. It alone knows what there is to count.

use std::collections::HashMap;
use std::sync::Weak;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::admin::Health;

/// Reads what the fleet's part of a relay has counted at the moment that it is asked.
pub(super) struct Cluster {
    health: Weak<Health>,
    /// Two collectors without any are the same to a registry, and OpenTelemetry's has none.
    desc: Desc,
}

impl Cluster {
    /// # Errors
    /// When the registry would not take such a name.
    pub(super) fn new(health: Weak<Health>) -> prometheus::Result<Self> {
        // The metrics themselves come as they are counted.
        let desc = Desc::new("edgerelay_cluster".into(), "Of the fleet".into(), Vec::new(), HashMap::new())?;
        Ok(Self { health, desc })
    }
}

impl Collector for Cluster {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(tally) = self.health.upgrade().and_then(|health| health.tally()) else { return Vec::new() };
        let mut families: Vec<MetricFamily> = Vec::new();
        for ((name, label), count) in tally.counts() {
            let name = format!("edgerelay_cluster_{name}_total");
            let mut metric = Metric::default();
            metric.set_counter(counter(count));
            metric.set_label(vec![label_pair(
                if name.contains("rejected") { "what" } else { "result" },
                label,
            )]);
            // In the order of their names.
            match families.last_mut().filter(|family| family.name() == name) {
                Some(family) => family.mut_metric().push(metric),
                None => families.push(family(name, MetricType::COUNTER, metric)),
            }
        }
        families.extend(tally.gauges().into_iter().map(|(name, value)| {
            let mut metric = Metric::default();
            let mut gauge = Gauge::default();
            gauge.set_value(value as f64);
            metric.set_gauge(gauge);
            family(format!("edgerelay_cluster_{name}"), MetricType::GAUGE, metric)
        }));
        families
    }
}

fn counter(count: u64) -> Counter {
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    counter
}

fn label_pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn family(name: String, kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name);
    family.set_help("Of the fleet".to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}
