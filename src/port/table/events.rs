//! `events`: the log itself.

use std::borrow::Cow;

use super::{
    ACTOR, Batch, Column, EventRow, Fold, IDENTITY, POSITION, RECORDED, Role, Table, Type, column,
    narrowing, row,
};
use crate::domain::{Kind, kind_info};
use crate::port::cells::Json;

pub(super) const EVENTS: Table = Table {
    name: "events",
    about: "one row for each event of the log",
    kinds: None,
    columns: COLUMNS,
    fold: Fold::Each(rows),
};

const COLUMNS: &[Column] = &[
    POSITION,
    RECORDED,
    column("wall", Type::Time, "raw wall clock of the machine when the log took the event"),
    column("occurred", Type::Time, "when it happened, by the producer's clock"),
    narrowing("kind", Type::Text, Role::Kind, "kind of event, such as run.finished")
        .low_cardinality(),
    column("stream", Type::Text, "whose event, such as run/<id>"),
    narrowing("run", Type::Text, Role::Run, "id of the run whose event it is").low_cardinality(),
    column("revision", Type::Int, "which of its stream's events, from 0"),
    column("version", Type::Int, "version of the kind's shape").low_cardinality(),
    ACTOR,
    IDENTITY,
    column("provenance", Type::Text, "engine, supervised, reported, typed or imported")
        .low_cardinality(),
    column("invocation", Type::Int, "position of the start of the invocation it belongs to"),
    column(
        "wall_offset_ns",
        Type::Int,
        "wall minus recorded; not 0 where the wall clock was behind the event before",
    ),
    column("payload", Type::Text, "what happened, as JSON; redacted texts are placeholders"),
    column("envelope", Type::Bytes, "the stored bytes, which the log's tree commits to"),
    column("redacted_by", Type::Int, "position of the text.redacted event that took texts out"),
    column(
        "allowed",
        Type::Bool,
        "whether it was allowed where it stands; else it changed nothing",
    )
    .low_cardinality(),
];

fn rows(seen: &EventRow<'_>, out: &mut Batch) {
    let header = seen.header;
    row![out;
        header.position,
        header.recorded,
        header.wall(),
        header.occurred(),
        kind_word(header.kind),
        header.stream,
        header.stream.run(),
        header.revision,
        u32::from(header.version),
        seen.actor,
        seen.identity.word(),
        header.provenance.word(),
        header.invocation,
        header.wall_offset_ns,
        seen.event().map(Json),
        seen.envelope.stored(),
        seen.envelope.payload.redacted_by(),
        seen.allowed,
    ];
}

fn kind_word(kind: Kind) -> Cow<'static, str> {
    kind_info(kind).map_or_else(|| kind.name().into(), |info| info.name.into())
}
