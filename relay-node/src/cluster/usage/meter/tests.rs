use proptest::prelude::*;

use super::*;

const SILENCE: Duration = Duration::from_secs(60);

/// What the script makes of lines, with one user.
#[derive(Debug, Default)]
struct Sums {
    allocations: u64,
    used: Used,
    known: HashMap<Name, Used>,
}

impl Sums {
    fn take(&mut self, lines: &[Line]) {
        for line in lines {
            match line {
                Line::Live(name, used) | Line::Over(name, used) => {
                    self.allocations += u64::from(!self.known.contains_key(name));
                    let had = self.known.insert(*name, *used).unwrap_or_default();
                    self.used += *used - had;
                    if matches!(line, Line::Over(..)) {
                        self.known.remove(name);
                    }
                }
                Line::Sum(allocations, used) => {
                    self.allocations += allocations;
                    self.used += *used;
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin(usize),
    Relay(usize, u32),
    End(usize),
    SayLive(usize),
    SayEnded(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..4_usize;
    prop_oneof![
        place.clone().prop_map(Step::Begin),
        (place.clone(), any::<u32>()).prop_map(|(place, bytes)| Step::Relay(place, bytes)),
        place.clone().prop_map(Step::End),
        place.prop_map(Step::SayLive),
        (1..4_usize).prop_map(Step::SayEnded),
    ]
}

fn user() -> UserId {
    UserId::time_limited("t1:carol")
}

fn traffic(bytes: u64) -> [Traffic; 2] {
    [Traffic { packets: 1, bytes }, Traffic { packets: 1, bytes: 2 * bytes }]
}

proptest! {
    /// However much has to be folded.
    #[test]
    fn all_that_was_used_is_said_once(steps in proptest::collection::vec(step(), 0..200), room in 0..4_usize) {
        let mut meter = Meter::with_room_for(room, 1);
        let (mut sums, mut live) = (Sums::default(), HashMap::<usize, (Name, Monotonic, u64)>::new());
        let (mut begun, mut bytes_of_all, mut time) = (0_u64, 0_u64, Monotonic::from_nanos(0));
        for step in steps.into_iter().chain((0..4).map(Step::End)).chain([Step::SayEnded(1000)]) {
            time = time.after(Duration::from_secs(1));
            match step {
                Step::Begin(place) if !live.contains_key(&place) => {
                    begun += 1;
                    let name = Name::new(begun.into());
                    prop_assert_eq!(meter.note((0, place), Some((name, &user(), time, true))), None);
                    live.insert(place, (name, time, 0));
                }
                Step::Relay(place, bytes) => {
                    if let Some((.., relayed)) = live.get_mut(&place) {
                        *relayed += u64::from(bytes);
                        bytes_of_all += u64::from(bytes);
                    }
                }
                Step::End(place) => {
                    if let Some((name, created, bytes)) = live.remove(&place) {
                        let used = Used { to_peers: bytes, to_client: 2 * bytes, millis: millis(time.since(created)) };
                        meter.end(Over { name, user: user(), used, is_own: true });
                        meter.note((0, place), None);
                        prop_assert!(!meter.lives(name));
                    }
                }
                Step::SayLive(place) => {
                    if let Some((_, created, bytes)) = live.get(&place) {
                        let said = meter.take_live((0, place), *created, traffic(*bytes), time, SILENCE);
                        let lines: Vec<_> = said.into_iter().map(|(_, line)| line).collect();
                        sums.take(&lines);
                        meter.written(&lines);
                    }
                }
                Step::SayEnded(most) => {
                    let users = meter.take_ended(most);
                    prop_assert!(users.iter().map(|(_, lines)| lines.len()).sum::<usize>() <= most);
                    users.iter().for_each(|(_, lines)| sums.take(lines));
                }
                Step::Begin(_) => {}
            }
        }
        prop_assert_eq!(meter.lost(), 0);
        prop_assert_eq!(sums.allocations, begun);
        prop_assert_eq!((sums.used.to_peers, sums.used.to_client), (bytes_of_all, 2 * bytes_of_all));
    }
}

fn over(number: u128, user: &str, is_own: bool) -> Over {
    let used = Used { to_peers: 1, to_client: 2, millis: 3 };
    Over { name: Name::new(number), user: UserId::long_term(user), used, is_own }
}

#[test]
fn beyond_its_room_it_knows_users_not_allocations_and_beyond_that_how_much_is_lost() {
    let mut meter = Meter::with_room_for(1, 1);
    (0..4).for_each(|number| meter.end(over(number, "alice", true)));
    (4..7).for_each(|number| meter.end(over(number, "bob", true)));
    let used = Used { to_peers: 4, to_client: 8, millis: 12 };
    let bob = UserId::long_term("bob");
    let over = Line::Over(Name::new(6), Used { to_peers: 1, to_client: 2, millis: 3 });
    let said = meter.take_ended(10);
    assert_eq!(said, [(UserId::long_term("alice"), vec![Line::Sum(4, used)]), (bob, vec![over])]);
    assert_eq!(meter.lost(), 2);
    assert!(meter.take_ended(10).is_empty());
}

#[test]
fn what_somebody_else_told_part_of_is_folded_into_nothing() {
    let mut meter = Meter::with_room_for(0, 1);
    meter.end(over(1, "alice", false));
    assert_eq!((meter.take_ended(10).len(), meter.lost()), (0, 1));
}

#[test]
fn of_an_allocation_that_uses_nothing_is_told_seldom() {
    let (mut meter, begun) = (Meter::default(), Monotonic::from_nanos(1));
    meter.note((0, 7), Some((Name::new(1), &user(), begun, true)));
    let say = |meter: &mut Meter, bytes, seconds| {
        let now = begun.after(Duration::from_secs(seconds));
        let said = meter.take_live((0, 7), begun, traffic(bytes), now, SILENCE);
        let lines: Vec<_> = said.into_iter().map(|(_, line)| line).collect();
        meter.written(&lines);
        lines.len()
    };
    let said =
        [(0, 5), (0, 10), (9, 15), (9, 20), (9, 74), (9, 75)].map(|(bytes, at)| say(&mut meter, bytes, at));
    assert_eq!(said, [1, 0, 1, 0, 0, 1]);
    let other = meter.take_live((0, 7), begun.after(SILENCE), traffic(99), begun.after(2 * SILENCE), SILENCE);
    assert_eq!(other, None, "another one is at its place by now");
}
