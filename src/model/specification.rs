//! What an architecture is to the rest of annals.

use std::fmt::Debug;
use std::path::Path;

use super::config::{Rules, TrainConfig};
use super::error::ModelError;
use super::files::ModelFiles;
use super::inputs::{Generated, ModelInputs, RowsToPrepare};
use super::load::{Labels, Reader};
use crate::data::{self, DataError, Dataset, Source};

/// The program that trains a model and answers from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `annals` itself, as a child of its own.
    Own,
    /// `annals-engine`, with libtorch.
    Engine,
}

/// What a row is to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Ids of the tokens of a text.
    Tokens,
    /// A text as it is.
    Texts,
    /// A series of numbers.
    Series,
}

/// The settings of an architecture and what follows from them. Engines use no more of it: a
/// program links what its traits can call.
pub trait Specification: Debug + Sync {
    /// The word used in settings.
    fn word(&self) -> &'static str;

    /// What it is, for people.
    fn title(&self) -> &'static str;

    /// The program that runs it.
    fn program(&self) -> Program;

    /// What its rows are.
    fn inputs(&self) -> InputKind;

    /// The sections of settings that only some architectures use and this one does; each ends with
    /// a dot.
    fn sections(&self) -> &'static [&'static str];

    /// Settings of the common sections that it does not use; sections end with a dot.
    fn unused(&self) -> &'static [&'static str] {
        &[]
    }

    /// The least number of layers.
    fn layers_min(&self, config: &TrainConfig) -> u64 {
        let _ = config;
        1
    }

    /// Ranges of its own section, which must be satisfied whatever the architecture is.
    fn section_rules(&self, config: &TrainConfig, rules: &mut Rules) {
        let _ = (config, rules);
    }

    /// Conditions on settings of this architecture.
    fn rules(&self, config: &TrainConfig, rules: &mut Rules) {
        let _ = (config, rules);
    }

    /// Whether a fit to the optimum replaces the training loop.
    fn is_fitted_at_once(&self) -> bool {
        false
    }

    /// Whether it learns labels; pretraining learns from the rows alone.
    fn learns_labels(&self, config: &TrainConfig) -> bool {
        let _ = config;
        true
    }
}

/// From files and rows to what a model takes: what `annals` does before and after a training.
pub trait Pipeline: Debug + Sync {
    /// Reads what files named by the settings decide, such as weights to start from, and records
    /// their digests in `config`; relative paths are looked for in `folder`. Returns what a user
    /// has to know of them.
    ///
    /// # Errors
    /// When such a file cannot be used.
    fn resolve_files(
        &self,
        config: &mut TrainConfig,
        folder: &Path,
    ) -> Result<Vec<String>, ModelError> {
        let _ = (config, folder);
        Ok(Vec::new())
    }

    /// Reads the rows, with the columns that `config` learns besides the labels.
    ///
    /// # Errors
    /// When the files cannot be used.
    fn read(&self, source: &Source, config: &TrainConfig) -> Result<Dataset, DataError> {
        let heads = config.multitask.heads.iter();
        let rationale =
            Some(&config.attention.rationale_column).filter(|column| !column.is_empty());
        let extra_columns = heads.map(|head| &head.column).chain(rationale).cloned().collect();
        data::read(&Source { extra_columns, ..source.clone() })
    }

    /// Generates rows to try it out with.
    fn generate(&self, rows: usize, config: &TrainConfig) -> Generated {
        Generated::notes(rows, config.training.seed)
    }

    /// Turns rows into what the model takes, learning from the training rows alone.
    ///
    /// # Errors
    /// When the rows have nothing that the model reads.
    fn prepare(
        &self,
        rows: &RowsToPrepare<'_>,
        config: &TrainConfig,
    ) -> Result<ModelInputs, ModelError>;

    /// Loads what turns a text or a series into what the model takes; the weights in `files` have
    /// been checked against their digest.
    ///
    /// # Errors
    /// When a file is missing, damaged or does not fit the others.
    fn load(
        &self,
        files: &ModelFiles,
        labels: &Labels,
        config: &TrainConfig,
    ) -> Result<Reader, ModelError>;
}
