use super::*;
use crate::base::{Digest, MoveId};
use crate::domain::Rejection;
use crate::domain::given::given;

fn plan(to: &str) -> MovePlan {
    MovePlan {
        id: MoveId([1; 16]),
        purpose: MovePurpose::Demotion { name: "hate_v1".into(), reason: "worse".into() },
        mode: MoveMode::Copy,
        from: "experiments/hate_1".into(),
        to: to.into(),
        files: vec![MovedFile {
            path: "model.safetensors".into(),
            source: "checkpoints/best/model.safetensors".into(),
            digest: Digest::of(b"x"),
            sha256: None,
            bytes: 1,
        }],
    }
}

fn wrong(state: &str) -> Rejection {
    Rejection::WrongState {
        what: "the move".into(),
        state: state.into(),
        wanted: "a move is planned once and ends once".into(),
    }
}

#[test]
fn a_move_is_planned_once_and_ends_once() {
    let planned: MoveEvent = MovePlanned::from(plan("models/production/hate_v1")).into();
    let completed: MoveEvent = MoveCompleted { recovered: true }.into();
    let again = || MoveCommand::Plan(plan("models/production/b"));
    let complete = || MoveCommand::Complete { recovered: true };
    let roll_back = || MoveCommand::RollBack { reason: "the disk is full".into() };

    let nothing = given::<MoveStream>([], &());
    nothing.when(complete()).refused(wrong("not planned"));
    nothing.when(MoveCommand::Plan(plan("models/production/hate_v1"))).then([planned.clone()]);

    let under_way = given::<MoveStream>([planned.clone()], &());
    under_way.when(again()).refused(wrong("under way"));
    under_way.when(complete()).then([completed.clone()]);
    let back = MoveRolledBack { reason: "the disk is full".into() };
    under_way.when(roll_back()).then([back.clone().into()]);

    let ended = given::<MoveStream>([planned.clone(), completed], &());
    ended.when(complete()).refused(wrong("completed"));
    ended.when(roll_back()).refused(wrong("completed"));
    given::<MoveStream>([planned, back.into()], &()).when(again()).refused(wrong("rolled back"));
}

#[test]
fn a_move_stays_in_the_workspace() {
    for to in ["../x", "/etc/x", "models/./x", "models/../../x", "", "a\\..\\b"] {
        let (what, reason) = (to.to_owned(), "the path leaves its folder".to_owned());
        let refusal = Rejection::Invalid { what, reason };
        given::<MoveStream>([], &()).when(MoveCommand::Plan(plan(to))).refused(refusal);
    }
}
