use std::collections::BTreeSet;

use super::decide::decide;
use super::*;
use crate::base::{Digest, MoveId, RequestId, RunId};
use crate::domain::policy::Policy;
use crate::domain::run::{Artifact, RunState, RunStatus};
use crate::domain::{Fold as _, Rejection};

const FIRST: RequestId = RequestId([1; 16]);
/// Position of a key that somebody vouched for.
const VOUCHED: u64 = 40;
const SECOND: RequestId = RequestId([2; 16]);

/// A policy that asks nothing of the run, so that these tests are about people and names.
fn lenient() -> Policy {
    let mut policy = Policy::default();
    let rules = &mut policy.production_promotion;
    rules.min_accuracy_threshold = 0.0;
    rules.min_test_rows = 0;
    policy
}

fn run() -> RunState {
    use crate::base::{Direction, Split};
    use crate::domain::metric::{ClassScore, Evaluation, FinalMetric, MetricKey};
    let metric = |name: &str| {
        let (split, direction) = (Some(Split::Test), Direction::Higher);
        FinalMetric { key: MetricKey { name: name.into(), split, direction }, value: 0.9 }
    };
    let weights = Artifact { path: None, digest: Digest([1; 32]), sha256: None, bytes: 9 };
    let class = ClassScore { label: "x".into(), precision: 0.9, recall: 0.9, f1: 0.9, support: 10 };
    RunState {
        id: Some(RunId([7; 16])),
        experiment_id: "hate_1".into(),
        status: RunStatus::Finished,
        artifacts: [("weights".to_owned(), weights)].into(),
        provenance: Some(crate::domain::Provenance::Engine),
        metrics: vec![metric("accuracy"), metric("f1_macro")],
        evaluations: vec![Evaluation {
            split: Split::Test,
            rows: 10,
            classes: vec![class],
            confusion: vec![],
        }],
        ..RunState::default()
    }
}

#[derive(Clone)]
struct Table {
    state: RegistryState,
    policy: Policy,
    run: RunState,
    promotion_revision: u64,
    trainer_signed: bool,
    key: Option<u64>,
}

impl Table {
    fn new(policy: Policy) -> Self {
        Self {
            state: RegistryState::default(),
            policy,
            run: run(),
            promotion_revision: 3,
            trainer_signed: true,
            key: None,
        }
    }

    fn ask(&mut self, actor: &str, command: RegistryCommand) -> Result<(), Rejection> {
        let facts = RegistryFacts {
            policy: &self.policy,
            policy_revision: 3,
            promotion_revision: self.promotion_revision,
            originals: &Originals::new(),
            actor,
            run: &self.run,
            trainer: "mara",
            trainer_signed: self.trainer_signed,
            key: self.key,
            vouched: &BTreeSet::from([VOUCHED]),
        };
        let events = decide(&self.state, command, &facts)?;
        events.iter().for_each(|event| self.state.evolve_from(event, self.key));
        Ok(())
    }
}

fn request(request: RequestId, name: &str) -> RegistryCommand {
    let (reason, replace) = (None, false);
    let (intended_use, limits, name) = (None, None, name.into());
    RegistryCommand::Request { request, name, reason, intended_use, limits, replace }
}

fn grant() -> RegistryCommand {
    RegistryCommand::Grant { request: FIRST, replace: false }
}

fn approve(request: RequestId) -> RegistryCommand {
    RegistryCommand::Approve { request, reason: None }
}

fn promote(request: RequestId) -> RegistryCommand {
    let path = "models/production/hate_v1".into();
    let weights = PromotedFile {
        path: "model.safetensors".into(),
        digest: Digest([1; 32]),
        sha256: None,
        bytes: 9,
    };
    RegistryCommand::Promote { request, path, files: vec![weights], file_move: MoveId([3; 16]) }
}

fn unknown(what: &'static str, name: &str) -> Rejection {
    Rejection::Unknown { what, name: name.into() }
}

/// The refusal of a decision about the first request, which ended so.
fn closed(status: RequestStatus) -> Rejection {
    Rejection::WrongState {
        what: format!("promotion request {}", FIRST.short(8)),
        state: status.word().into(),
        wanted: "only an open one can be decided".into(),
    }
}

/// Somebody else must do it, or first: `begin` begins the message.
#[track_caller]
fn not_allowed(outcome: &Result<(), Rejection>, begin: &str) {
    let is_so = matches!(outcome, Err(Rejection::NotAllowed(text)) if text.starts_with(begin));
    assert!(is_so, "{begin:?} expected, found {outcome:?}");
}

#[test]
fn asked_approved_promoted_demoted() {
    let mut table = Table::new(lenient());
    table.ask("mara", request(FIRST, "hate_v1")).unwrap();
    not_allowed(&table.ask("mara", promote(FIRST)), "0 of 1 approvals were given");
    table.ask("ines", approve(FIRST)).unwrap();
    not_allowed(&table.ask("ines", approve(FIRST)), "ines has approved this already");
    table.ask("mara", promote(FIRST)).unwrap();
    assert_eq!(table.ask("mara", promote(FIRST)), Err(closed(RequestStatus::Granted)), "twice");
    let taken = Rejection::Exists { what: "production model", name: "hate_v1".into() };
    assert_eq!(table.ask("mara", request(SECOND, "hate_v1")), Err(taken));
    let demote = RegistryCommand::Demote { name: "hate_v1".into(), reason: "worse".into() };
    table.ask("mara", demote.clone()).unwrap();
    assert_eq!(table.ask("mara", demote), Err(unknown("production model", "hate_v1")));
    table.ask("mara", request(SECOND, "hate_v1")).unwrap();
}

#[test]
fn duties_are_separated_when_the_policy_says_so() {
    let mut policy = lenient();
    policy.production_promotion.trainer_may_approve = false;
    policy.production_promotion.approvals = 2;
    let mut table = Table::new(policy);
    table.ask("mara", request(FIRST, "hate_v1")).unwrap();
    not_allowed(&table.ask("mara", approve(FIRST)), "mara trained this run");
    table.ask("ines", approve(FIRST)).unwrap();
    not_allowed(&table.ask("mara", grant()), "1 of 2 approvals were given");
    table.ask("otto", approve(FIRST)).unwrap();
    table.ask("mara", grant()).unwrap();
}

#[test]
fn signed_approvals_are_signed_with_a_key_that_counts() {
    let mut policy = lenient();
    policy.production_promotion.trainer_may_approve = false;
    let mut table = Table::new(policy);
    table.ask("mara", request(FIRST, "hate_v1")).unwrap();
    table.ask("otto", approve(FIRST)).unwrap();
    table.ask("mara", grant()).unwrap();
    table.policy.production_promotion.approvals_signed = true;
    // What was only claimed before does not count any more.
    let refused = table.ask("mara", grant()).unwrap_err();
    assert!(refused.to_string().contains("0 of 1 approvals were given, and 1 that do not count"));
    let refused = table.ask("ines", approve(FIRST)).unwrap_err();
    assert!(refused.to_string().contains("ines has no key here"), "{refused}");
    table.key = Some(41);
    let refused = table.ask("ines", approve(FIRST)).unwrap_err();
    assert!(refused.to_string().contains("the key of ines is not vouched for"), "{refused}");
    table.key = Some(VOUCHED);
    table.ask("ines", approve(FIRST)).unwrap();
    table.trainer_signed = false;
    let refused = table.ask("mara", grant()).unwrap_err();
    assert!(refused.to_string().contains("only claimed (mara)"), "{refused}");
    table.trainer_signed = true;
    table.ask("mara", grant()).unwrap();
}

#[test]
fn a_rejection_needs_a_reason_and_closes_the_request() {
    let mut table = Table::new(lenient());
    table.ask("mara", request(FIRST, "hate_v1")).unwrap();
    let reject = |reason: &str| RegistryCommand::Reject { request: FIRST, reason: reason.into() };
    let without =
        Rejection::Invalid { what: "the rejection".into(), reason: "a reason is needed".into() };
    assert_eq!(table.ask("ines", reject(" ")), Err(without));
    table.ask("ines", reject("too small")).unwrap();
    assert_eq!(table.ask("otto", approve(FIRST)), Err(closed(RequestStatus::Rejected)));
    assert_eq!(table.ask("mara", promote(FIRST)), Err(closed(RequestStatus::Rejected)));
}

#[test]
fn rules_are_judged_again_when_the_files_are_to_move() {
    let mut table = Table::new(lenient());
    table.ask("mara", request(FIRST, "hate_v1")).unwrap();
    table.ask("ines", approve(FIRST)).unwrap();
    table.policy.production_promotion.min_accuracy_threshold = 0.95;
    let refused = table.ask("mara", grant()).unwrap_err();
    let Rejection::Rules { what, policy_revision, failed } = refused else { panic!("{refused}") };
    assert_eq!((what.as_str(), policy_revision), ("run hate_1", 3));
    let rules: Vec<&str> = failed.iter().map(|rule| &*rule.rule).collect();
    assert_eq!(rules, ["min_accuracy_threshold"]);
}

#[test]
fn unfinished_runs_and_bad_names_are_refused() {
    for status in [RunStatus::Running, RunStatus::Failed, RunStatus::Interrupted] {
        let mut table = Table::new(lenient());
        table.run.status = status;
        let refused = table.ask("mara", request(FIRST, "hate_v1")).unwrap_err();
        assert!(refused.to_string().contains(status.word()), "{refused}");
    }
    for name in ["", "../x", "a/b", ".hidden"] {
        let refused = Table::new(lenient()).ask("mara", request(FIRST, name));
        let is_invalid = matches!(&refused, Err(Rejection::Invalid { .. }));
        assert!(is_invalid, "{name:?}: {refused:?}");
    }
    let mut unknown = Table::new(lenient());
    unknown.run.id = None;
    assert!(matches!(
        unknown.ask("mara", request(FIRST, "hate_v1")),
        Err(Rejection::Unknown { what: "run", .. })
    ));
}

#[test]
fn a_run_has_one_open_request() {
    let mut table = Table::new(lenient());
    table.ask("mara", request(FIRST, "hate_v1")).unwrap();
    let open = "open promotion request of this run, as";
    let exists = Rejection::Exists { what: open, name: "hate_v1".into() };
    assert_eq!(table.ask("mara", request(SECOND, "hate_v2")), Err(exists));
}

/// A run in production under a name.
fn put(table: &mut Table, request: RequestId, run: u8, replace: bool) -> Result<(), Rejection> {
    table.run.id = Some(RunId([run; 16]));
    let (name, reason) = ("hate".to_owned(), None);
    let (intended_use, limits) = (None, None);
    let ask = RegistryCommand::Request { request, name, reason, intended_use, limits, replace };
    table.ask("mara", ask)?;
    table.ask("ines", approve(request))?;
    table.ask("mara", RegistryCommand::Grant { request, replace })?;
    table.ask("mara", promote(request))
}

fn back(number: u32) -> RegistryCommand {
    let (name, reason) = ("hate".into(), "it erred".into());
    RegistryCommand::RollBack { name, number, file_move: MoveId([4; 16]), reason }
}

#[test]
fn versions_are_counted_replaced_and_brought_back() {
    let mut table = Table::new(lenient());
    put(&mut table, FIRST, 1, false).unwrap();
    let taken = Rejection::Exists { what: "production model", name: "hate".into() };
    assert_eq!(put(&mut table, SECOND, 2, false), Err(taken), "without being asked to replace");
    let itself = put(&mut table, SECOND, 1, true);
    assert!(matches!(itself, Err(Rejection::WrongState { .. })), "by itself: {itself:?}");
    put(&mut table, SECOND, 2, true).unwrap();
    let called = |table: &Table| -> Vec<String> {
        table.state.versions("hate").iter().map(|v| v.version().to_string()).collect()
    };
    assert_eq!(called(&table), ["1.0.0", "1.1.0"]);
    assert_eq!((table.state.production["hate"].number, table.state.earlier("hate")), (2, Some(1)));
    let present = Rejection::WrongState {
        what: "version 2 of hate".into(),
        state: "in production".into(),
        wanted: "only another one can come back".into(),
    };
    assert_eq!(table.ask("mara", back(2)), Err(present));
    assert_eq!(table.ask("mara", back(3)), Err(unknown("version", "3 of hate")));
    table.ask("mara", back(1)).unwrap();
    assert_eq!((table.state.production["hate"].number, table.state.earlier("hate")), (1, Some(2)));
    let bump = |bump| RegistryCommand::BumpVersion { name: "hate".into(), bump, reason: None };
    table.ask("mara", bump(Bump::Patch)).unwrap();
    assert_eq!(called(&table), ["1.1.1", "1.1.0"], "counted on from the highest");
    table.ask("mara", bump(Bump::Major)).unwrap();
    assert_eq!(called(&table), ["2.0.0", "1.1.0"]);
    for (text, number) in [("1", 1), ("v2", 2), ("1.0.0", 1), ("1.1.1", 1), ("1.1.0", 2)] {
        let found = named_version(table.state.versions("hate"), text).unwrap();
        assert_eq!(found.number, number, "{text}");
    }
    for text in ["3", "1.2.0", "", "v", "1.1", "1.1.0.0", "latest"] {
        assert_eq!(named_version(table.state.versions("hate"), text), None, "{text}");
    }
    let demote = RegistryCommand::Demote { name: "hate".into(), reason: "worse".into() };
    table.ask("mara", demote).unwrap();
    assert_eq!(table.state.earlier("hate"), Some(1));
    assert_eq!(table.ask("mara", bump(Bump::Minor)), Err(unknown("production model", "hate")));
    table.ask("mara", back(1)).unwrap();
    assert_eq!(table.state.production["hate"].number, 1);
}

#[test]
fn aliases_point_at_versions_and_hide_no_model() {
    let mut table = Table::new(lenient());
    put(&mut table, FIRST, 1, false).unwrap();
    let set = |alias: &str, number| RegistryCommand::SetAlias {
        alias: alias.into(),
        name: "hate".into(),
        number,
        reason: None,
    };
    for alias in ["", "../x", "production"] {
        let refused = table.ask("mara", set(alias, 1));
        assert!(
            matches!(&refused, Err(Rejection::Invalid { what, .. }) if what == "the alias"),
            "{alias:?}: {refused:?}"
        );
    }
    let hidden = Rejection::Exists { what: "production name", name: "hate".into() };
    assert_eq!(table.ask("mara", set("hate", 1)), Err(hidden));
    assert_eq!(table.ask("mara", set("champion", 2)), Err(unknown("version", "2 of hate")));
    table.ask("mara", set("champion", 1)).unwrap();
    assert_eq!(table.state.aliases["champion"], ("hate".to_owned(), 1));
    let taken = table.ask("mara", request(SECOND, "champion")).unwrap_err();
    assert!(taken.to_string().contains("alias \"champion\" exists"), "{taken}");
    let remove = RegistryCommand::RemoveAlias { alias: "champion".into(), reason: None };
    table.ask("mara", remove.clone()).unwrap();
    assert_eq!(table.ask("mara", remove), Err(unknown("alias", "champion")));
}

/// One random request: who asks, of which request, about which name.
fn any_command() -> impl proptest::strategy::Strategy<Value = (usize, RegistryCommand)> {
    use proptest::prelude::*;
    (0_usize..4, 0_usize..3, 0_u8..4, 0_usize..4).prop_map(|(what, actor, id, name)| {
        let id = RequestId([id; 16]);
        let name = ["hate_v1", "hate_v2", "../x", ""][name];
        let command = match what {
            0 => request(id, name),
            1 => approve(id),
            2 => promote(id),
            _ if name.is_empty() => RegistryCommand::Reject { request: id, reason: "no".into() },
            _ => RegistryCommand::Demote { name: name.into(), reason: "worse".into() },
        };
        (actor, command)
    })
}

proptest::proptest! {
    /// DOM-1: whatever is asked in whatever order, the same question gets the same answer, a
    /// refusal changes nothing, and the rules hold in every state that can be reached.
    #[test]
    fn dom_1_random_histories_keep_the_rules(
        commands in proptest::collection::vec(any_command(), 0..60),
    ) {
        let mut policy = lenient();
        policy.production_promotion.trainer_may_approve = false;
        let mut table = Table::new(policy);
        let mut history: Vec<RegistryEvent> = Vec::new();
        for (actor, command) in commands {
            let actor = ["mara", "ines", "otto"][actor];
            let (policy, run, policy_revision, trainer) = (&table.policy, &table.run, 3, "mara");
            let (trainer_signed, key, vouched) = (true, None, &BTreeSet::new());
            let originals = &Originals::new();
            let facts = RegistryFacts {
                policy,
                policy_revision,
                promotion_revision: policy_revision,
                originals,
                actor,
                run,
                trainer,
                trainer_signed,
                key,
                vouched,
            };
            let answer = decide(&table.state, command.clone(), &facts);
            proptest::prop_assert_eq!(&answer, &decide(&table.state, command, &facts));
            for event in answer.unwrap_or_default() {
                table.state.evolve(&event);
                history.push(event);
            }
            for (name, model) in &table.state.production {
                let granted = &table.state.requests[&model.request];
                proptest::prop_assert_eq!(&granted.requested.name, name);
                proptest::prop_assert!(!granted.approvals.is_empty());
                proptest::prop_assert!(granted.approvals.iter().all(|a| a.approver != "mara"));
            }
        }
        let mut folded = RegistryState::default();
        history.iter().for_each(|event| folded.evolve(event));
        proptest::prop_assert_eq!(folded, table.state);
    }
}

/// What changes, how, and whether an approval from before counts all the same.
type Change = (&'static str, fn(&mut Table), bool);

/// Whatever a promotion rests on: when it changes, what was approved before counts no more.
#[test]
fn an_approval_covers_what_was_there() {
    let changes: [Change; 7] = [
        ("nothing", |_| {}, true),
        ("the rules about promotions", |table| table.promotion_revision = 4, false),
        ("the weights", |table| file(table, "weights", 2), false),
        ("another file", |table| file(table, "vocab", 2), false),
        ("a file less", |table| drop(table.run.artifacts.remove("labels")), false),
        ("the scores", |table| table.run.metrics[0].value = 0.91, false),
        ("the rows", |table| table.run.data = Some(Digest([8; 32])), false),
    ];
    for (what, change, counts) in changes {
        let mut table = Table::new(lenient());
        file(&mut table, "labels", 5);
        table.ask("mara", request(FIRST, "hate_v1")).unwrap();
        table.ask("ines", approve(FIRST)).unwrap();
        change(&mut table);
        let granted = table.ask("mara", grant());
        assert_eq!(granted.is_ok(), counts, "{what}: {granted:?}");
        if counts {
            continue;
        }
        let refused = granted.unwrap_err().to_string();
        assert!(refused.contains("1 that do not count (ines approved before"), "{what}: {refused}");
        let again = table.ask("ines", approve(FIRST));
        if table.promotion_revision == 4 {
            again.unwrap();
            table.ask("mara", grant()).unwrap();
        } else {
            let refused = again.unwrap_err().to_string();
            assert!(refused.contains("is not as it was when the promotion"), "{what}: {refused}");
        }
    }
}

fn file(table: &mut Table, name: &str, byte: u8) {
    let file = Artifact { path: None, digest: Digest([byte; 32]), sha256: None, bytes: 9 };
    table.run.artifacts.insert(name.into(), file);
}

#[test]
fn what_is_promoted_is_of_the_run_or_a_paper_of_annals() {
    let with = |path: &str, byte: u8| {
        let RegistryCommand::Promote { request, path: folder, mut files, file_move } =
            promote(FIRST)
        else {
            panic!("it promotes")
        };
        let digest = Digest([byte; 32]);
        files.push(PromotedFile { path: path.into(), digest, sha256: None, bytes: 9 });
        RegistryCommand::Promote { request, path: folder, files, file_move }
    };
    let mut table = Table::new(lenient());
    file(&mut table, "labels", 5);
    table.ask("mara", request(FIRST, "hate_v1")).unwrap();
    table.ask("ines", approve(FIRST)).unwrap();
    not_allowed(&table.ask("mara", with("run.sh", 9)), "the file run.sh for production is none of");
    table.clone().ask("mara", with("labels.txt", 5)).unwrap();
    table.ask("mara", with("README.md", 9)).unwrap();
}
