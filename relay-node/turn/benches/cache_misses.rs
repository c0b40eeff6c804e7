//! What a relayed packet costs the core in instructions and cache misses, which are the same on a busy
//! machine, as valgrind counts them: first-level misses, and those of a second level of 1 MB. Of each
//! two or three are the benchmark's own, which looks up who is to send.
//!
//! `cargo bench -p edgerelay-turn --bench cache_misses`, with valgrind at hand.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark prints its result and fails by panicking"
)]

mod calls;
#[path = "../tests/protocol/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::{env, fs, process};

use calls::{Calls, Way};

const ALLOCATIONS: [usize; 4] = [1, 100, 1_000, 10_000];
const PACKETS: usize = 50_000;
/// Says that this is the process that is looked at, not the one that looks.
const LOOKED_AT: &str = "looked-at";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let numbers: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let allocations = if numbers.is_empty() { ALLOCATIONS.to_vec() } else { numbers };
    if arguments.iter().any(|argument| argument == LOOKED_AT) {
        allocations.into_iter().for_each(relay);
    } else {
        look(&allocations);
    }
}

fn relay(allocations: usize) {
    let mut calls = Calls::new(allocations);
    for way in Way::WITH_PEERS {
        relay_packets(&mut calls, way);
    }
    relay_packets(&mut Calls::in_pairs(allocations.div_ceil(2)), Way::ClientToClient);
}

fn ways() -> impl Iterator<Item = Way> {
    Way::WITH_PEERS.into_iter().chain([Way::ClientToClient])
}

/// Lets every allocation relay packets, so that what comes first costs no more than later, and then counts.
fn relay_packets(calls: &mut Calls, way: Way) {
    for _ in 0..2 * calls.len() {
        black_box(calls.packet(way));
    }
    relay_counted(calls, way);
}

/// What is counted.
#[inline(never)]
fn relay_counted(calls: &mut Calls, way: Way) {
    for _ in 0..PACKETS {
        black_box(calls.packet(way));
    }
}

fn look(allocations: &[usize]) {
    let counts = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cache_misses-{}", process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--cache-sim=yes", "--D1=32768,8,64", "--LL=1048576,16,64"])
        // Two patterns: of two options with the same one, the second is lost.
        .args(["--toggle-collect=cache_misses::relay_counted*", "--dump-after=*relay_counted*"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(env::current_exe().unwrap())
        .args(allocations.iter().map(usize::to_string))
        .arg(LOOKED_AT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("For each packet:                  instructions  level 1 misses  level 2 misses");
    let ways = allocations.iter().flat_map(|allocations| ways().map(move |way| (allocations, way)));
    for (dump, (allocations, way)) in (1..).zip(ways) {
        let dump = counts.with_extension(dump.to_string());
        let [instructions, first, second] = counted(&dump);
        fs::remove_file(dump).unwrap();
        println!("{allocations:>6} {:<26} {instructions:>12.1} {first:>15.2} {second:>15.2}", way.name());
    }
    fs::remove_file(counts).unwrap();
}

/// What stands in one of callgrind's files.
fn counted(file: &Path) -> [f64; 3] {
    let text = fs::read_to_string(file).unwrap();
    let numbers = text.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    // Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw
    let events: Vec<f64> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
    // Zeros at the end are not written.
    let sum =
        |of: &[usize]| of.iter().filter_map(|place| events.get(*place)).fold(0.0, |sum, count| sum + count);
    [&[0][..], &[4, 5], &[7, 8]].map(|of| sum(of) / PACKETS as f64)
}
