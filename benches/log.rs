//! The log against the disk and the memory it stands on.
//!
//! Expected, from the parts (`src/docs/decisions/`): a decision syncs seven times (open 1, commit
//! 2, closing commit 2, header 2) and writes some twenty pages, so about 10 x one append +
//! fdatasync, whatever the size of the log; metric batches are bound by hashing and zstd, about
//! 0.3 x a plain file; a scan unpacks zstd at 1 GB/s before it decodes, about 0.5 x a plain file.
//!
//! `cargo bench --bench log -- [EVENTS]`: size of the large log, 1,000,000 unless told.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]

#[path = "../tests/support/history.rs"]
mod history;
#[path = "../tests/support/runs.rs"]
mod runs;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use annals::base::{Direction, Env, RunId, Timestamp};
use annals::domain::metric::{MetricBatch, MetricKey, MetricPoint};
use annals::domain::run::MetricsRecorded;
use annals::domain::workspace::ActorRegistered;
use annals::domain::{EnvelopeRef, Event, StreamId};
use annals::store::{Block, Filter, Store, StoreError, WriteOptions, copy_file};
use annals::tlog::{Frontier, NoteSigner, leaf_hash};
use annals::verify::{Options, verify};

use history::{BEGIN, append, begin};

const ORIGIN: &str = "annals/bench";
const RUNS: u8 = 100;

fn main() {
    let asked = std::env::args().skip(1).find_map(|a| a.parse().ok());
    let large: u64 = asked.unwrap_or(1_000_000);
    let root = tempfile::Builder::new().prefix("bench").tempdir_in("target").unwrap();
    let signer = NoteSigner::new(ORIGIN, &[1; 32]).unwrap();
    println!("{:<58}{:>12}{:>12}{:>9}  target", "", "annals", "limit", "ratio");
    let small = grow(&root.path().join("small"), 10_000, &signer);
    let small_ms = decision(&small, root.path(), "10 k", &signer);
    let started = Instant::now();
    let big = grow(&root.path().join("large"), large, &signer);
    let rate = large as f64 / started.elapsed().as_secs_f64();
    println!("  (grew to {large} events at {rate:.0} events/s)");
    let large_ms = decision(&big, root.path(), &large.to_string(), &signer);
    row("decision, large log against small, ms", large_ms, small_ms, large_ms / small_ms, "<= 1.5");
    reopen(&big, root.path(), &signer);
    proof(&big, large);
    scan(&big, root.path());
    check(&big, &signer);
    size(&big, root.path(), &signer);
    metrics(root.path(), &signer);
}

fn row(what: &str, annals: f64, limit: f64, ratio: f64, target: &str) {
    println!("{what:<58}{annals:>12.3}{limit:>12.3}{ratio:>9.2}  {target}");
}

fn options(signer: &NoteSigner) -> WriteOptions<'_> {
    WriteOptions::recorder("bench", Some(signer))
}

fn batch(env: &Env, points: u64, from: u64) -> Event {
    let key =
        |name: &str| MetricKey { name: name.into(), split: None, direction: Direction::Lower };
    let keys = vec![key("loss"), key("learning_rate"), key("rows_per_second"), key("grad_norm")];
    let point = |i: u64| MetricPoint {
        key: (i % 4) as u16,
        step: from + i / 4,
        epoch: (from + i / 4) as f64 / 1_000.0,
        value: f64::from(u32::from_le_bytes(env.random())) / 4e9,
        at: Timestamp(1_000_000 * (from + i / 4) as i64),
    };
    let points: Vec<_> = (0..points).map(point).collect();
    MetricsRecorded { attempt: 1, batch: MetricBatch::new(keys, &points) }.into()
}

/// A log of `events` events, nearly all small facts of a hundred runs.
fn grow(dir: &Path, events: u64, signer: &NoteSigner) -> Store {
    fs::create_dir_all(dir).unwrap();
    let store = Store::create(dir, Env::system()).unwrap();
    begin(&store, ORIGIN, signer);
    let begun = store.write(&options(signer), |w| {
        for number in 0..RUNS {
            let run = RunId([number; 16]);
            let started = runs::started(run, format!("run_{number}"), u64::from(number));
            w.append(&append(run.into(), &[started]))?;
        }
        Ok::<(), StoreError>(())
    });
    begun.unwrap();
    let env = Env::fixed(Timestamp(0), 1);
    let mut left = events - BEGIN - u64::from(RUNS);
    while left > 0 {
        let group = left.min(10_000);
        let grown = store.write(&options(signer), |w| {
            for i in 0..group {
                let run = RunId([(i / 100) as u8 % RUNS; 16]);
                w.append(&append(run.into(), &[batch(&env, 3, left - i)]))?;
            }
            Ok::<(), StoreError>(())
        });
        grown.unwrap();
        left -= group;
    }
    store
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Open, append one signed decision, commit, close; against one append and fdatasync.
fn decision(store: &Store, root: &Path, size: &str, signer: &NoteSigner) -> f64 {
    let mut plain = File::create(root.join("plain")).unwrap();
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for i in 0..200_u32 {
        let event = [Event::from(ActorRegistered { name: format!("actor {size} {i}") })];
        let started = Instant::now();
        store.write(&options(signer), |w| w.append(&append(StreamId::WORKSPACE, &event))).unwrap();
        ours.push(started.elapsed());
        let started = Instant::now();
        plain.write_all(&[7; 200]).unwrap();
        plain.sync_data().unwrap();
        limit.push(started.elapsed());
    }
    let (ours, limit) = (median(ours), median(limit));
    let what = format!("decision in a log of {size}, p50 ms");
    row(&what, ours, limit, ours / limit, "<= 12");
    ours
}

/// Opening what a kill -9 leaves, against a clean opening.
fn reopen(store: &Store, root: &Path, signer: &NoteSigner) {
    let (torn, clean) = (root.join("torn"), root.join("clean"));
    let burst = store.burst(&options(signer)).unwrap();
    fs::create_dir_all(&torn).unwrap();
    copy_file(&store.path(), &torn.join("log.redb")).unwrap();
    drop(burst);
    fs::create_dir_all(&clean).unwrap();
    copy_file(&store.path(), &clean.join("log.redb")).unwrap();
    let time = |dir: &Path| {
        let store = Store::open(dir, Env::system()).unwrap();
        let started = Instant::now();
        let burst = store.burst(&options(signer)).unwrap();
        let time = started.elapsed().as_secs_f64() * 1e3;
        drop(burst);
        time
    };
    let (after_kill, clean) = (time(&torn), time(&clean));
    row(
        "opening after kill -9 against a clean one, ms",
        after_kill,
        clean,
        after_kill / clean,
        "<= 10",
    );
    let mut times = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        store.read(|r| Ok::<_, StoreError>(black_box(r.root()))).unwrap();
        times.push(started.elapsed());
    }
    println!("{:<58}{:>12.3}", "reading opening, p50 ms", median(times));
}

fn proof(store: &Store, events: u64) {
    let times = store.read(|r| {
        let mut times = Vec::new();
        for i in 0..100 {
            let started = Instant::now();
            black_box(r.inclusion_proof((i * 104_729) % events, r.size())?);
            times.push(started.elapsed());
        }
        Ok::<_, StoreError>(times)
    });
    println!("{:<58}{:>12.3}{:>33}", "inclusion proof, p50 ms", median(times.unwrap()), "<= 1");
}

/// Scan and decode of sealed blocks, against a plain file of the same bytes.
fn scan(store: &Store, root: &Path) {
    let path = root.join("events");
    let mut events = 0_u64;
    let mut plain = Vec::new();
    let copied = store.read(|r| {
        r.scan(0..r.state().sealed, &Filter::default(), |e| {
            plain.extend((e.stored().len() as u32).to_le_bytes());
            plain.extend(e.stored());
            events += 1;
            Ok::<(), StoreError>(())
        })
    });
    copied.unwrap();
    #[expect(clippy::disallowed_methods, reason = "a scratch file")]
    fs::write(&path, &plain).unwrap();
    drop(plain);
    let started = Instant::now();
    let bytes = fs::read(&path).unwrap();
    let mut at = 0;
    let mut sum = 0;
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        sum += EnvelopeRef::decode(&bytes[at + 4..at + 4 + len]).unwrap().header.revision;
        at += 4 + len;
    }
    black_box(sum);
    let rate = |started: Instant| events as f64 / started.elapsed().as_secs_f64() / 1e6;
    let limit = rate(started);
    let decode = |block: Block| {
        let mut sum = 0;
        for (position, stored) in block.iter() {
            let event = EnvelopeRef::decode(stored)
                .map_err(|source| StoreError::Malformed { at: position.to_string(), source })?;
            sum += event.header.revision;
        }
        Ok::<u64, StoreError>(sum)
    };
    let mut single = 0.0;
    for threads in [1, 4] {
        let started = Instant::now();
        let mapped =
            store.read(|r| r.map_blocks(threads, 0..r.state().sealed, &Filter::default(), decode));
        black_box(mapped.unwrap());
        let ours = rate(started);
        if threads == 1 {
            single = ours;
            row("scan and decode, 1 core, M events/s", ours, limit, ours / limit, ">= 0.45");
        } else {
            row("scan and decode, 4 cores, M events/s", ours, single, ours / single, ">= 1.5");
        }
    }
}

/// A whole check, against hashing the same leaves into the same tree in memory.
fn check(store: &Store, signer: &NoteSigner) {
    let mut leaves: Vec<Vec<u8>> = Vec::new();
    let mut events = 0_u64;
    let sample = store.read(|r| {
        r.scan(0..u64::MAX, &Filter::default(), |e| {
            events += 1;
            // A million are enough to time hashing, and fit into memory.
            if leaves.len() < 1_000_000 {
                leaves.push(e.stored().to_vec());
            }
            Ok::<(), StoreError>(())
        })
    });
    sample.unwrap();
    let started = Instant::now();
    let mut tree = Frontier::default();
    for stored in &leaves {
        tree.push(leaf_hash(&EnvelopeRef::decode(stored).unwrap().leaf_data().0));
    }
    black_box(tree.root());
    let limit = leaves.len() as f64 / started.elapsed().as_secs_f64() / 1e6;
    drop(leaves);
    let mut single = 0.0;
    for threads in [1, 4] {
        let key = Some(signer.public().clone());
        let options = Options { threads: Some(threads), key, ..Options::default() };
        let started = Instant::now();
        let report = verify(store, &options).unwrap();
        let ours = events as f64 / started.elapsed().as_secs_f64() / 1e6;
        assert_eq!((report.findings.first(), report.size), (None, events));
        if threads == 1 {
            single = ours;
            row("verify, 1 core, M events/s", ours, limit, ours / limit, ">= 0.65");
        } else {
            row("verify, 4 cores, M events/s", ours, single, ours / single, ">= 2.5");
        }
    }
}

fn size(store: &Store, root: &Path, signer: &NoteSigner) {
    let encoded = fs::metadata(root.join("events")).unwrap().len() as f64 / 1e6;
    let before = fs::metadata(store.path()).unwrap().len() as f64 / 1e6;
    store.compact(&options(signer)).unwrap();
    let after = fs::metadata(store.path()).unwrap().len() as f64 / 1e6;
    row("size before compaction, MB", before, encoded, before / encoded, "");
    row("size compacted, MB", after, encoded, after / encoded, "<= 0.60");
}

/// Batches of 1,000 points, 16 a commit, durable; against a plain file at the same group size.
fn metrics(root: &Path, signer: &NoteSigner) {
    let store = grow(&root.join("metrics"), 10_000, signer);
    let env = Env::fixed(Timestamp(0), 2);
    let groups: Vec<Vec<Event>> = (0..200)
        .map(|g| (0..16).map(|i| batch(&env, 1_000, (g * 16 + i) * 250)).collect())
        .collect();
    let mut plain = File::create(root.join("points")).unwrap();
    let (mut ours, mut limit) = (Duration::ZERO, Duration::ZERO);
    let mut waiting = groups.iter().peekable();
    while waiting.peek().is_some() {
        let started = Instant::now();
        let mut burst = store.burst(&options(signer)).unwrap();
        let mut written = Vec::new();
        while burst.has_time()
            && let Some(group) = waiting.next()
        {
            let stored = burst.write(|w| w.append(&append(RunId([9; 16]).into(), group)));
            stored.unwrap();
            written.push(group);
        }
        drop(burst);
        ours += started.elapsed();
        for group in written {
            let bytes: Vec<u8> = group.iter().flat_map(Event::encode).collect();
            let started = Instant::now();
            plain.write_all(&bytes).unwrap();
            plain.sync_data().unwrap();
            limit += started.elapsed();
        }
    }
    let points = (groups.len() * 16_000) as f64 / 1e3;
    let (ours, limit) = (points / ours.as_secs_f64(), points / limit.as_secs_f64());
    row(
        "metric points, 16 batches of 1,000 a commit, k points/s",
        ours,
        limit,
        ours / limit,
        ">= 0.25",
    );
}
