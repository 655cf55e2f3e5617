use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::{Digest, MoveId, durable};
use crate::domain::file_move::{MoveMode, MovePlan, MovePurpose, MovedFile};
use crate::store::Blobs;

/// A run's folder, and the plan to put two of its files into production.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("experiments/hate_1/config")).unwrap();
    durable::write(&root.path().join("experiments/hate_1/model"), b"weights").unwrap();
    durable::write(&root.path().join("experiments/hate_1/config/c.yaml"), b"a: 1").unwrap();
    root
}

fn planned() -> MovePlan {
    let file = |source: &str, path: &str, bytes: &[u8]| MovedFile {
        path: path.into(),
        source: source.into(),
        digest: Digest::of(bytes),
        sha256: None,
        bytes: bytes.len() as u64,
    };
    MovePlan {
        id: MoveId([5; 16]),
        purpose: MovePurpose::Rollback { name: "hate".into(), number: 1, reason: "x".into() },
        mode: MoveMode::Copy,
        from: "experiments/hate_1".into(),
        to: "models/production/hate".into(),
        files: vec![
            file("model", "model.safetensors", b"weights"),
            file("config/c.yaml", "config.yaml", b"a: 1"),
        ],
    }
}

fn blobs(root: &Path) -> Blobs {
    Blobs::new(&root.join("blobs"))
}

#[test]
fn a_folder_arrives_whole_and_the_sources_stay() {
    let root = root();
    let (root, plan) = (root.path(), planned());
    place(root, &blobs(root), &plan, None).unwrap();
    let target = root.join("models/production/hate");
    assert_eq!(fs::read(target.join("model.safetensors")).unwrap(), b"weights");
    assert!(root.join("experiments/hate_1/model").is_file());
    assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
    assert_eq!(recover_place(root, &plan, None).unwrap(), Recovered::Completed);
    let again = place(root, &blobs(root), &plan, None);
    assert!(matches!(again, Err(EffectError::TargetExists(_))));
    take_back(root, &plan).unwrap();
    assert!(!target.exists());
    // A source that is gone comes from the blob store.
    blobs(root).put(b"weights").unwrap();
    fs::remove_file(root.join("experiments/hate_1/model")).unwrap();
    place(root, &blobs(root), &plan, None).unwrap();
    assert_eq!(fs::read(target.join("model.safetensors")).unwrap(), b"weights");
}

#[test]
fn mov_1_a_crash_before_the_rename_leaves_the_sources_and_nothing_else() {
    let root = root();
    let (root, plan) = (root.path(), planned());
    let half = temporary(root, &plan);
    fs::create_dir_all(&half).unwrap();
    durable::write(&half.join("model.safetensors"), b"wei").unwrap();
    assert_eq!(recover_place(root, &plan, None).unwrap(), Recovered::RolledBack);
    assert!(!half.exists() && !root.join("models/production/hate").exists());
    place(root, &blobs(root), &plan, None).unwrap();
    assert_eq!(recover_place(root, &plan, None).unwrap(), Recovered::Completed);
}

#[test]
fn changed_files_links_and_names_that_differ_in_case_only_are_refused() {
    let root = root();
    let (root, plan) = (root.path(), planned());
    let model = root.join("experiments/hate_1/model");
    durable::write(&model, b"other").unwrap();
    let changed = place(root, &blobs(root), &plan, None);
    assert!(matches!(changed, Err(EffectError::Changed { .. })));
    fs::remove_file(&model).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &model).unwrap();
    let link = place(root, &blobs(root), &plan, None);
    assert!(matches!(link, Err(EffectError::NotPlain(_))));
    fs::remove_file(&model).unwrap();
    durable::write(&model, b"weights").unwrap();
    fs::create_dir_all(root.join("models/production/HATE")).unwrap();
    let taken = place(root, &blobs(root), &plan, None);
    assert!(matches!(taken, Err(EffectError::TargetExists(_))));
    assert_eq!(fs::read_dir(root.join("models/production")).unwrap().count(), 1);
}

/// A version in production and another planned in its place.
fn replacing(root: &Path) -> (Blobs, MovePlan, Vec<MovedFile>) {
    let blobs = Blobs::new(&root.join("blobs"));
    let file = |bytes: &[u8], path: &str| {
        let stored = blobs.put(bytes).unwrap();
        from_blobs(path, stored.blake3, Some(stored.sha256), bytes.len() as u64)
    };
    let (old, new) = (vec![file(b"old", "m"), file(b"1", "c")], vec![file(b"new", "m")]);
    let target = root.join("production/hate");
    fs::create_dir_all(&target).unwrap();
    durable::write(&target.join("m"), b"old").unwrap();
    durable::write(&target.join("c"), b"1").unwrap();
    let purpose =
        MovePurpose::Rollback { name: "hate".into(), number: 1, reason: "it erred".into() };
    let (from, to) = ("nowhere".to_owned(), "production/hate".to_owned());
    let (id, mode) = (MoveId([6; 16]), MoveMode::Copy);
    (blobs, MovePlan { id, purpose, mode, from, to, files: new }, old)
}

fn read_model(root: &Path) -> Vec<u8> {
    fs::read(root.join("production/hate/m")).unwrap()
}

fn only_the_model_is_there(root: &Path) {
    let names: Vec<_> =
        fs::read_dir(root.join("production")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["hate"]);
}

#[test]
fn mov_1_a_replacement_can_be_taken_back_until_it_is_cleared() {
    let root = root();
    let root = root.path();
    let (blobs, plan, old) = replacing(root);
    place(root, &blobs, &plan, Some(&old)).unwrap();
    assert_eq!(read_model(root), b"new");
    assert!(!root.join("production/hate/c").exists());
    assert_eq!(recover_place(root, &plan, Some(&old)).unwrap(), Recovered::Completed);
    take_back(root, &plan).unwrap();
    assert_eq!(read_model(root), b"old");
    only_the_model_is_there(root);
    place(root, &blobs, &plan, Some(&old)).unwrap();
    clear(root, &plan).unwrap();
    assert_eq!(read_model(root), b"new");
    only_the_model_is_there(root);
}

#[test]
fn mov_1_a_replacement_cut_short_at_any_rename_is_undone() {
    let root = root();
    let root = root.path();
    let (_, plan, old) = replacing(root);
    let beside = |end: &str| root.join(format!("production/.hate.{}.{end}", plan.id));
    // Half staged.
    fs::create_dir_all(beside("tmp")).unwrap();
    durable::write(&beside("tmp").join("m"), b"ne").unwrap();
    assert_eq!(recover_place(root, &plan, Some(&old)).unwrap(), Recovered::RolledBack);
    only_the_model_is_there(root);
    // A file system that cannot exchange: between the two renames.
    fs::create_dir_all(beside("tmp")).unwrap();
    durable::write(&beside("tmp").join("m"), b"new").unwrap();
    fs::rename(root.join("production/hate"), beside("old")).unwrap();
    assert_eq!(recover_place(root, &plan, Some(&old)).unwrap(), Recovered::RolledBack);
    assert_eq!(read_model(root), b"old");
    only_the_model_is_there(root);
    // After both; the decision does not hold any more.
    fs::rename(root.join("production/hate"), beside("old")).unwrap();
    fs::create_dir_all(root.join("production/hate")).unwrap();
    durable::write(&root.join("production/hate/m"), b"new").unwrap();
    assert_eq!(recover_place(root, &plan, Some(&old)).unwrap(), Recovered::Completed);
    take_back(root, &plan).unwrap();
    assert_eq!(read_model(root), b"old");
    only_the_model_is_there(root);
}

#[test]
fn what_the_log_does_not_know_is_kept_when_it_is_replaced_or_removed() {
    let damages: [fn(&Path); 3] = [
        |dir| durable::write(&dir.join("notes.txt"), b"mine").unwrap(),
        |dir| durable::write(&dir.join("c"), b"2").unwrap(),
        |dir| {
            fs::rename(dir, dir.with_file_name("elsewhere")).unwrap();
            std::os::unix::fs::symlink("elsewhere", dir).unwrap();
        },
    ];
    for damage in damages {
        let root = root();
        let root = root.path();
        let (blobs, plan, old) = replacing(root);
        let removal = MovePlan { from: plan.to.clone(), files: old.clone(), ..plan.clone() };
        let folder = root.join("production/hate");
        damage(&folder);
        let found = inspect(&folder, &old);
        assert!(holds_unknown(&found), "{found:?}");
        // A free place was asked for: nothing is taken away for that.
        let taken = place(root, &blobs, &plan, None);
        assert!(matches!(taken, Err(EffectError::TargetExists(_))));
        place(root, &blobs, &plan, Some(&old)).unwrap();
        assert_eq!(recover_place(root, &plan, Some(&old)).unwrap(), Recovered::Completed);
        let (kept, for_good) = replaced(root, &plan.to, &plan).unwrap();
        assert!(for_good && kept.starts_with(root.join(".annals/damaged")));
        assert_eq!(inspect(&kept, &old), found);
        take_back(root, &plan).unwrap();
        assert_eq!(inspect(&folder, &old), found);
        remove(root, &removal).unwrap();
        assert!(folder.symlink_metadata().is_err());
        assert_eq!(recover_removal(root, &removal).unwrap(), Recovered::Completed);
        take_back_removal(root, &removal).unwrap();
        assert_eq!(inspect(&folder, &old), found);
        remove(root, &removal).unwrap();
        clear(root, &removal).unwrap();
        assert_eq!(inspect(&kept, &old), found);
    }
}

#[test]
fn what_is_as_recorded_is_removed_and_not_kept() {
    let root = root();
    let root = root.path();
    let (_, plan, old) = replacing(root);
    let removal = MovePlan { from: plan.to.clone(), files: old, ..plan };
    remove(root, &removal).unwrap();
    assert!(!root.join("production/hate").exists());
    take_back_removal(root, &removal).unwrap();
    assert_eq!(read_model(root), b"old");
    remove(root, &removal).unwrap();
    assert_eq!(recover_removal(root, &removal).unwrap(), Recovered::Completed);
    clear(root, &removal).unwrap();
    assert_eq!(fs::read_dir(root.join("production")).unwrap().count(), 0);
    remove(root, &removal).unwrap();
    assert!(!root.join(".annals/damaged").exists());
}

/// A plan that packs everything but the weights of a run's folder, and does not keep those.
fn packed(root: &Path) -> MovePlan {
    use crate::domain::file_move::ArchiveOrder;
    use crate::domain::run::{Archive, DroppedFile, Pack};
    let pack = Pack::Gz;
    let (dropped, mut files): (Vec<MovedFile>, Vec<MovedFile>) = survey(root, "experiments/hate_1")
        .unwrap()
        .into_iter()
        .partition(|file| file.path == "model");
    for file in &mut files {
        file.path = format!("{}/{}", pack.file(), file.source);
    }
    let dropped = dropped.into_iter().map(|file| {
        let MovedFile { path, digest, sha256, bytes, .. } = file;
        DroppedFile { path, digest, sha256, bytes }
    });
    let order = ArchiveOrder {
        run: crate::base::RunId([1; 16]),
        archive: Archive::Archived,
        rule: None,
        reason: "asked for by hand".into(),
        policy_revision: 0,
        pack: Some(pack),
        dropped: dropped.collect(),
    };
    MovePlan {
        id: MoveId([6; 16]),
        purpose: MovePurpose::Archive(order),
        mode: MoveMode::Move,
        from: "experiments/hate_1".into(),
        to: "experiments/archived/hate_1".into(),
        files,
    }
}

#[test]
fn a_file_that_came_after_the_plan_is_not_removed_with_the_source() {
    let root = root();
    let (blobs, plan) = (Blobs::new(&root.path().join("blobs")), packed(root.path()));
    let late = root.path().join("experiments/hate_1/config/late");
    durable::write(&late, b"mine").unwrap();
    relocate(root.path(), &blobs, &plan).unwrap();
    let target = root.path().join("experiments/archived/hate_1");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
    let inside = survey_pack(root.path(), &plan.to, crate::domain::run::Pack::Gz).unwrap();
    assert_eq!(inside.keys().collect::<Vec<_>>(), ["config/c.yaml"]);
    assert_eq!(fs::read(&late).unwrap(), b"mine");
    assert!(!root.path().join("experiments/hate_1/model").exists());
    assert_eq!(recover_relocation(root.path(), &plan).unwrap(), Recovered::Completed);
}

#[test]
fn a_file_changed_between_plan_and_move_stops_the_move() {
    let root = root();
    let (blobs, plan) = (Blobs::new(&root.path().join("blobs")), packed(root.path()));
    let file = root.path().join("experiments/hate_1/config/c.yaml");
    durable::write(&file, b"a: 2").unwrap();
    let stopped = relocate(root.path(), &blobs, &plan);
    assert!(matches!(stopped, Err(EffectError::Changed { .. })), "{stopped:?}");
    assert_eq!(recover_relocation(root.path(), &plan).unwrap(), Recovered::RolledBack);
    assert_eq!(fs::read(&file).unwrap(), b"a: 2");
    assert!(root.path().join("experiments/hate_1/model").is_file());
    let left = fs::read_dir(root.path().join("experiments/archived")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_target_of_somebody_else_is_left_alone() {
    let root = root();
    let (blobs, plan) = (Blobs::new(&root.path().join("blobs")), packed(root.path()));
    let theirs = root.path().join("experiments/archived/hate_1/theirs");
    durable::create_dir_all(theirs.parent().unwrap()).unwrap();
    durable::write(&theirs, b"theirs").unwrap();
    let taken = relocate(root.path(), &blobs, &plan);
    assert!(matches!(taken, Err(EffectError::TargetExists(_))), "{taken:?}");
    assert_eq!(recover_relocation(root.path(), &plan).unwrap(), Recovered::RolledBack);
    assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
    assert!(root.path().join("experiments/hate_1/model").is_file());
}

#[test]
fn a_folder_moves_to_another_file_system_and_back() {
    use std::os::unix::fs::MetadataExt as _;
    let root = root();
    let Some(other) = tempfile::tempdir_in("/dev/shm").ok().filter(|other| {
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        device(other.path()) != device(root.path())
    }) else {
        println!("skipped: there is no second file system");
        return;
    };
    let blobs = blobs(root.path());
    // Both are inside of one root.
    let top = Path::new("/");
    let below = |path: PathBuf| {
        let parent = fs::canonicalize(path.parent().unwrap()).unwrap();
        let path = parent.join(path.file_name().unwrap());
        path.strip_prefix(top).unwrap().to_str().unwrap().to_owned()
    };
    let near = below(root.path().join("experiments/hate_1"));
    let far = below(other.path().join("hate_1"));
    let mut plan = packed(root.path());
    let MovePurpose::Archive(order) = &mut plan.purpose else { panic!("{plan:?}") };
    (order.pack, order.dropped) = (None, Vec::new());
    (plan.from, plan.to) = (near.clone(), far.clone());
    plan.files = survey(top, &plan.from).unwrap();
    relocate(top, &blobs, &plan).unwrap();
    assert!(!root.path().join("experiments/hate_1").exists());
    assert_eq!(fs::read(other.path().join("hate_1/model")).unwrap(), b"weights");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
    assert_eq!(recover_relocation(top, &plan).unwrap(), Recovered::Completed);

    (plan.from, plan.to) = (far, near);
    relocate(top, &blobs, &plan).unwrap();
    assert_eq!(fs::read(root.path().join("experiments/hate_1/model")).unwrap(), b"weights");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}
