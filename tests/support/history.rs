//! Logs without a workspace around them, for what tests and benches append to.

#![allow(dead_code, unreachable_pub, reason = "no crate uses all of it")]

use annals::base::{InvocationId, LogId, PublicKey};
use annals::domain::invocation::InvocationStarted;
use annals::domain::workspace::{ActorRegistered, KeyAlgorithm, KeyCreated, WorkspaceCreated};
use annals::domain::{Event, Provenance, StreamId};
use annals::store::{Append, Author, Expected, Origin, Store, StoreError, WriteOptions};
use annals::tlog::NoteSigner;

/// Events before the first one of a test.
pub const BEGIN: u64 = 4;

/// The first events: the log, its actor, its key, one invocation.
pub fn begin(store: &Store, origin: &str, signer: &NoteSigner) {
    begin_with_key(store, origin, signer.public().public_key(), signer);
}

/// [`begin`] with a key that need not be the one that signs.
pub fn begin_with_key(store: &Store, origin: &str, public_key: PublicKey, signer: &NoteSigner) {
    let created = WorkspaceCreated {
        log: LogId([1; 16]),
        origin: origin.into(),
        project: "project".into(),
        tool_version: "0".into(),
    };
    let key = KeyCreated {
        algorithm: KeyAlgorithm::Ed25519,
        public_key,
        owner: "ann".into(),
        replaces: None,
        endorsement: None,
    };
    let first = [created.into(), ActorRegistered { name: "ann".into() }.into(), Event::from(key)];
    let invocation = InvocationId([1; 16]);
    let started = InvocationStarted {
        invocation,
        verb: "test".into(),
        argv: vec![],
        host: "host".into(),
        pid: 1,
        cwd: ".".into(),
        tool_version: "0".into(),
    };
    let begun = store.write(&WriteOptions::interactive("test", Some(signer)), |w| {
        let none = Author { actor: Origin::At(1), invocation: None, key: None };
        w.append(&Append { author: none, ..append(StreamId::WORKSPACE, &first) })?;
        let this = Author { invocation: Some(Origin::This), ..none };
        w.append(&Append { author: this, ..append(invocation.into(), &[started.into()]) })?;
        Ok::<_, StoreError>(())
    });
    begun.unwrap();
}

/// What the invocation of [`begin`] appends.
pub fn append<'a>(stream: StreamId, events: &'a [Event]) -> Append<'a> {
    Append {
        stream,
        expected: Expected::Any,
        author: Author { actor: Origin::At(1), invocation: Some(Origin::At(3)), key: None },
        sequence: None,
        command: None,
        occurred: None,
        provenance: Provenance::Reported,
        events,
    }
}
