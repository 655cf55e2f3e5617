//! Real processes, really killed: four writers of one log, `kill -9` at random moments, and an
//! account of acknowledgements kept outside of them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use annals::base::{CommandId, Env, RunId};
use annals::stats::random::Stream;
use annals::store::{Append, Store, StoreError, WriteOptions};
use annals::verify::{Options, verify};

use crate::history::{append, begin};
use crate::world::{ORIGIN, begin_run, numbered, numbers, signer};

const WRITERS: u64 = 4;
const APPENDS: u64 = 1_000;
const DEADLINE: Duration = Duration::from_secs(240);
const WORKER: &str = "ANNALS_SIM_WORKER";

fn run_of(writer: u64) -> RunId {
    RunId([u8::try_from(writer).unwrap() + 1; 16])
}

/// The writer's process: appends numbers and says each one after it is acknowledged.
fn write(job: &str) {
    let mut parts = job.splitn(3, ' ');
    let mut number = || parts.next().unwrap().parse::<u64>().unwrap();
    let (writer, from) = (number(), number());
    let store = Store::open(Path::new(parts.next().unwrap()), Env::system()).unwrap();
    let signer = signer();
    let mut out = std::io::stdout();
    for n in from..APPENDS {
        let mut command = [0; 16];
        command[..8].copy_from_slice(&writer.to_le_bytes());
        command[8..].copy_from_slice(&n.to_le_bytes());
        let options = WriteOptions::recorder("sim", Some(&signer));
        store
            .write(&options, |w| {
                let events = [numbered(n, 3)];
                let one = append(run_of(writer).into(), &events);
                w.append(&Append { command: Some(CommandId(command)), ..one })?;
                Ok::<_, StoreError>(())
            })
            .unwrap();
        writeln!(out, "acknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

fn start(dir: &Path, writer: u64, from: u64, said: &Sender<(u64, u64)>) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::log_6_nothing_acknowledged_is_lost_to_kill_9", "--nocapture"])
        .env(WORKER, format!("{writer} {from} {}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (out, said) = (child.stdout.take().unwrap(), said.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // The harness writes lines of its own around ours.
            let number = line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse().ok());
            if let Some(number) = number {
                let _ = said.send((writer, number));
            }
        }
    });
    child
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test talks to its own child")]
fn log_6_nothing_acknowledged_is_lost_to_kill_9() {
    if let Ok(job) = std::env::var(WORKER) {
        return write(&job);
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Env::system()).unwrap();
    begin(&store, ORIGIN, &signer());
    (0..WRITERS).for_each(|writer| begin_run(&store, run_of(writer)));
    let (sender, said) = channel();
    let mut chance = Stream::new(&[5]);
    let mut acknowledged: BTreeMap<u64, u64> = (0..WRITERS).map(|writer| (writer, 0)).collect();
    let mut children: Vec<Child> =
        (0..WRITERS).map(|writer| start(dir.path(), writer, 0, &sender)).collect();
    let (began, mut kills) = (Instant::now(), 0);
    while acknowledged.values().any(|next| *next < APPENDS) {
        assert!(began.elapsed() < DEADLINE, "too slow: {acknowledged:?} after {kills} kills");
        let until = Instant::now() + Duration::from_millis(20 + chance.below(150) as u64);
        while let Ok((writer, number)) =
            said.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            let next = acknowledged.get_mut(&writer).unwrap();
            *next = (*next).max(number + 1);
        }
        let victim = chance.below(4) as u64;
        let next = acknowledged[&victim];
        if next < APPENDS {
            let child = &mut children[usize::try_from(victim).unwrap()];
            let _ = child.kill();
            child.wait().unwrap();
            kills += 1;
            *child = start(dir.path(), victim, next, &sender);
        }
    }
    for child in &mut children {
        let _ = child.kill();
        child.wait().unwrap();
    }
    for writer in 0..WRITERS {
        let found = store.read(|log| numbers(log, run_of(writer))).unwrap();
        let wanted: Vec<u64> = (0..APPENDS).collect();
        assert_eq!(found, wanted, "writer {writer} after {kills} kills");
    }
    let report = verify(&store, &Options::default()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(kills >= 20, "only {kills} kills: nothing was tried");
}
