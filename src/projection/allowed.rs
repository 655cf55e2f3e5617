//! What views are folded from: events that were allowed where they stand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use super::{ALL, Definition, Kv, ViewError, violations};
use crate::domain::history::History;
use crate::domain::{Class, Kind, StreamType, all_kinds, kind_info};
use crate::store::{Filter, Store};

/// What a view makes of one event, with its rows.
pub(super) type Take<'t> = dyn FnMut(&mut dyn Kv) -> Result<(), ViewError> + 't;

/// The kinds that views take, and those that decide which events were allowed.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let judged = all_kinds().filter(|info| info.stream != StreamType::Invocation);
    let mut kinds: Vec<Kind> = judged.map(|info| info.kind).collect();
    kinds.extend(ALL.iter().flat_map(|view| view.kinds));
    kinds.sort_unstable();
    kinds.dedup();
    kinds
});

/// Hands each view the events of `window` that are not before its cursor, that it takes and that
/// were allowed, in order.
pub(super) fn fold(
    store: &Store,
    from: &BTreeMap<&'static str, u64>,
    window: Range<u64>,
    history: &mut History,
    mut each: impl FnMut(&'static Definition, &mut Take<'_>) -> Result<(), ViewError>,
) -> Result<(), ViewError> {
    let filter = Filter::kinds(KINDS.iter().copied());
    store.read(|log| {
        log.scan(window, &filter, |envelope| {
            let header = &envelope.header;
            let lacks =
                |view: &Definition| header.position >= from.get(view.name).copied().unwrap_or(0);
            // Kinds of a later version add nothing that this annals knows.
            let event = envelope.event().ok();
            if !history.admit(log, header, || envelope.payload.digest(), event.as_ref())? {
                return match history.violations().last().filter(|_| lacks(&violations::VIEW)) {
                    Some(found) => each(&violations::VIEW, &mut |kv| violations::put(kv, found)),
                    None => Ok(()),
                };
            }
            let Some(event) = event else { return Ok(()) };
            let mut envelope = envelope.clone();
            envelope.header.identity = history.identity(header);
            for view in ALL.iter().filter(|view| lacks(view) && view.kinds.contains(&header.kind)) {
                each(view, &mut |kv| (view.apply)(kv, &envelope, &event))?;
            }
            Ok::<_, ViewError>(())
        })
    })
}

/// Positions of the events of `window` that were not allowed; those of a bulk kind are judged with
/// `points` only.
pub(super) fn judge(
    store: &Store,
    window: Range<u64>,
    points: bool,
) -> Result<Vec<u64>, ViewError> {
    let judged = all_kinds().filter(|info| info.stream != StreamType::Invocation);
    let judged = judged.filter(|info| points || info.class != Class::Bulk);
    let filter = Filter::kinds(judged.map(|info| info.kind));
    let mut history = History::tail();
    store.read(|log| {
        log.scan(window, &filter, |envelope| {
            let bulk = kind_info(envelope.header.kind).is_some_and(|i| i.class == Class::Bulk);
            let event = (!bulk).then(|| envelope.event_without_settings().ok()).flatten();
            let digest = || envelope.payload.digest();
            history.admit(log, &envelope.header, digest, event.as_ref())?;
            Ok::<_, ViewError>(())
        })
    })?;
    Ok(history.violations().iter().map(|violation| violation.position).collect())
}
