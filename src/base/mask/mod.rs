//! Secrets are masked before a text is kept: the log is for ever.
//!
//! A value is a secret by its name (`names.rs`: `password`, `HF_TOKEN`, `db.api-key`) or by its
//! shape (`shapes.rs`: tokens of known services, private keys). Names are looked for anywhere in a
//! line, in quotes, flags, URLs and nested data. When in doubt a value is masked: a masked text can
//! be looked up elsewhere, a kept secret has to be replaced everywhere.

mod masker;
mod names;
mod shapes;
#[cfg(test)]
mod tests;

pub use self::masker::{Masker, mask_setting, mask_text, mask_words};
pub use names::is_secret_name;

use self::masker::MASK;
