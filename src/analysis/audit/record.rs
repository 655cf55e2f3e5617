//! Checks of the record itself: whole, signed, in order, without loose ends.

use super::{AuditFacts, RawFinding, Severity, TakenOut};
use crate::base::{are, counted};
use crate::domain::run::RunStatus;

/// Something that `annals verify` finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The first position concerned; none for a row of an index table.
    pub position: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// Digest that should be there.
    pub expected: Option<String>,
    /// Digest of what is there.
    pub found: Option<String>,
}

/// Positions that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostEvents {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// Why.
    pub why: String,
}

/// More findings of one kind nobody reads; `verify` lists them all.
const DAMAGE_MAX: usize = 20;
/// Hours after which a run without a word is named.
const SILENT_HOURS: f64 = 24.0;

pub(super) fn damaged(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |damage: &Damage| {
        let mut found = RawFinding::new("the record", &damage.what).at(damage.position);
        for (name, digest) in [("expected", &damage.expected), ("found", &damage.found)] {
            if let Some(digest) = digest {
                found = found.value(name, digest);
            }
        }
        found.shown_by("verify")
    };
    let mut all: Vec<RawFinding> = facts.damage.iter().take(DAMAGE_MAX).map(found).collect();
    if let Some(more @ 1..) = facts.damage.len().checked_sub(DAMAGE_MAX) {
        let what = format!("{more} more findings like these");
        all.push(RawFinding::new("the record", what).shown_by("verify"));
    }
    all
}

pub(super) fn lost(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |lost: &LostEvents| {
        let what = format!(
            "positions {} to {} are damaged and skipped: {}",
            lost.first, lost.last, lost.why
        );
        RawFinding::new("the record", what)
            .at([lost.first, lost.last])
            .value("events", lost.last - lost.first + 1)
            .shown_by("verify")
    };
    facts.lost.iter().map(found).collect()
}

pub(super) fn unsigned_tail(facts: &AuditFacts) -> Vec<RawFinding> {
    let tail = facts.size.saturating_sub(facts.signed);
    if tail == 0 {
        return vec![];
    }
    let what = match facts.signed {
        0 => format!("{} without a signed log checkpoint", counted(tail, "event")),
        signed => {
            let events = counted(tail, "event");
            format!("{events} from position {signed} on {} not signed yet", are(&tail))
        }
    };
    let found = RawFinding::new("the record", what).at([facts.signed, facts.size - 1]);
    vec![
        found
            .value("unsigned_events", tail)
            .value("signed_size", facts.signed)
            .shown_by(format!("log --positions {}..", facts.signed)),
    ]
}

pub(super) fn clock(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |back: &super::facts::ClockBack| {
        let seconds = back.back_ns as f64 / 1e9;
        let events = back.last - back.first + 1;
        let what = format!(
            "at {} the clock was up to {seconds:.0} s earlier than at event {}: it \
             went back, or had gone ahead before; dates are of the clock at that time",
            counted(events, "event"),
            back.first.saturating_sub(1)
        );
        let range = format!("log --positions {}..{}", back.first, back.last + 1);
        RawFinding::new("the clock", what)
            .at([back.first, back.last])
            .value("seconds_back", format!("{seconds:.3}"))
            .value("events", events)
            .shown_by(range)
    };
    facts.clock.iter().map(found).collect()
}

pub(super) fn gaps(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |(position, hours): &(u64, i64)| {
        let what = format!("nothing was recorded for {} days before it", hours / 24);
        let before = position.saturating_sub(1);
        RawFinding::new(format!("position {position}"), what)
            .at([before, *position])
            .value("hours", hours)
            .shown_by(format!("log --positions {before}..{}", position + 1))
    };
    facts.gaps.iter().map(found).collect()
}

pub(super) fn commands_left(facts: &AuditFacts) -> Vec<RawFinding> {
    let left = facts.open.iter().filter(|(position, _)| !facts.alive.contains(position));
    let found = left.map(|(position, (at, started))| {
        // Whoever has only a copy cannot know whether the process still lives.
        let (what, severity) = match facts.workspace {
            Some(_) => ("was cut short; the next changing verb clears it", Severity::Warning),
            None => {
                ("has no end in this copy: it was interrupted, or ran when the copy was made", {
                    Severity::Note
                })
            }
        };
        RawFinding::new(format!("annals {}", started.argv.join(" ")), what)
            .at([*position])
            .value("by", &at.actor)
            .value("host", &started.host)
            .value("pid", started.pid)
            .shown_by(format!("log --invocation {position}"))
            .with_severity(severity)
    });
    found.collect()
}

pub(super) fn moves_left(facts: &AuditFacts) -> Vec<RawFinding> {
    // A move under way belongs to a command that is at work.
    if !facts.alive.is_empty() {
        return vec![];
    }
    let found = |(position, from, to): &(u64, String, String)| {
        let what = format!(
            "a move of files from {from} to {to} was planned, and no event \
             completes it"
        );
        RawFinding::new(format!("move planned at {position}"), what)
            .at([*position])
            .value("from", from)
            .value("to", to)
    };
    facts.moves.values().map(found).collect()
}

pub(super) fn runs_left(facts: &AuditFacts) -> Vec<RawFinding> {
    let now = facts.present();
    let open = facts.runs.values().filter(|run| run.state.status == RunStatus::Running);
    let silent = open.filter_map(|run| {
        let hours = now.seconds_since(run.heard) / 3_600.0;
        let what = format!("is running, and nothing was heard of it for {hours:.0} h");
        let name = &run.started.experiment_id;
        (hours >= SILENT_HOURS).then(|| {
            RawFinding::new(run.subject(), what)
                .at(run.positions())
                .value("heard", run.heard)
                .shown_by(format!("show {name}"))
        })
    });
    silent.collect()
}

pub(super) fn redacted(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |out: &TakenOut| {
        let (fields, by) = (&out.fields, &out.by);
        let what = format!(
            "{fields} of this event was taken out by {} at {}: {}; its digest and proofs stay",
            by.actor, by.position, out.reason
        );
        RawFinding::new(format!("position {}", out.position), what)
            .at([out.position, by.position])
            .value("fields", fields)
            .value("by", &by.actor)
            .value("recorded", by.recorded)
            .value("reason", &out.reason)
    };
    facts.redacted.iter().map(found).collect()
}

pub(super) fn unknown(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |(position, what): &(u64, String)| {
        RawFinding::new(format!("position {position}"), what).at([*position])
    };
    facts.unknown.iter().map(found).collect()
}
