//! The table of checks.

use super::{AuditFacts, RawFinding, Severity, data, evidence, files, people, record, rules};

/// One check.
pub struct Check {
    /// Its name, which stays: people name it in `--skip`.
    pub rule: &'static str,
    /// What a finding of it weighs, as a rule.
    pub severity: Severity,
    /// What it looks for.
    pub about: &'static str,
    /// Whether it looks at files of the workspace, which a copied log is without.
    pub workspace: bool,
    /// Looks for it.
    pub find: fn(&AuditFacts) -> Vec<RawFinding>,
}

const fn check(
    rule: &'static str,
    severity: Severity,
    about: &'static str,
    find: fn(&AuditFacts) -> Vec<RawFinding>,
) -> Check {
    Check { rule, severity, about, workspace: false, find }
}

const fn of_workspace(
    rule: &'static str,
    severity: Severity,
    about: &'static str,
    find: fn(&AuditFacts) -> Vec<RawFinding>,
) -> Check {
    Check { rule, severity, about, workspace: true, find }
}

use Severity::{Error, Note, Warning};

/// Every check, in the order of the findings.
pub static CHECKS: &[Check] = &[
    check(
        "record-damaged",
        Error,
        "what `annals verify` finds: bytes, trees, signatures or blobs that are not as recorded",
        record::damaged,
    ),
    check(
        "events-lost",
        Error,
        "positions that cannot be read; no other check saw them",
        record::lost,
    ),
    check(
        "unsigned-tail",
        Warning,
        "events after the last signed log checkpoint, which are not signed yet",
        record::unsigned_tail,
    ),
    check(
        "clock-went-back",
        Warning,
        "the wall clock was earlier than the log already was, by more than a second",
        record::clock,
    ),
    check("activity-gap", Note, "more than a week in which nothing was recorded", record::gaps),
    check(
        "command-without-end",
        Warning,
        "a command whose process died, or still runs elsewhere",
        record::commands_left,
    ),
    check(
        "move-without-end",
        Error,
        "a planned move without an event that completes it",
        record::moves_left,
    ),
    check(
        "run-without-end",
        Note,
        "a running run that has reported nothing for a day",
        record::runs_left,
    ),
    check("redacted", Note, "an event whose text was taken out, by whom and why", record::redacted),
    check(
        "from-later-version",
        Note,
        "events of a later version of annals, which this version cannot read",
        record::unknown,
    ),
    check(
        "no-second-person",
        Warning,
        "a model that was approved only by people who requested it or trained it",
        people::single_decider,
    ),
    check(
        "decision-not-signed",
        Warning,
        "a promotion, approval or rule of which only a claimed name is known",
        people::claimed,
    ),
    check(
        "policy-tightened",
        Note,
        "a promotion under rules that were strengthened only later, by whom and when",
        rules::tightened,
    ),
    check(
        "policy-loosened-for-promotion",
        Warning,
        "a promotion under a rule that was weaker than before, by whom and when; a note where it \
         was weakened over 30 days before the run began and never restored",
        rules::loosened,
    ),
    check(
        "refused-today",
        Warning,
        "a model in production whose run or approvals the rules of today would refuse",
        rules::refused,
    ),
    check(
        "leaked-rows",
        Warning,
        "rows of valid or test that also occur in train; an error for a model in production",
        data::leaked,
    ),
    check("synthetic-in-production", Error, "a model made of generated data", data::synthetic),
    check(
        "missing-digest",
        Warning,
        "a model in production without a digest of its data, its weights or one of its files",
        data::digests,
    ),
    check(
        "unknown-code",
        Warning,
        "a model in production whose code is unknown: no commit, or changes that were not stored",
        data::code,
    ),
    check("debug-in-production", Error, "a debug run in production", evidence::debug),
    check(
        "typed-metrics",
        Warning,
        "scores that a person typed in; an error for a model in production",
        evidence::typed,
    ),
    check(
        "metrics-missing",
        Warning,
        "a run that went on from a training checkpoint which the log had not caught up with",
        evidence::missing,
    ),
    check(
        "reported-scores",
        Note,
        "a model in production whose scores annals did not watch being measured",
        evidence::reported,
    ),
    check(
        "no-test-score",
        Error,
        "a model in production without any score on test rows",
        evidence::untested,
    ),
    check(
        "test-below-validation",
        Warning,
        "a finished run whose test score is worse than its validation score by more than --margin",
        evidence::below_validation,
    ),
    check(
        "one-seed",
        Warning,
        "a model in production whose settings were tried with one seed only",
        evidence::one_seed,
    ),
    check(
        "not-reproduced",
        Note,
        "a model in production that was never reproduced",
        evidence::not_reproduced,
    ),
    check(
        "reproduced-differently",
        Warning,
        "a run that gave other weights or numbers when it was trained again",
        evidence::reproduced_differently,
    ),
    of_workspace(
        "production-file-changed",
        Error,
        "a file of a model in production that is missing or not what was promoted",
        files::production,
    ),
    of_workspace(
        "production-file-unknown",
        Error,
        "a file in a production folder that was not promoted",
        files::strangers,
    ),
    of_workspace(
        "run-file-changed",
        Warning,
        "a file of a run that is missing or of another size; with --deep, of other content",
        files::runs,
    ),
    of_workspace(
        "registry-file-edited",
        Warning,
        "a registry file that was edited by hand",
        files::edited,
    ),
    of_workspace(
        "registry-file-disagrees",
        Warning,
        "a registry file or view that disagrees with the log",
        files::disagreeing,
    ),
    of_workspace(
        "folder-out-of-place",
        Warning,
        "a run without its folder, or a folder that belongs to no run",
        files::misplaced,
    ),
];
