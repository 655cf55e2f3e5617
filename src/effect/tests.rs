use super::*;

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("experiments/hate_1/config")).unwrap();
    durable::write(&root.path().join("experiments/hate_1/model"), b"weights").unwrap();
    durable::write(&root.path().join("experiments/hate_1/config/c.yaml"), b"a: 1").unwrap();
    root
}

fn planned(root: &Path) -> Result<MovePlanned, EffectError> {
    let files = [("model", "model.safetensors"), ("config/c.yaml", "config.yaml")];
    let files = files.map(|(from, to)| (from.to_owned(), to.to_owned()));
    let purpose = MovePurpose::Demotion { name: "hate".into() };
    let (from, to) = ("experiments/hate_1", "models/production/hate");
    plan(root, MoveId([5; 16]), purpose, MoveMode::Copy, from, to, &files)
}

#[test]
fn a_folder_arrives_whole_and_the_sources_stay() {
    let root = root();
    let plan = planned(root.path()).unwrap();
    execute(root.path(), &plan).unwrap();
    let target = root.path().join("models/production/hate");
    assert_eq!(fs::read(target.join("model.safetensors")).unwrap(), b"weights");
    assert!(root.path().join("experiments/hate_1/model").is_file());
    assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(recover(root.path(), &plan).unwrap(), Recovered::Completed);
    assert!(matches!(planned(root.path()), Err(EffectError::TargetExists(_))));
    roll_back(root.path(), &plan).unwrap();
    assert!(!target.exists());
}

#[test]
fn mov_1_a_crash_before_the_rename_leaves_the_sources_and_nothing_else() {
    let root = root();
    let plan = planned(root.path()).unwrap();
    let half = temporary(root.path(), &plan);
    fs::create_dir_all(&half).unwrap();
    durable::write(&half.join("model.safetensors"), b"wei").unwrap();
    assert_eq!(recover(root.path(), &plan).unwrap(), Recovered::RolledBack);
    assert!(!half.exists() && !root.path().join("models/production/hate").exists());
    execute(root.path(), &plan).unwrap();
    assert_eq!(recover(root.path(), &plan).unwrap(), Recovered::Completed);
}

#[test]
fn a_file_that_changed_after_the_plan_stops_the_move() {
    let root = root();
    let plan = planned(root.path()).unwrap();
    durable::write(&root.path().join("experiments/hate_1/model"), b"other").unwrap();
    assert!(matches!(execute(root.path(), &plan), Err(EffectError::Changed { .. })));
    assert!(!root.path().join("models/production/hate").exists());
}

#[test]
fn links_and_names_that_differ_in_case_only_are_refused() {
    let root = root();
    let model = root.path().join("experiments/hate_1/model");
    fs::remove_file(&model).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &model).unwrap();
    assert!(matches!(planned(root.path()), Err(EffectError::NotPlain(_))));
    fs::create_dir_all(root.path().join("models/production/HATE")).unwrap();
    assert!(matches!(planned(root.path()), Err(EffectError::TargetExists(_))));
}
