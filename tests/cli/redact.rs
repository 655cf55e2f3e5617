//! Texts that must go (L-8): after `annals redact` they stand in no file, view, page or answer,
//! who did it and why does, and everything agrees.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use annals::domain::{Envelope, Payload};
use redb::{ReadableTable as _, TableDefinition};

use crate::support::{Answer, Workspace};
use crate::walk::agree;

const NAME: &str = "Wilhelmina";
const REASON: &str = "she asked us to";

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|at| at == text.as_bytes())
}

/// The bytes of a file, unpacked where they are packed.
fn unpacked(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return zstd::decode_all(&bytes[..]).unwrap();
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
        return unpacked;
    }
    bytes
}

/// Every place in which `text` stands: files byte by byte, packs unpacked, and all that the log
/// itself says, its compressed blocks among it.
fn places(ward: &Workspace, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    files(&ward.root, &mut all);
    let mut found = Vec::new();
    for path in all {
        if holds(&unpacked(&path), text) {
            found.push(path.strip_prefix(&ward.root).unwrap().display().to_string());
        }
    }
    for said in [
        ward.annals(&["log", "--limit", "100000", "--format", "jsonl"]),
        ward.annals(&["log", "--log", ".annals/log.redb", "--limit", "100000"]),
        ward.annals(&["query", "SELECT * FROM events", "--format", "json"]),
        ward.annals(&["list", "--format", "json"]),
        ward.annals(&["export", "jsonl", "../exported"]),
    ] {
        let said = said.ok();
        if holds(said.out.as_bytes(), text) || holds(said.err.as_bytes(), text) {
            found.push("an answer".into());
        }
    }
    let exported = ward.root.parent().unwrap().join("exported");
    let mut parts = Vec::new();
    files(&exported, &mut parts);
    if parts.iter().any(|path| holds(&std::fs::read(path).unwrap(), text)) {
        found.push("an export".into());
    }
    std::fs::remove_dir_all(exported).unwrap();
    found
}

#[track_caller]
fn gone(ward: &Workspace, text: &str) {
    let found = places(ward, text);
    assert!(found.is_empty(), "{text:?} still stands in {found:?}");
}

fn redact(ward: &Workspace, args: &[&str]) -> Answer {
    ward.annals(&[&["redact", "--reason", REASON], args].concat())
}

/// A file with texts, beside the workspace.
fn named(ward: &Workspace, texts: &str) -> String {
    let path = ward.root.parent().unwrap().join("names.txt");
    std::fs::write(&path, texts).unwrap();
    path.display().to_string()
}

/// Positions of the events of a kind, oldest first.
fn positions(ward: &Workspace, kind: &str) -> Vec<u64> {
    let events = ward.annals(&["log", "--kind", kind, "--format", "json"]).ok().json();
    let positions = events.as_array().unwrap().iter().map(|e| e["position"].as_u64().unwrap());
    let mut positions: Vec<u64> = positions.collect();
    positions.reverse();
    positions
}

fn ward_with_texts() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    let told = format!("data of {NAME} <K.>, \"room 9\"");
    ward.train("night", &["--description", &told, "--tags", "[\"Wilhelmina-9\"]"]).ok();
    ward
}

#[test]
fn a_text_is_nowhere_and_who_took_it_out_and_why_is() {
    let ward = ward_with_texts();
    ward.train("day", &["--description", NAME]).ok();
    ward.annals(&["note", "night", &format!("{NAME} called twice")]).ok();
    ward.annals(&["tag", "night", &format!("+{NAME}")]).ok();
    ward.annals(&["pin", "night", "--reason", &format!("ask {NAME}")]).ok();
    ward.annals(&["promote", "night", "--reason", &format!("{NAME} wants it")]).ok();
    ward.annals(&["unpin", "night"]).ok();
    ward.annals(&["archive", "day", "--reason", &format!("{NAME} left")]).ok();
    ward.annals(&["demote", "nobody", "--reason", NAME]).refused(4, "nobody");
    // An edit that was set aside, and one that nobody noticed yet.
    for _ in 0..2 {
        let edited = format!("{{\"who\": \"{NAME}\"}}");
        std::fs::write(ward.path("models_registry.json"), edited).unwrap();
        ward.annals(&["replay"]);
    }
    std::fs::write(ward.path("models_registry.json"), NAME).unwrap();
    let anchor = ward.annals(&["checkpoint", "show"]).ok().out;
    let proof = ward.annals(&["prove", "7"]).ok().out;
    assert!(places(&ward, NAME).len() > 8, "{:?}", places(&ward, NAME));

    let names = named(&ward, NAME);
    let told = redact(&ward, &["--text-from", &names, "--dry-run"]).ok().out;
    assert!(told.contains("run.started: description"), "{told}");
    assert!(places(&ward, NAME).len() > 8, "only shown");
    let told = redact(&ward, &["--text-from", &names, "--format", "json"]).ok().json();
    gone(&ward, NAME);
    agree(&ward);

    let at = told["position"].as_u64().unwrap();
    let said = ward.annals(&["show", &at.to_string(), "--format", "json"]).ok().json();
    assert_eq!(said["event"]["reason"], REASON);
    assert_eq!((&said["actor"], &said["identity"]), (&"mara".into(), &"signed".into()));
    let noted = positions(&ward, "run.noted")[0].to_string();
    let shown = ward.annals(&["show", &noted, "--format", "json"]).ok().json();
    assert_eq!(shown["event"]["text"], format!("[redacted at {at}] called twice"));
    assert_eq!(shown["redacted"]["position"], at);
    assert_eq!(shown["redacted"]["reason"], REASON);
    let log = ward.annals(&["log", "--limit", "100000"]).ok().out;
    assert!(log.contains(&format!("redacted by mara, event {at}: {REASON}")), "{log}");
    let sql = format!("SELECT COUNT(*) AS n FROM events WHERE redacted_by = {at}");
    let rows = ward.annals(&["query", &sql, "--format", "json"]).ok().json();
    assert_eq!(rows[0]["n"].as_u64().unwrap(), told["events"].as_array().unwrap().len() as u64);
    // What was kept before still holds, and looking back shows it as it is now.
    let kept = named(&ward, &anchor);
    ward.annals(&["verify", "--against", &kept]).ok();
    let kept = named(&ward, &proof);
    ward.annals(&["prove", "--check", &kept]).ok();
    let before = (at - 2).to_string();
    let then = ward.annals(&["show", "night", "--as-of", &before, "--format", "json"]).ok();
    assert!(then.out.contains(&format!("[redacted at {at}]")), "{}", then.out);
    // Its files still do what they did.
    ward.annals(&["restore", "day"]).ok();
    ward.annals(&["predict", "night", "no sleep"]).ok();
    gone(&ward, NAME);
    redact(&ward, &["--text-from", &named(&ward, NAME)]).refused(4, "occurs in no event");
    agree(&ward);
}

#[test]
fn texts_in_sealed_blocks_and_packs_go_and_old_checkpoints_hold() {
    let ward = Workspace::new();
    ward.train("night", &["--description", &format!("of {NAME}")]).ok();
    let long = format!("{NAME} {}", "and so on ".repeat(390));
    for _ in 0..36 {
        ward.annals(&["note", "night", &long]).ok();
    }
    let headers = TableDefinition::<u64, &[u8]>::new("block_headers");
    let db = redb::Database::open(ward.path(".annals/log.redb")).unwrap();
    {
        use redb::{ReadableDatabase as _, ReadableTableMetadata as _};
        assert!(db.begin_read().unwrap().open_table(headers).unwrap().len().unwrap() > 0);
    }
    drop(db);
    let anchor = ward.annals(&["checkpoint", "show"]).ok().out;
    ward.annals(&["archive", "night", "--reason", "old"]).ok();
    redact(&ward, &["--text-from", &named(&ward, NAME)]).ok();
    gone(&ward, NAME);
    agree(&ward);
    ward.annals(&["verify", "--against", &named(&ward, &anchor)]).ok();
    // Blocks that come after end where they would have ended.
    for _ in 0..36 {
        ward.annals(&["note", "night", &"and so on ".repeat(390)]).ok();
    }
    agree(&ward);
    let copy = ward.root.parent().unwrap().join("copy.redb").display().to_string();
    ward.annals(&["log", "copy", &copy]).ok();
    ward.annals(&["verify", "--log", &copy]).ok();
    ward.annals(&["restore", "night"]).ok();
    gone(&ward, NAME);
}

/// Packed logs, generated documents, snapshots of code and bundles of proofs.
#[test]
fn a_text_goes_out_of_the_other_layout_and_bundles_hold() {
    let ward = Workspace::bare();
    ward.annals(&["init", "--layout", "training-output"]).ok();
    ward.allow_synthetic();
    std::fs::write(ward.path("code.py"), format!("# for {NAME}\n")).unwrap();
    let described = format!("data of {NAME}");
    for name in ["night", "day"] {
        ward.train(name, &["--description", &described]).ok();
    }
    ward.annals(&["note", "night", &format!("{NAME} called")]).ok();
    ward.annals(&["promote", "night", "--reason", &format!("{NAME} wants it")]).ok();
    ward.annals(&["snapshot", "create", "-m", &format!("as {NAME} has it")]).ok();
    std::fs::remove_file(ward.path("code.py")).unwrap();
    ward.annals(&["archive", "day", "--reason", &format!("{NAME} left")]).ok();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    ward.annals(&["layout", "pack-logs", "--before", "1 s", "--apply"]).ok();
    ward.annals(&["doctor", "--compact"]).ok();
    let model = ward.annals(&["query", "SELECT name FROM models", "--format", "json"]).ok().json();
    let model = model[0]["name"].as_str().unwrap();
    let [before, after] = ["before", "after"].map(|name| ward.path(&format!("../{name}.bundle")));
    let bundle = |path: &Path| ward.annals(&["why", model, "--proofs", path.to_str().unwrap()]);
    let check = |path: &Path| ward.annals(&["verify-bundle", path.to_str().unwrap()]).ok().out;
    bundle(&before).ok();
    assert!(check(&before).contains(NAME));
    let all = places(&ward, NAME);
    for place in ["README.md", "_summary.md", "model_card.md", ".annals/blobs/", "experiments_log"]
    {
        assert!(all.iter().any(|path| path.contains(place)), "not in {place}: {all:?}");
    }

    let told = redact(&ward, &["--text-from", &named(&ward, NAME), "--format", "json"]).ok().json();
    let at = told["position"].as_u64().unwrap();
    gone(&ward, NAME);
    // What was handed over stays what it was; what is handed over now tells of the redaction.
    let said = check(&before);
    assert!(said.contains(NAME) && !said.contains("redacted"), "{said}");
    bundle(&after).ok();
    let said = check(&after);
    assert!(said.contains(&format!("[redacted at {at}]")) && said.contains(REASON), "{said}");
    assert!(!holds(&std::fs::read(&after).unwrap(), NAME) && !holds(said.as_bytes(), NAME));
    let found = ward.annals(&["audit", "--only", "redacted", "--format", "json"]).ok().json();
    for finding in found["findings"].as_array().unwrap() {
        assert_eq!(finding["values"]["by"], "mara");
        assert_eq!(finding["values"]["reason"], REASON);
        assert!(finding["positions"].as_array().unwrap().contains(&at.into()), "{finding}");
    }
    assert_eq!(
        found["findings"].as_array().unwrap().len(),
        told["events"].as_array().unwrap().len()
    );
    agree(&ward);
    // What the program itself wrote stands in logs, packed and not.
    let logged = "updates=56";
    let all = places(&ward, logged);
    for place in [".tar.gz", ".log"] {
        assert!(all.iter().any(|path| path.ends_with(place)), "not in {place}: {all:?}");
    }
    redact(&ward, &["--text-from", &named(&ward, logged)]).ok();
    for text in [NAME, logged] {
        gone(&ward, text);
    }
    agree(&ward);
    ward.annals(&["doctor", "--compact"]).ok();
    gone(&ward, NAME);
    agree(&ward);
    ward.annals(&["restore", "day"]).ok();
    ward.annals(&["layout", "migrate", "consolidated", "--apply"]).ok();
    gone(&ward, NAME);
    agree(&ward);
}

/// Wherever the room on the disk ends: nothing is half done, and more room is all it takes.
#[test]
fn a_full_disk_leaves_it_there_or_takes_it_out() {
    let ward = ward_with_texts();
    for _ in 0..34 {
        ward.annals(&["note", "night", &format!("{NAME} {}", "and so on ".repeat(390))]).ok();
    }
    ward.annals(&["doctor", "--compact"]).ok();
    let names = named(&ward, NAME);
    let verb = ["redact", "--text-from", &names, "--reason", REASON];
    let full = u32::try_from(ward.read(".annals/log.redb").len() / 1024).unwrap();
    let mut ended = [0, 0, 0];
    for kib in
        [1, 4, 16, 64, full / 2, full, full * 3, full * 5, full * 7, full * 9, full * 16, full * 32]
    {
        let copy = ward.copy();
        let answer = copy.annals_on_a_full_disk(kib, &verb);
        let did = !positions(&copy, "text.redacted").is_empty();
        assert!(answer.code != 0 || did, "{kib} KiB: it says that it did what it did not");
        assert!([0, 7].contains(&answer.code), "{kib} KiB: {}", answer.err);
        assert!(
            answer.code == 0 || answer.err.contains("free disk space"),
            "{kib} KiB: {}",
            answer.err
        );
        ended[if did { 1 + usize::from(answer.code == 0) } else { 0 }] += 1;
        copy.annals(&["verify"]).ok();
        copy.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
        agree(&copy);
        if did {
            gone(&copy, NAME);
        } else {
            redact(&copy, &["--text-from", &names]).ok();
            gone(&copy, NAME);
            agree(&copy);
        }
    }
    assert!(ended[0] > 1 && ended[2] > 1, "{ended:?}: not done, done in part, done");
}

#[test]
fn a_kill_at_every_step_leaves_it_there_or_takes_it_out() {
    let ward = ward_with_texts();
    ward.annals(&["note", "night", &format!("{NAME} called")]).ok();
    let names = named(&ward, NAME);
    let verb = ["redact", "--text-from", &names, "--reason", REASON];
    let mut taken = [0, 0];
    for step in 1..400 {
        let copy = ward.copy();
        let ended = copy.killed_at(step, &verb);
        copy.annals(&["list"]).ok();
        copy.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
        agree(&copy);
        let did = !positions(&copy, "text.redacted").is_empty();
        taken[usize::from(did)] += 1;
        if did {
            gone(&copy, NAME);
        }
        redact(&copy, &["--text-from", &names]);
        gone(&copy, NAME);
        agree(&copy);
        if ended.code().is_some() {
            assert_eq!(ended.code(), Some(0));
            assert!(taken[0] > 2 && taken[1] > 4, "{taken:?} steps before and after");
            return;
        }
    }
    panic!("a redaction has more than 400 steps");
}

#[test]
fn two_at_once_take_it_out_once() {
    let ward = ward_with_texts();
    let names = named(&ward, NAME);
    let both = [(), ()].map(|()| ward.spawn(&["redact", "--text-from", &names, "--reason", "x"]));
    let mut codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
    codes.sort_unstable();
    assert_eq!(codes[0], 0);
    assert!([4, 6].contains(&codes[1]), "{codes:?}");
    assert_eq!(positions(&ward, "text.redacted").len(), 1);
    gone(&ward, NAME);
    agree(&ward);
}

#[test]
fn what_decides_stays_and_it_is_said_why() {
    let ward = ward_with_texts();
    ward.annals(&["note", "night", "the night of the storm"]).ok();
    ward.annals(&["promote", "night", "--reason", "good"]).ok();
    let at = |kind: &str| positions(&ward, kind)[0].to_string();
    for kind in ["run.finished", "run.metrics_recorded", "model.promoted", "actor.registered"] {
        redact(&ward, &[&at(kind)]).refused(5, "has no text that may be redacted");
    }
    redact(&ward, &[&at("promotion.approved"), "--field", "approver"]).refused(5, "it has reason");
    redact(&ward, &[&at("run.started")]).refused(2, "choose with --field");
    redact(&ward, &["99999"]).refused(4, "99999");
    redact(&ward, &[]).refused(2, "nothing to redact was named");
    redact(&ward, &["--run", "night", "--field", "colour"]).refused(4, "has no colour");
    let night = named(&ward, "night");
    let said = redact(&ward, &["--text-from", &night]).refused(5, "where it determines a result");
    assert!(said.err.contains("(run.started), "), "{}", said.err);
    assert!(said.err.contains("--partly"), "{}", said.err);
    let reason = ["redact", "--text-from", &named(&ward, NAME), "--reason", NAME];
    ward.annals(&reason).refused(2, "a reason is kept for ever");
    let named = named(&ward, NAME);
    ward.annals_as("ines", &["redact", "--text-from", &named, "--reason", "x"])
        .refused(5, "no key to sign it with");
    let details = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    let weights = details["weights"].as_str().unwrap();
    redact(&ward, &["--blob", weights]).refused(5, "the weights of a run");
    assert!(positions(&ward, "text.redacted").is_empty());

    let noted = at("run.noted");
    redact(&ward, &[&noted]).ok();
    redact(&ward, &[&noted]).refused(5, "was redacted already, at event");
    agree(&ward);
}

#[test]
fn a_file_of_a_run_goes_as_a_whole() {
    let ward = ward_with_texts();
    let run = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    let folder = run["folder"].as_str().unwrap().to_owned();
    let path = format!("{folder}/results/test_predictions.jsonl");
    let digest = blake3::hash(&ward.read(&path)).to_hex().to_string();
    redact(&ward, &["--blob", &digest[..12]]).ok();
    assert!(ward.read(&path).starts_with(b"redacted at "));
    agree(&ward);
    redact(&ward, &["--blob", &digest[..12]]).refused(4, "no run has a file");
}

/// A payload may be missing only under a signed event that names it.
#[test]
fn a_payload_that_is_gone_without_a_redaction_is_damage() {
    let ward = ward_with_texts();
    ward.annals(&["note", "night", &format!("{NAME} called")]).ok();
    let at = positions(&ward, "run.noted")[0];
    let tail = TableDefinition::<u64, &[u8]>::new("tail");
    let edit = |f: &dyn Fn(&Envelope) -> Vec<u8>| {
        let db = redb::Database::open(ward.path(".annals/log.redb")).unwrap();
        let txn = db.begin_write().unwrap();
        {
            let mut table = txn.open_table(tail).unwrap();
            let stored = table.get(at).unwrap().unwrap().value().to_vec();
            let new = f(&Envelope::decode(&stored).unwrap());
            table.insert(at, new.as_slice()).unwrap();
        }
        txn.commit().unwrap();
    };
    let damaged = |what: &str| {
        let said = ward.annals(&["verify"]);
        assert_eq!(said.code, 10, "{}{}", said.out, said.err);
        assert!(said.out.contains(what), "{what:?} is not in {}", said.out);
    };
    let whole = ward.read(".annals/log.redb");
    let note = |event: &Envelope, text: &str| {
        let text = annals::domain::run::RunNoted { text: text.into() };
        let bytes = annals::domain::Event::from(text).encode();
        (event.header.version, bytes)
    };
    edit(&|event| {
        let (version, bytes) = note(event, "[redacted at 1]");
        event.masked(1, version, bytes)
    });
    damaged("the payload is gone without a signed redaction");
    std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();

    let stored = std::cell::RefCell::new(Vec::new());
    edit(&|event| {
        stored.replace(event.stored().to_vec());
        event.stored().to_vec()
    });
    redact(&ward, &[&at.to_string()]).ok();
    ward.annals(&["verify"]).ok();
    let whole = ward.read(".annals/log.redb");
    edit(&|event| {
        let (version, bytes) = note(event, "all is well");
        event.masked(event.payload.redacted_by().unwrap(), version, bytes)
    });
    damaged("does not match its redaction");
    std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
    // The text is put back by somebody who kept it.
    edit(&|event| {
        assert!(matches!(event.payload, Payload::Redacted { .. }));
        stored.borrow().clone()
    });
    damaged("took out is here again");
}
