//! Files of the record for other programs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::admitted::counting_checkpoint;
use crate::app::{Error, ErrorKind, Result, Workspace, records};
use crate::port::export::tiles::Tiles;
use crate::port::export::{Format, Target, write_tables};
use crate::port::table::{ALL, Table, table};
use crate::store::Filter;

/// Positions read per opening of the log.
const WINDOW: u64 = 16 * 1024;

/// One exported table.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Exported {
    /// Its name.
    pub table: &'static str,
    /// How many rows.
    pub rows: u64,
}

/// The tree, exported.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct ExportedTiles {
    /// Events in it: those before the last signed log checkpoint.
    pub size: u64,
    /// How many files.
    pub files: u64,
}

/// A folder that gets files; an existing one is never written over.
struct Folder(PathBuf);

impl Folder {
    fn new(path: &Path) -> Result<Self> {
        let cannot = |e| Error::io(format!("make {}", path.display()), e);
        std::fs::create_dir_all(path).map_err(cannot)?;
        if std::fs::read_dir(path).map_err(cannot)?.next().is_some() {
            let message = format!("{} is not empty", path.display());
            return Err(Error::new(ErrorKind::Conflict, message)
                .hint("an export goes into a new or an empty folder"));
        }
        Ok(Self(path.to_owned()))
    }
}

impl Target for Folder {
    fn begin(&mut self, path: &str) -> io::Result<Box<dyn Write + Send>> {
        let path = self.0.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(Box::new(BufWriter::new(File::create_new(path)?)))
    }
}

/// Writes tables (all where none is named) into a new folder.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a table that there is not; [`ErrorKind::Conflict`] where the
/// folder has files.
pub fn export_tables(
    workspace: &Workspace,
    format: Format,
    names: &[String],
    by_day: bool,
    folder: &Path,
) -> Result<Vec<Exported>> {
    let named = |name: &String| {
        table(name).ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|table| table.name).collect();
            Error::new(ErrorKind::NotFound, format!("there is no table \"{name}\""))
                .hint(format!("there are {}", names.join(", ")))
        })
    };
    let mut tables: Vec<&'static Table> = names.iter().map(named).collect::<Result<_>>()?;
    if tables.is_empty() {
        tables = ALL.iter().collect();
    }
    let (source, mut target) = (records::source(workspace)?, Folder::new(folder)?);
    let rows = write_tables(&*source, &tables, format, by_day, &mut target)
        .map_err(|e| Error::io(format!("export into {}", folder.display()), e))?;
    let exported = |(table, rows): (&Table, u64)| Exported { table: table.name, rows };
    Ok(tables.into_iter().zip(rows).map(exported).collect())
}

/// Writes the log's tree as C2SP tiles into a new folder, up to the last signed log checkpoint.
///
/// # Errors
/// [`ErrorKind::NotFound`] when none was signed; [`ErrorKind::Conflict`] where the folder has
/// files; [`ErrorKind::Integrity`] when events are lost.
pub fn export_tiles(workspace: &Workspace, folder: &Path) -> Result<ExportedTiles> {
    let most = records::log_size(workspace)?;
    let checkpoint = workspace.store.read(|log| counting_checkpoint(log, most))?;
    let (size, note) = checkpoint
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "no log checkpoint was signed yet"))?;
    let mut target = Folder::new(folder)?;
    let mut tiles = Tiles::new(&mut target);
    let cannot = |e| Error::io(format!("write into {}", folder.display()), e);
    let (mut at, mut next) = (0, 0);
    while at < size {
        let end = size.min(at + WINDOW);
        workspace.store.read(|log| {
            log.scan(at..end, &Filter::default(), |event| {
                let position = event.header.position;
                if position != next {
                    let message = format!("events {next} to {} are lost", position - 1);
                    return Err(Error::new(ErrorKind::Integrity, message)
                        .hint("a tree has no gaps: export from an undamaged copy"));
                }
                next += 1;
                tiles.push(event.leaf_data()).map_err(cannot)
            })
        })?;
        at = end;
    }
    if next != size {
        let message = format!("events {next} to {} are lost", size - 1);
        return Err(Error::new(ErrorKind::Integrity, message)
            .hint("a tree has no gaps: export from an undamaged copy"));
    }
    let files = tiles.end(&note).map_err(cannot)?;
    Ok(ExportedTiles { size, files })
}
