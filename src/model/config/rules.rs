//! Conditions that settings must satisfy.

use std::fmt::Display;

/// A condition on one setting.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Whether it is satisfied.
    pub holds: bool,
    /// The setting, as a dotted key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What the value must be.
    pub must: String,
}

/// Conditions, in the order in which they are reported.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// A whole number from `min` to `max`.
    pub fn whole(&mut self, key: &'static str, value: impl Into<u64>, min: u64, max: u64) {
        let value = value.into();
        self.require((min..=max).contains(&value), key, value, format!("{min} to {max}"));
    }

    /// A number from 0 to below `max`.
    pub fn share(&mut self, key: &'static str, value: f64, max: f64) {
        self.require(
            (0.0..max).contains(&value),
            key,
            value,
            format!("at least 0 and below {max}"),
        );
    }

    /// A number above `min` and below `max`.
    pub fn inside(&mut self, key: &'static str, value: f64, min: f64, max: f64) {
        let holds = value > min && value < max;
        self.require(holds, key, value, format!("above {min} and below {max}"));
    }

    /// Any other condition.
    pub fn require(
        &mut self,
        holds: bool,
        key: &'static str,
        value: impl Display,
        must: impl Into<String>,
    ) {
        self.0.push(Rule { holds, key, value: value.to_string(), must: must.into() });
    }

    /// The first condition that is not satisfied.
    pub fn first_broken(self) -> Option<Rule> {
        self.0.into_iter().find(|rule| !rule.holds)
    }
}
