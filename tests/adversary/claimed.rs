//! Attacks on a workspace as `annals init` makes it, where names are claimed.

use annals::base::{Digest, Direction, MoveId, PublicKey, RequestId, RunId, Split, Timestamp};
use annals::domain::file_move::{
    MoveCompleted, MoveMode, MovePlanned, MovePurpose, MoveRolledBack, MovedFile,
};
use annals::domain::metric::{Evaluation, FinalMetric, MetricBatch, MetricKey, MetricPoint};
use annals::domain::registry::{
    Bump, ModelAliasRemoved, ModelAliasSet, ModelDemoted, ModelPromoted, ModelRepaired,
    ModelRolledBack, ModelVersionBumped, PromotedFile, PromotionApproved, PromotionRejected,
    PromotionRequested, RegistryEvent, Semver,
};
use annals::domain::run::{
    Archive, ArtifactStored, MetricsRecorded, MetricsUnrecorded, RunArchived, RunDeleted,
    RunFailed, RunFinished, RunInterrupted, RunPlanned, RunReproduced, RunRestored, RunResumed,
    RunShared, TrainCheckpointPruned, TrainCheckpointSaved,
};
use annals::domain::workspace::{
    ActorRegistered, KeyAlgorithm, KeyCreated, KeyVouched, TextRedacted, WorkspaceCreated,
};
use annals::domain::{Event, Provenance, StreamId, StreamType};

use crate::forger::{Field, Forgery, key_of, stray};

pub fn artifact(name: &str) -> Event {
    let digest = Digest::of(b"evil weights");
    let path = Some("checkpoints/best/model.safetensors".to_owned());
    ArtifactStored { name: name.into(), path, digest, sha256: None, bytes: 12, blob: false }.into()
}

pub fn finished(value: f64) -> Event {
    let metric = |name: &str| FinalMetric {
        key: MetricKey {
            name: name.into(),
            split: Some(Split::Test),
            direction: Direction::Higher,
        },
        value,
    };
    let labels = ["x".to_owned(), "y".to_owned()];
    let evaluation =
        Evaluation::of_confusion(Split::Test, &labels, vec![vec![99, 1], vec![1, 99]]).unwrap();
    RunFinished {
        attempt: 1,
        duration_seconds: 1.0,
        steps: 1,
        epochs: 1,
        best: None,
        metrics: vec![metric("accuracy"), metric("f1_macro")],
        evaluations: vec![evaluation],
        parameter_count: None,
        model_bytes: 12,
        weights: Some(Digest::of(b"evil weights")),
        rows_per_second: None,
    }
    .into()
}

pub fn points() -> Event {
    let key =
        MetricKey { name: "loss".into(), split: Some(Split::Train), direction: Direction::Lower };
    let point = MetricPoint { key: 0, step: 9, epoch: 0.5, value: 0.01, at: Timestamp(0) };
    MetricsRecorded { attempt: 1, batch: MetricBatch::new(vec![key], &[point]) }.into()
}

fn failed() -> Event {
    let reason = "no".into();
    RunFailed { attempt: 1, reason, signal: None, exit_code: None, stderr_tail: String::new() }
        .into()
}

fn resumed(field: &Field, attempt: u32) -> Event {
    let environment = field.started(field.old).environment;
    let (checkpoint, trainer) = ("checkpoints/step-1".into(), "engine".into());
    RunResumed { attempt, step: 1, checkpoint, environment, trainer }.into()
}

/// An approval of what the request of the field rests on.
pub fn approved(field: &Field, request: RequestId, approver: &str) -> Event {
    let evidence = Some(field.evidence().digest());
    PromotionApproved { request, approver: approver.into(), reason: None, evidence }.into()
}

pub fn promoted(request: RequestId, run: RunId, name: &str, digest: Digest) -> Event {
    ModelPromoted {
        request,
        run,
        name: name.into(),
        path: format!("models/production/{name}"),
        files: vec![PromotedFile {
            path: "model.safetensors".into(),
            digest,
            sha256: None,
            bytes: 12,
        }],
        file_move: MoveId([7; 16]),
        policy_revision: 1,
        approvers: vec!["mara".into()],
    }
    .into()
}

fn requested(field: &Field, request: RequestId, run: RunId, name: &str, trainer: &str) -> Event {
    PromotionRequested {
        request,
        run,
        name: name.into(),
        trainer: trainer.into(),
        policy_revision: 1,
        reason: None,
        intended_use: None,
        limits: None,
        evidence: Some(field.evidence()),
    }
    .into()
}

fn approved_other(request: RequestId) -> Event {
    let evidence = Some(Digest::of(b"something else"));
    PromotionApproved { request, approver: "mara".into(), reason: None, evidence }.into()
}

/// The request of the field once more, for a run that is in production already, but changed.
fn altered(field: &Field, alter: impl FnOnce(&mut PromotionRequested)) -> Event {
    let requests = field.events(StreamId::REGISTRY).into_iter();
    let mut first = requests.filter_map(|event| match event {
        Event::Registry(RegistryEvent::Requested(requested)) => Some(requested),
        _ => None,
    });
    let mut first = first.find(|requested| requested.run == field.old).unwrap();
    (first.request, first.name) = (RequestId([6; 16]), "dawn".into());
    alter(&mut first);
    first.into()
}

fn fixes_nothing(field: &Field) -> Event {
    altered(field, |requested| requested.evidence = None)
}

fn fixes_other(field: &Field) -> Event {
    altered(field, |requested| {
        let evidence = requested.evidence.as_mut().unwrap();
        evidence.files.insert("weights".into(), Digest::of(b"evil weights"));
    })
}

/// The digest of the weights of a run.
pub fn weights(field: &Field, run: RunId) -> Digest {
    let stored = field.events(run).into_iter().find_map(|event| match event {
        Event::Run(annals::domain::run::RunEvent::ArtifactStored(stored))
            if stored.name == "weights" =>
        {
            Some(stored.digest)
        }
        _ => None,
    });
    stored.unwrap()
}

type Attack = (&'static str, Forgery);

/// Facts of a run that had ended, by its own trainer, and of one that somebody else trains.
fn of_runs(field: &Field) -> Vec<Attack> {
    let saved = |step| TrainCheckpointSaved {
        attempt: 1,
        step,
        epoch: 1,
        path: "checkpoints/step-1".into(),
        digest: Digest::of(b"manifest"),
        bytes: 1,
        best: true,
    };
    let unrecorded = MetricsUnrecorded { attempt: 1, series: vec![], others: 3 };
    let planned = RunPlanned { attempt: 1, steps: 9, epochs: 1, resumed_at_step: None };
    let pruned = TrainCheckpointPruned { step: 1, path: "checkpoints/step-1".into() };
    let interrupted = RunInterrupted { attempt: 1, reason: "no".into(), resumable_step: None };
    let facts: Vec<(&'static str, Event)> = vec![
        ("other weights", artifact("weights")),
        ("another end with better scores", finished(0.99)),
        ("points", points()),
        ("a failure", failed()),
        ("a training checkpoint", saved(3).into()),
        ("a training checkpoint less", pruned.into()),
        ("values that are no points", unrecorded.into()),
        ("another plan", planned.into()),
    ];
    let mut all = Vec::new();
    for (what, event) in facts {
        all.push((what, Forgery::new("mara", field.new, event.clone())));
        all.push((what, Forgery::new("mallory", field.open, event.clone())));
        // A name that looks like the trainer's is another one.
        let mut typed = Forgery::new("Mara", field.open, event);
        typed.provenance = Provenance::Engine;
        all.push((what, typed));
    }
    let mut again = field.started(field.new);
    again.run = field.new;
    let mut other = again.clone();
    other.run = RunId([8; 16]);
    let reproduced = RunReproduced {
        by: field.open,
        equal: true,
        weights: Digest::of(b"x"),
        difference: None,
        environment: vec![],
    };
    let (folder, file_move) = ("experiments/x".to_owned(), MoveId([6; 16]));
    let restored =
        RunRestored { folder: folder.clone(), reason: None, recovered: vec![], file_move };
    let archived = RunArchived {
        archive: Archive::Debug,
        folder,
        rule: None,
        reason: "old".into(),
        policy_revision: 1,
        packed: None,
        dropped: vec![],
        bytes_before: 0,
        bytes_after: 0,
        file_move,
    };
    let deleted = RunDeleted {
        plan: Digest::of(b"plan"),
        reason: "old".into(),
        policy_revision: 1,
        files: vec![],
        bytes: 0,
        file_move,
    };
    all.extend([
        ("the same beginning again", Forgery::new("mara", field.new, again)),
        ("a beginning of another run", Forgery::new("mara", stray(StreamType::Run), other)),
        ("an end that comes after the end", Forgery::new("mara", field.new, interrupted)),
        ("a resumption of a finished run", Forgery::new("mara", field.new, resumed(field, 2))),
        ("a resumption of a running one", Forgery::new("mara", field.open, resumed(field, 2))),
        ("an equal run of one that runs", Forgery::new("mara", field.open, reproduced.clone())),
        (
            "a run shared by somebody else",
            Forgery::new(
                "mallory",
                field.open,
                RunShared { person: "mallory".into(), allowed: true },
            ),
        ),
        ("a return from no archive", Forgery::new("mara", field.new, restored)),
        ("a running one in an archive", Forgery::new("mara", field.open, archived)),
        ("a running one without its files", Forgery::new("mara", field.open, deleted)),
        (
            "points of a run that never began",
            Forgery::new("mara", stray(StreamType::Run), points()),
        ),
        (
            "the end of a run that never began",
            Forgery::new("mara", stray(StreamType::Run), failed()),
        ),
    ]);
    all
}

fn of_promotions(field: &Field) -> Vec<Attack> {
    let (request, strange) = (field.request, RequestId([5; 16]));
    let registry = StreamId::REGISTRY;
    let (own, evil) = (weights(field, field.new), Digest::of(b"evil weights"));
    let by = |actor: &'static str, event: Event| Forgery::new(actor, registry, event);
    let rejected = |request, approver: &str| PromotionRejected {
        request,
        approver: approver.into(),
        reason: "no".into(),
    };
    let back = |name: &str, number, reason: &str| ModelRolledBack {
        name: name.into(),
        number,
        from: Some(1),
        file_move: MoveId([4; 16]),
        reason: reason.into(),
    };
    let bumped = ModelVersionBumped {
        name: "dawn".into(),
        number: 1,
        bump: Bump::Major,
        from: Semver::FIRST,
        to: Semver::FIRST,
        reason: None,
    };
    let night =
        |number, to| ModelVersionBumped { name: "night".into(), number, to, ..bumped.clone() };
    let (first, major) = (Semver::FIRST, Semver::FIRST.bumped(Bump::Major));
    let alias = |alias: &str, name: &str, number| ModelAliasSet {
        alias: alias.into(),
        name: name.into(),
        number,
        previous: None,
        reason: None,
    };
    let demoted =
        |name: &str, reason: &str| ModelDemoted { name: name.into(), reason: reason.into() };
    let repaired =
        ModelRepaired { name: "night".into(), number: 9, file_move: MoveId([4; 16]), reason: None };
    vec![
        ("an approval of nothing", by("mara", approved(field, strange, "mara"))),
        ("an approval in another's name", by("mallory", approved(field, request, "ines"))),
        ("a rejection in another's name", by("mallory", rejected(request, "ines").into())),
        ("a rejection of nothing", by("mara", rejected(strange, "mara").into())),
        (
            "a promotion that nobody requested",
            by("mara", promoted(strange, field.new, "next", own)),
        ),
        ("a promotion that nobody approved", by("mara", promoted(request, field.new, "next", own))),
        ("a promotion of another run", by("mara", promoted(request, field.open, "next", own))),
        ("a promotion under another name", by("mara", promoted(request, field.new, "night", own))),
        ("a promotion of other weights", by("mara", promoted(request, field.new, "next", evil))),
        (
            "a request for a running run",
            by("mara", requested(field, strange, field.open, "dawn", "mara")),
        ),
        (
            "a request for no run",
            by("mara", requested(field, strange, RunId([3; 16]), "dawn", "mara")),
        ),
        (
            "a second request for a run",
            by("mara", requested(field, strange, field.new, "dawn", "mara")),
        ),
        (
            "a request in another trainer's name",
            by("mara", requested(field, strange, field.old, "dawn", "ines")),
        ),
        ("an approval of something else", by("mara", approved_other(request))),
        ("a request that fixes nothing", by("mara", fixes_nothing(field))),
        ("a request that fixes other files", by("mara", fixes_other(field))),
        ("a promotion by no move", by("mara", promoted(request, field.new, "next", own))),
        ("a version number that follows from no other", by("mara", night(1, first).into())),
        ("a version number of another version", by("mara", night(7, major).into())),
        (
            "an alias that pointed elsewhere before",
            by(
                "mara",
                ModelAliasSet {
                    previous: Some(("dawn".into(), 1)),
                    ..alias("champion", "night", 1)
                }
                .into(),
            ),
        ),
        ("a demotion of what is not there", by("mara", demoted("dawn", "worse").into())),
        ("a demotion without a reason", by("mara", demoted("night", " ").into())),
        ("a return of no version", by("mara", back("night", 7, "worse").into())),
        ("a return of the present one", by("mara", back("night", 1, "worse").into())),
        ("a return of no model", by("mara", back("dawn", 1, "worse").into())),
        ("a version of no model", by("mara", bumped.into())),
        ("an alias of no version", by("mara", alias("champion", "night", 4).into())),
        ("an alias that hides a model", by("mara", alias("night", "night", 1).into())),
        ("an alias called production", by("mara", alias("production", "night", 1).into())),
        (
            "the end of no alias",
            by("mara", ModelAliasRemoved { alias: "champion".into(), reason: None }.into()),
        ),
        ("a repair of no version", by("mara", repaired.into())),
    ]
}

fn of_people_and_moves(field: &Field) -> Vec<Attack> {
    let workspace = StreamId::WORKSPACE;
    let algorithm = KeyAlgorithm::Ed25519;
    let key = |owner: &str, replaces, endorsement| KeyCreated {
        algorithm,
        public_key: PublicKey([3; 32]),
        owner: owner.into(),
        replaces,
        endorsement,
    };
    let mara = key_of(field, "mara");
    let redacted = TextRedacted { reason: "asked".into(), events: vec![], files: vec![] };
    let vouched =
        KeyVouched { key: 1, algorithm, public_key: PublicKey([3; 32]), owner: "mallory".into() };
    let created = WorkspaceCreated {
        log: annals::base::LogId([1; 16]),
        origin: "annals/other".into(),
        project: "other".into(),
        tool_version: "0".into(),
    };
    let id = MoveId([2; 16]);
    let planned = |id, from: &str, to: &str| MovePlanned {
        id,
        purpose: MovePurpose::Demotion { name: "night".into(), reason: "worse".into() },
        mode: MoveMode::Move,
        from: from.into(),
        to: to.into(),
        files: vec![MovedFile {
            path: "a".into(),
            source: "a".into(),
            digest: Digest::of(b"a"),
            sha256: None,
            bytes: 1,
        }],
    };
    let by = |event: Event| Forgery::new("mara", workspace, event);
    vec![
        ("a second key of somebody", by(key("mara", None, None).into())),
        ("a key that replaces one unasked", by(key("mara", Some(mara), None).into())),
        ("a key with a made-up endorsement", by(key("mara", Some(mara), Some([1; 64])).into())),
        (
            "a key that replaces another's",
            Forgery::new("mallory", workspace, key("mallory", Some(mara), Some([1; 64]))),
        ),
        ("a word for a key, unsigned", by(vouched.into())),
        ("a redaction, unsigned", by(redacted.into())),
        ("a name that is taken", by(ActorRegistered { name: "mara".into() }.into())),
        ("a second beginning of the log", by(created.into())),
        (
            "a move out of the workspace",
            Forgery::new("mara", id, planned(id, "models/production/night", "../../elsewhere")),
        ),
        ("a move from outside", Forgery::new("mara", id, planned(id, "/etc", "experiments/x"))),
        (
            "a plan in another's stream",
            Forgery::new("mara", MoveId([9; 16]), planned(id, "experiments/a", "experiments/b")),
        ),
        (
            "the end of a move that nobody planned",
            Forgery::new("mara", MoveId([8; 16]), MoveCompleted { recovered: false }),
        ),
        (
            "the return of a move that nobody planned",
            Forgery::new("mara", MoveId([8; 16]), MoveRolledBack { reason: "no".into() }),
        ),
    ]
}

/// Recovery finishes what a crash cut short, and believes no plan that brings other weights than
/// those of the run.
#[test]
fn a_plan_with_other_weights_is_taken_back() {
    let field = Field::new(false);
    field.ward.annals_as("ines", &["approve", "next"]).ok();
    let before = field.answers();
    let evil = b"evil weights";
    let folder = field.ward.path("models/production/next");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("model.safetensors"), evil).unwrap();
    let plan = |id| MovePlanned {
        id,
        purpose: MovePurpose::Promotion {
            request: field.request,
            run: field.new,
            name: "next".into(),
        },
        mode: MoveMode::Copy,
        from: field.started(field.new).folder,
        to: "models/production/next".into(),
        files: vec![MovedFile {
            path: "model.safetensors".into(),
            source: "checkpoints/best/model.safetensors".into(),
            digest: Digest::of(evil),
            sha256: None,
            bytes: 12,
        }],
    };
    for (actor, id) in [("mallory", MoveId([2; 16])), ("mara", MoveId([3; 16]))] {
        let forgery = Forgery { cut_short: true, ..Forgery::new(actor, id, plan(id)) };
        field.forge(&forgery);
        field.ward.annals(&["note", "open", "an honest word"]).ok();
        field.ward.annals(&["predict", "next", "x"]).refused(4, "next");
        let models = field.ward.annals(&["models", "--format", "json"]).ok().out;
        assert!(before.iter().any(|was| was.ends_with(&models)), "{models}");
    }
    std::fs::remove_dir_all(&folder).ok();
    field.ward.annals(&["promote", "new"]).ok();
    // Both were plans that somebody could make; what they would have done was refused.
    field.ward.annals(&["verify"]).ok();
    field.ward.annals(&["replay", "--check"]).ok();
}

/// One by one in one workspace: what came before must not help what comes after.
fn withstood(attacks: Vec<Attack>, field: &Field) {
    for (what, forgery) in attacks {
        println!("{what}, by {}", forgery.actor);
        field.withstands(what, &forgery);
    }
}

#[test]
fn facts_of_runs_are_their_owners_and_come_before_the_end() {
    let field = Field::new(false);
    withstood(of_runs(&field), &field);
    // Nobody can tell what else is wrong with it.
    let refused = field.ward.annals(&["promote", "new", "--as", "next"]);
    refused.refused(10, "not allowed");
    field.ward.annals(&["note", "open", "still here"]).ok();
    field.ward.annals(&["run", "log", "open", "--step", "2", "loss=0.4"]).ok();
    field
        .ward
        .annals_as("mallory", &["run", "log", "open", "--step", "3", "loss=0"])
        .refused(5, "begun by somebody else");
}

#[test]
fn nothing_comes_into_production_but_by_its_way() {
    let field = Field::new(false);
    withstood(of_promotions(&field), &field);
    field.ward.annals(&["promote", "new", "--as", "next"]).ok();
    field.ward.annals(&["why", "next"]).ok();
}

#[test]
fn people_keys_and_moves_follow_their_rules() {
    let field = Field::new(false);
    withstood(of_people_and_moves(&field), &field);
    field.ward.annals(&["demote", "night", "--reason", "worse"]).ok();
}
