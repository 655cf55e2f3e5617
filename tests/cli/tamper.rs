//! Whatever is flipped, deleted or swapped in the log's file, `verify` exits with 10 and names it.

use redb::{ReadableTable as _, TableDefinition, TableHandle as _};

use crate::support::Workspace;

/// A workspace with sealed blocks, a tail, a production model and an open request.
fn lived_in() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("one", &[]).ok();
    ward.annals(&["promote", "one"]).ok();
    ward.train("two", &["--set", "training.num_epochs=12"]).ok();
    ward.annals(&["promote", "two", "--request"]).ok();
    ward.annals(&["verify"]).ok();
    ward
}

fn edit(ward: &Workspace, f: impl FnOnce(&redb::WriteTransaction)) {
    let db = redb::Database::open(ward.path(".annals/log.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    f(&txn);
    txn.commit().unwrap();
}

#[track_caller]
fn found(ward: &Workspace, what: &str) -> String {
    let answer = ward.annals(&["verify"]);
    assert_eq!(answer.code, 10, "{what} was not found:\n{}{}", answer.out, answer.err);
    answer.out
}

#[test]
fn every_flipped_byte_of_an_event_is_found_and_named() {
    let ward = lived_in();
    let tail = TableDefinition::<u64, &[u8]>::new("tail");
    let db_copy = ward.read(".annals/log.redb");
    let size = ward.annals(&["status", "--format", "json"]).json()["events"].as_u64().unwrap();
    for position in (0..size).step_by(7) {
        edit(&ward, |txn| {
            let mut table = txn.open_table(tail).unwrap();
            let mut bytes = table.get(position).unwrap().unwrap().value().to_vec();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            table.insert(position, bytes.as_slice()).unwrap();
        });
        let said = found(&ward, &format!("a flip in event {position}"));
        assert!(said.contains("position "), "{said}");
        assert!(said.contains("expected") && said.contains("found"), "{said}");
        std::fs::write(ward.path(".annals/log.redb"), &db_copy).unwrap();
    }
    ward.annals(&["verify"]).ok();
}

#[test]
fn deleted_and_swapped_events_are_found() {
    let ward = lived_in();
    let tail = TableDefinition::<u64, &[u8]>::new("tail");
    let whole = ward.read(".annals/log.redb");
    edit(&ward, |txn| {
        txn.open_table(tail).unwrap().remove(5).unwrap();
    });
    found(&ward, "a deleted event");
    std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
    edit(&ward, |txn| {
        let mut table = txn.open_table(tail).unwrap();
        let (a, b) = (
            table.get(4).unwrap().unwrap().value().to_vec(),
            table.get(5).unwrap().unwrap().value().to_vec(),
        );
        table.insert(4, b.as_slice()).unwrap();
        table.insert(5, a.as_slice()).unwrap();
    });
    found(&ward, "swapped events");
    std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
    edit(&ward, |txn| {
        let mut table = txn.open_table(tail).unwrap();
        let last = table.last().unwrap().unwrap().0.value();
        table.remove(last).unwrap();
    });
    found(&ward, "a truncated log");
}

#[test]
fn a_row_of_any_index_table_that_is_gone_is_found() {
    let ward = lived_in();
    let whole = ward.read(".annals/log.redb");
    macro_rules! drop_first {
        ($name:literal, $key:ty, $value:ty) => {
            edit(&ward, |txn| {
                let table = TableDefinition::<$key, $value>::new($name);
                let mut table = txn.open_table(table).unwrap();
                assert!(table.pop_first().unwrap().is_some(), "{} is empty", $name);
            });
            let said = found(&ward, $name);
            assert!(said.contains($name), "{said}");
            std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
        };
    }
    drop_first!("stream_heads", &[u8; 17], (u64, u64, u64));
    drop_first!("stream_index", (&[u8; 17], u64), u64);
    drop_first!("commands", &[u8; 16], u64);
    drop_first!("names", (u8, &str), u64);
    // Empty while nothing is under way: there a row too many is the lie.
    edit(&ward, |txn| {
        let table = TableDefinition::<u64, u64>::new("writers");
        txn.open_table(table).unwrap().insert(6, 3).unwrap();
    });
    assert!(found(&ward, "an invented invocation").contains("writers"));
    std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
    edit(&ward, |txn| {
        let table = TableDefinition::<&[u8; 16], u64>::new("open_moves");
        txn.open_table(table).unwrap().insert(&[7; 16], 6).unwrap();
    });
    assert!(found(&ward, "an invented move").contains("open_moves"));
    std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
    edit(&ward, |txn| {
        let table = TableDefinition::<u64, &str>::new("checkpoints");
        txn.open_table(table).unwrap().pop_last().unwrap();
    });
    found(&ward, "a missing log checkpoint");
    std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
    for name in ["meta", "tail", "stream_heads", "checkpoints"] {
        edit(&ward, |txn| {
            let table = txn.list_tables().unwrap().find(|table| table.name() == name).unwrap();
            txn.delete_table(table).unwrap();
        });
        found(&ward, &format!("the missing table {name}"));
        std::fs::write(ward.path(".annals/log.redb"), &whole).unwrap();
    }
    ward.annals(&["verify"]).ok();
}

#[test]
fn a_changed_or_missing_blob_is_found() {
    let ward = lived_in();
    let blobs = ward.path(".annals/blobs");
    let folder = std::fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    let blob = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&blob).unwrap();
    std::fs::remove_file(&blob).unwrap();
    assert!(found(&ward, "a missing blob").contains("missing"));
    std::fs::write(&blob, [&bytes[..], b"x"].concat()).unwrap();
    assert!(found(&ward, "a changed blob").contains("expected"));
}

#[test]
fn flipped_bytes_anywhere_in_the_file_never_pass_as_whole() {
    let ward = lived_in();
    let whole = ward.read(".annals/log.redb");
    let key = ward.annals(&["checkpoint", "show", "--format", "json"]).json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let root = |ward: &Workspace| {
        let answer = ward.annals(&["verify", "--key", &key, "--format", "json"]);
        (answer.code, answer.out)
    };
    let (_, good) = root(&ward);
    let step = whole.len() / 240;
    for at in (0..whole.len()).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(ward.path(".annals/log.redb"), &bytes).unwrap();
        let (code, said) = root(&ward);
        // A byte of a free page means nothing: then the answer is the one of the whole log.
        assert!(code == 10 || said == good, "byte {at}: exit {code}\n{said}");
    }
}

#[test]
fn an_older_signed_state_is_found_by_an_anchor_only() {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    let older = ward.read(".annals/log.redb");
    ward.allow_synthetic();
    ward.annals(&["checkpoint", "anchor", "anchor.note"]).ok();
    std::fs::write(ward.path(".annals/log.redb"), &older).unwrap();
    ward.annals(&["verify"]).ok();
    let said = ward.annals(&["verify", "--against", "anchor.note"]);
    assert_eq!(said.code, 10);
    assert!(said.out.contains("rolled back"), "{}", said.out);
    // A history rewritten with the same key has as many events and other ones.
    ward.annals(&["policy", "set", "production_promotion.allow_leakage", "true"]).ok();
    let said = ward.annals(&["verify", "--against", "anchor.note"]);
    assert_eq!(said.code, 10);
    assert!(said.out.contains("not those that were signed"), "{}", said.out);
}
