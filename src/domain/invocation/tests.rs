use super::*;
use crate::base::InvocationId;
use crate::domain::Fold as _;

fn started() -> InvocationStarted {
    InvocationStarted {
        invocation: InvocationId([1; 16]),
        verb: "promote".into(),
        argv: vec!["promote".into(), "hate".into()],
        host: "ward-3".into(),
        pid: 7,
        cwd: ".".into(),
        tool_version: "0.1.0".into(),
    }
}

fn after(commands: Vec<InvocationCommand>) -> InvocationState {
    let mut state = InvocationState::default();
    for command in commands {
        decide(&state.clone(), command).unwrap().iter().for_each(|event| state.evolve(event));
    }
    state
}

#[test]
fn an_invocation_begins_once_and_ends_once() {
    let finish = || InvocationCommand::Finish(Outcome::Succeeded);
    let interrupt = || InvocationCommand::Interrupt { recovered: vec![] };
    assert!(decide(&after(vec![]), finish()).is_err());
    let begun = after(vec![InvocationCommand::Start(started())]);
    assert!(decide(&begun, InvocationCommand::Start(started())).is_err());
    let ended = after(vec![InvocationCommand::Start(started()), finish()]);
    assert_eq!(ended.phase, Phase::Finished(Outcome::Succeeded));
    assert!(decide(&ended, finish()).is_err());
    assert!(decide(&ended, interrupt()).is_err());
    let cut = after(vec![InvocationCommand::Start(started()), interrupt()]);
    assert_eq!(cut.phase, Phase::Interrupted);
}
