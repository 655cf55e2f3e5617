//! Snapshots: what they keep, that they are checked, restored and compared, and what they refuse.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::Workspace;
use crate::walk::{agree, every_step};

fn git(dir: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", dir).current_dir(dir);
    git.args(["-c", "user.name=mara", "-c", "user.email=mara@ward", "-c", "init.defaultBranch=m"]);
    assert!(git.args(words).output().unwrap().status.success(), "git {words:?}");
}

/// A workspace with some code; `true` puts it under git.
fn with_code(under_git: bool) -> Workspace {
    let ward = Workspace::new();
    fs::create_dir_all(ward.path("src")).unwrap();
    fs::write(ward.path("src/train.sh"), "echo one\n").unwrap();
    fs::set_permissions(ward.path("src/train.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(ward.path("Cargo.lock"), "# packages\n").unwrap();
    symlink("/etc/passwd", ward.path("src/link")).unwrap();
    if under_git {
        fs::write(ward.path(".gitignore"), "secret\n").unwrap();
        git(&ward.root, &["init"]);
        git(&ward.root, &["add", "src", "Cargo.lock", ".gitignore"]);
        git(&ward.root, &["commit", "-m", "first"]);
    }
    ward
}

fn take(ward: &Workspace, more: &[&str]) -> serde_json::Value {
    let args = [&["snapshot", "create", "--format", "json"], more].concat();
    ward.annals(&args).ok().json()
}

fn name(taken: &serde_json::Value) -> String {
    taken["snapshot"].as_str().unwrap().to_owned()
}

fn restored(ward: &Workspace, snapshot: &str, to: &str) -> std::path::PathBuf {
    ward.annals(&["snapshot", "restore", snapshot, "--to", to]).ok();
    ward.path(to)
}

/// The legacy tool kept copies without digests, a hard-coded description, and had no restore.
#[test]
fn a_snapshot_has_what_git_keeps_or_would_take_and_brings_it_back() {
    let ward = with_code(true);
    ward.train("night", &[]).ok();
    ward.allow_synthetic();
    ward.annals(&["promote", "night", "--as", "night_v1"]).ok();
    fs::write(ward.path("src/train.sh"), "echo two\n").unwrap();
    fs::write(ward.path("notes.txt"), "not added yet\n").unwrap();
    fs::write(ward.path("secret"), "ignored\n").unwrap();
    fs::remove_file(ward.path("Cargo.lock")).unwrap();
    let taken = take(&ward, &["--message", "as the paper has it"]);
    let out = restored(&ward, &name(&taken)[..8], "../out");
    assert_eq!(fs::read(out.join("code/src/train.sh")).unwrap(), b"echo two\n");
    let mode = fs::metadata(out.join("code/src/train.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(fs::read_link(out.join("code/src/link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs::read(out.join("code/notes.txt")).unwrap(), b"not added yet\n");
    for absent in ["secret", "Cargo.lock", ".annals", "experiments", "models_registry.json"] {
        assert!(!out.join("code").join(absent).exists(), "{absent}");
    }
    let difference = fs::read_to_string(out.join("uncommitted.diff")).unwrap();
    assert!(difference.contains("-echo one") && difference.contains("deleted file"));
    let model = ward.read("models/production/night_v1/training_info.json");
    assert_eq!(fs::read(out.join("models/night_v1/training_info.json")).unwrap(), model);
    assert!(out.join("config/policy.json").is_file());
    let list = fs::read(out.join("snapshot.json")).unwrap();
    assert_eq!(annals::base::Digest::of(&list).to_string(), name(&taken));
    let shown = ward.annals(&["snapshot", "show", "latest", "--format", "json"]).ok().json();
    assert_eq!(shown["taken"]["message"], "as the paper has it");
    assert_eq!(shown["taken"]["dirty"], true);
    assert_eq!(shown["content"]["models"], serde_json::json!([["night_v1", "1.0.0"]]));
    assert!(shown["content"]["tree"].as_str().unwrap().len() == 40);
    ward.annals(&["snapshot", "verify", "latest"]).ok();
    agree(&ward);
}

#[test]
fn without_git_the_folder_is_the_code_and_the_same_content_is_kept_once() {
    let ward = with_code(false);
    let first = take(&ward, &[]);
    assert_eq!(first["new"], true);
    let again = take(&ward, &[]);
    assert_eq!((name(&again), &again["new"]), (name(&first), &serde_json::json!(false)));
    let blobs = |ward: &Workspace| {
        let gc = ward.annals(&["gc", "--min-age", "0", "--format", "json"]).ok().json();
        assert_eq!(gc["found"]["garbage"], serde_json::json!([]), "a snapshot needs its blobs");
        gc["found"]["blobs"].as_u64().unwrap()
    };
    let before = blobs(&ward);
    fs::write(ward.path("src/new.sh"), "echo new\n").unwrap();
    let second = take(&ward, &[]);
    // One file and one list are new.
    assert_eq!(blobs(&ward), before + 2);
    let (a, b) = (name(&first), name(&second));
    let found = ward.annals(&["snapshot", "diff", &a, &b, "--format", "json"]).ok().json();
    assert_eq!(found["facts"], serde_json::json!([]));
    let files = found["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0]["path"], "code/src/new.sh");
    assert_eq!(files[0]["before"], serde_json::Value::Null);
    ward.annals(&["gc", "--apply", "--min-age", "0"]).ok();
    ward.annals(&["snapshot", "verify", &a]).ok();
    let listed = ward.annals(&["snapshot", "list", "--format", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    agree(&ward);
}

#[test]
fn a_run_that_a_snapshot_names_is_kept_and_stays_where_it_is() {
    let ward = Workspace::new();
    for name in ["old_debug", "debug_two"] {
        let train = ["train", "--config", "toy", "--name", name, "--sample-size", "600"];
        ward.annals(&[&train[..], &["--category", "debug"]].concat()).ok();
    }
    let out = name(&take(&ward, &["--run", "old_debug"]));
    let out = restored(&ward, &out, "../out");
    let folder = fs::read_dir(out.join("runs")).unwrap().next().unwrap().unwrap().path();
    assert!(fs::read_dir(folder.join("config")).unwrap().next().is_some());
    let plan = ward.annals(&["cleanup", "--keep", "0", "--dry-run", "--format", "json"]).ok();
    assert!(plan.out.contains("named by a snapshot"), "{}", plan.out);
    ward.annals(&["cleanup", "--keep", "0"]).ok();
    let shown = ward.annals(&["show", "old_debug", "--format", "json"]).ok().json();
    assert!(shown["folder"].as_str().unwrap().starts_with("experiments/old_debug_"), "{shown}");
    let moved = ward.annals(&["show", "debug_two", "--format", "json"]).ok().json();
    assert!(moved["folder"].as_str().unwrap().starts_with("experiments/archive_debug/"), "{moved}");
    ward.annals(&["snapshot", "create", "--run", "nobody"]).refused(4, "there is no run");
}

#[test]
fn damage_is_named_and_nothing_of_it_is_restored() {
    let ward = with_code(false);
    let snapshot = name(&take(&ward, &[]));
    let digest = annals::base::Digest::of(b"echo one\n");
    let blob = ward.path(&format!(".annals/blobs/{}/{digest}", digest.short(2)));
    fs::write(&blob, b"echo two\n").unwrap();
    let found = ward.annals(&["snapshot", "verify", &snapshot]);
    assert!(found.out.contains("code/src/train.sh"), "{}", found.out);
    found.refused(10, "1 of 6 files");
    ward.annals(&["snapshot", "restore", &snapshot, "--to", "out"]).refused(10, "");
    assert!(!ward.path("out").exists());
    fs::remove_file(&blob).unwrap();
    ward.annals(&["snapshot", "verify", &snapshot]).refused(10, "1 of 6 files");
    let list = ward.path(&format!(".annals/blobs/{}/{snapshot}", &snapshot[..2]));
    fs::write(&list, b"{}").unwrap();
    ward.annals(&["snapshot", "show", &snapshot]).refused(10, "");
    ward.annals(&["verify"]).refused(10, "");
    // What it needs is unknown now, so nothing may go.
    ward.annals(&["gc", "--apply", "--min-age", "0"]).refused(10, "");
}

#[test]
fn what_cannot_be_kept_or_written_is_refused_by_name() {
    let ward = with_code(false);
    let snapshot = name(&take(&ward, &[]));
    fs::create_dir_all(ward.path("full")).unwrap();
    fs::create_dir_all(ward.path("empty")).unwrap();
    fs::write(ward.path("full/x"), "x").unwrap();
    symlink("empty", ward.path("linked")).unwrap();
    let restore = |to: &str| ward.annals(&["snapshot", "restore", &snapshot, "--to", to]);
    restore("full").refused(6, "is not empty");
    restore("full/x").refused(6, "is not a folder");
    restore("linked").refused(6, "is not a folder");
    restore(".annals/x").refused(2, "keeps its log");
    restore("empty").ok();
    ward.annals(&["snapshot", "show", "abc"]).refused(4, "there is no snapshot");
    ward.annals(&["snapshot", "create", "--message", ""]).refused(2, "it is empty");
    // Git is there and cannot be asked: what it ignores must not slip in.
    fs::create_dir_all(ward.path(".git")).unwrap();
    ward.annals(&["snapshot", "create"]).refused(7, "cannot read the git folder");
    fs::remove_dir(ward.path(".git")).unwrap();
    let fifo = Command::new("mkfifo").arg(ward.path("pipe")).status().unwrap();
    assert!(fifo.success());
    assert_eq!(take(&ward, &[])["left_out"], serde_json::json!(["code/pipe"]));
    fs::set_permissions(ward.path("Cargo.lock"), fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(ward.path("Cargo.lock")).is_ok() {
        eprintln!("skipped: whoever runs this may read every file");
    } else {
        ward.annals(&["snapshot", "create"]).refused(7, "Cargo.lock");
    }
}

#[test]
fn trees_inside_the_tree_and_a_workspace_below_its_top_are_kept() {
    let ward = Workspace::bare();
    let top = ward.root.clone();
    git(&top, &["init"]);
    fs::create_dir_all(top.join("lib")).unwrap();
    git(&top.join("lib"), &["init"]);
    fs::write(top.join("lib/inner.txt"), "inner\n").unwrap();
    fs::write(top.join("outer.txt"), "outer\n").unwrap();
    fs::create_dir_all(top.join("work")).unwrap();
    ward.annals(&["-C", "work", "init"]).ok();
    ward.annals(&["-C", "work", "snapshot", "create"]).ok();
    ward.annals(&["-C", "work", "snapshot", "restore", "latest", "--to", "../../out"]).ok();
    let out = top.join("../out");
    assert_eq!(fs::read(out.join("code/lib/inner.txt")).unwrap(), b"inner\n");
    assert_eq!(fs::read(out.join("code/outer.txt")).unwrap(), b"outer\n");
    assert!(!out.join("code/work/.annals").exists());
    assert!(out.join("code/work/annals.toml").is_file());
}

/// File systems take any bytes for a name.
#[test]
fn odd_names_come_back_byte_for_byte() {
    for under_git in [false, true] {
        let ward = with_code(under_git);
        let name_of = |bytes: &[u8]| std::ffi::OsStr::from_bytes(bytes).to_owned();
        let odd = [
            &b"od\xff"[..],
            b"back\\slash",
            b"back\\xff",
            b"two\nlines",
            b"-rf",
            "größe".as_bytes(),
        ];
        fs::create_dir_all(ward.root.join(name_of(b"dir\xfe"))).unwrap();
        for name in odd {
            fs::write(ward.root.join(name_of(name)), name).unwrap();
            fs::write(ward.root.join(name_of(b"dir\xfe")).join(name_of(name)), name).unwrap();
        }
        symlink(name_of(b"to\xff"), ward.root.join(name_of(b"link\xff"))).unwrap();
        let taken = take(&ward, &[]);
        let shown = ward.annals(&["snapshot", "show", &name(&taken), "--files"]).ok().out;
        assert!(shown.contains("code/od\\xff") && shown.contains("code/back\\\\xff"), "{shown}");
        let out = restored(&ward, &name(&taken), "../out").join("code");
        for name in odd {
            assert_eq!(fs::read(out.join(name_of(name))).unwrap(), name);
            assert_eq!(fs::read(out.join(name_of(b"dir\xfe")).join(name_of(name))).unwrap(), name);
        }
        let link = fs::read_link(out.join(name_of(b"link\xff"))).unwrap();
        assert_eq!(link, Path::new(&name_of(b"to\xff")));
        ward.annals(&["snapshot", "verify", &name(&taken)]).ok();
    }
}

#[test]
fn a_submodule_is_kept_with_its_changes_and_a_bare_repository_is_a_folder() {
    let ward = with_code(true);
    let upstream = ward.root.with_file_name("upstream");
    fs::create_dir_all(&upstream).unwrap();
    git(&upstream, &["init"]);
    fs::write(upstream.join("lib.txt"), "one\n").unwrap();
    git(&upstream, &["add", "lib.txt"]);
    git(&upstream, &["commit", "-m", "first"]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "add", "../upstream", "lib"];
    git(&ward.root, &add);
    git(&ward.root, &["commit", "-m", "with a library"]);
    fs::write(ward.path("lib/lib.txt"), "two\n").unwrap();
    fs::write(ward.path("lib/new.txt"), "new\n").unwrap();
    let out = restored(&ward, &name(&take(&ward, &[])), "../out").join("code");
    assert_eq!(fs::read(out.join("lib/lib.txt")).unwrap(), b"two\n");
    assert_eq!(fs::read(out.join("lib/new.txt")).unwrap(), b"new\n");
    assert!(!out.join("lib/.git").exists());
    // One that was never fetched has no files.
    git(&ward.root, &["submodule", "deinit", "--force", "lib"]);
    let out = restored(&ward, &name(&take(&ward, &[])), "../out2").join("code");
    assert!(!out.join("lib/lib.txt").exists() && out.join("src/train.sh").is_file());

    // Inside of a bare repository no tree says what is code.
    let bare = with_code(false);
    git(&bare.root, &["init", "--bare"]);
    let out = restored(&bare, &name(&take(&bare, &[])), "../out").join("code");
    assert!(out.join("HEAD").is_file() && out.join("src/train.sh").is_file());
    // A tree that has none says so.
    let odd = with_code(true);
    git(&odd.root, &["config", "core.bare", "true"]);
    odd.annals(&["snapshot", "create"]).refused(7, "must be run in a work tree");
}

#[test]
fn a_large_file_is_kept_as_it_is() {
    let ward = with_code(false);
    let large = vec![7_u8; 9 * 1024 * 1024];
    fs::write(ward.path("large.bin"), &large).unwrap();
    let out = restored(&ward, &name(&take(&ward, &[])), "../out");
    assert!(fs::read(out.join("code/large.bin")).unwrap() == large);
    ward.annals_on_a_full_disk(4096, &["snapshot", "restore", "latest", "--to", "../out2"])
        .refused(7, "cannot write");
    assert!(!ward.path("../out2").exists());
}

#[test]
fn a_kill_at_every_step_of_taking_or_restoring_leaves_it_whole_or_not_there() {
    let ward = with_code(true);
    every_step(&ward, &["snapshot", "create", "--message", "now"]);
    take(&ward, &[]);
    every_step(&ward, &["snapshot", "restore", "latest", "--to", "../out"]);
    let both = [1, 2].map(|_| ward.spawn(&["snapshot", "create", "--message", "two at once"]));
    assert_eq!(both.map(|mut child| child.wait().unwrap().success()), [true, true]);
    let listed = ward.annals(&["snapshot", "list", "--format", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    agree(&ward);
}
