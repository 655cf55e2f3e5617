//! The rules: shown, set, edited, compared, and kept for ever.

use crate::support::Workspace;
use crate::walk::{agree, every_step};

/// Edits the policy with a `sed` expression as the editor.
fn edit(ward: &Workspace, expression: &str, more: &[&str]) -> crate::support::Answer {
    let editor = format!("sed -i '{expression}'");
    ward.annals_with(&[("EDITOR", &editor)], &[&["policy", "edit"][..], more].concat())
}

/// In the old tools the rules stood in the registry file, half of them were never read, and
/// nothing said which of them had judged a run.
#[test]
fn every_change_of_a_rule_is_kept_with_who_and_why() {
    let ward = Workspace::new();
    let set = ["policy", "set", "production_promotion.approvals", "2", "--reason", "four eyes"];
    ward.annals_as("ines", &set).ok();
    let edited = edit(&ward, "s/: 0.55/: 0.6/; s/: 7/: 14/", &["--reason", "stricter"]).ok();
    assert!(edited.out.contains("failed_experiments.archive_after_days: 7 -> 14"));
    assert!(edited.out.contains("production_promotion.min_accuracy_threshold: 0.55 -> 0.6"));

    let history = ward.annals(&["policy", "history", "--format", "json"]).ok().json();
    let history = history.as_array().unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!(history[1]["actor"], "ines");
    assert_eq!(history[1]["identity"], "claimed");
    assert_eq!(history[1]["reason"], "four eyes");
    assert_eq!(history[2]["revision"], 2);
    assert_eq!(history[2]["identity"], "signed");
    assert_eq!(history[2]["changes"].as_array().unwrap().len(), 2);
    let told = ward.annals(&["policy", "history"]).ok().out;
    assert!(told.contains("    production_promotion.approvals: 1 -> 2"), "{told}");

    let diff = ward.annals(&["policy", "diff", "--format", "json"]).ok().json();
    assert_eq!((diff["from"].as_u64(), diff["to"].as_u64()), (Some(1), Some(2)));
    assert_eq!(diff["changes"].as_array().unwrap().len(), 2);
    let diff = ward.annals(&["policy", "diff", "0", "2", "--format", "json"]).ok().json();
    assert_eq!(diff["changes"].as_array().unwrap().len(), 3);
    assert!(ward.annals(&["policy", "diff", "2", "2"]).ok().err.contains("the same rules"));
    ward.annals(&["policy", "diff", "0", "9"]).refused(4, "there is no policy revision 9");
    let then = ward.annals(&["policy", "show", "--revision", "0", "--format", "json"]).ok().json();
    assert_eq!(then["policy"]["production_promotion"]["approvals"], 1);

    // A decision names the rules of its time, whatever came after.
    ward.train("night", &[]).ok();
    ward.annals(&["policy", "set", "production_promotion.approvals", "1"]).ok();
    let judged = ward.annals(&["log", "--kind", "candidate.assessed", "--format", "json"]).ok();
    assert_eq!(judged.json()[0]["event"]["policy_revision"], 2);
    agree(&ward);
}

#[test]
fn an_edit_that_is_refused_is_kept_and_changes_nothing() {
    let ward = Workspace::new();
    let schema = ward.annals(&["policy", "schema"]).ok().json();
    assert_eq!(schema["title"], "Policy");
    let revisions = |ward: &Workspace| {
        let history = ward.annals(&["policy", "history", "--format", "json"]).ok().json();
        history.as_array().unwrap().len()
    };
    assert!(edit(&ward, "", &[]).ok().err.contains("Nothing changed"));
    edit(&ward, "s/: 0.55/: 1.5/", &[]).refused(2, "1.5 is out of range");
    edit(&ward, "s/approvals\"/aprovals\"/", &[]).refused(3, "unknown field `aprovals`");
    let refused = edit(&ward, "s/{/(/", &[]).refused(3, "this is not a policy");
    let kept = refused.err.split("kept in ").nth(1).unwrap().trim().to_owned();
    assert!(String::from_utf8(ward.read(&kept)).unwrap().starts_with('('));
    ward.annals_with(&[("EDITOR", "false")], &["policy", "edit"]).refused(130, "the editor");
    // Somebody else is faster.
    let faster = format!(
        "{} policy set production_promotion.approvals 3; true",
        env!("CARGO_BIN_EXE_annals")
    );
    let faster = ward.annals_with(&[("EDITOR", &faster)], &["policy", "edit"]);
    faster.refused(6, "the policy is at revision 1 by now");
    assert_eq!(revisions(&ward), 2);
    for (key, value, said) in [
        ("production_promotion.aprovals", "2", "did you mean production_promotion.approvals?"),
        ("production_promotion.min_class_f1", "1.2", "out of range"),
        ("debug_experiments.archive_location", "a/b", "contains '/'"),
        ("failed_experiments.archive_location", "archived", "another archive's folder"),
    ] {
        ward.annals(&["policy", "set", key, value]).refused(2, said);
    }
    assert_eq!(revisions(&ward), 2);
    agree(&ward);
}

#[test]
fn a_kill_at_every_step_of_setting_a_rule_leaves_it_set_or_not() {
    let ward = Workspace::new();
    every_step(&ward, &["policy", "set", "production_promotion.min_class_f1", "0.1"]);
}

#[test]
fn two_at_once_set_a_rule_one_after_the_other() {
    let ward = Workspace::new();
    let set = |value| ward.spawn(&["policy", "set", "production_promotion.approvals", value]);
    let both = [set("2"), set("3")];
    let done = both.map(|mut child| child.wait().unwrap().success());
    assert_eq!(done, [true, true]);
    let history = ward.annals(&["policy", "history", "--format", "json"]).ok().json();
    assert_eq!(history.as_array().unwrap().len(), 3);
    agree(&ward);
}

#[test]
fn before_the_first_policy_there_was_none() {
    let ward = Workspace::new();
    let sql = "SELECT position FROM policies LIMIT 1";
    let first = ward.annals(&["query", sql, "--format", "json"]).ok().json()[0]["position"].clone();
    for as_of in ["0", "2001-01-01"] {
        let answer = ward.annals(&["policy", "show", "--as-of", as_of]);
        let said = answer.refused(4, "no policy was in force then").err;
        assert!(said.contains(&format!("the first came with event {first}")), "{said}");
    }
    ward.annals(&["policy", "show", "--as-of", &first.to_string()]).ok();
    ward.annals(&["policy", "show", "--revision", "7"]).refused(4, "there is no policy revision 7");
}
