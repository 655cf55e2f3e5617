//! What nothing in the log explains in `.annals`: named by `doctor`, moved away by the next
//! changing verb, never removed, read or followed. What is annals' own is never moved.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use annals::base::{Digest, Env, InvocationId};
use annals::domain::invocation::InvocationStarted;
use annals::domain::{Event, Provenance};
use annals::store::{Append, Author, Expected, Origin, Store, TAG_ACTOR, WriteOptions};

use crate::support::{Workspace, kill_9, wait_for};
use crate::walk::agree;

/// What is planted at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    File,
    Folder,
    Link,
    Dangling,
    Pipe,
    Socket,
}

use Planted::{Dangling, File, Folder, Link, Pipe, Socket};

fn plant(path: &Path, what: Planted, hers: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match what {
        File => fs::write(path, "planted").unwrap(),
        Folder => {
            fs::create_dir_all(path.join("deep")).unwrap();
            fs::write(path.join("deep/file"), "planted").unwrap();
        }
        Link => symlink(hers, path).unwrap(),
        Dangling => symlink("/nowhere/at/all", path).unwrap(),
        Pipe => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        Socket => drop(UnixListener::bind(path).unwrap()),
    }
}

#[track_caller]
fn is_still(path: &Path, what: Planted) {
    let kind = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{path:?}: {e}")).file_type();
    let same = match what {
        File => fs::read(path).is_ok_and(|bytes| bytes == b"planted"),
        Folder => fs::read(path.join("deep/file")).is_ok_and(|bytes| bytes == b"planted"),
        Link | Dangling => kind.is_symlink(),
        Pipe => kind.is_fifo(),
        Socket => kind.is_socket(),
    };
    assert!(same, "{what:?} at {path:?}");
}

/// Strange names in every folder of `.annals`, of every type.
fn strangers() -> Vec<(String, Planted)> {
    let digest = Digest::of(b"planted").to_string();
    let shard = &digest[..2];
    let other = if shard == "ab" { "cd" } else { "ab" };
    let id = InvocationId([7; 16]);
    let mut all: Vec<(String, Planted)> = [
        ("notes.txt", File),
        ("log.redb.bak", File),
        ("views.redb-journal", File),
        (".exports.json.tmp", File),
        (".unknown.json.12-0.tmp", File),
        (".exports.json.12-0.tmp", Link),
        ("policy-edit-12.json", Dangling),
        ("engine.x.log", File),
        ("removed", Folder),
        ("LIVE", Folder),
        ("folder", Folder),
        ("link", Link),
        ("gone", Dangling),
        ("pipe", Pipe),
        ("socket", Socket),
        ("undo.lock", Link),
        ("redact.lock", Folder),
        ("live/x.lock", File),
        ("live/x", Folder),
        ("live/pipe", Pipe),
        ("beginnings/one", Folder),
        ("beginnings/two", Link),
        ("beginnings/pipe", Pipe),
        ("redacting/x", File),
        ("redacting/1", Link),
        ("redacting/folder", Folder),
        ("redacting/manifest.json", File),
        ("blobs/zz", Folder),
        ("blobs/README", File),
        ("blobs/abc", Link),
        ("blobs/00/notes", File),
        ("blobs/00/folder", Folder),
        ("blobs/00/pipe", Pipe),
    ]
    .map(|(path, what)| (path.to_owned(), what))
    .to_vec();
    all.extend([
        (format!("live/{id}.lock.bak"), File),
        (format!("live/{id}.lock"), Dangling),
        (format!("blobs/{shard}/{digest}"), Link),
        (format!("blobs/{other}/{digest}"), File),
        (format!("blobs/{shard}/{digest}.bak"), File),
    ]);
    all
}

#[test]
fn every_stranger_is_named_and_moved_whole() {
    let ward = Workspace::new();
    agree(&ward);
    let outside = tempfile::tempdir().unwrap();
    let hers = outside.path().join("thesis");
    fs::write(&hers, "hers").unwrap();
    let strangers = strangers();
    for (path, what) in &strangers {
        plant(&ward.path(".annals").join(path), *what, &hers);
    }
    // A claim on somebody's folder, and a name that is no text.
    let claim = ward.path(".annals/beginnings/claim");
    fs::write(&claim, format!("{}\nmade\n", outside.path().display())).unwrap();
    let odd = ward.path(".annals").join(OsStr::from_bytes(b"odd\xff\x1b[31m"));
    fs::write(&odd, "planted").unwrap();

    let doctor = ward.annals(&["doctor"]);
    assert_eq!(doctor.code, 9, "{}", doctor.err);
    for (path, _) in &strangers {
        let line = format!(".annals/{path} is a ");
        assert!(doctor.out.contains(&line), "{path} is not named: {}", doctor.out);
    }
    assert!(doctor.out.contains(".annals/beginnings/claim is a file"), "{}", doctor.out);
    assert!(!doctor.out.contains('\u{1b}'), "{}", doctor.out);
    // Reading verbs, and a dry run, move nothing.
    ward.annals(&["list"]).ok();
    ward.annals(&["policy", "set", "production_promotion.approvals", "2", "--dry-run"]).ok();
    assert!(!ward.path(".annals/quarantine").exists());

    let count = strangers.len() + 2;
    let verb = ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    let told = verb.err.lines().filter(|line| line.contains(".annals/quarantine/1")).count();
    assert_eq!(told, 1, "{}", verb.err);
    assert!(verb.err.contains(&format!("{count} paths in .annals")), "{}", verb.err);
    assert!(verb.err.contains(&format!("and {} more", count - 10)), "{}", verb.err);
    for (path, what) in &strangers {
        is_still(&ward.path(".annals/quarantine/1").join(path), *what);
    }
    assert!(ward.path(".annals/quarantine/1/beginnings/claim").is_file() && !claim.exists());
    assert!(ward.path(".annals/quarantine/1").join(odd.file_name().unwrap()).is_file());
    assert_eq!(fs::read_to_string(&hers).unwrap(), "hers");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);

    // Once: a person looks into it, and then nothing is left to say.
    let quiet = ward.annals(&["policy", "set", "production_promotion.approvals", "3"]).ok();
    assert!(!quiet.err.contains("quarantine"), "{}", quiet.err);
    let doctor = ward.annals(&["doctor"]).refused(9, "");
    assert_eq!(doctor.out.matches(".annals/quarantine keeps").count(), 1, "{}", doctor.out);
    fs::remove_dir_all(ward.path(".annals/quarantine")).unwrap();
    agree(&ward);
}

/// Something else in the place of a file that annals reads keeps no verb waiting, takes no memory,
/// and is out of the way after the next changing verb.
#[test]
fn nothing_in_the_place_of_an_own_file_holds_anybody_up() {
    let ward = Workspace::new();
    ward.annals(&["run", "start", "--name", "one"]).ok();
    let endless = Path::new("/dev/zero");
    let mut approvals = 1;
    for file in [
        "place.json",
        "exports.json",
        "exports.lock",
        "views.redb",
        "views.lock",
        "redacting/manifest.json",
        "beginnings/two_20270301_100000",
        "undo.lock",
    ] {
        for what in [Pipe, Link, Dangling, Folder, Socket] {
            let path = ward.path(".annals").join(file);
            let _ = fs::remove_file(&path);
            plant(&path, what, endless);
            let begun = Instant::now();
            for reads in [&["list"][..], &["status"], &["doctor"], &["log", "-n", "1"]] {
                let answer = ward.annals(reads);
                let may = [0, 7, 9].contains(&answer.code);
                assert!(may, "{file} {what:?} {reads:?}: {} {}", answer.code, answer.err);
            }
            approvals += 1;
            let set = ["policy", "set", "production_promotion.approvals", &approvals.to_string()];
            let answer = ward.annals(&set).ok();
            assert!(begun.elapsed() < Duration::from_secs(30), "{file} {what:?}");
            let named = format!(".annals/{file}");
            assert!(answer.err.contains(&named), "{file} {what:?}: {}", answer.err);
            fs::remove_dir_all(ward.path(".annals/quarantine")).unwrap();
            agree(&ward);
        }
    }
}

/// The quarantine itself cannot lead outside, and each verb that finds something has a number.
#[test]
fn the_quarantine_is_no_way_out() {
    let ward = Workspace::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), ward.path(".annals/quarantine")).unwrap();
    fs::write(ward.path(".annals/strange"), "planted").unwrap();
    let set = |value: &str| {
        ward.annals(&["policy", "set", "production_promotion.approvals", value]).ok().err
    };
    let told = set("2");
    assert!(told.contains(".annals/quarantine, .annals/strange"), "{told}");
    assert!(ward.path(".annals/quarantine/1/quarantine").is_symlink());
    assert_eq!(ward.read(".annals/quarantine/1/strange"), b"planted");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    fs::write(ward.path(".annals/strange"), "again").unwrap();
    set("3");
    assert_eq!(ward.read(".annals/quarantine/2/strange"), b"again");
    // What stands where annals keeps its own is reported and left: it may be somebody's disk.
    fs::rename(ward.path(".annals/blobs"), outside.path().join("blobs")).ok();
    fs::create_dir_all(outside.path().join("blobs")).unwrap();
    symlink(outside.path().join("blobs"), ward.path(".annals/blobs")).unwrap();
    let doctor = ward.annals(&["doctor"]).refused(9, "");
    assert!(doctor.out.contains(".annals/blobs is a symbolic link"), "{}", doctor.out);
    let told = set("4");
    assert!(!told.contains("quarantine") && ward.path(".annals/blobs").is_symlink(), "{told}");
}

/// Where nothing can be moved, verbs do their work all the same.
#[test]
fn what_cannot_be_moved_is_named_and_left() {
    let ward = Workspace::new();
    fs::write(ward.path(".annals/strange"), "planted").unwrap();
    let set = ["policy", "set", "production_promotion.approvals", "2"];
    fs::create_dir(ward.path(".annals/quarantine")).unwrap();
    let close = |mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        let closed = fs::Permissions::from_mode(mode);
        fs::set_permissions(ward.path(".annals/quarantine"), closed).unwrap();
    };
    close(0o500);
    // Root may write everywhere.
    if fs::create_dir(ward.path(".annals/quarantine/probe")).is_ok() {
        return close(0o700);
    }
    let told = ward.annals(&set).ok().err;
    close(0o700);
    assert!(told.contains("cannot be moved to .annals/quarantine"), "{told}");
    assert_eq!(ward.read(".annals/strange"), b"planted");
}

/// People and processes in the middle of everything lose nothing.
#[test]
fn what_is_under_way_is_never_moved() {
    let ward = Workspace::new();
    let path = |file: &str| ward.path(".annals").join(file);
    let own: Vec<PathBuf> = vec![
        // Left over by kill -9, kept for people, and of an editor that is open.
        path(".exports.json.999999-3.tmp"),
        path(".place.json.999999-0.tmp"),
        path("log.redb.new"),
        path("policy-edit-999999.json"),
        path(".policy-edit-999999.json.swp"),
        path("policy-edit-999999.json~"),
        path("engine.999999.log"),
        path("live").join(format!("{}.lock", InvocationId([9; 16]))),
        path("damaged/night.0123456789ab/weights.bin"),
        path("damaged/read me.txt"),
        path("blobs/.incoming.999999.tmp"),
        path("blobs/00").join(format!(".{}.gone", "00".repeat(32))),
        path("blobs/00").join(format!(".{}.999999-1.tmp", "00".repeat(32))),
    ];
    for file in &own {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "hers").unwrap();
    }
    // A claim that its process holds, before its text is written.
    fs::create_dir_all(path("beginnings")).unwrap();
    fs::write(path("beginnings/night"), "").unwrap();
    let script = ["run", "exec", "--name", "slow", "--", "sh", "-c", "echo loss=0.5; sleep 30"];
    let mut slow = ward.spawn(&script);
    wait_for("the script", || {
        let runs = ward.annals(&["list", "--format", "json"]).ok().json();
        runs.as_array().filter(|runs| !runs.is_empty()).map(|_| ())
    });
    let annals = env!("CARGO_BIN_EXE_annals");
    let editor = format!(
        "sh -c '{annals} policy set production_promotion.approvals 3; sed -i s/0.55/0.6/ $0'"
    );
    // Somebody works on while an edit is open; the edit is refused, and kept.
    ward.annals_with(&[("EDITOR", &editor)], &["policy", "edit"]).refused(6, "the edit is kept");
    ward.annals(&["note", "slow", "seen"]).ok();
    for file in &own {
        assert_eq!(fs::read(file).unwrap(), b"hers", "{}", file.display());
    }
    let edits = fs::read_dir(path("")).unwrap().flatten();
    let edits = edits.filter(|e| e.file_name().to_string_lossy().starts_with("policy-edit-"));
    assert_eq!(edits.count(), 3);
    kill_9(slow.id());
    slow.wait().unwrap();
    ward.annals(&["note", "slow", "its supervisor is gone"]).ok();
    assert!(!path("quarantine").exists());
    let doctor = ward.annals(&["doctor"]);
    assert!(!doctor.out.contains("nothing in the log explains"), "{}", doctor.out);
}

/// A later version of annals was here, as far as the log tells.
pub fn used_by_a_later_version(ward: &Workspace) {
    let store = Store::open(&ward.path(".annals"), Env::system()).unwrap();
    let invocation = InvocationId([5; 16]);
    let started: Event = InvocationStarted {
        invocation,
        verb: "note".into(),
        argv: vec![],
        host: "ward-3".into(),
        pid: 1,
        cwd: ".".into(),
        tool_version: "99.0.0".into(),
    }
    .into();
    store
        .write(&WriteOptions::interactive("note", None), |writer| {
            let actor = writer.name(TAG_ACTOR, "mara")?.unwrap();
            writer.append(&Append {
                stream: invocation.into(),
                expected: Expected::Any,
                author: Author {
                    actor: Origin::At(actor),
                    invocation: Some(Origin::This),
                    key: None,
                },
                sequence: None,
                command: None,
                occurred: None,
                provenance: Provenance::Reported,
                events: &[started],
            })?;
            Ok::<(), annals::store::StoreError>(())
        })
        .unwrap();
}

/// Names that a later version makes are not known to this one.
#[test]
fn files_of_a_later_version_are_left_to_it() {
    let ward = Workspace::new();
    fs::write(ward.path(".annals/later.idx"), "of a later version").unwrap();
    used_by_a_later_version(&ward);
    let doctor = ward.annals(&["doctor"]).refused(9, "");
    assert!(doctor.out.contains("a later version of annals was used here"), "{}", doctor.out);
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    assert_eq!(ward.read(".annals/later.idx"), b"of a later version");
    assert!(!ward.path(".annals/quarantine").exists());
}
