//! What trainers print as data: JSON objects, also with NaN and infinities, and Python's
//! dictionaries, also with scalars of NumPy, PyTorch and JAX.

use serde_json::Value;

/// Deepest nesting that is read.
const DEPTH_MAX: u32 = 32;
/// Constructors of scalars; what stands for more than a number is not among them.
const SCALARS: [&str; 27] = [
    "float",
    "float16",
    "float32",
    "float64",
    "float128",
    "bfloat16",
    "half",
    "single",
    "double",
    "longdouble",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "intc",
    "longlong",
    "tensor",
    "Tensor",
    "array",
    "Array",
    "Decimal",
    "Parameter",
];

/// A printed value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    /// A number, as it was printed.
    Number(String),
    /// NaN or an infinity, as it was printed.
    NotFinite(String),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// Nothing.
    Null,
    /// A list or tuple.
    List(Vec<Literal>),
    /// A JSON object or dictionary; a key may occur twice.
    Object(Object),
    /// An object of a program.
    Other,
}

/// Keys and values, in the order they were printed.
pub(super) type Object = Vec<(String, Literal)>;

impl Literal {
    /// The value in the types of JSON; none where there is none.
    pub(super) fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Number(text) => Value::Number(serde_json::from_str(text).ok()?),
            Self::NotFinite(_) | Self::Other => return None,
            Self::Bool(value) => Value::Bool(*value),
            Self::Text(text) => Value::String(text.clone()),
            Self::Null => Value::Null,
            Self::List(list) => list.iter().map(Self::to_json).collect::<Option<_>>()?,
            Self::Object(object) => {
                let pairs = object.iter().map(|(key, value)| Some((key.clone(), value.to_json()?)));
                Value::Object(pairs.collect::<Option<_>>()?)
            }
        })
    }
}

/// Reads an object from the start of `text`, and gives what follows it.
pub(super) fn object(text: &str) -> Option<(Object, &str)> {
    let mut parser = Parser { text, at: 0 };
    match parser.value(DEPTH_MAX)? {
        Literal::Object(object) => Some((object, &text[parser.at..])),
        _ => None,
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, takes: impl Fn(u8) -> bool) -> &str {
        let from = self.at;
        while self.peek().is_some_and(&takes) {
            self.at += 1;
        }
        &self.text[from..self.at]
    }

    fn value(&mut self, depth: u32) -> Option<Literal> {
        let deeper = depth.checked_sub(1)?;
        self.skip_blanks();
        match self.peek()? {
            b'{' => self.object(deeper),
            b'[' => self.list(b']', deeper),
            b'(' => self.list(b')', deeper),
            b'"' | b'\'' => self.string().map(Literal::Text),
            b'<' => self.skip_nested(b'<', b'>').map(|()| Literal::Other),
            b'-' | b'+' | b'.' | b'0'..=b'9' => self.number(),
            byte if byte.is_ascii_alphabetic() || byte == b'_' => self.named(deeper),
            _ => None,
        }
    }

    fn object(&mut self, depth: u32) -> Option<Literal> {
        self.at += 1;
        let mut pairs = Vec::new();
        while !self.take(b'}') {
            let (Literal::Text(key) | Literal::Number(key)) = self.value(depth)? else {
                return None;
            };
            if !self.take(b':') {
                return None;
            }
            pairs.push((key, self.value(depth)?));
            if !self.take(b',') && !matches!(self.peek(), Some(b'}')) {
                return None;
            }
        }
        Some(Literal::Object(pairs))
    }

    fn list(&mut self, end: u8, depth: u32) -> Option<Literal> {
        self.at += 1;
        let mut list = Vec::new();
        while !self.take(end) {
            list.push(self.value(depth)?);
            if !self.take(b',') && self.peek() != Some(end) {
                return None;
            }
        }
        Some(Literal::List(list))
    }

    fn number(&mut self) -> Option<Literal> {
        let text = self.word(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b)).to_owned();
        let plain = text.trim_start_matches(['+', '-']);
        if is_not_finite(plain) {
            return Some(Literal::NotFinite(text));
        }
        let is_number = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let value: f64 = text.parse().ok().filter(|_| is_number)?;
        Some(if value.is_finite() { Literal::Number(text) } else { Literal::NotFinite(text) })
    }

    /// A constant, or what a constructor gives: `np.float64(0.5)`, `tensor(0.5, device='cuda:0')`.
    fn named(&mut self, depth: u32) -> Option<Literal> {
        let name = self.word(|b| b.is_ascii_alphanumeric() || b"._".contains(&b)).to_owned();
        match (name.as_str(), self.peek()) {
            ("true" | "True", _) => Some(Literal::Bool(true)),
            ("false" | "False", _) => Some(Literal::Bool(false)),
            ("null" | "None", _) => Some(Literal::Null),
            (name, _) if is_not_finite(name) => Some(Literal::NotFinite(name.to_owned())),
            (name, Some(b'(')) => {
                let whole = self.at;
                self.at += 1;
                let scalar = name.rsplit('.').next().is_some_and(|last| SCALARS.contains(&last));
                let first = if scalar { self.value(depth) } else { None };
                self.at = whole;
                self.skip_nested(b'(', b')')?;
                Some(match first {
                    Some(Literal::Text(text)) => of_decimal(text),
                    Some(value) => value,
                    None => Literal::Other,
                })
            }
            // Such as b'…'.
            (_, Some(b'"' | b'\'')) => self.string().map(Literal::Text),
            _ => None,
        }
    }

    /// Skips from an opening bracket to its end; brackets in strings do not count.
    fn skip_nested(&mut self, open: u8, close: u8) -> Option<()> {
        let mut depth = 0_u32;
        loop {
            match self.peek()? {
                b'"' | b'\'' => drop(self.string()?),
                byte => {
                    self.at += 1;
                    depth += u32::from(byte == open);
                    depth -= u32::from(byte == close);
                    if depth == 0 {
                        return Some(());
                    }
                }
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.peek()?;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                _ if byte == quote => return Some(String::from_utf8_lossy(&text).into_owned()),
                b'\\' => {
                    let mut buffer = [0; 4];
                    text.extend(self.escape()?.encode_utf8(&mut buffer).bytes());
                }
                _ => text.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let letter = self.text[self.at..].chars().next()?;
        self.at += letter.len_utf8();
        Some(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'x' => char::from_u32(self.hex(2)?)?,
            'U' => char::from_u32(self.hex(8)?)?,
            'u' => {
                let first = self.hex(4)?;
                let is_high = (0xd800..0xdc00).contains(&first);
                match self.text[self.at..].strip_prefix("\\u") {
                    Some(_) if is_high => {
                        self.at += 2;
                        let second = self.hex(4)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)?
                    }
                    _ => char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
                }
            }
            other => other,
        })
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.text.get(self.at..self.at + digits)?;
        self.at += digits;
        u32::from_str_radix(text, 16).ok()
    }
}

fn is_not_finite(word: &str) -> bool {
    ["nan", "inf", "infinity"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// `Decimal('0.5')`.
fn of_decimal(text: String) -> Literal {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Literal::Number(text),
        Ok(_) => Literal::NotFinite(text),
        Err(_) => Literal::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<Literal> {
        let whole = format!("{{\"a\": {text}}}");
        let (mut object, rest) = object(&whole)?;
        assert_eq!(rest, "");
        object.pop().map(|(_, value)| value)
    }

    #[test]
    fn values_of_json_and_of_python_are_read_alike() {
        let number = |text: &str| Some(Literal::Number(text.into()));
        for text in ["0", "-1.5", "2e-05", "1E+3", "12345678901234567890", "5e-324", ".5", "1."] {
            assert_eq!(one(text), number(text), "{text}");
        }
        for text in ["NaN", "nan", "-Infinity", "inf", "-inf", "1e400", "-1e999"] {
            assert_eq!(one(text), Some(Literal::NotFinite(text.into())), "{text}");
        }
        for (text, value) in [
            ("np.float64(0.25)", "0.25"),
            ("numpy.int64(3)", "3"),
            ("tensor(0.5000, device='cuda:0', grad_fn=<NllLossBackward0>)", "0.5000"),
            ("array(0.5, dtype=float32)", "0.5"),
            ("Array(1.5, dtype=float32, weak_type=True)", "1.5"),
            ("Decimal('0.75')", "0.75"),
        ] {
            assert_eq!(one(text), number(value), "{text}");
        }
        assert_eq!(one("np.float32(nan)"), Some(Literal::NotFinite("nan".into())));
        for text in ["datetime.datetime(2026, 1, 2)", "<tf.Tensor: shape=(), numpy=1>", "f(1)"] {
            assert_eq!(one(text), Some(Literal::Other), "{text}");
        }
        for (text, value) in [("true", true), ("True", true), ("False", false)] {
            assert_eq!(one(text), Some(Literal::Bool(value)));
        }
        assert_eq!(one("None"), Some(Literal::Null));
        assert_eq!(one("(1,)"), Some(Literal::List(vec![Literal::Number("1".into())])));
        for (text, value) in [
            (r#""\u00dcber \ud83c\udfaf""#, "Über 🎯"),
            (r"'it\'s \x41'", "it's A"),
            (r#""a'b""#, "a'b"),
            (r#"'"'"#, "\""),
        ] {
            assert_eq!(one(text), Some(Literal::Text(value.into())), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_none_however_it_is_cut_or_nested() {
        let whole = r#"{'a': [1, {"b": np.float64(2.5)}], "c": "\u00e4", 'd': (True, None)}"#;
        assert!(object(whole).is_some());
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            assert_eq!(object(&whole[..end]), None, "{end}");
        }
        for text in ["", "1", "[1]", "{1, 2}", "{'a'}", "{a: 1}", "{'a': 1 'b': 2}", "{'a': x}"] {
            assert_eq!(object(text), None, "{text}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(object(&deep), None);
        assert_eq!(object("{\"a\": 1} x").map(|(_, rest)| rest), Some(" x"));
    }
}
