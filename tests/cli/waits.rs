//! Waits for files that another process has locked: bounded, with a message that names it.

use std::fs::File;
use std::time::{Duration, Instant};

use crate::support::Workspace;

#[test]
fn a_wait_for_views_or_registry_files_ends_and_names_the_holder() {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    for (file, words, code) in [
        ("views.lock", &["replay"][..], 7),
        ("views.lock", &["list"], 0),
        ("exports.lock", &["note", "one", "calm"], 0),
    ] {
        let holder = File::open(ward.path(&format!(".annals/{file}"))).unwrap();
        holder.lock().unwrap();
        let began = Instant::now();
        let answer = ward.annals(words);
        let waited = began.elapsed();
        drop(holder);
        assert_eq!(answer.code, code, "{file} {words:?}: {}", answer.err);
        assert!(waited < Duration::from_secs(45), "{file} {words:?}: {waited:?}");
        if words[0] != "list" {
            let named = format!(".annals/{file} is in use by process {} (", std::process::id());
            assert!(answer.err.contains(&named), "{words:?}: {}", answer.err);
        }
    }
    // Nothing is left behind by a wait that was given up.
    ward.annals(&["replay"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}
