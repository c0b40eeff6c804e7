//! What is still to be written of usage: kept as long as there is room while Redis is away.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::{AddAssign, Sub};
use std::time::Duration;

use turn::credentials::UserId;
use turn::{Monotonic, Traffic};

use crate::cluster::allocations::Name;

/// Allocations that have ended and are kept one by one until they are written: some megabytes.
const MOST_ENDED: usize = 65_536;
/// Users of whom, when there are more, what they used together is kept: some megabytes too.
const MOST_USERS: usize = 65_536;

/// What an allocation has used since it began, or several of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Bytes of payload from its client.
    pub to_peers: u64,
    /// Bytes of payload to its client.
    pub to_client: u64,
    /// How long it has been there.
    pub millis: u64,
}

/// What is said of a user's allocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It lives, and has used so much so far.
    Live(Name, Used),
    /// It has ended, after it had used so much.
    Over(Name, Used),
    /// So many that nothing was said of have ended, and these and others have used so much that nothing was said of.
    Sum(u64, Used),
}

/// An allocation that has ended.
#[derive(Clone, Debug)]
pub struct Over {
    /// What it was called.
    pub name: Name,
    /// Whose it was.
    pub user: UserId,
    /// What it has used.
    pub used: Used,
    /// Whether it began in this process's life, so that nobody else can have told of it.
    pub is_own: bool,
}

/// What is known and not written yet.
#[derive(Debug)]
pub struct Meter {
    most_ended: usize,
    most_users: usize,
    /// Allocations that live, by worker and place.
    places: BTreeMap<(usize, usize), Name>,
    live: HashMap<Name, Live>,
    ended: VecDeque<(Over, Told)>,
    sums: HashMap<UserId, (u64, Used)>,
    lost: u64,
}

#[derive(Debug)]
struct Live {
    user: UserId,
    created: Monotonic,
    told: Told,
    told_at: Monotonic,
}

/// What Redis knows of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing.
    Never,
    /// Something that a former process has told, or that was not answered yet.
    Something,
    /// This.
    All(Used),
}

impl Default for Meter {
    fn default() -> Self {
        Self::with_room_for(MOST_ENDED, MOST_USERS)
    }
}

impl Meter {
    fn with_room_for(most_ended: usize, most_users: usize) -> Self {
        Self {
            most_ended,
            most_users,
            places: BTreeMap::new(),
            live: HashMap::new(),
            ended: VecDeque::new(),
            sums: HashMap::new(),
            lost: 0,
        }
    }

    /// What is at a worker's place from now on: its name, whose it is, when it was made, and whether that was in this
    /// process's life. Tells what was there before and is not any more.
    pub fn note(
        &mut self,
        place: (usize, usize),
        allocation: Option<(Name, &UserId, Monotonic, bool)>,
    ) -> Option<Name> {
        let before = match &allocation {
            Some((name, ..)) => self.places.insert(place, *name),
            None => self.places.remove(&place),
        };
        let gone = before.filter(|before| allocation.is_none_or(|(name, ..)| name != *before));
        if let Some(gone) = gone {
            // Its end was told of before: this is for the ends that are lost.
            self.live.remove(&gone);
        }
        if let Some((name, user, created, is_own)) = allocation {
            let told = if is_own { Told::Never } else { Told::Something };
            let new = || Live { user: user.clone(), created, told, told_at: Monotonic::default() };
            self.live.entry(name).or_insert_with(new);
        }
        gone
    }

    /// Whether there is an allocation of that name.
    pub fn lives(&self, name: Name) -> bool {
        self.live.contains_key(&name)
    }

    /// An allocation has ended.
    pub fn end(&mut self, over: Over) {
        let unknown = if over.is_own { Told::Never } else { Told::Something };
        let told = self.live.remove(&over.name).map_or(unknown, |live| live.told);
        self.ended.push_back((over, told));
        if self.ended.len() > self.most_ended
            && let Some((over, told)) = self.ended.pop_front()
        {
            self.fold(over, told);
        }
    }

    /// So many allocations were not counted, or not to their end.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Counts some of which nobody told.
    pub const fn lose(&mut self, allocations: u64) {
        self.lost += allocations;
    }

    /// What is to be said of allocations that have ended, at most `most` lines, by user. It is forgotten here: the
    /// caller repeats it until it is written.
    pub fn take_ended(&mut self, most: usize) -> Vec<(UserId, Vec<Line>)> {
        let mut lines: BTreeMap<UserId, Vec<Line>> = BTreeMap::new();
        let count = self.ended.len().min(most);
        for (Over { name, user, used, .. }, _) in self.ended.drain(..count) {
            lines.entry(user).or_default().push(Line::Over(name, used));
        }
        let users: Vec<_> = self.sums.keys().take(most - count).cloned().collect();
        for user in users {
            if let Some((count, used)) = self.sums.remove(&user) {
                lines.entry(user).or_default().push(Line::Sum(count, used));
            }
        }
        lines.into_iter().collect()
    }

    /// What is to be said of the allocation at a worker's place, if it is the one that was created then and has used
    /// something since that was last said, or nothing was said of it for as long as `silence`.
    pub fn take_live(
        &mut self,
        place: (usize, usize),
        created: Monotonic,
        [to_peers, to_client]: [Traffic; 2],
        now: Monotonic,
        silence: Duration,
    ) -> Option<(UserId, Line)> {
        let name = self.places.get(&place)?;
        let live = self.live.get_mut(name).filter(|live| live.created == created)?;
        let used =
            Used { to_peers: to_peers.bytes, to_client: to_client.bytes, millis: millis(now.since(created)) };
        let is_known = match live.told {
            Told::All(told) => (told.to_peers, told.to_client) == (used.to_peers, used.to_client),
            Told::Never | Told::Something => false,
        };
        if is_known && now.since(live.told_at) < silence {
            return None;
        }
        live.told = Told::Something;
        live.told_at = now;
        Some((live.user.clone(), Line::Live(*name, used)))
    }

    /// That was written.
    pub fn written(&mut self, lines: &[Line]) {
        for line in lines {
            if let Line::Live(name, used) = line
                && let Some(live) = self.live.get_mut(name)
            {
                live.told = Told::All(*used);
            }
        }
    }

    /// Keeps of an allocation that has ended what its user has to be told for.
    fn fold(&mut self, over: Over, told: Told) {
        let (begun, used) = match told {
            Told::Never => (1, over.used),
            Told::All(told) => (0, over.used - told),
            // How much of it is known, nobody can tell without its name.
            Told::Something => return self.lost += 1,
        };
        if self.sums.len() >= self.most_users && !self.sums.contains_key(&over.user) {
            self.lost += 1;
            return;
        }
        let (count, sum) = self.sums.entry(over.user).or_default();
        *count += begun;
        *sum += used;
    }
}

/// Whole milliseconds.
pub fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

impl AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        self.to_peers = self.to_peers.saturating_add(other.to_peers);
        self.to_client = self.to_client.saturating_add(other.to_client);
        self.millis = self.millis.saturating_add(other.millis);
    }
}

impl Sub for Used {
    type Output = Self;

    /// What is more than `other`.
    fn sub(self, other: Self) -> Self {
        Self {
            to_peers: self.to_peers.saturating_sub(other.to_peers),
            to_client: self.to_client.saturating_sub(other.to_client),
            millis: self.millis.saturating_sub(other.millis),
        }
    }
}

#[cfg(test)]
mod tests;
