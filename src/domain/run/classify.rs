//! Debug or baseline, by whole words (E-1): tags and then the name are split at everything that is
//! not a letter or digit and case-folded; a criterion of several words matches that sequence. The
//! description does not classify: "latest" is not "test", "minimal change" is not a debug run.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run is for.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// An experiment whose result counts.
    #[default]
    Baseline,
    /// A try-out.
    Debug,
}

impl Category {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Debug => "debug",
        }
    }
}

/// A category and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// The category.
    pub category: Category,
    /// The rule that decided.
    pub rule: &'static str,
    /// The criteria that matched.
    pub matched: Vec<String>,
}

/// The rule of a category that somebody chose.
pub const CHOSEN: &str = "chosen by the user";

/// Tags that mark a run whose result counts, whatever its name says.
pub(crate) const BASELINE_TAGS: [&str; 6] =
    ["baseline", "production", "production-candidate", "medium", "large", "scaled"];

/// Sorts a run: `chosen` (`--category`) outweighs a debug tag, that a baseline tag, that a debug
/// word in the name.
pub(super) fn classify(
    name: &str,
    tags: &[String],
    criteria: &[String],
    chosen: Option<Category>,
) -> Classification {
    if let Some(category) = chosen {
        return Classification { category, rule: CHOSEN, matched: vec![] };
    }
    let in_tags = |words: &[String]| -> Vec<String> {
        words.iter().filter(|c| tags.iter().any(|tag| matches(tag, c))).cloned().collect()
    };
    let debug_tags = in_tags(criteria);
    if !debug_tags.is_empty() {
        return Classification {
            category: Category::Debug,
            rule: "debug tag",
            matched: debug_tags,
        };
    }
    let baseline_tags = in_tags(&BASELINE_TAGS.map(str::to_owned));
    if !baseline_tags.is_empty() {
        let rule = "baseline tag";
        return Classification { category: Category::Baseline, rule, matched: baseline_tags };
    }
    let in_name: Vec<String> = criteria.iter().filter(|c| matches(name, c)).cloned().collect();
    if !in_name.is_empty() {
        let rule = "debug word in the name";
        return Classification { category: Category::Debug, rule, matched: in_name };
    }
    Classification { category: Category::Baseline, rule: "no debug word", matched: vec![] }
}

/// The words of a name or tag: split at all that is no letter or digit, case folded.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn matches(text: &str, criterion: &str) -> bool {
    let (text, criterion) = (words(text), words(criterion));
    !criterion.is_empty() && text.windows(criterion.len()).any(|window| window == criterion)
}
