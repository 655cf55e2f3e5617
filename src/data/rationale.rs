//! Rationales: the passages of a text that people marked as the reason of its label, as in the
//! datasets of ERASER (DeYoung et al. 2020, <https://arxiv.org/abs/1911.03429>). A cell holds
//! passages of the row's own text, apart by `|`; an empty one says nothing.

use super::vocab::{Tokens, Vocab, words};

/// What stands between two passages of a cell.
const BETWEEN: char = '|';

/// Tokens of `text`, each with the mark 1 where it belongs to a passage of `cell`, else 0.
///
/// # Errors
/// With the first passage that does not stand in the text.
pub(crate) fn encode<'c>(
    vocab: &Vocab,
    text: &str,
    cell: &'c str,
    max: usize,
) -> Result<Tokens, &'c str> {
    let read = words(text);
    let mut marked = vec![false; read.len()];
    for passage in cell.split(BETWEEN).map(str::trim).filter(|passage| !passage.is_empty()) {
        let sought = words(passage);
        let length = sought.len();
        let mut found = false;
        for start in 0..(read.len() + 1).saturating_sub(length.max(1)) {
            if read[start..start + length] == sought {
                marked[start..start + length].fill(true);
                found = true;
            }
        }
        if !found {
            return Err(passage);
        }
    }
    Ok(vocab.encode_words(&read, max, |word| u32::from(marked[word])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "I can't sleep, and I can't sleep at night. Help!";

    fn marks(cell: &str) -> Result<Vec<u32>, &str> {
        let vocab = Vocab::learn([TEXT; 3].into_iter(), 200, 1);
        let Tokens { ids, marks, .. } = encode(&vocab, TEXT, cell, 64)?;
        assert_eq!(ids, vocab.encode(TEXT, 64));
        Ok(marks)
    }

    #[test]
    fn passages_are_marked_wherever_they_stand() {
        // [CLS] i can't sleep , and i can't sleep at night . help !
        assert_eq!(marks("").unwrap(), [0; 14]);
        assert_eq!(marks("CAN'T  sleep").unwrap(), [0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(
            marks("sleep at night. | help ||").unwrap(),
            [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0]
        );
    }

    #[test]
    fn a_passage_of_another_text_is_named() {
        assert_eq!(marks("sleep, | night and day"), Err("night and day"));
        assert_eq!(marks(&format!("{TEXT} and more")).map_err(str::len), Err(TEXT.len() + 9));
    }
}
