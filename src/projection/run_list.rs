//! The small rows of runs, read in place for lists.

use super::row::{open, value};
use super::runs::{ArchivedRunRow, Status, VIEW};
use super::{Snapshot, ViewError};
use crate::base::{RunId, Timestamp};
use crate::domain::run::{Archive as Place, Category};

/// What a list shows of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunLine<'a> {
    /// The run's id.
    pub run: RunId,
    /// The unique name.
    pub experiment_id: &'a str,
    /// The experiment's name.
    pub name: &'a str,
    /// How far it got.
    pub status: Status,
    /// Debug or baseline.
    pub category: Category,
    /// Whether the rules about old runs leave it alone.
    pub pinned: bool,
    /// The archive it lies in; none while it is active.
    pub archive: Option<Place>,
    /// Whether its files are gone for good.
    pub deleted: bool,
    /// Whether its data was generated.
    pub synthetic: bool,
    /// Whether that is known.
    pub origin_stated: bool,
    /// When it began.
    pub started: Timestamp,
    /// Seconds from start to end; none while it runs.
    pub seconds: Option<f64>,
    /// On the test split.
    pub accuracy: Option<f64>,
    /// On the test split.
    pub f1_macro: Option<f64>,
    /// Whether these scores name no split, and are not known to be of the test split.
    pub unsplit: bool,
    /// Position of the invocation that trains it.
    pub invocation: Option<u64>,
}

/// Bytes of rows that are kept together. A single buffer would be copied each time it grows, and
/// every page that a short command touches for the first time costs as much as reading a row.
const BLOCK: usize = 64 * 1024;

/// Every run, newest first: the rows one after the other as they are stored, because most of the
/// time of a list would go into making a value of each.
#[derive(Clone, Debug, Default)]
pub struct RunList {
    blocks: Vec<Vec<u8>>,
    index: Vec<Slot>,
}

/// A run, and where its row stands.
#[derive(Clone, Debug)]
struct Slot {
    run: RunId,
    /// Of its start.
    position: u64,
    block: u32,
    start: u32,
    /// 0 where the row was not read.
    length: u32,
}

impl Slot {
    fn of(row: &ArchivedRunRow) -> Self {
        let (run, position) = (RunId(row.id), row.position.to_native());
        Self { run, position, block: 0, start: 0, length: 0 }
    }

    fn with(self, [block, start, length]: [u32; 3]) -> Self {
        Self { block, start, length, ..self }
    }
}

impl RunList {
    /// How many.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = RunId> {
        self.index.iter().map(|slot| slot.run)
    }

    /// Keeps a row: its block, where it begins there, and its bytes.
    fn put(&mut self, bytes: &[u8]) -> [u32; 3] {
        let fits = |block: &Vec<u8>| block.len() + bytes.len() <= block.capacity();
        if !self.blocks.last().is_some_and(fits) {
            self.blocks.push(Vec::with_capacity(BLOCK.max(bytes.len())));
        }
        let block = self.blocks.len() - 1;
        let start = self.blocks[block].len();
        self.blocks[block].extend_from_slice(bytes);
        [block, start, bytes.len()].map(|n| n as u32)
    }

    /// The runs, newest first.
    pub fn iter(&self) -> impl Iterator<Item = Result<RunLine<'_>, ViewError>> {
        self.index.iter().take_while(|slot| slot.length > 0).map(|slot| {
            let (start, length) = (slot.start as usize, slot.length as usize);
            let bytes = &self.blocks[slot.block as usize][start..start + length];
            line(open(&VIEW, bytes)?)
        })
    }
}

/// A row as lists read it.
fn line(row: &ArchivedRunRow) -> Result<RunLine<'_>, ViewError> {
    let number = |value: &rkyv::option::ArchivedOption<rkyv::rend::unaligned::f64_ule>| {
        value.as_ref().map(|value| value.to_native())
    };
    Ok(RunLine {
        run: RunId(row.id),
        experiment_id: &row.experiment_id,
        name: &row.name,
        status: value(&VIEW, &row.status)?,
        category: value(&VIEW, &row.category)?,
        pinned: row.pinned,
        archive: value(&VIEW, &row.archive)?,
        deleted: row.deleted,
        synthetic: row.synthetic,
        origin_stated: row.origin_stated,
        unsplit: row.unsplit,
        started: Timestamp(row.started.to_native()),
        seconds: number(&row.seconds),
        accuracy: number(&row.accuracy),
        f1_macro: number(&row.f1_macro),
        invocation: row.invocation.as_ref().map(|position| position.to_native()),
    })
}

impl Snapshot {
    /// Every run, newest first.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn runs(&self) -> Result<RunList, ViewError> {
        let mut runs = RunList { blocks: Vec::new(), index: self.run_index() };
        self.scan(&VIEW, &[], |_, bytes| {
            let row: &ArchivedRunRow = open(&VIEW, bytes)?;
            let slot = Slot::of(row).with(runs.put(bytes));
            runs.index.push(slot);
            Ok(())
        })?;
        runs.index.sort_unstable_by_key(|slot| std::cmp::Reverse(slot.position));
        Ok(runs)
    }

    /// The `count` newest runs, newest first, and the ids of the others: [`RunList::iter`] ends
    /// before those.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn newest_runs(&self, count: usize) -> Result<RunList, ViewError> {
        let mut runs = RunList { blocks: Vec::new(), index: self.run_index() };
        self.scan(&VIEW, &[], |_, bytes| {
            runs.index.push(Slot::of(open(&VIEW, bytes)?));
            Ok(())
        })?;
        runs.index.sort_unstable_by_key(|slot| std::cmp::Reverse(slot.position));
        for at in 0..runs.index.len().min(count) {
            if let Some(bytes) = self.get(&VIEW, &runs.index[at].run.0)? {
                let slot = runs.index[at].clone().with(runs.put(&bytes));
                runs.index[at] = slot;
            }
        }
        Ok(runs)
    }

    /// Hands out every run with the position of its start, in no order worth relying on; reads in
    /// place.
    ///
    /// # Errors
    /// What `each` returns; when the views cannot be read.
    pub fn each_run<E: From<ViewError>>(
        &self,
        mut each: impl FnMut(RunLine<'_>, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        self.scan(&VIEW, &[], |_, bytes| {
            let row: &ArchivedRunRow = open(&VIEW, bytes)?;
            let run = line(row)?;
            if failed.is_none() {
                failed = each(run, row.position.to_native()).err();
            }
            Ok(())
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn run_index(&self) -> Vec<Slot> {
        Vec::with_capacity(self.count(&VIEW).min(BLOCK))
    }
}
