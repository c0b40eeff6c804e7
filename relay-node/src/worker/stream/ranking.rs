//! Who has how many of something, and who has to give way to a newcomer.

use std::collections::{BTreeSet, HashMap};

use super::source::{Party, Source};

/// How many each party has. A step takes time that grows with the logarithm of the number of parties,
/// and of those there are no more than two for each thing that somebody has.
#[derive(Default)]
pub(super) struct Ranking {
    counts: HashMap<Party, usize>,
    /// Whom a party belongs to, how many it has, and which one it is.
    order: BTreeSet<(Party, usize, Party)>,
}

impl Ranking {
    /// How many `party` has.
    pub(super) fn of(&self, party: Party) -> usize {
        self.counts.get(&party).copied().unwrap_or_default()
    }

    /// Counts one more of `source`.
    pub(super) fn add(&mut self, source: Source) {
        self.change(source, |count| count + 1);
    }

    /// Counts one less of `source`.
    pub(super) fn remove(&mut self, source: Source) {
        self.change(source, |count| count - 1);
    }

    /// Who has the most of these where `newcomer` is to have one more of what `held` counts: of the network
    /// that has most, else, if none has more than the newcomer's, of the newcomer's own network. None where
    /// everybody has as few.
    pub(super) fn gives_way(&self, newcomer: Source, held: &Self) -> Option<Source> {
        // With just one less the newcomer would have the most afterwards.
        let has_more = |party: &Party, own: Party| held.of(*party) >= held.of(own) + 2;
        let Source { network: own, host } = newcomer;
        let network = self.largest(Party::Everybody).filter(|network| has_more(network, own));
        if let Some(network) = network {
            return Some(Source { network, host: self.largest(network)? });
        }
        let host = self.largest(own).filter(|largest| has_more(largest, host))?;
        Some(Source { network: own, host })
    }

    /// The party with the most in `whole`.
    fn largest(&self, whole: Party) -> Option<Party> {
        let all = (whole, 0, Party::FIRST)..=(whole, usize::MAX, Party::LAST);
        self.order.range(all).next_back().map(|(_, _, party)| *party)
    }

    fn change(&mut self, source: Source, change: impl Fn(usize) -> usize) {
        for (whole, party) in source.levels() {
            let before = self.of(party);
            let after = change(before);
            self.order.remove(&(whole, before, party));
            if after > 0 {
                self.counts.insert(party, after);
                self.order.insert((whole, after, party));
            } else {
                self.counts.remove(&party);
            }
        }
    }

    /// Whether nobody has any.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(ip: &str) -> Source {
        Source::of(ip.parse().unwrap())
    }

    fn ranking(ips: &[&str]) -> Ranking {
        let mut ranking = Ranking::default();
        ips.iter().for_each(|ip| ranking.add(source(ip)));
        ranking
    }

    fn gives_way(ranking: &Ranking, newcomer: &str) -> Option<Source> {
        ranking.gives_way(source(newcomer), ranking)
    }

    #[test]
    fn the_largest_host_of_the_largest_network_gives_way() {
        // Two networks: one host with two beside one with one, and one host with two.
        let ranking =
            ranking(&["2001:db8:1:1::", "2001:db8:1:2::", "2001:db8:1:2::", "192.0.2.1", "192.0.2.1"]);
        assert_eq!(gives_way(&ranking, "192.0.2.2"), Some(source("2001:db8:1:2::")));
    }

    #[test]
    fn within_the_largest_network_its_hosts_are_equal() {
        let ranking = ranking(&["2001:db8:1:1::", "2001:db8:1:2::", "2001:db8:1:2::", "192.0.2.1"]);
        assert_eq!(gives_way(&ranking, "2001:db8:1:3::"), Some(source("2001:db8:1:2::")));
        assert_eq!(gives_way(&ranking, "2001:db8:1:1::"), None, "it would have the most then");
    }

    #[test]
    fn who_has_none_is_not_there() {
        let mut ranking = ranking(&["192.0.2.1", "2001:db8::"]);
        ranking.remove(source("192.0.2.1"));
        assert_eq!(ranking.of(source("192.0.2.1").network), 0);
        ranking.remove(source("2001:db8::"));
        assert!(ranking.is_empty());
        assert_eq!(gives_way(&ranking, "192.0.2.1"), None);
    }
}
