//! One pass over the log that checks everything, and names what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::identity::Identities;
use super::redaction::Redactions;
use super::{Finding, Report};
use crate::base::{Digest, Sha256Digest, counted};
use crate::domain::history::History;
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{BlobUse, BlobUses, Class, EnvelopeRef, Event, kind_info};
use crate::store::{
    Blobs, BlockHeader, Digested, Filter, MemoryIndex, Reader, State, Store, StoreError, seal_count,
};
use crate::tlog::{CheckpointError, Frontier, Hash, LogCheckpoint, NoteKey, leaf_hash};

/// What a check compares with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// An older signed log checkpoint that the log must extend.
    pub against: Option<String>,
    /// The key that must have signed; without it the keys in the log are believed.
    pub key: Option<NoteKey>,
    /// Where artifacts of runs must be.
    pub blobs: Option<Blobs>,
    /// Threads to compute on; as many as there are processors where none is given.
    pub threads: Option<usize>,
}

impl Options {
    fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(all).max(1)
    }
}

/// Recomputes the whole log.
///
/// # Errors
/// When the file cannot be read at all for reasons that are not damage, such as permissions. All
/// damage is in the report.
pub fn verify(store: &Store, options: &Options) -> Result<Report, StoreError> {
    let check = || {
        store.read(|log| {
            let mut check = Check::new(log, options)?;
            check.events()?;
            check.nodes()?;
            check.tables()?;
            check.checkpoints()?;
            Ok(check.finish())
        })
    };
    // The database asserts what it expects of its own pages; damage there ends in a panic.
    let checked = catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(StoreError::corrupt(format!("the database failed on its own pages: {said}")))
    });
    match checked {
        Ok(mut report) => {
            let pages = store.check_pages().err();
            report.findings.extend(pages.map(|error| Finding::file(&error)));
            Ok(report)
        }
        Err(
            error @ (StoreError::Corrupt { .. }
            | StoreError::Malformed { .. }
            | StoreError::Pages { .. }
            | StoreError::Database { .. }),
        ) => Ok(Report::unreadable(&error)),
        Err(other) => Err(other),
    }
}

struct Check<'a> {
    log: &'a Reader,
    options: &'a Options,
    identities: Identities,
    /// What was allowed.
    history: History,
    redactions: Redactions,
    index: MemoryIndex,
    state: State,
    /// Recomputed roots at the sizes that log checkpoints speak of.
    roots: BTreeMap<u64, Hash>,
    wanted: BTreeSet<u64>,
    /// Blobs that events name, and the files that still need them.
    blobs: BlobUses,
    findings: Vec<Finding>,
    last_good: Option<u64>,
    checkpoints: usize,
    /// The largest size that was signed as it is.
    signed_alike: Option<u64>,
    /// Events of the block at hand that were taken in.
    inside: u64,
    /// Bytes of each event that appending had not sealed yet.
    lengths: Vec<u64>,
    /// The tree of the sealed blocks, and its nodes.
    subtrees: Frontier,
    nodes: BTreeMap<(u8, u64), Hash>,
}

impl<'a> Check<'a> {
    fn new(log: &'a Reader, options: &'a Options) -> Result<Self, StoreError> {
        let mut wanted: BTreeSet<u64> = log.checkpoints(..)?.into_iter().map(|(s, _)| s).collect();
        let against = options.against.as_deref().map(LogCheckpoint::peek);
        wanted.extend(against.and_then(Result::ok).map(|checkpoint| checkpoint.size));
        Ok(Self {
            log,
            options,
            identities: Identities::default(),
            history: History::whole(),
            redactions: Redactions::default(),
            index: MemoryIndex::default(),
            state: State { signed: log.state().signed, ..State::default() },
            roots: BTreeMap::from([(0, crate::tlog::empty_root())]),
            wanted,
            blobs: BlobUses::default(),
            findings: vec![],
            last_good: None,
            checkpoints: 0,
            signed_alike: None,
            inside: 0,
            lengths: Vec::new(),
            subtrees: Frontier::default(),
            nodes: BTreeMap::new(),
        })
    }

    /// Folds every stored event into state and index, as appending did. What follows from a block
    /// alone is computed on all threads, ahead of the fold.
    fn events(&mut self) -> Result<(), StoreError> {
        let log = self.log;
        let headers = log.block_headers(0..u64::MAX, &Filter::default())?;
        let mut whole = true;
        log.digest_blocks(self.options.threads(), &headers, |index, digested| {
            let (first, header) = &headers[index];
            let next = headers.get(index + 1).map_or(log.state().sealed, |(next, _)| *next);
            whole = match digested {
                Ok(block) => {
                    self.sealed(*first, header, &block.described);
                    self.block(block)
                }
                // Event by event, to find the first that cannot be read.
                Err(_) => self.event_by_event(*first..next),
            };
            whole
        });
        if whole {
            match log.digest_tail() {
                Ok(tail) => self.block(&tail),
                Err(_) => self.event_by_event(log.state().sealed..u64::MAX),
            };
        }
        self.check_signatures();
        self.findings.extend(self.redactions.check(&self.identities, self.options.key.as_ref()));
        let history = std::mem::replace(&mut self.history, History::whole());
        self.findings.extend(history.violations().iter().map(Finding::not_allowed));
        // Freeing what is known of every run takes a while, and nothing waits for it.
        std::thread::spawn(move || drop(history));
        self.index.finalize();
        Ok(())
    }

    /// Takes in the events of one block or of the tail.
    /// False when nothing after it follows any more.
    fn block(&mut self, block: &Digested) -> bool {
        let first = block.first();
        let broken = block.events(|event, named| {
            self.index.follow(&mut self.state, first + self.inside, event)?;
            self.inside += 1;
            self.lengths.push(event.weight());
            self.seal();
            self.check_references(event, named);
            Ok(())
        });
        let taken = std::mem::take(&mut self.inside);
        let end = first + taken;
        if broken.is_ok()
            && taken.is_power_of_two()
            && self.wanted.range(first + 1..end).next().is_none()
        {
            let level = u8::try_from(taken.ilog2()).unwrap_or(u8::MAX);
            if first == self.state.frontier.size() && first.is_multiple_of(taken) {
                let root = block.described.root;
                self.state.frontier.push_subtree(level, root, |_, _, _| {});
                self.note_root();
                return true;
            }
        }
        for leaf in block.leaves.iter().take(usize::try_from(taken).unwrap_or(usize::MAX)) {
            self.state.frontier.push(*leaf);
            self.note_root();
        }
        if let Err(found) = &broken {
            self.findings.push(Finding::broken(end, &found.1));
        }
        broken.is_ok()
    }

    fn event_by_event(&mut self, range: Range<u64>) -> bool {
        let log = self.log;
        let scanned = log.scan(range, &Filter::default(), |event| {
            let size = self.state.frontier.size();
            self.index.follow(&mut self.state, size, event)?;
            self.lengths.push(event.weight());
            self.seal();
            self.state.frontier.push(leaf_hash(&event.leaf_data().0));
            self.note_root();
            let named = (!is_bulk(event)).then(|| event.event_without_settings().ok()).flatten();
            self.check_references(event, named.as_ref());
            Ok::<(), StoreError>(())
        });
        if let Err(error) = &scanned {
            self.findings.push(Finding::broken(self.state.frontier.size(), error));
        }
        scanned.is_ok()
    }

    /// Seals what appending sealed at this point.
    fn seal(&mut self) {
        let sealed = self.state.sealed;
        if let Some(count) = seal_count(sealed, self.state.tail_bytes, &self.lengths) {
            self.state.sealed += count;
            let gone = usize::try_from(count).unwrap_or(0).min(self.lengths.len());
            self.state.tail_bytes -= self.lengths.drain(..gone).sum::<u64>();
        }
    }

    /// Keeps the root where a log checkpoint speaks of this size.
    fn note_root(&mut self) {
        let size = self.state.frontier.size();
        if self.wanted.contains(&size) {
            self.roots.insert(size, self.state.frontier.root());
        }
    }

    /// Keys, signatures and blobs that events name, and whether the event was allowed. `named` is
    /// what happened; none for points, which are judged by their header, and for what no version
    /// up to this one can decode.
    fn check_references(&mut self, event: &EnvelopeRef<'_>, named: Option<&Event>) {
        let header = &event.header;
        self.redactions.visit(event);
        if self.identities.signed(event) {
            self.check_signatures();
        }
        let digest = || event.payload.digest();
        // What cannot be read is found as damage.
        let _ = self.history.admit(self.log, header, digest, named);
        let Some(named) = named else { return };
        self.blobs.apply(header.position, header.stream.entity, named);
        match named {
            Event::Workspace(WorkspaceEvent::TextRedacted(redacted)) => {
                self.redactions.register_redaction(header, redacted.clone());
            }
            Event::Workspace(named) => {
                let wrong = self.identities.register_key(header, named, &self.state.origin);
                self.findings.extend(wrong);
            }
            _ => {}
        }
    }

    fn check_signatures(&mut self) {
        self.findings.extend(self.identities.check(self.options.threads()));
    }

    /// One block against its header.
    fn sealed(&mut self, first: u64, header: &BlockHeader, described: &BlockHeader) {
        let count = u64::from(described.count);
        let last = first + count.max(1) - 1;
        if described.root != header.root {
            let what = format!("the block of events {first} to {last} does not have its root");
            self.findings.push(Finding::roots(first, what, header.root, described.root));
        } else if described != header {
            let what =
                format!("the header of the block of events {first} to {last} does not fit them");
            self.findings.push(Finding::at(first, what));
        }
        if first != self.subtrees.size() || !count.is_power_of_two() || !first.is_multiple_of(count)
        {
            let next = self.subtrees.size();
            let what = format!("a block of {count} events begins here; {next} comes next");
            self.findings.push(Finding::at(first, what));
            return;
        }
        let level = u8::try_from(count.ilog2()).unwrap_or(u8::MAX);
        let nodes = &mut self.nodes;
        nodes.insert((level, first >> level), described.root);
        self.subtrees.push_subtree(level, described.root, |level, index, hash| {
            nodes.insert((level, index), hash);
        });
    }

    /// The stored nodes of the tree against those of the blocks.
    fn nodes(&mut self) -> Result<(), StoreError> {
        let nodes = &self.nodes;
        let mut stored: BTreeMap<(u8, u64), Hash> =
            self.log.tree_nodes()?.into_iter().map(|(l, i, h)| ((l, i), h)).collect();
        if self.state.frontier.size() != self.log.size() {
            // What was not reached cannot be compared.
            let reached = self.subtrees.size();
            stored.retain(|(level, index), _| (index + 1) << level <= reached);
        }
        if let Some((key, expected, found)) = first_difference(nodes, &stored) {
            let (level, index) = *key;
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
                "{} events are stored, according to the log {}",
                self.state.frontier.size(),
                self.log.size()
            );
            self.findings.push(Finding::at(self.state.frontier.size().min(self.log.size()), what));
        } else if self.state.frontier != self.log.state().frontier {
            let (expected, found) = (self.log.root(), self.state.frontier.root());
            let from = self.last_agreeing().max(self.last_signed_alike()?);
            let what = match self.log.size() - 1 {
                last if last == from => format!("event {from} is not what was appended"),
                last => format!("an event from {from} to {last} is not what was appended"),
            };
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

    /// The largest size of which a stored log checkpoint says what the events say.
    fn last_signed_alike(&self) -> Result<u64, StoreError> {
        let agrees = |(size, note): &(u64, String)| {
            let root = LogCheckpoint::peek(note).ok().map(|checkpoint| checkpoint.root);
            root.is_some() && root == self.roots.get(size).copied()
        };
        let stored = self.log.checkpoints(..)?;
        Ok(stored.iter().take_while(|row| agrees(row)).last().map_or(0, |(size, _)| *size))
    }

    /// Every signed log checkpoint against the recomputed tree, then the one from outside.
    fn checkpoints(&mut self) -> Result<(), StoreError> {
        let keys = self.identities.trusted(self.options.key.as_ref());
        let stored = self.log.checkpoints(..)?;
        self.checkpoints = stored.len();
        let mut differs = false;
        for (size, note) in stored {
            let finding = match self.compare(&note, &keys, self.signed_alike.unwrap_or(0)) {
                Ok(checkpoint) if checkpoint.size != size => {
                    Some(Finding::at(size, format!("a log checkpoint of size {}", checkpoint.size)))
                }
                Ok(_) => {
                    self.signed_alike = Some(size);
                    None
                }
                // Every later one tells of the same difference.
                Err(finding) if finding.found.is_some() && differs => None,
                Err(finding) => {
                    differs |= finding.found.is_some();
                    Some(finding)
                }
            };
            self.findings.extend(finding);
        }
        let first_bad = self.findings.iter().filter_map(|finding| finding.position).min();
        self.last_good = self.signed_alike.filter(|size| first_bad.is_none_or(|bad| *size <= bad));
        if let Some(note) = &self.options.against
            && let Err(mut finding) = self.compare(note, &keys, 0)
        {
            finding.what = format!("against the given log checkpoint: {}", finding.what);
            self.findings.push(finding);
        }
        Ok(())
    }

    /// Opens a log checkpoint and compares it; the first `from` events are known to be as signed.
    fn compare(&self, note: &str, keys: &[NoteKey], from: u64) -> Result<LogCheckpoint, Finding> {
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
                let last = size.saturating_sub(1);
                let what = match from.min(last) {
                    0 => format!("the first {size} events are not those that were signed"),
                    from if from == last => format!("event {from} is not what was signed"),
                    from => format!("an event from {from} to {last} is not what was signed"),
                };
                Err(Finding::roots(from, what, checkpoint.root, *root))
            }
            None => {
                let have = self.state.frontier.size();
                let what =
                    format!("{} signed, only {have} here: rolled back", counted(size, "event"));
                Err(Finding::at(have, what))
            }
        }
    }

    fn finish(mut self) -> Report {
        if let Some(blobs) = &self.options.blobs {
            for (digest, found) in self.blobs.all() {
                if !found.is_needed() && !blobs.contains(digest) {
                    continue;
                }
                self.findings.extend(blob_findings(blobs, digest, found));
            }
        }
        self.findings.sort_by_key(|finding| finding.position);
        let signed = self.log.state().signed.map_or(0, |(size, _)| size);
        Report {
            size: self.state.frontier.size(),
            root: self.state.frontier.root().to_string(),
            log_checkpoints: self.checkpoints,
            unsigned_tail: self.state.frontier.size().saturating_sub(signed),
            actor_signatures: self.identities.met,
            key_pinned: self.options.key.is_some(),
            last_good: self.last_good,
            findings: self.findings,
        }
    }
}

/// Whether an event is of a kind of which there are many; a kind of a later version may be.
fn is_bulk(event: &EnvelopeRef<'_>) -> bool {
    kind_info(event.header.kind).is_none_or(|info| info.class == Class::Bulk)
}

/// What is wrong with a blob: that it cannot be read, has other bytes than its name says, or
/// another SHA-256 than an event says.
fn blob_findings(blobs: &Blobs, digest: Digest, named: &BlobUse) -> Vec<Finding> {
    // Of old files it was not recorded, and half of the work is saved.
    if named.sha256.is_empty() {
        let error = blobs.verify(digest, None).err();
        return error.iter().map(|error| Finding::broken(named.first, error)).collect();
    }
    match blobs.sha256(digest) {
        Err(error) => vec![Finding::broken(named.first, &error)],
        Ok((found, _)) => {
            let others = named.sha256.iter().filter(|(recorded, _)| **recorded != found);
            let finding = |(expected, at): (&Sha256Digest, &u64)| {
                let error = StoreError::BlobSha256 { digest, expected: *expected, found };
                Finding::broken(*at, &error)
            };
            others.map(finding).collect()
        }
    }
}

/// The first key whose values differ, with both.
fn first_difference<'m, K: Ord, V: PartialEq>(
    expected: &'m BTreeMap<K, V>,
    found: &'m BTreeMap<K, V>,
) -> Option<(&'m K, Option<&'m V>, Option<&'m V>)> {
    if expected == found {
        return None;
    }
    let keys: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    let pairs = keys.into_iter().map(|key| (key, expected.get(key), found.get(key)));
    pairs.into_iter().find(|(_, expected, found)| expected != found)
}

/// The first differing row of an index table, in words.
fn row<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> Option<String> {
    let (key, expected, found) = first_difference(expected, found)?;
    Some(format!("row {key:?}: {expected:?} expected, found {found:?}"))
}
