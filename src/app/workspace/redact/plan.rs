//! What a redaction takes out, and carrying it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use schemars::JsonSchema;
use serde::Serialize;

use super::deciding::{DecidingFiles, DecidingHits};
use super::events::{Chosen, MaskedEvent};
use super::files::{NewFiles, Scope};
use super::text_matcher::{Renamed, TextMatcher, placeholder};
use super::{events, files};
use crate::app::core::draft::Draft;
use crate::app::core::session::Tx;
use crate::app::{Error, ErrorKind, Mode, Result, Workspace, workspace};
use crate::base::{Digest, InvocationId, RunId, Timestamp};
use crate::domain::workspace::{
    RedactedEvent, RedactedFile, WorkspaceCommand, WorkspaceEvent, WorkspaceStream,
};
use crate::domain::{Envelope, Event, Identity};
use crate::store::{Access, Filter, Reader, View};

/// Most events and files that one record names: payloads are small.
const NAMED_PER_RECORD: usize = 200;
/// Most files that decide a result which a refusal names.
const DECIDING_NAMED_MAX: usize = 12;

/// What shall go, and why.
#[derive(Clone, Debug, Default)]
pub struct RedactRequest {
    /// Events, by position.
    pub events: BTreeSet<u64>,
    /// Runs, of whose events `fields` go.
    pub runs: BTreeSet<RunId>,
    /// Which texts of those events; where an event has one text alone it needs no name.
    pub fields: BTreeSet<String>,
    /// Texts that go wherever they stand.
    pub texts: BTreeSet<String>,
    /// Files that go as a whole.
    pub blobs: BTreeSet<Digest>,
    /// Why.
    pub reason: String,
    /// Whether a text may stay where it decides something.
    pub partly: bool,
}

/// The fields of an event, in words.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Field(pub(super) String);

impl Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place where a text stays.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Stays {
    /// In an event, where it decides something.
    Event {
        /// The event's position.
        position: u64,
        /// Its kind.
        kind: String,
        /// Where in it.
        field: Field,
    },
    /// In a file whose bytes decide a result.
    Deciding {
        /// Its path, from the workspace.
        path: String,
        /// Of which run or model it is which file.
        decides: String,
    },
    /// In a file that is not annals'.
    File {
        /// Its path, from the workspace.
        path: String,
    },
}

/// An event that has placeholders.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RedactedLine {
    /// Its position.
    pub position: u64,
    /// Its kind.
    pub kind: String,
    /// Which of its fields; `digests` where a changed file is named anew.
    pub fields: Vec<String>,
}

/// What a redaction took out, or would.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Redaction {
    /// Position of the event that says so; none where nothing was done yet.
    pub position: Option<u64>,
    /// The events.
    pub events: Vec<RedactedLine>,
    /// The files, from the workspace.
    pub files: Vec<String>,
    /// Where a text stays.
    pub stays: Vec<Stays>,
    /// Files that were changed by others meanwhile and are left as they are.
    pub changed: Vec<String>,
    /// Events whose texts can still be confirmed by who guesses them: recorded without a salt.
    pub guessable: Vec<u64>,
}

/// Who took texts out of an event.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RedactedBy {
    /// Position of the event that says so.
    pub position: u64,
    /// Who, as far as the log knows.
    pub actor: String,
    /// When the log took it.
    pub recorded: Timestamp,
    /// Why.
    pub reason: String,
}

impl RedactedBy {
    /// None for an event that is whole.
    pub(in crate::app) fn of(
        log: &Reader,
        envelope: &Envelope,
        actor: impl FnOnce(u64) -> String,
    ) -> Option<Self> {
        let position = envelope.payload.redacted_by()?;
        let by = log.event(position).ok()?;
        let Ok(Event::Workspace(WorkspaceEvent::TextRedacted(redacted))) = by.event() else {
            return None;
        };
        let (recorded, reason) = (by.header.dated(), redacted.reason);
        Some(Self { position, actor: actor(by.header.actor), recorded, reason })
    }
}

/// Whether `redaction` is the event that says what stands in the place of a redacted payload.
pub(in crate::app) fn names(redaction: &Envelope, redacted: &Envelope) -> bool {
    let Ok(Event::Workspace(WorkspaceEvent::TextRedacted(said))) = redaction.event() else {
        return false;
    };
    let (position, payload) = (redacted.header.position, redacted.payload.digest());
    let replacement = Digest::of(redacted.payload.bytes());
    redaction.header.identity != Identity::Claimed
        && said.events.iter().any(|event| {
            (event.position, event.payload, event.replacement) == (position, payload, replacement)
        })
}

/// Everything that changes, made before anything does.
struct Plan {
    events: Vec<MaskedEvent>,
    files: NewFiles,
    stays: Vec<Stays>,
    guessable: Vec<u64>,
}

/// What [`redact`] would take out now.
///
/// # Errors
/// As [`redact`]; nothing is recorded.
fn plan_redaction(workspace: &Workspace, request: &RedactRequest) -> Result<Redaction> {
    nobody_writes(workspace)?;
    let scope = files::redaction_scope(workspace)?;
    let signed = workspace.signer()?.is_some_and(|(own, _)| own.is_some());
    workspace.store.read(|log| {
        let plan = redaction(workspace, log, log.size(), request, &scope)?;
        let command = WorkspaceCommand::Redact {
            reason: request.reason.clone(),
            events: plan.events.iter().take(NAMED_PER_RECORD).map(named).collect(),
            files: plan.files.digests.blake3.iter().take(NAMED_PER_RECORD).map(renamed).collect(),
            signed,
        };
        Draft::<WorkspaceStream>::read(log, ())?.decide(command, &())?;
        Ok(plan.report(None))
    })
}

/// The file of a run that `text` names: its digest, or the beginning of it.
///
/// # Errors
/// When no run or several have such a file.
pub fn find_file(workspace: &Workspace, text: &str) -> Result<Digest> {
    workspace.store.read(|log| events::named(log, text))
}

/// Takes texts out of events and files, and says so in a signed event.
///
/// # Errors
/// [`ErrorKind::Rejected`] for what decides something, for what was redacted before, and
/// without a key; [`ErrorKind::Conflict`] while another annals is at work;
/// [`ErrorKind::NotFound`] for what is nowhere.
pub fn redact(workspace: &Workspace, request: &RedactRequest, mode: Mode) -> Result<Redaction> {
    if mode == Mode::DryRun {
        return plan_redaction(workspace, request);
    }
    // Two would put files in place for each other.
    let _alone = workspace::exclusive_lock(workspace, "redact")?;
    workspace.recover()?;
    nobody_writes(workspace)?;
    let scope = files::redaction_scope(workspace)?;
    // In the order of all locks: views, then log.
    let views = workspace.views().hold()?;
    let done = workspace.rewrite("redact", |tx, id| {
        let first = tx.log().size();
        let plan = redaction(workspace, tx.log(), first, request, &scope)?;
        files::stage(workspace, id, &plan.files)?;
        record(tx, request, &plan, first)?;
        views.remove()?;
        Ok((plan, first))
    });
    drop(views);
    let (session, (plan, first)) = match done {
        Err(error) => {
            clear_redaction(workspace)?;
            if error.kind == ErrorKind::Rejected {
                workspace.refuse("redact", &error)?;
            }
            return Err(error);
        }
        Ok(done) => done,
    };
    let changed = session.finish_with(files::put_staged(workspace, &plan.files.digests.blake3))?;
    let mut report = plan.report(Some(first));
    report.changed = changed;
    workspace.refresh()?;
    Ok(report)
}

fn nobody_writes(workspace: &Workspace) -> Result<()> {
    if !workspace.live.any_alive() {
        return Ok(());
    }
    let message = "another annals process is running and may be writing the text to redact";
    Err(Error::new(ErrorKind::Conflict, message)
        .hint("try again when it has ended; `annals status` shows it"))
}

fn redaction<A: Access>(
    workspace: &Workspace,
    log: &View<A>,
    first: u64,
    request: &RedactRequest,
    scope: &Scope,
) -> Result<Plan> {
    events::may_go(log, &request.blobs)?;
    let mut chosen = events::choose(log, request)?;
    let said = placeholder(first);
    let matcher = TextMatcher::new(&chosen.texts, &Renamed::default())?;
    if matcher.text_in(request.reason.as_bytes()) {
        let message = "the reason contains the text to redact, and a reason is kept for ever";
        return Err(Error::new(ErrorKind::Usage, message).hint(
            "write the reason without the \
             text",
        ));
    }
    let (_, mut stays) = events::mask(log, log.size(), &chosen, &matcher, &said)?;
    if !stays.is_empty() {
        if !request.partly {
            return Err(stays_refused(&stays));
        }
        keep_deciding(log, &mut chosen, &said)?;
    }
    let deciding = DecidingFiles::of(log)?;
    let files =
        files::mask_files(workspace, scope, &deciding, &chosen.texts, &request.blobs, first)?;
    if !files.deciding.is_empty() && !request.partly {
        return Err(deciding_refused(&files.deciding));
    }
    let matcher = TextMatcher::new(&chosen.texts, &files.digests)?.with_sizes(files.sizes());
    let (events, _) = events::mask(log, log.size(), &chosen, &matcher, &said)?;
    if events.is_empty() && files.files.is_empty() {
        let message = "the text to redact occurs in no event and in no file of annals";
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let mut guessable = Vec::new();
    for event in events.iter().filter(|event| event.fields.iter().any(|f| f != "digests")) {
        if events::unsalted(&log.event(event.position)?.payload) {
            guessable.push(event.position);
        }
    }
    let deciding = files.deciding.iter().cloned();
    stays.extend(deciding.map(|(path, decides)| Stays::Deciding { path, decides }));
    stays.extend(files.stays.iter().cloned());
    Ok(Plan { events, files, stays, guessable })
}

/// Leaves texts that decide something where they are, but for the fields that were chosen.
fn keep_deciding<A: Access>(log: &View<A>, chosen: &mut Chosen, said: &str) -> Result<()> {
    for text in std::mem::take(&mut chosen.texts) {
        let alone = TextMatcher::new(&BTreeSet::from([text.clone()]), &Renamed::default())?;
        if events::mask(log, log.size(), chosen, &alone, said)?.1.is_empty() {
            chosen.texts.insert(text);
        }
    }
    Ok(())
}

/// Clears what a redaction left that never took effect. Called before the log is asked what
/// was left behind.
pub(in crate::app) fn clear_redaction(workspace: &Workspace) -> Result<()> {
    if !files::anything_staged(workspace) || workspace.live.any_alive() {
        return Ok(());
    }
    let known = match files::staged_by(workspace) {
        Some(id) => workspace.store.read(|log| Ok::<_, Error>(log.head(id.into())?.is_some()))?,
        None => false,
    };
    if known { Ok(()) } else { files::drop_staged(workspace) }
}

/// Puts in place what a redaction that was cut short had still to put, as far as the log names
/// it: the list of files in `.annals` is not enough.
pub(in crate::app) fn end_redaction<A: Access>(
    workspace: &Workspace,
    log: &View<A>,
    invocation: u64,
    id: InvocationId,
) -> Result<Vec<String>> {
    if files::staged_by(workspace) != Some(id) {
        return Ok(vec![]);
    }
    let filter = Filter::kinds([WorkspaceEvent::TEXT_REDACTED]);
    let mut renamed = BTreeMap::new();
    for event in log.events(invocation..log.size(), &filter)? {
        let signed = matches!(event.header.identity, Identity::Signed { .. });
        if let Ok(Event::Workspace(WorkspaceEvent::TextRedacted(redacted))) = event.event()
            && event.header.invocation == Some(invocation)
            && signed
        {
            renamed.extend(redacted.files.iter().map(|f| (f.digest, f.replacement)));
        }
    }
    let left = files::put_staged(workspace, &renamed)?.into_iter().map(|path| {
        format!("{path} is not a file that the redaction names, or has changed: it is unchanged")
    });
    let put = (!renamed.is_empty()).then(|| "the redacted files were put in place".to_owned());
    Ok(put.into_iter().chain(left).collect())
}

fn deciding_refused(hits: &DecidingHits) -> Error {
    // Named files first; files of training checkpoints are many.
    let named: BTreeSet<(bool, &str)> =
        hits.iter().map(|(_, what)| (what.contains('/'), what.as_str())).collect();
    let shown: Vec<&str> = named.iter().map(|(_, what)| *what).take(DECIDING_NAMED_MAX).collect();
    let more = named.len().saturating_sub(shown.len());
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let message = format!(
        "the text also occurs in files that determine a model's predictions: {}{more}",
        shown.join("; ")
    );
    Error::new(ErrorKind::Rejected, message)
        .hint("nothing was changed; with --partly these files stay as they are")
        .hint(
            "--blob DIGEST redacts a whole file, except weights and files that were in \
             production",
        )
}

fn stays_refused(stays: &[Stays]) -> Error {
    let first: Vec<String> = stays.iter().take(3).map(ToString::to_string).collect();
    let more = stays.len().saturating_sub(first.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let message =
        format!("the text also occurs where it determines a result: {}{more}", first.join("; "));
    Error::new(ErrorKind::Rejected, message)
        .hint("with --partly it stays there, and goes out of the chosen fields alone")
}

impl Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { position, kind, field } => {
                write!(f, "event {position} ({kind}), {field}")
            }
            Self::Deciding { path, decides } => write!(f, "{path} ({decides})"),
            Self::File { path } => write!(f, "{path}, which is not annals'"),
        }
    }
}

/// Appends the records and puts the masked events in place.
fn record(tx: &mut Tx<'_, '_>, request: &RedactRequest, plan: &Plan, first: u64) -> Result<()> {
    let files: Vec<RedactedFile> = plan.files.digests.blake3.iter().map(renamed).collect();
    let mut files = files.chunks(NAMED_PER_RECORD);
    let mut events = plan.events.chunks(NAMED_PER_RECORD);
    let mut masked = BTreeMap::new();
    let mut records = Draft::<WorkspaceStream>::read(tx.log(), ())?;
    for by in first.. {
        let (some, more) = (events.next(), files.next());
        if some.is_none() && more.is_none() {
            break;
        }
        let some = some.unwrap_or_default();
        let command = WorkspaceCommand::Redact {
            reason: request.reason.clone(),
            events: some.iter().map(named).collect(),
            files: more.unwrap_or_default().to_vec(),
            signed: tx.key().is_some(),
        };
        records.decide(command, &())?;
        tx.append(&mut records)?;
        for event in some {
            let envelope = tx.log().event(event.position)?;
            let new = envelope.masked(by, event.version, event.bytes.clone());
            masked.insert(event.position, new);
        }
    }
    tx.replace(masked)
}

fn renamed((digest, replacement): (&Digest, &Digest)) -> RedactedFile {
    RedactedFile { digest: *digest, replacement: *replacement }
}

fn named(event: &MaskedEvent) -> RedactedEvent {
    RedactedEvent {
        position: event.position,
        payload: event.payload,
        replacement: Digest::of(&event.bytes),
        fields: event.fields.iter().cloned().collect(),
    }
}

impl Plan {
    fn report(self, position: Option<u64>) -> Redaction {
        let line = |event: &MaskedEvent| RedactedLine {
            position: event.position,
            kind: event.kind.name(),
            fields: event.fields.iter().cloned().collect(),
        };
        Redaction {
            position,
            events: self.events.iter().map(line).collect(),
            files: self.files.files.into_iter().map(|file| file.path).collect(),
            stays: self.stays,
            changed: vec![],
            guessable: self.guessable,
        }
    }
}
