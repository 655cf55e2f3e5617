//! Series: runs of one question. Their names have the same stem, or they were made from the same
//! configuration and the same data.

use std::collections::BTreeMap;

use crate::domain::run::words;

/// The words of a name without what tells one run of a series from the next: versions (`v2`,
/// `v1.3`), dates, times of a date, seeds. A name of nothing else is its own stem.
pub fn stem(name: &str) -> String {
    let words = words(name);
    let mut kept: Vec<&str> = Vec::new();
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        let skipped = individual(word, after);
        if skipped == 0 {
            kept.push(word);
        }
        rest = rest.get(skipped.max(1)..).unwrap_or_default();
    }
    if kept.is_empty() { words.join("_") } else { kept.join("_") }
}

/// How many words from `word` on tell one run from another; 0 where `word` belongs to the stem.
fn individual(word: &str, after: &[String]) -> usize {
    let number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let long = |index: usize, length: usize| {
        after.get(index).is_some_and(|word| number(word) && word.len() == length)
    };
    let numbered = |prefix: &str| word.strip_prefix(prefix).is_some_and(number);
    if numbered("v") {
        return 1 + after.iter().take_while(|word| number(word) && word.len() <= 4).count();
    }
    if numbered("seed") {
        return 1;
    }
    if word == "seed" && after.first().is_some_and(|word| number(word)) {
        return 2;
    }
    let year =
        number(word) && word.len() == 4 && (word.starts_with("19") || word.starts_with("20"));
    let date = match (number(word), word.len()) {
        (true, 8) => 1,
        _ if year && long(0, 2) && long(1, 2) => 3,
        _ => return 0,
    };
    date + usize::from(long(date - 1, 6))
}

/// What runs of one configuration have in common; none where nothing is known of it.
pub type ConfigKey = Option<[u8; 32]>;

/// The series of each of `runs`, which are stem and configuration, oldest first: all its stems,
/// oldest first, so that no run stands under the name of another alone.
pub fn series(runs: &[(String, ConfigKey)]) -> Vec<String> {
    // Each stem points at one that is as old or older.
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    let mut stems: Vec<&str> = Vec::new();
    let mut older: Vec<usize> = Vec::new();
    let mut configs: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    let root = |older: &[usize], mut at: usize| {
        while older[at] != at {
            at = older[at];
        }
        at
    };
    for (stem, config) in runs {
        let at = *index.entry(stem).or_insert_with(|| {
            stems.push(stem);
            older.push(older.len());
            older.len() - 1
        });
        if let Some(config) = config {
            let other = *configs.entry(*config).or_insert(at);
            let (a, b) = (root(&older, at), root(&older, other));
            older[a.max(b)] = a.min(b);
        }
    }
    let mut names: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (at, stem) in stems.iter().enumerate() {
        names.entry(root(&older, at)).or_default().push(stem);
    }
    let of = |(stem, _): &(String, ConfigKey)| {
        let at = index.get(stem.as_str()).copied().unwrap_or_default();
        names.get(&root(&older, at)).map_or_else(String::new, |stems| stems.join(" + "))
    };
    runs.iter().map(of).collect()
}
