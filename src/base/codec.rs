//! The one place that names the byte format of stored values: bincode 2 `standard()` (variable
//! length integers, little endian). Stored bytes are hashed verbatim and never re-encoded.

use bincode::config::{Configuration, Limit, LittleEndian, Varint, standard};
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

/// Most memory that one value may claim, in bytes. A length is read before what it counts: without
/// a bound, one flipped byte would ask for more memory than there is, and end the program instead
/// of being found.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<VALUE_BYTES_MAX>> =
    standard().with_limit::<VALUE_BYTES_MAX>();

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

/// Decodes a value of any size that must fill `bytes` exactly, for bytes whose digest was checked
/// before: whoever wrote them meant every length.
///
/// # Errors
/// [`CodecError`] when the bytes are malformed or too many.
pub fn decode_checked<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::decode_from_slice(bytes, standard())
        .map_err(|e| CodecError::Malformed { wanted: short_name::<T>(), reason: e.to_string() })?;
    match bytes.len() - used {
        0 => Ok(value),
        extra => Err(CodecError::Trailing { wanted: short_name::<T>(), extra }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_no_memory_holds_is_an_error() {
        let mut bytes = encode(&vec![7_u64; 3]);
        assert_eq!(decode::<Vec<u64>>(&bytes), Ok(vec![7; 3]));
        // 253 announces a length of eight bytes.
        bytes.splice(..1, [253].into_iter().chain(u64::MAX.to_le_bytes()));
        assert!(matches!(decode::<Vec<u64>>(&bytes), Err(CodecError::Malformed { .. })));
        assert!(matches!(decode_borrowed::<&[u8]>(&bytes), Err(CodecError::Malformed { .. })));
    }
}
