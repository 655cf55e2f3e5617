//! The events that were allowed. Whatever is decided about a stream is decided from these: the log
//! can be written past every rule, and what was not allowed changes nothing.

use std::collections::BTreeSet;

use crate::app::core::workspace::Warnings;
use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::domain::history::{History, KnownKey, People, Violation};
use crate::domain::workspace::WorkspaceStream;
use crate::domain::{Decider, Envelope, StreamId, StreamType, fold};
use crate::projection::Views;
use crate::store::{Access, Store, View};
use crate::tlog::{LogCheckpoint, NoteKey};

/// The events of a stream that were allowed, in order; those of a bulk kind are left out. One that
/// was signed with a key that did not count says that its author is claimed.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn admitted<A: Access>(
    log: &View<A>,
    stream: impl Into<StreamId>,
) -> Result<Vec<Envelope>> {
    judged(log, stream.into()).map(|(events, _)| events)
}

/// The events of a stream that were not allowed.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn violations<A: Access>(
    log: &View<A>,
    stream: impl Into<StreamId>,
) -> Result<Vec<Violation>> {
    judged(log, stream.into()).map(|(_, history)| history.violations().to_vec())
}

/// Judges a whole log, as of now or as of what the workspace looks back to.
pub(in crate::app) struct Judge {
    /// None where not even the file can be opened: what reads it past damage names that.
    store: Option<Store>,
    views: Views,
    size: u64,
    alone: bool,
    warnings: Warnings,
}

impl Judge {
    /// Of the log of a workspace.
    pub(in crate::app) fn new(workspace: &Workspace) -> Self {
        let alone = workspace.scope.alone;
        // A handle of its own, whose losses are those of judging. One that stops at damage does not
        // look for bytes that changed and can still be read.
        let copy = || Store::open_file(&workspace.store.path(), workspace.env.clone()).ok();
        let store = match alone {
            true => copy().map(Store::tolerate_damage),
            false => Some(workspace.store.clone()),
        };
        let size = workspace.scope.size.unwrap_or(u64::MAX);
        let (views, warnings) = (workspace.views(), workspace.warnings.clone());
        Self { store, views, size, alone, warnings }
    }

    /// Positions of the events that were not allowed; with `points` also among those of bulk
    /// kinds. None where the log is damaged, with a warning: without what is lost, nobody can judge
    /// the rest.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(in crate::app) fn not_allowed(&self, points: bool) -> Result<BTreeSet<u64>> {
        let all = || -> Result<BTreeSet<u64>> {
            let damaged = || Error::new(ErrorKind::Integrity, "the log cannot be opened");
            let store = self.store.as_ref().ok_or_else(damaged)?;
            let size = store.read(|log| Ok::<_, Error>(log.size()))?.min(self.size);
            let found = self.views.not_allowed(store, size, points)?;
            let lost = || Error::new(ErrorKind::Integrity, "a part of the log is lost");
            if store.lost().is_empty() { Ok(found) } else { Err(lost()) }
        };
        match all() {
            Err(error) if self.alone || error.kind == ErrorKind::Integrity => {
                self.warnings.push(
                    "the log is damaged: nobody can check which of its events were allowed, and \
                     the answer is made from all that can be read; `annals verify` names the damage"
                        .to_owned(),
                );
                Ok(BTreeSet::new())
            }
            found => found,
        }
    }
}

/// The state that the events of a stream add up to that were allowed.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn folded<S: Decider, A: Access>(log: &View<A>, id: S::Id) -> Result<S::State> {
    let stream = S::stream(id);
    // No decision depends on which invocations were open; `verify` checks that.
    if stream.stream_type() == Some(StreamType::Invocation) {
        return Ok(fold::<S>(&log.stream(stream, 0)?));
    }
    Ok(fold::<S>(&admitted(log, stream)?))
}

/// Who is known, and whose keys count.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn people<A: Access>(log: &View<A>) -> Result<People> {
    let (_, history) = judged(log, WorkspaceStream::stream(()))?;
    Ok(history.people().cloned().unwrap_or_default())
}

fn judged<A: Access>(log: &View<A>, stream: StreamId) -> Result<(Vec<Envelope>, History)> {
    let mut history = History::of_stream(stream);
    let mut events = log.stream(stream, 0)?;
    let mut allowed = Vec::with_capacity(events.len());
    for envelope in &events {
        let event = envelope.event().ok();
        let digest = || envelope.payload.digest();
        allowed.push(history.admit(log, &envelope.header, digest, event.as_ref())?);
    }
    let mut allowed = allowed.into_iter();
    events.retain(|_| allowed.next().unwrap_or(false));
    for envelope in &mut events {
        envelope.header.identity = history.identity(&envelope.header);
    }
    Ok((events, history))
}

/// The last log checkpoint of at most `size` events that was signed with a key that counted then.
/// One by another key is anybody's: it vouches for nothing.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn counting_checkpoint<A: Access>(
    log: &View<A>,
    size: u64,
) -> Result<Option<(u64, String)>> {
    let people = people(log)?;
    // Every log begins with a key. Without one the log is damaged, and other checks report that.
    if people.keys().is_empty() {
        return Ok(log.checkpoint_before(size)?);
    }
    let mut before = size;
    while let Some((at, note)) = log.checkpoint_before(before)? {
        let counts = |key: &&KnownKey| people.is_vouched(key.position, at);
        let keys = people.keys().iter().filter(counts);
        let keys: Vec<NoteKey> =
            keys.filter_map(|key| NoteKey::new(log.origin(), key.public_key).ok()).collect();
        if LogCheckpoint::open(&note, log.origin(), &keys).is_ok() {
            return Ok(Some((at, note)));
        }
        let Some(earlier) = at.checked_sub(1) else { break };
        before = earlier;
    }
    Ok(None)
}
