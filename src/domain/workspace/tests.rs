use super::*;
use crate::base::{LogId, PublicKey};
use crate::domain::{Fold as _, Rejection};

fn fold(events: &[WorkspaceEvent]) -> WorkspaceState {
    let mut state = WorkspaceState::default();
    events.iter().for_each(|event| state.evolve(event));
    state
}

fn create() -> WorkspaceCommand {
    WorkspaceCommand::Create {
        log: LogId([7; 16]),
        project: "ward".into(),
        tool_version: "0.1.0".into(),
    }
}

#[test]
fn a_log_is_created_once() {
    let events = decide(&fold(&[]), create()).unwrap();
    let state = fold(&events);
    assert_eq!(state.created.as_ref().unwrap().origin, "annals/ward/zszszszszszszszs");
    assert!(matches!(decide(&state, create()), Err(Rejection::Exists { what: "log", .. })));
}

#[test]
fn an_actor_is_registered_once() {
    let command = WorkspaceCommand::RegisterActor { name: "mara".into() };
    let events = decide(&fold(&[]), command.clone()).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(decide(&fold(&events), command), Ok(vec![]));
}

#[test]
fn an_owner_has_one_first_key() {
    let command =
        WorkspaceCommand::CreateKey { public_key: PublicKey([1; 32]), owner: "mara".into() };
    let events = decide(&fold(&[]), command.clone()).unwrap();
    assert!(decide(&fold(&events), command).is_err());
}
