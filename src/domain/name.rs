//! Names given by users: they become folder names, so they cannot leave their folder (W-3).

use std::fmt;

use crate::base::limits::NAME_BYTES_MAX;

/// The text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing but separators.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("the name is {0} bytes long, at most {NAME_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A character that is not allowed.
    #[error(
        "the name {name:?} contains {character:?}; allowed are letters, digits, '_', '-' and '.'"
    )]
    Character {
        /// The name.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// Starts with a dot or a dash.
    #[error("the name {0:?} starts with '.' or '-', which hides it or makes it look like a flag")]
    Start(String),
}

/// A checked name: letters, digits, `_`, `-`, `.`; starts with a letter, a digit or `_`; at most
/// [`NAME_BYTES_MAX`] bytes. It is one path component and stays in its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`NameError`] names the first thing that is wrong.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.trim().is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        let allowed = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if let Some(character) = text.chars().find(|c| !allowed(c)) {
            return Err(NameError::Character { name: text.to_owned(), character });
        }
        if text.starts_with(['.', '-']) {
            return Err(NameError::Start(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        assert_eq!(Name::new("hate-v1.2_b").unwrap().as_str(), "hate-v1.2_b");
        for bad in ["", "  ", "../../x", "a/b", ".hidden", "-flag", "a\u{1b}[31m", &"x".repeat(101)]
        {
            assert!(Name::new(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
