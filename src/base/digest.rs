//! Values of 32 bytes written as hexadecimal: the blake3 digest, which names every blob and
//! payload, the SHA-256 digest, by which others know a file, and the ed25519 public key.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use bincode::{Decode, Encode};
use sha2::{Digest as _, Sha256};

/// The text is not a digest or key: wrong length, or not hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a digest or key (64 hexadecimal digits)")]
pub struct ParseDigestError(pub String);

/// A 32-byte blake3 digest, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Digest(pub [u8; 32]);

/// A 32-byte SHA-256 digest, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Sha256Digest(pub [u8; 32]);

/// The digests of one file, taken in one pass over its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigests {
    /// Names its blob.
    pub blake3: Digest,
    /// Names it outside annals: OCI, in-toto, Hugging Face.
    pub sha256: Sha256Digest,
}

/// A 32-byte ed25519 public key, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct PublicKey(pub [u8; 32]);

impl Digest {
    /// Hashes bytes held in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Hashes several parts, one after the other.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        // A few hundred bytes, as events have, are hashed faster in one piece.
        let mut short = [0; 512];
        let mut len = 0;
        for part in parts {
            let Some(room) = short.get_mut(len..len + part.len()) else {
                let mut hasher = blake3::Hasher::new();
                parts.iter().for_each(|part| {
                    hasher.update(part);
                });
                return Self(*hasher.finalize().as_bytes());
            };
            room.copy_from_slice(part);
            len += part.len();
        }
        Self::of(&short[..len])
    }

    /// Hashes everything `reader` yields and counts its bytes.
    ///
    /// # Errors
    /// When `reader` fails.
    pub fn of_reader(reader: &mut impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = blake3::Hasher::new();
        let count = each_part(reader, |part| {
            hasher.update(part);
        })?;
        Ok((Self(*hasher.finalize().as_bytes()), count))
    }

    /// The first `digits` digits of the text form; what tables show.
    pub fn short(&self, digits: usize) -> String {
        let mut text = self.to_string();
        text.truncate(digits);
        text
    }
}

impl FileDigests {
    /// Hashes bytes held in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self { blake3: Digest::of(bytes), sha256: Sha256Digest(Sha256::digest(bytes).into()) }
    }

    /// Hashes everything `reader` yields and counts its bytes.
    ///
    /// # Errors
    /// When `reader` fails.
    pub fn of_reader(reader: &mut impl Read) -> io::Result<(Self, u64)> {
        let (mut blake3, mut sha256) = (blake3::Hasher::new(), Sha256::new());
        let count = each_part(reader, |part| {
            blake3.update(part);
            sha256.update(part);
        })?;
        let blake3 = Digest(*blake3.finalize().as_bytes());
        Ok((Self { blake3, sha256: Sha256Digest(sha256.finalize().into()) }, count))
    }

    /// Whether they are the digests that were recorded; of old files SHA-256 was not.
    pub fn are(&self, blake3: Digest, sha256: Option<Sha256Digest>) -> bool {
        self.blake3 == blake3 && sha256.is_none_or(|sha256| sha256 == self.sha256)
    }
}

/// Hands out everything `reader` yields, part by part, and counts its bytes.
fn each_part(reader: &mut impl Read, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut count = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(count),
            Ok(n) => {
                each(&buffer[..n]);
                count += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Hashes what is written through it.
pub struct DigestWriter<W> {
    inner: W,
    hasher: blake3::Hasher,
    count: u64,
}

impl<W: io::Write> DigestWriter<W> {
    /// Wraps `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), count: 0 }
    }

    /// Gives back the inner writer with the digest and the count of the bytes written.
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, Digest(*self.hasher.finalize().as_bytes()), self.count)
    }
}

impl<W: io::Write> io::Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.count += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

macro_rules! hex_text {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = ParseDigestError;
            fn from_str(text: &str) -> Result<Self, ParseDigestError> {
                blake3::Hash::from_hex(text)
                    .map(|hash| Self(*hash.as_bytes()))
                    .map_err(|_| ParseDigestError(text.to_owned()))
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": "^[0-9a-f]{64}$"})
            }
        }
    )+};
}

hex_text!(Digest, Sha256Digest, PublicKey);

#[cfg(test)]
mod tests {
    use super::*;

    /// Yields few bytes at a time, and is interrupted in between.
    struct Halting<'a>(&'a [u8], bool);

    impl Read for Halting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = self.0.len().min(buffer.len()).min(7);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn parts_are_hashed_as_if_they_were_one() {
        let bytes: Vec<u8> = (0..3_000).map(|n| (n % 251) as u8).collect();
        for len in [0, 1, 63, 64, 65, 511, 512, 513, 1_024, 1_025, 3_000] {
            for cut in [0, 1, 17, 64, 512, len] {
                let (first, second) = bytes[..len].split_at(cut.min(len));
                let parts = Digest::of_parts(&[first, b"", second]);
                assert_eq!(parts, Digest::of(&bytes[..len]), "{len} bytes, {cut}");
            }
        }
    }

    #[test]
    fn both_digests_are_those_of_the_bytes_however_they_come() {
        // FIPS 180-4 and the BLAKE3 paper: of nothing and of `abc`.
        let known = [
            (
                &b""[..],
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            ),
            (
                b"abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
            ),
        ];
        for (bytes, sha256, blake3) in known {
            let found = FileDigests::of(bytes);
            assert_eq!(
                (found.sha256.to_string(), found.blake3.to_string()),
                (sha256.to_owned(), blake3.to_owned())
            );
        }
        let long: Vec<u8> = (0..600_000_u32).map(|n| (n % 251) as u8).collect();
        for bytes in [&b""[..], b"abc", &long[..64], &long[..65], &long] {
            let whole = FileDigests::of(bytes);
            let count = bytes.len() as u64;
            assert_eq!(FileDigests::of_reader(&mut &*bytes).unwrap(), (whole, count));
            assert_eq!(FileDigests::of_reader(&mut Halting(bytes, false)).unwrap(), (whole, count));
            assert_eq!(Digest::of_reader(&mut Halting(bytes, false)).unwrap().0, whole.blake3);
        }
    }
}
