use super::*;
use crate::base::{Digest, MoveId};
use crate::domain::{Fold as _, Rejection};

fn plan(to: &str) -> MovePlanned {
    MovePlanned {
        id: MoveId([1; 16]),
        purpose: MovePurpose::Demotion { name: "hate_v1".into(), reason: "worse".into() },
        mode: MoveMode::Copy,
        from: "experiments/hate_1".into(),
        to: to.into(),
        files: vec![MovedFile {
            path: "model.safetensors".into(),
            source: "checkpoints/best/model.safetensors".into(),
            digest: Digest::of(b"x"),
            bytes: 1,
        }],
    }
}

#[test]
fn a_move_is_planned_once_and_ends_once() {
    let mut state = MoveState::default();
    assert!(decide(&state, MoveCommand::Complete { recovered: false }).is_err());
    let events = decide(&state, MoveCommand::Plan(plan("models/production/hate_v1"))).unwrap();
    events.iter().for_each(|event| state.evolve(event));
    assert!(decide(&state, MoveCommand::Plan(plan("models/production/b"))).is_err());
    let events = decide(&state, MoveCommand::Complete { recovered: true }).unwrap();
    events.iter().for_each(|event| state.evolve(event));
    assert_eq!(state.phase, MovePhase::Completed);
    assert!(decide(&state, MoveCommand::RollBack { reason: String::new() }).is_err());
}

#[test]
fn a_move_stays_in_the_workspace() {
    for to in ["../x", "/etc/x", "models/./x", "models/../../x", "", "a\\..\\b"] {
        let refused = decide(&MoveState::default(), MoveCommand::Plan(plan(to)));
        assert!(matches!(refused, Err(Rejection::Invalid { .. })), "{to:?}");
    }
}
