//! `annals export`: the same rows as `query`, and a tree that an independent client verifies.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use annals::base::Timestamp;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use tlog_tiles::{Checkpoint, Hash, HashReader as _, Tile, TileHashReader, TileReader};

use crate::record_read::{audited, damage_a_block, long_record};
use crate::support::Workspace;

fn query(ward: &Workspace, table: &str) -> Vec<Value> {
    let sql = format!("SELECT * FROM {table}");
    let answer = ward.annals(&["query", &sql, "-n", "100000", "--format", "json"]).ok().json();
    answer.as_array().unwrap().clone()
}

/// As SQL has it, where truth is a number.
fn in_sql(mut row: Value) -> Value {
    for value in row.as_object_mut().unwrap().values_mut() {
        if let Value::Bool(truth) = value {
            *value = json!(i32::from(*truth));
        }
    }
    row
}

fn tables(ward: &Workspace) -> Vec<String> {
    let tables = ward.annals(&["query", "--tables", "--format", "json"]).ok().json();
    let tables = tables.as_array().unwrap().iter();
    tables.map(|table| table["table"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_answer_is_written_with_the_types_of_its_cells() {
    let ward = audited();
    let sql = "SELECT position, kind, position / 2.0 AS half, NULL AS absent, envelope, \
               iif(position % 2, position, 'even') AS mixed, position FROM events \
               ORDER BY position";
    ward.annals(&["query", sql, "--out", "answer.parquet"]).ok();
    let file = File::open(ward.path("answer.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let mut count = 0_i64;
    for row in reader.get_row_iter(None).unwrap().map(Result::unwrap) {
        let fields: BTreeMap<_, _> = row.get_column_iter().collect();
        let field = |name: &str| fields[&name.to_owned()].clone();
        assert_eq!(
            (field("position"), field("position_2")),
            (Field::Long(count), Field::Long(count))
        );
        assert_eq!(field("half"), Field::Double(count as f64 / 2.0));
        assert_eq!(field("absent"), Field::Null);
        assert!(
            matches!(field("kind"), Field::Str(_)) && matches!(field("envelope"), Field::Bytes(_))
        );
        let mixed = if count % 2 == 1 { count.to_string() } else { "even".into() };
        assert_eq!(field("mixed"), Field::Str(mixed));
        count += 1;
    }
    assert_eq!(json!(count), query(&ward, "(SELECT count(*) AS n FROM events)")[0]["n"]);
    for (name, begins) in [("answer.csv", "position,kind,"), ("answer.jsonl", "{\"position\":0,")] {
        ward.annals(&["query", sql, "--out", name]).ok();
        let text = String::from_utf8(ward.read(name)).unwrap();
        assert!(text.starts_with(begins), "{text}");
    }
    ward.annals(&["query", sql, "--out", "answer.xls"])
        .refused(2, "must be .csv, .jsonl, .md or .parquet");
}

#[test]
fn truths_and_instants_of_tables_stay_what_they_are() {
    let ward = audited();
    let sql = "SELECT name, synthetic, started, min(started) OVER () AS least, synthetic + 0 AS n, \
               git_dirty, leaked_rows FROM runs";
    ward.annals(&["query", sql, "--out", "runs.parquet"]).ok();
    let file = File::open(ward.path("runs.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let physical: Vec<_> = schema.columns().iter().map(|c| c.physical_type()).collect();
    use parquet::basic::Type::{BOOLEAN, BYTE_ARRAY, INT64};
    let expected = [BYTE_ARRAY, BOOLEAN, INT64, BYTE_ARRAY, INT64, BOOLEAN, INT64];
    assert_eq!(physical, expected);
    let expected = query(&ward, "runs");
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(&expected) {
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        assert_eq!(*fields[1], Field::Bool(expected["synthetic"] == 1));
        let started: Timestamp = expected["started"].as_str().unwrap().parse().unwrap();
        assert_eq!(*fields[2], Field::Long(started.0));
    }
}

#[test]
fn every_table_is_what_the_query_gives() {
    let ward = audited();
    ward.annals(&["export", "jsonl", "lines"]).ok();
    ward.annals(&["export", "csv", "sheets"]).ok();
    ward.annals(&["export", "parquet", "columns"]).ok();
    for table in tables(&ward) {
        let expected = query(&ward, &table);
        assert!(!expected.is_empty(), "{table}");
        let text = String::from_utf8(ward.read(&format!("lines/{table}.jsonl"))).unwrap();
        let rows = text.lines().map(|line| in_sql(serde_json::from_str(line).unwrap()));
        assert_eq!(rows.collect::<Vec<Value>>(), expected, "{table}");
        let mut csv = csv::Reader::from_path(ward.path(&format!("sheets/{table}.csv"))).unwrap();
        assert_eq!(csv.headers().unwrap().len(), expected[0].as_object().unwrap().len());
        assert_eq!(csv.records().map(Result::unwrap).count(), expected.len(), "{table}");
        let file = File::open(ward.path(&format!("columns/{table}.parquet"))).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), expected.len());
        for (row, expected) in rows.iter().zip(&expected) {
            for (name, field) in row.get_column_iter() {
                let value = match field {
                    Field::Null => Value::Null,
                    Field::Bool(truth) => json!(i32::from(*truth)),
                    Field::Long(number) => {
                        // Instants are numbers here.
                        if expected[name].is_string() {
                            continue;
                        }
                        json!(number)
                    }
                    Field::Double(number) => json!(number),
                    Field::Str(text) => json!(text),
                    Field::Bytes(bytes) => {
                        json!(bytes.data().iter().map(|b| format!("{b:02x}")).collect::<String>())
                    }
                    // Instants have a type of their own in Parquet.
                    other => {
                        assert!(format!("{other:?}").starts_with("Timestamp"), "{other:?}");
                        continue;
                    }
                };
                assert_eq!(value, expected[name], "{table}.{name}");
            }
        }
    }
    ward.annals(&["export", "csv", "sheets"]).refused(6, "is not empty");
    ward.annals(&["export", "csv", "new", "--table", "rnus"]).refused(4, "no table \"rnus\"");
    ward.annals(&["export", "csv", "some", "--table", "runs", "--by-day"]).ok();
    assert_eq!(std::fs::read_dir(ward.path("some")).unwrap().count(), 1);
}

#[test]
fn days_lie_in_folders_of_their_own() {
    let ward = Workspace::bare();
    ward.annals_at("2026-03-01T10:00:00Z", 1, &["init"]).ok();
    for (day, seed) in [("2026-03-02", 2), ("2026-03-05", 3)] {
        let key = ["policy", "set", "production_promotion.approvals", &seed.to_string()];
        ward.annals_at(&format!("{day}T10:00:00Z"), seed, &key).ok();
    }
    ward.annals(&["export", "jsonl", "days", "--by-day", "--table", "events"]).ok();
    let mut days = BTreeMap::new();
    for entry in std::fs::read_dir(ward.path("days/events")).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path().join("events.jsonl")).unwrap();
        let name = entry.file_name().into_string().unwrap();
        let day = name.strip_prefix("day=").unwrap().to_owned();
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            assert!(row["recorded"].as_str().unwrap().starts_with(&day), "{day}: {line}");
        }
        days.insert(day, text.lines().count());
    }
    assert_eq!(days.keys().collect::<Vec<_>>(), ["2026-03-01", "2026-03-02", "2026-03-05"]);
    assert_eq!(days.values().sum::<usize>(), query(&ward, "events").len());
}

/// The paths of C2SP, read without annals.
struct Files(PathBuf);

fn number(mut index: u64) -> String {
    let mut path = format!("{:03}", index % 1_000);
    while index >= 1_000 {
        index /= 1_000;
        path = format!("x{:03}/{path}", index % 1_000);
    }
    path
}

impl TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &Tile| {
            let part =
                if tile.width() == 256 { String::new() } else { format!(".p/{}", tile.width()) };
            let path = format!("tile/{}/{}{part}", tile.level(), number(tile.level_index()));
            std::fs::read(self.0.join(path)).unwrap()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn verified(dir: &Path) -> u64 {
    let note = std::fs::read_to_string(dir.join("checkpoint")).unwrap();
    let text = note.split("\n\n").next().unwrap().to_owned() + "\n";
    let checkpoint = Checkpoint::from_bytes(text.as_bytes()).unwrap();
    let (size, root) = (checkpoint.size(), *checkpoint.hash());
    let files = Files(dir.to_owned());
    let tree = TileHashReader::new(size, Hash(root.0), &files);
    for index in 0..size {
        let width = (size - index / 256 * 256).min(256);
        let part = if width == 256 { String::new() } else { format!(".p/{width}") };
        let path = dir.join(format!("tile/entries/{}{part}", number(index / 256)));
        let entries = std::fs::read(path).unwrap();
        let at = usize::try_from(index % 256).unwrap() * 34;
        assert_eq!(entries[at..at + 2], [0, 32]);
        let leaf = tlog_tiles::record_hash(&entries[at + 2..at + 34]);
        // The reader checks every tile against the signed root before it gives a hash.
        let stored = tree.read_hashes(&[tlog_tiles::stored_hash_index(0, index)]).unwrap();
        assert_eq!(stored[0].0, leaf.0, "entry {index}");
        if index % 97 == 0 {
            let proof = tlog_tiles::prove_record(size, index, &tree).unwrap();
            tlog_tiles::check_record(&proof, size, Hash(root.0), index, leaf).unwrap();
        }
    }
    size
}

#[test]
fn an_independent_client_verifies_the_tiles() {
    let ward = long_record();
    // Signs all that is there.
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    let said = ward.annals(&["export", "tiles", "tiles", "--format", "json"]).ok().json();
    let size = verified(&ward.path("tiles"));
    assert!(size > 3_000);
    assert_eq!(said["size"], size);
    let flipped = ward.path("tiles/tile/0/003");
    let mut bytes = std::fs::read(&flipped).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&flipped, bytes).unwrap();
    let tiles = ward.path("tiles");
    assert!(std::panic::catch_unwind(|| verified(&tiles)).is_err(), "a flipped tile verifies");
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    ward.annals(&["export", "tiles", "again", "--log", "copy.redb"]).ok();
    assert_eq!(verified(&ward.path("again")), size);
    damage_a_block(&ward.path("copy.redb"));
    ward.annals(&["export", "tiles", "holes", "--log", "copy.redb"]).refused(10, "are lost");
}
