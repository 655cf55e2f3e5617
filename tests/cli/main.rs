//! The program as a user meets it: real processes, real files, a hermetic environment.

#![allow(clippy::disallowed_methods, reason = "a test writes plain files")]
#![allow(unreachable_pub, reason = "modules of one test")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod actors;
mod again;
mod analysis;
mod answers;
mod archive;
mod attack;
mod audit;
mod bad_input;
mod bad_life;
mod changed_views;
mod cleanup;
mod consolidate;
mod crash;
mod curriculum;
mod damage;
mod diff;
mod digests;
mod documents;
mod dry_run;
mod edit;
mod ensemble;
mod export;
mod external;
mod finding;
mod flipped_files;
mod flips;
mod fold;
mod fork;
mod gc;
mod git;
mod grouped;
mod help;
mod kept_files;
mod layout;
mod legacy;
mod life;
mod lost_log;
mod model_names;
mod operation;
mod pairs;
mod papers;
mod pickles;
mod pictures;
mod placement;
mod policy;
mod predict;
mod printed;
mod production;
mod quarantine;
mod query;
mod random;
mod record;
mod record_read;
mod redact;
mod registry_keys;
mod repair;
mod resume;
mod scores;
mod share;
mod snapshot;
mod stranger;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod tamper;
mod texts;
mod undo;
mod verbs;
mod waits;
mod walk;
mod watched;
mod why;
