//! annals: experiment tracker, model registry and trainer for teams that must be able to prove what
//! they did. Every fact is an append-only, tamper-evident event in an embedded log; everything else
//! is regenerated from it.
//!
//! # The map
//!
//! | module | what it is |
//! |---|---|
//! | [`base`] | ids, digests, time, bytes, limits: the words everything is written in |
//! | [`tlog`] | pure RFC 6962 tree, proofs, signed log checkpoints (C2SP) |
//! | [`domain`] | what happened and what is allowed; one folder per stream; pure |
//! | [`store`] | the log on disk: append, seal, read, prove, lock, blobs, keys |
//! | [`verify`] | recomputes everything from stored bytes |
//! | [`projection`] | read models in `views.redb`, and the registry files made from them |
//! | [`effect`] | files that move, crash-safe |
//! | [`stats`] | bootstrap, percentiles, random numbers that follow from a key |
//! | [`data`] | labelled texts and series: readers, labels, splits, vocabularies, tokenizers |
//! | [`model`] | the architectures: settings, inputs, files, loading |
//! | [`train`] | the loop, the protocol to the engine; no torch |
//! | [`port`] | the record as other programs read it: tables, SQL, exports |
//! | [`analysis`] | comparisons, statistics, pictures, reports, differences, audits: pure |
//! | [`supervise`] | starts an engine and says how it ended |
//! | [`app`] | the use cases, where the above meet |
//! | [`sdk`] | annals as a library for trainers in Rust; reads who calls from the environment |
//! | [`cli`] | the command line |
//!
//! `src/engine/` is the second program, `annals-engine`: the only place that names libtorch.
//! `annals` starts it as a child and speaks [`train::protocol`] with it.
//!
//! # Files on disk and their owners
//!
//! | file | owner |
//! |---|---|
//! | `annals.toml` | [`app::Settings`]: paths and preferences; policy lives in the log |
//! | `.annals/log.redb` | [`store::Store`]: the truth; `log.redb.new` while a new file is made |
//! | `.annals/lock`, `.annals/lock.gate` | [`store::Store`]: held while the log is read or written |
//! | `.annals/blobs/<aa>/<blake3>` | [`store::Blobs`] |
//! | `.annals/views.redb` | [`projection::Views`]: may be deleted at any time |
//! | `.annals/views.lock` | [`projection::Views`]: held while the views are read or written; the seal of the file |
//! | `.annals/redacting/` | [`app::workspace::redact`]: new bytes of files on their way |
//! | `.annals/live/<invocation>.lock` | [`app::LiveFiles`]: held while a process lives |
//! | `.annals/place.json` | [`app::Workspace::record_location`]: where the workspace lies, so that a copy is noticed |
//! | `.annals/undo.lock`, `.annals/redact.lock` | [`app::workspace::undo`], [`app::workspace::redact`]: one at a time |
//! | `.annals/damaged/<model>.<move>` | [`app::models::repair`]: production folders that were not as recorded, as they were found; nothing in annals removes them |
//! | `.annals/beginnings/<run>`, `.annals-beginning` | [`app::Workspace`]: claims folders of runs that are not in the log yet |
//! | `.annals/exports.lock` | [`projection::files::Exporter`]: held while registry files are written |
//! | `.annals/policy-edit-<pid>.json` | [`cli`]: the policy in an editor; kept where the edit is refused |
//! | `.annals/engine.<pid>.log` | [`app::workspace::take_snapshot`]: what an engine printed that was asked for its version |
//! | `.annals/quarantine/<number>/` | [`app::Workspace::recover`]: what nothing in the log explained, as it was found; nothing in annals reads or removes it |
//! | `.annals/exports.json`, `models_registry*.json`, `experiment*_log.json*`, `MODEL_VERSION.json` | [`projection::files::Exporter`] |
//! | `experiments/<name>_<time>/` | [`app::runs::train`]; [`app::Layout`] has the other layout's names |
//! | `experiments/{archive_debug,archive_baseline,archived}/<name>_<time>/` | [`app::runs::archive`], through [`effect`] |
//! | `training/{logs,results}`, `<model>.<ext>`, `logs_before_<date>.tar.gz` of the layout `training-output` | [`projection::files::Exporter`], [`app::workspace::pack_logs`] |
//! | `models/production/<name>/` | [`app::models::promote`], through [`effect`] |
//! | private keys, pins of trusted logs and `views.secret`, in the user's config folder | [`store::KeyRing`] |
//! | `.<name>.<pid>.tmp`, `.<name>.<pid>-<n>.tmp` | beside each file: its new content on the way; left over by a crash |
//!
//! `app/core/private_files.rs` knows every name in `.annals` and what explains it.
//!
//! # Invariants
//!
//! LOG-1 positions are dense from 0. LOG-2 stored bytes never change, except a payload that a
//! signed `text.redacted` event names. LOG-3 the stored tree is the tree of the stored bytes.
//! LOG-4 every signed log checkpoint is consistent with all later ones. LOG-5 one append's events
//! appear all or not at all. LOG-6 an acknowledged event survives a crash. STR-1 revisions are
//! dense per stream. DOM-1 `decide` and `evolve` are pure. DOM-2 a command id takes effect once.
//! PRJ-1 an incremental view equals a rebuilt one. PRJ-2 a cursor is never beyond the log. BLB-1 a
//! blob's digest is checked on reading. MOV-1 after any crash each file is whole at its source or
//! its target. TRN-1 resuming changes no bit. TRN-2 recording changes no number. SUP-1 however the
//! engine dies, the run ends in the log with the reason.
//!
//! # A newcomer's path
//!
//! This page, [`docs::vocabulary`], `domain/run/`, `store/append.rs`, `app/core/session.rs`.

pub use app::{Parameter, StartRun, StartedRun};
pub use sdk::{At, Tracker};

pub mod analysis;
pub mod app;
pub mod base;
pub mod cli;
pub mod data;
pub mod docs;
pub mod domain;
pub mod effect;
pub mod model;
pub mod port;
pub mod projection;
pub mod sdk;
pub mod stats;
pub mod store;
pub mod supervise;
pub mod tlog;
pub mod train;
pub mod verify;
