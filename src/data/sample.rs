//! Synthetic notes for trying annals out without data. The parts are our own sentences in
//! `data/sample/notes.toml`; whoever shows results on them must say that they are synthetic.

use std::collections::{BTreeMap, BTreeSet};

use crate::stats::random::Stream;

const PARTS: &str = include_str!("../../data/sample/notes.toml");
const PURPOSE: u64 = 0x7361_6d70; // "samp"
/// How often one of the two symptoms is of another label: people rarely have one trouble alone.
const OTHER_SHARE: f64 = 0.22;
/// How often a note tells only what all labels share.
const VAGUE_SHARE: f64 = 0.05;

/// The columns of [`to_csv`].
pub const COLUMNS: [&str; 4] = ["text", "label", "course", "work"];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    openings: Vec<String>,
    durations: Vec<String>,
    contexts: Vec<String>,
    shared: Vec<String>,
    closings: Vec<String>,
    labels: BTreeMap<String, Vec<String>>,
    course: BTreeMap<String, Vec<String>>,
    work: BTreeMap<String, Vec<String>>,
}

/// One synthetic note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The note.
    pub text: String,
    /// `anxiety`, `depression` or `suicide_risk`.
    pub label: String,
    /// `recent` or `lasting`; empty where the note does not tell.
    pub course: String,
    /// `working` or `not_working`; empty where the note does not tell.
    pub work: String,
}

/// Makes `count` notes that follow from `seed` alone, no two alike, with the labels in turn.
pub fn generate(count: usize, seed: u64) -> Vec<Note> {
    let parts: Parts = toml::from_str(PARTS).expect("BUG: the parts of the sample notes");
    let labels: Vec<&String> = parts.labels.keys().collect();
    let mut stream = Stream::new(&[PURPOSE, seed]);
    let mut seen = BTreeSet::new();
    let mut notes = Vec::with_capacity(count);
    while notes.len() < count {
        let label = labels[notes.len() % labels.len()];
        let note = note(&parts, label, &mut stream);
        if seen.insert(note.text.clone()) {
            notes.push(note);
        }
    }
    stream.shuffle(&mut notes);
    notes
}

fn note(parts: &Parts, label: &str, stream: &mut Stream) -> Note {
    let own = &parts.labels[label];
    let others: Vec<&String> =
        parts.labels.iter().filter(|(other, _)| *other != label).flat_map(|(_, p)| p).collect();
    let vague = stream.unit() < VAGUE_SHARE;
    let mut first = pick(if vague { &parts.shared } else { own }, stream).to_owned();
    let mut second = match stream.unit() {
        unit if unit < OTHER_SHARE => others[stream.below(others.len())].clone(),
        _ => pick(&parts.shared, stream).to_owned(),
    };
    if stream.unit() < 0.5 {
        std::mem::swap(&mut first, &mut second);
    }
    let opening = pick(&parts.openings, stream);
    let duration = pick(&parts.durations, stream);
    let context = pick(&parts.contexts, stream);
    let closing = pick(&parts.closings, stream);
    let text = match stream.below(3) {
        0 => format!("{opening} {first} {duration}, and {second}. {context} {closing}"),
        1 => format!("{opening} {first} and {second} {duration}. {context} {closing}"),
        _ => format!("{context} {opening} {first} {duration}. Also mentions {second}. {closing}"),
    };
    let (course, work) = (told(&parts.course, duration), told(&parts.work, context));
    Note { text, label: label.to_owned(), course, work }
}

/// The label under which a part of a note is listed; empty where it is not.
fn told(lists: &BTreeMap<String, Vec<String>>, part: &str) -> String {
    let found = lists.iter().find(|(_, parts)| parts.iter().any(|known| known == part));
    found.map(|(label, _)| label.clone()).unwrap_or_default()
}

fn pick<'a>(parts: &'a [String], stream: &mut Stream) -> &'a str {
    &parts[stream.below(parts.len())]
}

/// The notes as CSV with the header [`COLUMNS`].
pub fn to_csv(notes: &[Note]) -> Vec<u8> {
    let mut bytes = format!("{}\n", COLUMNS.join(",")).into_bytes();
    for Note { text, label, course, work } in notes {
        let text = text.replace('"', "\"\"");
        bytes.extend_from_slice(format!("\"{text}\",{label},{course},{work}\n").as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_distinct_balanced_and_follow_the_seed() {
        let notes = generate(3_000, 42);
        assert_eq!(notes, generate(3_000, 42));
        assert_ne!(notes, generate(3_000, 43));
        let texts: BTreeSet<&str> = notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(texts.len(), 3_000);
        for label in ["anxiety", "depression", "suicide_risk"] {
            assert_eq!(notes.iter().filter(|note| note.label == label).count(), 1_000);
        }
        for told in ["recent", "lasting", ""] {
            let rows = notes.iter().filter(|note| note.course == told).count();
            assert!(rows > 300, "{rows} of {told}");
        }
        for told in ["working", "not_working", ""] {
            let rows = notes.iter().filter(|note| note.work == told).count();
            assert!(rows > 300, "{rows} of {told}");
        }
    }
}
