//! Proofs, log checkpoints and notes of a real log, checked by independent implementations.

use crate::support::history;
use annals::base::{Env, LogId, RunId, Timestamp};
use annals::domain::workspace::{ActorRegistered, WorkspaceCreated};
use annals::domain::{Event, StreamId};
use annals::store::{Append, Author, Filter, Origin, Reader, Store, StoreError, WriteOptions};
use annals::tlog::{self, Hash, LogCheckpoint, NoteKey, NoteSigner};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint, Hash as TheirHash, HashReader};

pub(crate) const ORIGIN: &str = "annals/test";

struct Theirs(Vec<TheirHash>);

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TheirHash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|i| self.0[usize::try_from(*i).unwrap()]).collect())
    }
}

fn theirs(hashes: &[Hash]) -> Vec<TheirHash> {
    hashes.iter().map(|h| TheirHash(h.0)).collect()
}

/// By the actor, without an invocation.
fn append<'a>(stream: StreamId, events: &'a [Event]) -> Append<'a> {
    let author = Author { actor: Origin::At(1), invocation: None, key: None };
    Append { author, ..history::append(stream, events) }
}

/// A log of several blocks and a tail, signed.
pub(crate) fn log(dir: &std::path::Path, signer: &NoteSigner) -> Store {
    let store = Store::create(dir, Env::fixed(Timestamp(0), 1)).unwrap();
    let created = WorkspaceCreated {
        log: LogId([1; 16]),
        origin: ORIGIN.into(),
        project: "p".into(),
        tool_version: "0".into(),
    };
    let first = [created.into(), ActorRegistered { name: "ann".into() }.into()];
    let options = WriteOptions::interactive("test", Some(signer));
    store.write(&options, |w| w.append(&append(StreamId::WORKSPACE, &first))).unwrap();
    for group in 0..26_u8 {
        let events: Vec<Event> =
            (0..100).map(|i| ActorRegistered { name: format!("{group} {i}") }.into()).collect();
        let stream = RunId([group; 16]).into();
        store.write(&options, |w| w.append(&append(stream, &events))).unwrap();
    }
    store
}

/// The same tree, grown by the other implementation from the leaf data alone.
fn grow(reader: &Reader) -> (Theirs, Vec<[u8; 32]>) {
    let (mut tree, mut leaves) = (Theirs(Vec::new()), Vec::new());
    let scanned = reader.scan(0..u64::MAX, &Filter::default(), |event| {
        let data = event.leaf_data().0;
        let hashes = tlog_tiles::stored_hashes(event.header.position, &data, &tree).unwrap();
        tree.0.extend(hashes);
        leaves.push(data);
        Ok::<(), StoreError>(())
    });
    scanned.unwrap();
    (tree, leaves)
}

#[test]
fn log_3_another_implementation_finds_the_same_tree_and_accepts_our_proofs() {
    let dir = tempfile::tempdir().unwrap();
    let store = log(dir.path(), &NoteSigner::new(ORIGIN, &[1; 32]).unwrap());
    let checked = store.read(|r| {
        let (tree, leaves) = grow(r);
        let size = r.size();
        assert_eq!(tlog_tiles::tree_hash(size, &tree).unwrap().0, r.root().0);
        for at in [1, 2, 3, 511, 1_024, 1_025, 2_048, 2_500, size] {
            let root = tlog_tiles::tree_hash(at, &tree).unwrap();
            assert_eq!(root.0, tlog::tree_root(&mut r.tree(), at)?.0, "root of {at}");
            for position in [0, at / 3, at - 1] {
                let proof = theirs(&r.inclusion_proof(position, at)?);
                assert_eq!(proof, tlog_tiles::prove_record(at, position, &tree).unwrap());
                let leaf = tlog_tiles::record_hash(&leaves[usize::try_from(position).unwrap()]);
                tlog_tiles::check_record(&proof, at, root, position, leaf).unwrap();
            }
            let proof = theirs(&r.consistency_proof(at, size)?);
            let newest = TheirHash(r.root().0);
            tlog_tiles::check_tree(&proof, size, newest, at, root).unwrap();
        }
        Ok::<(), StoreError>(())
    });
    checked.unwrap();
}

#[test]
fn log_4_every_checkpoint_verifies_elsewhere_and_is_consistent_with_all_later_ones() {
    let dir = tempfile::tempdir().unwrap();
    let signer = NoteSigner::new(ORIGIN, &[1; 32]).unwrap();
    let store = log(dir.path(), &signer);
    let notes = store.read(|r| r.checkpoints(..)).unwrap();
    assert_eq!(notes.len(), 27);
    let mut earlier: Option<LogCheckpoint> = None;
    for (size, text) in notes {
        let verifier = StandardVerifier::new(&signer.public().to_string()).unwrap();
        let note = Note::from_bytes(text.as_bytes()).unwrap();
        note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        let read = Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((read.origin(), read.size()), (ORIGIN, size));
        let (ours, _) = LogCheckpoint::open(&text, ORIGIN, &[signer.public().clone()]).unwrap();
        assert_eq!(read.hash().0, ours.root.0);
        if let Some(old) = earlier {
            let proof = store.read(|r| r.consistency_proof(old.size, ours.size)).unwrap();
            let same = tlog::verify_consistency(old.size, old.root, ours.size, ours.root, &proof);
            assert_eq!(same, Ok(()));
        }
        earlier = Some(ours);
    }
}

#[test]
fn notes_that_others_sign_open_here() {
    let name = "example.com/log";
    let signing = signed_note_key(name);
    let key: NoteKey = signing.0.parse().unwrap();
    let mut note =
        Note::new(b"example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", &[])
            .unwrap();
    let signer = signed_note::StandardSigner::new(&signing.1).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    let text = String::from_utf8(note.to_bytes()).unwrap();
    let keys = [key];
    let (checkpoint, _) = LogCheckpoint::open(&text, name, &keys).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (0, tlog::empty_root()));
    assert!(LogCheckpoint::open(&text, "example.com/other", &keys).is_err());
}

/// The same key in the text forms of both sides: verification key and signing key.
fn signed_note_key(name: &str) -> (String, String) {
    use base64::Engine as _;
    let seed = [5; 32];
    let public = NoteSigner::new(name, &seed).unwrap().public().clone();
    let secret = base64::engine::general_purpose::STANDARD.encode([&[1_u8][..], &seed].concat());
    (public.to_string(), format!("PRIVATE+KEY+{name}+{:08x}+{secret}", public.id()))
}
