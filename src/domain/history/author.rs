//! Who appended an event, as far as the log before it proves that.

use crate::domain::{Provenance, Rejection};

/// Who appended an event.
pub struct Author<'a> {
    /// Position of the event that registered them.
    pub actor: u64,
    /// The name they were registered with.
    pub name: &'a str,
    /// Position of the key that the event says it was signed with.
    pub key: Option<u64>,
    /// How the event came to the log.
    pub provenance: Provenance,
    /// Whether the signature holds, with a key of theirs that counted then. A signature takes as
    /// long to check as ten events to fold, so that it is asked for only where a rule needs it.
    pub proven: &'a dyn Fn() -> bool,
}

impl Author<'_> {
    /// Refuses one who is not proven.
    ///
    /// # Errors
    /// With what was to be signed.
    pub(in crate::domain) fn must_be_proven(&self, what: &str) -> Result<(), Rejection> {
        if (self.proven)() {
            return Ok(());
        }
        let how = match self.key {
            Some(key) => format!("the signature with the key of event {key} does not count"),
            None => "it is not signed".to_owned(),
        };
        Err(Rejection::NotAllowed(format!(
            "{what} by {} counts only if it is signed with a key that counts, and {how}",
            self.name
        )))
    }
}

/// A rule that is not met, in words.
pub(in crate::domain) fn refused(what: impl Into<String>) -> Rejection {
    Rejection::NotAllowed(what.into())
}
