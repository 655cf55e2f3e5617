use super::*;
use crate::base::InvocationId;
use crate::domain::given::given;
use crate::domain::{Provenance, Rejection};

fn verb() -> StartedVerb {
    StartedVerb {
        invocation: InvocationId([1; 16]),
        verb: "promote".into(),
        argv: vec!["promote".into(), "hate".into()],
        host: "ward-3".into(),
        pid: 7,
        cwd: ".".into(),
        tool_version: "0.1.0".into(),
    }
}

fn started() -> InvocationEvent {
    InvocationStarted {
        invocation: InvocationId([1; 16]),
        verb: "promote".into(),
        argv: vec!["promote".into(), "hate".into()],
        host: "ward-3".into(),
        pid: 7,
        cwd: ".".into(),
        tool_version: "0.1.0".into(),
    }
    .into()
}

fn wrong(state: &str, wanted: &str) -> Rejection {
    let (what, state, wanted) = ("the invocation".into(), state.into(), wanted.into());
    Rejection::WrongState { what, state, wanted }
}

#[test]
fn an_invocation_begins_once_and_ends_once() {
    let by = Provenance::Reported;
    let finish = || InvocationCommand::Finish(Outcome::Succeeded);
    let interrupt = || InvocationCommand::Interrupt { recovered: vec![] };
    let finished: InvocationEvent = InvocationFinished { outcome: Outcome::Succeeded }.into();
    let interrupted: InvocationEvent = InvocationInterrupted { recovered: vec![] }.into();
    let only_one = "only a running one can end";

    let nothing = given::<InvocationStream>([], &by);
    nothing.when(InvocationCommand::Start(verb())).then([started()]);
    nothing.when(finish()).refused(wrong("not begun", only_one));

    let begun = given::<InvocationStream>([started()], &by);
    let start = InvocationCommand::Start(verb());
    begun.when(start).refused(wrong("under way", "an invocation begins once"));
    begun.when(finish()).then([finished.clone()]);
    begun.when(interrupt()).then([interrupted.clone()]);

    let ended = given::<InvocationStream>([started(), finished], &by);
    ended.when(finish()).refused(wrong("finished", only_one));
    ended.when(interrupt()).refused(wrong("finished", only_one));
    let cut = given::<InvocationStream>([started(), interrupted], &by);
    cut.when(finish()).refused(wrong("interrupted", only_one));
}
