//! Production models after their promotion: replaced, demoted, brought back, named and counted;
//! refused, twice, by three processes at once, and killed at every step.

use crate::support::Workspace;

/// Two runs, of which the second took the place of the first.
fn ward() -> Workspace {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    ward.train("two", &["--seed", "7"]).ok();
    ward.allow_synthetic();
    ward.annals(&["promote", "one", "--as", "notes"]).ok();
    ward
}

fn replaced() -> Workspace {
    let ward = ward();
    ward.annals(&["promote", "two", "--as", "notes", "--replace"]).ok();
    ward
}

/// Everything that must be so after whatever happened; tells the number in production.
fn whole(ward: &Workspace) -> Option<u64> {
    // A changing verb: it ends what was cut short.
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "10"]).ok();
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "11"]).ok();
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
    ward.annals(&["doctor"]).ok();
    let folder = ward.path("models/production");
    let names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let registry: serde_json::Value =
        serde_json::from_slice(&ward.read("MODEL_VERSION.json")).unwrap();
    let model = &registry["details"]["notes"];
    assert_eq!(registry["models"]["notes"], model["version"]);
    let Some(number) = model["number"].as_u64() else {
        assert!(names.is_empty(), "{names:?}");
        return None;
    };
    assert_eq!(names, ["notes"], "of version {number}");
    let files = model["files"].as_array().unwrap();
    for file in files {
        let bytes =
            ward.read(&format!("models/production/notes/{}", file["path"].as_str().unwrap()));
        assert_eq!(blake3::hash(&bytes).to_string(), file["blake3"].as_str().unwrap());
    }
    assert_eq!(std::fs::read_dir(folder.join("notes")).unwrap().count(), files.len());
    Some(number)
}

#[test]
fn a_model_is_replaced_demoted_and_brought_back() {
    let ward = ward();
    ward.annals(&["promote", "two", "--as", "notes"]).refused(6, "exists already");
    ward.annals(&["promote", "one", "--as", "notes", "--replace"]).refused(5, "already");
    ward.annals(&["promote", "two", "--as", "notes", "--replace"]).ok();
    assert_eq!(whole(&ward), Some(2));
    for paper in ["config.json", "training_info.json", "labels.json", "README.md"] {
        assert!(ward.path(&format!("models/production/notes/{paper}")).is_file(), "{paper}");
    }
    let config: serde_json::Value =
        serde_json::from_slice(&ward.read("models/production/notes/config.json")).unwrap();
    assert_eq!(config["training"]["seed"], 7);
    ward.annals(&["rollback", "notes", "--reason", " "]).refused(2, "a reason is needed");
    ward.annals(&["rollback", "notes", "--to", "3", "--reason", "x"]).refused(4, "version");
    ward.annals(&["rollback", "nothing", "--reason", "x"]).refused(4, "nothing");
    ward.annals(&["rollback", "notes", "--to", "2", "--reason", "x"])
        .refused(5, "is in production");
    let planned = ward.annals(&["rollback", "notes", "--reason", "x", "--dry-run"]).ok();
    assert!(planned.out.contains("notes 1.0.0 (version 1) would be in production"));
    assert_eq!(whole(&ward), Some(2));
    ward.annals(&["rollback", "notes", "--reason", "it erred"]).ok();
    assert_eq!(whole(&ward), Some(1));
    ward.annals(&["rollback", "notes", "--to", "1.1.0", "--reason", "it did not"]).ok();
    assert_eq!(whole(&ward), Some(2));
    ward.annals(&["demote", "notes", "--reason", "retired"]).ok();
    assert_eq!(whole(&ward), None);
    ward.annals(&["demote", "notes", "--reason", "retired"]).refused(4, "no production model");
    ward.annals(&["rollback", "notes", "--to", "v1", "--reason", "again"]).ok();
    assert_eq!(whole(&ward), Some(1));
    let listed = ward.annals(&["version", "list", "notes"]).ok().out;
    assert!(listed.lines().nth(1).unwrap().contains("in production"), "{listed}");
    let moves = ward.annals(&["log", "--kind", "model.rolled_back", "--format", "json"]).ok();
    assert_eq!(moves.json().as_array().unwrap().len(), 3);
}

#[test]
fn a_folder_that_somebody_removed_by_hand_can_be_demoted_and_comes_back() {
    let ward = ward();
    std::fs::remove_dir_all(ward.path("models/production/notes")).unwrap();
    ward.annals(&["demote", "notes", "--reason", "x"]).ok();
    ward.annals(&["rollback", "notes", "--reason", "x"]).ok();
    assert_eq!(whole(&ward), Some(1));
}

/// A verb, where it starts, and the numbers in production before and after it.
type Walk = (&'static [&'static str], fn() -> Workspace, Option<u64>, Option<u64>);

#[test]
fn mov_1_killed_at_every_step() {
    let verbs: [Walk; 4] = [
        (&["promote", "one", "--as", "notes"], before_promotion, None, Some(1)),
        (&["promote", "two", "--as", "notes", "--replace"], ward, Some(1), Some(2)),
        (&["rollback", "notes", "--reason", "it erred"], replaced, Some(2), Some(1)),
        (&["demote", "notes", "--reason", "retired"], replaced, Some(2), None),
    ];
    for (verb, start, before, after) in verbs {
        let start = start();
        let (mut steps, mut outcomes) = (0, vec![]);
        loop {
            steps += 1;
            let ward = start.copy();
            let ended = ward.killed_at(steps, verb).success();
            let number = whole(&ward);
            assert!(number == before || number == after, "{verb:?} at step {steps}: {number:?}");
            outcomes.push(number);
            if ended {
                assert_eq!(number, after);
                break;
            }
        }
        assert!(steps > 6, "{verb:?} has only {steps} steps");
        let turned = outcomes.iter().position(|number| *number == after).unwrap();
        assert!(outcomes[turned..].iter().all(|number| *number == after), "{verb:?}: {outcomes:?}");
        assert!(turned > 0 && turned < outcomes.len() - 1, "{verb:?}: {outcomes:?}");
    }
}

fn before_promotion() -> Workspace {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    ward.allow_synthetic();
    std::fs::create_dir_all(ward.path("models/production")).unwrap();
    ward
}

#[test]
fn three_processes_at_once() {
    let ward = replaced();
    for _ in 0..4 {
        let mut both = [
            ward.spawn(&["rollback", "notes", "--reason", "a"]),
            ward.spawn(&["demote", "notes", "--reason", "b"]),
            ward.spawn(&["rollback", "notes", "--to", "1", "--reason", "c"]),
        ];
        for child in &mut both {
            child.wait().unwrap();
        }
        whole(&ward);
    }
}

#[test]
fn aliases_and_versions() {
    let ward = replaced();
    ward.annals(&["alias", "set", "champion", "notes"]).ok();
    ward.annals(&["alias", "set", "challenger", "notes@1.0.0"]).ok();
    ward.annals(&["alias", "set", "production", "notes"]).refused(2, "annals promote");
    ward.annals(&["alias", "set", "notes", "notes"]).refused(6, "exists already");
    ward.annals(&["alias", "set", "x", "notes@9"]).refused(4, "no version");
    let shown = ward.annals(&["show", "notes"]).ok().out;
    assert!(
        shown.contains("version     1.1.0 (number 2)") && shown.contains("champion"),
        "{shown}"
    );
    let listed = ward.annals(&["alias", "list"]).ok().out;
    assert!(listed.contains("challenger") && listed.contains("not in production"), "{listed}");
    let back = ward.annals(&["rollback", "notes", "--reason", "it erred"]).ok();
    assert!(
        back.err.contains("The alias champion points at a version that is not"),
        "{}",
        back.err
    );
    ward.annals(&["predict", "champion", "a text"]).refused(5, "is not in production");
    let predicted = ward.annals(&["predict", "challenger", "a text"]);
    assert_eq!(predicted.code, 0, "{}", predicted.err);
    ward.annals(&["version", "bump", "major", "notes"]).ok();
    ward.annals(&["version", "bump", "patch", "other"]).refused(4, "no production model");
    ward.annals(&["alias", "remove", "champion"]).ok();
    ward.annals(&["alias", "remove", "champion"]).refused(4, "no alias");
    let registry: serde_json::Value =
        serde_json::from_slice(&ward.read("MODEL_VERSION.json")).unwrap();
    // One version on top, of each model and in the details, whatever was bumped or rolled back.
    assert_eq!(registry["version"], "2.0.0");
    assert_eq!(registry["models"], serde_json::json!({ "notes": "2.0.0" }));
    assert_eq!(registry["details"]["notes"]["version"], "2.0.0");
    assert_eq!(registry["details"]["notes"]["aliases"], serde_json::json!(["challenger"]));
    assert_eq!(whole(&ward), Some(1));
}
