//! TF-IDF as scikit-learn's `TfidfVectorizer` defines it with its default settings and n-grams:
//! lower case, tokens of two and more letters, digits or underscores, raw counts times
//! `ln((1 + rows) / (1 + rows with the term)) + 1`, rows of length 1.
//!
//! Terms are nodes of a tree: a node is its first words followed by one more. That finds all
//! n-grams of a text with one look-up each and without putting a single one together.

#![expect(clippy::disallowed_types, reason = "looked up only: nothing depends on their order")]

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use unicode_general_category::{GeneralCategory as Category, get_general_category};

use super::sparse::Sparse;

/// Not a term.
const NONE: u32 = u32::MAX;

/// What turns texts into rows.
#[derive(Clone, Debug)]
pub struct Vectorizer {
    /// The terms, in the order of their columns: ascending.
    pub terms: Vec<String>,
    /// The weight of each.
    pub idf: Vec<f64>,
    /// Words of the longest term.
    pub ngram_max: usize,
    tree: Tree,
    /// The column of each node, [`NONE`] for beginnings that are no term.
    columns: Vec<u32>,
}

/// Numbers are hashed by one multiplication: nobody outside chooses them.
#[derive(Clone, Copy, Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

/// Words, and the nodes made of them.
#[derive(Clone, Debug, Default)]
struct Tree {
    words: HashMap<Box<str>, u32>,
    /// By parent (0 for the root, else node + 1) and word.
    nodes: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    /// Parent and word of each node, to spell it.
    spelled: Vec<(u32, u32)>,
}

impl Tree {
    fn word(&mut self, word: &str) -> u32 {
        if let Some(known) = self.words.get(word) {
            return *known;
        }
        let next = count(self.words.len());
        self.words.insert(word.into(), next);
        next
    }

    fn key(parent: u32, word: u32) -> u64 {
        u64::from(parent) << 32 | u64::from(word)
    }

    fn grow(&mut self, parent: u32, word: u32) -> u32 {
        let next = count(self.spelled.len());
        let node = *self.nodes.entry(Self::key(parent, word)).or_insert(next);
        if node == next {
            self.spelled.push((parent, word));
        }
        node
    }

    fn find(&self, parent: u32, word: u32) -> Option<u32> {
        self.nodes.get(&Self::key(parent, word)).copied()
    }

    fn spell(&self, words: &[&str], mut node: u32) -> String {
        let mut parts = Vec::new();
        loop {
            let (parent, word) = self.spelled[node as usize];
            parts.push(words[word as usize]);
            match parent.checked_sub(1) {
                Some(before) => node = before,
                None => break,
            }
        }
        parts.reverse();
        parts.join(" ")
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("BUG: more than four billion terms")
}

/// Whether `c` is part of a word to Python's `\w`: letters, numbers and the underscore. Other than
/// `char::is_alphanumeric` it leaves out marks, such as the vowel signs of Devanagari, and symbols.
fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    matches!(
        get_general_category(c),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter
            | Category::DecimalNumber
            | Category::LetterNumber
            | Category::OtherNumber
    )
}

/// Hands out the words of a text, in lower case, longer than one character.
fn words(text: &str, lower: &mut String, mut each: impl FnMut(&str)) {
    lower.clear();
    if text.is_ascii() {
        lower.extend(text.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
    } else {
        lower.push_str(&text.to_lowercase());
    }
    for word in lower.split(|c| !is_word(c)) {
        // One byte is one character; other single characters are rare enough to be counted.
        if word.len() > 1 && (word.is_ascii() || word.chars().nth(1).is_some()) {
            each(word);
        }
    }
}

/// Whether a text holds a term.
pub(crate) fn has_word(text: &str) -> bool {
    let mut found = false;
    words(text, &mut String::new(), |_| found = true);
    found
}

impl Vectorizer {
    /// Learns the `features_max` most frequent terms of up to `ngram_max` words, on a tie those
    /// that come first in order, and gives the rows of `texts`.
    pub fn fit(texts: &[&str], features_max: usize, ngram_max: usize) -> (Self, Sparse) {
        let mut tree = Tree::default();
        let (mut lower, mut ids) = (String::new(), Vec::new());
        // All nodes of all texts, one text after the other.
        let (mut found, mut ends) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in texts {
            ids.clear();
            words(text, &mut lower, |word| ids.push(tree.word(word)));
            for start in 0..ids.len() {
                let mut parent = 0;
                for word in ids[start..].iter().take(ngram_max) {
                    let node = tree.grow(parent, *word);
                    found.push(node);
                    parent = node + 1;
                }
            }
            ends.push(found.len());
        }
        let terms = most_frequent(&tree, &found, features_max);
        let mut fitted = Self::new(terms, vec![], ngram_max);
        let columns = fitted.columns_of(&tree);
        let (mut rows_with, mut last) =
            (vec![0_u32; fitted.terms.len()], vec![0; fitted.terms.len()]);
        let mut start = 0;
        for (row, end) in (1_usize..).zip(&ends) {
            for node in &found[start..*end] {
                let column = columns[*node as usize] as usize;
                if column < last.len() && last[column] != row {
                    last[column] = row;
                    rows_with[column] += 1;
                }
            }
            start = *end;
        }
        let rows = texts.len() as f64;
        let idf = |with: &u32| ((1.0 + rows) / (1.0 + f64::from(*with))).ln() + 1.0;
        fitted.idf = rows_with.iter().map(idf).collect();
        let mut matrix = Sparse::new(fitted.terms.len());
        let (mut start, mut row) = (0, Vec::new());
        for end in ends {
            row.clear();
            let column = |node: &u32| columns[*node as usize];
            row.extend(found[start..end].iter().map(column).filter(|column| *column != NONE));
            matrix.push(fitted.weigh(&mut row));
            start = end;
        }
        (fitted, matrix)
    }

    /// A vectorizer of known terms (ascending) and weights.
    pub fn new(terms: Vec<String>, idf: Vec<f64>, ngram_max: usize) -> Self {
        let mut tree = Tree::default();
        let mut columns = Vec::new();
        for (column, term) in (0_u32..).zip(&terms) {
            let (mut parent, mut node) = (0, NONE);
            for word in term.split(' ') {
                let word = tree.word(word);
                node = tree.grow(parent, word);
                parent = node + 1;
            }
            columns.resize(tree.spelled.len(), NONE);
            columns[node as usize] = column;
        }
        Self { terms, idf, ngram_max, tree, columns }
    }

    /// The column of each node of another tree.
    fn columns_of(&self, other: &Tree) -> Vec<u32> {
        let words: BTreeMap<u32, u32> = other
            .words
            .iter()
            .filter_map(|(word, theirs)| Some((*theirs, *self.tree.words.get(word)?)))
            .collect();
        // A parent always stands before its children.
        let mut ours: Vec<Option<u32>> = Vec::with_capacity(other.spelled.len());
        for (parent, word) in &other.spelled {
            let parent = match parent.checked_sub(1) {
                None => Some(0),
                Some(before) => ours[before as usize].map(|node| node + 1),
            };
            let node = parent.zip(words.get(word)).and_then(|(p, w)| self.tree.find(p, *w));
            ours.push(node);
        }
        ours.into_iter().map(|node| node.map_or(NONE, |node| self.columns[node as usize])).collect()
    }

    /// The row of one text: columns ascending, of length 1, or empty when no term occurs.
    pub fn row(&self, text: &str) -> Vec<(u32, f64)> {
        let (mut ids, mut columns) = (Vec::with_capacity(64), Vec::with_capacity(64));
        words(text, &mut String::with_capacity(text.len()), |word| {
            ids.push(self.tree.words.get(word).copied());
        });
        for start in 0..ids.len() {
            let mut parent = 0;
            for word in ids[start..].iter().take(self.ngram_max) {
                let Some(node) = word.and_then(|word| self.tree.find(parent, word)) else { break };
                let column = self.columns[node as usize];
                if column != NONE {
                    columns.push(column);
                }
                parent = node + 1;
            }
        }
        self.weigh(&mut columns)
    }

    /// Counts, weighs and scales to length 1.
    fn weigh(&self, columns: &mut Vec<u32>) -> Vec<(u32, f64)> {
        columns.sort_unstable();
        let mut row: Vec<(u32, f64)> = Vec::with_capacity(columns.len());
        for column in columns.drain(..) {
            match row.last_mut() {
                Some((last, times)) if *last == column => *times += 1.0,
                _ => row.push((column, 1.0)),
            }
        }
        let mut squares = 0.0;
        for (column, value) in &mut row {
            *value *= self.idf[*column as usize];
            squares += *value * *value;
        }
        let length = f64::sqrt(squares);
        row.iter_mut().for_each(|(_, value)| *value /= length);
        row
    }
}

/// The terms to keep, ascending.
fn most_frequent(tree: &Tree, found: &[u32], features_max: usize) -> Vec<String> {
    let mut times = vec![0_u32; tree.spelled.len()];
    found.iter().for_each(|node| times[*node as usize] += 1);
    let mut words = vec![""; tree.words.len()];
    tree.words.iter().for_each(|(word, id)| words[*id as usize] = word);
    let all = 0..count(times.len());
    let mut kept: Vec<String> = if times.len() <= features_max {
        all.map(|node| tree.spell(&words, node)).collect()
    } else {
        let mut order = times.clone();
        // The count of the last term that is kept.
        let (_, border, _) = order.select_nth_unstable_by(features_max - 1, |a, b| b.cmp(a));
        let border = *border;
        let above = all.clone().filter(|node| times[*node as usize] > border);
        let mut kept: Vec<String> = above.map(|node| tree.spell(&words, node)).collect();
        let at = all.filter(|node| times[*node as usize] == border);
        let mut tied: Vec<String> = at.map(|node| tree.spell(&words, node)).collect();
        tied.sort_unstable();
        tied.truncate(features_max - kept.len());
        kept.extend(tied);
        kept
    };
    kept.sort_unstable();
    kept
}
