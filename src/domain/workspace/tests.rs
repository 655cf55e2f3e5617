use super::decide::decide;
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
fn keys_are_replaced_and_vouched_for_by_the_right_people() {
    let (one, two, three) = (PublicKey([1; 32]), PublicKey([2; 32]), PublicKey([3; 32]));
    let create =
        |public_key, owner: &str| WorkspaceCommand::CreateKey { public_key, owner: owner.into() };
    let mut state = fold(&decide(&fold(&[]), create(one, "mara")).unwrap());
    for event in decide(&state, create(two, "ines")).unwrap() {
        state.evolve(&event);
    }
    let of_two = Rejection::Exists { what: "signing key", name: two.to_string() };
    assert_eq!(decide(&state, create(two, "otto")), Err(of_two), "a key of two owners");
    for name in ["", " x", "a\nb", &"x".repeat(101)] {
        let refused = decide(&state, create(three, name));
        assert!(
            matches!(&refused, Err(Rejection::Invalid { what, .. }) if what == "the actor's name"),
            "{name:?}: {refused:?}"
        );
    }
    let rotate = |owner: &str, old, new| WorkspaceCommand::RotateKey {
        public_key: new,
        owner: owner.into(),
        old,
        replaces: 7,
        endorsement: [0; 64],
    };
    let of_mara = decide(&state, rotate("ines", one, three));
    assert!(matches!(of_mara, Err(Rejection::NotAllowed(_))), "somebody else's: {of_mara:?}");
    let vouch = |key, voucher: &str| WorkspaceCommand::VouchKey {
        public_key: key,
        key: 7,
        voucher: voucher.into(),
    };
    let own = decide(&state, vouch(two, "ines"));
    assert!(matches!(own, Err(Rejection::NotAllowed(_))), "for oneself: {own:?}");
    let unknown = Rejection::Unknown { what: "signing key", name: three.to_string() };
    assert_eq!(decide(&state, vouch(three, "mara")), Err(unknown));
    assert_eq!(decide(&state, vouch(two, "mara")).unwrap().len(), 1);
    for event in decide(&state, rotate("ines", two, three)).unwrap() {
        state.evolve(&event);
    }
    let replaced = Rejection::WrongState {
        what: format!("the key {two:.8} of ines"),
        state: "replaced".into(),
        wanted: "only the owner's newest key counts".into(),
    };
    assert_eq!(decide(&state, rotate("ines", two, three)), Err(replaced.clone()), "twice");
    assert_eq!(decide(&state, vouch(two, "mara")), Err(replaced));
}

#[test]
fn an_owner_has_one_first_key() {
    let command =
        WorkspaceCommand::CreateKey { public_key: PublicKey([1; 32]), owner: "mara".into() };
    let events = decide(&fold(&[]), command.clone()).unwrap();
    let exists = Rejection::Exists { what: "signing key of", name: "mara".into() };
    assert_eq!(decide(&fold(&events), command), Err(exists));
}

#[test]
fn the_same_content_with_the_same_words_is_one_snapshot() {
    let taken = |message: Option<&str>| {
        WorkspaceCommand::TakeSnapshot(SnapshotContent {
            manifest: crate::base::FileDigests::of(b"list"),
            message: message.map(str::to_owned),
            files: 1,
            bytes: 4,
            commit: None,
            dirty: false,
            models: vec![],
            runs: vec![],
        })
    };
    let state = fold(&decide(&fold(&[]), taken(None)).unwrap());
    assert_eq!(decide(&state, taken(None)), Ok(vec![]));
    assert_eq!(decide(&state, taken(Some("as printed"))).unwrap().len(), 1);
    for message in ["", "\u{1b}[2J", &"x".repeat(4097)] {
        let refused = decide(&state, taken(Some(message)));
        assert!(
            matches!(&refused, Err(Rejection::Invalid { what, .. }) if what == "the message"),
            "{message:?}: {refused:?}"
        );
    }
}
