//! The command line: one file per verb, each an argument struct whose comments are its help, and
//! one function that calls one use case and prints the answer.
//!
//! May use: `base`, the types of `domain`, `app` and its answers, and of `sdk` the reading of the
//! environment. Must never see: everything else.
//!
//! Data goes to stdout, everything else to stderr. To add a verb: a file, and two lines in
//! `verbs.rs`. Start reading in `list.rs`.

mod actor;
mod archive;
mod audit;
mod candidates;
mod checkpoint;
mod cleanup;
mod compare;
mod completions;
mod consent;
mod consolidate;
mod consolidation;
mod context;
mod data_args;
mod diff;
mod doctor;
mod edit;
mod ensemble;
mod error;
mod export;
mod format;
mod gc;
mod groups;
mod init;
mod layout;
mod list;
mod log;
mod models;
mod out;
mod plot;
mod policy;
mod predict;
mod predict_out;
mod production;
mod program;
mod promote;
mod prove;
mod query;
mod read_args;
mod read_bar;
mod records;
mod redact;
mod repair;
mod replay;
mod report;
mod reporter;
mod reproduce;
mod run;
mod show;
mod snapshot;
mod status;
mod train;
mod train_plan;
mod trust;
mod ui;
mod undo;
mod usage;
mod verbs;
mod verify;
mod why;

pub use self::program::{command, main};

use self::program::GLOBAL;
