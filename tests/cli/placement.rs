//! Who placed a model last, and what is said where its folder cannot be used.

use std::os::unix::fs::symlink;

use crate::support::Workspace;

/// The kind of the event that `annals prove` proves for `what`.
fn proven(ward: &Workspace, what: &str) -> String {
    let proof = ward.annals(&["prove", what]).ok().out;
    std::fs::write(ward.path("proof.json"), proof).unwrap();
    let words = ["prove", "--check", "proof.json", "--format", "json"];
    ward.annals(&words).ok().json()["kind"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_proven_of_a_model_is_the_last_event_that_placed_it() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    for (name, seed) in [("one", "1"), ("two", "2")] {
        ward.train(name, &["--seed", seed]).ok();
    }
    ward.annals(&["promote", "one", "--as", "ward"]).ok();
    assert_eq!(proven(&ward, "ward"), "model.promoted");
    ward.annals(&["promote", "two", "--as", "ward", "--replace"]).ok();
    ward.annals(&["rollback", "ward", "--reason", "it errs"]).ok();
    assert_eq!(proven(&ward, "ward"), "model.rolled_back");
    assert_eq!(proven(&ward, "ward@2"), "model.promoted");
    ward.annals(&["alias", "set", "champion", "ward"]).ok();
    assert_eq!(proven(&ward, "champion"), "model.alias_set");
    assert_eq!(proven(&ward, "ward"), "model.rolled_back");
    let folder = ward.path("models/production/ward");
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    ward.annals(&["repair", "ward"]).ok();
    assert_eq!(proven(&ward, "ward"), "model.repaired");
    assert_eq!(proven(&ward, "champion"), "model.repaired");
}

/// `repair` is named only where it helps: a link in the path is the user's to replace.
#[test]
fn a_model_behind_a_link_is_not_said_to_need_repair() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("one", &[]).ok();
    ward.annals(&["promote", "one", "--as", "ward"]).ok();
    for part in ["models", "models/production", "models/production/ward"] {
        let copy = ward.copy();
        let (path, away) = (copy.path(part), copy.path("elsewhere"));
        std::fs::rename(&path, &away).unwrap();
        symlink(&away, &path).unwrap();
        let answer = copy.annals(&["predict", "ward", "a calm night"]);
        assert_ne!(answer.code, 0, "{part}");
        assert!(answer.err.contains("symbolic link"), "{part}: {}", answer.err);
        let helps = copy.annals(&["repair", "ward"]).code == 0;
        assert_eq!(answer.err.contains("annals repair"), helps, "{part}: {}", answer.err);
    }
}
