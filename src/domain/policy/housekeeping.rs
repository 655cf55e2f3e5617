//! Which old runs the rules send into an archive (E-3): debug runs beyond the number that may
//! stay, and runs that failed long ago. Never one that is under way, pinned, in production or
//! asked for.

use std::collections::BTreeSet;

use super::Policy;
use crate::base::{RunId, Timestamp};
use crate::domain::run::{Archive, Category, RunStatus};

const DAY_SECONDS: f64 = 86_400.0;

/// An active run, as the rules about old runs see it.
#[derive(Clone, Copy, Debug)]
pub struct RetentionCandidate {
    /// The run.
    pub run: RunId,
    /// Debug or baseline.
    pub category: Category,
    /// How far it got.
    pub status: RunStatus,
    /// When it ended; none while it runs.
    pub ended: Option<Timestamp>,
    /// Why it stays whatever its age: `pinned`, `in production`.
    pub held: Option<&'static str>,
}

/// A run that a rule sends away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredRun {
    /// The run.
    pub run: RunId,
    /// Where to.
    pub archive: Archive,
    /// The rule: its group in the policy.
    pub rule: &'static str,
    /// Why, in words and numbers.
    pub reason: String,
    /// Why it stays nevertheless.
    pub held: Option<&'static str>,
}

/// Debug runs beyond the `keep` newest of `active`, which is newest first.
pub fn surplus(active: &[RetentionCandidate], keep: u32) -> Vec<ExpiredRun> {
    let debug = active.iter().filter(|run| run.category == Category::Debug);
    let old = debug.skip(usize::try_from(keep).unwrap_or(usize::MAX));
    let due = old.map(|candidate| ExpiredRun {
        run: candidate.run,
        archive: Archive::Debug,
        rule: "debug_experiments",
        reason: format!("a debug run, and not among the {keep} newest"),
        held: kept_because(candidate),
    });
    due.collect()
}

/// What the rules send away of `active`, newest first, at `now`: debug runs beyond `keep`, unless
/// it is none, and runs that failed long enough ago.
pub fn housekeeping(
    policy: &Policy,
    active: &[RetentionCandidate],
    now: Timestamp,
    keep: Option<u32>,
) -> Vec<ExpiredRun> {
    let mut due = keep.map(|keep| surplus(active, keep)).unwrap_or_default();
    let found: BTreeSet<RunId> = due.iter().map(|due| due.run).collect();
    let days = policy.failed_experiments.archive_after_days;
    for candidate in active.iter().filter(|run| run.status == RunStatus::Failed) {
        let Some(ended) = candidate.ended else { continue };
        let age = now.seconds_since(ended) / DAY_SECONDS;
        if age < f64::from(days) || found.contains(&candidate.run) {
            continue;
        }
        due.push(ExpiredRun {
            run: candidate.run,
            archive: Archive::Baseline,
            rule: "failed_experiments",
            reason: format!("it failed {age:.1} days ago, {days} are allowed"),
            held: kept_because(candidate),
        });
    }
    due
}

fn kept_because(candidate: &RetentionCandidate) -> Option<&'static str> {
    match candidate.status {
        RunStatus::Running | RunStatus::Unknown => Some("running"),
        _ => candidate.held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(n: u8, category: Category, status: RunStatus) -> RetentionCandidate {
        let ended = (status != RunStatus::Running).then_some(Timestamp(0));
        RetentionCandidate { run: RunId([n; 16]), category, status, ended, held: None }
    }

    #[test]
    fn old_debug_runs_and_old_failures_go_and_what_is_held_stays() {
        let (debug, baseline) = (Category::Debug, Category::Baseline);
        let mut active = vec![
            candidate(9, debug, RunStatus::Finished),
            candidate(8, baseline, RunStatus::Finished),
            candidate(7, debug, RunStatus::Running),
            candidate(6, debug, RunStatus::Finished),
            candidate(5, debug, RunStatus::Failed),
            candidate(4, baseline, RunStatus::Failed),
            candidate(3, debug, RunStatus::Running),
        ];
        active[3].held = Some("pinned");
        let policy = Policy::default();
        let days = |days: i64| Timestamp(days * 86_400 * 1_000_000_000);
        let found = |now, keep| {
            let due = housekeeping(&policy, &active, now, keep);
            due.into_iter().map(|d| (d.run.0[0], d.archive, d.held)).collect::<Vec<_>>()
        };
        let (to_debug, to_baseline) = (Archive::Debug, Archive::Baseline);
        assert_eq!(found(days(6), None), []);
        assert_eq!(found(days(7), None), [(5, to_baseline, None), (4, to_baseline, None)]);
        assert_eq!(
            found(days(7), Some(2)),
            [
                (6, to_debug, Some("pinned")),
                (5, to_debug, None),
                (3, to_debug, Some("running")),
                (4, to_baseline, None)
            ]
        );
        assert_eq!(found(days(0), Some(0)).len(), 5);
        assert_eq!(found(days(0), Some(9)), []);
    }
}
