//! Seeded trials: a random workload, one fault at a random call, a restart, and an auditor that
//! knows what was acknowledged (LOG-1, LOG-5, LOG-6).

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals::base::{Env, RunId, Timestamp};
use annals::domain::Event;
use annals::stats::random::Stream;
use annals::store::{Lock, Store, StoreError, WriteOptions};
use annals::tlog::NoteSigner;
use annals::verify::{Options, verify};

use crate::disk::{Fault, Machine};
use crate::history::{BEGIN, append, begin};
use crate::world::{ORIGIN, numbered, numbers, signer};

const RUN: RunId = RunId([9; 16]);
const TRIALS: u64 = 2_000;
const FAULTS: [Fault; 4] = [Fault::Lose, Fault::Tear, Fault::Fail, Fault::FailButPersist];

/// The auditor's model: what must be in the log, and what may be.
#[derive(Default)]
struct Auditor {
    acknowledged: Vec<u64>,
    /// The one commit whose end nobody knows.
    unsure: Vec<u64>,
}

impl Auditor {
    /// Judges the log: everything acknowledged, in order; of the unsure commit all or nothing.
    fn judge(&mut self, store: &Store) -> Result<(), String> {
        let found = store.read(|log| numbers(log, RUN)).map_err(|e| format!("unreadable: {e}"))?;
        let whole = [&self.acknowledged[..], &self.unsure[..]].concat();
        if found != self.acknowledged && found != whole {
            return Err(format!(
                "{found:?} is there; {:?} was acknowledged, {:?} is unsure",
                self.acknowledged, self.unsure
            ));
        }
        (self.acknowledged, self.unsure) = (found, vec![]);
        let report =
            verify(store, &Options::default()).map_err(|e| format!("unverifiable: {e}"))?;
        // This run never began. What may happen to a run is no question of what disks do.
        let mut damage = report.findings.iter().filter(|f| !f.what.contains("was not allowed"));
        match damage.next() {
            Some(finding) => Err(format!("verify: {finding}")),
            None if report.size != BEGIN + self.acknowledged.len() as u64 => {
                Err(format!("{} events, {} expected", report.size, self.acknowledged.len()))
            }
            None => Ok(()),
        }
    }
}

struct Trial {
    store: Store,
    machine: Machine,
    signer: NoteSigner,
    auditor: Auditor,
    chance: Stream,
    next: u64,
}

impl Trial {
    fn new(seed: u64, dir: &std::path::Path) -> Self {
        let machine = Machine::new();
        let env = Env::fixed(Timestamp(1_000_000_000), seed);
        let store =
            Store::with_files(std::sync::Arc::new(machine.clone()), Some(Lock::new(dir)), env);
        let signer = signer();
        store.create_with(&WriteOptions::interactive("sim", None)).unwrap();
        begin(&store, ORIGIN, &signer);
        let chance = Stream::new(&[seed]);
        Self { store, machine, signer, auditor: Auditor::default(), chance, next: 0 }
    }

    /// Commits until one fails; tells whether one did.
    fn work(&mut self, commits: u64) -> bool {
        for _ in 0..commits {
            let count = 1 + self.chance.below(4) as u64;
            let wanted: Vec<u64> = (self.next..self.next + count).collect();
            self.next += count;
            let points = [1, 40, 900][self.chance.below(3)];
            let events: Vec<Event> = wanted.iter().map(|n| numbered(*n, points)).collect();
            let options = WriteOptions::interactive("sim", Some(&self.signer));
            let written = self.store.write(&options, |w| {
                w.append(&append(RUN.into(), &events))?;
                Ok::<_, StoreError>(())
            });
            match written {
                Ok(()) => self.auditor.acknowledged.extend(wanted),
                Err(_) => {
                    self.auditor.unsure = wanted;
                    return true;
                }
            }
        }
        false
    }

    fn run(&mut self, lies: bool) -> Result<bool, String> {
        let commits = 1 + self.chance.below(6) as u64;
        self.work(commits);
        self.machine.0.lock().unwrap().lies = lies;
        let fault = FAULTS[self.chance.below(4)];
        let at = 1 + self.chance.below(60) as u64;
        self.machine.break_at(at, fault);
        self.work(12);
        let faulted = self.machine.0.lock().unwrap().faulted;
        self.machine.restart(&mut self.chance);
        self.machine.0.lock().unwrap().lies = false;
        self.auditor.judge(&self.store).map_err(|e| format!("{fault:?}: {e}"))?;
        // The log goes on as if nothing had been.
        if self.work(3) {
            return Err(format!("{fault:?}: the log takes nothing any more"));
        }
        self.auditor.judge(&self.store).map_err(|e| format!("{fault:?}, after: {e}"))?;
        Ok(faulted)
    }
}

fn trials(count: u64, lies: bool) -> (u64, Vec<String>) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = |worker: u64| {
        let dir = tempfile::tempdir().unwrap();
        let (mut faulted, mut failures) = (0, Vec::new());
        for seed in (worker..count).step_by(usize::try_from(workers).unwrap()) {
            // A panic over a damaged file is a failure like any other, with its seed.
            let trial = AssertUnwindSafe(|| Trial::new(seed, dir.path()).run(lies));
            match catch_unwind(trial).unwrap_or_else(|_| Err("panicked".into())) {
                Ok(hit) => faulted += u64::from(hit),
                Err(error) => failures.push(format!("seed {seed}: {error}")),
            }
        }
        (faulted, failures)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..workers).map(|worker| scope.spawn(move || share(worker))).collect();
        let mut all = (0, Vec::new());
        for thread in threads {
            let (faulted, failures) = thread.join().unwrap();
            all.0 += faulted;
            all.1.extend(failures);
        }
        all
    })
}

#[test]
fn log_6_nothing_acknowledged_is_lost_to_power_or_failing_calls() {
    let (faulted, failures) = trials(TRIALS, false);
    assert!(failures.is_empty(), "{} of {TRIALS}:\n{}", failures.len(), failures.join("\n"));
    assert!(faulted > TRIALS * 9 / 10, "only {faulted} of {TRIALS} trials met their fault");
}

/// The canary: a disk that only says that it synced must be caught.
#[test]
fn a_disk_that_lies_is_caught() {
    let (_, failures) = trials(200, true);
    assert!(!failures.is_empty(), "200 trials on a lying disk and nobody noticed");
}
