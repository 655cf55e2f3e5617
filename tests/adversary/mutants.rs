//! Mutants of honest logs, at the level of events: some are left out, told twice, told in another
//! order, by somebody else, of something else, or otherwise. The mutant is a sound file, numbered
//! anew as an attacker would, with the log checkpoints that were signed. Every mutant that changes
//! what people are answered is named by `verify`.

use std::collections::BTreeMap;
use std::path::Path;

use annals::base::{Env, parallel};
use annals::domain::run::RunEvent;
use annals::domain::{
    Envelope, Event, Header, Identity, Kind, Payload, Provenance, StreamId, kind_info,
};
use annals::projection::Views;
use annals::store::{Filter, Store, StoreError};
use annals::verify::{Options, verify};

use crate::forger::Field;
use crate::raw_log;

/// How many of each log; `MUTANTS` asks for more.
const MUTANTS: u64 = 1_300;

/// What anybody may add to the record, under a name that is only claimed.
const OPEN_TO_ALL: [Kind; 7] = [
    RunEvent::NOTED,
    RunEvent::TAGGED,
    RunEvent::RENAMED,
    RunEvent::PINNED,
    RunEvent::UNPINNED,
    RunEvent::CLASSIFIED,
    RunEvent::INTERRUPTED,
];

type Told = (Header, Payload);

/// An honest log: its events, and what was signed.
struct Honest {
    events: Vec<Told>,
    checkpoints: Vec<(u64, String)>,
}

impl Honest {
    fn new(strict: bool) -> Self {
        let field = Field::with_moves(strict);
        let store = field.store();
        let read = store.read(|log| {
            let events = log.events(0..u64::MAX, &Filter::default())?;
            Ok::<_, StoreError>((events, log.checkpoints(..)?))
        });
        let (events, checkpoints) = read.unwrap();
        let told = |envelope: Envelope| (envelope.header, envelope.payload);
        Self { events: events.into_iter().map(told).collect(), checkpoints }
    }
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

/// Positions, revisions and sequences as they have to be, and references where they now point to.
fn numbered(events: &[Told]) -> Vec<Vec<u8>> {
    let mut moved: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut revisions, mut sequences) = (BTreeMap::new(), BTreeMap::new());
    let mut rows = vec![];
    let mut recorded = events[0].0.recorded.plus_nanos(-1);
    for (at, (header, payload)) in (0_u64..).zip(events) {
        moved.entry(header.position).or_insert(at);
        let to = |from: u64| moved.get(&from).copied().unwrap_or(from);
        let next = |map: &mut BTreeMap<[u8; 17], u64>, key: [u8; 17]| {
            let next = map.entry(key).or_default();
            std::mem::replace(next, *next + 1)
        };
        recorded = header.recorded.max(recorded.plus_nanos(1));
        let invocation = header.invocation.map(to);
        let sequence = invocation.map(|invocation| {
            let next = sequences.entry(invocation).or_insert(0_u64);
            std::mem::replace(next, *next + 1)
        });
        let header = Header {
            position: at,
            revision: next(&mut revisions, header.stream.to_key()),
            actor: to(header.actor),
            invocation,
            sequence: sequence.unwrap_or(header.sequence),
            recorded,
            identity: match header.identity {
                Identity::Signed { key, signature } => Identity::Signed { key: to(key), signature },
                Identity::Claimed => Identity::Claimed,
            },
            ..header.clone()
        };
        rows.push(Envelope::encode(header, payload.clone()).into_stored());
    }
    rows
}

/// One change of one event, at a position or later.
fn mutate(events: &mut Vec<Told>, dice: &mut Dice) -> String {
    // The first four begin the log.
    let at = 4 + dice.below(events.len() - 4);
    let other = 4 + dice.below(events.len() - 4);
    let kind = events[at].0.kind.name();
    let how = match dice.below(8) {
        0 => {
            events.remove(at);
            "left out"
        }
        1 => {
            let mut again = events[at].clone();
            again.0.command = None;
            events.insert(other.max(at), again);
            "told twice"
        }
        2 => {
            events.swap(at, other);
            "swapped"
        }
        3 => {
            events[at].0.actor = [1, events[other].0.actor][dice.below(2)];
            "by somebody else"
        }
        4 => {
            events[at].0.stream = events[other].0.stream;
            "of something else"
        }
        5 => {
            let all = [Provenance::Typed, Provenance::Engine, Provenance::Imported];
            events[at].0.provenance = all[dice.below(all.len())];
            events[at].0.identity = Identity::Claimed;
            "from elsewhere, unsigned"
        }
        6 => {
            events[at].1 = events[other].1.clone();
            events[at].0.kind = events[other].0.kind;
            events[at].0.version = events[other].0.version;
            "with what another says"
        }
        _ => {
            alter(&mut events[at], dice);
            "with another field"
        }
    };
    format!("{kind} at {at} {how} ({other})")
}

/// Another value in some field: one that can be read.
fn alter((header, payload): &mut Told, dice: &mut Dice) {
    let (Payload::Inline(bytes) | Payload::Salted { bytes, .. }) = payload else { return };
    for _ in 0..40 {
        if bytes.is_empty() {
            return;
        }
        let mut changed = bytes.clone();
        let at = dice.below(changed.len());
        changed[at] = changed[at].wrapping_add(1 + dice.below(6) as u8);
        if Event::decode(header.kind, header.version, &changed).is_ok() {
            *bytes = changed;
            return;
        }
    }
}

/// What people are answered from.
fn answers(store: &Store) -> String {
    let size = store.read(|log| Ok::<_, StoreError>(log.size())).unwrap();
    let views = Views::folded(store, size).unwrap();
    let models = (views.production().unwrap(), views.aliases().unwrap());
    let decided = (views.requests().unwrap(), views.policy().unwrap());
    format!("{:?}", (views.run_details().unwrap(), models, decided))
}

/// What became of one mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// No program can have written it: its events do not follow from each other.
    NoLog,
    /// It answers as before.
    Same,
    /// It answers otherwise, and `verify` names it.
    Named,
}

fn judge(
    what: &str,
    folder: &Path,
    events: &[Told],
    checkpoints: &[(u64, String)],
    before: &str,
) -> Fate {
    let path = folder.join(format!("{:?}.redb", std::thread::current().id()));
    std::fs::remove_file(&path).ok();
    let size = events.len() as u64;
    let signed: Vec<_> = checkpoints.iter().filter(|(at, _)| *at <= size).cloned().collect();
    if raw_log::write(&path, (1, 1), &numbered(events), &signed).is_err() {
        return Fate::NoLog;
    }
    let store = Store::open_file(&path, Env::system()).unwrap();
    if answers(&store) == before {
        return Fate::Same;
    }
    let options = Options { threads: Some(1), ..Options::default() };
    let findings = verify(&store, &options).unwrap().findings;
    assert!(!findings.is_empty(), "{what}: other answers, and nothing is found");
    Fate::Named
}

/// Mutants of a log, by `make`; how many met which fate.
fn each(
    honest: &Honest,
    count: u64,
    make: impl Fn(&mut Vec<Told>, &mut Dice) -> String + Sync,
) -> BTreeMap<Fate, u64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("honest.redb");
    raw_log::write(&path, (1, 1), &numbered(&honest.events), &honest.checkpoints).unwrap();
    let store = Store::open_file(&path, Env::system()).unwrap();
    let found = verify(&store, &Options::default()).unwrap().findings;
    assert!(found.is_empty(), "{found:?}");
    let before = answers(&store);
    let seeds: Vec<u64> = (0..count).collect();
    let judged = parallel::map_shares(parallel::cores(), &seeds, |seeds: &[u64]| {
        let of_seed = |seed: &u64| {
            let mut events = honest.events.clone();
            let what = make(&mut events, &mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            judge(&what, folder.path(), &events, &honest.checkpoints, &before)
        };
        seeds.iter().map(of_seed).collect::<Vec<Fate>>()
    });
    let mut fates = BTreeMap::new();
    for fate in judged.into_iter().flatten() {
        *fates.entry(fate).or_default() += 1;
    }
    fates
}

fn count() -> u64 {
    std::env::var("MUTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(MUTANTS)
}

#[test]
fn a_mutant_of_a_signed_log_answers_the_same_or_is_named() {
    for strict in [false, true] {
        let honest = Honest::new(strict);
        let fates = each(&honest, count(), |events, dice| {
            let mut what = mutate(events, dice);
            if dice.below(3) == 0 {
                what = format!("{what}; {}", mutate(events, dice));
            }
            what
        });
        println!("strict {strict}: {fates:?}");
        assert!(fates[&Fate::Named] > count() / 3, "{fates:?}");
    }
}

/// Nobody signed these: what the next one who signs would cover. Where decisions are signed,
/// nothing that decides anything comes of them.
#[test]
fn a_mutant_in_the_tail_decides_nothing_or_is_named() {
    let honest = Honest::new(true);
    let decides: Vec<Told> = honest
        .events
        .iter()
        .filter(|(header, _)| !OPEN_TO_ALL.contains(&header.kind))
        .filter(|(header, _)| {
            kind_info(header.kind).is_some_and(|i| i.class != annals::domain::Class::Bulk)
        })
        .cloned()
        .collect();
    let fates = each(&honest, 2 * count(), |events, dice| {
        let mut added = vec![decides[dice.below(decides.len())].clone(); 1 + dice.below(2)];
        let mut what = String::new();
        for told in &mut added {
            let another = &decides[dice.below(decides.len())].0;
            match dice.below(5) {
                0 => told.0.actor = another.actor,
                1 => told.0.stream = another.stream,
                2 => told.0.stream = StreamId { entity: [9; 16], ..told.0.stream },
                3 => told.0.identity = Identity::Claimed,
                _ => alter(told, dice),
            }
            // Every use of a verb had ended.
            told.0.invocation = None;
            told.0.command = None;
            told.0.position = u64::MAX;
            what = format!("{what} {} in {}", told.0.kind.name(), told.0.stream);
        }
        events.extend(added);
        what
    });
    println!("in the tail: {fates:?}");
    let tried = |fate| fates.get(&fate).copied().unwrap_or(0);
    assert!(tried(Fate::Same) > count() && tried(Fate::NoLog) < count() / 2, "{fates:?}");
}
