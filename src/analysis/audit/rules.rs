//! Checks of the rules that promotions were made under: changes of the policy are judged by what
//! they did, whoever made them and however many there were.

use std::collections::BTreeSet;

use super::facts::Rules;
use super::{AuditFacts, Promotion, RawFinding, Severity};
use crate::base::counted;
use crate::domain::Rejection;
use crate::domain::policy::{Policy, WeakenedRule, weakened};
use crate::domain::registry::{Originals, RegistryFacts, meets};

/// Seconds before a run began from which on a rule that was weakened counts as weakened for its
/// promotion: 30 days. An older change that nobody restored is the policy of the team.
const WEAKENED_SECONDS_MAX: f64 = 30.0 * 24.0 * 3_600.0;

/// Most changes of one rule that a finding names, the latest.
const CHANGES_NAMED_MAX: usize = 3;

/// The promotions that were allowed; all others changed nothing.
fn allowed(facts: &AuditFacts) -> impl Iterator<Item = &Promotion> {
    facts.promotions.iter().filter(|p| !facts.disallowed.contains(&p.at.position))
}

/// The states of the policy that were allowed, and which of them a promotion was made under.
fn in_force<'f>(facts: &'f AuditFacts, promotion: &Promotion) -> (Vec<&'f Rules>, Option<usize>) {
    let allowed = |rules: &&Rules| !facts.disallowed.contains(&rules.at.position);
    let states: Vec<&Rules> = facts.policies.iter().filter(allowed).collect();
    let before = states.partition_point(|rules| rules.at.position < promotion.at.position);
    (states, before.checked_sub(1))
}

/// The rules that were weaker at a promotion than before or after it, with the states of the
/// policy that they count in.
fn around<'f>(facts: &'f AuditFacts, promotion: &Promotion) -> (Vec<&'f Rules>, Vec<WeakenedRule>) {
    let (states, at) = in_force(facts, promotion);
    let policies: Vec<&Policy> = states.iter().map(|rules| &rules.policy).collect();
    let found = at.map(|at| weakened(&policies, at)).unwrap_or_default();
    (states, found)
}

/// Who changed a rule from or to which value, and when.
fn changed(states: &[&Rules], direction: &str, value: &str, change: usize) -> Option<String> {
    let at = &states.get(change)?.at;
    let (who, when, position) = (&at.actor, at.recorded.human(), at.position);
    Some(format!("{direction} {value} by {who} on {when} (event {position})"))
}

/// A rule at the promotion, and every change that made it weaker or stricter than then.
fn told(states: &[&Rules], rule: &WeakenedRule) -> String {
    let earlier = rule.weakened.len().saturating_sub(CHANGES_NAMED_MAX);
    let more = (earlier > 0).then(|| format!("weakened {} before", counted(earlier, "time")));
    let weakened = rule.weakened.iter().skip(earlier);
    let weakened = weakened.filter_map(|(at, was)| changed(states, "weakened from", was, *at));
    let weakened = more.into_iter().chain(weakened);
    let after = rule.strengthened.iter();
    let after = after.filter_map(|(at, is)| changed(states, "strengthened to", is, *at));
    let changes: Vec<String> = weakened.chain(after).collect();
    format!("{} was {}: {}", rule.rule, rule.then, changes.join(", "))
}

/// A finding about rules of one promotion.
fn of_rules(promotion: &Promotion, states: &[&Rules], rules: &[&WeakenedRule]) -> RawFinding {
    let words: Vec<String> = rules.iter().map(|rule| told(states, rule)).collect();
    let changes = rules.iter().flat_map(|rule| {
        rule.weakened.iter().chain(&rule.strengthened).filter_map(|(at, _)| states.get(*at))
    });
    let changes: Vec<&Rules> = changes.copied().collect();
    let people: BTreeSet<&str> = changes.iter().map(|rules| rules.at.actor.as_str()).collect();
    let people: Vec<&str> = people.into_iter().collect();
    let found = RawFinding::new(promotion.subject(), words.join("; "))
        .at(changes.iter().map(|rules| rules.at.position).chain([promotion.at.position]))
        .value("by", people.join(", "))
        .shown_by("policy history");
    rules.iter().fold(found, |found, rule| {
        let before = rule.weakened.first().map(|(_, was)| format!("{was} before"));
        let after = rule.strengthened.as_ref().map(|(_, is)| format!("{is} after"));
        let then = Some(format!("{} then", rule.then));
        let values: Vec<String> = [before, then, after].into_iter().flatten().collect();
        found.value(rule.rule, values.join(", "))
    })
}

/// Rules that were weakened before a promotion, by whom and when, and whether they were restored.
pub(super) fn loosened(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = allowed(facts).filter_map(|promotion| {
        let (states, all) = around(facts, promotion);
        let rules: Vec<&WeakenedRule> = all.iter().filter(|r| !r.weakened.is_empty()).collect();
        if rules.is_empty() {
            return None;
        }
        let restored = rules.iter().any(|rule| rule.strengthened.is_some());
        let run = facts.runs.get(&promotion.promoted.run).map_or(&promotion.at, |run| &run.at);
        // By position as well: a clock that was set back would make a change look old.
        let recent = |rules: &&Rules| {
            rules.at.position > run.position
                || run.recorded.seconds_since(rules.at.recorded) <= WEAKENED_SECONDS_MAX
        };
        let changes = rules.iter().flat_map(|rule| &rule.weakened);
        let late = changes.filter_map(|(at, _)| states.get(*at)).any(recent);
        let found = of_rules(promotion, &states, &rules);
        Some(if restored || late { found } else { found.with_severity(Severity::Note) })
    });
    found.collect()
}

/// Rules that were only strengthened after a promotion.
pub(super) fn tightened(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = allowed(facts).filter_map(|promotion| {
        let (states, all) = around(facts, promotion);
        let rules: Vec<&WeakenedRule> = all.iter().filter(|r| r.weakened.is_empty()).collect();
        (!rules.is_empty()).then(|| of_rules(promotion, &states, &rules))
    });
    found.collect()
}

/// Models in production that the rules of today would refuse.
pub(super) fn refused(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = facts.in_production().filter_map(|(promotion, _)| {
        let (states, _) = in_force(facts, promotion);
        let newest = states.last()?;
        let reason = refusal(facts, promotion, &newest.policy)?;
        let revision = states.len() as u64 - 1;
        let what = format!("today it would be refused: {reason}");
        let found = RawFinding::new(promotion.subject(), what)
            .at([promotion.at.position, newest.at.position])
            .value("newest_revision", revision)
            .shown_by(promotion.why());
        let Rejection::Rules { failed, .. } = &reason else { return Some(found) };
        Some(failed.iter().fold(found, |found, rule| {
            let text = format!("required {}, actual {}", rule.required, rule.found);
            found.value(&rule.rule, text)
        }))
    });
    found.collect()
}

fn refusal(facts: &AuditFacts, promotion: &Promotion, policy: &Policy) -> Option<Rejection> {
    let run = facts.runs.get(&promotion.promoted.run)?;
    if let Some(position) = facts.disputed.get(&promotion.promoted.run) {
        let what = format!("event {position} of its run was not allowed");
        return Some(Rejection::NotAllowed(what));
    }
    if policy.production_promotion.approvals_signed && promotion.at.claimed {
        let what = format!("the promotion is not signed; {} is only claimed", promotion.at.actor);
        return Some(Rejection::NotAllowed(what));
    }
    // Which approvals covered what was promoted was judged then.
    let mut request = facts.registry.requests.get(&promotion.promoted.request)?.clone();
    request.requested.evidence = None;
    let rules = RegistryFacts {
        policy,
        policy_revision: 0,
        promotion_revision: 0,
        originals: &Originals::new(),
        actor: &promotion.at.actor,
        run: &run.state,
        trainer: &request.requested.trainer,
        trainer_signed: !run.at.claimed,
        key: None,
        vouched: &facts.vouched,
    };
    meets(&request, &rules).err()
}
