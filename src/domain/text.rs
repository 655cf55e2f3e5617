//! The free texts of events: what may be taken out of them without changing what is true (L-8).
//!
//! Reasons, notes, descriptions, tags, words of a command line, names of machines, what a program
//! printed. Everything else decides who did what, what is where and what was measured, and stays:
//! names of actors, runs and models, metrics, digests, approvals, rules.
//!
//! To add a kind with free text: an arm in [`visit_free_text`], and the class `Text` where it is
//! listed, so that what is taken out cannot be guessed from its digest.

use serde_json::Value;

use super::Event;
use super::file_move::{MoveEvent, MovePurpose};
use super::invocation::{InvocationEvent, Outcome};
use super::policy::PolicyEvent;
use super::registry::RegistryEvent;
use super::run::{Environment, RunEvent};
use super::workspace::WorkspaceEvent;

/// Reads or replaces a text: the name of its field, and the text.
pub type VisitText<'a> = dyn FnMut(&'static str, &mut String) + 'a;

/// What begins the text that is in the place of a redacted one.
pub const REDACTED: &str = "[redacted at ";

/// Whether a redaction took something out of a text.
pub(super) fn is_redacted(text: &str) -> bool {
    text.contains(REDACTED)
}

/// Hands out every free text of an event.
pub fn visit_free_text(event: &mut Event, each: &mut VisitText<'_>) {
    match event {
        Event::Run(event) => of_run(event, each),
        Event::Registry(event) => of_registry(event, each),
        Event::Invocation(event) => of_invocation(event, each),
        Event::Move(MoveEvent::Planned(plan)) => of_purpose(&mut plan.purpose, each),
        Event::Move(MoveEvent::RolledBack(back)) => each("reason", &mut back.reason),
        Event::Policy(PolicyEvent::Changed(changed)) => {
            optional("reason", &mut changed.reason, each);
        }
        Event::Workspace(WorkspaceEvent::SnapshotTaken(taken)) => {
            optional("message", &mut taken.message, each);
        }
        Event::Workspace(WorkspaceEvent::CheckpointAnchored(anchored)) => {
            each("location", &mut anchored.location);
        }
        Event::Move(MoveEvent::Completed(_)) | Event::Workspace(_) => {}
    }
}

fn of_run(event: &mut RunEvent, each: &mut VisitText<'_>) {
    match event {
        RunEvent::Started(started) => {
            each("description", &mut started.description);
            listed("tags", &mut started.tags, each);
            for text in started.parameters.values_mut() {
                in_json("parameters", text, each);
            }
            of_environment(&mut started.environment, each);
        }
        RunEvent::Resumed(resumed) => of_environment(&mut resumed.environment, each),
        RunEvent::Failed(failed) => {
            each("reason", &mut failed.reason);
            each("stderr_tail", &mut failed.stderr_tail);
        }
        RunEvent::Interrupted(interrupted) => each("reason", &mut interrupted.reason),
        RunEvent::Tagged(tagged) => {
            listed("tags", &mut tagged.added, each);
            listed("tags", &mut tagged.removed, each);
        }
        RunEvent::Noted(noted) => each("note", &mut noted.text),
        RunEvent::Pinned(pinned) => optional("reason", &mut pinned.reason, each),
        RunEvent::Unpinned(unpinned) => optional("reason", &mut unpinned.reason, each),
        RunEvent::Renamed(renamed) => {
            each("name", &mut renamed.old);
            each("name", &mut renamed.new);
        }
        RunEvent::Archived(archived) => each("reason", &mut archived.reason),
        RunEvent::Restored(restored) => optional("reason", &mut restored.reason, each),
        RunEvent::Deleted(deleted) => each("reason", &mut deleted.reason),
        RunEvent::Classified(_)
        | RunEvent::Planned(_)
        | RunEvent::Shared(_)
        | RunEvent::MetricsRecorded(_)
        | RunEvent::MetricsUnrecorded(_)
        | RunEvent::CheckpointSaved(_)
        | RunEvent::CheckpointPruned(_)
        | RunEvent::ArtifactStored(_)
        | RunEvent::Finished(_)
        | RunEvent::Assessed(_)
        | RunEvent::Reproduced(_)
        | RunEvent::Relocated(_) => {}
    }
}

fn of_environment(environment: &mut Environment, each: &mut VisitText<'_>) {
    each("host", &mut environment.host);
    environment.variables.values_mut().for_each(|text| each("variables", text));
    if let Some(git) = &mut environment.git {
        optional("branch", &mut git.branch, each);
    }
}

fn of_registry(event: &mut RegistryEvent, each: &mut VisitText<'_>) {
    match event {
        RegistryEvent::Requested(requested) => {
            optional("reason", &mut requested.reason, each);
            optional("intended_use", &mut requested.intended_use, each);
            optional("limits", &mut requested.limits, each);
        }
        RegistryEvent::Approved(approved) => optional("reason", &mut approved.reason, each),
        RegistryEvent::Rejected(rejected) => each("reason", &mut rejected.reason),
        RegistryEvent::Refused(refused) => each("message", &mut refused.message),
        RegistryEvent::Demoted(demoted) => each("reason", &mut demoted.reason),
        RegistryEvent::RolledBack(back) => each("reason", &mut back.reason),
        // Names of files that nobody recorded may name people.
        RegistryEvent::FoundDamaged(damaged) => {
            damaged.found.iter_mut().for_each(|file| each("found", &mut file.path));
        }
        RegistryEvent::Repaired(repaired) => optional("reason", &mut repaired.reason, each),
        RegistryEvent::VersionBumped(bumped) => optional("reason", &mut bumped.reason, each),
        RegistryEvent::AliasSet(set) => optional("reason", &mut set.reason, each),
        RegistryEvent::AliasRemoved(removed) => optional("reason", &mut removed.reason, each),
        RegistryEvent::Promoted(_) | RegistryEvent::Relocated(_) => {}
    }
}

fn of_invocation(event: &mut InvocationEvent, each: &mut VisitText<'_>) {
    match event {
        InvocationEvent::Started(started) => {
            listed("argv", &mut started.argv, each);
            each("host", &mut started.host);
            each("cwd", &mut started.cwd);
        }
        InvocationEvent::Finished(finished) => match &mut finished.outcome {
            Outcome::Succeeded => {}
            Outcome::Refused { message } | Outcome::Failed { message, .. } => {
                each("message", message);
            }
        },
        InvocationEvent::Interrupted(interrupted) => {
            listed("recovered", &mut interrupted.recovered, each);
        }
    }
}

fn of_purpose(purpose: &mut MovePurpose, each: &mut VisitText<'_>) {
    match purpose {
        MovePurpose::Demotion { reason, .. } | MovePurpose::Rollback { reason, .. } => {
            each("reason", reason);
        }
        MovePurpose::Archive(order) => each("reason", &mut order.reason),
        MovePurpose::Restore(order) => optional("reason", &mut order.reason, each),
        MovePurpose::Repair { reason, .. } => optional("reason", reason, each),
        MovePurpose::Removal(order) => each("reason", &mut order.reason),
        MovePurpose::Promotion { .. } | MovePurpose::Migration(_) => {}
    }
}

fn listed(field: &'static str, texts: &mut [String], each: &mut VisitText<'_>) {
    texts.iter_mut().for_each(|text| each(field, text));
}

fn optional(field: &'static str, text: &mut Option<String>, each: &mut VisitText<'_>) {
    if let Some(text) = text {
        each(field, text);
    }
}

/// The strings inside a JSON text; numbers decide what was computed and stay.
fn in_json(field: &'static str, text: &mut String, each: &mut VisitText<'_>) {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return };
    let before = value.clone();
    in_value(field, &mut value, each);
    if value != before {
        *text = value.to_string();
    }
}

fn in_value(field: &'static str, value: &mut Value, each: &mut VisitText<'_>) {
    match value {
        Value::String(text) => each(field, text),
        Value::Array(items) => items.iter_mut().for_each(|item| in_value(field, item, each)),
        Value::Object(fields) => fields.values_mut().for_each(|item| in_value(field, item, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::{RunNoted, RunTagged};

    #[test]
    fn every_text_is_handed_out_and_what_is_put_there_stays() {
        let mut event = Event::from(RunTagged {
            added: vec!["night".into(), "Anna".into()],
            removed: vec!["day".into()],
        });
        let mut seen = Vec::new();
        visit_free_text(&mut event, &mut |field, text| {
            seen.push(format!("{field}={text}"));
            *text = "x".into();
        });
        assert_eq!(seen, ["tags=night", "tags=Anna", "tags=day"]);
        let x = || "x".to_owned();
        assert_eq!(event, RunTagged { added: vec![x(), x()], removed: vec![x()] }.into());
        let mut noted = Event::from(RunNoted { text: "Anna".into() });
        visit_free_text(&mut noted, &mut |_, text| text.clear());
        assert_eq!(noted, RunNoted { text: String::new() }.into());
    }

    #[test]
    fn strings_in_settings_are_texts_and_numbers_are_not() {
        let mut text = r#"{"a":["Anna",1.50],"b":2}"#.to_owned();
        in_json("parameters", &mut text, &mut |_, text| *text = "x".into());
        assert_eq!(text, r#"{"a":["x",1.5],"b":2}"#);
        let mut number = "1.50".to_owned();
        in_json("parameters", &mut number, &mut |_, text| text.clear());
        assert_eq!(number, "1.50");
    }
}
