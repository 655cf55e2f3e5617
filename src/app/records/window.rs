//! The log in parts, each worth one opening, so that long readers let writers in between.

use std::ops::Range;

use crate::app::{Error, Result};
use crate::domain::EnvelopeRef;
use crate::store::{Filter, Reader, Store};

/// Raw bytes of the events in one part, where one thread reads: some ten thousand small events.
pub(in crate::app) const WINDOW_BYTES: u64 = 2 * 1024 * 1024;

/// Ranges of positions, ascending, that hold every event of `range` that the filter takes, each of
/// about `bytes` raw bytes of blocks that may hold some.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn windows(
    log: &Reader,
    range: Range<u64>,
    filter: &Filter,
    bytes: u64,
) -> Result<Vec<Range<u64>>> {
    let range = range.start..range.end.min(log.size());
    if range.is_empty() {
        return Ok(vec![]);
    }
    let mut windows: Vec<Range<u64>> = Vec::new();
    let mut held = 0;
    for (first, header) in log.block_headers(range.clone(), filter)? {
        let end = first + u64::from(header.count);
        held += u64::from(header.raw_bytes);
        match windows.last_mut().filter(|_| held <= bytes) {
            Some(window) => window.end = end,
            None => {
                windows.push(first..end);
                held = u64::from(header.raw_bytes);
            }
        }
    }
    windows.push(log.state().sealed..u64::MAX);
    let clip = |w: Range<u64>| w.start.max(range.start)..w.end.min(range.end);
    Ok(windows.into_iter().map(clip).filter(|window| !window.is_empty()).collect())
}

/// Hands out the events of `range` that the filter takes, in order.
///
/// # Errors
/// What `each` returns; when the log cannot be read.
pub(in crate::app) fn scan(
    store: &Store,
    range: Range<u64>,
    filter: &Filter,
    mut each: impl FnMut(&EnvelopeRef<'_>) -> Result<()>,
) -> Result<()> {
    let windows = store.read(|log| windows(log, range, filter, WINDOW_BYTES))?;
    windows
        .into_iter()
        .try_for_each(|window| store.read(|log| log.scan::<Error>(window, filter, &mut each)))
}
