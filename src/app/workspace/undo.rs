//! The last own command, taken back where that is honest: the reverse is appended, nothing is
//! rewritten, and what came later is never pulled away from under somebody.
//!
//! [`reverse`] is the list of what can be taken back and how. Undoing an undo does the command
//! again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::app::core::admitted::admitted;
use crate::app::{
    ArchiveRequest, Error, ErrorKind, Mode, Result, Workspace, models, records, runs, workspace,
};
use crate::base::{RunId, confine};
use crate::domain::policy::{Policy, PolicyState, PolicyStream};
use crate::domain::registry::{RegistryEvent, RegistryState, RegistryStream};
use crate::domain::run::{Archive, Pack, RunEdit, RunEvent, RunState, RunStream};
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{Decider as _, Event, Header, Kind, StreamId, StreamType};
use crate::store::{Access, Filter, StoreError, TAG_ACTOR, View};

/// Events looked at in one step backwards.
const WINDOW: u64 = 4 * 1024;

/// What was taken back, or would be.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Undone {
    /// Position of the command's start.
    pub position: u64,
    /// The words after `annals`, secrets masked.
    pub command: String,
    /// What takes it back, in words.
    pub by: String,
    /// Whether the command was an undo itself, so that this does again what it took back.
    pub redo: bool,
    /// Whether it was taken back; false for a dry run.
    pub done: bool,
}

impl Undone {
    /// What the record has as the reason of the reverse.
    fn reason(&self) -> String {
        format!("undo of `annals {}` at {}", self.command, self.position)
    }
}

/// A command that takes another back.
enum Reverse {
    Edit(RunId, RunEdit),
    Restore(RunId),
    Archive(RunId, Archive, Option<Pack>),
    Demote(String),
    RollBack(String, u32),
    Alias(String, Option<(String, u32)>),
    Policy(Box<Policy>, u64),
}

/// Takes back the last command of the caller that changed something.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is none; [`ErrorKind::Rejected`] when it cannot be taken
/// back or something later depends on it.
pub fn undo(workspace: &Workspace, mode: Mode) -> Result<Undone> {
    if mode == Mode::DryRun {
        let (undone, reverse) = reversal(workspace)?;
        // What the reverse itself would be refused for, so is the undo.
        carry_out(workspace, reverse, undone.reason(), mode)?;
        return Ok(undone);
    }
    let seen = workspace.store.read(|log| Ok::<_, Error>(log.size()))?;
    // Of two at once the second would take back what the first did.
    let _alone = exclusive_lock(workspace, "undo")?;
    nothing_since(workspace, seen)?;
    // What a crash left is not what the caller did last.
    workspace.recover()?;
    let (mut undone, reverse) = match reversal(workspace) {
        Err(error) if error.kind == ErrorKind::Rejected => {
            workspace.refuse("undo", &error)?;
            return Err(error);
        }
        found => found?,
    };
    carry_out(workspace, reverse, undone.reason(), Mode::Apply)?;
    undone.done = true;
    Ok(undone)
}

/// Does the opposite; a dry run asks only what a verb may refuse.
fn carry_out(workspace: &Workspace, reverse: Reverse, reason: String, mode: Mode) -> Result<()> {
    match reverse {
        Reverse::Restore(run) => drop(runs::restore(workspace, run, Some(reason), mode)?),
        Reverse::Archive(run, archive, pack) => {
            let request = ArchiveRequest { archive, pack, drop_weights: false, rule: None, reason };
            runs::archive(workspace, run, &request, mode)?;
        }
        Reverse::Demote(name) => drop(models::demote(workspace, &name, &reason, mode)?),
        Reverse::RollBack(name, number) => {
            models::roll_back(workspace, &name, Some(&number.to_string()), &reason, mode)?;
        }
        Reverse::Edit(..) | Reverse::Alias(..) | Reverse::Policy(..) if mode == Mode::DryRun => {}
        Reverse::Edit(run, command) => drop(runs::edit_run(workspace, "undo", run, command)?),
        Reverse::Alias(alias, Some((name, number))) => {
            models::set_alias(workspace, &alias, &format!("{name}@{number}"), Some(reason))?;
        }
        Reverse::Alias(alias, None) => {
            models::remove_alias(workspace, &alias, Some(reason))?;
        }
        Reverse::Policy(policy, based_on) => {
            let text = serde_json::to_string(&policy).unwrap_or_default();
            workspace::replace_policy(workspace, &text, based_on, Some(reason))?;
        }
    }
    Ok(())
}

/// A lock that one `verb` holds at a time, whoever does it.
pub(in crate::app) fn exclusive_lock(workspace: &Workspace, verb: &str) -> Result<File> {
    workspace.require_trust()?;
    let path = workspace.annals_dir().join(format!("{verb}.lock"));
    let open = || -> io::Result<File> {
        let lock = confine::lock_file(&path)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(lock)
    };
    open().map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => {
            let message = format!("another `annals {verb}` is running");
            Error::new(ErrorKind::Conflict, message)
                .hint("`annals log` shows what it did; try again if there is more to do")
        }
        _ => Error::io(format!("lock {}", path.display()), e),
    })
}

/// Refuses when the caller changed something after the log had `seen` events.
fn nothing_since(workspace: &Workspace, seen: u64) -> Result<()> {
    let mine = workspace.store.read(|log| {
        let mut mine = None;
        let Some(actor) = log.name(TAG_ACTOR, &workspace.caller.actor)? else { return Ok(None) };
        log.scan(seen..log.size(), &Filter::default(), |envelope| {
            let header = &envelope.header;
            if header.actor == actor && changes(header) {
                mine = Some(header.position);
            }
            Ok::<_, StoreError>(())
        })?;
        Ok::<_, Error>(mine)
    })?;
    let Some(at) = mine else { return Ok(()) };
    let message = format!("{} changed something in the meantime, at {at}", workspace.caller.actor);
    Err(Error::new(ErrorKind::Conflict, message)
        .hint("`annals undo --dry-run` shows what would be taken back now"))
}

fn reversal(workspace: &Workspace) -> Result<(Undone, Reverse)> {
    let (start, reversed, dependent) = workspace.store.read(|log| {
        let start = last_own(workspace, log)?;
        let reversed = reverse(log, start)?;
        let dependent = match &reversed {
            Ok(reverse) => dependent(log, start, reverse)?,
            Err(_) => None,
        };
        Ok::<_, Error>((start, reversed, dependent))
    })?;
    let command = workspace.invocation_shown(&start.to_string())?.words;
    let refused = |why: String| {
        let message = format!("`annals {command}` at {start} cannot be undone: {why}");
        Error::new(ErrorKind::Rejected, message)
    };
    if let Some(at) = dependent {
        let event = records::event(workspace, at)?;
        let by = command_of(workspace, at)?;
        let why = format!("{} at {at} by {}{by} came after it", event.kind, event.actor);
        return Err(refused(why).hint("take that back first, or do the reverse by its verb"));
    }
    let reverse = reversed.map_err(refused)?;
    let redo = command.split(' ').next() == Some("undo");
    let by = reverse.told();
    Ok((Undone { position: start, command, by, redo, done: false }, reverse))
}

/// The command that recorded an event, in brackets.
fn command_of(workspace: &Workspace, position: u64) -> Result<String> {
    let envelope = workspace.store.read(|log| Ok::<_, Error>(log.event(position)?))?;
    let Some(start) = envelope.header.invocation else { return Ok(String::new()) };
    Ok(format!(" (`annals {}`)", workspace.invocation_shown(&start.to_string())?.words))
}

/// Start of the caller's last command that changed something, going backwards from the end.
fn last_own<A: Access>(workspace: &Workspace, log: &View<A>) -> Result<u64> {
    let none = || {
        let message = format!("{} has changed nothing yet", workspace.caller.actor);
        Error::new(ErrorKind::NotFound, message).hint("`annals log` shows who did what")
    };
    let actor = log.name(TAG_ACTOR, &workspace.caller.actor)?.ok_or_else(none)?;
    let mut end = log.size();
    // Commands that changed nothing in the end.
    let mut idle = BTreeSet::new();
    while end > 0 {
        let begin = end.saturating_sub(WINDOW);
        let mut found = None;
        log.scan(begin..end, &Filter::default(), |envelope| {
            let header = &envelope.header;
            let start = header.invocation.filter(|start| !idle.contains(start));
            if header.actor == actor && changes(header) && start.is_some() {
                found = start;
            }
            Ok::<_, StoreError>(())
        })?;
        match found {
            Some(start) if is_withdrawn(log, start)? => {
                idle.insert(start);
            }
            Some(start) => return Ok(start),
            None => end = begin,
        }
    }
    Err(none())
}

/// Whether all that a command did was to open promotion requests that it closed again, as a
/// promotion does whose files could not be copied.
fn is_withdrawn<A: Access>(log: &View<A>, start: u64) -> Result<bool> {
    let (mut open, mut closed, mut other) = (BTreeSet::new(), false, false);
    log.scan(start..log.size(), &Filter::default(), |envelope| {
        let header = &envelope.header;
        if header.invocation != Some(start) || !changes(header) {
            return Ok(());
        }
        match envelope.event() {
            Ok(Event::Registry(RegistryEvent::Requested(e))) => {
                open.insert(e.request);
            }
            Ok(Event::Registry(RegistryEvent::Approved(e))) => other |= !open.contains(&e.request),
            Ok(Event::Registry(RegistryEvent::Rejected(e))) => {
                closed = true;
                other |= !open.remove(&e.request);
            }
            _ => other = true,
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(closed && !other && open.is_empty())
}

/// Whether an event is a change that a command made, and not an account of the command itself.
fn changes(header: &Header) -> bool {
    let others = [WorkspaceEvent::ACTOR_REGISTERED, RegistryEvent::REFUSED];
    let accounts = [StreamType::Invocation, StreamType::Move].map(Some);
    !accounts.contains(&header.stream.stream_type()) && !others.contains(&header.kind)
}

impl Reverse {
    /// In words.
    fn told(&self) -> String {
        match self {
            Self::Edit(_, command) => match command {
                RunEdit::Classify(Some(category)) => format!("classify as {}", category.word()),
                RunEdit::Classify(None) => "classify by words".into(),
                RunEdit::Tag { add, remove } => {
                    let add = add.iter().map(|tag| format!("+{tag}"));
                    let all = add.chain(remove.iter().map(|tag| format!("-{tag}")));
                    format!("tag {}", all.collect::<Vec<_>>().join(" "))
                }
                RunEdit::Retag(tags) if tags.is_empty() => "no tags".into(),
                RunEdit::Retag(tags) => format!("tags {}", tags.join(", ")),
                RunEdit::Note(_) => "note".into(),
                RunEdit::Pin { .. } => "pin".into(),
                RunEdit::Unpin { .. } => "unpin".into(),
                RunEdit::Rename(name) => format!("rename to {name}"),
                RunEdit::Share { person, allowed: true } => format!("share with {person}"),
                RunEdit::Share { person, .. } => format!("share with {person} no more"),
            },
            Self::Restore(_) => "restore".into(),
            Self::Archive(_, archive, _) => format!("archive as {}", archive.word()),
            Self::Demote(name) => format!("demote {name}"),
            Self::RollBack(name, number) => format!("rollback {name} to version {number}"),
            Self::Alias(alias, Some((name, n))) => format!("alias {alias} to {name}@{n}"),
            Self::Alias(alias, None) => format!("remove alias {alias}"),
            Self::Policy(..) => "policy as it was before".into(),
        }
    }

    /// Whether a later event builds on what would be taken back.
    fn concerns(&self, header: &Header, fields: &Value) -> bool {
        let (stream, kind) = (header.stream, header.kind);
        let of_run = |run: &RunId, kinds: &[Kind]| stream == (*run).into() && kinds.contains(&kind);
        let names = |key: &str, text: &str| stream == StreamId::REGISTRY && fields[key] == text;
        match self {
            Self::Edit(run, command) => of_run(
                run,
                match command {
                    RunEdit::Tag { .. } | RunEdit::Retag(_) => &[RunEvent::TAGGED],
                    RunEdit::Rename(_) => &[RunEvent::RENAMED],
                    RunEdit::Share { .. } => &[RunEvent::SHARED],
                    RunEdit::Note(_) => &[RunEvent::NOTED],
                    RunEdit::Pin { .. } | RunEdit::Unpin { .. } => {
                        &[RunEvent::PINNED, RunEvent::UNPINNED]
                    }
                    RunEdit::Classify(_) => {
                        &[RunEvent::CLASSIFIED, RunEvent::TAGGED, RunEvent::RENAMED]
                    }
                },
            ),
            Self::Restore(run) | Self::Archive(run, ..) => {
                of_run(
                    run,
                    &[
                        RunEvent::ARCHIVED,
                        RunEvent::RESTORED,
                        RunEvent::DELETED,
                        RunEvent::REPRODUCED,
                    ],
                ) || names("run", &run.to_string())
            }
            Self::Demote(name) | Self::RollBack(name, _) => names("name", name),
            Self::Alias(alias, _) => names("alias", alias),
            Self::Policy(..) => stream == StreamId::POLICY,
        }
    }
}

/// The first event after a command that builds on it.
fn dependent<A: Access>(log: &View<A>, start: u64, reverse: &Reverse) -> Result<Option<u64>> {
    let mut found = None;
    log.scan(start..log.size(), &Filter::default(), |envelope| {
        let header = &envelope.header;
        if found.is_none() && header.invocation != Some(start) && changes(header) {
            // Of one that cannot be read the stream is known.
            let fields = envelope.event().ok().and_then(|e| serde_json::to_value(e).ok());
            if reverse.concerns(header, &fields.unwrap_or_default()) {
                found = Some(header.position);
            }
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

/// What takes a command back, or why nothing does.
fn reverse<A: Access>(log: &View<A>, start: u64) -> Result<Result<Reverse, String>> {
    let mut own = Vec::new();
    log.scan(start..log.size(), &Filter::default(), |envelope| {
        let header = &envelope.header;
        if header.invocation == Some(start) && changes(header) {
            own.push((header.stream, header.kind.name(), envelope.event().ok()));
        }
        Ok::<_, StoreError>(())
    })?;
    let mut found = Vec::new();
    for (stream, _, event) in &own {
        found.extend(match event {
            Some(Event::Run(event)) => {
                let Some(run) = stream.run() else { continue };
                let (before, pinned_for) = run_before(log, run, start)?;
                of_run(&before, pinned_for, run, event)
            }
            Some(Event::Registry(event)) => of_registry(&registry_before(log, start)?, event),
            Some(Event::Policy(_)) => of_policy(log, start)?.map(Ok),
            _ => None,
        });
    }
    // A name or a tag sorts the run anew by itself: taking it back does so again.
    let follows =
        |r: &Result<Reverse, String>| matches!(r, Ok(Reverse::Edit(_, RunEdit::Classify(_))));
    if found.len() > 1 {
        found.retain(|reverse| !follows(reverse));
    }
    Ok(match (found.len(), found.pop()) {
        (1, Some(reverse)) => reverse,
        (0, _) | (_, None) => {
            let kinds: BTreeSet<&str> = own.iter().map(|(_, kind, _)| kind.as_ref()).collect();
            let kinds: Vec<&str> = kinds.into_iter().collect();
            Err(format!("{} stands", kinds.join(", ")))
        }
        (many, _) => Err(format!("it did {many} things; take each back by its own verb")),
    })
}

fn of_run(
    before: &RunState,
    pinned_for: Option<String>,
    run: RunId,
    event: &RunEvent,
) -> Option<Result<Reverse, String>> {
    let command = match event {
        RunEvent::Tagged(_) => RunEdit::Retag(before.tags.clone()),
        RunEvent::Pinned(_) => RunEdit::Unpin { reason: None },
        RunEvent::Unpinned(_) => RunEdit::Pin { reason: pinned_for },
        RunEvent::Renamed(renamed) => RunEdit::Rename(renamed.old.clone()),
        RunEvent::Shared(shared) => {
            RunEdit::Share { person: shared.person.clone(), allowed: !shared.allowed }
        }
        // A run's first category came with its start.
        RunEvent::Classified(_) if before.id.is_some() => {
            RunEdit::Classify(before.category_chosen.then_some(before.category))
        }
        RunEvent::Archived(archived) if archived.dropped.is_empty() => {
            return Some(Ok(Reverse::Restore(run)));
        }
        RunEvent::Archived(_) => {
            let why = "weights were not kept; `annals restore` brings back the rest";
            return Some(Err(why.into()));
        }
        RunEvent::Restored(_) => {
            return before.archive.map(|archive| Ok(Reverse::Archive(run, archive, before.pack)));
        }
        RunEvent::Noted(_) => {
            return Some(Err("a note stays; add another note that corrects it".into()));
        }
        _ => return None,
    };
    Some(Ok(Reverse::Edit(run, command)))
}

fn of_registry(before: &RegistryState, event: &RegistryEvent) -> Option<Result<Reverse, String>> {
    let back = |name: &str| match before.production.get(name) {
        Some(model) => Reverse::RollBack(name.to_owned(), model.number),
        None => Reverse::Demote(name.to_owned()),
    };
    Some(Ok(match event {
        RegistryEvent::Promoted(promoted) => back(&promoted.name),
        RegistryEvent::Demoted(demoted) => back(&demoted.name),
        RegistryEvent::RolledBack(rolled) => back(&rolled.name),
        RegistryEvent::Repaired(repaired) => {
            let name = &repaired.name;
            return Some(Err(format!("the repair of {name} brought back what was recorded")));
        }
        RegistryEvent::AliasSet(set) => Reverse::Alias(set.alias.clone(), set.previous.clone()),
        RegistryEvent::AliasRemoved(removed) => {
            let to = before.aliases.get(&removed.alias)?.clone();
            Reverse::Alias(removed.alias.clone(), Some(to))
        }
        _ => return None,
    }))
}

/// The rules as they were before a command; none where the log began with it.
fn of_policy<A: Access>(log: &View<A>, start: u64) -> Result<Option<Reverse>> {
    let (mut before, mut now) = (PolicyState::default(), PolicyState::default());
    for envelope in admitted(log, StreamId::POLICY)? {
        if let Ok(Event::Policy(event)) = envelope.event() {
            PolicyStream::evolve(&mut now, &event, &envelope.header);
            if envelope.header.position < start {
                PolicyStream::evolve(&mut before, &event, &envelope.header);
            }
        }
    }
    Ok((before.changes > 0).then(|| Reverse::Policy(Box::new(before.policy), now.revision())))
}

/// A run as it was before a command, and why it was pinned last.
fn run_before<A: Access>(
    log: &View<A>,
    run: RunId,
    start: u64,
) -> Result<(RunState, Option<String>)> {
    let (mut state, mut pinned_for) = (RunState::default(), None);
    for envelope in admitted(log, run)? {
        if let (true, Ok(Event::Run(event))) = (envelope.header.position < start, envelope.event())
        {
            RunStream::evolve(&mut state, &event, &envelope.header);
            if let RunEvent::Pinned(pinned) = event {
                pinned_for = pinned.reason;
            }
        }
    }
    Ok((state, pinned_for))
}

fn registry_before<A: Access>(log: &View<A>, start: u64) -> Result<RegistryState> {
    let mut state = RegistryState::default();
    for envelope in admitted(log, StreamId::REGISTRY)? {
        if let (true, Ok(Event::Registry(event))) =
            (envelope.header.position < start, envelope.event())
        {
            RegistryStream::evolve(&mut state, &event, &envelope.header);
        }
    }
    Ok(state)
}
