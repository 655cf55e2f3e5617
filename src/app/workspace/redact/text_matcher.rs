//! The texts that go, in every form in which they are written down, and digests that change with
//! the files they name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use aho_corasick::{AhoCorasick, MatchKind};

use crate::app::{Error, ErrorKind, Result};
use crate::base::{Digest, FileDigests, Sha256Digest};
use crate::domain::REDACTED;

/// Shorter texts stand in too many others by chance: they go only where they are a field.
const TEXT_BYTES_MIN: usize = 4;

/// Digests of files that have other bytes, before and after.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Renamed {
    pub(super) blake3: BTreeMap<Digest, Digest>,
    pub(super) sha256: BTreeMap<Sha256Digest, Sha256Digest>,
}

impl Renamed {
    pub(super) fn insert(&mut self, old: FileDigests, new: FileDigests) {
        self.blake3.insert(old.blake3, new.blake3);
        self.sha256.insert(old.sha256, new.sha256);
    }
}

/// Looks for texts and digests, and puts others in their place.
pub(super) struct TextMatcher {
    texts: BTreeSet<String>,
    /// Sizes of files that have new bytes, by the digest of those.
    sizes: BTreeMap<Digest, u64>,
    patterns: Vec<(Vec<u8>, Form)>,
    /// Finds whether there is any, also in a stream.
    any: AhoCorasick,
    /// Finds the longest at each place.
    longest: AhoCorasick,
}

#[derive(Clone)]
enum Form {
    Text,
    /// What stands there instead.
    Digest(Vec<u8>),
}

/// What stands in the place of a text in an event.
pub(super) fn placeholder(position: u64) -> String {
    format!("{REDACTED}{position}]")
}

/// Whether a text is a placeholder already.
pub(super) fn is_placeholder(text: &str) -> bool {
    let inner = text.strip_prefix(REDACTED).and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|digits| digits.parse::<u64>().is_ok())
}

impl TextMatcher {
    pub(super) fn new(texts: &BTreeSet<String>, renamed: &Renamed) -> Result<Self> {
        let mut patterns: BTreeMap<Vec<u8>, Form> = BTreeMap::new();
        for text in texts.iter().filter(|text| text.trim().len() >= TEXT_BYTES_MIN) {
            patterns.extend(forms(text).into_iter().map(|form| (form, Form::Text)));
        }
        let blake3 = renamed.blake3.iter().map(|(old, new)| (*old, *new));
        // Both are 32 bytes, written alike.
        let sha256 = renamed.sha256.iter().map(|(old, new)| (Digest(old.0), Digest(new.0)));
        for (old, new) in blake3.chain(sha256) {
            patterns.insert(old.0.to_vec(), Form::Digest(new.0.to_vec()));
            let hex = Form::Digest(new.to_string().into_bytes());
            patterns.insert(old.to_string().into_bytes(), hex);
        }
        let patterns: Vec<(Vec<u8>, Form)> = patterns.into_iter().collect();
        let build = |kind| {
            let built =
                AhoCorasick::builder().match_kind(kind).build(patterns.iter().map(|p| &p.0));
            built.map_err(|e| Error::new(ErrorKind::Usage, format!("too many texts: {e}")))
        };
        let (any, longest) = (build(MatchKind::Standard)?, build(MatchKind::LeftmostLongest)?);
        Ok(Self { texts: texts.clone(), sizes: BTreeMap::new(), patterns, any, longest })
    }

    /// With the sizes of files, for events that name them.
    pub(super) fn with_sizes(self, sizes: BTreeMap<Digest, u64>) -> Self {
        Self { sizes, ..self }
    }

    /// The size of a file with new bytes.
    pub(super) fn size_of(&self, digest: Digest) -> Option<u64> {
        self.sizes.get(&digest).copied()
    }

    /// Whether any of them stands in `bytes`.
    pub(super) fn occurs_in(&self, bytes: &[u8]) -> bool {
        self.any.is_match(bytes)
    }

    /// Whether any of them stands in what `read` gives.
    pub(super) fn occurs_in_stream(&self, read: impl Read) -> io::Result<bool> {
        Ok(self.any.stream_find_iter(read).next().transpose()?.is_some())
    }

    /// Whether one of the texts stands in `bytes`.
    pub(super) fn text_in(&self, bytes: &[u8]) -> bool {
        let mut found = self.longest.find_iter(bytes);
        found.any(|at| matches!(self.patterns[at.pattern().as_usize()].1, Form::Text))
    }

    /// The text of a field without what goes; none where nothing does.
    pub(super) fn in_field(&self, text: &str, placeholder: &str) -> Option<String> {
        if self.texts.contains(text) {
            return Some(placeholder.to_owned());
        }
        if !self.text_in(text.as_bytes()) {
            return None;
        }
        let masked = self.replaced(text.as_bytes(), |_| placeholder.as_bytes().to_vec());
        Some(String::from_utf8_lossy(&masked).into_owned())
    }

    /// Bytes with other digests in the places of the old ones; texts stay.
    pub(super) fn with_digests(&self, bytes: &[u8]) -> Vec<u8> {
        self.replaced(bytes, <[u8]>::to_vec)
    }

    /// The bytes of a file without the texts, as long as before: what counts bytes in it stays
    /// right, and letters need no escape in any format.
    pub(super) fn in_file(&self, bytes: &[u8], position: u64) -> Vec<u8> {
        let said = format!("redacted at {position} ");
        self.replaced(bytes, |text| {
            let said = if said.len() <= text.len() { said.as_bytes() } else { b"" };
            [said, &vec![b'x'; text.len() - said.len()]].concat()
        })
    }

    fn replaced(&self, bytes: &[u8], instead: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut masked = Vec::with_capacity(bytes.len());
        self.longest.replace_all_with_bytes(bytes, &mut masked, |at, found, out| {
            match &self.patterns[at.pattern().as_usize()].1 {
                Form::Text => out.extend(instead(found)),
                Form::Digest(new) => out.extend(new),
            }
            true
        });
        masked
    }
}

/// A text as it is, inside JSON, inside JSON inside JSON, and inside HTML.
fn forms(text: &str) -> BTreeSet<Vec<u8>> {
    let json = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quoted = html.replace('"', "&quot;");
    let apostrophes = [quoted.replace('\'', "&#39;"), quoted.replace('\'', "&#x27;")];
    let all = [text.to_owned(), json(text), json(&json(text)), html, quoted];
    all.into_iter().chain(apostrophes).map(String::into_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(texts: &[&str]) -> TextMatcher {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        TextMatcher::new(&texts, &Renamed::default()).unwrap()
    }

    #[test]
    fn a_text_goes_in_every_form_and_short_ones_only_as_fields() {
        let matcher = matcher(&["Anna <\"K\">", "ok"]);
        let at = |text: &str| matcher.in_field(text, "[redacted at 7]");
        assert_eq!(at("Anna <\"K\">").as_deref(), Some("[redacted at 7]"));
        assert_eq!(at("of Anna <\"K\">.").as_deref(), Some("of [redacted at 7]."));
        assert_eq!(at("ok").as_deref(), Some("[redacted at 7]"));
        assert_eq!(at("okay"), None);
        for file in [r#"{"a":"Anna <\"K\">"}"#, "<p>Anna &lt;&quot;K&quot;&gt;</p>"] {
            let masked = matcher.in_file(file.as_bytes(), 7);
            assert_eq!(masked.len(), file.len());
            assert!(!masked.windows(4).any(|at| at == b"Anna"), "{file}");
        }
        assert!(is_placeholder("[redacted at 7]") && !is_placeholder("[redacted at x]"));
    }

    #[test]
    fn digests_change_in_both_forms_and_keep_their_length() {
        let (old, new) = (FileDigests::of(b"old"), FileDigests::of(b"new"));
        let mut renamed = Renamed::default();
        renamed.insert(old, new);
        let matcher = TextMatcher::new(&BTreeSet::new(), &renamed).unwrap();
        let text = |of: FileDigests| {
            let (blake3, sha256) = (of.blake3.to_string(), of.sha256.to_string());
            [&of.blake3.0[..], b" ", &of.sha256.0, blake3.as_bytes(), sha256.as_bytes()].concat()
        };
        let (bytes, wanted) = (text(old), text(new));
        assert!(matcher.occurs_in(&bytes) && !matcher.text_in(&bytes));
        assert_eq!(matcher.with_digests(&bytes), wanted);
    }
}
