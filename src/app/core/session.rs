//! Invocations: who changed what with which words, recorded together with what they caused.

use std::collections::BTreeMap;

use crate::app::core::admitted::folded;
use crate::app::core::draft::Draft;
use crate::app::core::live::Alive;
use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::mask::mask_text;
use crate::base::{CommandId, InvocationId, RunId, Timestamp};
use crate::domain::invocation::{InvocationCommand, InvocationStream, Outcome, StartedVerb};
use crate::domain::policy::{PolicyState, PolicyStream};
use crate::domain::registry::{RegistryState, RegistryStream};
use crate::domain::run::{RunState, RunStream, Teller};
use crate::domain::workspace::{WorkspaceCommand, WorkspaceState, WorkspaceStream};
use crate::domain::{Decider, Event, Header, Identity, Provenance};
use crate::store::{
    Access, Append, Author, Expected, Origin, Store, StoreError, TAG_ACTOR, View, WriteOptions,
    Writer,
};
use crate::tlog::NoteSigner;

/// One write transaction of one invocation.
pub struct Tx<'a, 't> {
    writer: &'a mut Writer<'t>,
    actor: u64,
    name: &'a str,
    invocation: u64,
    key: Option<(u64, &'a NoteSigner)>,
}

impl<'a, 't> Tx<'a, 't> {
    /// The log, with what this transaction appended.
    pub fn log(&self) -> &Writer<'t> {
        self.writer
    }

    /// Decides on a request about one stream and appends what it makes.
    ///
    /// # Errors
    /// When a rule refuses it; when the log cannot be read or written.
    pub fn decide<S: Decider>(
        &mut self,
        id: S::Id,
        command: S::Command,
        facts: &S::Facts<'_>,
    ) -> Result<Draft<S>> {
        let mut draft = Draft::<S>::read(self.writer, id)?;
        draft.decide(command, facts)?;
        self.append(&mut draft)?;
        Ok(draft)
    }

    /// Appends what was decided, if the stream is as it was read (STR-1). Nothing else reaches the
    /// log, so that every event is made by the decider of its stream.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub fn append<S: Decider>(&mut self, draft: &mut Draft<S>) -> Result<()> {
        let author = Author {
            actor: Origin::At(self.actor),
            invocation: Some(Origin::At(self.invocation)),
            key: self.key,
        };
        append(self.writer, draft, author, None)?;
        Ok(())
    }

    /// Position of the invocation's start.
    pub fn invocation(&self) -> u64 {
        self.invocation
    }

    /// Position of the event that registered who acts.
    pub fn actor(&self) -> u64 {
        self.actor
    }

    /// Who tells facts of a run.
    pub fn teller(&self) -> Teller<'a> {
        Teller { actor: self.actor, name: self.name, signs: self.key.is_some() }
    }

    /// Puts other stored bytes in the place of events; inside [`Workspace::rewrite`] alone.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub(in crate::app) fn replace(&mut self, events: BTreeMap<u64, Vec<u8>>) -> Result<()> {
        Ok(self.writer.replace(events)?)
    }

    /// Position of the `key.created` event of the key that signs what is appended.
    pub(in crate::app) fn key(&self) -> Option<u64> {
        self.key.map(|(at, _)| at)
    }

    fn finish(&mut self, id: InvocationId, outcome: Outcome) -> Result<()> {
        // A log that was replaced does not know the invocation; another process may have ended it.
        let invocation = self.invocation;
        if self.writer.next_sequence(invocation)?.is_none() {
            return Err(StoreError::InvocationClosed { invocation }.into());
        }
        let command = InvocationCommand::Finish(outcome);
        self.decide::<InvocationStream>(id, command, &Provenance::Reported)?;
        Ok(())
    }
}

/// Appends what was decided and not appended before; tells the position of the first event.
fn append<S: Decider>(
    writer: &mut Writer<'_>,
    draft: &mut Draft<S>,
    author: Author<'_>,
    command: Option<CommandId>,
) -> Result<Option<u64>> {
    let new = draft.events().iter().skip(draft.appended).cloned();
    let events: Vec<Event> = new.map(Into::into).collect();
    if events.is_empty() {
        return Ok(None);
    }
    let appended = writer.append(&Append {
        stream: S::stream(draft.id),
        expected: Expected::Revision(draft.revision),
        author,
        sequence: None,
        command,
        occurred: None,
        provenance: draft.provenance,
        events: &events,
    })?;
    draft.appended += events.len();
    draft.revision = appended.next_revision;
    Ok(appended.first)
}

/// An invocation that lasts longer than one transaction.
#[derive(Debug)]
pub struct Session<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    verb: &'static str,
    id: InvocationId,
    /// Position of the actor's registration.
    pub actor: u64,
    /// Position of the invocation's start.
    pub invocation: u64,
    key: Option<(Option<u64>, NoteSigner)>,
    /// Whether log checkpoints are signed: not where they would cover what they may not.
    signs: bool,
    _alive: Alive,
}

impl Workspace {
    /// Runs a whole invocation in one transaction: its start, what `f` appends, its end.
    ///
    /// # Errors
    /// What `f` returns; nothing is then in the log. See [`Self::refuse`]. Before anything else as
    /// [`Self::require_trust`].
    pub fn decide<T>(
        &self,
        verb: &'static str,
        f: impl FnOnce(&mut Tx<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        self.require_trust()?;
        let (_, key) = self.recover_and_sign()?;
        self.decide_signed(verb, key.as_ref(), f)
    }

    pub(in crate::app) fn decide_signed<T>(
        &self,
        verb: &'static str,
        key: Option<&(Option<u64>, NoteSigner)>,
        f: impl FnOnce(&mut Tx<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let (id, command) = (InvocationId(self.env.random()), CommandId(self.env.random()));
        let options = WriteOptions::interactive(verb, self.covering(key)?);
        let mut value = None;
        let written = self.store.write(&options, |writer| {
            let (actor, invocation) = self.start(writer, verb, id, Some(command))?;
            let key = key.and_then(|(at, signer)| at.map(|at| (at, signer)));
            let name = self.caller.actor.as_str();
            let mut tx = Tx { writer, actor, name, invocation, key };
            value = Some(f(&mut tx)?);
            if self.dry_run {
                // An error ends the transaction without a commit.
                return Err(Error::new(ErrorKind::Interrupted, "dry run"));
            }
            tx.finish(id, Outcome::Succeeded)
        });
        match (written, value) {
            (Err(_), Some(value)) if self.dry_run => Ok(value),
            (Ok(()), Some(value)) => Ok(value),
            (Err(error), Some(value)) if self.took_effect(&error, command)? => Ok(value),
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(Error::new(ErrorKind::Bug, "BUG: a decision without a value")),
        }
    }

    /// After a commit that may or may not have taken place: drop everything and ask the log.
    fn took_effect(&self, error: &Error, command: CommandId) -> Result<bool> {
        if error.kind != ErrorKind::Io {
            return Ok(false);
        }
        self.store.read(|log| Ok::<_, Error>(log.command(command)?.is_some()))
    }

    /// Records an invocation that a rule refused.
    ///
    /// # Errors
    /// When the log cannot be written; the refusal itself is for the caller to return.
    pub fn refuse(&self, verb: &'static str, refusal: &Error) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        self.require_trust()?;
        let key = self.signer()?;
        let id = InvocationId(self.env.random());
        let options = WriteOptions::interactive(verb, key.as_ref().map(|(_, signer)| signer));
        self.store.write(&options, |writer| {
            let (actor, invocation) = self.start(writer, verb, id, None)?;
            let key = key.as_ref().and_then(|(at, signer)| at.map(|at| (at, signer)));
            let name = self.caller.actor.as_str();
            let mut tx = Tx { writer, actor, name, invocation, key };
            tx.finish(id, Outcome::Refused { message: mask_text(&refusal.to_string()) })
        })
    }

    /// Opens an invocation that lasts; it counts as alive until the session is dropped.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn begin(&self, verb: &'static str) -> Result<Session<'_>> {
        self.must_write(verb)?;
        self.require_trust()?;
        let (_, key) = self.recover_and_sign()?;
        let id = InvocationId(self.env.random());
        // Claimed before it is in the log: nobody may take it for dead in between.
        let alive =
            self.live.claim(id).map_err(|e| Error::io("mark the invocation as alive", e))?;
        let signer = self.covering(key.as_ref())?;
        let (signs, options) = (signer.is_some(), WriteOptions::interactive(verb, signer));
        let (actor, invocation) =
            self.store.write(&options, |writer| self.start(writer, verb, id, None))?;
        Ok(Session { workspace: self, verb, id, actor, invocation, key, signs, _alive: alive })
    }

    /// Opens an invocation that lasts, with a first transaction that writes the log anew.
    ///
    /// # Errors
    /// What `f` returns; nothing is then in the log.
    pub(in crate::app) fn rewrite<T>(
        &self,
        verb: &'static str,
        f: impl FnOnce(&mut Tx<'_, '_>, InvocationId) -> Result<T>,
    ) -> Result<(Session<'_>, T)> {
        self.must_write(verb)?;
        self.require_trust()?;
        let key = self.signer()?;
        let id = InvocationId(self.env.random());
        let alive =
            self.live.claim(id).map_err(|e| Error::io("mark the invocation as alive", e))?;
        let options = WriteOptions::interactive(verb, key.as_ref().map(|(_, signer)| signer));
        let (actor, invocation, value) = self.store.rewrite(&options, |writer| {
            let (actor, invocation) = self.start(writer, verb, id, None)?;
            let key = key.as_ref().and_then(|(at, signer)| at.map(|at| (at, signer)));
            let name = self.caller.actor.as_str();
            let value = f(&mut Tx { writer, actor, name, invocation, key }, id)?;
            Ok::<_, Error>((actor, invocation, value))
        })?;
        let session = Session {
            workspace: self,
            verb,
            id,
            actor,
            invocation,
            key,
            signs: true,
            _alive: alive,
        };
        Ok((session, value))
    }

    /// A verb that lasts plans its dry run itself, before it begins.
    fn must_write(&self, verb: &str) -> Result<()> {
        if self.dry_run {
            let message = format!("BUG: a dry run of `annals {verb}` would write");
            return Err(Error::new(ErrorKind::Bug, message));
        }
        Ok(())
    }

    fn start(
        &self,
        writer: &mut Writer<'_>,
        verb: &'static str,
        id: InvocationId,
        command: Option<CommandId>,
    ) -> Result<(u64, u64)> {
        let name = &self.caller.actor;
        let actor = match writer.name(TAG_ACTOR, name)? {
            Some(actor) => actor,
            None => {
                let author = Author { actor: Origin::This, invocation: None, key: None };
                let mut actors = Draft::<WorkspaceStream>::read(writer, ())?;
                let register = WorkspaceCommand::RegisterActor { name: name.clone() };
                actors.decide(register, &())?;
                append(writer, &mut actors, author, None)?.ok_or_else(no_position)?
            }
        };
        let start = StartedVerb {
            invocation: id,
            verb: verb.into(),
            argv: self.caller.argv.clone(),
            host: self.caller.host.clone(),
            pid: std::process::id(),
            cwd: self.relative(&self.caller.cwd),
            tool_version: env!("CARGO_PKG_VERSION").into(),
        };
        let author = Author { actor: Origin::At(actor), invocation: Some(Origin::This), key: None };
        let mut invocation = Draft::<InvocationStream>::read(writer, id)?;
        invocation.decide(InvocationCommand::Start(start), &Provenance::Reported)?;
        let started = append(writer, &mut invocation, author, command)?;
        Ok((actor, started.ok_or_else(no_position)?))
    }
}

fn no_position() -> Error {
    Error::new(ErrorKind::Bug, "BUG: a new event has no position")
}

impl Session<'_> {
    /// The invocation's id.
    pub fn id(&self) -> InvocationId {
        self.id
    }

    /// What signs log checkpoints.
    pub fn signer(&self) -> Option<&NoteSigner> {
        self.key.as_ref().filter(|_| self.signs).map(|(_, signer)| signer)
    }

    /// What signs events, and where the log has it: the caller's own key only.
    pub(in crate::app) fn key(&self) -> Option<(u64, &NoteSigner)> {
        self.key.as_ref().and_then(|(at, signer)| at.map(|at| (at, signer)))
    }

    /// Runs one transaction of this invocation.
    ///
    /// # Errors
    /// What `f` returns; nothing of the transaction is then in the log.
    pub fn transact<T>(&self, f: impl FnOnce(&mut Tx<'_, '_>) -> Result<T>) -> Result<T> {
        let options = WriteOptions::interactive(self.verb, self.signer());
        self.transact_with(&options, f)
    }

    /// As [`Self::transact`], but waits for the lock as long as it takes.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn transact_patiently<T>(&self, f: impl FnOnce(&mut Tx<'_, '_>) -> Result<T>) -> Result<T> {
        let options = WriteOptions::recorder(self.verb, self.signer());
        self.transact_with(&options, f)
    }

    fn transact_with<T>(
        &self,
        options: &WriteOptions<'_>,
        f: impl FnOnce(&mut Tx<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        self.workspace.store.write(options, |writer| {
            let (actor, invocation) = (self.actor, self.invocation);
            let name = self.workspace.caller.actor.as_str();
            f(&mut Tx { writer, actor, name, invocation, key: self.key() })
        })
    }

    /// Ends the invocation.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn finish(self, outcome: Outcome) -> Result<()> {
        let id = self.id;
        // Others may have appended something meanwhile.
        let key = self.key.as_ref().filter(|_| self.signs);
        let options = WriteOptions::recorder(self.verb, self.workspace.covering(key)?);
        self.transact_with(&options, |tx| tx.finish(id, outcome))
    }

    /// Ends the invocation as `result` did, and passes `result` on.
    ///
    /// # Errors
    /// `result`'s, else when the log cannot be written.
    pub fn finish_with<T>(self, result: Result<T>) -> Result<T> {
        let outcome = match &result {
            Ok(_) => Outcome::Succeeded,
            Err(error) if error.kind == ErrorKind::Rejected => {
                Outcome::Refused { message: mask_text(&error.to_string()) }
            }
            Err(error) => Outcome::Failed {
                exit_code: error.kind.exit_code(),
                message: mask_text(&error.to_string()),
            },
        };
        let finished = self.finish(outcome);
        let value = result?;
        finished.map(|()| value)
    }

    /// The log.
    pub fn store(&self) -> &Store {
        &self.workspace.store
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.workspace.env.now()
    }
}

/// The state of a run, and the default for one that is not in the log.
///
/// # Errors
/// When the log cannot be read.
pub fn fold_run<A: Access>(log: &View<A>, run: RunId) -> Result<RunState> {
    folded::<RunStream, A>(log, run)
}

/// The rules in force.
///
/// # Errors
/// When the log cannot be read.
pub fn fold_policy<A: Access>(log: &View<A>) -> Result<PolicyState> {
    folded::<PolicyStream, A>(log, ())
}

/// Position of the `key.created` event of the key that signed an event.
pub(in crate::app) fn signing_key(header: &Header) -> Option<u64> {
    match header.identity {
        Identity::Signed { key, .. } => Some(key),
        Identity::Claimed => None,
    }
}

/// The requests and production models.
///
/// # Errors
/// When the log cannot be read.
pub fn fold_registry<A: Access>(log: &View<A>) -> Result<RegistryState> {
    folded::<RegistryStream, A>(log, ())
}

/// The log's origin, keys and actors.
///
/// # Errors
/// When the log cannot be read.
pub fn fold_workspace<A: Access>(log: &View<A>) -> Result<WorkspaceState> {
    folded::<WorkspaceStream, A>(log, ())
}
