//! Attacks on a workspace where decisions are signed, by somebody without a key that counts.

use annals::domain::policy::PolicyEvent;
use annals::domain::registry::{ModelAliasSet, ModelDemoted};
use annals::domain::run::{RunNoted, RunRenamed, RunShared, RunTagged};
use annals::domain::{Event, Provenance, StreamId};

use crate::claimed::{approved, artifact, finished, points, promoted, weights};
use crate::forger::{Field, Forgery, key_of};

/// The rules as they are, but loose.
fn loosened(field: &Field) -> Event {
    let changed = field.events(StreamId::POLICY).into_iter().rev().find_map(|event| match event {
        Event::Policy(PolicyEvent::Changed(changed)) => Some(changed),
        _ => None,
    });
    let mut changed = changed.unwrap();
    changed.policy.production_promotion.approvals_signed = false;
    changed.policy.production_promotion.require_manual_approval = false;
    changed.into()
}

fn shared(person: &str) -> Event {
    RunShared { person: person.into(), allowed: true }.into()
}

/// Signatures that are not their author's, where nothing has to be signed: such an event counts as
/// little as one in another's name.
fn badly_signed(field: &Field) -> Vec<(&'static str, Forgery)> {
    let with = |actor, event: Event, key| {
        let key = Some((key, [42; 32]));
        Forgery { key, ..Forgery::new(actor, field.open, event) }
    };
    let (mara, note) = (key_of(field, "mara"), |text: &str| RunNoted { text: text.into() }.into());
    vec![
        ("a note that mara did not sign", with("mara", note("it is fine"), mara)),
        ("a note by mallory with the key of mara", with("mallory", note("it is fine"), mara)),
        ("a note signed with an event that is no key", with("mara", note("it is fine"), 1)),
        ("a name that mara did not sign", with("mara", renamed(), mara)),
        ("a tag that mara did not sign", with("mara", tagged(), mara)),
        ("a run shared by mara, who did not sign that", with("mara", shared("mallory"), mara)),
        ("a file that mara did not sign", with("mara", artifact("weights"), mara)),
        ("an end that mara did not sign", with("mara", finished(0.99), mara)),
    ]
}

fn renamed() -> Event {
    RunRenamed { old: "open".into(), new: "shut".into() }.into()
}

fn tagged() -> Event {
    RunTagged { added: vec!["good".into()], removed: vec![] }.into()
}

#[test]
fn a_false_signature_is_worth_nothing() {
    let field = Field::new(false);
    for (what, forgery) in badly_signed(&field) {
        println!("{what}, by {}", forgery.actor);
        field.withstands(what, &forgery);
    }
}

fn attacks(field: &Field) -> Vec<(&'static str, Forgery)> {
    let registry = StreamId::REGISTRY;
    let by = |actor: &'static str, event: Event| Forgery::new(actor, registry, event);
    let demoted: Event = ModelDemoted { name: "night".into(), reason: "worse".into() }.into();
    let alias: Event = ModelAliasSet {
        alias: "champion".into(),
        name: "night".into(),
        number: 1,
        previous: None,
        reason: None,
    }
    .into();
    let with_key = |forgery: Forgery, owner: &str| {
        // The key that the log has for the name, and a signature by another one.
        Forgery { key: Some((key_of(field, owner), [42; 32])), ..forgery }
    };
    let own = weights(field, field.new);
    let recorded = |provenance, event| {
        let forgery = Forgery::new("mara", field.open, event);
        Forgery { provenance, ..forgery }
    };
    vec![
        ("points of a signed run, as by an engine", recorded(Provenance::Engine, points())),
        ("points of a signed run, as by a script", recorded(Provenance::Supervised, points())),
        ("points of a signed run, unsigned", recorded(Provenance::Reported, points())),
        (
            "points of a signed run, badly signed",
            with_key(recorded(Provenance::Engine, points()), "mara"),
        ),
        ("weaker rules", Forgery::new("mara", StreamId::POLICY, loosened(field))),
        (
            "weaker rules, badly signed",
            with_key(Forgery::new("mara", StreamId::POLICY, loosened(field)), "mara"),
        ),
        ("an approval, unsigned", by("bob", approved(field, field.request, "bob"))),
        (
            "an approval, badly signed",
            with_key(by("bob", approved(field, field.request, "bob")), "bob"),
        ),
        (
            "an approval with another's key",
            with_key(by("bob", approved(field, field.request, "bob")), "mara"),
        ),
        ("a promotion, unsigned", by("mara", promoted(field.request, field.new, "next", own))),
        ("a demotion, unsigned", by("mara", demoted.clone())),
        ("a demotion, badly signed", with_key(by("mara", demoted), "mara")),
        ("a signed run shared, unsigned", Forgery::new("mara", field.open, shared("mallory"))),
        ("an alias, unsigned", by("mara", alias.clone())),
        ("an alias, badly signed", with_key(by("mara", alias), "mara")),
        ("a file of a signed run, unsigned", Forgery::new("mara", field.open, artifact("weights"))),
        (
            "a file of a signed run, as by an engine",
            recorded(Provenance::Engine, artifact("weights")),
        ),
        (
            "a file of a signed run, badly signed",
            with_key(Forgery::new("mara", field.open, artifact("weights")), "mara"),
        ),
        ("the end of a signed run, unsigned", Forgery::new("mara", field.open, finished(0.99))),
        (
            "the end of a signed run, badly signed",
            with_key(Forgery::new("mara", field.open, finished(0.99)), "mara"),
        ),
    ]
}

#[test]
fn whoever_has_no_key_that_counts_decides_nothing() {
    let field = Field::new(true);
    for (what, forgery) in attacks(&field) {
        println!("{what}, by {}", forgery.actor);
        field.withstands(what, &forgery);
    }
    let refused = |args: &[&str]| field.ward.annals_as("mallory", args).refused(5, "has no key");
    refused(&["demote", "night", "--reason", "worse"]);
    refused(&["alias", "set", "champion", "night"]);
    let loosen = ["policy", "set", "production_promotion.approvals_signed", "false"];
    field.ward.annals_as("mallory", &loosen).refused(5, "have no key here that counts");
    field.ward.annals_as("bob", &["approve", "next"]).ok();
    field.ward.annals(&["promote", "new", "--as", "next"]).ok();
    let why = field.ward.annals(&["why", "next"]).ok().out;
    assert!(why.contains("bob"), "{why}");
}
