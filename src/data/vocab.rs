//! The vocabulary: texts are normalised, cut into words, and words into pieces (WordPiece: Schuster
//! and Nakajima, "Japanese and Korean voice search", 2012; learned by merging the most frequent
//! pair, as Sennrich et al., "Neural machine translation of rare words with subword units", 2016).
//!
//! Learning is deterministic: equal counts are decided by the pieces' numbers, and no iteration
//! runs over a hash map. The same training rows give the same `vocab.txt`, byte for byte.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::data::prepared::PAD;

/// The tokens every vocabulary starts with, in order.
pub const SPECIALS: [&str; 7] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[URL]", "[USER]"];
const UNK: u32 = 1;
const CLS: u32 = 2;
/// Longer words are unknown: they are noise, and matching them is quadratic.
const WORD_CHARS_MAX: usize = 64;

/// Pieces with their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocab {
    pieces: Vec<String>,
    ids: BTreeMap<String, u32>,
}

/// The tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Their ids.
    pub ids: Vec<u32>,
    /// What else is known of each token, such as its concept; empty where nothing is.
    pub marks: Vec<u32>,
    /// Whether the text has more tokens than fit.
    pub cut: bool,
}

/// A text that is not a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabError {
    /// The first tokens are not [`SPECIALS`].
    #[error("token {index} must be {expected}")]
    Special {
        /// Its number.
        index: usize,
        /// The special token.
        expected: &'static str,
    },
    /// A token without letters, or one that stands twice.
    #[error("line {line}: \"{token}\" is empty or occurs twice")]
    Token {
        /// From 1.
        line: usize,
        /// The token.
        token: String,
    },
}

impl Vocab {
    /// Learns at most `size` pieces from `texts`; pairs that stand together fewer than `min_count`
    /// times are not merged, and letters seen fewer times are unknown.
    pub fn learn<'a>(texts: impl Iterator<Item = &'a str>, size: u32, min_count: u32) -> Self {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for text in texts {
            for word in words(text) {
                if !SPECIALS.contains(&word.as_str()) && word.chars().count() <= WORD_CHARS_MAX {
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
        Self::from_pieces(learn_pieces(&counts, &SPECIALS, size, min_count))
    }

    fn from_pieces(pieces: Vec<String>) -> Self {
        let ids = pieces.iter().zip(0..).map(|(piece, id)| (piece.clone(), id)).collect();
        Self { pieces, ids }
    }

    /// Reads `vocab.txt`: one token per line.
    ///
    /// # Errors
    /// When the specials are not in their places or a token is empty or double.
    pub fn parse(text: &str) -> Result<Self, VocabError> {
        let pieces: Vec<String> = text.lines().map(str::to_owned).collect();
        for (index, expected) in SPECIALS.into_iter().enumerate() {
            if pieces.get(index).is_none_or(|piece| piece != expected) {
                return Err(VocabError::Special { index, expected });
            }
        }
        let mut seen = BTreeSet::new();
        for (index, token) in pieces.iter().enumerate() {
            if token.is_empty() || !seen.insert(token) {
                return Err(VocabError::Token { line: index + 1, token: token.clone() });
            }
        }
        Ok(Self::from_pieces(pieces))
    }

    /// The content of `vocab.txt`.
    pub fn to_text(&self) -> String {
        self.pieces.iter().flat_map(|piece| [piece.as_str(), "\n"]).collect()
    }

    /// How many tokens.
    pub fn len(&self) -> u32 {
        u32::try_from(self.pieces.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is no token; never true, since the specials are always there.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The token with number `id`.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.pieces.get(id as usize).map(String::as_str)
    }

    /// Token ids of `text`: `[CLS]`, then pieces, at most `max` in all.
    pub fn encode(&self, text: &str, max: usize) -> Vec<u32> {
        self.tokens(text, max).ids
    }

    /// As [`encode`](Self::encode), and whether the text was cut.
    pub fn tokens(&self, text: &str, max: usize) -> Tokens {
        self.encode_words(&words(text), max, |_| 0)
    }

    /// Tokens of words, each with the mark of its word; `[CLS]` has the mark 0.
    pub fn encode_words(
        &self,
        words: &[String],
        max: usize,
        mark: impl Fn(usize) -> u32,
    ) -> Tokens {
        let (mut ids, mut marks, max) = (vec![CLS], vec![0], max.max(1));
        let mut cut = false;
        for (place, word) in words.iter().enumerate() {
            if ids.len() >= max {
                cut = true;
                break;
            }
            self.encode_word(word, &mut ids);
            marks.resize(ids.len(), mark(place));
        }
        cut |= ids.len() > max;
        ids.truncate(max);
        marks.truncate(max);
        debug_assert!(!ids.contains(&PAD));
        Tokens { ids, marks, cut }
    }

    /// The longest known piece first; a word with an unknown letter is unknown as a whole.
    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        let start_len = ids.len();
        if let Some(id) = self.ids.get(word) {
            ids.push(*id);
            return;
        }
        let ends: Vec<usize> =
            word.char_indices().map(|(at, c)| at + c.len_utf8()).take(WORD_CHARS_MAX + 1).collect();
        let mut start = 0;
        let mut candidate = String::new();
        while start < word.len() && ends.len() <= WORD_CHARS_MAX {
            let found = ends.iter().rev().take_while(|end| **end > start).find_map(|end| {
                candidate.clear();
                candidate.push_str(if start == 0 { "" } else { "##" });
                candidate.push_str(&word[start..*end]);
                self.ids.get(candidate.as_str()).map(|id| (*id, *end))
            });
            let Some((id, end)) = found else { break };
            ids.push(id);
            start = end;
        }
        if start < word.len() {
            ids.truncate(start_len);
            ids.push(UNK);
        }
    }
}

/// Learns at most `size` pieces, `specials` first, from words and how often each stands.
pub(super) fn learn_pieces(
    counts: &BTreeMap<String, u64>,
    specials: &[&str],
    size: u32,
    min_count: u32,
) -> Vec<String> {
    let size = size as usize;
    let letters = alphabet(counts, size.saturating_sub(specials.len()) / 2, min_count);
    let mut pieces: Vec<String> = specials.iter().map(|token| (*token).to_owned()).collect();
    pieces.extend(letters);
    let mut merger = Merger::new(pieces, counts);
    while merger.pieces.len() < size && merger.merge_next(u64::from(min_count)) {}
    merger.pieces
}

/// The words of a text: lowercase; addresses and user names replaced by tokens; letters and digits
/// together (with apostrophes inside), every other sign alone.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for chunk in unescape(text).to_lowercase().split_whitespace() {
        if chunk.starts_with("http://")
            || chunk.starts_with("https://")
            || chunk.starts_with("www.")
        {
            words.push("[URL]".to_owned());
        } else {
            split_chunk(chunk, &mut words);
        }
    }
    words
}

fn split_chunk(chunk: &str, words: &mut Vec<String>) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = chunk;
    while let Some(first) = rest.chars().next() {
        if let Some(name) = rest.strip_prefix('@')
            && name.starts_with(is_word)
        {
            words.push("[USER]".to_owned());
            rest = name.trim_start_matches(is_word);
        } else if is_word(first) {
            let apostrophe = |c: char| c == '\'' || c == '\u{2019}';
            let end = rest.find(|c| !is_word(c) && !apostrophe(c)).unwrap_or(rest.len());
            let word = rest[..end].trim_end_matches(apostrophe);
            words.push(word.replace('\u{2019}', "'"));
            rest = &rest[word.len()..];
        } else {
            words.push(first.to_string());
            rest = &rest[first.len_utf8()..];
        }
    }
}

/// Replaces the character references that web text is full of: `&amp;`, `&#8220;`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest.find(';').filter(|end| *end <= 9).map(|end| &rest[1..end]);
        match reference.and_then(|name| Some((name, referenced(name)?))) {
            Some((name, c)) => {
                out.push(c);
                rest = &rest[name.len() + 2..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn referenced(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => char::from_u32(name.strip_prefix('#')?.parse().ok()?),
    }
}

/// First letters and `##` inner letters by count, then by text; at most `max`.
fn alphabet(counts: &BTreeMap<String, u64>, max: usize, min_count: u32) -> Vec<String> {
    let mut letters: BTreeMap<String, u64> = BTreeMap::new();
    for (word, count) in counts {
        for letter in split_letters(word) {
            *letters.entry(letter).or_default() += count;
        }
    }
    let mut letters: Vec<(String, u64)> = letters.into_iter().collect();
    letters.retain(|(_, count)| *count >= u64::from(min_count));
    letters.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    letters.truncate(max);
    letters.into_iter().map(|(letter, _)| letter).collect()
}

fn split_letters(word: &str) -> impl Iterator<Item = String> + '_ {
    word.chars().enumerate().map(|(i, c)| if i == 0 { c.to_string() } else { format!("##{c}") })
}

/// Words as pieces, and how often which two pieces stand together.
struct Merger {
    pieces: Vec<String>,
    words: Vec<(Vec<u32>, u64)>,
    pairs: BTreeMap<(u32, u32), u64>,
    /// Words in which a pair stands or once stood.
    places: BTreeMap<(u32, u32), BTreeSet<usize>>,
    /// Counts as they were when pushed; stale ones are dropped when popped.
    queue: BinaryHeap<(u64, Reverse<(u32, u32)>)>,
    known: BTreeSet<String>,
}

impl Merger {
    fn new(pieces: Vec<String>, counts: &BTreeMap<String, u64>) -> Self {
        let ids: BTreeMap<&str, u32> = pieces.iter().map(String::as_str).zip(0..).collect();
        // A word with an unknown letter can never be encoded, so it teaches nothing.
        let words: Vec<(Vec<u32>, u64)> = counts
            .iter()
            .filter_map(|(word, count)| {
                let ids = split_letters(word).map(|letter| ids.get(letter.as_str()).copied());
                Some((ids.collect::<Option<Vec<u32>>>()?, *count))
            })
            .collect();
        let known = pieces.iter().cloned().collect();
        let (pairs, places, queue) = (BTreeMap::new(), BTreeMap::new(), BinaryHeap::new());
        let mut merger = Self { pieces, words, pairs, places, queue, known };
        for word in 0..merger.words.len() {
            merger.count_word(word, true);
        }
        merger.queue = merger.pairs.iter().map(|(pair, count)| (*count, Reverse(*pair))).collect();
        merger
    }

    fn count_word(&mut self, word: usize, add: bool) {
        let (ids, count) = &self.words[word];
        for pair in ids.windows(2).map(|pair| (pair[0], pair[1])) {
            let total = self.pairs.entry(pair).or_default();
            if add {
                *total += count;
                self.places.entry(pair).or_default().insert(word);
            } else {
                *total -= count;
            }
        }
    }

    /// Merges the most frequent pair, the one of lower numbers among equals; `false` when none is
    /// left.
    fn merge_next(&mut self, min_count: u64) -> bool {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            if self.pairs.get(&pair) != Some(&count) {
                continue;
            }
            if count < min_count.max(1) {
                return false;
            }
            let right = &self.pieces[pair.1 as usize];
            let right = right.strip_prefix("##").unwrap_or(right);
            let piece = format!("{}{right}", self.pieces[pair.0 as usize]);
            self.merge(pair, piece);
            return true;
        }
        false
    }

    fn merge(&mut self, pair: (u32, u32), piece: String) {
        // Two ways of merging can spell one piece; it then keeps its first number.
        let id = if self.known.insert(piece.clone()) {
            self.pieces.push(piece);
            self.pieces.len() - 1
        } else {
            self.pieces.iter().position(|known| *known == piece).unwrap_or_default()
        };
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        let mut touched = BTreeSet::new();
        for word in self.places.remove(&pair).unwrap_or_default() {
            touched.extend(self.pairs_of(word));
            self.count_word(word, false);
            let ids = &mut self.words[word].0;
            let mut at = 0;
            while at + 1 < ids.len() {
                if (ids[at], ids[at + 1]) == pair {
                    ids[at] = id;
                    ids.remove(at + 1);
                }
                at += 1;
            }
            self.count_word(word, true);
            touched.extend(self.pairs_of(word));
        }
        for pair in touched {
            match self.pairs.get(&pair) {
                Some(0) | None => drop(self.pairs.remove(&pair)),
                Some(count) => self.queue.push((*count, Reverse(pair))),
            }
        }
    }

    fn pairs_of(&self, word: usize) -> Vec<(u32, u32)> {
        self.words[word].0.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_words() {
        assert_eq!(
            words("RT @May_1: Don't go!! &amp; see https://example.org/x #Yes \u{1f600}"),
            [
                "rt",
                "[USER]",
                ":",
                "don't",
                "go",
                "!",
                "!",
                "&",
                "see",
                "[URL]",
                "#",
                "yes",
                "\u{1f600}"
            ]
        );
        assert_eq!(
            words("a & b &bogus; &#8220;c&#8221;"),
            ["a", "&", "b", "&", "bogus", ";", "\u{201c}", "c", "\u{201d}"]
        );
        assert!(words(" \t").is_empty());
    }

    #[test]
    fn merges_follow_counts_and_pieces_cover_words() {
        let texts =
            ["low low low low low lower lower", "newest newest newest newest widest widest"];
        let vocab = Vocab::learn(texts.into_iter(), 60, 1);
        assert_eq!(vocab.pieces[..7], SPECIALS);
        assert!(vocab.ids.contains_key("low") && vocab.ids.contains_key("newest"));
        assert_eq!(vocab, Vocab::learn(texts.into_iter(), 60, 1));
        assert_eq!(Vocab::parse(&vocab.to_text()).unwrap(), vocab);
        let ids = vocab.encode("low wolves", 16);
        assert_eq!(vocab.token(ids[1]), Some("low"));
        assert_eq!(ids[2..], [UNK], "v was never seen");
        let pieces: String = vocab.encode("lowest", 16)[1..]
            .iter()
            .map(|id| vocab.token(*id).unwrap().trim_start_matches("##"))
            .collect();
        assert_eq!(pieces, "lowest");
        assert_eq!(vocab.encode("low low low", 2).len(), 2);
        assert_eq!(vocab.encode("", 8), [CLS]);
    }

    #[test]
    fn size_is_a_bound_and_rare_pairs_stay_apart() {
        let vocab = Vocab::learn(["abcdefgh abcdefgh"].into_iter(), 16, 2);
        assert!(vocab.len() <= 16);
        let rare = Vocab::learn(["ab ab cd"].into_iter(), 99, 2);
        assert!(rare.ids.contains_key("ab") && !rare.ids.contains_key("c"));
    }

    #[test]
    fn a_text_that_is_no_vocabulary_is_refused() {
        assert!(matches!(Vocab::parse("a\nb\n"), Err(VocabError::Special { index: 0, .. })));
        let twice = format!("{}\nx\nx\n", SPECIALS.join("\n"));
        assert!(matches!(Vocab::parse(&twice), Err(VocabError::Token { line: 9, .. })));
    }

    proptest::proptest! {
        #[test]
        fn any_text_becomes_known_tokens(learned in "[a-e ']{0,60}", text in "\\PC{0,80}") {
            let vocab = Vocab::learn([learned.as_str()].into_iter(), 40, 1);
            proptest::prop_assert_eq!(Vocab::parse(&vocab.to_text()), Ok(vocab.clone()));
            let ids = vocab.encode(&text, 20);
            proptest::prop_assert!(ids[0] == CLS && ids.len() <= 20);
            proptest::prop_assert!(ids.iter().all(|id| *id < vocab.len() && *id != PAD));
            // What was learned with every letter counted is never unknown, unless too many
            // letters had to share the places.
            if vocab.len() < 40 {
                proptest::prop_assert!(!vocab.encode(&learned, 1_000).contains(&UNK));
            }
        }
    }
}
