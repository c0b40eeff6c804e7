//! One page of metrics for a relay and for those that it took over from, as long as they serve somebody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What relays of older generations said of themselves last, in Prometheus' text format.
#[derive(Debug, Default)]
pub struct Older(Mutex<BTreeMap<u64, String>>);

impl Older {
    /// That is what the one of `generation` says.
    pub fn set(&self, generation: u64, metrics: String) {
        self.lock().insert(generation, metrics);
    }

    /// That one has ended.
    pub fn remove(&self, generation: u64) {
        self.lock().remove(&generation);
    }

    /// The metrics of this relay, `own`, and theirs. Only theirs are labelled, with `generation`: whoever looks at
    /// this one alone sees what was always there.
    pub fn beside(&self, own: String) -> String {
        let older = self.lock();
        if older.is_empty() { own } else { merge(&own, older.iter().map(|(it, text)| (*it, text.as_str()))) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge<'t>(own: &'t str, older: impl IntoIterator<Item = (u64, &'t str)>) -> String {
    let mut families = BTreeMap::<&str, Family<'_>>::new();
    read(&mut families, own, str::to_owned);
    for (generation, text) in older {
        read(&mut families, text, |sample| labelled(sample, generation));
    }
    let lines = families.into_values().flat_map(|Family { described, samples }| {
        described.into_iter().map(str::to_owned).chain(samples).map(|line| line + "\n")
    });
    lines.collect()
}

/// What belongs together, and has to stand together.
#[derive(Default)]
struct Family<'t> {
    /// Its lines of HELP and TYPE.
    described: Vec<&'t str>,
    samples: Vec<String>,
}

fn read<'t>(families: &mut BTreeMap<&'t str, Family<'t>>, text: &'t str, sample: impl Fn(&str) -> String) {
    let mut name = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")) {
            Some(rest) => {
                name = rest.split(' ').next().unwrap_or_default();
                let described = &mut families.entry(name).or_default().described;
                if described.len() < 2 && !described.contains(&line) {
                    described.push(line);
                }
            }
            None => families.entry(name).or_default().samples.push(sample(line)),
        }
    }
}

/// `name{labels} value` or `name value` with one label more.
fn labelled(sample: &str, generation: u64) -> String {
    let end = sample.find(['{', ' ']).unwrap_or(sample.len());
    let (name, rest) = sample.split_at(end);
    match rest.strip_prefix('{') {
        Some(labels) if labels.starts_with('}') => format!("{name}{{generation=\"{generation}\"{labels}"),
        Some(labels) => format!("{name}{{generation=\"{generation}\",{labels}"),
        None => format!("{name}{{generation=\"{generation}\"}}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_older_relays_stand_beside_the_own_ones() {
        let own = "# HELP calls How many\n# TYPE calls gauge\ncalls{worker=\"0\"} 5\n\
                   # HELP up Whether\n# TYPE up gauge\nup 1\n";
        let older = "# HELP calls So many\n# TYPE calls gauge\ncalls{worker=\"0\"} 2\ncalls{worker=\"1\"} 3\n\
                     # HELP gone Of old\n# TYPE gone counter\ngone{} 7\n# TYPE up gauge\nup 1\n";
        assert_eq!(
            merge(own, [(3, older)]),
            "# HELP calls How many\n# TYPE calls gauge\ncalls{worker=\"0\"} 5\n\
             calls{generation=\"3\",worker=\"0\"} 2\ncalls{generation=\"3\",worker=\"1\"} 3\n\
             # HELP gone Of old\n# TYPE gone counter\ngone{generation=\"3\"} 7\n\
             # HELP up Whether\n# TYPE up gauge\nup 1\nup{generation=\"3\"} 1\n"
        );
    }

    #[test]
    fn alone_it_is_what_it_was() {
        let own = "# HELP a A\n# TYPE a gauge\na 5\n# HELP b B\n# TYPE b counter\nb{c=\"d e\"} 1\n";
        assert_eq!(merge(own, []), own);
    }
}
