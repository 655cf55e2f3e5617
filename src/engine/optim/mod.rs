//! Optimisers with visible state: libtorch's own hide theirs, and exact resume needs it.

mod adamw;

pub(crate) use adamw::AdamW;
