//! `events`: the log itself.

use super::{
    ACTOR, Column, Fold, IDENTITY, POSITION, RECORDED, Role, Row, Seen, Table, Type, Value, column,
    narrowing, row,
};
use crate::domain::kind_info;

pub(super) const EVENTS: Table = Table {
    name: "events",
    about: "one row for each event of the log",
    kinds: &[],
    columns: COLUMNS,
    fold: Fold::Each(rows),
};

const COLUMNS: &[Column] = &[
    POSITION,
    RECORDED,
    column("occurred", Type::Time, "when it happened, by the producer's clock"),
    narrowing("kind", Type::Text, Role::Kind, "kind of event, such as run.finished"),
    column("stream", Type::Text, "whose event, such as run/<id>"),
    narrowing("run", Type::Text, Role::Run, "id of the run whose event it is"),
    column("revision", Type::Int, "which of its stream's events, from 0"),
    column("version", Type::Int, "version of the kind's shape"),
    ACTOR,
    IDENTITY,
    column("provenance", Type::Text, "engine, supervised, reported, typed or imported"),
    column("invocation", Type::Int, "position of the start of the invocation it belongs to"),
    column("wall_offset_ns", Type::Int, "raw wall clock minus recorded; not 0 where it went back"),
    column("payload", Type::Text, "what happened, as JSON; redacted texts are placeholders"),
    column("envelope", Type::Bytes, "the stored bytes, which the log's tree commits to"),
    column("redacted_by", Type::Int, "position of the text.redacted event that took texts out"),
];

const PAYLOAD: usize = 13;
const ENVELOPE: usize = 14;

fn rows(seen: &Seen<'_>, out: &mut Vec<Row>) {
    let header = seen.header;
    let kind = match kind_info(header.kind) {
        Some(info) => Value::from(info.name),
        None => header.kind.name().into(),
    };
    // The costly ones only where somebody looks at them.
    let wanted = |index: usize, value: &dyn Fn() -> Value| {
        if seen.wants(index) { value() } else { Value::Null }
    };
    let payload = || seen.event().and_then(|event| serde_json::to_string(event).ok()).into();
    let envelope = || Value::Bytes(seen.envelope.stored().to_vec());
    let mut row = row![
        header.position,
        header.recorded,
        header.occurred(),
        kind,
        wanted(4, &|| header.stream.to_string().into()),
        wanted(5, &|| header.stream.run().map(|run| run.to_string()).into()),
        header.revision,
        u32::from(header.version),
        wanted(8, &|| seen.actor.to_owned().into()),
        header.identity.word(),
        header.provenance.word(),
        header.invocation,
    ];
    row.push(Value::Int(header.wall_offset_ns));
    row.push(wanted(PAYLOAD, &payload));
    row.push(wanted(ENVELOPE, &envelope));
    row.push(seen.envelope.payload.redacted_by().into());
    out.push(row);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_costly_columns_are_where_they_are_said_to_be() {
        let names = [(super::PAYLOAD, "payload"), (super::ENVELOPE, "envelope"), (4, "stream")];
        for (index, name) in names.into_iter().chain([(5, "run"), (8, "actor")]) {
            assert_eq!(super::COLUMNS[index].name, name);
        }
    }
}
