//! Incremental views against rebuilt ones.
