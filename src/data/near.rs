//! Texts that are nearly the same: MinHash to find pairs (Broder, "On the resemblance and
//! containment of documents", 1997; one hash a row and banding after Li and König), then the exact
//! share of common five-letter pieces.

use super::vocab::words;
use crate::base::Split;
use crate::stats::random::mix;

/// Share of common pieces from which two texts count as nearly the same.
pub(super) const NEAR: f64 = 0.8;
/// Letters of a piece.
const PIECE: usize = 5;
const HASHES: usize = 64;
const BAND: usize = 4;
/// No piece.
const NONE: u32 = u32::MAX;
/// Training rows a row is compared with in one bucket, at most.
const COMPARED: usize = 32;

/// A validation or test row and a training row like it. Rows count from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NearDuplicate {
    /// The row of validation or test.
    pub(crate) row: u32,
    /// Its split.
    pub(crate) split: Split,
    /// The training row.
    pub(crate) train_row: u32,
    /// Pieces that both have, of those that either has.
    pub(crate) similarity: f64,
}

/// The rows outside `train` that nearly repeat a training text: each once, with the row most like
/// it of those compared. Rows of which `is_exact` are left out: they are known already.
pub(crate) fn find(
    texts: &[&str],
    splits: &[Split],
    is_exact: impl Fn(u32, u32) -> bool,
) -> Vec<NearDuplicate> {
    let signatures: Vec<[u32; HASHES]> = texts.iter().map(|text| signature(text)).collect();
    let mut best: Vec<Option<NearDuplicate>> = vec![None; texts.len()];
    let mut keyed: Vec<(u64, bool, u32)> = Vec::with_capacity(texts.len());
    for band in 0..HASHES / BAND {
        let part = band * BAND..(band + 1) * BAND;
        keyed.clear();
        for (row, signature) in (0_u32..).zip(&signatures) {
            // An empty text is like no other.
            if signature[0] != NONE {
                let is_asked = splits[row as usize] != Split::Train;
                let key = signature[part.clone()].iter().map(|hash| u64::from(*hash));
                keyed.push((key.fold(0, |key, hash| mix(&[key, hash])), is_asked, row));
            }
        }
        keyed.sort_unstable();
        for bucket in keyed.chunk_by(|a, b| a.0 == b.0) {
            let (train, asked) = bucket.split_at(bucket.partition_point(|entry| !entry.1));
            for (.., row) in asked {
                for (.., train_row) in train.iter().take(COMPARED) {
                    let known = &mut best[*row as usize];
                    let is_known = known.is_some_and(|k| k.train_row == *train_row);
                    if is_known || is_exact(*row, *train_row) {
                        continue;
                    }
                    let similarity = alike(texts[*row as usize], texts[*train_row as usize]);
                    if similarity >= known.map_or(NEAR, |k| k.similarity) {
                        let split = splits[*row as usize];
                        let train_row = *train_row;
                        *known = Some(NearDuplicate { row: *row, split, train_row, similarity });
                    }
                }
            }
        }
    }
    best.into_iter().flatten().collect()
}

/// The hashes of a text's pieces, each once, in order.
fn pieces(text: &str) -> Vec<u64> {
    let letters: Vec<u64> = words(text).join(" ").chars().map(u64::from).collect();
    let mut pieces: Vec<u64> = if letters.len() < PIECE {
        (!letters.is_empty()).then(|| mix(&letters)).into_iter().collect()
    } else {
        letters.windows(PIECE).map(mix).collect()
    };
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

fn alike(a: &str, b: &str) -> f64 {
    let (a, b) = (pieces(a), pieces(b));
    let common = a.iter().filter(|piece| b.binary_search(piece).is_ok()).count();
    common as f64 / (a.len() + b.len() - common).max(1) as f64
}

/// The smallest piece of each of 64 classes of pieces; a class without one takes that of the next.
fn signature(text: &str) -> [u32; HASHES] {
    let mut smallest = [NONE; HASHES];
    for piece in pieces(text) {
        let class = &mut smallest[(piece % HASHES as u64) as usize];
        *class = (*class).min((piece >> 32) as u32);
    }
    let mut whole = smallest;
    for (class, value) in whole.iter_mut().enumerate() {
        let next = (0..HASHES).map(|step| (step, smallest[(class + step) % HASHES]));
        if let Some((step, found)) = next.into_iter().find(|(_, found)| *found != NONE) {
            *value = found.wrapping_add(step as u32);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "The patient says that she has slept badly for three weeks and \
                        worries a lot about work, money and her family.";

    fn split_of(texts: &[(&str, Split)]) -> Vec<NearDuplicate> {
        let (texts, splits): (Vec<&str>, Vec<Split>) = texts.iter().copied().unzip();
        find(&texts, &splits, |a, b| texts[a as usize] == texts[b as usize])
    }

    #[test]
    fn a_changed_word_is_found_and_another_text_is_not() {
        let edited = LONG.replace("three", "four");
        let shouted = LONG.to_uppercase().replace(',', " !");
        let found = split_of(&[
            (LONG, Split::Train),
            (&edited, Split::Test),
            (&shouted, Split::Valid),
            ("He runs every morning and feels well.", Split::Test),
            (LONG, Split::Test),
            ("", Split::Train),
            ("", Split::Test),
        ]);
        let rows: Vec<(u32, Split, u32)> =
            found.iter().map(|near| (near.row, near.split, near.train_row)).collect();
        assert_eq!(rows, [(1, Split::Test, 0), (2, Split::Valid, 0)]);
        assert!(found[0].similarity < 1.0 && found[0].similarity > 0.85, "{found:?}");
        assert!(found[1].similarity > 0.9, "{found:?}");
    }

    /// What is found among random edits is what comparing every pair finds.
    #[test]
    fn few_pairs_are_missed() {
        let mut random = crate::stats::random::Stream::new(&[3]);
        let word = |n: usize| format!("{}{}", ["sun", "rain", "wind", "snow"][n % 4], n / 4);
        let mut texts: Vec<Vec<String>> = Vec::new();
        for _ in 0..150 {
            let text: Vec<String> = (0..30).map(|_| word(random.below(400))).collect();
            let mut edited = text.clone();
            for _ in 0..1 + random.below(6) {
                let at = random.below(30);
                edited[at] = word(random.below(400));
            }
            texts.extend([text, edited]);
        }
        let texts: Vec<String> = texts.into_iter().map(|words| words.join(" ")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let splits: Vec<Split> =
            (0..300).map(|row| if row % 2 == 0 { Split::Train } else { Split::Test }).collect();
        let found = find(&texts, &splits, |_, _| false);
        let near = |row: usize| (0..300).step_by(2).any(|t| alike(texts[row], texts[t]) >= NEAR);
        let all = (1..300).step_by(2).filter(|row| near(*row)).count();
        assert!(found.iter().all(|pair| near(pair.row as usize)));
        assert!(all > 30 && found.len() * 100 >= all * 98, "{} of {all}", found.len());
    }
}
