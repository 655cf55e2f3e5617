//! Every parser meets mutants of valid samples: no panic, and bounds on time and memory.
//!
//! A target is a line of [`targets::ALL`]: a name, valid samples, and a function that reads bytes
//! as the program does, through public functions (files through files), so that nothing is opened
//! up for the sake of a test. Parsers that are private to the program meet mutants as files in
//! `tests/cli/flips.rs`.
//!
//! `FUZZ=N` tries N mutants of each target (`make soak` does), `FUZZ_SEED=N` begins elsewhere,
//! `FUZZ_TARGET=NAME` takes one target. A failure names the target and the number of the mutant,
//! and both give the same bytes again.

#![allow(clippy::disallowed_methods, reason = "a test writes plain files")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stderr, reason = "a test prints which input failed")]
#![allow(unreachable_pub, reason = "modules of one test")]

mod guard;
mod samples;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};

use support::mutate::{Random, mutant};

/// Mutants of each target, unless `FUZZ` has another number.
const MUTANTS: u64 = 300;

#[global_allocator]
static ALLOCATOR: guard::Counting = guard::Counting;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn no_parser_panics_hangs_or_takes_memory_without_end() {
    let (mutants, first) = (number("FUZZ", MUTANTS), number("FUZZ_SEED", 0));
    let only = std::env::var("FUZZ_TARGET").ok();
    guard::watch();
    // What is caught is not printed: making a backtrace takes more memory than any input may.
    let printed = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !guard::is_reading() {
            printed(info);
        }
    }));
    let mut failed = Vec::new();
    for target in targets::ALL {
        if only.as_ref().is_some_and(|only| only != target.name) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let samples = (target.samples)();
        for (index, sample) in samples.iter().enumerate() {
            assert!(
                (target.run)(folder.path(), sample),
                "{}: sample {index} is not valid, so its mutants try nothing",
                target.name
            );
        }
        for number in first..first + mutants {
            let mut random = Random::new(number);
            let bytes = mutant(&samples, &mut random);
            let read = || (target.run)(folder.path(), &bytes);
            let outcome =
                guard::bounded(target.name, number, || catch_unwind(AssertUnwindSafe(read)));
            if outcome.is_err() {
                failed.push(format!("{}: mutant {number} makes it panic", target.name));
            }
        }
    }
    assert!(failed.is_empty(), "{} mutants:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_bounds_fire() {
    assert!(guard::refuses(guard::BYTES_MAX + 1));
    assert!(!guard::refuses(1_000_000));
}

#[test]
fn mutants_are_repeatable_and_differ() {
    let samples = [b"{\"a\": 12, \"b\": [1, 2]}".to_vec()];
    let of = |seed| mutant(&samples, &mut Random::new(seed));
    assert_eq!((0..50).map(of).collect::<Vec<_>>(), (0..50).map(of).collect::<Vec<_>>());
    let distinct: std::collections::BTreeSet<Vec<u8>> = (0..50).map(of).collect();
    assert!(distinct.len() > 40, "{}", distinct.len());
}
