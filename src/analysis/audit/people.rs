//! Checks of who decided.

use std::collections::{BTreeMap, BTreeSet};

use super::{AuditFacts, Promotion, RawFinding, Severity, word};

/// Who asked for a promotion and who trained its run, and who else said yes.
fn people(facts: &AuditFacts, promotion: &Promotion) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut others: BTreeSet<String> = promotion.promoted.approvers.iter().cloned().collect();
    let own = match facts.requests.get(&promotion.promoted.request) {
        Some(asked) => {
            others.extend(asked.approvals.iter().map(|(_, approver)| approver.clone()));
            BTreeSet::from([asked.at.actor.clone(), asked.trainer.clone()])
        }
        None => BTreeSet::from([promotion.at.actor.clone()]),
    };
    others.retain(|person| !own.contains(person));
    (own, others)
}

pub(super) fn single_decider(facts: &AuditFacts) -> Vec<RawFinding> {
    let single_decider = facts.promotions.iter().filter_map(|promotion| {
        let (own, others) = people(facts, promotion);
        if !others.is_empty() {
            return None;
        }
        let own: Vec<String> = own.into_iter().collect();
        let what =
            format!("approved only by {}, who requested it or trained it", { own.join(" and ") });
        let request = facts.requests.get(&promotion.promoted.request);
        let approvals = request.map_or(0, |asked| asked.approvals.len());
        let positions = request.into_iter().flat_map(|asked| {
            asked.approvals.iter().map(|(at, _)| at.position).chain([asked.at.position])
        });
        let found = RawFinding::new(promotion.subject(), what)
            .at(positions.chain([promotion.at.position]))
            .value("people", own.join(", "))
            .value("approvals", approvals)
            .shown_by(promotion.why());
        Some(if facts.is_placed(promotion) { found } else { found.with_severity(Severity::Note) })
    });
    single_decider.collect()
}

/// One finding for each person and kind: that a name is only claimed is a habit as a rule.
pub(super) fn claimed(facts: &AuditFacts) -> Vec<RawFinding> {
    let mut by: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for (at, kind) in facts.decisions.iter().filter(|(at, _)| at.claimed) {
        by.entry((&at.actor, kind)).or_default().push(at.position);
    }
    let found = |((actor, kind), positions): ((&str, &str), Vec<u64>)| {
        let count = positions.len();
        let what = match count {
            1 => format!("a {kind} is recorded under this claimed name only"),
            many => format!("{many} events {kind} are recorded under this claimed name only"),
        };
        RawFinding::new(format!("actor {actor}"), what)
            .at(positions)
            .value("events", count)
            .value("kind", kind)
            .shown_by(format!("log --actor {} --kind {kind}", word(actor)))
    };
    by.into_iter().map(found).collect()
}
