//! `annals why` and the proofs of its chain.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::record_read::audited;
use crate::support::Workspace;

fn why(ward: &Workspace, what: &str) -> Value {
    ward.annals(&["why", what, "--format", "json"]).ok().json()
}

/// Every node with this name.
fn named<'v>(node: &'v Value, what: &str, found: &mut Vec<&'v Value>) {
    if node["what"] == what {
        found.push(node);
    }
    for child in node["because"].as_array().into_iter().flatten() {
        named(child, what, found);
    }
}

fn all<'v>(node: &'v Value, what: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    named(node, what, &mut found);
    found
}

#[test]
fn a_model_is_traced_to_its_data_and_each_step_to_its_event() {
    let ward = audited();
    let tree = why(&ward, "night");
    for (what, kind) in [
        ("model", "model.promoted"),
        ("promotion", "model.promoted"),
        ("request", "promotion.requested"),
        ("approval", "promotion.approved"),
        ("policy", "policy.changed"),
        ("run", "run.started"),
        ("results", "run.finished"),
        ("data", "run.started"),
        ("config", "run.started"),
        ("environment", "run.started"),
        ("training checkpoint", "run.train_checkpoint_saved"),
    ] {
        let nodes = all(&tree, what);
        assert!(!nodes.is_empty(), "{what} is not in {tree:#}");
        for node in nodes {
            let position = node["position"].to_string();
            let event = ward.annals(&["show", &position, "--format", "json"]).ok().json();
            assert_eq!(event["kind"], kind, "{what}");
        }
    }
    let event = |position: &Value| {
        ward.annals(&["show", &position.to_string(), "--format", "json"]).ok().json()
    };
    let policy = event(&all(&tree, "policy")[0]["position"]);
    let changed = policy["event"]["policy"]["production_promotion"]["allow_synthetic"].clone();
    assert_eq!(changed, true, "the policy then in force");
    assert!(all(&tree, "not met").is_empty() && all(&tree, "met").len() >= 5, "{tree:#}");
    let results = event(&all(&tree, "results")[0]["position"]);
    let test = results["event"]["metrics"].as_array().unwrap().iter();
    let test = test.filter(|m| {
        m["key"]["split"] == "test" && !m["key"]["name"].as_str().unwrap().contains(".ci_")
    });
    assert_eq!(all(&tree, "test").len(), test.count());
    let text = ward.annals(&["why", "night"]).ok().out;
    assert!(text.lines().any(|line| line.contains("└─ ") && line.ends_with(']')), "{text}");
}

#[test]
fn later_decisions_do_not_change_why() {
    let ward = audited();
    let before = why(&ward, "night");
    ward.annals(&["policy", "set", "production_promotion.approvals", "3"]).ok();
    ward.annals(&["note", "one", "seen"]).ok();
    ward.annals(&["demote", "night", "--reason", "tired"]).ok();
    assert_eq!(why(&ward, "night"), before);
    ward.annals(&["policy", "set", "production_promotion.approvals", "1"]).ok();
    ward.annals(&["promote", "two", "--as", "night"]).ok();
    assert_eq!(why(&ward, "night@1"), before);
    assert_ne!(why(&ward, "night"), before);
}

#[test]
fn files_and_digests_are_traced_and_strangers_are_not() {
    let ward = audited();
    let model = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    let (path, digest) = (&model["model"]["files"][0][0], &model["model"]["files"][0][1]);
    let path = format!("{}/{}", model["model"]["path"].as_str().unwrap(), path.as_str().unwrap());
    let digest = digest.as_str().unwrap();
    let by_path = why(&ward, &path);
    assert_eq!(by_path, why(&ward, digest));
    assert_eq!(by_path, why(&ward, &format!("blake3:{}", &digest[..12])));
    assert_eq!(all(&by_path, "file").len(), 1);
    assert_eq!(all(&by_path, "promotion"), all(&why(&ward, "night"), "promotion"));
    let run = ward.annals(&["show", "two", "--format", "json"]).ok().json();
    let weights = run["weights"].as_str().unwrap();
    assert_eq!(why(&ward, weights)["because"][0], why(&ward, "two"));
    std::fs::write(ward.path("stranger.bin"), "never seen").unwrap();
    ward.annals(&["why", "stranger.bin"]).refused(4, "no event names bytes");
    ward.annals(&["why", "0123456789abcdef"]).refused(4, "its origin is unknown");
    ward.annals(&["why", "nothing"]).refused(4, "a model, a run, a file or a digest");
}

#[test]
fn proofs_of_the_chain_hold_elsewhere_with_the_public_key_alone() {
    let ward = audited();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let key = ward.annals(&["checkpoint", "show", "--format", "json"]).ok().json();
    let key = key["key"].as_str().unwrap();
    let tree = why(&ward, "night");
    ward.annals(&["why", "night", "--proofs", "night.json"]).ok();
    let auditor = Workspace::bare();
    std::fs::copy(ward.path("copy.redb"), auditor.path("copy.redb")).unwrap();
    let args = ["why", "night", "--log", "copy.redb", "--proofs", ".", "--format", "json"];
    assert_eq!(auditor.annals(&args).ok().json(), tree);
    let text = String::from_utf8(ward.read("night.json")).unwrap();
    assert_eq!(text.as_bytes(), auditor.read("night.proofs.json"));
    let check = |text: &str, key: &str| {
        std::fs::write(auditor.path("sent.json"), text).unwrap();
        auditor.annals(&["verify-bundle", "sent.json", "--key", key, "--format", "json"])
    };
    let checked = check(&text, key).ok().json();
    let proven = checked["events"].as_array().unwrap().iter().map(|e| e["position"].as_u64());
    let proven: BTreeSet<u64> = proven.map(Option::unwrap).collect();
    let mut nodes = vec![&tree];
    while let Some(node) = nodes.pop() {
        if let Some(position) = node.get("position") {
            assert!(proven.contains(&position.as_u64().unwrap()), "{node:#}");
        }
        nodes.extend(node["because"].as_array().into_iter().flatten());
    }
    let foreign = Workspace::new().annals(&["checkpoint", "show", "--format", "json"]).ok().json();
    check(&text, foreign["key"].as_str().unwrap()).refused(10, "does not hold");
    let bundle: Value = serde_json::from_str(&text).unwrap();
    for at in 0..bundle["proofs"].as_array().unwrap().len() {
        let mut forged = bundle.clone();
        let event = forged["proofs"][at]["event"].as_str().unwrap().to_owned();
        let middle = event.len() / 2;
        let letter = if event.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let event = format!("{}{letter}{}", &event[..middle], &event[middle + 1..]);
        forged["proofs"][at]["event"] = event.into();
        assert_ne!(check(&forged.to_string(), key).code, 0, "proof {at}");
    }
    let mut without = bundle.clone();
    without["proofs"] = Value::Array(vec![]);
    check(&without.to_string(), key).refused(3, "it contains no proof");
    check("{}", key).refused(3, "not a proof bundle");
}
