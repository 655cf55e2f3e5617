//! What must never move: the bytes of every kind of event, and their schemas.
//!
//! `ANNALS_BLESS=1` writes what is missing or, for schemas, what changed; the difference is then to
//! be read. Golden bytes are never rewritten: a kind whose shape changes gets a new version.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes plain files")]

mod coverage;
mod examples;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use annals::domain::{Event, all_kinds};

use support::{root, unhex};

fn bless() -> bool {
    std::env::var_os("ANNALS_BLESS").is_some()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes_of_every_kind_and_version() {
    let examples: BTreeMap<u16, Event> =
        examples::all().into_iter().map(|event| (event.kind().0, event)).collect();
    for info in all_kinds() {
        let example = examples.get(&info.kind.0);
        let example = example.unwrap_or_else(|| panic!("{} has no example", info.name));
        let path = root().join(format!("tests/golden/bytes/{}.v{}.hex", info.name, info.version));
        if bless() && !path.exists() {
            std::fs::write(&path, hex(&example.encode()) + "\n").unwrap();
        }
        let golden = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{} is missing: ANNALS_BLESS=1 makes it", path.display()));
        assert_eq!(hex(&example.encode()), golden.trim(), "{} encodes otherwise", info.name);
        let decoded = Event::decode(info.kind, info.version, &unhex(&golden)).unwrap();
        assert_eq!(&decoded, example, "{}", info.name);
    }
}

#[test]
fn old_bytes_are_read_for_ever() {
    for entry in std::fs::read_dir(root().join("tests/golden/bytes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (kind, version) = name.rsplit_once(".v").unwrap();
        let kind = annals::domain::kind_named(kind).unwrap_or_else(|| panic!("no kind {kind}"));
        let bytes = unhex(&std::fs::read_to_string(&path).unwrap());
        Event::decode(kind, version.parse().unwrap(), &bytes)
            .unwrap_or_else(|e| panic!("{} is not read any more: {e}", path.display()));
    }
}

#[test]
fn schemas_of_every_kind() {
    for info in all_kinds() {
        let schema = serde_json::to_string_pretty(&(info.schema)()).unwrap() + "\n";
        let path = root().join(format!("schemas/events/{}.v{}.json", info.name, info.version));
        unchanged(&path, &schema);
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        let example = examples::all().into_iter().find(|event| event.kind() == info.kind).unwrap();
        let json = serde_json::to_value(&example).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}\n{json}", info.name);
    }
}

#[test]
fn schemas_of_the_registry_files() {
    for (file, schema) in annals::projection::files::schemas() {
        let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let name = file.replace(".json", ".schema.json");
        unchanged(&root().join("schemas/files").join(name), &schema);
    }
}

#[test]
fn schema_of_the_policy() {
    let schema = schemars::schema_for!(annals::domain::policy::Policy);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    unchanged(&root().join("schemas/policy.schema.json"), &text);
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let policy = serde_json::to_value(annals::domain::policy::Policy::default()).unwrap();
    assert!(validator.is_valid(&policy));
    let mut wrong = policy;
    wrong["production_promotion"]["approvals"] = "two".into();
    assert!(!validator.is_valid(&wrong));
}

fn unchanged(path: &Path, text: &str) {
    if bless() {
        std::fs::write(path, text).unwrap();
    }
    let stored = std::fs::read_to_string(path)
        .unwrap_or_else(|_| panic!("{} is missing: ANNALS_BLESS=1 makes it", path.display()));
    assert_eq!(stored, text, "{} changed", path.display());
}

#[test]
fn codes_and_names_are_given_once() {
    let names: BTreeMap<&str, u16> = all_kinds().map(|info| (info.name, info.kind.0)).collect();
    let codes: BTreeMap<u16, &str> = all_kinds().map(|info| (info.kind.0, info.name)).collect();
    assert_eq!(names.len(), all_kinds().count());
    assert_eq!(codes.len(), all_kinds().count());
}

proptest::proptest! {
    /// Stored bytes are read by programs that did not write them: whatever they are, reading ends
    /// in an event that survives its own round trip, or in an error.
    #[test]
    fn no_bytes_break_the_reader(
        pick in 0_usize..1_000,
        changes in proptest::collection::vec((0_usize..4_096, 0_u8..), 0..6),
        cut in 0_usize..4_096,
    ) {
        let all = examples::all();
        let event = &all[pick % all.len()];
        let kind = event.kind();
        let version = all_kinds().find(|info| info.kind == kind).unwrap().version;
        let mut bytes = event.encode();
        for (at, byte) in changes {
            let length = bytes.len();
            if let Some(changed) = bytes.get_mut(at % length.max(1)) {
                *changed = byte;
            }
        }
        // A third of the trials are cut short.
        if cut % 3 == 0 {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        if let Ok(event) = Event::decode(kind, version, &bytes) {
            let again = event.encode();
            let back = Event::decode(kind, version, &again).unwrap();
            proptest::prop_assert_eq!(back.encode(), again);
        }
    }
}

#[test]
fn tables_of_queries_are_documented() {
    for table in annals::port::table::ALL {
        let text = serde_json::to_string_pretty(&table.describe()).unwrap() + "\n";
        unchanged(&root().join(format!("schemas/query/{}.json", table.name)), &text);
    }
}

#[test]
fn schemas_of_the_answers() {
    let folder = root().join("schemas/answers");
    let mut names = std::collections::BTreeSet::new();
    for answer in annals::app::ANSWERS {
        let name = format!("{}.v{}.json", answer.name, answer.version);
        let schema = serde_json::to_string_pretty(&(answer.schema)()).unwrap() + "\n";
        unchanged(&folder.join(&name), &schema);
        assert!(names.insert(name), "{} is listed twice", answer.name);
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(names.contains(&name), "{name} is the schema of no answer");
    }
}
