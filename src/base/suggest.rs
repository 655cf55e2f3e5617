//! The nearest known word, for error messages.

/// The candidate most like `word`, if one is close enough to be a slip of the finger.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.chars().count().min(word.chars().count()) / 3
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(
            super::nearest("baslin_small", ["large_model", "baseline_small"]),
            Some("baseline_small")
        );
        assert_eq!(super::nearest("xyz", ["large_model", "baseline_small"]), None);
    }
}
