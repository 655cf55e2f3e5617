//! The one place that names the byte format of stored values: bincode 2 `standard()` (variable
//! length integers, little endian). Stored bytes are hashed verbatim and never re-encoded.

use bincode::config::{Configuration, standard};
use bincode::{BorrowDecode, Decode, Encode};

/// Bytes that do not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes are not an encoding of the type.
    #[error("not a valid {wanted}: {reason}")]
    Malformed {
        /// The type that was asked for.
        wanted: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// Bytes are left over after the value.
    #[error("{extra} bytes left over after {wanted}")]
    Trailing {
        /// The type that was asked for.
        wanted: &'static str,
        /// How many bytes are left over.
        extra: usize,
    },
}

const CONFIG: Configuration = standard();

/// Encodes a value.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    // Encoding to memory fails only for types that annals does not store (unsized sequences).
    bincode::encode_to_vec(value, CONFIG).expect("BUG: a stored type does not encode")
}

/// Decodes a value that must fill `bytes` exactly.
///
/// # Errors
/// [`CodecError`] when the bytes are malformed or too many.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = decode_prefix(bytes)?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(CodecError::Trailing { wanted: short_name::<T>(), extra: bytes.len() - used })
    }
}

/// Decodes a value from the front of `bytes` and tells how many bytes it took.
///
/// # Errors
/// [`CodecError::Malformed`] when the bytes do not start with a value.
pub fn decode_prefix<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    bincode::decode_from_slice(bytes, CONFIG)
        .map_err(|e| CodecError::Malformed { wanted: short_name::<T>(), reason: e.to_string() })
}

/// Decodes a value that borrows from `bytes` and must fill them exactly.
///
/// # Errors
/// [`CodecError`] when the bytes are malformed or too many.
pub fn decode_borrowed<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::borrow_decode_from_slice(bytes, CONFIG)
        .map_err(|e| CodecError::Malformed { wanted: short_name::<T>(), reason: e.to_string() })?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(CodecError::Trailing { wanted: short_name::<T>(), extra: bytes.len() - used })
    }
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}
