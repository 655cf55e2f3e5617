//! The rules about edits of a run by people: its category, tags, notes, name, and whether it is
//! pinned. They hold whatever the status of the run.

use super::{
    Category, RunClassified, RunEvent, RunFacts, RunNoted, RunPinned, RunRenamed, RunShared,
    RunState, RunStatus, RunTagged, RunUnpinned, classify,
};
use crate::base::limits::{NAME_BYTES_MAX, TEXT_INLINE_BYTES_MAX};
use crate::domain::{Fold as _, Name, Rejection};

/// An edit of a run by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEdit {
    /// Sort it into a category; by the words of its name and tags when none is given.
    Classify(Option<Category>),
    /// Add and remove tags.
    Tag {
        /// Those to add; one that is there already stays.
        add: Vec<String>,
        /// Those to remove; each must be there.
        remove: Vec<String>,
    },
    /// Exactly these tags, in this order: as they were before.
    Retag(Vec<String>),
    /// Write something down.
    Note(String),
    /// Keep it where it is.
    Pin {
        /// Why.
        reason: Option<String>,
    },
    /// Let the rules about old runs apply to it.
    Unpin {
        /// Why.
        reason: Option<String>,
    },
    /// Give the experiment another name.
    Rename(String),
    /// Let somebody else record facts of it, or do so no more.
    Share {
        /// The person, by name.
        person: String,
        /// Whether they may.
        allowed: bool,
    },
}

/// An edit to the present value changes nothing. Refuses an unknown run, a text that is empty, too
/// long or not printable, and the removal of a tag that the run does not have.
pub(super) fn decide_edit(
    state: &RunState,
    command: RunEdit,
    facts: &RunFacts<'_>,
) -> Result<Vec<RunEvent>, Rejection> {
    if state.status == RunStatus::Unknown {
        return Err(Rejection::Unknown { what: "run", name: state.experiment_id.clone() });
    }
    let mut events = match command {
        RunEdit::Classify(chosen) => return Ok(sort(state, chosen, facts)),
        RunEdit::Tag { add, remove } => tag(state, add, remove)?,
        RunEdit::Retag(tags) => retag(state, &tags),
        RunEdit::Note(text) => {
            printable("the note", &text, TEXT_INLINE_BYTES_MAX)?;
            vec![RunNoted { text }.into()]
        }
        RunEdit::Pin { .. } if state.pinned => vec![],
        RunEdit::Pin { reason } => vec![RunPinned { reason: checked(reason)? }.into()],
        RunEdit::Unpin { .. } if !state.pinned => vec![],
        RunEdit::Unpin { reason } => vec![RunUnpinned { reason: checked(reason)? }.into()],
        RunEdit::Rename(new) => rename(state, new)?,
        RunEdit::Share { person, allowed } => share(state, person, allowed, facts)?,
    };
    let words_changed =
        events.iter().any(|e| matches!(e, RunEvent::Tagged(_) | RunEvent::Renamed(_)));
    if words_changed && !state.category_chosen {
        let mut after = state.clone();
        events.iter().for_each(|event| after.evolve(event));
        let sorted = sort(&after, None, facts);
        // The same category for another reason is no news.
        let moved =
            |e: &RunEvent| matches!(e, RunEvent::Classified(c) if c.category != state.category);
        events.extend(sorted.into_iter().filter(moved));
    }
    Ok(events)
}

fn sort(state: &RunState, chosen: Option<Category>, facts: &RunFacts<'_>) -> Vec<RunEvent> {
    let criteria = &facts.policy.debug_experiments.criteria;
    let class = classify(&state.name, &state.tags, criteria, chosen);
    if class.category == state.category && chosen.is_some() == state.category_chosen {
        return vec![];
    }
    let classified = RunClassified {
        category: class.category,
        rule: class.rule.to_owned(),
        matched: class.matched,
        policy_revision: Some(facts.policy_revision),
    };
    vec![classified.into()]
}

fn tag(
    state: &RunState,
    add: Vec<String>,
    remove: Vec<String>,
) -> Result<Vec<RunEvent>, Rejection> {
    for tag in &add {
        printable("a tag", tag, NAME_BYTES_MAX)?;
        if tag.contains(',') || tag.trim() != tag || remove.contains(tag) {
            let reason = if remove.contains(tag) {
                "it cannot come and go at once"
            } else {
                "a tag has no comma and no blank at its ends"
            };
            return Err(Rejection::Invalid {
                what: format!("the tag {tag:?}"),
                reason: reason.into(),
            });
        }
    }
    if let Some(missing) = remove.iter().find(|tag| !state.tags.contains(tag)) {
        return Err(Rejection::Unknown { what: "tag", name: missing.clone() });
    }
    let mut added: Vec<String> = Vec::new();
    for tag in add {
        if !state.tags.contains(&tag) && !added.contains(&tag) {
            added.push(tag);
        }
    }
    if added.is_empty() && remove.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![RunTagged { added, removed: remove }.into()])
}

/// Only whoever began a run shares it.
fn share(
    state: &RunState,
    person: String,
    allowed: bool,
    facts: &RunFacts<'_>,
) -> Result<Vec<RunEvent>, Rejection> {
    printable("the person", &person, NAME_BYTES_MAX)?;
    if facts.teller.is_some_and(|teller| state.owner != Some(teller.actor)) {
        return Err(Rejection::NotAllowed(format!(
            "the run {} was begun by somebody else, and only they can share it",
            state.experiment_id
        )));
    }
    match state.shared.contains(&person) == allowed {
        true => Ok(vec![]),
        false => Ok(vec![RunShared { person, allowed }.into()]),
    }
}

/// What comes after the first difference goes and comes back in its order: tags are appended.
fn retag(state: &RunState, tags: &[String]) -> Vec<RunEvent> {
    let same = state.tags.iter().zip(tags).take_while(|(now, then)| now == then).count();
    let (removed, added) = (state.tags[same..].to_vec(), tags[same..].to_vec());
    if added.is_empty() && removed.is_empty() {
        return vec![];
    }
    vec![RunTagged { added, removed }.into()]
}

fn rename(state: &RunState, new: String) -> Result<Vec<RunEvent>, Rejection> {
    Name::new(&new)
        .map_err(|e| Rejection::Invalid { what: "the new name".into(), reason: e.to_string() })?;
    if new == state.name {
        return Ok(vec![]);
    }
    Ok(vec![RunRenamed { old: state.name.clone(), new }.into()])
}

fn checked(reason: Option<String>) -> Result<Option<String>, Rejection> {
    reason.as_ref().map_or(Ok(()), |r| printable("the reason", r, TEXT_INLINE_BYTES_MAX))?;
    Ok(reason)
}

/// Refuses what is empty, too long, or would not show as it is.
pub(in crate::domain) fn printable(
    what: &str,
    text: &str,
    bytes_max: usize,
) -> Result<(), Rejection> {
    let reason = if text.trim().is_empty() {
        "it is empty".to_owned()
    } else if text.len() > bytes_max {
        format!("it has {} bytes, {bytes_max} are allowed", text.len())
    } else if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        "it has a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(Rejection::Invalid { what: what.to_owned(), reason })
}
