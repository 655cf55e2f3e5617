//! Paths of others: whoever writes into `.annals`, or appends events without a key, makes nobody
//! else's annals touch a file outside of the workspace or one that annals did not make.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use annals::base::{Digest, Env, InvocationId, MoveId, RunId};
use annals::domain::file_move::{
    ArchiveOrder, Migrated, MigrationOrder, MoveMode, MovePlanned, MovePurpose, MovedFile,
    RemovalOrder, RestoreOrder,
};
use annals::domain::invocation::InvocationStarted;
use annals::domain::run::{Archive, DroppedFile};
use annals::domain::workspace::LayoutKind;
use annals::domain::{Event, Provenance, StreamId};
use annals::store::{Append, Author, Expected, Origin, Store, TAG_ACTOR, WriteOptions};

use crate::support::Workspace;

/// A user's files beside her workspace and in it, which nothing here may change.
struct Precious {
    _outside: tempfile::TempDir,
    outside: PathBuf,
    before: Vec<(PathBuf, Vec<u8>)>,
}

impl Precious {
    fn new(ward: &Workspace) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let outside = temporary.path().join("home");
        let inside = ward.path("notes");
        for folder in [&outside, &inside] {
            fs::create_dir_all(folder.join("deep")).unwrap();
            fs::write(folder.join("thesis.txt"), "hers").unwrap();
            fs::write(folder.join("deep/data.csv"), "text,label\n").unwrap();
        }
        let mut before = Vec::new();
        for folder in [&outside, &inside] {
            for file in ["thesis.txt", "deep/data.csv"] {
                before.push((folder.join(file), fs::read(folder.join(file)).unwrap()));
            }
        }
        Self { _outside: temporary, outside, before }
    }

    #[track_caller]
    fn unchanged(&self, after: &str) {
        for (path, bytes) in &self.before {
            let now = fs::read(path).ok();
            assert_eq!(now.as_ref(), Some(bytes), "{} after {after}", path.display());
        }
        let names = fs::read_dir(&self.outside).unwrap().count();
        assert_eq!(names, 2, "something was made in {} after {after}", self.outside.display());
    }

    /// Paths to a folder of hers, as an attacker writes them.
    fn folders(&self, ward: &Workspace) -> Vec<String> {
        // A link to it, at the place of a run and in the middle of a path.
        let _ = symlink(&self.outside, ward.path("experiments/link"));
        let _ = symlink(self.outside.parent().unwrap(), ward.path("up"));
        let relative = |path: &Path| {
            let up = ward.root.components().count() - 1;
            format!("{}{}", "../".repeat(up), path.strip_prefix("/").unwrap().display())
        };
        vec![
            self.outside.display().to_string(),
            relative(&self.outside),
            format!("experiments/{}", "../notes"),
            "experiments/link".into(),
            "up/home".into(),
            "notes".into(),
            "notes/".into(),
            "./notes".into(),
            ".annals/blobs".into(),
            ".annals".into(),
            String::new(),
            ".".into(),
            "..".into(),
            "notes\0".into(),
        ]
    }
}

fn ward() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("one", &[]).ok();
    ward
}

/// The owner works on: every changing verb first clears what was left behind.
fn next_verb(ward: &Workspace, what: &str) {
    let answer = ward.annals(&["note", "one", "seen"]);
    assert!([0, 3, 5, 7, 10].contains(&answer.code), "{what}: {}\n{}", answer.code, answer.err);
    ward.annals(&["doctor"]);
}

/// What a claim, a list or a plan must not have destroyed in annals' own folder.
#[track_caller]
fn still_works(ward: &Workspace, what: &str) {
    let answer = ward.annals(&["verify"]);
    assert_eq!(answer.code, 0, "{what}\n{}{}", answer.out, answer.err);
    let answer = ward.annals(&["note", "one", "and on"]);
    assert_eq!(answer.code, 0, "{what}\n{}{}", answer.out, answer.err);
}

#[test]
fn claims_on_folders_remove_nothing_that_annals_did_not_make() {
    let ward = ward();
    let precious = Precious::new(&ward);
    let run = ward.annals(&["list", "--format", "json"]).json()[0]["experiment_id"].clone();
    let run = format!("experiments/{}", run.as_str().unwrap());
    fs::create_dir_all(ward.path("experiments/hers/deep")).unwrap();
    fs::write(ward.path("experiments/hers/deep/file"), "hers").unwrap();
    fs::create_dir_all(ward.path(".annals/beginnings")).unwrap();
    for place in precious.folders(&ward).into_iter().chain([run.clone(), "experiments/hers".into()])
    {
        for (claim, name) in [
            (format!("{place}\nmade\n"), "x"),
            (format!("{place}\n"), "one_20990101_000000"),
            (place.clone(), "x"),
        ] {
            fs::write(ward.path(".annals/beginnings").join(name), &claim).unwrap();
            next_verb(&ward, &claim);
            precious.unchanged(&claim);
            assert!(ward.path("experiments/hers/deep/file").exists(), "{claim}");
            assert!(ward.path(&run).join("config/config.yaml").exists(), "{claim}");
        }
    }
    // A claim that is itself a link, and a folder of claims that is one.
    symlink(precious.outside.join("thesis.txt"), ward.path(".annals/beginnings/y")).unwrap();
    next_verb(&ward, "a link as a claim");
    fs::remove_dir_all(ward.path(".annals/beginnings")).unwrap();
    symlink(&precious.outside, ward.path(".annals/beginnings")).unwrap();
    next_verb(&ward, "a link as the folder of claims");
    precious.unchanged("links as claims");
    assert!(!ward.path(".annals/beginnings").is_symlink(), "it is in quarantine");
    still_works(&ward, "claims");
}

#[test]
fn the_list_of_a_redaction_writes_only_what_the_log_names() {
    let ward = ward();
    let precious = Precious::new(&ward);
    for (number, folder) in (1..).zip(precious.folders(&ward)) {
        // A process that was killed, as far as the log knows.
        let invocation = InvocationId([number; 16]);
        forge(&ward, invocation, None);
        let staged = ward.path(".annals/redacting");
        fs::create_dir_all(&staged).unwrap();
        fs::write(staged.join("0"), "ssh-rsa mallory\n").unwrap();
        let target = |file: &str| match folder.as_str() {
            "" => file.to_owned(),
            folder => format!("{}/{file}", folder.trim_end_matches('/')),
        };
        let files = serde_json::json!([
            { "staged": "0", "target": target("thesis.txt"), "remove": null },
            { "staged": "0", "target": target("new.txt"), "remove": null },
            { "staged": "0", "target": target("new2.txt"), "remove": target("deep/data.csv") },
            { "staged": "../../notes/thesis.txt", "target": target("new3.txt"), "remove": null },
        ]);
        let manifest = serde_json::json!({ "invocation": invocation, "files": files });
        fs::write(staged.join("manifest.json"), manifest.to_string()).unwrap();
        next_verb(&ward, &folder);
        precious.unchanged(&folder);
        for file in ["new.txt", "new2.txt", "new3.txt"] {
            assert!(!ward.path(file).exists() && !ward.path("notes").join(file).exists());
        }
        let _ = fs::remove_dir_all(staged);
    }
    still_works(&ward, "redactions");
}

#[test]
fn the_list_of_generated_files_removes_only_generated_files() {
    let ward = ward();
    let precious = Precious::new(&ward);
    for folder in precious.folders(&ward) {
        let list = ward.path(".annals/exports.json");
        let mut written: serde_json::Value =
            serde_json::from_slice(&fs::read(&list).unwrap()).unwrap();
        for (file, bytes) in [("thesis.txt", "hers"), ("deep/data.csv", "text,label\n")] {
            let path = format!("{}/{file}", folder.trim_end_matches('/'));
            written["files"][path] = serde_json::json!({
                "digest": Digest::of(bytes.as_bytes()), "bytes": bytes.len(),
                "changed_ns": 0, "inode": 0,
            });
        }
        fs::write(&list, written.to_string()).unwrap();
        next_verb(&ward, &folder);
        precious.unchanged(&folder);
    }
    still_works(&ward, "exports");
}

/// Appends what anybody can append who may write the log: an invocation that never ended and,
/// where there is one, the plan of a move in it. No key is needed.
fn forge(ward: &Workspace, invocation: InvocationId, plan: Option<&MovePlanned>) {
    let store = Store::open(&ward.path(".annals"), Env::system()).unwrap();
    store
        .write(&WriteOptions::interactive("forge", None), |writer| {
            let actor = writer.name(TAG_ACTOR, "mara")?.unwrap();
            let started = InvocationStarted {
                invocation,
                verb: "archive".into(),
                argv: vec![],
                host: "ward-3".into(),
                pid: 1,
                cwd: ".".into(),
                tool_version: "0.1.0".into(),
            };
            let author =
                Author { actor: Origin::At(actor), invocation: Some(Origin::This), key: None };
            let append = |stream: StreamId, author, events: &[Event]| Append {
                stream,
                expected: Expected::Any,
                author,
                sequence: None,
                command: None,
                occurred: None,
                provenance: Provenance::Reported,
                events: Box::leak(events.to_vec().into_boxed_slice()),
            };
            let at = writer.append(&append(invocation.into(), author, &[started.into()]))?.first;
            if let Some(plan) = plan {
                let invocation = at.map(Origin::At);
                let author = Author { actor: Origin::At(actor), invocation, key: None };
                writer.append(&append(plan.id.into(), author, &[plan.clone().into()]))?;
            }
            Ok::<(), annals::store::StoreError>(())
        })
        .unwrap();
}

#[test]
fn forged_plans_move_and_remove_nothing_of_others() {
    let ward = ward();
    let precious = Precious::new(&ward);
    let run = ward.annals(&["list", "--format", "json"]).json()[0].clone();
    let id: RunId = run["run_id"].as_str().unwrap().parse().unwrap();
    let home = format!("experiments/{}", run["experiment_id"].as_str().unwrap());
    let digest = |text: &str| Digest::of(text.as_bytes());
    let files = |source: &str| -> Vec<MovedFile> {
        [("thesis.txt", "hers"), ("deep/data.csv", "text,label\n")]
            .map(|(file, text)| MovedFile {
                path: file.into(),
                source: format!("{source}{file}"),
                digest: digest(text),
                sha256: None,
                bytes: text.len() as u64,
            })
            .to_vec()
    };
    let dropped = |before: &str| -> Vec<DroppedFile> {
        let named = |file: MovedFile| DroppedFile {
            path: format!("{before}{}", file.path),
            digest: file.digest,
            sha256: file.sha256,
            bytes: file.bytes,
        };
        files("").into_iter().map(named).collect()
    };
    let archive = |before: &str| {
        MovePurpose::Archive(ArchiveOrder {
            run: id,
            archive: Archive::Debug,
            rule: None,
            reason: "old".into(),
            policy_revision: 1,
            pack: None,
            dropped: dropped(before),
        })
    };
    let restore = |before: &str| {
        MovePurpose::Restore(RestoreOrder {
            run: id,
            reason: None,
            pack: None,
            from_blobs: dropped(before),
        })
    };
    let what = Migrated::Run { run: id, home: home.clone() };
    let purposes = |before: &str| {
        vec![
            archive(before),
            restore(before),
            MovePurpose::Migration(MigrationOrder {
                layout: LayoutKind::Consolidated,
                what: what.clone(),
            }),
            MovePurpose::Removal(RemovalOrder {
                run: id,
                plan: digest("plan"),
                reason: "old".into(),
                policy_revision: 1,
            }),
            MovePurpose::Demotion { name: "m".into(), reason: "it erred".into() },
            MovePurpose::Rollback { name: "m".into(), number: 1, reason: "it erred".into() },
        ]
    };
    let mut number = 0_u8;
    let mut attack = |purpose: MovePurpose, from: &str, to: &str, source: &str| {
        number += 1;
        let id = MoveId([number; 16]);
        let (from, to) = (from.to_owned(), to.to_owned());
        let shown = format!("{purpose:?} {from} {to} {source}");
        let plan =
            MovePlanned { id, purpose, mode: MoveMode::Move, from, to, files: files(source) };
        forge(&ward, InvocationId([number; 16]), Some(&plan));
        next_verb(&ward, &shown);
        precious.unchanged(&shown);
        assert!(ward.path(&home).join("config/config.yaml").exists(), "{shown}");
    };
    // An empty target that is there makes a plan look as if it had arrived.
    fs::create_dir_all(ward.path("experiments/archive_debug/x")).unwrap();
    for (index, folder) in precious.folders(&ward).into_iter().enumerate() {
        let purposes = purposes("");
        let purpose = purposes[index % purposes.len()].clone();
        attack(purpose, &folder, "experiments/archive_debug/x", "");
        attack(archive(""), &folder, "experiments/archive_debug/x", "");
        attack(restore(""), &home, &folder, "");
        let outside = precious.outside.display().to_string() + "/";
        for before in [outside.as_str(), "../../notes/", "../../../"] {
            if index < 3 {
                attack(archive(before), &home, "experiments/archive_debug/x", "");
                attack(archive(""), &home, "experiments/archive_debug/x", before);
            }
        }
    }
    // Plans that leave the workspace are named; the others were nobody's to refuse.
    let verified = ward.annals(&["verify", "--format", "json"]);
    let findings = verified.json()["findings"].as_array().unwrap().clone();
    let is_plan = |finding: &serde_json::Value| {
        let what = finding["what"].as_str().unwrap();
        what.starts_with("move.planned") && what.contains("the path leaves its folder")
    };
    assert!(verified.code == 10 && findings.iter().all(is_plan), "{findings:?}");
    ward.annals(&["note", "one", "and on"]).ok();
}

#[test]
fn links_and_paths_in_settings_lead_nowhere() {
    let ward = ward();
    let precious = Precious::new(&ward);
    let toml = ward.path("annals.toml");
    let settings = fs::read_to_string(&toml).unwrap();
    for path in [".annals", ".annals/blobs", "..", "../x", "a/../../x", ".git/hooks", "/"] {
        for key in ["experiments", "production"] {
            fs::write(&toml, format!("{settings}\n[paths]\n{key} = \"{path}\"\n")).unwrap();
            assert_eq!(ward.annals(&["run", "start", "--name", "x"]).code, 3, "{key} {path}");
        }
    }
    fs::write(&toml, &settings).unwrap();
    // What annals writes into, as links to her folder.
    fs::rename(ward.path("experiments"), ward.path("moved")).unwrap();
    symlink(&precious.outside, ward.path("experiments")).unwrap();
    for verb in [&["run", "start", "--name", "x"][..], &["archive", "one"], &["promote", "one"]] {
        let answer = ward.annals(verb);
        assert_ne!(answer.code, 0, "{verb:?}");
        precious.unchanged(&format!("{verb:?}"));
    }
    ward.annals(&["run", "start", "--name", "x"]).refused(3, "is a symbolic link");
    fs::remove_file(ward.path("experiments")).unwrap();
    fs::rename(ward.path("moved"), ward.path("experiments")).unwrap();
    for file in ["exports.lock", "views.lock", "undo.lock", "redact.lock", "views.redb"] {
        let (path, target) = (ward.path(".annals").join(file), precious.outside.join("made"));
        let _ = fs::remove_file(&path);
        symlink(&target, &path).unwrap();
        ward.annals(&["note", "one", "x"]);
        ward.annals(&["undo"]);
        assert!(!target.exists(), "{file}");
        let _ = fs::remove_file(path);
    }
    precious.unchanged("links in .annals");
    still_works(&ward, "links");
}

#[test]
fn doctor_names_production_files_behind_links() {
    let ward = ward();
    ward.annals(&["promote", "one", "--as", "m"]).ok();
    ward.annals(&["doctor"]).ok();
    let file = ward.path("models/production/m/config.yaml");
    fs::rename(&file, ward.path("kept.yaml")).unwrap();
    symlink(ward.path("kept.yaml"), &file).unwrap();
    let answer = ward.annals(&["doctor"]);
    assert!(answer.code == 9 && answer.out.contains("config.yaml"), "{}", answer.out);
    fs::rename(ward.path("kept.yaml"), &file).unwrap();
    fs::rename(ward.path("models"), ward.path("elsewhere")).unwrap();
    symlink(ward.path("elsewhere"), ward.path("models")).unwrap();
    let answer = ward.annals(&["doctor"]);
    assert!(answer.code == 9 && answer.out.contains("symbolic link"), "{}", answer.out);
    ward.annals(&["predict", "m", "a text"]).refused(3, "symbolic link");
}

/// Every argument with which a verb writes a file or folder: a row for each of `OUTPUTS` in
/// `src/cli/out.rs`.
const OUTPUTS: [&[&str]; 12] = [
    &["checkpoint", "anchor"],
    &["compare", "--out"],
    &["consolidate", "report", "--out"],
    &["export", "csv"],
    &["log", "copy"],
    &["plot", "curves", "one", "--out"],
    &["predict", "one", "a text", "--out"],
    &["query", "select 1", "--out"],
    &["replay", "--out"],
    &["report", "--out"],
    &["snapshot", "restore", "latest", "--to"],
    &["why", "one", "--proofs"],
];

#[test]
fn no_verb_writes_where_annals_keeps_its_own() {
    let ward = ward();
    ward.annals(&["promote", "one", "--as", "m"]).ok();
    ward.annals(&["snapshot", "create"]).ok();
    let run = ward.annals(&["list", "--format", "json"]).json()[0]["experiment_id"].clone();
    let run = format!("experiments/{}", run.as_str().unwrap());
    symlink(ward.path(".annals"), ward.path("link")).unwrap();
    symlink(ward.path(".annals/log.redb"), ward.path("leaf.csv")).unwrap();
    symlink(ward.path("models/production/m"), ward.path("model")).unwrap();
    fs::copy(ward.path(".annals/log.redb"), ward.path("copy.csv")).unwrap();
    let key = fs::read_dir(ward.home().join(".config/annals/keys")).unwrap().next().unwrap();
    let key = key.unwrap().path().display().to_string();
    let owned = [
        ".annals/log.redb".to_owned(),
        ".annals/views.redb".into(),
        ".annals/new.csv".into(),
        ".annals/blobs/ab/x.csv".into(),
        "./experiments/../.annals/log.redb".into(),
        "link/log.redb".into(),
        "link/new.csv".into(),
        "leaf.csv".into(),
        "copy.csv".into(),
        "annals.toml".into(),
        "models_registry.json".into(),
        "MODEL_VERSION.json".into(),
        "models/production/m/README.md".into(),
        "models/production/new.csv".into(),
        "model/new.csv".into(),
        format!("{run}/config/config.yaml"),
        format!("{run}/new.csv"),
        "experiments/new.csv".into(),
        ward.path(".annals/log.redb").display().to_string(),
        key,
    ];
    let before = fingerprint(&ward);
    for path in &owned {
        for verb in OUTPUTS {
            let args = [verb, &[path.as_str()]].concat();
            let answer = ward.annals(&args);
            assert_eq!(answer.code, 2, "{args:?}: {}{}", answer.out, answer.err);
            assert_eq!(fingerprint(&ward), before, "{args:?}");
        }
    }
    // Elsewhere they write.
    for (number, verb) in OUTPUTS.iter().enumerate() {
        let ending = if verb[0] == "plot" {
            "svg"
        } else if verb[0] == "report" {
            "md"
        } else {
            "csv"
        };
        let name = format!("out/{number}.{ending}");
        fs::create_dir_all(ward.path("out")).unwrap();
        ward.annals(&[verb, &[name.as_str()][..]].concat()).ok();
        assert!(ward.path(&name).exists(), "{verb:?}");
    }
}

/// What is owned, by path and bytes; the log's own file may be repaired by readers, so its size.
fn fingerprint(ward: &Workspace) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let roots = ["experiments", "models", ".annals/blobs", "annals.toml", "copy.csv"];
    let mut folders: Vec<PathBuf> = roots.iter().map(|root| ward.path(root)).collect();
    folders.push(ward.home().join(".config"));
    folders.extend(["models_registry.json", "MODEL_VERSION.json"].map(|file| ward.path(file)));
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.push((PathBuf::from("log"), ward.annals(&["log", "--format", "json"]).ok().out.into()));
    found.sort();
    found
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    // Of a list in JSON a digit of a digest, so that it can still be read.
    let at = (at..bytes.len()).find(|at| bytes[*at].is_ascii_digit()).unwrap_or(at);
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flip_in_any_file_of_a_run_is_found_by_a_deep_audit() {
    let ward = ward();
    let run = ward.annals(&["list", "--format", "json"]).json()[0]["experiment_id"].clone();
    let run = format!("experiments/{}", run.as_str().unwrap());
    let named = |path: &str| {
        let audit = ward.annals(&["audit", "--deep", "--format", "json"]);
        audit.out.contains(path) && audit.out.contains("run-file-changed")
    };
    let (mut kinds, mut unseen) = (Vec::new(), Vec::new());
    for path in files_below(&ward.path(&run)) {
        let inside = path.strip_prefix(&ward.root).unwrap().display().to_string();
        let before = fs::read(&path).unwrap();
        if before.is_empty() {
            continue;
        }
        flip(&path);
        if !named(&inside) {
            unseen.push(inside.clone());
        }
        fs::write(&path, before).unwrap();
        kinds.push(inside);
    }
    assert!(unseen.is_empty(), "{unseen:?}");
    for file in ["config/dataset.bin", "config/sample_data.csv", "trainer.bin", "manifest.json"] {
        assert!(kinds.iter().any(|path| path.ends_with(file)), "{file} is not in {kinds:?}");
    }
    assert!(!named(&run), "nothing is changed any more");
    // Packed, the pack is what is read.
    ward.annals(&["archive", "one", "--compress", "zst"]).ok();
    let archived = files_below(&ward.path("experiments/archived"));
    let pack = archived.iter().find(|path| path.extension().is_some_and(|e| e == "zst")).unwrap();
    flip(pack);
    assert!(named(&pack.strip_prefix(&ward.root).unwrap().display().to_string()));
    ward.annals(&["restore", "one"]).refused(10, "was changed after");
    assert!(pack.exists());
}

#[test]
fn training_goes_on_only_from_what_was_recorded() {
    let ward = Workspace::new();
    ward.train("one", &["--set", "toy.nan_at_step=40", "--set", "training.num_epochs=9"]);
    let line = ward.annals(&["list", "--format", "json"]).json()[0].clone();
    assert_ne!(line["status"], "finished", "{line}");
    let run = ward.path("experiments").join(line["experiment_id"].as_str().unwrap());
    let manifests: Vec<PathBuf> = files_below(&run.join("checkpoints"))
        .into_iter()
        .filter(|path| path.ends_with("manifest.json"))
        .collect();
    assert!(!manifests.is_empty(), "{:?}", files_below(&run));
    for manifest in &manifests {
        // Weights of somebody else, with a list that fits them.
        let state = manifest.with_file_name("trainer.bin");
        let before = Digest::of(&fs::read(&state).unwrap()).to_string();
        flip(&state);
        let after = Digest::of(&fs::read(&state).unwrap()).to_string();
        let text = fs::read_to_string(manifest).unwrap();
        assert!(text.contains(&before));
        fs::write(manifest, text.replace(&before, &after)).unwrap();
    }
    ward.annals(&["train", "--resume", line["experiment_id"].as_str().unwrap()])
        .refused(10, "is not what was recorded");
}
