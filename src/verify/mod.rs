//! Checks a log by recomputing everything from its stored bytes. Never repairs.
//!
//! May use: `base`, `tlog`, `domain`, `store` for reading. Must never see: writing of any kind.
//!
//! What is recomputed: every position, revision, sequence and recorded time (LOG-1, STR-1), every
//! payload digest, leaf, block root and tree node (LOG-3), every index table, and every signed log
//! checkpoint against the tree (LOG-4). A consistent roll-back to an older signed state is the one
//! thing a log cannot show alone: [`Options::against`] does.
//!
//! Start reading at [`verify`].

mod report;

use std::collections::{BTreeMap, BTreeSet};

pub use report::{Finding, Report};

use crate::base::Digest;
use crate::domain::run::RunEvent;
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{EnvelopeRef, Event, Identity, signing_message};
use crate::store::{Blobs, Filter, MemoryIndex, Reader, State, Store, StoreError, seal_count};
use crate::tlog::{CheckpointError, Frontier, Hash, LogCheckpoint, NoteKey};

/// What a check compares with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// An older signed log checkpoint that the log must extend.
    pub against: Option<String>,
    /// The key that must have signed; without it the keys in the log are believed.
    pub key: Option<NoteKey>,
    /// Where artifacts of runs must be.
    pub blobs: Option<Blobs>,
}

/// Recomputes the whole log.
///
/// # Errors
/// When the file cannot be read at all for reasons that are not damage, such as permissions. All
/// damage is in the report.
pub fn verify(store: &Store, options: &Options) -> Result<Report, StoreError> {
    let checked = store.read(|log| {
        let mut check = Check::new(log, options)?;
        check.events();
        check.blocks()?;
        check.tables()?;
        check.checkpoints()?;
        Ok(check.finish())
    });
    match checked {
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Malformed { .. })) => {
            Ok(Report::unreadable(&error))
        }
        Err(StoreError::Database { source }) => {
            Ok(Report::unreadable(&StoreError::Database { source }))
        }
        other => other,
    }
}

struct Check<'a> {
    log: &'a Reader,
    options: &'a Options,
    keys: BTreeMap<u64, NoteKey>,
    index: MemoryIndex,
    state: State,
    /// Recomputed roots at the sizes that log checkpoints speak of.
    roots: BTreeMap<u64, Hash>,
    wanted: BTreeSet<u64>,
    blobs: BTreeMap<Digest, u64>,
    findings: Vec<Finding>,
    last_good: Option<u64>,
    checkpoints: usize,
}

impl<'a> Check<'a> {
    fn new(log: &'a Reader, options: &'a Options) -> Result<Self, StoreError> {
        let mut wanted: BTreeSet<u64> = log.checkpoints(..)?.into_iter().map(|(s, _)| s).collect();
        let against = options.against.as_deref().map(LogCheckpoint::peek);
        wanted.extend(against.and_then(Result::ok).map(|checkpoint| checkpoint.size));
        Ok(Self {
            log,
            options,
            keys: BTreeMap::new(),
            index: MemoryIndex::default(),
            state: State { signed: log.state().signed, ..State::default() },
            roots: BTreeMap::from([(0, crate::tlog::empty_root())]),
            wanted,
            blobs: BTreeMap::new(),
            findings: vec![],
            last_good: None,
            checkpoints: 0,
        })
    }

    /// Folds every stored event into state and index, as appending did.
    fn events(&mut self) {
        let mut lengths: Vec<u64> = Vec::new();
        let log = self.log;
        let scanned = log.scan(0..u64::MAX, &Filter::default(), |event| {
            self.index.apply(&mut self.state, event)?;
            lengths.push(event.stored().len() as u64);
            let sealed = self.state.sealed;
            if let Some(count) = seal_count(sealed, self.state.tail_bytes, &lengths) {
                self.state.sealed += count;
                let gone = usize::try_from(count).unwrap_or(0).min(lengths.len());
                self.state.tail_bytes -= lengths.drain(..gone).sum::<u64>();
            }
            let size = self.state.frontier.size();
            if self.wanted.contains(&size) {
                self.roots.insert(size, self.state.frontier.root());
            }
            self.meaning(event);
            Ok::<(), StoreError>(())
        });
        if let Err(error) = scanned {
            // Nothing after it follows any more.
            self.findings.push(Finding::broken(self.state.frontier.size(), &error));
        }
    }

    /// Keys, signatures and blobs that events name.
    fn meaning(&mut self, event: &EnvelopeRef<'_>) {
        let (header, at) = (&event.header, event.header.position);
        if event.payload.bytes().is_none() {
            let what = "the payload is gone without a signed redaction";
            self.findings.push(Finding::at(at, what));
        }
        if let Identity::Signed { key, signature } = &header.identity {
            let message = signing_message(header, &event.payload.digest());
            if !self.keys.get(key).is_some_and(|key| key.fits(&message, signature)) {
                let what = format!("the actor's signature does not fit the key of event {key}");
                self.findings.push(Finding::at(at, what));
            }
        }
        match event.event() {
            Ok(Event::Workspace(WorkspaceEvent::KeyCreated(created))) => {
                if let Ok(key) = NoteKey::new(&self.state.origin, created.public_key) {
                    self.keys.insert(at, key);
                }
            }
            Ok(Event::Run(RunEvent::ArtifactStored(stored))) if stored.blob => {
                self.blobs.entry(stored.digest).or_insert(at);
            }
            _ => {}
        }
    }

    /// Each block against the subtree root in its header, and both against the tree's nodes.
    fn blocks(&mut self) -> Result<(), StoreError> {
        let mut sealed = Frontier::default();
        let mut nodes: BTreeMap<(u8, u64), Hash> = BTreeMap::new();
        for (first, header) in self.log.block_headers(0..u64::MAX, &Filter::default())? {
            let count = u64::from(header.count);
            let leaves = self.log.unpack(first, &header).and_then(|block| block.leaves());
            let root = match leaves {
                Ok(leaves) => {
                    let mut block = Frontier::default();
                    leaves.iter().for_each(|leaf| block.push(*leaf));
                    block.root()
                }
                Err(error) => {
                    self.findings.push(Finding::broken(first, &error));
                    break;
                }
            };
            if root != header.root {
                let what = format!(
                    "the block of events {first} to {} does not have its root",
                    first + count - 1
                );
                self.findings.push(Finding::roots(first, what, header.root, root));
            }
            if first != sealed.size() || !count.is_power_of_two() || !first.is_multiple_of(count) {
                let what =
                    format!("a block of {count} events begins here; {} comes next", sealed.size());
                self.findings.push(Finding::at(first, what));
                break;
            }
            let level = u8::try_from(count.ilog2()).unwrap_or(u8::MAX);
            nodes.insert((level, first >> level), root);
            sealed.push_subtree(level, root, |level, index, hash| {
                nodes.insert((level, index), hash);
            });
        }
        let stored: BTreeMap<(u8, u64), Hash> =
            self.log.tree_nodes()?.into_iter().map(|(l, i, h)| ((l, i), h)).collect();
        if let Some((key, expected, found)) = first_difference(&nodes, &stored) {
            let (level, index) = key;
            let what = format!("node {index} of tree level {level}");
            let finding = Finding::at(index << level, what);
            self.findings.push(Finding {
                expected: expected.map(ToString::to_string),
                found: found.map(ToString::to_string),
                ..finding
            });
        }
        Ok(())
    }

    /// The state and every index table against what the events say.
    fn tables(&mut self) -> Result<(), StoreError> {
        if self.state.frontier.size() != self.log.size() {
            let what = format!(
                "{} events are stored, the log says {}",
                self.state.frontier.size(),
                self.log.size()
            );
            self.findings.push(Finding::at(self.state.frontier.size().min(self.log.size()), what));
        } else if self.state.frontier != self.log.state().frontier {
            let (expected, found) = (self.log.root(), self.state.frontier.root());
            let from = self.last_agreeing();
            let what = format!("an event from {from} on is not what was appended");
            self.findings.push(Finding::roots(from, what, expected, found));
        } else if self.state != *self.log.state() {
            self.findings.push(Finding::table("meta", "state"));
        }
        let stored = self.log.stored_index()?;
        let mut compare = |table: &'static str, row: Option<String>| {
            self.findings.extend(row.map(|row| Finding::table(table, &row)));
        };
        let made = &self.index;
        compare("stream_heads", row(&made.stream_heads, &stored.stream_heads));
        compare("stream_index", row(&made.stream_index, &stored.stream_index));
        compare("commands", row(&made.commands, &stored.commands));
        compare("writers", row(&made.writers, &stored.writers));
        compare("names", row(&made.names, &stored.names));
        compare("open_moves", row(&made.open_moves, &stored.open_moves));
        let last = self.log.checkpoints(..)?.last().map(|(size, _)| *size);
        if last != self.log.state().signed.map(|(size, _)| size) {
            self.findings
                .push(Finding::table("checkpoints", "the last one is not the one signed last"));
        }
        Ok(())
    }

    /// The first position that no subtree of both frontiers covers alike.
    fn last_agreeing(&self) -> u64 {
        let (made, stored) = (&self.state.frontier, &self.log.state().frontier);
        let mut at = 0;
        for level in (0..64_u8).rev() {
            let index = at >> level;
            if made.size() >> level & 1 == 1 {
                if made.node(level, index) != stored.node(level, index) {
                    return at;
                }
                at += 1 << level;
            }
        }
        at
    }

    fn trusted(&self) -> Vec<NoteKey> {
        match &self.options.key {
            Some(key) => vec![key.clone()],
            None => self.keys.values().cloned().collect(),
        }
    }

    /// Every signed log checkpoint against the recomputed tree, then the one from outside.
    fn checkpoints(&mut self) -> Result<(), StoreError> {
        let keys = self.trusted();
        let stored = self.log.checkpoints(..)?;
        self.checkpoints = stored.len();
        for (size, note) in stored {
            let finding = match self.compare(&note, &keys) {
                Ok(checkpoint) if checkpoint.size != size => {
                    Some(Finding::at(size, format!("a log checkpoint of size {}", checkpoint.size)))
                }
                Ok(_) => None,
                Err(finding) => Some(finding),
            };
            match finding {
                None if self.findings.is_empty() => self.last_good = Some(size),
                None => {}
                Some(finding) => self.findings.push(finding),
            }
        }
        if let Some(note) = &self.options.against
            && let Err(mut finding) = self.compare(note, &keys)
        {
            finding.what = format!("against the given log checkpoint: {}", finding.what);
            self.findings.push(finding);
        }
        Ok(())
    }

    fn compare(&self, note: &str, keys: &[NoteKey]) -> Result<LogCheckpoint, Finding> {
        let unsigned = |error: &CheckpointError| {
            let size = LogCheckpoint::peek(note).map_or(0, |checkpoint| checkpoint.size);
            Finding::at(size, format!("a log checkpoint does not hold: {error}"))
        };
        let (checkpoint, _) =
            LogCheckpoint::open(note, &self.state.origin, keys).map_err(|e| unsigned(&e))?;
        let size = checkpoint.size;
        match self.roots.get(&size) {
            Some(root) if *root == checkpoint.root => Ok(checkpoint),
            Some(root) => {
                let what = format!("the first {size} events are not those that were signed");
                Err(Finding::roots(self.last_good.unwrap_or(0), what, checkpoint.root, *root))
            }
            None => {
                let have = self.state.frontier.size();
                let what = format!("{size} events were signed, only {have} are here: rolled back");
                Err(Finding::at(have, what))
            }
        }
    }

    fn finish(mut self) -> Report {
        if let Some(blobs) = &self.options.blobs {
            for (digest, at) in &self.blobs {
                if let Err(error) = blobs.verify(*digest) {
                    self.findings.push(Finding::broken(*at, &error));
                }
            }
        }
        self.findings.sort_by_key(|finding| finding.position);
        let signed = self.log.state().signed.map_or(0, |(size, _)| size);
        Report {
            size: self.state.frontier.size(),
            root: self.state.frontier.root().to_string(),
            log_checkpoints: self.checkpoints,
            unsigned_tail: self.state.frontier.size().saturating_sub(signed),
            key_pinned: self.options.key.is_some(),
            last_good: self.last_good,
            findings: self.findings,
        }
    }
}

/// The first key whose values differ, with both.
fn first_difference<'m, K: Ord + Copy, V: PartialEq>(
    expected: &'m BTreeMap<K, V>,
    found: &'m BTreeMap<K, V>,
) -> Option<(K, Option<&'m V>, Option<&'m V>)> {
    let keys: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    let pairs = keys.into_iter().map(|key| (*key, expected.get(key), found.get(key)));
    pairs.into_iter().find(|(_, expected, found)| expected != found)
}

/// The first differing row of an index table, in words.
fn row<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> Option<String> {
    let keys: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    let mut pairs = keys.into_iter().map(|key| (key, expected.get(key), found.get(key)));
    let (key, expected, found) = pairs.find(|(_, expected, found)| expected != found)?;
    Some(format!("row {key:?}: {expected:?} expected, found {found:?}"))
}
