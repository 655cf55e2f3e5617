//! What goes out of events: the chosen fields, and every other place where the same text stands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::text_matcher::{TextMatcher, is_placeholder};
use super::{Field, RedactRequest, Stays};
use crate::app::{Error, ErrorKind, Result};
use crate::base::Digest;
use crate::domain::invocation::InvocationEvent;
use crate::domain::registry::RegistryEvent;
use crate::domain::run::RunEvent;
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{EnvelopeRef, Event, Kind, Payload, PayloadRef, kind_info, visit_free_text};
use crate::store::{Access, Filter, View};

/// Fields whose words stand in many others by chance: their copies are not looked for.
const UNIQUE: [&str; 6] = ["description", "host", "message", "name", "note", "reason"];

/// The fields that go, by position, and the texts that stand in them.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) fields: BTreeMap<u64, BTreeSet<String>>,
    /// Those whose copies go as well.
    pub(super) texts: BTreeSet<String>,
}

/// An event without its texts.
pub(super) struct MaskedEvent {
    pub(super) position: u64,
    pub(super) kind: Kind,
    pub(super) payload: Digest,
    pub(super) version: u16,
    pub(super) bytes: Vec<u8>,
    pub(super) fields: BTreeSet<String>,
}

/// The fields that are asked for.
///
/// # Errors
/// When there is no such event or field, when several could be meant, and for what was redacted
/// before.
pub(super) fn choose<A: Access>(log: &View<A>, request: &RedactRequest) -> Result<Chosen> {
    let mut chosen = Chosen { texts: request.texts.clone(), ..Chosen::default() };
    for position in &request.events {
        let envelope = log.event(*position)?;
        let event = readable(*position, envelope.event())?;
        choose_in(&mut chosen, request, *position, event)?;
    }
    for run in &request.runs {
        let before = chosen.fields.len();
        let mut redacted = None;
        for envelope in log.stream((*run).into(), 0)? {
            let position = envelope.header.position;
            let Ok(event) = envelope.event() else { continue };
            let texts = texts(event.clone());
            let asked = |(field, _): &(_, String)| request.fields.contains(*field);
            if texts.iter().any(|text| asked(text) && !is_placeholder(&text.1)) {
                choose_in(&mut chosen, request, position, event)?;
            } else if texts.iter().any(asked) {
                redacted = envelope.payload.redacted_by();
            }
        }
        if chosen.fields.len() == before {
            let fields = request.fields.iter().cloned().collect::<Vec<_>>().join(", ");
            return Err(match redacted {
                Some(by) => gone(&format!("{fields} of run {run}"), by),
                None => Error::new(ErrorKind::NotFound, format!("run {run} has no {fields}"))
                    .hint(format!("`annals log --run {run}` shows its events")),
            });
        }
    }
    Ok(chosen)
}

fn choose_in(
    chosen: &mut Chosen,
    request: &RedactRequest,
    position: u64,
    event: Event,
) -> Result<()> {
    let kind = event.kind().name();
    let texts = texts(event);
    let names: BTreeSet<&'static str> = texts.iter().map(|(field, _)| *field).collect();
    let listed = names.iter().copied().collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        let message = format!("event {position} ({kind}) has no text that may be redacted");
        return Err(Error::new(ErrorKind::Rejected, message).hint(
            "names, numbers, digests, rules and approvals are facts and cannot be redacted",
        ));
    }
    if request.fields.is_empty() && names.len() > 1 {
        let message = format!("event {position} ({kind}) has several texts: {listed}");
        return Err(Error::new(ErrorKind::Usage, message).hint("choose with --field"));
    }
    let asked: BTreeSet<String> = match request.fields.is_empty() {
        true => names.iter().map(|name| (*name).to_owned()).collect(),
        false => request.fields.iter().filter(|f| names.contains(f.as_str())).cloned().collect(),
    };
    if asked.is_empty() {
        let fields = request.fields.iter().cloned().collect::<Vec<_>>().join(", ");
        let message = format!("event {position} ({kind}) has no text {fields}; it has {listed}");
        return Err(Error::new(ErrorKind::Rejected, message).hint(
            "names, numbers, digests, rules and approvals are facts and cannot be redacted",
        ));
    }
    let mut left = texts.iter().filter(|(f, text)| asked.contains(*f) && !is_placeholder(text));
    let Some(first) = left.next() else {
        let by = texts.iter().find(|(field, _)| asked.contains(*field)).map(|(_, text)| text);
        let by = by.and_then(|text| text[13..text.len() - 1].parse().ok()).unwrap_or_default();
        return Err(gone(&format!("the text of event {position}"), by));
    };
    for (field, text) in std::iter::once(first).chain(left) {
        if UNIQUE.contains(field) || *field == "tags" {
            chosen.texts.insert(text.clone());
        }
    }
    chosen.fields.entry(position).or_default().extend(asked);
    Ok(())
}

fn gone(what: &str, by: u64) -> Error {
    let message = format!("{what} was redacted already, at event {by}");
    Error::new(ErrorKind::Rejected, message)
        .hint(format!("`annals show {by}` shows who did it and the reason"))
}

fn readable(
    position: u64,
    event: std::result::Result<Event, crate::domain::DecodeError>,
) -> Result<Event> {
    event.map_err(|e| {
        let message = format!("event {position} cannot be read: {e}");
        Error::new(ErrorKind::Conflict, message).hint("a newer annals may take its texts out")
    })
}

fn texts(mut event: Event) -> Vec<(&'static str, String)> {
    let mut texts = Vec::new();
    visit_free_text(&mut event, &mut |field, text| {
        if !text.is_empty() {
            texts.push((field, text.clone()));
        }
    });
    texts
}

/// Every event without what goes, and the places where a text has to stay.
pub(super) fn mask<A: Access>(
    log: &View<A>,
    size: u64,
    chosen: &Chosen,
    matcher: &TextMatcher,
    placeholder: &str,
) -> Result<(Vec<MaskedEvent>, Vec<Stays>)> {
    let (mut masked, mut stays) = (Vec::new(), Vec::new());
    log.scan(0..size, &Filter::default(), |envelope| {
        let fields = chosen.fields.get(&envelope.header.position);
        let bytes = envelope.payload.bytes();
        if fields.is_some() || matcher.occurs_in(bytes) || short_words(envelope.header.kind, chosen)
        {
            masked.extend(mask_one(envelope, fields, matcher, placeholder, &mut stays)?);
        }
        Ok::<_, Error>(())
    })?;
    Ok((masked, stays))
}

/// Whether short texts may be words of this event: they are found only by comparing.
fn short_words(kind: Kind, chosen: &Chosen) -> bool {
    kind == InvocationEvent::STARTED && chosen.texts.iter().any(|text| text.len() < 4)
}

fn mask_one(
    envelope: &EnvelopeRef<'_>,
    chosen: Option<&BTreeSet<String>>,
    matcher: &TextMatcher,
    placeholder: &str,
    stays: &mut Vec<Stays>,
) -> Result<Option<MaskedEvent>> {
    let (position, kind) = (envelope.header.position, envelope.header.kind);
    // What a redaction says is what the log is checked by.
    let fixed = kind == WorkspaceEvent::TEXT_REDACTED;
    let mut fields = BTreeSet::new();
    let (mut bytes, mut version) = (envelope.payload.bytes().to_vec(), version(envelope));
    let event = if fixed { None } else { envelope.event().ok() };
    if let Some(mut event) = event {
        visit_free_text(&mut event, &mut |field, text| {
            let all = chosen.is_some_and(|chosen| chosen.contains(field)) && !text.is_empty();
            let masked = if all && !is_placeholder(text) {
                Some(placeholder.to_owned())
            } else {
                matcher.in_field(text, placeholder)
            };
            if let Some(masked) = masked {
                *text = masked;
                fields.insert(field.to_owned());
            }
        });
        if !fields.is_empty() {
            bytes = event.encode();
            version = kind_info(kind).map_or(version, |info| info.version);
        }
        let named = matcher.with_digests(&bytes);
        if named != bytes {
            fields.insert("digests".into());
            bytes = named;
            if let Some(sized) = sized(kind, version, &bytes, matcher) {
                bytes = sized;
                version = kind_info(kind).map_or(version, |info| info.version);
            }
        }
    }
    if matcher.text_in(&bytes) {
        let event = Event::decode(kind, version, &bytes).ok();
        let value = event.and_then(|event| serde_json::to_value(event).ok());
        let mut found = BTreeSet::new();
        value.iter().for_each(|value| places(value, "", matcher, &mut found));
        let field = Field(if found.is_empty() {
            "what cannot be read".into()
        } else {
            found.into_iter().collect::<Vec<_>>().join(", ")
        });
        stays.push(Stays::Event { position, kind: kind.name(), field });
    }
    let payload = envelope.payload.digest();
    Ok((!fields.is_empty()).then_some(MaskedEvent {
        position,
        kind,
        payload,
        version,
        bytes,
        fields,
    }))
}

/// An event with the sizes of the packs that it names; none where they are right.
fn sized(kind: Kind, version: u16, bytes: &[u8], matcher: &TextMatcher) -> Option<Vec<u8>> {
    let mut event = Event::decode(kind, version, bytes).ok()?;
    match &mut event {
        Event::Run(RunEvent::Archived(archived)) => {
            let packed = archived.packed.as_mut()?;
            let size = matcher.size_of(packed.digest).filter(|size| *size != packed.bytes)?;
            let loose = archived.bytes_after.saturating_sub(packed.bytes);
            packed.bytes = size;
            archived.bytes_after = loose + size;
        }
        Event::Workspace(WorkspaceEvent::LogsPacked(packed)) => {
            packed.bytes = matcher.size_of(packed.digest).filter(|size| *size != packed.bytes)?;
        }
        _ => return None,
    }
    Some(event.encode())
}

fn version(envelope: &EnvelopeRef<'_>) -> u16 {
    match envelope.payload {
        PayloadRef::Redacted { masked, .. } => masked.version,
        PayloadRef::Inline(_) | PayloadRef::Salted { .. } => envelope.header.version,
    }
}

fn places(value: &Value, path: &str, matcher: &TextMatcher, found: &mut BTreeSet<String>) {
    let under = |name: &str| if path.is_empty() { name.into() } else { format!("{path}.{name}") };
    match value {
        Value::String(text) if matcher.text_in(text.as_bytes()) => {
            found.insert(path.to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| places(item, path, matcher, found)),
        Value::Object(fields) => {
            for (name, item) in fields {
                if matcher.text_in(name.as_bytes()) {
                    found.insert(path.to_owned());
                }
                places(item, &under(name), matcher, found);
            }
        }
        _ => {}
    }
}

/// Refuses files that decide what is true: weights, and files of a model that was ever in
/// production. Another file that decides what a run's model answers may go when it is named by its
/// digest; the run is no candidate from then on.
///
/// # Errors
/// [`ErrorKind::Rejected`] for such a file.
pub(super) fn may_go<A: Access>(log: &View<A>, blobs: &BTreeSet<Digest>) -> Result<()> {
    if blobs.is_empty() {
        return Ok(());
    }
    let kinds = [RunEvent::FINISHED, RunEvent::ARTIFACT_STORED, RegistryEvent::PROMOTED];
    let filter = Filter::kinds(kinds);
    let deciding = |digest: Digest, what: &str| {
        let message = format!("{digest:.16} is {what}, which determines a result");
        Error::new(ErrorKind::Rejected, message)
    };
    log.scan(0..log.size(), &filter, |envelope| {
        match envelope.event() {
            Ok(Event::Run(RunEvent::Finished(run))) => {
                if let Some(digest) = run.weights.filter(|digest| blobs.contains(digest)) {
                    return Err(deciding(digest, "the weights of a run"));
                }
            }
            Ok(Event::Run(RunEvent::ArtifactStored(stored)))
                if stored.name == "weights" && blobs.contains(&stored.digest) =>
            {
                return Err(deciding(stored.digest, "the weights of a run"));
            }
            Ok(Event::Registry(RegistryEvent::Promoted(promoted))) => {
                let mut files = promoted.files.iter().map(|file| file.digest);
                if let Some(digest) = files.find(|digest| blobs.contains(digest)) {
                    return Err(deciding(digest, "a file of a production model"));
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// Whether the payload was recorded without a salt: who can guess the rest of it can then confirm
/// a guess of the text.
pub(super) fn unsalted(payload: &Payload) -> bool {
    matches!(payload, Payload::Inline(_))
}

/// The file of a run that `text` names: its digest, or the beginning of it.
///
/// # Errors
/// When no run or several have such a file.
pub(super) fn named<A: Access>(log: &View<A>, text: &str) -> Result<Digest> {
    let mut found = BTreeSet::new();
    log.scan(0..log.size(), &Filter::kinds([RunEvent::ARTIFACT_STORED]), |envelope| {
        if let Ok(Event::Run(RunEvent::ArtifactStored(stored))) = envelope.event()
            && stored.digest.to_string().starts_with(text)
        {
            found.insert(stored.digest);
        }
        Ok::<_, Error>(())
    })?;
    match (found.len(), found.pop_first()) {
        (1, Some(digest)) => Ok(digest),
        (0, _) | (_, None) => {
            Err(Error::new(ErrorKind::NotFound, format!("no run has a file {text}"))
                .hint("`annals show RUN --format json` names the files of a run"))
        }
        (several, _) => {
            let message = format!("{several} files begin with {text}");
            Err(Error::new(ErrorKind::Usage, message).hint("give more of the digest"))
        }
    }
}
