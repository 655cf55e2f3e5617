//! People with keys: added, vouched for, asked to sign, replaced.

use crate::support::Workspace;
use crate::walk::every_step;

fn key_of(ward: &Workspace, name: &str) -> serde_json::Value {
    let all = ward.annals(&["actor", "list", "--format", "json"]).ok().json();
    let mut of_name = all.as_array().unwrap().iter().filter(|line| line["name"] == name);
    of_name.next_back().unwrap().clone()
}

#[test]
fn approvals_are_signed_when_the_policy_says_so() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    ward.allow_synthetic();
    ward.annals(&["policy", "set", "production_promotion.approvals_signed", "true"]).ok();
    ward.annals(&["policy", "set", "production_promotion.trainer_may_approve", "false"]).ok();
    ward.annals(&["promote", "notes", "--request", "--as", "night"]).ok();
    ward.annals_as("ines", &["approve", "night"]).refused(5, "ines has no key here");

    let made = ward.annals_as("ines", &["actor", "add", "ines"]).ok();
    assert!(made.err.contains("until then the name is only claimed"), "{}", made.err);
    ward.annals_as("ines", &["actor", "add", "ines"]).refused(6, "exists already");
    ward.annals_as("ines", &["approve", "night"]).refused(5, "the key of ines is not vouched for");
    ward.annals_as("ines", &["actor", "vouch", "ines"]).refused(5, "nothing would be signed");
    ward.annals_as("otto", &["actor", "vouch", "ines"]).refused(5, "nothing would be signed");
    ward.annals(&["actor", "vouch", "nobody"]).refused(4, "nobody has no signing key");
    ward.annals(&["actor", "vouch", "ines"]).ok();
    assert_eq!(key_of(&ward, "ines")["vouched_by"], "mara");
    assert_eq!(key_of(&ward, "otto")["key"], serde_json::Value::Null);

    let approved = ward.annals_as("ines", &["approve", "night"]).ok().out;
    assert!(approved.contains("1 of 1 approval: ines (signed)"), "{approved}");
    ward.annals(&["promote", "notes"]).ok();
    let shown = ward.annals(&["show", "night"]).ok().out;
    assert!(shown.contains("approved by ines (signed)"), "{shown}");
    let registry: serde_json::Value =
        serde_json::from_slice(&ward.read("models_registry_consolidated.json")).unwrap();
    let text = registry.to_string();
    assert!(text.contains("ines (signed)") && text.contains("mara (signed)"), "{text}");
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn a_run_started_by_a_claimed_name_cannot_be_told_from_its_approver() {
    let ward = Workspace::new();
    ward.annals_as(
        "otto",
        &["train", "--config", "toy", "--name", "notes", "--category", "baseline"],
    )
    .ok();
    ward.allow_synthetic();
    ward.annals(&["policy", "set", "production_promotion.trainer_may_approve", "false"]).ok();
    ward.annals(&["policy", "set", "production_promotion.approvals_signed", "true"]).ok();
    ward.annals(&["promote", "notes"]).refused(5, "is only claimed (otto)");
    ward.annals(&["policy", "set", "production_promotion.approvals_signed", "false"]).ok();
    let asked = ward.annals(&["candidates"]).ok().err;
    assert!(asked.contains("who that is rests on claims"), "{asked}");
    ward.annals(&["promote", "notes"]).ok();
}

#[test]
fn a_key_is_replaced_by_one_that_it_signed() {
    let ward = Workspace::new();
    let pinned = ward.annals(&["checkpoint", "show", "--format", "json"]).ok().json();
    let pinned = pinned["key"].as_str().unwrap();
    let first = key_of(&ward, "mara")["key"].clone();
    ward.annals_as("ines", &["actor", "rotate"]).refused(4, "no private key of ines");
    ward.annals(&["actor", "rotate"]).ok();
    let second = key_of(&ward, "mara");
    assert_ne!(second["key"], first);
    assert_eq!(second["vouched_by"], "mara");
    ward.allow_synthetic();
    ward.annals(&["actor", "add", "ines"]).ok();
    ward.annals_as("ines", &["policy", "set", "production_promotion.approvals", "2"]).ok();
    let changed = ward.annals(&["log", "--kind", "policy.changed", "--format", "json"]).ok().json();
    assert!(changed.as_array().unwrap().iter().take(2).all(|line| line["identity"] == "signed"));
    // The old key vouches for the new one, and the new one for that of ines: the pin still holds.
    let verified = ward.annals(&["verify", "--key", pinned]).ok();
    assert!(verified.err.contains("signed with their actor's own key"), "{}", verified.err);

    // A key that nobody with a key vouched for signs no log checkpoint that a pin would accept.
    ward.annals_as("otto", &["actor", "add", "otto"]).ok();
    ward.annals_as("otto", &["policy", "set", "production_promotion.approvals", "3"]).ok();
    ward.annals(&["verify"]).ok();
    ward.annals(&["verify", "--key", pinned]).refused(10, "finding");
    ward.annals(&["actor", "vouch", "otto"]).ok();
    ward.annals(&["verify", "--key", pinned]).ok();
}

#[test]
fn decisions_of_people_are_killed_at_every_step() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    ward.allow_synthetic();
    every_step(&ward, &["actor", "add", "ines"]);
    every_step(&ward, &["actor", "rotate"]);
    ward.annals_as("ines", &["actor", "add", "ines"]).ok();
    every_step(&ward, &["actor", "vouch", "ines"]);
    ward.annals_as("ines", &["promote", "notes", "--request", "--as", "night"]).ok();
    every_step(&ward, &["approve", "night"]);
    every_step(&ward, &["reject", "night", "--reason", "no"]);
    ward.annals(&["promote", "notes", "--as", "night"]).ok();
    every_step(&ward, &["alias", "set", "champion", "night"]);
    every_step(&ward, &["version", "bump", "minor", "night"]);
}
