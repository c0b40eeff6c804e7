//! Random operations on the core and, beside it, on a model so simple that it is obviously right:
//! the same answers, the same packets forwarded, and in the end nothing left of either. The model knows
//! nothing of processes: one that is killed, and another one that goes on, are nothing that it notices.

mod allocation;
mod chance;
mod model;
mod node;
mod outcome;
mod step;
mod system;

use crate::support::{Relay, TestClient, at};
use chance::{node, rules, steps, steps_and_restarts};
use model::{Asked, Model};
use node::{CHANNELS, Node, Rules, peers};
use outcome::Said;
use proptest::prelude::*;
use step::{Failures, Families, Port, Request, Step, Wish};
use system::System;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_core_behaves_like_the_model(node in node(), rules in rules(), steps in steps()) {
        agree(&node, rules, steps)?;
    }

    #[test]
    fn a_node_that_is_killed_now_and_then_does_too(
        node in node(), rules in rules(), steps in steps_and_restarts()
    ) {
        agree(&node, rules, steps)?;
    }
}

fn agree(node: &Node, rules: Rules, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut system = System::new(node, &rules);
    let mut model = Model::new(node.clone(), rules, system.users());
    for step in steps {
        compare(&mut system, &mut model, step)?;
    }
    compare(&mut system, &mut model, Step::Wait { seconds: 4000, late: None })?;
    prop_assert!(system.workers.iter().all(|worker| worker.is_empty()));
    everything_can_be_had_again(node, &mut system.workers[0]);
    Ok(())
}

/// Does one step to both, and compares what came of it.
fn compare(system: &mut System, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    let nothing_fails = Failures::default();
    match step {
        Step::Ask { client, request } => ask(system, model, client, request, &nothing_fails)?,
        Step::AskInVain { client, wish, failures } => {
            ask(system, model, client, Request::Allocate(wish), &failures)?;
        }
        Step::Redeem { client, last, failures } => {
            let token = system.tokens.iter().rev().nth(last).copied().unwrap_or([7; 8]);
            let wish = Wish { families: Families::Unsaid, port: Port::Reserved(token), lifetime: None };
            ask(system, model, client, Request::Allocate(wish), &failures)?;
        }
        Step::Again { client, which } => {
            if let Some((asked, said)) = system.ask_again(client, which) {
                compare_answers(system, model, &asked, &nothing_fails, &said)?;
            }
        }
        Step::Packets { client } => {
            for peer in peers() {
                prop_assert_eq!(system.send(client, peer), model.send(client, peer), "to {}", peer);
                prop_assert_eq!(
                    system.peer_sends(client, peer),
                    model.peer_sends(client, peer),
                    "from {}",
                    peer
                );
            }
            for channel in CHANNELS {
                let (system, model) =
                    (system.channel_data(client, channel), model.channel_data(client, channel));
                prop_assert_eq!(system, model, "on {}", channel);
            }
        }
        Step::Wait { seconds, late } => {
            system.wait(seconds, late);
            model.wait(seconds, late);
        }
        Step::Restart { workers } => {
            system.restart(workers);
            model.restart(workers);
        }
        Step::Swap(rules) => {
            system.swap(&rules);
            model.swap(rules);
        }
        Step::End { client } => prop_assert_eq!(system.end(client), model.end(client)),
    }
    for worker in 0..system.workers.len() {
        prop_assert_eq!(system.counts(worker), model.counts(worker), "worker {}", worker);
    }
    prop_assert_eq!(system.workers[0].ledger.users(), model.users());
    Ok(())
}

fn ask(
    system: &mut System,
    model: &mut Model,
    client: usize,
    request: Request,
    failures: &Failures,
) -> Result<(), TestCaseError> {
    let (asked, said) = system.ask(client, request, failures);
    compare_answers(system, model, &asked, failures, &said)
}

fn compare_answers(
    system: &mut System,
    model: &mut Model,
    asked: &Asked,
    failures: &Failures,
    said: &Said,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(said, &model.answer(asked, failures, said));
    if said.code == 401 {
        // Who guesses is not answered without end.
        system.wait(1, None);
        model.wait(1, None);
    }
    Ok(())
}

/// Either user can have every port, with as many permissions and channels as the limits allow.
fn everything_can_be_had_again(node: &Node, relay: &mut Relay) {
    relay.apply(node.settings(&Rules::exactly(node.ports.len())));
    let peer = if node.families[0] { at("192.0.2.1:1") } else { at("[2001:db8:2::1]:1") };
    for (user, password) in [("alice", "wonderland"), ("bob", "builder")] {
        for port in 1..=node.ports.len() + 1 {
            let mut client = TestClient::new(&format!("198.51.100.9:{port}")).named(user, password);
            let answer = client.allocate_both(relay);
            if port > node.ports.len() {
                assert_eq!(answer.code(), 486, "{user} has it all");
                continue;
            }
            let families = node.families.iter().filter(|has| **has).count();
            assert_eq!(answer.relayed().len(), families, "{user}'s {port}");
            assert_eq!(client.bind(relay, 0x4000, peer).code(), 0, "{user}'s {port}");
        }
        relay.turn.end_all(relay.now);
        relay.drain();
    }
}
