//! A hand-over that breaks off at any step of its protocol loses nothing: the relay that serves goes on, and the
//! next one takes over from it.

use std::future::Future;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use edgerelay::recovery::{Vault, ports, records};
use edgerelay::serve::handover::door;
use edgerelay::serve::handover::line::Line;
use edgerelay::serve::handover::message::{Near, PROTOCOL, Reply, Request};
use turn::RelayAddresses;
use turn::record::VERSION;

use crate::support::{BOTH, Call, Daemon, Site, both_on_a_fixed_port, wait_until};

/// How far somebody goes who wants to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Knocks,
    SaysHello,
    IsWelcome,
    IsReady,
    HearsOfAStandstill,
    HasTheSockets,
}

use Step::{HasTheSockets, HearsOfAStandstill, IsReady, IsWelcome, Knocks, SaysHello};

const STEPS: [Step; 6] = [Knocks, SaysHello, IsWelcome, IsReady, HearsOfAStandstill, HasTheSockets];

/// Goes so far; the line, that ends when it is dropped, with all that was passed.
async fn go(directory: &Path, step: Step) -> Line {
    let mut line = door::knock(directory).await.unwrap();
    if step >= SaysHello {
        line.send(&hello(PROTOCOL, u16::MAX), &[]).await.unwrap();
    }
    if step >= IsWelcome {
        let Reply::Welcome(welcome) = hear(&mut line).await else { panic!("not welcome") };
        assert_eq!(line.take(welcome.descriptors).await.unwrap().len(), welcome.descriptors);
    }
    if step >= IsReady {
        get_ready(&mut line).await;
    }
    if step >= HearsOfAStandstill {
        let Reply::Frozen { descriptors, .. } = hear(&mut line).await else { panic!("no standstill") };
        if step >= HasTheSockets {
            assert_eq!(line.take(descriptors).await.unwrap().len(), descriptors);
        }
    }
    line
}

async fn get_ready(line: &mut Line) {
    let (near, ports) = (Near::new(1_000_000, RelayAddresses::default()), ports::create().unwrap());
    line.send(&Request::Ready { near }, &[ports.as_fd()]).await.unwrap();
}

fn hello(protocol: u32, reads_record_version: u16) -> Request {
    Request::Hello { protocol, reads_record_version, instance: String::new() }
}

async fn hear(line: &mut Line) -> Reply {
    line.receive().await.unwrap().0
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A relay, `attempt`s to take over from it, after each of which its calls go on, and one that does.
fn survives(attempt: impl Fn(&Path, &Daemon)) {
    let site = Site::new();
    let mut relay = site.serve(BOTH);
    let (mut alice, mut carol) = (Call::udp(&relay), Call::tcp(&relay));
    attempt(&site.directory(), &relay);
    alice.assert_on();
    carol.assert_on();
    Call::udp(&relay);
    assert!(relay.runs());
    let _next = site.serve(BOTH);
    alice.assert_on();
    carol.assert_on();
}

const GOES_ON: &str = "the hand-over was broken off: this relay goes on";

#[test]
fn the_new_one_goes_away() {
    survives(|directory, _| {
        for step in STEPS {
            block_on(async { drop(go(directory, step).await) });
        }
    });
}

#[test]
fn the_new_one_goes_away_while_calls_go_on() {
    let site = Site::new();
    let relay = site.serve(BOTH);
    let (mut alice, mut carol) = (Call::udp(&relay), Call::tcp(&relay));
    for step in STEPS.into_iter().cycle().take(30) {
        block_on(async { drop(go(&site.directory(), step).await) });
        alice.assert_on();
        carol.assert_on();
    }
}

#[test]
fn the_new_one_falls_silent_before_it_is_ready() {
    // It is waited for, while the relay serves.
    for step in [Knocks, SaysHello, IsWelcome] {
        survives(|directory, relay| {
            block_on(async {
                let _line = go(directory, step).await;
                let mut call = Call::udp(relay);
                call.assert_on();
            });
        });
    }
}

#[test]
fn the_new_one_falls_silent_while_the_old_one_stands_still() {
    survives(|directory, relay| {
        block_on(async {
            let mut call = Call::udp(relay);
            let _line = go(directory, HasTheSockets).await;
            // What comes meanwhile waits.
            call.assert_on();
            assert_eq!(relay.line(GOES_ON)["error"], "the new relay took too long");
        });
    });
}

#[test]
fn the_new_one_gives_up() {
    for step in [IsWelcome, HasTheSockets] {
        survives(|directory, relay| {
            block_on(async {
                let mut line = go(directory, step).await;
                line.send(&Request::GivingUp { why: "no room".to_owned() }, &[]).await.unwrap();
                assert_eq!(relay.line(GOES_ON)["error"], "the new relay gave up: no room");
            });
        });
    }
}

#[test]
fn the_new_one_says_that_it_serves_and_has_not_taken_the_place() {
    survives(|directory, relay| {
        block_on(async {
            let mut line = go(directory, HasTheSockets).await;
            line.send(&Request::Serving, &[]).await.unwrap();
            relay.line(GOES_ON);
        });
    });
}

#[test]
fn the_new_one_says_what_nobody_understands() {
    survives(|directory, relay| {
        for step in [SaysHello, IsWelcome, HasTheSockets] {
            block_on(async {
                let mut line = go(directory, step).await;
                line.send(&"nonsense", &[]).await.unwrap();
                relay.line(GOES_ON);
            });
        }
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b""] {
            UnixStream::connect(directory.join("relay.sock")).unwrap().write_all(bytes).unwrap();
        }
    });
}

#[test]
fn a_second_one_has_to_wait_for_its_turn() {
    survives(|directory, _| {
        block_on(async {
            let _first = go(directory, IsWelcome).await;
            let mut second = go(directory, SaysHello).await;
            let why = "another relay is taking over already; try again".to_owned();
            assert_eq!(hear(&mut second).await, Reply::Refused { why });
        });
    });
}

#[test]
fn versions_that_nobody_knows_are_refused() {
    let refusal = |directory: &Path, hello: Request| {
        block_on(async {
            let mut line = door::knock(directory).await.unwrap();
            line.send(&hello, &[]).await.unwrap();
            match hear(&mut line).await {
                Reply::Refused { why } => why,
                reply => panic!("{reply:?}"),
            }
        })
    };
    survives(|directory, _| {
        let why = refusal(directory, hello(PROTOCOL + 1, u16::MAX));
        assert!(why.contains("speaks version 1 of the hand-over and the new one version 2"), "{why}");
        let why = refusal(directory, hello(PROTOCOL, 0));
        assert!(why.contains("the new one reads up to 0"), "{why}");
    });
}

#[test]
fn records_are_of_a_version_that_the_new_one_reads() {
    for version in 1..=VERSION {
        survives(|directory, _| {
            block_on(async {
                let mut line = door::knock(directory).await.unwrap();
                line.send(&hello(PROTOCOL, version), &[]).await.unwrap();
                let Reply::Welcome(welcome) = hear(&mut line).await else { panic!("not welcome") };
                assert_eq!(welcome.record_version, version);
                line.take(welcome.descriptors).await.unwrap();
                get_ready(&mut line).await;
                let Reply::Frozen { generation, .. } = hear(&mut line).await else { panic!("no standstill") };
                let vault = Vault::in_directory(directory).unwrap();
                assert_eq!(records::version_of(&vault, generation).unwrap(), version);
                assert_eq!(records::read(&vault, generation).unwrap().survivors.len(), 2);
            });
        });
    }
}

#[test]
fn the_new_process_is_killed_at_any_moment() {
    let (site, listeners) = (Site::new(), both_on_a_fixed_port());
    let mut relay = site.serve(&listeners);
    let mut alice = Call::udp(&relay);
    for kills in 0..6 {
        // Whatever it has come to when it logged so much: it serves, or the old one does.
        let new = Daemon::begin(&[], &site.settings(&listeners));
        wait_until("it has begun", || new.log().len() >= kills);
        drop(new);
        let mut old = std::mem::replace(&mut relay, site.serve(&listeners));
        assert!(old.wait().success());
        alice.assert_on();
    }
}
