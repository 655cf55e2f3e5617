//! The file of the views, brought to the end of the log with its proof.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, Table, WriteTransaction};

use super::allowed::fold;
use super::create::create;
use super::kv::Layered;
use super::proof::{NEWEST, PROOF, Proof, RowSum, Seal, Trust, ViewsKey};
use super::runner::{CURSORS, CURSORS_NAME, Cursor, cursors, rows, windows};
use super::view_snapshot::{self, ViewSnapshot};
use super::{ALL, ViewError};
use crate::base::codec;
use crate::domain::history::History;
use crate::store::Store;

/// A file of views, whose lock the caller has.
pub(super) struct ViewsFile<'k> {
    pub(super) path: PathBuf,
    pub(super) lock: File,
    pub(super) key: &'k ViewsKey,
    /// Events between kept states.
    pub(super) interval: u64,
}

/// Where to go on with each view, and the sum over the rows so far.
type Beginning = (BTreeMap<&'static str, u64>, RowSum);

/// Brings the file to the end of the log, from its beginning where there is none; false for a file
/// from which nothing can go on, because it is not proven, of another revision or of another log.
pub(super) fn update_file(file: &ViewsFile<'_>, store: &Store) -> Result<bool, ViewError> {
    let seal = Seal::of(&file.lock, &file.path);
    let is_new = file.path.symlink_metadata().is_err();
    let db = create(&file.path)?;
    let begins = match is_new {
        true => Some((ALL.iter().map(|view| (view.name, 0)).collect(), RowSum::default())),
        false => beginnings(&db, file.key, &seal, store)?,
    };
    let Some(begins) = begins else { return Ok(false) };
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    let proof = fold_into(&txn, file, store, begins)?;
    txn.open_table(PROOF)?.insert(NEWEST, proof.encode(file.key).as_slice())?;
    txn.commit()?;
    drop(db);
    // Without a seal the next reader sums the rows.
    let _ = proof.seal(&file.lock, &file.path, file.key);
    Ok(true)
}

/// Where to go on with a file that has everything to go on from.
fn beginnings(
    db: &Database,
    key: &ViewsKey,
    seal: &Seal,
    store: &Store,
) -> Result<Option<Beginning>, ViewError> {
    let txn = db.begin_read()?;
    let (Some(cursors), Some(proof)) = (cursors(&txn), Proof::of(&txn, key)) else {
        return Ok(None);
    };
    let of_this_log = store.read(|log| {
        let root = || view_snapshot::root_in(log, proof.size);
        Ok::<_, ViewError>(proof.size <= log.size() && root()? == proof.root)
    })?;
    let fits = of_this_log && proof.fits(&txn, key, seal, Trust::Sealed);
    Ok(fits.then_some((cursors, proof.sum)))
}

/// Folds what is missing into the tables.
fn fold_into(
    txn: &WriteTransaction,
    file: &ViewsFile<'_>,
    store: &Store,
    (from, mut sum): Beginning,
) -> Result<Proof, ViewError> {
    let (key, interval) = (file.key, file.interval);
    let (size, root) = store.read(|log| Ok::<_, ViewError>((log.size(), log.root())))?;
    let mut kept = ViewSnapshot::open(txn)?;
    let mut tables = BTreeMap::new();
    for view in ALL {
        tables.insert(view.name, txn.open_table(rows(view))?);
    }
    let mut history = History::tail();
    for window in windows(&from, size, interval) {
        // Rows change many times in a window: each is written once.
        let mut changed = BTreeMap::<&'static str, BTreeMap<_, _>>::new();
        fold(store, &from, window.clone(), &mut history, |view, take| {
            let fresh = changed.entry(view.name).or_default();
            let below = |key: &[u8]| match tables.get(view.name) {
                Some(table) => Ok(table.get(key)?.map(|row| row.value().to_vec())),
                None => Ok(None),
            };
            take(&mut Layered { fresh, below })
        })?;
        for (view, rows) in changed {
            let Some(table) = tables.get_mut(view) else { continue };
            for (row_key, row) in rows {
                kept.put((view, &row_key, window.start / interval), &row, (key, &mut sum))?;
                if let Some(old) = table.insert(row_key.as_slice(), row.as_slice())? {
                    sum.remove(key, view, &[&row_key, old.value()]);
                }
                sum.add(key, view, &[&row_key, &row]);
            }
        }
        if window.end % interval == 0 {
            kept.over(window.end, view_snapshot::root(store, window.end)?, (key, &mut sum))?;
        }
    }
    put_cursors(&mut txn.open_table(CURSORS)?, size, (key, &mut sum))?;
    Ok(Proof { size, root, sum })
}

fn put_cursors(
    cursors: &mut Table<'_, &'static str, &'static [u8]>,
    size: u64,
    (key, sum): (&ViewsKey, &mut RowSum),
) -> Result<(), ViewError> {
    let kept = (view_snapshot::CURSOR, view_snapshot::REVISION);
    for (name, revision) in ALL.iter().map(|view| (view.name, view.revision)).chain([kept]) {
        let cursor: Cursor = (revision, size);
        let cursor = codec::encode(&cursor);
        if let Some(old) = cursors.insert(name, cursor.as_slice())? {
            sum.remove(key, CURSORS_NAME, &[name.as_bytes(), old.value()]);
        }
        sum.add(key, CURSORS_NAME, &[name.as_bytes(), &cursor]);
    }
    Ok(())
}
