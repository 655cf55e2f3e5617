//! Checks of what models were made from: data, digests, code.

use super::{AuditFacts, RawFinding, RunFacts, Severity};
use crate::domain::run::RunStatus;

pub(super) fn leaked(facts: &AuditFacts) -> Vec<RawFinding> {
    let finished = facts
        .runs
        .iter()
        .filter(|(_, run)| run.state.leaked_rows > 0 && run.state.status == RunStatus::Finished);
    let found = finished.map(|(id, run)| {
        let rows = run.state.leaked_rows;
        let rows_are = if rows == 1 { "row is" } else { "rows are" };
        let what = format!("{rows} validation or test {rows_are} also in the training rows");
        let found = |what: String| {
            RawFinding::new(run.subject(), what)
                .at(run.positions())
                .value("leaked_rows", rows)
                .shown_by(format!("show {}", run.started.experiment_id))
        };
        match facts.placed_of(*id) {
            Some(promotion) => found(format!("{what}, and {} came from it", promotion.subject()))
                .at([promotion.at.position])
                .with_severity(Severity::Error),
            None => found(what),
        }
    });
    found.collect()
}

/// One finding for each model in production whose run `what` says something about.
pub(super) fn of_production(
    facts: &AuditFacts,
    what: impl Fn(&RunFacts) -> Option<(String, Vec<(&'static str, String)>)>,
) -> Vec<RawFinding> {
    let found = facts.in_production().filter_map(|(promotion, run)| {
        let run = run?;
        let (what, values) = what(run)?;
        let what = format!("{what} ({})", run.subject());
        let found = RawFinding::new(promotion.subject(), what)
            .at(run.positions().chain([promotion.at.position]))
            .shown_by(promotion.why());
        Some(values.into_iter().fold(found, |found, (name, value)| found.value(name, value)))
    });
    found.collect()
}

pub(super) fn synthetic(facts: &AuditFacts) -> Vec<RawFinding> {
    of_production(facts, |run| {
        let made = run.started.data.synthetic.as_ref()?;
        let what = format!("its data was generated ({})", made.generator);
        Some((what, vec![("generator", made.generator.clone())]))
    })
}

pub(super) fn digests(facts: &AuditFacts) -> Vec<RawFinding> {
    let mut all = of_production(facts, |run| {
        let data = &run.started.data;
        let none = data.files.is_empty() && data.synthetic.is_none();
        none.then(|| ("no file of its data is known".into(), vec![("data_files", "0".into())]))
    });
    all.extend(of_production(facts, |run| {
        let none = run.state.status == RunStatus::Finished && !run.weights;
        none.then(|| ("no digest of its weights is known".into(), vec![]))
    }));
    all.extend(facts.in_production().filter(|(p, _)| p.promoted.files.is_empty()).map(
        |(promotion, _)| {
            RawFinding::new(promotion.subject(), "the promotion names no file")
                .at([promotion.at.position])
                .shown_by(promotion.why())
        },
    ));
    all
}

pub(super) fn code(facts: &AuditFacts) -> Vec<RawFinding> {
    of_production(facts, |run| match &run.started.environment.git {
        None => Some(("no commit of its code is known".into(), vec![])),
        Some(git) if git.dirty && git.diff.is_none() => {
            let what = "its code was changed since the commit, and the changes were not \
                 stored"
                .into();
            Some((what, vec![("commit", git.commit.clone())]))
        }
        Some(_) => None,
    })
}
