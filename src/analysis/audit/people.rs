//! Checks of who decided, and under which rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::facts::Rules;
use super::{AuditFacts, Promotion, RawFinding, Severity, word};
use crate::domain::policy::{Policy, assess};

/// A rule loosened and used within so many seconds.
const LOOSENED_SECONDS_MAX: f64 = 24.0 * 3_600.0;

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

/// Which way a rule gets stricter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stricter {
    Higher,
    Lower,
}

/// The rules about promotion, by name; lists are stricter where they are shorter.
const DIRECTIONS: [(&str, Stricter); 16] = [
    ("min_accuracy_threshold", Stricter::Higher),
    ("min_f1_macro_threshold", Stricter::Higher),
    ("min_class_f1", Stricter::Higher),
    ("critical_class", Stricter::Higher),
    ("min_critical_recall", Stricter::Higher),
    ("min_test_rows", Stricter::Higher),
    ("require_manual_approval", Stricter::Higher),
    ("approvals", Stricter::Higher),
    ("approvals_signed", Stricter::Higher),
    ("min_reproduced", Stricter::Higher),
    ("enabled", Stricter::Lower),
    ("trainer_may_approve", Stricter::Lower),
    ("evidence", Stricter::Lower),
    ("allow_synthetic", Stricter::Lower),
    ("allow_leakage", Stricter::Lower),
    ("allow_debug", Stricter::Lower),
];

/// A value as a number that orders strictness.
fn weight(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Number(number) => number.as_f64().unwrap_or(0.0),
        Value::String(_) => 1.0,
        Value::Array(items) => items.len() as f64,
        Value::Object(fields) => fields.len() as f64,
    }
}

/// The rules that are stricter in `now` than in `then`: name, before, after.
fn stricter(then: &Policy, now: &Policy) -> Vec<(&'static str, String, String)> {
    let rules =
        |policy: &Policy| serde_json::to_value(&policy.production_promotion).unwrap_or(Value::Null);
    let (then, now) = (rules(then), rules(now));
    let tightened = DIRECTIONS.iter().filter_map(|(rule, direction)| {
        let (old, new) = (&then[*rule], &now[*rule]);
        let (low, high) = match direction {
            Stricter::Higher => (weight(old), weight(new)),
            Stricter::Lower => (weight(new), weight(old)),
        };
        (low < high).then(|| (*rule, old.to_string(), new.to_string()))
    });
    tightened.collect()
}

pub(super) fn tightened(facts: &AuditFacts) -> Vec<RawFinding> {
    let Some(newest) = facts.policies.last() else { return vec![] };
    let mut all = Vec::new();
    for (promotion, run) in facts.in_production() {
        let revision = promotion.promoted.policy_revision;
        let Some(then) = facts.rules(revision) else { continue };
        let rules = stricter(&then.policy, &newest.policy);
        if rules.is_empty() {
            continue;
        }
        let failed = run.map(|run| assess(&newest.policy, &run.state).failed());
        let failed = failed.unwrap_or_default();
        let named: Vec<&str> = rules.iter().map(|(rule, ..)| *rule).collect();
        let mut what = format!("stricter since policy revision {revision}: {}", named.join(", "));
        if !failed.is_empty() {
            let failed: Vec<String> = failed
                .iter()
                .map(|rule| {
                    format!("{}: required {}, actual {}", rule.rule, rule.required, rule.found)
                })
                .collect();
            what = format!("{what}; today it would be refused: {}", failed.join("; "));
        }
        let mut found = RawFinding::new(promotion.subject(), what)
            .at([then.at.position, promotion.at.position, newest.at.position])
            .value("policy_revision", revision)
            .value("newest_revision", newest.revision)
            .shown_by("query --saved promotions_policy_tightened");
        for (rule, old, new) in rules {
            found = found.value(rule, format!("{old}, now {new}"));
        }
        all.push(match failed.is_empty() {
            true => found,
            false => found.with_severity(Severity::Warning),
        });
    }
    all
}

/// Rules that people who took part in a promotion loosened shortly before it, and that were still
/// loose then: revision, who, and name, strict and loose value of each.
type Loosened<'f> = Vec<(&'f Rules, Vec<(&'static str, String, String)>)>;

fn loosened_for<'f>(facts: &'f AuditFacts, promotion: &Promotion) -> Loosened<'f> {
    let Some(used) = facts.rules(promotion.promoted.policy_revision) else { return vec![] };
    let (own, _) = people(facts, promotion);
    let mut found = Vec::new();
    for rules in &facts.policies {
        let before = rules.revision.checked_sub(1).and_then(|before| facts.rules(before));
        let Some(before) = before.filter(|_| rules.revision <= used.revision) else { continue };
        let late = promotion.at.recorded.seconds_since(rules.at.recorded) <= LOOSENED_SECONDS_MAX;
        let by = &rules.at.actor;
        if !late || !(own.contains(by) || promotion.promoted.approvers.contains(by)) {
            continue;
        }
        // What is stricter before a revision than after it, and than what was used, it loosened.
        let mut loose = stricter(&rules.policy, &before.policy);
        let still = stricter(&used.policy, &before.policy);
        loose.retain(|(rule, ..)| still.iter().any(|(other, ..)| other == rule));
        if !loose.is_empty() {
            found.push((rules, loose));
        }
    }
    found
}

pub(super) fn loosened(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = facts.promotions.iter().filter_map(|promotion| {
        let loosened = loosened_for(facts, promotion);
        let (first, _) = loosened.first()?;
        let minutes = promotion.at.recorded.seconds_since(first.at.recorded) / 60.0;
        let people: BTreeSet<&str> = loosened.iter().map(|(r, _)| r.at.actor.as_str()).collect();
        let people: Vec<&str> = people.into_iter().collect();
        let rules = loosened.iter().flat_map(|(_, rules)| rules);
        let named: BTreeSet<&str> = rules.clone().map(|(rule, ..)| *rule).collect();
        let named: Vec<&str> = named.into_iter().collect();
        let what = format!(
            "{} took part in it and loosened {} within a day before",
            people.join(" and "),
            named.join(", ")
        );
        let found = RawFinding::new(promotion.subject(), what)
            .at(loosened.iter().map(|(rules, _)| rules.at.position).chain([promotion.at.position]))
            .value("by", people.join(", "))
            .value("minutes_before", format!("{minutes:.0}"))
            .shown_by("policy history");
        Some(rules.fold(found, |found, (rule, loose, strict)| {
            found.value(rule, format!("{strict} before, {loose} then"))
        }))
    });
    found.collect()
}
