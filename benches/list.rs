//! `annals list` as a whole process over 10,000 runs and a million events.
//!
//! Expected: 10,000 rows of about 200 bytes are 2 MB to read in place, 1 ms; sorting and writing
//! 10,000 lines, 5 ms; starting a program, 1 ms. Limit: a program that does nothing, run beside it.
//! Target: at most 15 ms and 30 MiB; verbs that judge every run, 100 ms and 60 MiB.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::disallowed_methods, reason = "a benchmark writes plain files")]

#[path = "../tests/support/history.rs"]
mod history;
#[path = "../tests/support/runs.rs"]
mod runs;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annals::base::{Digest, Direction, Env, RunId, Split, Timestamp};
use annals::domain::metric::{MetricBatch, MetricKey, MetricPoint};
use annals::domain::run::MetricsRecorded;
use annals::domain::{Event, StreamId};
use annals::projection::{Views, ViewsKey};
use annals::store::{Append, Author, KeyRing, Origin, Store, StoreError, WriteOptions};

const RUNS: u64 = 10_000;
const BATCHES_PER_RUN: u64 = 97;
const RUNS_PER_COMMIT: u64 = 100;
const REPEATS: usize = 21;
/// Verbs that look at all of every run.
const JUDGING: [&[&str]; 3] =
    [&["candidates"], &["cleanup", "--dry-run", "--keep", "2"], &["consolidate", "plan"]];

fn points(step: u64) -> Event {
    let key =
        MetricKey { name: "loss".into(), split: Some(Split::Train), direction: Direction::Lower };
    let point = MetricPoint { key: 0, step, epoch: 0.5, value: 0.25, at: Timestamp(0) };
    MetricsRecorded { attempt: 1, batch: MetricBatch::new(vec![key], &[point]) }.into()
}

/// By nobody in particular: no invocation of this program.
fn by_nobody(stream: StreamId, events: &[Event]) -> Append<'_> {
    let author = Author { actor: Origin::At(0), invocation: None, key: None };
    Append { author, ..history::append(stream, events) }
}

/// Ten thousand runs, each with a file of weights under `root`.
fn fill(store: &Store, root: &Path) -> u64 {
    for commit in 0..RUNS / RUNS_PER_COMMIT {
        store
            .write(&WriteOptions::interactive("bench", None), |w| {
                for n in commit * RUNS_PER_COMMIT..(commit + 1) * RUNS_PER_COMMIT {
                    let run = RunId(Digest::of(&n.to_le_bytes()).0[..16].try_into().unwrap());
                    let id = format!("hate_20260301_{n:06}");
                    let file = root.join("experiments").join(&id).join(runs::WEIGHTS);
                    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                    std::fs::write(file, b"weights").unwrap();
                    let mut events =
                        vec![runs::started(run, id, n), runs::classified(), runs::weights()];
                    events.extend((0..BATCHES_PER_RUN).map(points));
                    events.push(runs::finished(n));
                    w.append(&by_nobody(run.into(), &events))?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
    store.read(|log| Ok::<_, StoreError>(log.size())).unwrap()
}

fn median(mut command: impl FnMut() -> Command) -> Duration {
    let mut times: Vec<Duration> = (0..REPEATS)
        .map(|_| {
            let mut command = command();
            let began = Instant::now();
            assert!(
                command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
            );
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[REPEATS / 2]
}

fn annals(root: &Path, verb: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command.current_dir(root).args(verb).env("HOME", root);
    command
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let init = Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(["init", "--project", "bench"])
        .current_dir(root)
        .env("HOME", root)
        .status();
    assert!(init.unwrap().success());
    let store = Store::open(&root.join(".annals"), Env::system()).unwrap();
    let events = fill(&store, root);
    let keys = KeyRing::new(&root.join(".config/annals/keys"));
    let key = ViewsKey::new(&keys.make_views_secret().unwrap());
    let views = Views::new(&root.join(".annals"), Some(key));
    let began = Instant::now();
    views.update(&store).unwrap();
    println!("views of {events} events folded in {:.2} s", began.elapsed().as_secs_f64());
    let nothing = median(|| Command::new("true"));
    let list = median(|| annals(root, &["list"]));
    let first = median(|| annals(root, &["list", "-n", "20"]));
    let (recording, points) = while_recording(&store, || median(|| annals(root, &["list"])));
    println!("a program that does nothing   {:>8.2} ms", nothing.as_secs_f64() * 1e3);
    println!("annals list, {RUNS} runs        {:>8.2} ms (at most 15)", list.as_secs_f64() * 1e3);
    println!("annals list -n 20             {:>8.2} ms", first.as_secs_f64() * 1e3);
    println!(
        "annals list, a run recording  {:>8.2} ms (at most 15; {points} points recorded meanwhile)",
        recording.as_secs_f64() * 1e3
    );
    match peak_memory(root, &["list"]) {
        Some(mib) => println!("annals list, peak memory      {mib:>8.2} MiB (at most 30)"),
        None => println!("annals list, peak memory      not measured: there is no python3"),
    }
    for verb in JUDGING {
        let taken = median(|| annals(root, verb)).as_secs_f64() * 1e3;
        let memory = peak_memory(root, verb).map_or("?".into(), |mib| format!("{mib:.2}"));
        let verb = verb.join(" ");
        println!("annals {verb}: {taken:.2} ms (at most 100), {memory} MiB (at most 60)");
    }
}

/// Records metric points into the log, as fast as a training of small steps does, while `measure`
/// runs.
fn while_recording(store: &Store, measure: impl FnOnce() -> Duration) -> (Duration, u64) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let recorder = scope.spawn(|| {
            let mut recorded = 0;
            let run = RunId([9; 16]);
            let started = runs::started(run, "recording".into(), 0);
            store
                .write(&WriteOptions::interactive("bench", None), |w| {
                    w.append(&by_nobody(run.into(), &[started]))
                })
                .unwrap();
            while !stop.load(Ordering::Relaxed) {
                let events: Vec<Event> = (0..100).map(points).collect();
                store
                    .write(&WriteOptions::interactive("bench", None), |w| {
                        w.append(&by_nobody(run.into(), &events))
                    })
                    .unwrap();
                recorded += 100;
                std::thread::sleep(Duration::from_millis(100));
            }
            recorded
        });
        let measured = measure();
        stop.store(true, Ordering::Relaxed);
        (measured, recorder.join().unwrap())
    })
}

/// MiB in memory at most, as the system counts them for a child that has ended.
fn peak_memory(root: &Path, verb: &[&str]) -> Option<f64> {
    let script = "import resource, subprocess, sys; \
        quiet = subprocess.DEVNULL; \
        subprocess.run(sys.argv[1:], stdout=quiet, stderr=quiet, check=True); \
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut python = Command::new("python3");
    python.args(["-c", script, env!("CARGO_BIN_EXE_annals")]).args(verb);
    let output = python.current_dir(root).env("HOME", root).output().ok()?;
    let kib: f64 = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
