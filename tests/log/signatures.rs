//! Signatures of actors: each way of using a key wrongly is found and named.

use crate::runs;
use annals::base::{Env, LogId, MoveId, RunId, Timestamp};
use annals::domain::policy::{Policy, PolicyChanged};
use annals::domain::registry::{ModelAliasSet, ModelDemoted, ModelRolledBack};
use annals::domain::run::{RunEvent, RunFailed, RunInterrupted, RunResumed};
use annals::domain::workspace::{
    ActorRegistered, BlobsRemoved, KeyAlgorithm, KeyCreated, KeyVouched, WorkspaceCreated,
    rotation_message,
};
use annals::domain::{Event, Provenance, StreamId};
use annals::store::{Append, Author, Expected, Origin, Store, StoreError, WriteOptions};
use annals::tlog::NoteSigner;
use annals::verify::{Options, Report, verify};

const ORIGIN: &str = "annals/ward/x";
/// Positions of the two actors and their keys; see [`world`].
const MARA: u64 = 1;
const INES: u64 = 2;
const MARAS_KEY: u64 = 3;
const INES_KEY: u64 = 4;
const RUN: RunId = RunId([1; 16]);

fn signer(seed: u8) -> NoteSigner {
    NoteSigner::new(ORIGIN, &[seed; 32]).unwrap()
}

fn key(seed: u8, owner: &str, old: Option<(u64, u8)>) -> Event {
    let public_key = signer(seed).public().public_key();
    let endorse = |old: u8| {
        let old = signer(old);
        old.sign_bytes(&rotation_message(ORIGIN, old.public().public_key(), public_key))
    };
    KeyCreated {
        algorithm: KeyAlgorithm::Ed25519,
        public_key,
        owner: owner.into(),
        replaces: old.map(|(at, _)| at),
        endorsement: old.map(|(_, seed)| endorse(seed)),
    }
    .into()
}

fn something() -> Event {
    BlobsRemoved { digests: vec![], bytes: 0 }.into()
}

/// One event, by an actor, signed with a key at a position.
type Signed = (Event, u64, Option<(u64, u8)>);

/// A log with two people and their keys, then `events`.
fn world(events: &[Signed]) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Env::fixed(Timestamp(1_000), 1)).unwrap();
    let created = WorkspaceCreated {
        log: LogId([1; 16]),
        origin: ORIGIN.into(),
        project: "ward".into(),
        tool_version: "1".into(),
    };
    let actor = |name: &str| Event::from(ActorRegistered { name: name.into() });
    let mut all: Vec<Signed> = vec![
        (created.into(), 0, None),
        (actor("mara"), MARA, None),
        (actor("ines"), INES, None),
        (key(1, "mara", None), MARA, None),
        (key(2, "ines", None), INES, Some((MARAS_KEY, 1))),
    ];
    // The fifth was made by mara: her signature vouches for it.
    all[4].1 = MARA;
    all.extend_from_slice(events);
    let signers = [1, 2, 3].map(signer);
    for (event, actor, key) in &all {
        let stream = match event {
            Event::Run(_) => RUN.into(),
            Event::Policy(_) => StreamId::POLICY,
            Event::Registry(_) => StreamId::REGISTRY,
            _ => StreamId::WORKSPACE,
        };
        let key = key.map(|(at, seed)| (at, &signers[usize::from(seed) - 1]));
        let author = Author { actor: Origin::At(*actor), invocation: None, key };
        store
            .write(&WriteOptions::interactive("test", Some(&signers[1])), |log| {
                log.append(&Append {
                    stream,
                    expected: Expected::Any,
                    author,
                    sequence: None,
                    command: None,
                    occurred: None,
                    provenance: Provenance::Reported,
                    events: std::slice::from_ref(event),
                })?;
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
    let key = Some(signer(1).public().clone());
    verify(&store, &Options { key, ..Options::default() }).unwrap()
}

#[track_caller]
fn finds(events: &[Signed], position: u64, text: &str) {
    let findings = world(events).findings;
    let first = findings.first().expect("nothing was found");
    assert!(findings.iter().all(|f| f.position == Some(position)), "{findings:?}");
    assert!(first.what.contains(text), "{}", first.what);
}

#[test]
fn a_key_signs_for_its_owner_only() {
    // The log checkpoints are signed by ines, whose key the pinned one of mara vouches for.
    let report = world(&[
        (something(), MARA, Some((MARAS_KEY, 1))),
        (something(), INES, Some((INES_KEY, 2))),
        (something(), INES, None),
    ]);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.actor_signatures, 3);
    let with_maras = [(something(), INES, Some((MARAS_KEY, 1)))];
    finds(&with_maras, 5, "ines signed with the key of mara");
    let with_another = [(something(), INES, Some((INES_KEY, 1)))];
    finds(&with_another, 5, "the signature of ines does not fit the key of event 4");
    finds(&[(something(), INES, Some((2, 2)))], 5, "names event 2, which is not a key");
    finds(&[(something(), INES, Some((5, 2)))], 5, "names event 5, which is not a key");
}

#[test]
fn a_replaced_key_signs_nothing_more() {
    let rotated = (key(3, "mara", Some((MARAS_KEY, 1))), MARA, Some((MARAS_KEY, 1)));
    let good = world(&[rotated.clone(), (something(), MARA, Some((5, 3)))]);
    assert!(good.findings.is_empty(), "{:?}", good.findings);
    let late = [rotated, (something(), MARA, Some((MARAS_KEY, 1)))];
    finds(&late, 6, "mara signed with the key of event 3, replaced by 5");
    let unsigned = [(key(3, "mara", Some((MARAS_KEY, 2))), MARA, None)];
    finds(&unsigned, 5, "the old key of mara did not sign the new one");
    let stolen = [(key(3, "ines", Some((MARAS_KEY, 1))), INES, None)];
    finds(&stolen, 5, "the new key of ines replaces none of theirs");
}

#[test]
fn a_forged_signature_vouches_for_nobody() {
    let public_key = signer(3).public().public_key();
    let vouched = Event::from(KeyVouched {
        key: 5,
        algorithm: KeyAlgorithm::Ed25519,
        public_key,
        owner: "otto".into(),
    });
    let events = [(key(3, "otto", None), INES, None), (vouched, MARA, Some((MARAS_KEY, 2)))];
    finds(&events, 6, "the signature of mara does not fit the key of event 3");
}

/// Earlier versions let people do this. Such logs open, and what the rules of today refuse is named
/// with its reason, changes nothing, and is all that is named.
#[test]
fn what_honest_people_did_before_a_rule_came_is_named_with_it() {
    let started = runs::started(RUN, "hate_20260301_120000".into(), 1);
    let interrupted =
        Event::from(RunInterrupted { attempt: 1, reason: "no".into(), resumable_step: None });
    let failed = RunFailed {
        attempt: 1,
        reason: "it failed".into(),
        signal: None,
        exit_code: None,
        stderr_tail: String::new(),
    };
    let mut policy = Policy::default();
    policy.production_promotion.approvals_signed = true;
    let strict = Event::from(PolicyChanged { policy, changes: vec![], reason: None });
    let signed = |event: Event| (event, MARA, Some((MARAS_KEY, 1)));
    let demoted = ModelDemoted { name: "hate".into(), reason: "it is worse".into() };
    let rolled_back = ModelRolledBack {
        name: "hate".into(),
        number: 1,
        from: None,
        file_move: MoveId([1; 16]),
        reason: "it is worse".into(),
    };
    let alias = ModelAliasSet {
        alias: "champion".into(),
        name: "hate".into(),
        number: 1,
        previous: None,
        reason: None,
    };
    let table: [(&str, Vec<Signed>, &str); 6] = [
        (
            "anybody ended a run",
            vec![(started.clone(), MARA, None), (failed.into(), INES, None)],
            "was begun by somebody else, and ines may not record facts of it",
        ),
        (
            "anybody resumed a run",
            vec![
                (started.clone(), MARA, None),
                (interrupted, MARA, None),
                (resumed(&started), INES, None),
            ],
            "was begun by somebody else, and ines may not record facts of it",
        ),
        (
            "rules were changed without a signature though approvals needed one",
            vec![signed(strict.clone()), (strict.clone(), INES, None)],
            "a change of the policy by ines counts only if it is signed",
        ),
        (
            "so were models taken out of production",
            vec![signed(strict.clone()), (demoted.into(), INES, None)],
            "takes a model into or out of production by ines counts only if it is signed",
        ),
        (
            "so were older versions brought back",
            vec![signed(strict.clone()), (rolled_back.into(), INES, None)],
            "takes a model into or out of production by ines counts only if it is signed",
        ),
        (
            "so were aliases set",
            vec![signed(strict), (alias.into(), INES, None)],
            "an alias by ines counts only if it is signed",
        ),
    ];
    for (what, events, reason) in table {
        let findings = world(&events).findings;
        let named: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(findings[0].position, Some(4 + events.len() as u64), "{what}: {named:?}");
        assert!(named.len() == 1 && named[0].contains(reason), "{what}: {named:?}");
    }
}

fn resumed(started: &Event) -> Event {
    let Event::Run(RunEvent::Started(started)) = started else { panic!("it starts a run") };
    RunResumed {
        attempt: 2,
        step: 50,
        checkpoint: "checkpoints/step-00000050".into(),
        environment: started.environment.clone(),
        trainer: "annals-engine".into(),
    }
    .into()
}
