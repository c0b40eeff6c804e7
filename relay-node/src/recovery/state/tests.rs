use std::fs::File;
use std::os::unix::fs::FileExt;

use super::*;
use crate::recovery::example::{Example, example};
use crate::recovery::records::Records;
use crate::recovery::vault::tests::with_both;

#[test]
fn all_who_open_it_see_the_same() {
    with_both(|vault| {
        let (one, other) = (State::open(vault).unwrap(), State::open(vault).unwrap());
        assert_eq!((one.generation(), one.has_served(), one.left_out()), (0, false, 0));
        assert_eq!([one.next_generation(), other.next_generation(), one.next_generation()], [1, 2, 3]);
        one.set_generation(3);
        one.set_served(true);
        one.count_crash(Crash::Fault);
        one.count_crash(Crash::Fault);
        one.count_crash(Crash::Killed);
        one.count_left_out(5);
        assert_eq!((other.generation(), other.has_served(), other.left_out()), (3, true, 5));
        let crashes = [Crash::Killed, Crash::Aborted, Crash::Fault, Crash::NotRestored];
        assert_eq!(crashes.map(|crash| other.crashes(crash)), [1, 0, 2, 0]);
    });
}

#[test]
fn who_was_touched_last_before_a_crash_is_suspect_until_nobody_is() {
    let vault = Vault::in_memory();
    let state = State::open(&vault).unwrap();
    let [one, two, three] = [1, 2, 3].map(Touched);
    state.touch(0, one);
    state.touch(0, two);
    state.touch(1023, three);
    state.touch(1024, one);
    assert_eq!(state.suspects(), []);
    state.suspect_touched();
    assert_eq!(state.suspects(), [two, three]);
    state.touch(5, two);
    state.touch(6, one);
    state.suspect_touched();
    assert_eq!(State::open(&vault).unwrap().suspects(), [two, three, one]);
    state.clear_suspects();
    assert_eq!(state.suspects(), []);
}

#[test]
fn who_was_touched_last_before_a_kill_is_not_to_blame_for_what_follows() {
    let state = State::open(&Vault::in_memory()).unwrap();
    state.touch(0, Touched(1));
    state.forget_touched();
    state.touch(1, Touched(2));
    state.suspect_touched();
    assert_eq!(state.suspects(), [Touched(2)]);
}

#[test]
fn there_is_an_end_to_suspects() {
    let state = State::open(&Vault::in_memory()).unwrap();
    for n in 1..=SUSPECTS as u64 + 10 {
        state.touch(0, Touched(n));
        state.suspect_touched();
    }
    let suspects = state.suspects();
    assert_eq!(suspects.len(), SUSPECTS);
    assert!(!suspects.contains(&Touched(10)) && suspects.contains(&Touched(SUSPECTS as u64 + 10)));
}

#[test]
fn an_allocation_is_known_by_its_client_and_its_beginning() {
    let known = |example: Example| Touched::of(&example.record());
    let one = known(example(0));
    assert_eq!(
        one,
        known(Example { slot: 7, generation: 2, user: "bob".to_owned(), relayed: 9, ..example(0) })
    );
    assert_ne!(one, known(Example { client: 1, ..example(0) }));
    assert_ne!(one, known(Example { created: 2, ..example(0) }));
}

#[test]
fn of_another_boot_only_the_generations_stay() {
    with_both(|vault| {
        let former = State::open(vault).unwrap();
        former.next_generation();
        former.set_generation(1);
        former.count_crash(Crash::Fault);
        former.word(word::BOOT).fetch_xor(1, Ordering::Relaxed);
        let state = State::open(vault).unwrap();
        assert_eq!((state.generation(), state.crashes(Crash::Fault)), (1, 0));
        assert_eq!(state.next_generation(), 2);
    });
}

#[test]
fn what_is_none_gives_way_and_generations_go_on_above_what_is_there() {
    with_both(|vault| {
        Records::create(vault, 41, 1).unwrap();
        for bytes in [&b"short"[..], &[0xFF; LEN], &[0; LEN]] {
            File::from(vault.create("state").unwrap()).write_all_at(bytes, 0).unwrap();
            let state = State::open(vault).unwrap();
            assert_eq!((state.generation(), state.has_served()), (0, false));
            assert_eq!(state.next_generation(), 42);
        }
    });
}

#[test]
fn a_place_that_is_offered_is_taken_or_withdrawn_never_both() {
    let (vault, number) = (Vault::in_memory(), 7);
    let [old, new] = [(); 2].map(|()| State::open(&vault).unwrap());
    old.set_generation(1);
    assert!(!new.take_offer(2, number), "nothing is offered");
    old.offer(2);
    assert!(!new.take_offer(3, number), "it is offered to another one");
    assert!(old.withdraw_offer(2));
    assert!(!new.take_offer(2, number), "too late");
    assert_eq!((new.generation(), new.keeper()), (1, 0));
    old.offer(2);
    assert!(new.take_offer(2, number));
    assert!(!old.withdraw_offer(2), "too late");
    assert_eq!((old.generation(), old.keeper()), (2, number));
}
