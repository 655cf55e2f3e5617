//! Attacks on the record of where files are: every event about files that were moved needs a
//! completed move that was planned for exactly that.

use annals::base::{Digest, MoveId, RequestId, RunId};
use annals::domain::file_move::{
    ArchiveOrder, Migrated, MigrationOrder, MoveCompleted, MoveMode, MovePlan, MovePlanned,
    MovePurpose, MoveRolledBack, MovedFile, RemovalOrder, RestoreOrder,
};
use annals::domain::policy::PolicyState;
use annals::domain::registry::{
    Damage, DamagedFile, ModelDemoted, ModelFoundDamaged, ModelRelocated, ModelRepaired,
    ModelRolledBack,
};
use annals::domain::run::{
    Archive, Pack, PackedFiles, RunCommand, RunEvent, RunFacts, RunState, RunStream,
};
use annals::domain::workspace::LayoutKind;
use annals::domain::{Decider as _, Event, Provenance, StreamId};
use serde_json::Value;

use crate::claimed::promoted;
use crate::forger::{Field, Forgery, run_of};

/// A plan, the event that says that it was carried out, and a plan of another subject.
struct Case {
    stream: StreamId,
    plan: MovePlanned,
    event: fn(&MovePlanned) -> Event,
    other: MovePlanned,
}

fn plan(purpose: MovePurpose, from: &str, to: &str) -> MovePlanned {
    let file = MovedFile {
        path: "model.safetensors".into(),
        source: "model.safetensors".into(),
        digest: Digest::of(b"evil weights"),
        sha256: None,
        bytes: 12,
    };
    let (from, to) = (from.to_owned(), to.to_owned());
    let id = MoveId([0; 16]);
    MovePlanned { id, purpose, mode: MoveMode::Move, from, to, files: vec![file] }
}

/// The event that annals records of a run whose files a move has brought.
fn of_run(plan: &MovePlanned) -> Event {
    let pack = match &plan.purpose {
        MovePurpose::Archive(order) => order.pack,
        _ => None,
    };
    let digest = Digest::of(b"packed");
    let packed = pack.map(|pack| PackedFiles { pack, digest, sha256: None, bytes: 6 });
    let command = RunCommand::NoteMoved(Box::new(MovePlan::from(plan.clone())), packed);
    let policy = PolicyState::default();
    let facts = RunFacts::new(&policy, Provenance::Reported);
    RunStream::decide(&RunState::default(), command, &facts).unwrap().remove(0).into()
}

fn relocated(plan: &MovePlanned) -> Event {
    let name = plan.purpose.model().unwrap().to_owned();
    ModelRelocated { name, path: plan.to.clone(), file_move: plan.id }.into()
}

fn found_damaged(plan: &MovePlanned) -> Event {
    ModelFoundDamaged {
        name: plan.purpose.model().unwrap().to_owned(),
        number: 1,
        path: "models/production/night".into(),
        found: vec![DamagedFile { path: "model.safetensors".into(), damage: Damage::Missing }],
        unlisted: 0,
        kept: None,
        file_move: plan.id,
    }
    .into()
}

fn repaired(plan: &MovePlanned) -> Event {
    let name = plan.purpose.model().unwrap().to_owned();
    ModelRepaired { name, number: 1, file_move: plan.id, reason: None }.into()
}

fn demoted(plan: &MovePlanned) -> Event {
    let name = plan.purpose.model().unwrap().to_owned();
    ModelDemoted { name, reason: "worse".into() }.into()
}

fn rolled_back(plan: &MovePlanned) -> Event {
    let name = plan.purpose.model().unwrap().to_owned();
    let reason = "it erred".into();
    ModelRolledBack { name, number: 1, from: None, file_move: plan.id, reason }.into()
}

fn archiving(run: RunId, pack: Option<Pack>) -> MovePurpose {
    MovePurpose::Archive(ArchiveOrder {
        run,
        archive: Archive::Debug,
        rule: None,
        reason: "old".into(),
        policy_revision: 1,
        pack,
        dropped: vec![],
    })
}

fn of_runs(field: &Field, active: RunId, stored: RunId) -> Vec<Case> {
    let folder = |run: RunId| {
        let shown = field.ward.annals(&["show", &run.to_string(), "--format", "json"]).ok().json();
        shown["folder"].as_str().unwrap().to_owned()
    };
    let case = |run: RunId, to: &str, purpose: &dyn Fn(RunId) -> MovePurpose| Case {
        stream: run.into(),
        plan: plan(purpose(run), &folder(run), to),
        event: of_run,
        other: plan(purpose(field.old), &folder(field.old), to),
    };
    let restore = |run| {
        MovePurpose::Restore(RestoreOrder { run, reason: None, pack: None, from_blobs: vec![] })
    };
    let removal = |run| {
        let plan = Digest::of(b"plan");
        let reason = "not the best".into();
        MovePurpose::Removal(RemovalOrder { run, plan, reason, policy_revision: 1 })
    };
    let migration = |run| {
        let (layout, home) = (LayoutKind::TrainingOutput, "training/spare".into());
        let what = Migrated::Run { run, home };
        MovePurpose::Migration(MigrationOrder { layout, what })
    };
    vec![
        case(active, "experiments/archive_debug/spare", &|run| archiving(run, None)),
        case(active, "experiments/archive_debug/spare", &|run| archiving(run, Some(Pack::Zst))),
        case(stored, "experiments/stored", &restore),
        case(active, "removed", &removal),
        case(stored, "removed", &removal),
        case(active, "training/spare", &migration),
    ]
}

fn of_models(field: &Field) -> Vec<Case> {
    let night = "models/production/night";
    let case = |to: &str, event, purpose: &dyn Fn(&str) -> MovePurpose| Case {
        stream: StreamId::REGISTRY,
        plan: plan(purpose("night"), night, to),
        event,
        other: plan(purpose("dawn"), night, to),
    };
    let migration = |name: &str| {
        let (layout, name) = (LayoutKind::TrainingOutput, name.to_owned());
        MovePurpose::Migration(MigrationOrder { layout, what: Migrated::Model { name } })
    };
    let repair =
        |name: &str| MovePurpose::Repair { name: name.to_owned(), number: 1, reason: None };
    let demotion =
        |name: &str| MovePurpose::Demotion { name: name.to_owned(), reason: "worse".into() };
    let request = field.request;
    let promotion = |name: &str| MovePurpose::Promotion {
        request: if name == "night" { request } else { RequestId([5; 16]) },
        run: field.new,
        name: "next".to_owned(),
    };
    let promotion_done = |plan: &MovePlanned| {
        let MovePurpose::Promotion { request, run, name } = &plan.purpose else { panic!() };
        let Event::Registry(annals::domain::registry::RegistryEvent::Promoted(mut done)) =
            promoted(*request, *run, name, Digest::of(b"evil weights"))
        else {
            panic!("it promotes a model")
        };
        done.file_move = plan.id;
        done.into()
    };
    vec![
        case("elsewhere/night", relocated, &migration),
        case(night, found_damaged, &repair),
        case(night, repaired, &repair),
        case("blobs", demoted, &demotion),
        case("models/production/next", promotion_done, &promotion),
    ]
}

fn back_again() -> Vec<Case> {
    let rollback = |name: &str| MovePurpose::Rollback {
        name: name.to_owned(),
        number: 1,
        reason: "it erred".into(),
    };
    let to = "models/production/night";
    let case = |event| Case {
        stream: StreamId::REGISTRY,
        plan: plan(rollback("night"), "blobs", to),
        event,
        other: plan(rollback("dawn"), "blobs", to),
    };
    vec![case(rolled_back), case(relocated)]
}

/// Makes the attacks of some cases, and asserts that nothing of them is believed.
struct Attack<'f> {
    field: &'f Field,
    moves: u8,
    forged: Vec<(String, u64)>,
}

impl Attack<'_> {
    /// The same plan under an id of its own.
    fn fresh(&mut self, plan: &MovePlanned) -> MovePlanned {
        self.moves += 1;
        MovePlanned { id: MoveId([self.moves; 16]), ..plan.clone() }
    }

    /// Appends some events of a move and then an event about it.
    fn forge(&mut self, what: &str, case: &Case, told: &MovePlanned, of_move: Vec<Event>) {
        let event = (case.event)(told);
        let what = format!("{} {what}", event.kind().name());
        let mut forgery = Forgery::new("mara", case.stream, event);
        if !of_move.is_empty() {
            forgery.before = vec![(told.id.into(), of_move)];
        }
        println!("{what}");
        let at = self.field.forge(&forgery);
        self.forged.push((what, at));
    }

    fn case(&mut self, case: &Case) {
        let planned = |plan: &MovePlanned| Event::from(plan.clone());
        let completed = || Event::from(MoveCompleted { recovered: false });
        let back = || Event::from(MoveRolledBack { reason: "full".into() });

        let told = self.fresh(&case.plan);
        self.forge("without a plan", case, &told, vec![]);
        let told = self.fresh(&case.plan);
        let other = MovePlanned { id: told.id, ..case.other.clone() };
        self.forge("by the plan of another", case, &told, vec![planned(&other), completed()]);
        let told = self.fresh(&case.plan);
        let other = MovePlanned { purpose: another_purpose(&case.plan.purpose), ..told.clone() };
        self.forge("by a plan for something else", case, &told, vec![planned(&other), completed()]);
        let told = self.fresh(&case.plan);
        self.forge("by a move that was undone", case, &told, vec![planned(&told), back()]);
        let told = self.fresh(&case.plan);
        self.forge("before the plan", case, &told, vec![]);
        let events = vec![planned(&told), completed()];
        self.field.forge(&Forgery { events, ..Forgery::new("mara", told.id, completed()) });
    }

    fn withstood(&self, before: &[String]) {
        let verified = self.field.ward.annals(&["verify", "--format", "json"]);
        assert_eq!(verified.code, 10, "{}", verified.err);
        let findings = verified.json()["findings"].as_array().unwrap().clone();
        for (what, at) in &self.forged {
            let named = findings.iter().any(|finding| {
                finding["position"] == *at
                    && finding["what"].as_str().unwrap().contains("not allowed")
            });
            assert!(named, "{what} at {at}: {findings:#?}");
        }
        for (was, is) in before.iter().zip(self.field.answers()) {
            assert_eq!(without_moves(was), without_moves(&is));
        }
    }
}

/// Another purpose about the same run or model.
fn another_purpose(purpose: &MovePurpose) -> MovePurpose {
    match purpose {
        MovePurpose::Archive(order) => {
            let (run, reason) = (order.run, None);
            MovePurpose::Restore(RestoreOrder { run, reason, pack: None, from_blobs: vec![] })
        }
        MovePurpose::Restore(RestoreOrder { run, .. })
        | MovePurpose::Removal(RemovalOrder { run, .. })
        | MovePurpose::Migration(MigrationOrder { what: Migrated::Run { run, .. }, .. }) => {
            archiving(*run, None)
        }
        MovePurpose::Repair { name, .. } => {
            let (layout, name) = (LayoutKind::TrainingOutput, name.clone());
            MovePurpose::Migration(MigrationOrder { layout, what: Migrated::Model { name } })
        }
        MovePurpose::Promotion { name, .. }
        | MovePurpose::Demotion { name, .. }
        | MovePurpose::Rollback { name, .. }
        | MovePurpose::Migration(MigrationOrder { what: Migrated::Model { name }, .. }) => {
            MovePurpose::Repair { name: name.clone(), number: 1, reason: None }
        }
    }
}

/// An answer without the moves themselves, which anybody may plan under a name that is claimed.
fn without_moves(answer: &str) -> Value {
    let Ok(mut answer) = serde_json::from_str::<Value>(answer) else { return answer.into() };
    if let Value::Array(rows) = &mut answer {
        rows.retain(|row| !row["kind"].as_str().is_some_and(|kind| kind.starts_with("move.")));
    }
    answer
}

/// What an honest verb recorded cannot be used again.
fn again(field: &Field, run: RunId) -> Vec<Forgery> {
    let moved = field
        .events(run)
        .into_iter()
        .filter(|event| matches!(event, Event::Run(RunEvent::Archived(_) | RunEvent::Restored(_))));
    moved.map(|event| Forgery::new("mara", run, event)).collect()
}

fn attacked(strict: bool) {
    let field = Field::with_moves(strict);
    let (active, stored) = (run_of(&field.ward, "spare"), run_of(&field.ward, "stored"));
    let told: Vec<Forgery> = [active, stored].map(|run| again(&field, run)).concat();
    let before = field.answers();
    let mut attack = Attack { field: &field, moves: 20, forged: vec![] };
    for case in of_runs(&field, active, stored).iter().chain(&of_models(&field)) {
        attack.case(case);
    }
    for forgery in told {
        let what = format!("{} once more", forgery.events[0].kind().name());
        attack.forged.push((what, field.forge(&forgery)));
    }
    attack.withstood(&before);

    field.ward.annals(&["demote", "night", "--reason", "worse"]).ok();
    let before = field.answers();
    for case in &back_again() {
        attack.case(case);
    }
    attack.withstood(&before);
    // Honest verbs go on, and what they record is allowed.
    let found = || {
        let verified = field.ward.annals(&["verify", "--format", "json"]).json();
        verified["findings"].as_array().unwrap().len()
    };
    let known = found();
    field.ward.annals(&["rollback", "night", "--reason", "it erred"]).ok();
    assert_eq!(found(), known);
}

#[test]
fn files_are_where_a_move_that_was_planned_for_that_brought_them() {
    attacked(false);
}

#[test]
fn files_are_where_a_planned_move_brought_them_where_decisions_are_signed() {
    attacked(true);
}
