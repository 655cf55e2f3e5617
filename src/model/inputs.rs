//! What an architecture makes of rows, and the rows it generates to be tried out with.

use super::config::TrainConfig;
use super::error::ModelError;
use crate::data::lexicon::{self, Concepts, Learned};
use crate::data::prepared::Inputs;
use crate::data::vocab::{SPECIALS, Tokens, Vocab};
use crate::data::{DataError, Row, actigraphy, rationale, sample};

/// The rows of a dataset that are trained on or scored.
#[derive(Clone, Copy, Debug)]
pub struct RowsToPrepare<'a> {
    /// All of them.
    pub rows: &'a [&'a Row],
    /// Their numbers in the dataset.
    pub numbers: &'a [u32],
    /// The training rows among them.
    pub train: &'a [&'a Row],
    /// The labels, in class order.
    pub labels: &'a [String],
    /// Whether a row may have any number of labels.
    pub multi_label: bool,
}

impl<'a> RowsToPrepare<'a> {
    /// The texts of the training rows.
    pub fn train_texts(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.train.iter().map(|row| row.text.as_str())
    }
}

/// Rows as a model takes them, and what was learned from the training rows to make them.
#[derive(Clone, Debug, Default)]
pub struct ModelInputs {
    /// The rows.
    pub inputs: Inputs,
    /// What the model needs to take other rows: files by name, written beside the settings.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// The tokens, where attention can be shown by token.
    pub vocab: Option<Vocab>,
    /// The concepts of the lexicon in the training rows, where there is a lexicon.
    pub lexicon: Option<Learned>,
    /// The concept or mark of each token; empty where there are none.
    pub concepts: Vec<u32>,
    /// The numbers of the rows whose text is longer than the model takes.
    pub cut: Vec<u32>,
}

impl ModelInputs {
    /// Tokens of a vocabulary learned from the training rows, with the concepts of a lexicon or the
    /// marks of rationales where the settings have them. A vocabulary without words is refused
    /// where `needs_words`.
    ///
    /// # Errors
    /// When nothing is frequent enough, or the lexicon or a rationale cannot be used.
    pub fn of_tokens(
        rows: &RowsToPrepare<'_>,
        config: &TrainConfig,
        needs_words: bool,
    ) -> Result<Self, ModelError> {
        let texts = rows.train_texts();
        let vocab = Vocab::learn(texts.clone(), config.model.vocab_size, config.data.min_count);
        if needs_words && vocab.len() as usize <= SPECIALS.len() {
            return Err(rare_words(config));
        }
        let mut found = None;
        if config.lexicon.is_on() {
            let source = lexicon::Source::new(&config.lexicon)?;
            found = Some(lexicon::learn(&source, texts, config.data.min_count)?);
        }
        let mut inputs = Inputs::tokens(vocab.len());
        let (mut concepts, mut cut) = (Vec::new(), Vec::new());
        let max = config.model.max_seq_length as usize;
        let column = &config.attention.rationale_column;
        for (row, number) in rows.rows.iter().zip(rows.numbers) {
            let tokens = if let Some(Learned { concepts: known, .. }) = &found {
                known.encode(&vocab, &row.text, max)
            } else if let Some(cell) = row.extra.last().filter(|_| !column.is_empty()) {
                let wrong = |passage: &str| DataError::Rationale {
                    row: *number,
                    column: column.clone(),
                    passage: passage.to_owned(),
                };
                rationale::encode(&vocab, &row.text, cell, max).map_err(wrong)?
            } else {
                Tokens { marks: Vec::new(), ..vocab.tokens(&row.text, max) }
            };
            inputs.push_tokens(&tokens.ids);
            concepts.extend(tokens.marks);
            cut.extend(tokens.cut.then_some(*number));
        }
        let mut files = vec![("vocab.txt", vocab.to_text().into_bytes())];
        files.extend(found.iter().map(|found| ("concepts.tsv", found.to_text().into_bytes())));
        Ok(Self { inputs, files, vocab: Some(vocab), lexicon: found, concepts, cut })
    }

    /// How many concepts the lexicon has.
    pub fn concept_count(&self) -> Option<u32> {
        self.lexicon.as_ref().map(|found| Concepts::len(&found.concepts))
    }
}

/// That nothing in the training texts is frequent enough for a vocabulary.
pub(super) fn rare_words(config: &TrainConfig) -> ModelError {
    let count = config.data.min_count;
    let problem = format!("no token occurs {count} times in the training texts (data.min_count)");
    DataError::NoWords { problem }.into()
}

/// Generated rows, as the files they are read from.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Files by name, in the order in which they are written; the last is the one that is read.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// What generated them, with its version.
    pub generator: &'static str,
    /// What one row is, for people.
    pub what: &'static str,
}

impl Generated {
    /// Notes, from the parts in `data/sample/notes.toml`.
    pub fn notes(rows: usize, seed: u64) -> Self {
        let notes = sample::to_csv(&sample::generate(rows, seed));
        Self {
            files: vec![("sample_data.csv", notes)],
            generator: "annals sample notes 2",
            what: "notes",
        }
    }

    /// Series of `length` minutes of activity.
    pub fn series(rows: usize, length: u32, seed: u64) -> Self {
        let (counts, labels) = actigraphy::to_files(&actigraphy::generate(rows, length, seed));
        Self {
            files: vec![("sample_data.labels.csv", labels), ("sample_data.npy", counts)],
            generator: "annals sample actigraphy 1",
            what: "weeks",
        }
    }
}
