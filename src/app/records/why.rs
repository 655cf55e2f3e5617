//! Why a model is in production, or where a file comes from: the chain of events behind it.

use std::fs::File;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::admitted::admitted;
use crate::app::records::files_named::without_algorithm;
use crate::app::records::log::Names;
use crate::app::{Error, ErrorKind, LogQuery, Named, Result, Workspace, records, signing_key};
use crate::base::{Digest, MoveId, RequestId, RunId, Sha256Digest, counted};
use crate::domain::metric::FinalMetric;
use crate::domain::policy::{Policy, PolicyEvent, assess, weakened};
use crate::domain::registry::{ModelPromoted, PromotedFile, RegistryEvent};
use crate::domain::run::{
    Environment, NOT_STATED, RunEvent, RunFinished, RunStarted, RunState, RunStream, Unstated,
};
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{Decider as _, Envelope, Event, Header, StreamId, kind_named};
use crate::projection::registry::{FileRow, ModelRow};
use crate::store::Reader;

/// One step of the chain, and what it rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Node {
    /// What it is, such as `promotion`.
    pub what: String,
    /// What is known about it, in a line.
    pub detail: String,
    /// Position of the event that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// What it rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Node>,
}

impl Node {
    fn new(what: &str, detail: impl Into<String>, position: u64) -> Self {
        let (what, detail) = (what.to_owned(), detail.into());
        Self { what, detail, position: Some(position), because: vec![] }
    }

    fn because(mut self, because: impl IntoIterator<Item = Self>) -> Self {
        self.because.extend(because);
        self
    }

    /// Every position named in the chain, ascending.
    pub fn positions(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.because.iter().flat_map(Self::positions).collect();
        all.extend(self.position);
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Fewer digits of a digest name too many things.
const DIGITS_MIN: usize = 8;
/// Runs that used a file, named one by one.
const USES_MAX: usize = 20;

/// The chain behind a model (`NAME`, `NAME@VERSION`), a file, or the bytes with a digest.
///
/// # Errors
/// [`ErrorKind::NotFound`] for what no event names; when the log cannot be read.
pub fn why(workspace: &Workspace, what: &str, cwd: &Path) -> Result<Node> {
    let views = workspace.snapshot()?;
    let path = cwd.join(what);
    let named = workspace.find_named(&views, what);
    let run = match &named {
        Ok(Named::Version(model)) => Some(model.run()),
        Ok(Named::Run(run)) => Some(*run),
        Err(_) => None,
    };
    run.map_or(Ok(()), |run| records::warn_of_violations(workspace, &views, run))?;
    match &named {
        Ok(Named::Version(model)) => {
            return workspace.store.read(|log| model_node(log, model, None));
        }
        Ok(Named::Run(run)) if !path.is_file() => {
            return workspace.store.read(|log| run_node(log, &mut Names::default(), *run, None));
        }
        _ => {}
    }
    let digest = if path.is_file() {
        let read = File::open(&path).and_then(|mut file| Digest::of_reader(&mut file));
        read.map_err(|e| Error::io(format!("read {}", path.display()), e))?.0.to_string()
    } else {
        without_algorithm(what).to_owned()
    };
    let digits = digest.len() >= DIGITS_MIN && digest.bytes().all(|b| b.is_ascii_hexdigit());
    if let (false, Err(error)) = (digits, named) {
        return Err(error.hint("a model, a run, a file or a digest has a history"));
    }
    bytes(workspace, what, &digest)
}

/// The chain behind the bytes with a digest: the model they are of, else the run that made
/// them, else the runs that used them.
fn bytes(workspace: &Workspace, what: &str, digest: &str) -> Result<Node> {
    let mut models = Vec::new();
    for model in workspace.registry()?.all_versions()?.iter().rev() {
        let named = |(_, blake3, _, sha256): &&FileRow| {
            blake3.starts_with(digest)
                || sha256.as_ref().is_some_and(|sha256| sha256.starts_with(digest))
        };
        if let Some((path, ..)) = model.files.iter().find(named) {
            models.push(workspace.store.read(|log| model_node(log, model, Some(path)))?);
        }
    }
    match models.len() {
        0 => {}
        1 => return Ok(models.remove(0)),
        several => {
            let detail = format!("{digest} is in {several} versions of production models");
            let node = Node { what: "bytes".into(), detail, ..Node::default() };
            return Ok(node.because(models));
        }
    }
    let file = Some(digest.to_owned());
    let mut lines =
        records::log(workspace, &LogQuery { file, limit: usize::MAX, ..LogQuery::default() })?;
    lines.reverse();
    let Some(first) = lines.first() else {
        let name = if what == digest { String::new() } else { format!("{what}: ") };
        let message = format!("{name}no event names bytes with the digest {digest}");
        return Err(Error::new(ErrorKind::NotFound, message)
            .hint("its origin is unknown: it is not from here, or was changed since"));
    };
    let run_of = |stream: &str| stream.parse::<StreamId>().ok().and_then(StreamId::run);
    let made = |kind: &str| {
        [RunEvent::ARTIFACT_STORED, RunEvent::CHECKPOINT_SAVED, RunEvent::FINISHED]
            .map(Some)
            .contains(&kind_named(kind))
    };
    let maker = lines.iter().find(|line| made(&line.kind));
    workspace.store.read(|log| {
        let mut names = Names::default();
        let subject = |of: &str| format!("{digest} is {of}");
        if let Some((line, run)) = maker.and_then(|line| Some((line, run_of(&line.stream)?))) {
            let node = Node::new("bytes", subject("made by a run"), line.position);
            return Ok(node.because([run_node(log, &mut names, run, None)?]));
        }
        let node = Node::new("bytes", subject("named by these events"), first.position);
        Ok(node.because(lines.iter().take(USES_MAX).map(|line| {
            let detail = format!("{} {} {}", line.stream, line.actor, line.summary);
            Node::new(&line.kind, detail, line.position)
        })))
    })
}

/// A version of a production model, or one file of it.
fn model_node(log: &Reader, model: &ModelRow, file: Option<&String>) -> Result<Node> {
    let promotion = log.event(model.position)?;
    let Ok(Event::Registry(RegistryEvent::Promoted(promoted))) = promotion.event() else {
        let message = format!("event {} is not the promotion of {}", model.position, model.name);
        return Err(Error::new(ErrorKind::Integrity, message));
    };
    let mut names = Names::default();
    let promotion = promotion_node(log, &mut names, &promotion.header, &promoted)?;
    let chosen = |f: &&PromotedFile| file.is_none_or(|path| f.path == *path);
    let files = promoted.files.iter().filter(chosen).map(|file| {
        let detail = format!(
            "{}/{}, {} bytes, {}",
            promoted.path,
            file.path,
            file.bytes,
            both(file.digest, file.sha256)
        );
        Node::new("file", detail, model.position)
    });
    let detail = format!("{} {} (number {})", model.name, model.version, model.number);
    let placed = &model.placed;
    let node = Node::new("model", detail, placed.position);
    let placement = match placed.is_later(model) {
        true => Some(placement_node(log, &mut names, placed.position)?),
        false => None,
    };
    // Who decided and why comes first: the files are many.
    Ok(node.because(placement).because([promotion]).because(files))
}

/// The rollback or repair that put a version into production last.
fn placement_node(log: &Reader, names: &mut Names, position: u64) -> Result<Node> {
    let envelope = log.event(position)?;
    let (mut detail, keys) = who(log, names, &envelope.header);
    let (what, reason, file_move) = match envelope.event() {
        Ok(Event::Registry(RegistryEvent::RolledBack(e))) => {
            ("rollback", Some(e.reason), Some(e.file_move))
        }
        Ok(Event::Registry(RegistryEvent::Repaired(e))) => ("repair", e.reason, Some(e.file_move)),
        // Its text was redacted: who and when are known all the same.
        _ => ("placement", None, None),
    };
    if let Some(words) = envelope.header.invocation.and_then(|at| names.words(log, at)) {
        detail = format!("{detail}: {words}");
    }
    if let Some(reason) = reason {
        detail = format!("{detail}: {reason}");
    }
    let mut node = Node::new(what, detail, position).because(keys);
    if let Some(file_move) = file_move {
        node.because.extend(move_nodes(log, file_move)?);
    }
    Ok(node)
}

fn move_nodes(log: &Reader, file_move: MoveId) -> Result<Vec<Node>> {
    let events = admitted(log, file_move)?;
    let node = |event: &Envelope| {
        let text = format!("{} at {}", event.header.kind.name(), event.header.dated().human());
        Node::new("move", text, event.header.position)
    };
    Ok(events.iter().map(node).collect())
}

/// Who did something, since when with which key.
fn who(log: &Reader, names: &mut Names, header: &Header) -> (String, Vec<Node>) {
    let actor = names.actor(log, header.actor);
    let word = header.identity.level().word();
    let text = format!("{} by {actor} ({word})", header.dated().human());
    let key = signing_key(header).and_then(|at| {
        let Ok(Event::Workspace(WorkspaceEvent::KeyCreated(key))) = log.event(at).ok()?.event()
        else {
            return None;
        };
        Some(Node::new("key", format!("{} of {}", key.public_key, key.owner), at))
    });
    (text, key.into_iter().collect())
}

fn promotion_node(
    log: &Reader,
    names: &mut Names,
    header: &Header,
    promoted: &ModelPromoted,
) -> Result<Node> {
    let (mut detail, keys) = who(log, names, header);
    if let Some(words) = header.invocation.and_then(|at| names.words(log, at)) {
        detail = format!("{detail}: {words}");
    }
    let mut node = Node::new("promotion", detail, header.position).because(keys);
    node.because.extend(request_nodes(log, names, promoted.request)?);
    node.because.extend(move_nodes(log, promoted.file_move)?);
    node.because.extend(policy_node(log, names, header.position, promoted)?);
    node.because.push(run_node(log, names, promoted.run, Some(header.position))?);
    Ok(node)
}

/// The request and what people said to it, in order.
fn request_nodes(log: &Reader, names: &mut Names, request: RequestId) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for envelope in admitted(log, StreamId::REGISTRY)? {
        let Ok(Event::Registry(event)) = envelope.event() else { continue };
        let (what, reason) = match event {
            RegistryEvent::Requested(e) if e.request == request => ("request", e.reason),
            RegistryEvent::Approved(e) if e.request == request => ("approval", e.reason),
            RegistryEvent::Rejected(e) if e.request == request => ("rejection", Some(e.reason)),
            _ => continue,
        };
        let (text, keys) = who(log, names, &envelope.header);
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let node = Node::new(what, format!("{text}{reason}"), envelope.header.position);
        nodes.push(node.because(keys));
    }
    Ok(nodes)
}

/// The rules that a promotion at `position` was made under, how the run met them, and which of them
/// were weaker than before; none where they cannot be read.
fn policy_node(
    log: &Reader,
    names: &mut Names,
    position: u64,
    promoted: &ModelPromoted,
) -> Result<Option<Node>> {
    let mut states: Vec<(Header, Policy)> = Vec::new();
    for envelope in admitted(log, StreamId::POLICY)? {
        if let Ok(Event::Policy(PolicyEvent::Changed(changed))) = envelope.event() {
            states.push((envelope.header, changed.policy));
        }
    }
    let before = states.partition_point(|(header, _)| header.position < position);
    let Some(at) = before.checked_sub(1) else { return Ok(None) };
    let (header, policy) = &states[at];
    let (text, keys) = who(log, names, header);
    let detail = format!("revision {} of {text}", promoted.policy_revision);
    let state = run_state(log, promoted.run, position)?;
    let rules = assess(policy, &state).rules.into_iter().map(|rule| Node {
        what: if rule.passed { "met".into() } else { "not met".into() },
        detail: format!("{}: required {}, actual {}", rule.rule, rule.required, rule.found),
        position: None,
        because: vec![],
    });
    let node = Node::new("policy", detail, header.position).because(keys).because(rules);
    let policies: Vec<&Policy> = states.iter().map(|(_, policy)| policy).collect();
    let mut changes = Vec::new();
    // What came later changes no reason; whether a rule was restored, the audit reports.
    for rule in weakened(&policies[..=at], at) {
        for (change, value) in &rule.weakened {
            let (text, keys) = who(log, names, &states[*change].0);
            let detail = format!("{} from {value}, {} then: {text}", rule.rule, rule.then);
            let change = Node::new("weakened", detail, states[*change].0.position);
            changes.push(change.because(keys));
        }
    }
    Ok(Some(node.because(changes)))
}

/// What was known of a run before `position`.
fn run_state(log: &Reader, run: RunId, position: u64) -> Result<RunState> {
    let mut state = RunState::default();
    for envelope in admitted(log, run)? {
        if envelope.header.position < position
            && let Ok(Event::Run(event)) = envelope.event()
        {
            RunStream::evolve(&mut state, &event, &envelope.header);
        }
    }
    Ok(state)
}

/// A run with what it was measured at, what it was trained on and with what.
fn run_node(log: &Reader, names: &mut Names, run: RunId, before: Option<u64>) -> Result<Node> {
    let mut node = Node { what: "run".into(), detail: run.to_string(), ..Node::default() };
    let mut best = None;
    for envelope in admitted(log, run)? {
        let position = envelope.header.position;
        let Ok(Event::Run(event)) = envelope.event() else { continue };
        if before.is_some_and(|before| position > before) {
            break;
        }
        match event {
            RunEvent::Started(started) => {
                let (text, keys) = who(log, names, &envelope.header);
                node.detail = format!("{} ({run}), {text}", started.experiment_id);
                node.position = Some(position);
                node.because.extend(keys);
                node.because.extend(start_nodes(&started, position));
            }
            RunEvent::Resumed(resumed) => {
                node.because.push(environment(&resumed.environment, position));
            }
            RunEvent::CheckpointSaved(saved) if saved.best || best.is_none() => {
                let detail = format!(
                    "step {}, epoch {}, {}, blake3:{}",
                    saved.step, saved.epoch, saved.path, saved.digest
                );
                best = Some(Node::new("training checkpoint", detail, position));
            }
            RunEvent::ArtifactStored(stored) => {
                let place = stored.path.as_deref().unwrap_or("blob");
                let digests = both(stored.digest, stored.sha256);
                let detail = format!("{} {place}, {digests}", stored.name);
                node.because.push(Node::new("artifact", detail, position));
            }
            RunEvent::Finished(finished) => {
                node.because.extend(best.take());
                node.because.push(results(&finished, &envelope.header));
            }
            _ => {}
        }
    }
    node.because.extend(best);
    Ok(node)
}

/// The digests of a file, each with its algorithm; of old files SHA-256 was not recorded.
fn both(digest: Digest, sha256: Option<Sha256Digest>) -> String {
    let sha256 = sha256.map(|sha256| format!(", sha256:{sha256}"));
    format!("blake3:{digest}{}", sha256.unwrap_or_default())
}

fn results(finished: &RunFinished, header: &Header) -> Node {
    let detail = format!(
        "{}, {}; {}, {}",
        counted(finished.steps, "step"),
        counted(finished.epochs, "epoch"),
        counted(finished.metrics.len(), "metric"),
        header.provenance.word()
    );
    let of_split = |m: &FinalMetric| {
        let split = m.key.split.map_or("no split", crate::base::Split::word);
        Node {
            what: split.into(),
            detail: format!("{} {}", m.key.name, m.value),
            ..Node::default()
        }
    };
    // The ends of intervals stand beside their values in the event.
    let plain = |m: &&FinalMetric| !m.key.name.contains(".ci_");
    let metrics = finished.metrics.iter().filter(plain).map(of_split);
    Node::new("results", detail, header.position).because(metrics)
}

fn start_nodes(started: &RunStarted, position: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    for file in &started.data.files {
        let rows = match file.rows {
            0 => "rows not counted".to_owned(),
            rows => counted(rows, "row"),
        };
        let detail = format!("{}, {rows}, {}", file.path, both(file.digest, file.sha256));
        nodes.push(Node::new("data", detail, position));
    }
    if let Some(made) = &started.data.synthetic {
        let rows = match made.rows {
            0 => format!("rows {NOT_STATED}"),
            rows => counted(rows, "row"),
        };
        let seed = match started.unstated.contains(&Unstated::Seed) {
            true => NOT_STATED.to_owned(),
            false => made.seed.to_string(),
        };
        let detail = format!("generated: {}, {rows}, seed {seed}", made.generator);
        nodes.push(Node::new("data", detail, position));
    }
    let stated = |fact, value: u64| match started.unstated.contains(&fact) {
        true => NOT_STATED.to_owned(),
        false => value.to_string(),
    };
    let detail = format!(
        "{}; prepared blake3:{}; leaked rows: {}",
        started.data.split_rule,
        started.data.prepared,
        stated(Unstated::LeakedRows, started.data.leaked_rows)
    );
    nodes.push(Node::new("split", detail, position));
    let seed = stated(Unstated::Seed, started.seed);
    let detail = format!("{} blake3:{}, seed {seed}", started.config_name, started.config);
    nodes.push(Node::new("config", detail, position));
    nodes.push(environment(&started.environment, position));
    nodes
}

fn environment(environment: &Environment, position: u64) -> Node {
    let torch =
        environment.libtorch.as_ref().map(|v| format!(", libtorch {v}")).unwrap_or_default();
    let device = match environment.device.as_str() {
        "" => NOT_STATED,
        device => device,
    };
    let detail = format!(
        "annals {}{torch} on {} ({}, device {})",
        environment.tool_version, environment.host, environment.os, device
    );
    let code = environment.git.as_ref().map(|git| {
        let dirty = match (&git.diff, git.dirty) {
            (Some(diff), _) => format!(", changed: blake3:{diff}"),
            (None, true) => ", changed".to_owned(),
            (None, false) => String::new(),
        };
        Node::new("code", format!("git {}{dirty}", git.commit), position)
    });
    Node::new("environment", detail, position).because(code)
}
