//! One value of a table, whatever the file format, and numbers in their one spelling.
//!
//! Labels must mean the same in CSV, TSV, JSON Lines and Parquet, so the readers keep what a file
//! knows about a value (its type, the elements of a list, all digits of a number) and only this
//! module decides how it reads as text.

use std::cmp::Ordering;

/// Longest number that is written without an exponent.
const PLAIN_DIGITS_MAX: i64 = 40;
/// Exponents beyond this are no numbers that a label or a cell holds.
const EXPONENT_MAX: i64 = 1_000_000;

/// A value in one row of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Missing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number of 64 bits.
    Float(f64),
    /// A number of 32 bits.
    Single(f32),
    /// A number as a JSON file spells it, with all its digits.
    Number(String),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Value>),
    /// A JSON object, as the file spells it.
    Object(String),
}

impl Value {
    /// Whether there is nothing: also NaN, which pandas writes for a missing value.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Float(value) => value.is_nan(),
            Self::Single(value) => value.is_nan(),
            _ => false,
        }
    }

    /// The number, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Single(value) => Some(f64::from(*value)),
            Self::Bool(value) => Some(f64::from(*value)),
            Self::Number(digits) => digits.parse().ok(),
            Self::Null | Self::Text(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// A text, number or truth value as text; empty where it is missing.
    ///
    /// # Errors
    /// With the kind of a value that has no such form.
    pub fn text(&self) -> Result<String, &'static str> {
        if self.is_missing() {
            return Ok(String::new());
        }
        Ok(match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => spelled(&format!("{value:e}")),
            // By its own shortest digits: widened to 64 bits, 0.1 would have seventeen.
            Self::Single(value) => spelled(&format!("{value:e}")),
            Self::Number(digits) => spelled(digits),
            Self::Text(text) => text.clone(),
            Self::List(_) => return Err("is a list"),
            Self::Object(_) => return Err("is an object"),
        })
    }

    /// The value in JSON; NaN and infinities are null, as JSON has no word for them.
    pub fn to_json(&self) -> String {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::List(values) => {
                let values: Vec<String> = values.iter().map(Self::to_json).collect();
                format!("[{}]", values.join(","))
            }
            Self::Object(raw) | Self::Number(raw) => raw.clone(),
            Self::Float(value) if !value.is_finite() => "null".into(),
            Self::Single(value) if !value.is_finite() => "null".into(),
            Self::Null => "null".into(),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Single(_) => {
                self.text().unwrap_or_default()
            }
        }
    }
}

fn spelled(number: &str) -> String {
    canonical(number).unwrap_or_else(|| number.to_owned())
}

/// The one spelling of a decimal number: `1`, `1.0`, `1e0` and `01` are all `1`. None where `text`
/// is no number, or one that is not finite.
pub(super) fn canonical(text: &str) -> Option<String> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = !(whole.is_empty() && fraction.is_empty())
        && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !is_number || exponent.abs() > EXPONENT_MAX {
        return None;
    }
    // The number is 0.DIGITS times 10 to the power of POINT.
    let digits = format!("{whole}{fraction}");
    let leading = digits.bytes().take_while(|byte| *byte == b'0').count();
    let digits = digits[leading..].trim_end_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? + exponent;
    let count = i64::try_from(digits.len()).ok()?;
    let sign = if negative { "-" } else { "" };
    if point > PLAIN_DIGITS_MAX.max(count) || point < -PLAIN_DIGITS_MAX {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        return Some(format!("{sign}{first}{dot}{rest}e{}", point - 1));
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Some(if point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else if point >= count {
        format!("{sign}{digits}{}", zeros(point - count))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{sign}{whole}.{fraction}")
    })
}

/// The order of two numbers in their one spelling, by size.
pub(super) fn by_size(a: &str, b: &str) -> Ordering {
    let (x, y): (f64, f64) = (a.parse().unwrap_or(0.0), b.parse().unwrap_or(0.0));
    // Whole numbers beyond 2^53 that round to the same one differ in their digits.
    let digits = || (a.len(), a).cmp(&(b.len(), b));
    x.total_cmp(&y).then_with(|| if a.starts_with('-') { digits().reverse() } else { digits() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        let cases: &[(&[&str], &str)] = &[
            (&["0", "-0", "0.0", "0e9", ".0", "00"], "0"),
            (&["1", "1.0", "1e0", "01", "+1", "0.1e1", "10e-1", "1."], "1"),
            (&["-1.50", "-15e-1", "-0.15E+1"], "-1.5"),
            (&["0.001", "1e-3", ".001"], "0.001"),
            (
                &["12345678901234567890123", "1.2345678901234567890123e22"],
                "12345678901234567890123",
            ),
            (&["1e300", "10e299"], "1e300"),
            (&["1.5e-300"], "1.5e-300"),
        ];
        for (spellings, one) in cases {
            for spelling in *spellings {
                assert_eq!(canonical(spelling).as_deref(), Some(*one), "{spelling}");
            }
        }
        for other in
            ["", "-", ".", "e1", "1e", "1x", "1,5", "0x10", "nan", "inf", "1e99999999", "١"]
        {
            assert_eq!(canonical(other), None, "{other}");
        }
        assert_eq!(Value::Single(0.1).text().unwrap(), "0.1");
        assert_eq!(Value::Float(1e22).text().unwrap(), "10000000000000000000000");
        assert_eq!(Value::Float(f64::NAN).text().unwrap(), "");
    }

    #[test]
    fn numbers_are_ordered_by_size() {
        let mut numbers =
            ["10", "9", "-2", "-10", "0.5", "9007199254740993", "9007199254740992", "1e300"];
        numbers.sort_by(|a, b| by_size(a, b));
        let right =
            ["-10", "-2", "0.5", "9", "10", "9007199254740992", "9007199254740993", "1e300"];
        assert_eq!(numbers, right);
    }

    proptest! {
        #[test]
        fn a_spelling_keeps_the_number(value: f64) {
            prop_assume!(value.is_finite());
            let text = Value::Float(value).text().unwrap();
            prop_assert_eq!(text.parse::<f64>().unwrap(), value + 0.0, "{}", text);
            prop_assert_eq!(canonical(&text), Some(text));
        }

        #[test]
        fn whole_numbers_keep_all_digits(value: i128) {
            prop_assert_eq!(canonical(&value.to_string()), Some(value.to_string()));
        }
    }
}
