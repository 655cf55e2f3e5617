//! Every verb that changes something, killed at every step of its effects: what is left is
//! cleared by the next changing verb, and log, files and views agree.

use std::os::unix::process::ExitStatusExt as _;

use crate::support::Workspace;

/// More steps than any verb has.
const STEPS_MAX: u64 = 400;

/// Log, files and views say the same, and nothing is amiss.
#[track_caller]
pub fn agree(ward: &Workspace) {
    ward.annals(&["verify", "--files"]).ok();
    ward.annals(&["replay", "--check"]).ok();
    let found = ward.annals(&["doctor"]);
    assert_eq!(found.code, 0, "{}{}", found.out, found.err);
    // Whatever was killed in the middle of whatever: nothing of it is a stranger's.
    assert!(!ward.path(".annals/quarantine").exists(), "something honest was quarantined");
}

/// Kills `verb` at its first step, at its second, and so on until it comes to its end, each time
/// in a copy of `ward` as it is now. After each kill reading verbs work, a changing verb clears
/// what is left, everything agrees, and the verb itself either does its work now or was done.
#[track_caller]
pub fn every_step(ward: &Workspace, verb: &[&str]) {
    for step in 1..STEPS_MAX {
        let copy = ward.copy();
        let ended = copy.killed_at(step, verb);
        if ended.signal() != Some(9) {
            assert_eq!(ended.code(), Some(0), "{verb:?} with {step} steps to go");
            agree(&copy);
            assert!(step > 2, "{verb:?} has {step} steps");
            return;
        }
        copy.annals(&["list"]).ok();
        copy.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
        agree(&copy);
        let again = copy.annals(verb);
        assert!([0, 4, 5, 6].contains(&again.code), "{verb:?} killed at {step}: {}", again.err);
        agree(&copy);
    }
    panic!("{verb:?} has more than {STEPS_MAX} steps");
}
