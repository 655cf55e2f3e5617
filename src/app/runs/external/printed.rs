//! A line that a supervised command printed: the data in it, behind a progress bar or a logger's
//! prefix, and the names, splits and steps of its numbers.

use crate::base::{Direction, Split};

use super::line::{declared, split_of};
use super::literal::{Literal, Object, object};

/// Deepest path of names: `{"eval": {"top": {"1": 0.5}}}` is `eval/top/1`.
const PATH_DEPTH_MAX: usize = 8;

/// Braces in a line that are tried as the start of an object, and the longest key looked for.
const BRACES_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 4_096;

/// What a line holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// Nothing for the record.
    Plain,
    /// An object.
    Data(Object),
    /// Something like an object that is cut, or stands in the middle of other text.
    Unreadable,
}

/// Reads a piece of a line. `returned`: whether a carriage return came before it, as progress bars
/// print them.
pub(super) fn read(text: &str, returned: bool) -> Line {
    let text = without_escapes(text);
    let text = text.trim().trim_start_matches('\u{feff}');
    let braces = text.match_indices('{').take(BRACES_MAX);
    let found = braces.into_iter().find(|(at, _)| is_keyed(&text[*at..]));
    let Some((at, _)) = found else {
        let empty = text.starts_with('{') && text.ends_with('}') && text.len() == 2;
        return if empty { Line::Data(vec![]) } else { Line::Plain };
    };
    let (before, rest) = text.split_at(at);
    let (before, here) = (before.trim(), object(rest));
    let is_own = before.is_empty() || is_bar(before, returned) || is_logger(before);
    match here {
        Some((object, after)) if is_own && after.trim().is_empty() => Line::Data(object),
        // A sentence with a dictionary in it, without any number: nobody expects it recorded.
        Some((object, _)) if !has_number(&object) => Line::Plain,
        Some(_) => Line::Unreadable,
        None if before.is_empty() => Line::Unreadable,
        None => Line::Plain,
    }
}

/// Whether a text begins like an object with a first key.
fn is_keyed(text: &str) -> bool {
    let inside = text[1..].trim_start().as_bytes();
    let Some(quote @ (b'"' | b'\'')) = inside.first() else { return false };
    // An escaped quote does not end the key; a very long key is none.
    let key = inside[1..].iter().take(KEY_BYTES_MAX);
    let mut escaped = false;
    let end = key.into_iter().position(|byte| {
        let ends = byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    let after = end.map(|end| &inside[end + 2..]);
    after.is_some_and(|after| after.trim_ascii_start().first() == Some(&b':'))
}

fn has_number(object: &Object) -> bool {
    let is_number = |value: &Literal| matches!(value, Literal::Number(_) | Literal::NotFinite(_));
    object.iter().any(|(_, value)| is_number(value))
}

/// Whether a text is a progress bar: `33%|███▍  | 1/3 [00:00<00:01,  1.0it/s]`, ` 1/3 [====>]`.
fn is_bar(text: &str, returned: bool) -> bool {
    let counts = text.contains(|c: char| c.is_ascii_digit()) && text.contains(['%', '/', '|']);
    counts && (returned || text.ends_with([']', '|', '%', ')']))
}

/// Whether a text is what loggers put before a message: a level, and at most one name after it.
fn is_logger(text: &str) -> bool {
    const LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    let Some((at, level)) = LEVELS.iter().find_map(|level| Some((text.find(level)?, level))) else {
        return false;
    };
    let after = &text[at + level.len()..];
    let names = after.split(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)));
    let names = names.filter(|name| name.contains(char::is_alphanumeric));
    names.count() <= 1 && text.ends_with([':', ']', '-', '|', ')'])
        || after.is_empty()
        || after == ":"
}

/// A text without the sequences that move the cursor and color.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            plain.push(c);
        } else if rest.next() == Some('[') {
            // Up to the letter that ends the sequence.
            rest.by_ref().find(char::is_ascii_alphabetic);
        }
    }
    plain
}

/// A printed value with its name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value<'a> {
    /// Name, split and direction, as far as the words tell.
    pub(super) name: Name,
    /// The value.
    pub(super) value: &'a Literal,
}

/// How a series is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The words that the trainer used: two spellings are two series.
    pub(super) spelled: String,
    /// The whole name, without a split: `dev/loss`.
    pub(super) full: String,
    /// The name on its split: `loss`.
    pub(super) name: String,
    /// The split.
    pub(super) split: Option<Split>,
    /// Which way it gets better, where that was declared.
    pub(super) direction: Option<Direction>,
}

impl Name {
    /// Takes `path` apart, printed in an object of the split `of`.
    fn new(path: &str, of: Option<&str>) -> Self {
        let (full, direction) = declared(path);
        let own = |split, name: &str, spelled: String| Self {
            spelled,
            full: full.to_owned(),
            name: name.to_owned(),
            split,
            direction,
        };
        if let Some(word) = of {
            let (spelled, split) =
                (format!("{}/{full}", word.to_ascii_lowercase()), split_of(word));
            let name = if split.is_some() { full.to_owned() } else { spelled.clone() };
            return Self { full: spelled.clone(), ..own(split, &name, spelled) };
        }
        let parts = [full.split_once('/'), full.split_once('_'), full.split_once('.')];
        let prefixed = parts.into_iter().flatten().map(|(word, name)| (split_of(word), name));
        let suffixed = full.rsplit_once('/').map(|(name, word)| (split_of(word), name));
        let mut found = prefixed.chain(suffixed).filter(|(split, name)| {
            split.is_some() && !name.is_empty() && !name.starts_with(['/', '_', '.'])
        });
        match found.next() {
            Some((split, name)) => own(split, name, full.to_owned()),
            None => own(None, full, full.to_owned()),
        }
    }
}

/// The values of an object by their paths, but for those under the names `but`.
pub(super) fn values<'a>(object: &'a Object, of: Option<&str>, but: &[&str]) -> Vec<Value<'a>> {
    let mut values = Vec::new();
    for (key, value) in object.iter().filter(|(key, _)| !but.contains(&key.as_str())) {
        visit(key, value, PATH_DEPTH_MAX, &mut |path, value| {
            values.push(Value { name: Name::new(path, of), value });
        });
    }
    values
}

fn visit<'a>(
    path: &str,
    value: &'a Literal,
    depth: usize,
    each: &mut dyn FnMut(&str, &'a Literal),
) {
    match value {
        Literal::Object(inner) if depth > 0 => {
            for (key, value) in inner {
                visit(&format!("{path}/{key}"), value, depth - 1, each);
            }
        }
        _ => each(path, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(line: &str, returned: bool) -> Option<Vec<String>> {
        match read(line, returned) {
            Line::Data(object) => Some(object.into_iter().map(|(key, _)| key).collect()),
            _ => None,
        }
    }

    #[test]
    fn data_is_found_behind_bars_loggers_and_colors_and_not_in_sentences() {
        for (line, returned) in [
            (r#"{"a": 1}"#, false),
            ("  {'a': 1}  ", false),
            ("\u{feff}{'a': 1}", false),
            (r#" 1/3 [====>] {"a": 1}"#, false),
            ("100%|██████████| 3/3 [00:00<00:00, 9.1it/s]{'a': 1}", false),
            (" 67% 2/3 steps {'a': 1}", true),
            ("\u{1b}[32m{'a': 1}\u{1b}[0m", false),
            ("\u{1b}[2K\u{1b}[A{'a': 1}", false),
            ("INFO:trainer:{'a': 1}", false),
            ("2026-11-29 12:00:00,123 - root - INFO - {'a': 1}", false),
            ("[2026-11-29 12:00:00][trainer.loop][INFO] - {'a': 1}", false),
        ] {
            assert_eq!(keys(line, returned), Some(vec!["a".into()]), "{line}");
        }
        for line in [
            "got {'a': 1} from a friend",
            "Config: {'a': 1}",
            "INFO:root:Config of model: {'a': 1}",
            "{'a': 1",
            "{'a': 1} and more",
            "{\"a\": }",
        ] {
            assert_eq!(read(line, false), Line::Unreadable, "{line}");
        }
        for line in ["loss 0.3", "{", "}", "not { json", "", "if (x) { y }", "{x: 1}", "{a}"] {
            assert_eq!(read(line, false), Line::Plain, "{line}");
        }
        assert_eq!(read("a set {'x'} of names: one", false), Line::Plain);
        assert_eq!(keys(r#"{"a\"b": 1}"#, false), Some(vec!["a\"b".into()]));
        // Whatever a line holds, it is read in no time.
        for piece in ["{\"", "{\"a\"", "{'a':", "{\"a\": [", "{'a': f(", "\u{1b}["] {
            let line = piece.repeat(1_000_000 / piece.len());
            let begun = std::time::Instant::now();
            let _ = read(&line, false);
            assert!(begun.elapsed().as_secs() < 10, "{piece}");
        }
    }

    #[test]
    fn every_usual_name_of_a_split_is_known_wherever_it_stands() {
        let name = |path: &str| {
            let name = Name::new(path, None);
            (name.split, name.name)
        };
        let words = [
            ("train", Split::Train),
            ("training", Split::Train),
            ("val", Split::Valid),
            ("valid", Split::Valid),
            ("validation", Split::Valid),
            ("dev", Split::Valid),
            ("eval", Split::Valid),
            ("test", Split::Test),
            ("Test", Split::Test),
        ];
        for (word, split) in words {
            for path in [
                format!("{word}/loss"),
                format!("{word}_loss"),
                format!("{word}.loss"),
                format!("loss/{word}"),
            ] {
                assert_eq!(name(&path), (Some(split), "loss".into()), "{path}");
            }
            let keyed = Name::new("loss", Some(word));
            assert_eq!((keyed.split, keyed.name.as_str()), (Some(split), "loss"));
            assert_eq!(keyed.spelled, format!("{}/loss", word.to_ascii_lowercase()));
        }
        for path in ["loss", "acc@1", "timing(s)/gen", "map:50", "train", "train_", "valid/", "x/y"]
        {
            assert_eq!(name(path), (None, path.to_owned()), "{path}");
        }
        assert_eq!(name("val/acc@1"), (Some(Split::Valid), "acc@1".into()));
        assert_eq!(name("test/top/5"), (Some(Split::Test), "top/5".into()));
        let other = Name::new("loss", Some("holdout"));
        assert_eq!((other.split, other.name.as_str()), (None, "holdout/loss"));
        let declared = Name::new("test/regret:lower", None);
        assert_eq!(
            (declared.name.as_str(), declared.direction),
            ("regret", Some(Direction::Lower))
        );
    }
}
