//! Sealed blocks that were changed: header and events must fit each other.

use annals::base::Env;
use annals::store::{Filter, Store};
use annals::tlog::NoteSigner;
use annals::verify::{Options, Report, verify};
use redb::{Database, ReadableTable as _, TableDefinition};

use crate::proofs::{ORIGIN, log};

const HEADERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("block_headers");

fn check(dir: &std::path::Path, signer: &NoteSigner, threads: usize) -> Report {
    let store = Store::open(dir, Env::system()).unwrap();
    let (key, threads) = (Some(signer.public().clone()), Some(threads));
    verify(&store, &Options { key, threads, ..Options::default() }).unwrap()
}

#[test]
fn a_header_that_would_hide_events_from_a_search_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let signer = NoteSigner::new(ORIGIN, &[1; 32]).unwrap();
    let store = log(dir.path(), &signer);
    let blocks = store.read(|r| r.block_headers(0..u64::MAX, &Filter::default())).unwrap();
    assert!(blocks.len() >= 2);
    let whole = check(dir.path(), &signer, 2);
    assert_eq!(whole.findings, []);
    for threads in [1, 3, 64] {
        let report = check(dir.path(), &signer, threads);
        assert_eq!((&report.root, report.size), (&whole.root, whole.size));
    }
    let path = dir.path().join("log.redb");
    let bytes = std::fs::read(&path).unwrap();
    let (first, last) = (blocks[1].0, blocks[1].0 + u64::from(blocks[1].1.count) - 1);
    let (mut at, mut length) = (0, 1);
    while at < length {
        let db = Database::open(&path).unwrap();
        let txn = db.begin_write().unwrap();
        {
            let mut table = txn.open_table(HEADERS).unwrap();
            let mut row = table.get(first).unwrap().unwrap().value().to_vec();
            length = row.len();
            row[at] ^= 1;
            table.insert(first, row.as_slice()).unwrap();
        }
        txn.commit().unwrap();
        drop(db);
        let findings = check(dir.path(), &signer, 2).findings;
        let named = findings.iter().filter_map(|finding| finding.position).min();
        assert!(
            named.is_some_and(|named| named <= last),
            "byte {at} of the header of {first}..={last}: {findings:?}"
        );
        #[expect(clippy::disallowed_methods, reason = "the test puts the file back")]
        std::fs::write(&path, &bytes).unwrap();
        at += 1;
    }
    assert!(length > 60, "{length}");
}
