//! From which probability on a row has a label, where it may have any number of them.

use std::fmt;

use bincode::{Decode, Encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const TUNED: &str = "tuned";

/// The rule that turns the probability of a label into a yes or a no.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub enum Threshold {
    /// One for all labels.
    At(f64),
    /// For each label the one with the largest F1 on the validation rows.
    Tuned,
}

impl Threshold {
    /// Says yes to a label that is as probable as not.
    pub const HALF: Self = Self::At(0.5);
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(value) => to.serialize_f64(*value),
            Self::Tuned => to.serialize_str(TUNED),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Threshold;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(to, "a number above 0 and below 1, or {TUNED}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Threshold, E> {
                if text == TUNED {
                    return Ok(Threshold::Tuned);
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Threshold, E> {
                if value > 0.0 && value < 1.0 {
                    return Ok(Threshold::At(value));
                }
                Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Threshold, E> {
                self.visit_f64(value as f64)
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Threshold, E> {
                self.visit_f64(value as f64)
            }
        }
        // The formats of settings say themselves which of both a value is.
        from.deserialize_any(Either)
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
            { "const": TUNED },
        ] })
    }
}
