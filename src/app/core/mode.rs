//! Whether a change is made or only shown.

/// How a requested change is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The change is decided and shown; nothing is written.
    DryRun,
    /// The change is made.
    Apply,
}

impl Mode {
    /// A dry run where `dry_run`.
    pub const fn of(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Apply }
    }
}
