//! Facts about a run as people read them: what nobody stated is told so, never shown as 0.

use super::runs::RunDetails;
use crate::domain::run::{NOT_STATED, Unstated};

impl RunDetails {
    /// The seed, as people read it.
    pub fn shown_seed(&self) -> String {
        let stated = self.stated(Unstated::Seed);
        if stated { self.seed.to_string() } else { NOT_STATED.into() }
    }

    /// The rows of valid and test that also stand in train, as people read it.
    pub fn shown_leaked_rows(&self) -> String {
        let stated = self.stated(Unstated::LeakedRows);
        if stated { self.leaked_rows.to_string() } else { NOT_STATED.into() }
    }

    /// Where its data came from: `generated`, `real` or unknown.
    pub fn shown_origin(&self) -> &'static str {
        match self.synthetic {
            true => "generated",
            false if self.stated(Unstated::DataOrigin) => "real",
            false => NOT_STATED,
        }
    }

    /// Whether somebody stated the fact.
    pub fn stated(&self, fact: Unstated) -> bool {
        !self.unstated.contains(&fact)
    }
}
