use super::{AuditFacts, CHECKS, Damage, LostEvents, Severity, audit, sarif, word};
use crate::base::{Digest, RunId, Timestamp};
use crate::domain::run::RunNoted;
use crate::domain::workspace::{ActorRegistered, RedactedEvent, TextRedacted};
use crate::domain::{DecodeError, Event, Header, Identity, Kind, Provenance, StreamId, kind_named};

const HOUR_NS: i64 = 3_600_000_000_000;

fn header(position: u64, kind: &str, stream: StreamId, hours: i64) -> Header {
    Header {
        position,
        stream,
        revision: 0,
        kind: kind_named(kind).unwrap(),
        version: 1,
        recorded: Timestamp(hours * HOUR_NS),
        wall_offset_ns: 0,
        occurred_offset_ns: 0,
        actor: 0,
        invocation: None,
        sequence: 0,
        command: None,
        provenance: Provenance::Reported,
        identity: Identity::Claimed,
    }
}

/// A log of one actor and notes an hour apart, `size` events in all.
fn notes(size: u64) -> AuditFacts {
    let mut facts = AuditFacts::new(0.05);
    let actor: Event = ActorRegistered { name: "mara".into() }.into();
    facts.take(&header(0, "actor.registered", StreamId::WORKSPACE, 0), Some(Ok(actor)));
    for (position, hours) in (1..size).zip(1..) {
        let note: Event = RunNoted { text: "seen".into() }.into();
        let run = RunId([1; 16]).into();
        facts.take(&header(position, "run.noted", run, hours), Some(Ok(note)));
    }
    (facts.size, facts.signed) = (size, size);
    facts
}

fn rules(facts: &AuditFacts) -> Vec<(&'static str, Severity, Vec<u64>)> {
    let found = audit(facts, |_| true).findings.into_iter();
    found.map(|finding| (finding.rule, finding.severity, finding.positions)).collect()
}

#[test]
fn a_plain_record_has_no_findings() {
    assert_eq!(rules(&notes(9)), []);
    let audit = audit(&notes(9), |_| true);
    let workspace = CHECKS.iter().filter(|check| check.workspace).count();
    assert_eq!(audit.left_out.len(), workspace);
    assert_eq!(audit.checks.len() + workspace, CHECKS.len());
}

#[test]
fn events_that_cannot_be_read_are_told_apart() {
    let mut facts = notes(3);
    let run = StreamId::from(RunId([1; 16]));
    let taken_out = RedactedEvent {
        position: 2,
        payload: Digest([1; 32]),
        replacement: Digest([2; 32]),
        fields: vec!["note".into()],
    };
    let redacted = TextRedacted { reason: "asked".into(), events: vec![taken_out], files: vec![] };
    let at = header(3, "text.redacted", StreamId::WORKSPACE, 1);
    facts.take(&at, Some(Ok(redacted.into())));
    let unknown = DecodeError::UnknownKind(Kind(0x0fff));
    facts.take(&header(4, "run.noted", run, 4), Some(Err(unknown)));
    assert_eq!(
        rules(&facts),
        [("redacted", Severity::Note, vec![2, 3]), ("from-later-version", Severity::Note, vec![4])]
    );
}

#[test]
fn a_clock_that_went_back_is_one_finding_for_each_time() {
    let mut facts = notes(3);
    let run = StreamId::from(RunId([1; 16]));
    for (position, back) in [(3, HOUR_NS), (4, 2 * HOUR_NS), (5, 0), (6, HOUR_NS), (7, 900)] {
        let header = Header { wall_offset_ns: -back, ..header(position, "run.noted", run, 3) };
        facts.take(&header, None);
    }
    let clock = |first, last| ("clock-went-back", Severity::Warning, vec![first, last]);
    assert_eq!(rules(&facts), [clock(3, 4), ("clock-went-back", Severity::Warning, vec![6])]);
    let found = audit(&facts, |_| true).findings;
    assert_eq!(found[0].values["seconds_back"], "7200.000");
}

#[test]
fn damage_weighs_most_and_is_not_repeated_without_end() {
    let mut facts = notes(100);
    facts.signed = 60;
    facts.lost = vec![LostEvents { first: 10, last: 20, why: "flipped".into() }];
    let damage = |position| Damage { position: Some(position), ..Damage::default() };
    facts.damage = (0..50).map(damage).collect();
    let found = rules(&facts);
    assert_eq!(found.len(), 20 + 1 + 1 + 1);
    assert_eq!(found[21], ("events-lost", Severity::Error, vec![10, 20]));
    assert_eq!(found[22], ("unsigned-tail", Severity::Warning, vec![60, 99]));
}

#[test]
fn the_same_finding_has_the_same_fingerprint() {
    let print = |facts: &AuditFacts| {
        let log = sarif(&audit(facts, |_| true), "copy.redb");
        log["runs"][0]["results"][0]["partialFingerprints"]["annals/v1"].clone()
    };
    let mut facts = notes(10);
    facts.signed = 4;
    let mut longer = notes(10);
    longer.signed = 4;
    longer.lost = vec![];
    assert_eq!(print(&facts), print(&longer));
    longer.signed = 5;
    assert_ne!(print(&facts), print(&longer));
    assert_eq!(print(&facts).as_str().map(str::len), Some(Digest::of(b"").to_string().len()));
}

#[test]
fn names_of_checks_are_words_that_people_can_type() {
    for check in CHECKS {
        assert_eq!(word(check.rule), check.rule);
        assert!(check.rule.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", check.rule);
    }
    assert_eq!(word("it's mara"), r"'it'\''s mara'");
}
