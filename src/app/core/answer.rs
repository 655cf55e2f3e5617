//! Answers: what a use case returns to programs, as a type with a versioned JSON schema.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// A value that a verb prints as JSON. Its schema is `schemas/answers/<name>.v<version>.json`; a
/// change that breaks readers raises the version.
///
/// To add an answer: a type beside its use case and a line in `app/answers.rs`.
pub trait Answer: Serialize + JsonSchema {
    /// The name of its schema.
    const NAME: &'static str;
    /// The version of its schema.
    const VERSION: u32;
}

/// One entry of the list of answers.
#[derive(Clone, Copy, Debug)]
pub struct AnswerInfo {
    /// The name of the schema.
    pub name: &'static str,
    /// The version of the schema.
    pub version: u32,
    /// Generates the schema.
    pub schema: fn() -> Schema,
}

/// The schema of what is printed, not of what could be read back.
pub(in crate::app) fn schema_of<A: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<A>()
}

/// Implements [`Answer`] for each type of a list, and makes a table of the list.
macro_rules! answers {
    ($($name:literal v $version:literal $answer:ty;)*) => {
        $(impl Answer for $answer {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
        })*

        /// Every answer with its schema.
        pub const ANSWERS: &[AnswerInfo] = &[
            $(AnswerInfo {
                name: $name,
                version: $version,
                schema: schema_of::<$answer>,
            },)*
        ];
    };
}

pub(in crate::app) use answers;

/// The file that a verb wrote instead of printing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FileWritten {
    /// Its path.
    pub written: std::path::PathBuf,
}

/// A failed verb: printed to standard error with `--format json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// What failed.
    pub error: String,
    /// The kind of the error.
    pub kind: &'static str,
    /// The exit code of the process.
    pub exit_code: u8,
    /// What to do.
    pub hints: Vec<String>,
    /// The causes, outermost first.
    pub caused_by: Vec<String>,
}
