//! annals: experiment tracker, model registry and trainer whose every fact is a tamper-evident event.

pub mod app;
pub mod base;
pub mod cli;
pub mod domain;
pub mod effect;
pub mod projection;
pub mod store;
pub mod supervise;
pub mod tlog;
pub mod train;
pub mod verify;
