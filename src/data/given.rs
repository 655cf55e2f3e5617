//! The labels that one cell gives its row.
//!
//! A list may be a list of the format (JSON, Parquet) or the text that Python or JSON makes of one;
//! both are the same labels. Commas separate labels in a text only where `--multi-label` is asked
//! for, and never inside the element of a list.

use super::value::{Value, canonical};

/// What a cell gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// No label.
    Nothing,
    /// One, which no sign separates.
    One(String),
    /// Those of a list, or of a text with separators.
    Many(Vec<String>),
}

/// The labels of a cell; `multi` splits texts at commas, `is_listed` tells whether a text as a
/// whole is a label that the user listed.
///
/// # Errors
/// Why the cell cannot be read, as the end of a sentence about its column.
pub(super) fn labels(
    value: &Value,
    multi: bool,
    is_listed: impl Fn(&str) -> bool,
) -> Result<Given, String> {
    if value.is_missing() {
        return Ok(Given::Nothing);
    }
    let text = match value {
        Value::List(values) => return elements(values),
        Value::Text(text) => text.trim(),
        Value::Object(_) => return Err("is an object, a label expected".into()),
        value => return single(value).map(Given::One),
    };
    if text.is_empty() {
        return Ok(Given::Nothing);
    }
    let has_comma = multi && text.contains(',');
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    if is_listed(text) {
        if has_comma && parts().all(&is_listed) {
            return Err(format!("is \"{text}\", which is one listed label and also several"));
        }
        return Ok(Given::One(text.to_owned()));
    }
    match written_list(text) {
        Written::List(values) => elements(&values),
        Written::Unreadable => {
            Err(format!("is a list written as text that cannot be read: {text}"))
        }
        Written::NoList if has_comma => Ok(Given::Many(parts().map(str::to_owned).collect())),
        Written::NoList => Ok(Given::One(text.to_owned())),
    }
}

fn elements(values: &[Value]) -> Result<Given, String> {
    values.iter().map(single).collect::<Result<_, _>>().map(Given::Many)
}

fn single(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::Float(number) if number.is_infinite() => return Err("is infinite".into()),
        Value::Single(number) if number.is_infinite() => return Err("is infinite".into()),
        value => value.text().map_err(|kind| format!("holds a value that {kind}"))?,
    };
    match text.trim() {
        "" => Err("holds an empty label in a list".into()),
        text => Ok(text.to_owned()),
    }
}

/// A text that may have been a list.
#[derive(Debug, PartialEq)]
enum Written {
    /// It is one.
    List(Vec<Value>),
    /// It looks like one, but what it holds is not clear.
    Unreadable,
    NoList,
}

/// What Python calls the things that it prints with a list inside.
const WRAPPERS: [&str; 7] = ["array", "np.array", "set", "frozenset", "list", "tuple", "Index"];

fn written_list(text: &str) -> Written {
    let wrapped = text.split_once('(').is_some_and(|(word, _)| WRAPPERS.contains(&word));
    if wrapped && text.ends_with(')') {
        return Written::Unreadable;
    }
    let pairs = [('[', ']'), ('(', ')'), ('{', '}')];
    let inner = pairs.iter().find_map(|(open, close)| {
        text.strip_prefix(*open).and_then(|rest| rest.strip_suffix(*close))
    });
    let Some(inner) = inner else { return Written::NoList };
    if let Some(values) = parse(inner) {
        return Written::List(values);
    }
    // "[OTHER]" is a name; "[a, b]", "['a' 'b']" and "[0 1 0]" are lists of a kind.
    let is_listlike = inner.contains([',', '\'', '"', ':'])
        || inner.split_whitespace().all(|word| canonical(word).is_some());
    if is_listlike { Written::Unreadable } else { Written::NoList }
}

/// The elements of a list of texts, numbers and truth values as Python or JSON writes it.
fn parse(inner: &str) -> Option<Vec<Value>> {
    let (mut values, mut rest) = (Vec::new(), inner.trim());
    while !rest.is_empty() {
        let value;
        (value, rest) = match rest.chars().next()? {
            quote @ ('\'' | '"') => quoted(&rest[1..], quote)?,
            _ => {
                let end = rest.find(',').unwrap_or(rest.len());
                (bare(rest[..end].trim())?, &rest[end..])
            }
        };
        values.push(value);
        rest = rest.trim_start();
        // Python ends a tuple of one with a comma.
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(values)
}

fn bare(word: &str) -> Option<Value> {
    match word {
        "True" | "true" => Some(Value::Bool(true)),
        "False" | "false" => Some(Value::Bool(false)),
        _ => canonical(word).map(Value::Number),
    }
}

/// The text up to `quote`, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(Value, &str)> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    while let Some((at, sign)) = chars.next() {
        match sign {
            _ if sign == quote => {
                return Some((Value::Text(found), &text[at + sign.len_utf8()..]));
            }
            '\\' => found.push(match chars.next()?.1 {
                same @ ('\\' | '\'' | '"' | '/') => same,
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                code @ ('x' | 'u') => {
                    let length = if code == 'x' { 2 } else { 4 };
                    let digits: String =
                        (0..length).map_while(|_| chars.next()).map(|c| c.1).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                }
                _ => return None,
            }),
            sign => found.push(sign),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, multi: bool) -> Result<Given, String> {
        labels(&Value::Text(text.into()), multi, |text| text == "[x, y]" || text == "a, b")
    }

    fn many(labels: &[&str]) -> Given {
        Given::Many(labels.iter().map(|label| (*label).to_owned()).collect())
    }

    #[test]
    fn lists_are_lists_however_they_are_written() {
        for multi in [true, false] {
            for written in [
                "['toxic', 'in, sult']",
                "[\"toxic\", \"in, sult\"]",
                " ('toxic','in, sult',) ",
                "{'toxic', 'in, sult'}",
                "['\\x74oxic', \"in, sult\"]",
            ] {
                assert_eq!(text(written, multi), Ok(many(&["toxic", "in, sult"])), "{written}");
            }
            assert_eq!(text("[]", multi), Ok(many(&[])));
            assert_eq!(text("[3, 6.0, True]", multi), Ok(many(&["3", "6", "true"])));
            assert_eq!(text("[OTHER]", multi), Ok(Given::One("[OTHER]".into())));
            assert_eq!(text("[x, y]", multi), Ok(Given::One("[x, y]".into())), "as listed");
            for unclear in
                ["[a, b]", "['a' 'b']", "[0 1 0]", "{'a': 1}", "[['a']]", "['a', None]", "['a']b']"]
            {
                assert!(text(unclear, multi).is_err(), "{unclear}");
            }
            assert!(text("array(['a', 'b'], dtype=object)", multi).is_err());
        }
    }

    #[test]
    fn commas_separate_only_texts_of_many_labels() {
        assert_eq!(text("a,, c ,", true), Ok(many(&["a", "c"])));
        assert_eq!(text("a,c", false), Ok(Given::One("a,c".into())));
        assert_eq!(text("a, b", true), Ok(Given::One("a, b".into())));
        let both =
            labels(&Value::Text("a,b".into()), true, |text| text.len() == 1 || text == "a,b");
        assert!(both.unwrap_err().contains("also several"));
        let list = Value::List(vec![Value::Text("a,b".into()), Value::Int(1 << 70)]);
        assert_eq!(labels(&list, true, |_| false), Ok(many(&["a,b", "1180591620717411303424"])));
        for bad in [Value::Null, Value::Text(" ".into()), Value::List(vec![])] {
            assert!(labels(&Value::List(vec![bad]), true, |_| false).is_err());
        }
        assert_eq!(labels(&Value::Float(f64::NAN), true, |_| false), Ok(Given::Nothing));
        assert!(labels(&Value::Float(f64::INFINITY), true, |_| false).is_err());
    }
}
