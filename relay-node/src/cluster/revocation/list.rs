//! Who is refused, folded from what was said in any order: of each the latest word counts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use turn::credentials::UserId;
use turn::{Revocations, Revoked};

/// Words that a node lets be said: each is kept in memory, and with the node's records.
pub const MOST: usize = 20_000;
/// Words that it hears, when many nodes say some at once.
const MOST_HEARD: usize = 2 * MOST;

/// A moment in milliseconds since 1970, by the clock of who spoke.
pub type Millis = u64;

/// Who is refused, or is no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Whom {
    /// All names of a time-limited user: what follows the time in them, `user` or `tenant:user`.
    User(String),
    /// One name.
    Username(String),
}

/// What was said of somebody. Of two words the greater one is the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Word {
    /// When.
    pub at: Millis,
    /// Whether the names are refused.
    pub revoked: bool,
    /// When the last credential from before has ended.
    pub until: Millis,
}

/// A word and of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Of whom.
    pub whom: Whom,
    /// What.
    pub word: Word,
}

/// Too many are refused already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{MOST} users and names are refused already, and no more are kept; take some back, or change the secrets"
)]
pub struct Full;

/// All that was said and still matters. What is taken back is in it too, so that no older word comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(BTreeMap<Whom, Word>);

/// For log lines, whatever it holds.
impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {}", UserId::time_limited(name)),
            Self::Username(name) => write!(f, "username {}", UserId::time_limited(name)),
        }
    }
}

impl List {
    /// Says something new. It outdoes what is known of `whom`, whatever other clocks say, and matters for the `longest`
    /// life of a credential.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn say(&mut self, whom: Whom, revoked: bool, now: Millis, longest: Duration) -> Result<Line, Full> {
        let known = self.0.get(&whom);
        if known.is_none() && self.0.len() >= MOST {
            return Err(Full);
        }
        let at = known.map_or(now, |known| now.max(known.at.saturating_add(1)));
        let longest = u64::try_from(longest.as_millis()).unwrap_or(Millis::MAX);
        let word = Word { at, revoked, until: at.saturating_add(longest) };
        self.0.insert(whom.clone(), word);
        Ok(Line { whom, word })
    }

    /// Takes what somebody said. False if that is no news.
    pub fn hear(&mut self, line: Line, now: Millis) -> bool {
        let len = self.0.len();
        match self.0.entry(line.whom) {
            _ if line.word.until <= now => false,
            Entry::Occupied(known) if *known.get() >= line.word => false,
            Entry::Occupied(mut known) => {
                known.insert(line.word);
                true
            }
            Entry::Vacant(_) if len >= MOST_HEARD => false,
            Entry::Vacant(free) => {
                free.insert(line.word);
                true
            }
        }
    }

    /// Forgets what has ended. False if nothing has.
    pub fn forget(&mut self, now: Millis) -> bool {
        let before = self.0.len();
        self.0.retain(|_, word| word.until > now);
        self.0.len() < before
    }

    /// What is here and not in `other`, or later than there.
    pub fn beyond<'l>(&'l self, other: &'l Self) -> impl Iterator<Item = Line> + 'l {
        let is_news = |(whom, word): &(&Whom, &Word)| other.0.get(*whom).is_none_or(|known| known < *word);
        self.lines_of(is_news)
    }

    /// All of it.
    pub fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        self.lines_of(|_| true)
    }

    /// Who is refused.
    pub fn in_force(&self) -> Revocations {
        let revoked = self.0.iter().filter(|(_, word)| word.revoked);
        revoked
            .map(|(whom, _)| match whom {
                Whom::User(name) => Revoked::User(UserId::time_limited(name)),
                Whom::Username(name) => Revoked::Username(name.as_bytes().into()),
            })
            .collect()
    }

    fn lines_of<'l>(
        &'l self,
        is_asked_for: impl Fn(&(&'l Whom, &'l Word)) -> bool + 'l,
    ) -> impl Iterator<Item = Line> + 'l {
        self.0.iter().filter(is_asked_for).map(|(whom, word)| Line { whom: whom.clone(), word: *word })
    }
}

impl FromIterator<Line> for List {
    fn from_iter<I: IntoIterator<Item = Line>>(lines: I) -> Self {
        let mut list = Self::default();
        for line in lines {
            list.hear(line, 0);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn alice() -> Whom {
        Whom::User("t1:alice".to_owned())
    }

    fn is_refused(list: &List, name: &str) -> bool {
        let user = name.split_once(':').unwrap().1;
        list.in_force().contains(&UserId::time_limited(user), name.as_bytes())
    }

    #[test]
    fn a_user_is_refused_by_every_name_until_that_is_taken_back() {
        let mut list = List::default();
        list.say(alice(), true, 1000, HOUR).unwrap();
        assert!(is_refused(&list, "2000:t1:alice") && is_refused(&list, "3000:t1:alice"));
        assert!(!is_refused(&list, "2000:t2:alice") && !is_refused(&list, "2000:alice"));
        list.say(alice(), false, 2000, HOUR).unwrap();
        assert!(!is_refused(&list, "2000:t1:alice"));
    }

    #[test]
    fn one_credential_is_refused_alone() {
        let mut list = List::default();
        list.say(Whom::Username("2000:bob".to_owned()), true, 1000, HOUR).unwrap();
        assert!(is_refused(&list, "2000:bob") && !is_refused(&list, "2001:bob"));
    }

    #[test]
    fn it_is_over_when_the_longest_credential_is() {
        let mut list = List::default();
        list.say(alice(), true, 1000, HOUR).unwrap();
        assert!(!list.forget(3_600_999));
        assert!(is_refused(&list, "2000:t1:alice"));
        assert!(list.forget(3_601_000));
        assert!(!is_refused(&list, "2000:t1:alice"));
    }

    #[test]
    fn an_old_line_written_again_changes_nothing() {
        let mut list = List::default();
        let revoked = list.say(alice(), true, 1000, HOUR).unwrap();
        let restored = list.say(alice(), false, 2000, HOUR).unwrap();
        list.say(alice(), true, 3000, HOUR).unwrap();
        assert!(!list.hear(restored, 4000) && is_refused(&list, "2000:t1:alice"));
        list.say(alice(), false, 5000, HOUR).unwrap();
        assert!(!list.hear(revoked.clone(), 6000) && !is_refused(&list, "2000:t1:alice"));
        // Nor does it once all is forgotten: its time is over too.
        list.forget(4_000_000);
        assert!(!list.hear(revoked, 4_000_000));
    }

    #[test]
    fn who_speaks_last_here_is_heard_though_another_clock_is_ahead() {
        let mut list = List::default();
        let ahead = List::default().say(alice(), true, 9_000_000, HOUR).unwrap();
        list.hear(ahead, 1000);
        list.say(alice(), false, 2000, HOUR).unwrap();
        assert!(!is_refused(&list, "2000:t1:alice"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut list = List::default();
        for number in 0..MOST {
            list.say(Whom::User(number.to_string()), true, 1000, HOUR).unwrap();
        }
        assert_eq!(list.say(alice(), true, 1000, HOUR), Err(Full));
        assert!(list.say(Whom::User("7".to_owned()), false, 1000, HOUR).is_ok());
        let word = Word { at: 1000, revoked: true, until: 2000 };
        let heard = (0..3 * MOST)
            .filter(|number| list.hear(Line { whom: Whom::Username(number.to_string()), word }, 1000));
        assert_eq!(heard.count(), MOST_HEARD - MOST);
    }

    fn line() -> impl Strategy<Value = Line> {
        let whom = (0..4u8, any::<bool>()).prop_map(|(number, user)| {
            if user { Whom::User(number.to_string()) } else { Whom::Username(number.to_string()) }
        });
        (whom, 0..20u64, any::<bool>(), 30..40u64)
            .prop_map(|(whom, at, revoked, until)| Line { whom, word: Word { at, revoked, until } })
    }

    fn lines() -> impl Strategy<Value = Vec<Line>> {
        proptest::collection::vec(line(), 0..20)
    }

    proptest! {
        /// In any order, any number of times, from any number of nodes: all come to the same.
        #[test]
        fn the_order_does_not_matter(mut lines in lines(), again in lines(), seed in any::<u64>()) {
            let once: List = lines.iter().cloned().chain(again.clone()).collect();
            lines.extend(again.iter().cloned().chain(again.clone()));
            let middle = usize::try_from(seed % (lines.len() as u64 + 1)).unwrap();
            lines.rotate_left(middle);
            lines.reverse();
            prop_assert_eq!(lines.into_iter().collect::<List>(), once);
        }

        /// Who hears what another knows beyond it knows all that both do.
        #[test]
        fn what_is_beyond_is_all_that_is_missing(one in lines(), other in lines()) {
            let (mut here, there): (List, List) =
                (one.iter().cloned().collect(), other.iter().cloned().collect());
            let news: Vec<_> = there.beyond(&here).collect();
            for line in news {
                prop_assert!(here.hear(line, 0));
            }
            prop_assert_eq!(there.beyond(&here).count(), 0);
            prop_assert_eq!(here, one.into_iter().chain(other).collect::<List>());
        }

        /// Who spoke last about somebody in one place has the last word there.
        #[test]
        fn the_last_word_counts(heard in lines(), now in 0..20u64, revoked in any::<bool>()) {
            let mut list: List = heard.into_iter().collect();
            list.say(Whom::User("1".to_owned()), revoked, now, HOUR).unwrap();
            prop_assert_eq!(list.in_force().contains(&UserId::time_limited("1"), b""), revoked);
        }
    }
}
