//! The rules about changing the rules: known keys, right types, sensible ranges.

use serde_json::Value;

use super::{Policy, PolicyChange, PolicyChanged, PolicyCommand, PolicyEvent, PolicyState};
use crate::base::suggest::nearest;
use crate::domain::run::Archive;
use crate::domain::{Decider, Event, Fold as _, Header, Name, Rejection, StreamId};

/// What a change of the rules needs to know beside them.
#[derive(Clone, Copy, Debug)]
pub struct PolicyFacts {
    /// Whether it is signed with a key that counts.
    pub signed: bool,
}

/// The stream of the rules.
#[derive(Clone, Copy, Debug)]
pub enum PolicyStream {}

impl Decider for PolicyStream {
    type Id = ();
    type State = PolicyState;
    type Command = PolicyCommand;
    type Event = PolicyEvent;
    type Facts<'f> = PolicyFacts;

    fn stream((): ()) -> StreamId {
        StreamId::POLICY
    }

    fn event(event: Event) -> Option<PolicyEvent> {
        if let Event::Policy(event) = event { Some(event) } else { None }
    }

    fn decide(
        state: &PolicyState,
        command: PolicyCommand,
        facts: &PolicyFacts,
    ) -> Result<Vec<PolicyEvent>, Rejection> {
        if state.policy.production_promotion.approvals_signed && !facts.signed {
            return Err(Rejection::NotAllowed(
                "production_promotion.approvals_signed requires that a change of the policy is \
                 signed, and you have no key here that counts; `annals actor list` shows whose do"
                    .into(),
            ));
        }
        decide(state, command)
    }

    fn evolve(state: &mut PolicyState, event: &PolicyEvent, _: &Header) {
        state.evolve(event);
    }

    fn anticipate(state: &mut PolicyState, event: &PolicyEvent, _: &PolicyFacts) {
        state.evolve(event);
    }
}

/// Setting a rule to its present value changes nothing. Refuses an unknown key (with the nearest
/// known one) and a value of the wrong type or out of range.
pub(super) fn decide(
    state: &PolicyState,
    command: PolicyCommand,
) -> Result<Vec<PolicyEvent>, Rejection> {
    match command {
        PolicyCommand::Adopt if state.changes > 0 => Ok(vec![]),
        PolicyCommand::Adopt => {
            let policy = Policy::default();
            let entries = policy.entries();
            let changes = entries
                .into_iter()
                .map(|(key, new)| PolicyChange { key, old: None, new })
                .collect();
            Ok(vec![PolicyChanged { policy, changes, reason: None }.into()])
        }
        PolicyCommand::Set { key, value, reason } => {
            replace(state, with(&state.policy, &key, &value)?, reason)
        }
        PolicyCommand::Replace { policy, reason } => replace(state, *policy, reason),
    }
}

fn replace(
    state: &PolicyState,
    policy: Policy,
    reason: Option<String>,
) -> Result<Vec<PolicyEvent>, Rejection> {
    check(&policy)?;
    let changes = changes(&state.policy, &policy);
    if changes.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![PolicyChanged { policy, changes, reason }.into()])
}

/// The rules that differ.
pub fn changes(old: &Policy, new: &Policy) -> Vec<PolicyChange> {
    let pairs = old.entries().into_iter().zip(new.entries());
    pairs
        .filter(|(old, new)| old != new)
        .map(|((_, old), (key, new))| PolicyChange { key, old: Some(old), new })
        .collect()
}

/// The policy with one rule changed.
fn with(policy: &Policy, key: &str, value: &str) -> Result<Policy, Rejection> {
    let unknown = || {
        let keys: Vec<String> = policy.entries().into_iter().map(|(key, _)| key).collect();
        let reason = match nearest(key, keys.iter().map(String::as_str)) {
            Some(near) => format!("there is no such rule; did you mean {near}?"),
            None => "there is no such rule; `annals policy show` lists them".to_owned(),
        };
        Rejection::Invalid { what: key.to_owned(), reason }
    };
    let mut json = serde_json::to_value(policy).unwrap_or(Value::Null);
    let (group, field) = key.split_once('.').ok_or_else(unknown)?;
    let slot = json.get_mut(group).and_then(|g| g.get_mut(field)).ok_or_else(unknown)?;
    *slot = read_value(slot, value);
    serde_json::from_value(json).map_err(|e| Rejection::Invalid {
        what: key.to_owned(),
        reason: format!("{value} does not fit: {e}"),
    })
}

/// JSON where it is JSON; else words for a list, and text for everything else.
fn read_value(present: &Value, text: &str) -> Value {
    match (serde_json::from_str::<Value>(text), present) {
        (Ok(Value::String(word)), Value::Array(_)) => Value::Array(vec![Value::String(word)]),
        (Ok(value), _) => value,
        (Err(_), Value::Array(_)) => {
            let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
            Value::Array(words.map(|w| Value::String(w.to_owned())).collect())
        }
        (Err(_), _) if text == "none" => Value::Null,
        (Err(_), _) => Value::String(text.to_owned()),
    }
}

fn check(policy: &Policy) -> Result<(), Rejection> {
    let promotion = &policy.production_promotion;
    let shares = [
        ("min_accuracy_threshold", Some(promotion.min_accuracy_threshold)),
        ("min_f1_macro_threshold", Some(promotion.min_f1_macro_threshold)),
        ("min_class_f1", Some(promotion.min_class_f1)),
        ("min_critical_recall", promotion.min_critical_recall),
    ];
    let invalid =
        |what: &str, reason: String| Err(Rejection::Invalid { what: what.to_owned(), reason });
    for (rule, share) in shares {
        if let Some(share) = share
            && !(0.0..=1.0).contains(&share)
        {
            return invalid(
                &format!("production_promotion.{rule}"),
                format!("{share} is out of range, 0 to 1 is allowed"),
            );
        }
    }
    if promotion.require_manual_approval && promotion.approvals == 0 {
        return invalid(
            "production_promotion.approvals",
            "0 contradicts require_manual_approval; set that to false instead".into(),
        );
    }
    if promotion.min_critical_recall.is_some() && promotion.critical_class.is_none() {
        return invalid(
            "production_promotion.min_critical_recall",
            "set production_promotion.critical_class first".into(),
        );
    }
    if promotion.evidence.is_empty() {
        let reason = "without any evidence nothing could ever be promoted".to_owned();
        return invalid("production_promotion.evidence", reason);
    }
    if promotion.critical_class.as_ref().is_some_and(|class| class.trim().is_empty()) {
        return invalid("production_promotion.critical_class", "it is empty; or none?".into());
    }
    let criteria = &policy.debug_experiments.criteria;
    let wordless = |word: &&String| !word.chars().any(char::is_alphanumeric);
    if let Some(criterion) = criteria.iter().find(wordless) {
        let reason = format!("{criterion:?} has neither letter nor digit and matches nothing");
        return invalid("debug_experiments.criteria", reason);
    }
    let (debug, failed) = (Archive::Debug.location(policy), Archive::Baseline.location(policy));
    for (key, location) in [
        ("debug_experiments.archive_location", debug),
        ("failed_experiments.archive_location", failed),
    ] {
        if let Err(error) = Name::new(location) {
            return invalid(key, error.to_string());
        }
        let folded = location.to_lowercase();
        let other = if location == debug { failed } else { debug };
        if folded == Archive::Archived.word() || debug.to_lowercase() == failed.to_lowercase() {
            let reason = format!("{location} is another archive's folder (beside {other})");
            return invalid(key, reason);
        }
    }
    Ok(())
}
