//! Finds the values that are secrets, line by line, and writes `***` in their place.

use super::is_secret_name;
use super::names::Strength;
use super::{names, shapes};

pub(super) const MASK: &str = "***";

/// Values that are no secret whatever their name: types, and the absence of a value.
const PLAIN: [&str; 14] = [
    "str", "String", "string", "bytes", "int", "bool", "None", "null", "nil", "true", "false",
    "True", "False", "~",
];
/// Words before the secret itself in an `Authorization` header.
const SCHEMES: [&str; 6] = ["bearer", "basic", "token", "digest", "negotiate", "apikey"];
/// Code that reads a secret from elsewhere.
const ELSEWHERE: [&str; 4] = ["environ", "getenv", "getpass", "Optional["];

/// Masks secrets in the words of a command line.
pub fn mask_words(words: &[String]) -> Vec<String> {
    let mut masked = Vec::with_capacity(words.len());
    let mut name: Option<&str> = None;
    for word in words {
        let value_of = name.take().filter(|_| !word.starts_with("--"));
        masked.push(match value_of {
            Some("-u" | "--user") if word.contains(':') => user_and_password(word),
            Some("-u" | "--user") | None => mask_text(word),
            Some(_) if PLAIN.contains(&word.as_str()) => word.clone(),
            Some(_) => MASK.to_owned(),
        });
        let flag = word.starts_with('-') && !word.contains(['=', ' ', ':']);
        let user = word == "-u" || word == "--user";
        name = (flag && (user || is_secret_name(word))).then_some(word.as_str());
    }
    masked
}

/// Masks secrets in a text of any number of lines.
pub fn mask_text(text: &str) -> String {
    let mut masker = Masker::default();
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        masked.push_str(&masker.line(line));
    }
    masked
}

/// Masks the value, JSON text, of a setting.
pub fn mask_setting(name: &str, value: &str) -> String {
    let empty = ["", "\"\"", "null", "true", "false", "[]", "{}"].contains(&value);
    if empty || !is_secret_name(name) {
        return mask_text(value);
    }
    format!("\"{MASK}\"")
}

/// What goes on from one line to the next.
#[derive(Debug)]
enum Block {
    /// A private key, until its last line.
    PrivateKey,
    /// Lines that are indented deeper than the name of a secret.
    Indented(usize),
    /// A list or a map of secrets, with this many brackets open.
    Brackets(u32),
    /// A text in three quotes.
    Quotes(&'static str),
}

/// Masks lines one after another.
#[derive(Debug, Default)]
pub struct Masker {
    block: Option<Block>,
}

impl Masker {
    /// The line without its secrets, with its line break.
    pub fn line(&mut self, line: &str) -> String {
        let text = line.trim_end_matches(['\n', '\r']);
        let ending = &line[text.len()..];
        let masked = match self.block.take() {
            None => self.plain(text),
            Some(block) => self.inside(block, text),
        };
        masked + ending
    }

    /// Masks bytes that are one line; other encodings than UTF-8 are kept as far as they are text.
    pub fn bytes(&mut self, line: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(line) {
            Ok(text) => self.line(text).into_bytes(),
            Err(_) => self.line(&String::from_utf8_lossy(line)).into_bytes(),
        }
    }

    fn inside(&mut self, block: Block, line: &str) -> String {
        match block {
            Block::PrivateKey => match line.find("-----END") {
                Some(at) => MASK.to_owned() + &line[at..],
                None => {
                    self.block = Some(block);
                    MASK.to_owned()
                }
            },
            Block::Quotes(quotes) => match line.find(quotes) {
                Some(at) => MASK.to_owned() + &self.plain(&line[at..]),
                None => {
                    self.block = Some(block);
                    MASK.to_owned()
                }
            },
            Block::Indented(above) => {
                if line.trim_start_matches(['+', '-']).trim().is_empty() {
                    self.block = Some(block);
                    return line.to_owned();
                }
                // A list may be as far to the left as its name.
                let item = line.trim_start_matches(['+', ' ', '\t']).starts_with("- ");
                if indent(line) < above || indent(line) == above && !item {
                    return self.plain(line);
                }
                self.block = Some(block);
                values_masked(line)
            }
            Block::Brackets(open) => {
                let (closed, open) = closing(line, open);
                if open > 0 {
                    self.block = Some(Block::Brackets(open));
                    return values_masked(line);
                }
                let (before, after) = line.split_at(closed);
                let masked = if before.trim_matches(BRACKETS_AND_SPACE).is_empty() {
                    before.to_owned()
                } else {
                    values_masked(before)
                };
                masked + &self.plain(after)
            }
        }
    }

    fn plain(&mut self, line: &str) -> String {
        // Most lines have nothing that a secret needs.
        if !line.bytes().any(|b| matches!(b, b'=' | b':' | b'-' | b'_' | b'.' | b' '))
            && line.len() < shapes::SHORTEST
        {
            return line.to_owned();
        }
        let mut masked = String::with_capacity(line.len());
        let (mut at, mut word_before) = (0, false);
        while at < line.len() {
            let rest = &line[at..];
            if let Some(header) = shapes::private_key_header(rest) {
                masked.push_str(&rest[..header]);
                masked.push_str(MASK);
                let Some(end) = rest[header..].find("-----END") else {
                    self.block = Some(Block::PrivateKey);
                    return masked;
                };
                masked.push_str("-----END");
                at += header + end + "-----END".len();
                continue;
            }
            if !word_before {
                if let Some(length) = shapes::token(rest) {
                    masked.push_str(MASK);
                    at += length;
                    word_before = true;
                    continue;
                }
                let name = name_at(rest);
                if !name.is_empty() {
                    masked.push_str(name);
                    at += name.len();
                    at += self.after_name(line, at, name, &mut masked);
                    word_before = true;
                    continue;
                }
            }
            if let Some(length) = shapes::address(rest, &mut masked) {
                at += length;
                word_before = false;
                continue;
            }
            let Some(c) = rest.chars().next() else { break };
            masked.push(c);
            at += c.len_utf8();
            word_before = is_name_char(c);
        }
        masked
    }

    /// Masks what follows a name that ends at `at`; how many bytes of the line that took.
    fn after_name(&mut self, line: &str, at: usize, name: &str, masked: &mut String) -> usize {
        let start = at - name.len();
        let rest = &line[at..];
        let in_address = line[..start].ends_with(['?', '&']);
        let strength = names::strength(name).or_else(|| {
            (in_address && names::is_secret_in_address(name)).then_some(Strength::Certain)
        });
        if let Some(length) = words_after(line, name, strength.is_some(), rest, masked) {
            return length;
        }
        let Some(strength) = strength else { return 0 };
        let Some(separator) = Separator::after(rest) else { return 0 };
        masked.push_str(&rest[..separator.length]);
        let value = &rest[separator.length..];
        let place = Assignment {
            first: is_first(&line[..start]),
            separator,
            strength,
            indent: indent(line),
        };
        separator.length + self.value(value, place, masked)
    }

    /// Masks a value; how many bytes of it were taken.
    fn value(&mut self, value: &str, place: Assignment, masked: &mut String) -> usize {
        let trimmed = value.trim_end();
        let block = trimmed.starts_with(['|', '>']) && trimmed.len() <= 3;
        if place.first && place.separator.colon && (trimmed.is_empty() || block) {
            self.block = Some(Block::Indented(place.indent));
            masked.push_str(value);
            return value.len();
        }
        for quotes in ["\"\"\"", "'''"] {
            if let Some(inner) = value.strip_prefix(quotes) {
                masked.push_str(quotes);
                masked.push_str(MASK);
                return match inner.find(quotes) {
                    Some(end) => quotes.len() + end,
                    None => {
                        self.block = Some(Block::Quotes(quotes));
                        value.len()
                    }
                };
            }
        }
        if let Some((open, inner)) = quoted(value) {
            masked.push_str(open);
            if !inner.is_empty() {
                masked.push_str(MASK);
            }
            return open.len() + inner.len();
        }
        if place.strength == Strength::Quoted && !value.starts_with('(') {
            return 0;
        }
        if value.starts_with(['[', '{', '(']) {
            let (end, open) = closing(value, 0);
            if open == 0 {
                let inner = &value[1..end - 1];
                masked.push_str(&value[..1]);
                masked.push_str(if inner.trim().is_empty() { inner } else { MASK });
                masked.push_str(&value[end - 1..end]);
                return end;
            }
            masked.push_str(&value[..1]);
            if !value[1..].trim().is_empty() {
                masked.push_str(MASK);
            }
            self.block = Some(Block::Brackets(open));
            return value.len();
        }
        unquoted(value, place, masked)
    }
}

#[derive(Clone, Copy)]
struct Assignment {
    /// Whether the name is the first word of its line.
    first: bool,
    separator: Separator,
    strength: Strength,
    indent: usize,
}

/// What is between a name and its value.
#[derive(Clone, Copy)]
struct Separator {
    length: usize,
    colon: bool,
    /// `name = value`, as in code and in settings.
    spaced: bool,
}

impl Separator {
    fn after(rest: &str) -> Option<Self> {
        // The end of a quoted name, escaped or not, and of a subscript.
        let closed = rest.trim_start_matches('\\');
        let closed = closed.strip_prefix(['"', '\'', '`']).unwrap_or(rest);
        let closed = closed.strip_prefix([']', '>']).unwrap_or(closed);
        let open = closed.trim_start_matches([' ', '\t']);
        let spaced = open.len() < closed.len();
        let signs = ["=>", ":=", "==", "!=", "=", ":"];
        let Some(sign) = signs.into_iter().find(|sign| open.starts_with(sign)) else {
            // An element of XML.
            let element = rest.starts_with('>');
            return element.then_some(Self { length: 1, colon: false, spaced: false });
        };
        let value = &open[sign.len()..];
        if sign == ":" && (value.starts_with(':') || value.starts_with("//")) {
            return None;
        }
        let value = value.trim_start_matches([' ', '\t']);
        Some(Self { length: rest.len() - value.len(), colon: sign == ":", spaced })
    }
}

/// `--token X`, `-u name:X`, `Bearer X`, and `password X` in a line of `.netrc`.
fn words_after(
    line: &str,
    name: &str,
    secret: bool,
    rest: &str,
    masked: &mut String,
) -> Option<usize> {
    let word = rest.trim_start_matches([' ', '\t']);
    let spaces = rest.len() - word.len();
    if spaces == 0 || word.is_empty() || word.starts_with("--") || word.starts_with(['=', ':']) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let netrc = lower == "password" && line.contains("login ");
    let flag = name.starts_with('-') && secret;
    let length = word_length(word);
    let value = &word[..length];
    let new = if flag || netrc || lower == "bearer" && length >= 8 {
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        quote.map_or_else(|| MASK.to_owned(), |quote| format!("{quote}{MASK}{quote}"))
    } else if (name == "-u" || name == "--user") && value.contains(':') {
        user_and_password(value)
    } else {
        return None;
    };
    masked.push_str(&rest[..spaces]);
    masked.push_str(&new);
    Some(spaces + length)
}

/// Bytes of the first word, with its quotes.
fn word_length(text: &str) -> usize {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote.and_then(|quote| text[1..].find(quote)) {
        Some(end) => end + 2,
        None => text.find(ends_value).unwrap_or(text.len()),
    }
}

fn user_and_password(word: &str) -> String {
    let (user, _) = word.split_once(':').unwrap_or((word, ""));
    format!("{user}:{MASK}")
}

fn unquoted(value: &str, place: Assignment, masked: &mut String) -> usize {
    let word = &value[..value.find(ends_value).unwrap_or(value.len())];
    let code = ELSEWHERE.iter().any(|elsewhere| value.contains(elsewhere))
        || place.strength == Strength::Weak && place.separator.spaced && is_code(value);
    let number = place.strength == Strength::Weak
        && word.len() < 6
        && word.bytes().all(|b| b.is_ascii_digit());
    if word.is_empty() && !place.first || PLAIN.contains(&word) || code || number {
        return 0;
    }
    if SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
        let after = &value[word.len()..];
        let secret = after.trim_start_matches(' ');
        let length = secret.find(ends_value).unwrap_or(secret.len());
        if length > 0 {
            let before = value.len() - secret.len();
            masked.push_str(&value[..before]);
            masked.push_str(MASK);
            return before + length;
        }
    }
    // A line of settings is a name and its value; elsewhere a value is a word.
    let line = place.first && (place.separator.colon || place.separator.spaced);
    let length = match line {
        true => value.trim_end().trim_end_matches([',', ';']).len(),
        false => word.len(),
    };
    if length > 0 {
        masked.push_str(MASK);
    }
    length
}

/// Whether an unquoted value is an expression, as in `token = tokens[i]`.
fn is_code(value: &str) -> bool {
    let word = value.trim_end().trim_end_matches([',', ';']);
    let name = |c: char| c.is_ascii_lowercase() || c == '_';
    word.contains(['(', '[']) || word.split(['.', ' ']).all(|part| part.chars().all(name))
}

fn ends_value(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, ',' | ';' | '&' | ')' | ']' | '}' | '|' | '"' | '\'' | '`' | '<')
}

/// The opening quote of a value, with what is before it, and what is inside.
fn quoted(value: &str) -> Option<(&str, &str)> {
    let prefix = value.len() - value.trim_start_matches(['r', 'b', 'f', 'u']).len();
    let prefix = if prefix <= 2 { prefix } else { 0 };
    let escaped = value[prefix..].len() - value[prefix..].trim_start_matches('\\').len();
    let quote = value[prefix + escaped..].chars().next()?;
    if !matches!(quote, '"' | '\'' | '`') {
        return None;
    }
    let open = prefix + escaped + 1;
    let inner = &value[open..];
    let mut backslashes = 0;
    for (at, c) in inner.char_indices() {
        if c == quote && backslashes == escaped {
            return Some((&value[..open], &inner[..at - escaped]));
        }
        // Those that escape a quote of a deeper level come in pairs and one more.
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
    }
    Some((&value[..open], inner))
}

const BRACKETS_AND_SPACE: [char; 10] = ['[', ']', '{', '}', '(', ')', ' ', '\t', ',', '+'];

/// Where all brackets are closed, and how many are open at the end.
fn closing(text: &str, open: u32) -> (usize, u32) {
    let mut open = open;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' | '(' => open += 1,
            ']' | '}' | ')' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return (at + 1, 0);
                }
            }
            _ => {}
        }
    }
    (text.len(), open)
}

/// A line inside a list or map of secrets: what is before a value stays.
fn values_masked(line: &str) -> String {
    let content = line.trim_start_matches([' ', '\t', '+', '-', '[', '{']);
    if content.trim_end_matches(BRACKETS_AND_SPACE).is_empty() {
        return line.to_owned();
    }
    let start = line.len() - content.len();
    let name = content.find(':').filter(|at| {
        let name = content[..*at].trim_matches(['"', '\'']);
        !name.is_empty() && name.chars().all(is_name_char)
    });
    let kept = name.map_or(start, |at| start + at + 1);
    let space = if name.is_some() { " " } else { "" };
    format!("{}{space}{MASK}", &line[..kept])
}

/// Columns before the first word; the mark of a difference is a column.
fn indent(line: &str) -> usize {
    let marked = line.strip_prefix(['+', '-', ' ']).unwrap_or(line);
    let before = line.len() - marked.len();
    before + marked.len() - marked.trim_start_matches([' ', '\t']).len()
}

/// Whether nothing but marks and words such as `export` is before a name.
fn is_first(before: &str) -> bool {
    let words = before.trim_matches([' ', '\t', '+', '-', '"', '\'', '#', '\\']);
    ["", "export", "set", "ENV", "ARG", "local", "const", "let", "var", "setx"].contains(&words)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

fn name_at(text: &str) -> &str {
    let name = &text[..text.find(|c| !is_name_char(c)).unwrap_or(text.len())];
    // The first line of a key may follow a letter, as in `\n-----BEGIN`.
    &name[..name.find("-----").unwrap_or(name.len())]
}
