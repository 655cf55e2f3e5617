//! The value of a setting, as JSON text: the log records settings in the words that were given.

use serde_json::Value;

/// The value of one setting of a run.
///
/// ```
/// use annals::app::Parameter;
/// assert_eq!(Parameter::from(3).json(), "3");
/// assert_eq!(Parameter::from(0.001).json(), "0.001");
/// assert_eq!(Parameter::from("adam").json(), "\"adam\"");
/// // The text of a command line: JSON stays as it was written.
/// assert_eq!(Parameter::parse("1e-3").json(), "1e-3");
/// assert_eq!(Parameter::parse("adam").json(), "\"adam\"");
/// // JSON has no such numbers; they are kept as words.
/// assert_eq!(Parameter::from(f64::NAN).json(), "\"NaN\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter(String);

impl Parameter {
    /// A text that is JSON as it is written, another text as a string.
    pub fn parse(text: &str) -> Self {
        match serde_json::from_str::<Value>(text) {
            Ok(_) => Self(text.to_owned()),
            Err(_) => Self::from(text),
        }
    }

    /// The value as JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }
}

impl From<Value> for Parameter {
    fn from(value: Value) -> Self {
        Self(value.to_string())
    }
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Self {
        Value::from(text).into()
    }
}

impl From<String> for Parameter {
    fn from(text: String) -> Self {
        Value::from(text).into()
    }
}

impl From<bool> for Parameter {
    fn from(value: bool) -> Self {
        Value::from(value).into()
    }
}

impl From<i32> for Parameter {
    fn from(value: i32) -> Self {
        Value::from(value).into()
    }
}

impl From<i64> for Parameter {
    fn from(value: i64) -> Self {
        Value::from(value).into()
    }
}

impl From<u64> for Parameter {
    fn from(value: u64) -> Self {
        Value::from(value).into()
    }
}

impl From<f64> for Parameter {
    fn from(value: f64) -> Self {
        if value.is_finite() { Value::from(value).into() } else { value.to_string().into() }
    }
}
