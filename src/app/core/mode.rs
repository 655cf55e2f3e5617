//! Whether a change is made or only shown.

/// What becomes of a change that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is decided and shown; nothing is written.
    DryRun,
    /// It is made.
    Apply,
}

impl Mode {
    /// A dry run where `dry_run`.
    pub const fn of(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Apply }
    }
}
