//! Numbers of things in sentences: `1 epoch`, `2 epochs`.

use std::fmt::Display;

/// A number and its noun, in the plural unless the number is 1.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let noun = plural(&number, noun);
    format!("{number} {noun}")
}

/// The verb as it follows `number`.
pub fn are<N: PartialEq + From<u8>>(number: &N) -> &'static str {
    if *number == N::from(1) { "is" } else { "are" }
}

/// The noun as it follows `number`.
pub fn plural<N: PartialEq + From<u8>>(number: &N, noun: &str) -> String {
    if *number == N::from(1) {
        return noun.to_owned();
    }
    let before = |end: char| noun.strip_suffix(end).and_then(|stem| stem.chars().next_back());
    let hissing = ["s", "x", "tch", "nch", "sh"].iter().any(|end| noun.ends_with(end));
    match noun.strip_suffix('y') {
        Some(stem) if before('y').is_some_and(|c| !"aeiou".contains(c)) => format!("{stem}ies"),
        _ if hissing => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_follow_their_number() {
        let table = [
            (0, "row", "0 rows"),
            (1, "row", "1 row"),
            (2, "epoch", "2 epochs"),
            (1, "entry", "1 entry"),
            (3, "entry", "3 entries"),
            (2, "day", "2 days"),
            (2, "training checkpoint", "2 training checkpoints"),
            (2, "class", "2 classes"),
            (2, "batch", "2 batches"),
            (2, "branch", "2 branches"),
            (2, "alias", "2 aliases"),
        ];
        for (number, noun, expected) in table {
            assert_eq!(counted(number, noun), expected);
        }
    }
}
