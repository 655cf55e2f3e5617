//! One JSON object of a line, as other programs write them.
//!
//! A parser of its own, because numbers must keep all their digits (a label beyond 2^64 is not the
//! nearest number of 64 bits), because Python writes NaN, and because a fault must be named: a lone
//! surrogate, a key that is there twice.

use std::collections::BTreeMap;

use super::value::Value;

/// Members that are searched one by one; of an object with more, the keys are kept in order.
const SCANNED_MAX: usize = 64;
/// Deepest nesting that is read.
const DEPTH_MAX: u32 = 100;

/// The members of an object, in order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Object {
    /// Keys and values; of a key that is there twice the last value, as other readers have it.
    pub(super) members: Vec<(String, Value)>,
    /// The first key that is there twice with different values.
    pub(super) twice: Option<String>,
}

/// Reads a whole line.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn object(line: &str) -> Result<Object, String> {
    let mut parser = Parser { text: line, at: 0 };
    let found = parser.object(0).and_then(|found| {
        parser.space();
        if parser.peek().is_some() {
            return Err("something follows the object".to_owned());
        }
        Ok(found)
    });
    found.map_err(|problem| {
        let column = line[..parser.at].chars().count() + 1;
        format!("not a JSON object: {problem} at column {column}")
    })
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, sign: u8) -> bool {
        self.space();
        let is_there = self.peek() == Some(sign);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, sign: u8, what: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(format!("{what} expected")) }
    }

    fn object(&mut self, depth: u32) -> Result<Object, String> {
        self.expect(b'{', "{")?;
        let mut found = Object::default();
        let mut places = BTreeMap::new();
        if self.take(b'}') {
            return Ok(found);
        }
        loop {
            self.space();
            if self.peek() == Some(b'}') {
                return Err("trailing comma".to_owned());
            }
            if self.peek() != Some(b'"') {
                return Err("a key in quotes expected".to_owned());
            }
            let key = self.string()?;
            self.expect(b':', ":")?;
            let value = self.value(depth + 1)?;
            let place = if found.members.len() < SCANNED_MAX {
                found.members.iter().position(|(known, _)| *known == key)
            } else {
                let unseen = found.members.iter().enumerate().skip(places.len());
                places.extend(unseen.map(|(at, (known, _))| (known.clone(), at)));
                places.get(&key).copied()
            };
            match place {
                Some(at) => {
                    let known = &mut found.members[at].1;
                    if *known != value {
                        found.twice.get_or_insert(key);
                    }
                    *known = value;
                }
                None => found.members.push((key, value)),
            }
            if !self.take(b',') {
                self.expect(b'}', ", or }")?;
                return Ok(found);
            }
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.space();
        let start = self.at;
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'{') => {
                self.object(depth)?;
                Ok(Value::Object(self.text[start..self.at].to_owned()))
            }
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') if !self.text[start..].starts_with("-I") => self.number(),
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: u32) -> Result<Value, String> {
        self.at += 1;
        let mut values = Vec::new();
        if self.take(b']') {
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if !self.take(b',') {
                self.expect(b']', ", or ]")?;
                return Ok(Value::List(values));
            }
        }
    }

    /// Reads a number, as RFC 8259 spells them.
    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        let digits = |parser: &mut Self| {
            let from = parser.at;
            while matches!(parser.peek(), Some(b'0'..=b'9')) {
                parser.at += 1;
            }
            if parser.at == from { Err("a digit expected".to_owned()) } else { Ok(()) }
        };
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err("a number that begins with 0".to_owned());
            }
        } else {
            digits(self)?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits(self)?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            digits(self)?;
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn word(&mut self) -> Result<Value, String> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            // No JSON, but what Python writes.
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        let rest = &self.text[self.at..];
        let found = words.into_iter().find(|(word, _)| rest.starts_with(word));
        let (word, value) = found.ok_or("a value expected")?;
        self.at += word.len();
        Ok(value)
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut found = String::new();
        loop {
            let rest = &self.text[self.at..];
            let is_end = |byte: u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
            let length = rest.bytes().position(is_end).ok_or("a text without its closing quote")?;
            found.push_str(&rest[..length]);
            self.at += length;
            match rest.as_bytes()[length] {
                b'"' => {
                    self.at += 1;
                    return Ok(found);
                }
                b'\\' => found.push(self.escaped()?),
                _ => return Err("a control character inside a text".to_owned()),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, String> {
        let code = self.text.as_bytes().get(self.at + 1);
        let simple = match code {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err("an unknown escape in a text".to_owned()),
        };
        self.at += 2;
        Ok(simple)
    }

    /// Reads `\uXXXX`, or a pair of them that is one character.
    fn unicode(&mut self) -> Result<char, String> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
        };
        let first = unit(self.at).ok_or("four hexadecimal digits expected after \\u")?;
        let (code, length) = match (first, unit(self.at + 6)) {
            (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => {
                (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
            }
            _ => (first, 6),
        };
        let found = char::from_u32(code)
            .ok_or_else(|| format!("\\u{code:04x} is a lone surrogate and no character"))?;
        self.at += length;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn python_and_pandas_are_read() {
        let found = object(
            " {\"a\" : \"x\\n\\u00e9\\ud83d\\ude00\", \"b\":[1, 1e0,-0.5],\"c\":NaN,\
             \"d\":{\"e\":[ ]},\"f\":12345678901234567890123,\"g\":null,\"h\":-Infinity}\r",
        )
        .unwrap();
        let number = |digits: &str| Value::Number(digits.into());
        let (c, rest) = (found.members[2].1.clone(), &found.members);
        assert!(c.is_missing());
        assert_eq!(rest[0].1, Value::Text("x\né😀".into()));
        assert_eq!(rest[1].1, Value::List(vec![number("1"), number("1e0"), number("-0.5")]));
        assert_eq!(rest[3].1, Value::Object("{\"e\":[ ]}".into()));
        assert_eq!(rest[4].1, number("12345678901234567890123"));
        assert_eq!(rest[6].1, Value::Float(f64::NEG_INFINITY));
    }

    #[test]
    fn a_key_that_is_there_twice_is_reported() {
        let found = object("{\"a\":1,\"b\":2,\"a\":3}").unwrap();
        assert_eq!(found.twice.as_deref(), Some("a"));
        assert_eq!(found.members[0].1, Value::Number("3".into()));
        assert_eq!(object("{\"a\":1,\"a\":1}").unwrap().twice, None);
    }

    #[test]
    fn faults_are_named() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        let cases = [
            ("[1]", "{ expected at column 1"),
            ("\"x\"", "{ expected"),
            ("# remark", "{ expected"),
            ("", "{ expected"),
            ("{\"a\":1,}", "trailing comma at column 8"),
            ("{\"a\":1} {\"a\":2}", "something follows the object at column 9"),
            ("{\"a\":\"\\ud83d\"}", "\\ud83d is a lone surrogate"),
            ("{\"a\":\"\\ude00\\ud83d\"}", "\\ude00 is a lone surrogate"),
            ("{\"a\":\"x}", "without its closing quote"),
            ("{\"a\":01}", "begins with 0"),
            ("{\"a\":tru}", "a value expected"),
            ("{a:1}", "a key in quotes"),
            ("{'a':1}", "a key in quotes"),
            ("{\"a\":1.}", "a digit expected"),
            ("{\"a\":\"\\u12g4\"}", "hexadecimal"),
            ("{\"a\"1}", ": expected"),
            ("{\"a\":[1 2]}", ", or ] expected"),
            (&deep, "nested deeper"),
        ];
        for (line, problem) in cases {
            let error = object(line).unwrap_err();
            assert!(error.contains(problem), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read(text: String, key in "k[a-z]{0,3}", number: i64) {
            let line = serde_json::json!({ &key: text, "n n": number, "l": [text, null] });
            let found = object(&line.to_string()).unwrap().members;
            let text = Value::Text(text);
            prop_assert_eq!(&found[0], &(key, text.clone()));
            prop_assert_eq!(&found[1].1, &Value::Number(number.to_string()));
            prop_assert_eq!(&found[2].1, &Value::List(vec![text, Value::Null]));
        }

        #[test]
        fn nothing_panics(line: String) {
            let _ = object(&line);
        }

        #[test]
        fn nothing_like_json_panics(line in "[{}\\[\\],:\"\\\\u0-9a-fNaIn. -]{0,40}") {
            let _ = object(&line);
        }
    }
}
