//! Which lexicon, and what of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::read::{self, Term};
use super::{LexiconConfig, LexiconError};
use crate::base::Digest;

/// Lexicons that come with annals.
const BUILTIN: [(&str, &str); 1] =
    [("clinical", include_str!("../../../data/lexicon/clinical.tsv"))];

/// A lexicon and what of it is wanted.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    builtin: Option<&'static str>,
    types_file: Option<PathBuf>,
    semantic_types: Vec<String>,
    expand_synonyms: bool,
}

impl Source {
    /// What `config` names.
    ///
    /// # Errors
    /// When a name without an ending is no lexicon of annals.
    pub fn new(config: &LexiconConfig) -> Result<Self, LexiconError> {
        let builtin = BUILTIN.iter().find(|(name, _)| *name == config.file).map(|(_, text)| *text);
        if builtin.is_none() && !config.names_a_file() {
            let known = BUILTIN.map(|(name, _)| name).join(", ");
            return Err(LexiconError::Unknown { name: config.file.clone(), known });
        }
        let types = &config.types_file;
        Ok(Self {
            path: PathBuf::from(&config.file),
            builtin,
            types_file: (!types.is_empty()).then(|| PathBuf::from(types)),
            semantic_types: config.semantic_types.clone(),
            expand_synonyms: config.expand_synonyms,
        })
    }

    /// The file, or the name of a lexicon of annals.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest and size of the lexicon as it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self) -> Result<(Digest, u64), LexiconError> {
        match self.builtin {
            Some(text) => Ok((Digest::of(text.as_bytes()), text.len() as u64)),
            None => File::open(&self.path)
                .and_then(|mut file| Digest::of_reader(&mut file))
                .map_err(|source| LexiconError::Io { path: self.path.clone(), source }),
        }
    }

    /// Gives `visit` every term that is wanted, in file order.
    pub(super) fn scan(&self, visit: &mut dyn FnMut(&Term<'_>)) -> Result<(), LexiconError> {
        let is_rrf = is_rrf(&self.path);
        let allowed = match &self.types_file {
            Some(path) if is_rrf => Some(self.concepts_of_types(path)?),
            _ => None,
        };
        let mut wanted = |term: &Term<'_>| {
            let of_type = match &allowed {
                Some(concepts) => concepts.contains(term.concept),
                None => self.is_wanted(term.types),
            };
            if of_type && (term.preferred || self.expand_synonyms) {
                visit(term);
            }
        };
        let mut lines = self.open(&self.path, self.builtin)?;
        if is_rrf {
            read::concept_names(lines.as_mut(), &self.path, &mut wanted)
        } else {
            read::table(lines.as_mut(), &self.path, &mut wanted)
        }
    }

    fn is_wanted(&self, types: &str) -> bool {
        self.semantic_types.is_empty()
            || types.split(';').any(|t| self.semantic_types.iter().any(|w| w == t.trim()))
    }

    fn concepts_of_types(&self, path: &Path) -> Result<BTreeSet<String>, LexiconError> {
        let mut allowed = BTreeSet::new();
        let mut lines = self.open(path, None)?;
        read::semantic_types(lines.as_mut(), path, &mut |concept, id, name| {
            if self.is_wanted(id) || self.is_wanted(name) {
                allowed.insert(concept.to_owned());
            }
        })?;
        Ok(allowed)
    }

    fn open(
        &self,
        path: &Path,
        builtin: Option<&'static str>,
    ) -> Result<Box<dyn BufRead>, LexiconError> {
        match builtin {
            Some(text) => Ok(Box::new(text.as_bytes())),
            None => File::open(path)
                .map(|file| Box::new(BufReader::new(file)) as Box<dyn BufRead>)
                .map_err(|source| LexiconError::Io { path: path.to_owned(), source }),
        }
    }
}

/// Whether a file has the UMLS's Rich Release Format.
pub(super) fn is_rrf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("rrf"))
}
