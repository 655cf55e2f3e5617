//! The concepts of a model, and how they are found in a text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::LexiconError;
use super::read::{self, HEADER, Term};
use super::source::Source;
use crate::base::Digest;
use crate::data::vocab::{Tokens, Vocab, words};

/// A thing that can be said in several ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concept {
    /// As the lexicon numbers it.
    pub id: String,
    /// Its first name.
    pub preferred: String,
    /// Parted by `;`; empty where the lexicon does not tell.
    pub types: String,
    /// What else it is called, in order of words.
    pub synonyms: BTreeSet<String>,
}

/// Concepts numbered from 1; 0 stands for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concepts {
    concepts: Vec<Concept>,
    terms: Terms,
}

/// What a lexicon came to on the training rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The concepts found often enough, in order of ids.
    pub concepts: Concepts,
    /// Terms of the lexicon that passed the filters.
    pub terms: u64,
    /// Terms that stand for more than one concept and were given to the first.
    pub ambiguous: u64,
    /// Digest of the whole lexicon.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
}

/// Finds the concepts of `source` that stand at least `min_count` times in `texts`. A term of
/// several concepts belongs to one of which it is the preferred name, else to the lowest id.
///
/// # Errors
/// When the lexicon cannot be read, a line of it is wrong, or nothing of it stands in the texts.
pub fn learn<'a>(
    source: &Source,
    texts: impl Iterator<Item = &'a str>,
    min_count: u32,
) -> Result<Learned, LexiconError> {
    let texts: Vec<Vec<String>> = texts.map(words).collect();
    let known: BTreeSet<&str> = texts.iter().flatten().map(String::as_str).collect();
    let (mut candidates, mut terms) = (Candidates::default(), 0);
    source.scan(&mut |term| {
        terms += 1;
        let words = words(term.text);
        if !words.is_empty() && words.iter().all(|word| known.contains(word.as_str())) {
            candidates.add(words.join(" "), term);
        }
    })?;
    let ambiguous = candidates.ambiguous;
    let found = candidates.number();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for text in &texts {
        for (number, _) in found.terms.find(text) {
            let concept = &found.concepts[number as usize - 1];
            *counts.entry(concept.id.as_str()).or_default() += 1;
        }
    }
    let kept: BTreeSet<&str> =
        counts.into_iter().filter(|(_, n)| *n >= min_count).map(|(id, _)| id).collect();
    if kept.is_empty() {
        return Err(LexiconError::Nothing { path: source.path().to_owned(), terms });
    }
    let mut all = Candidates::default();
    source.scan(&mut |term| {
        let words = words(term.text);
        if kept.contains(term.concept) && !words.is_empty() {
            all.add(words.join(" "), term);
        }
    })?;
    let (digest, bytes) = source.digest()?;
    Ok(Learned { ambiguous, terms, concepts: all.number(), digest, bytes })
}

impl Learned {
    /// The concepts as a lexicon, which says of which larger one it is a part. That one is not
    /// copied: it may be licensed to nobody but its user.
    pub fn to_text(&self) -> String {
        let Self { concepts, digest, bytes, .. } = self;
        format!("# Part of a lexicon of {bytes} bytes, blake3 {digest}\n{}", concepts.to_text())
    }
}

impl Concepts {
    /// Reads back what [`to_text`](Self::to_text) wrote; `path` is for messages.
    ///
    /// # Errors
    /// When a line is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LexiconError> {
        let mut candidates = Candidates::default();
        read::table(&mut text.as_bytes(), path, &mut |term| {
            candidates.add(words(term.text).join(" "), term);
        })?;
        Ok(candidates.number())
    }

    /// The concepts as a lexicon.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for Concept { id, preferred, types, synonyms } in &self.concepts {
            let synonyms: Vec<&str> = synonyms.iter().map(String::as_str).collect();
            text += &format!("{id}\t{preferred}\t{types}\t{}\n", synonyms.join("|"));
        }
        text
    }

    /// How many.
    pub fn len(&self) -> u32 {
        u32::try_from(self.concepts.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.concepts.is_empty()
    }

    /// The concepts, in order of numbers.
    pub fn all(&self) -> &[Concept] {
        &self.concepts
    }

    /// Tokens of a text and the concept of each, cut at `max` tokens.
    pub fn encode(&self, vocab: &Vocab, text: &str, max: usize) -> Tokens {
        let words = words(text);
        let of_words = self.of_words(&words);
        vocab.encode_words(&words, max, |word| of_words[word])
    }

    /// The number of each word's concept; 0 where it has none. The longest term wins, then the one
    /// that begins first.
    pub fn of_words(&self, words: &[String]) -> Vec<u32> {
        let mut numbers = vec![0; words.len()];
        for (number, place) in self.terms.find(words) {
            numbers[place].fill(number);
        }
        numbers
    }
}

/// Terms as words, with the number of their concept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Terms {
    numbers: BTreeMap<String, u32>,
    /// Words of the longest term.
    longest: usize,
}

impl Terms {
    /// The terms of a text from left to right, the longest at each place, none inside another.
    fn find(&self, words: &[String]) -> Vec<(u32, std::ops::Range<usize>)> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at < words.len() {
            let longest = self.longest.min(words.len() - at);
            let here = (1..=longest).rev().find_map(|len| {
                let number = self.numbers.get(&words[at..at + len].join(" "))?;
                Some((*number, at..at + len))
            });
            at = here.as_ref().map_or(at + 1, |(_, place)| place.end);
            found.extend(here);
        }
        found
    }
}

/// Terms while a lexicon is read.
#[derive(Default)]
struct Candidates {
    /// The words of each term, whether it is not the preferred name of its concept, and that
    /// concept: the smallest pair wins.
    by_term: BTreeMap<String, (bool, String)>,
    concepts: BTreeMap<String, Concept>,
    ambiguous: u64,
}

impl Candidates {
    fn add(&mut self, words: String, term: &Term<'_>) {
        let concept = self.concepts.entry(term.concept.to_owned()).or_default();
        if concept.id.is_empty() {
            concept.id = term.concept.to_owned();
            concept.types = term.types.to_owned();
        }
        if term.preferred || concept.preferred.is_empty() {
            let before = std::mem::replace(&mut concept.preferred, words.clone());
            concept.synonyms.extend(Some(before).filter(|before| !before.is_empty()));
        } else {
            concept.synonyms.insert(words.clone());
        }
        let rank = (!term.preferred, term.concept.to_owned());
        match self.by_term.get_mut(&words) {
            Some(known) => {
                self.ambiguous += u64::from(known.1 != rank.1);
                *known = rank.min(known.clone());
            }
            None => {
                self.by_term.insert(words, rank);
            }
        }
    }

    /// The concepts with numbers, in order of ids, each with the terms that are its own; one whose
    /// terms all went to others is left out.
    fn number(self) -> Concepts {
        let (mut concepts, mut terms) = (Vec::new(), Terms::default());
        for mut concept in self.concepts.into_values() {
            let own = |term: &String| {
                self.by_term.get(term).is_some_and(|(_, owner)| *owner == concept.id)
            };
            let others = concept.synonyms.iter().filter(|term| **term != concept.preferred);
            let mut names: Vec<String> = Some(&concept.preferred)
                .into_iter()
                .chain(others)
                .filter(|term| own(term))
                .cloned()
                .collect();
            if names.is_empty() {
                continue;
            }
            let number = u32::try_from(concepts.len() + 1).unwrap_or(u32::MAX);
            for term in &names {
                terms.longest = terms.longest.max(term.split(' ').count());
                terms.numbers.insert(term.clone(), number);
            }
            concept.preferred = names.remove(0);
            concept.synonyms = names.into_iter().collect();
            concepts.push(concept);
        }
        Concepts { concepts, terms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::durable;
    use crate::data::lexicon::LexiconConfig;

    fn plain() -> LexiconConfig {
        LexiconConfig {
            file: String::new(),
            types_file: String::new(),
            semantic_types: Vec::new(),
            expand_synonyms: true,
            embeddings: true,
        }
    }

    struct Files(tempfile::TempDir);

    impl Files {
        fn new(files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            for (name, text) in files {
                durable::write(&root.path().join(name), text.as_bytes()).unwrap();
            }
            Self(root)
        }

        fn learn(
            &self,
            change: impl Fn(&mut LexiconConfig),
            texts: &[&str],
        ) -> Result<Learned, String> {
            let mut config = plain();
            change(&mut config);
            for file in [&mut config.file, &mut config.types_file] {
                if file.contains('.') {
                    *file = self.0.path().join(&file).display().to_string();
                }
            }
            let place = format!("{}/", self.0.path().display());
            Source::new(&config)
                .and_then(|source| learn(&source, texts.iter().copied(), 1))
                .map_err(|error| error.to_string().replace(&place, ""))
        }
    }

    const TABLE: &str = "# ours\nconcept\tpreferred\tsemantic_types\tsynonyms\n\
        B2\tlow mood\tSymptom\tsadness|mood\n\
        B1\tdepressive disorder\tDisorder;Disease\tdepression|Low-Mood disorder\n\
        B3\tpanic\tSymptom\tmood\n";

    fn numbers(learned: &Learned, text: &str) -> Vec<u32> {
        learned.concepts.of_words(&words(text))
    }

    #[test]
    fn the_longest_term_wins_and_synonyms_share_a_concept() {
        let files = Files::new(&[("x.tsv", TABLE)]);
        let texts = ["Low mood, no depression", "panic"];
        let found = files.learn(|config| config.file = "x.tsv".into(), &texts).unwrap();
        let ids: Vec<&str> = found.concepts.all().iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["B1", "B2", "B3"], "numbered by id");
        assert_eq!(numbers(&found, "Low mood, no depression"), [2, 2, 0, 0, 1]);
        // "sadness" stands in no training row, but its concept does.
        assert_eq!(numbers(&found, "sadness and low-mood disorder"), [2, 0, 1, 1, 1, 1]);
        // "mood" is a synonym of two: the lower id has it.
        assert_eq!(numbers(&found, "mood low"), [2, 0]);
        assert_eq!((found.terms, found.ambiguous), (8, 1));
        let text = found.to_text();
        let digest = Digest::of(TABLE.as_bytes()).to_string();
        assert!(text.lines().next().unwrap().ends_with(&digest), "{text}");
        let back = Concepts::parse(&text, Path::new("concepts.tsv")).unwrap();
        assert_eq!(back.of_words(&words("sadness mood panic")), [2, 2, 3]);
        assert_eq!(back, found.concepts);
        let file = files.0.path().join("x.tsv").display().to_string();
        let source = LexiconConfig { file, ..plain() };
        let texts = ["panic", "panic", "depression"];
        let rare = learn(&Source::new(&source).unwrap(), texts.into_iter(), 2);
        assert_eq!(rare.unwrap().concepts.len(), 1, "the others are too rare");
    }

    #[test]
    fn every_piece_of_a_term_has_its_concept() {
        let files = Files::new(&[("x.tsv", TABLE)]);
        let found = files.learn(|config| config.file = "x.tsv".into(), &["low mood"]).unwrap();
        let vocab = Vocab::learn(["low low mo od mood"].into_iter(), 40, 1);
        let Tokens { ids, marks: concepts, .. } =
            found.concepts.encode(&vocab, "no low mood, low", 9);
        assert_eq!(ids, vocab.encode("no low mood, low", 9));
        let pieces: Vec<(&str, u32)> =
            ids.iter().zip(&concepts).map(|(id, c)| (vocab.token(*id).unwrap(), *c)).collect();
        let words: Vec<u32> = pieces.iter().map(|(_, concept)| *concept).collect();
        let first = pieces.iter().position(|(piece, _)| *piece == "low").unwrap();
        let comma = pieces.iter().rposition(|(piece, _)| *piece == "[UNK]").unwrap();
        assert!(words[first..comma].iter().all(|concept| *concept == 1), "{pieces:?}");
        assert!(words[..first].iter().chain(&words[comma..]).all(|concept| *concept == 0));
        assert_eq!(found.concepts.encode(&vocab, "no low mood, low", 2).marks.len(), 2);
    }

    #[test]
    fn types_and_synonyms_are_chosen() {
        let files = Files::new(&[("x.tsv", TABLE)]);
        let texts = ["low mood depression depressive disorder panic"];
        let learn = |types: &[&str], expand| {
            let set = |config: &mut LexiconConfig| {
                config.file = "x.tsv".into();
                config.semantic_types = types.iter().map(|t| (*t).to_owned()).collect();
                config.expand_synonyms = expand;
            };
            files.learn(set, &texts)
        };
        assert_eq!(learn(&["Disease"], true).unwrap().concepts.len(), 1);
        let preferred = learn(&[], false).unwrap();
        assert_eq!(numbers(&preferred, "depression low mood"), [0, 2, 2]);
        let nothing = learn(&["Food"], true).unwrap_err();
        assert_eq!(
            nothing,
            "of the lexicon x.tsv, 0 terms pass the filters and none occurs in the training rows"
        );
    }

    #[test]
    fn the_umls_is_read_by_its_columns() {
        let name = |concept: &str, place: &str, preferred: &str, text: &str, suppress: &str| {
            let source = "A1||M1|D1|MSH|MH|D1";
            format!("{concept}|{place}|L1|PF|S1|{preferred}|{source}|{text}|0|{suppress}|256|\n")
        };
        let names = [
            name("C0011570", "ENG|P", "Y", "Mental Depression", "N"),
            name("C0011570", "ENG|S", "N", "Depressed mood", "N"),
            name("C0011570", "SPA|P", "Y", "panic", "N"),
            name("C0030318", "ENG|P", "Y", "Panic", "N"),
            name("C0030318", "ENG|S", "N", "fright", "O"),
        ]
        .concat();
        let types = "C0011570|T048|B2.2.1.2.1.1|Mental or Behavioral Dysfunction|AT1|256|\n\
                     C0030318|T041|B2.2.1.1.1|Mental Process|AT2|256|\n";
        let files = Files::new(&[("MRCONSO.RRF", &names), ("MRSTY.RRF", types)]);
        let texts = ["depressed mood and panic, fright"];
        let all = files.learn(|config| config.file = "MRCONSO.RRF".into(), &texts).unwrap();
        assert_eq!(numbers(&all, texts[0]), [1, 1, 0, 2, 0, 0]);
        assert_eq!(all.concepts.all()[0].preferred, "mental depression");
        for wanted in ["T048", "Mental or Behavioral Dysfunction"] {
            let set = |config: &mut LexiconConfig| {
                config.file = "MRCONSO.RRF".into();
                config.types_file = "MRSTY.RRF".into();
                config.semantic_types = vec![wanted.to_owned()];
            };
            assert_eq!(numbers(&files.learn(set, &texts).unwrap(), texts[0]), [1, 1, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn wrong_lines_are_named() {
        let header = "concept\tpreferred\tsemantic_types\tsynonyms\n";
        let said = |name: &str, text: &str| {
            let files = Files::new(&[(name, text)]);
            files.learn(|config| config.file = name.into(), &["x"]).unwrap_err()
        };
        assert_eq!(
            said("x.tsv", &format!("{header}A\tb\n")),
            "x.tsv:2: 4 fields between tabs expected, found 2"
        );
        assert_eq!(
            said("x.tsv", &format!("# y\n{header}A\tb\t\t\nA\tc\t\t\n")),
            "x.tsv:4: concept A stands twice"
        );
        assert_eq!(
            said("x.tsv", &format!("{header}A\t\t\t\n")),
            "x.tsv:2: a concept and its preferred name expected"
        );
        let quoted = said("x.tsv", &format!("{header}A\t\"b\"\t\t\n"));
        assert!(quoted.starts_with("x.tsv:2: \"b\": fields are not quoted"), "{quoted}");
        assert!(said("x.tsv", "A\tb\t\t\n").starts_with("x.tsv:1: a first line with the columns"));
        assert!(said("y.RRF", "C0000001|ENG\n").starts_with("y.RRF:1: 18 fields between bars"));
        let line = format!("D0000001{}\n", "|".repeat(18));
        assert!(said("y.RRF", &line).contains("\"D0000001\" is not a concept number"));
        let files = Files::new(&[]);
        let lexicon = |name: &str| files.learn(|config| config.file = name.into(), &["x"]);
        assert!(lexicon("clinicle").unwrap_err().contains("there is no lexicon \"clinicle\""));
        assert_eq!(lexicon("none.tsv").unwrap_err(), "cannot read the lexicon none.tsv");
    }

    #[test]
    fn the_lexicon_of_annals_is_whole() {
        let files = Files::new(&[]);
        let text = ["reports suicidal thoughts, low mood and PTSD; has no energy and chronic pain"];
        let found = files.learn(|config| config.file = "clinical".into(), &text).unwrap();
        assert_eq!(found.ambiguous, 0);
        assert!(found.terms > 500, "{}", found.terms);
        let names: Vec<&str> = found.concepts.all().iter().map(|c| c.preferred.as_str()).collect();
        assert_eq!(
            names,
            ["post traumatic stress disorder", "suicidal ideation", "low mood", "fatigue", "pain"]
        );
    }
}
