//! How a run began, without its settings. They are most of its bytes and no rule asks about them,
//! so that a check of a whole log need not put them in memory.

use std::collections::BTreeMap;

use bincode::Decode;
use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::error::DecodeError;

use super::RunStarted;
use crate::base::codec::{self, CodecError};

/// Reads the payload of a `run.started` of today's version; its parameters are left out.
///
/// # Errors
/// As for the whole.
pub(in crate::domain) fn without_parameters(bytes: &[u8]) -> Result<RunStarted, CodecError> {
    codec::decode::<Beginning>(bytes).map(|beginning| beginning.0)
}

struct Beginning(RunStarted);

impl<C> Decode<C> for Beginning {
    fn decode<D: Decoder<Context = C>>(from: &mut D) -> Result<Self, DecodeError> {
        // In the order of the fields of the event.
        Ok(Self(RunStarted {
            run: Decode::decode(from)?,
            name: Decode::decode(from)?,
            experiment_id: Decode::decode(from)?,
            folder: Decode::decode(from)?,
            description: Decode::decode(from)?,
            tags: Decode::decode(from)?,
            attempt: Decode::decode(from)?,
            config_name: Decode::decode(from)?,
            config: Decode::decode(from)?,
            parameters: skip_pairs(from)?,
            seed: Decode::decode(from)?,
            data: Decode::decode(from)?,
            environment: Decode::decode(from)?,
            trainer: Decode::decode(from)?,
            unstated: Decode::decode(from)?,
            points_signed: Decode::decode(from)?,
        }))
    }
}

fn skip_pairs<D: Decoder>(from: &mut D) -> Result<BTreeMap<String, String>, DecodeError> {
    let pairs = u64::decode(from)?;
    for _ in 0..pairs.saturating_mul(2) {
        let length = usize::try_from(u64::decode(from)?)
            .map_err(|_| DecodeError::Other("a text is longer than memory"))?;
        from.claim_bytes_read(length)?;
        if from.reader().peek_read(length).is_none() {
            return Err(DecodeError::UnexpectedEnd { additional: length });
        }
        from.reader().consume(length);
    }
    Ok(BTreeMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../../../tests/golden/bytes/run.started.v4.hex");

    #[test]
    fn all_but_the_settings_is_read() {
        let digit = |at| u8::from_str_radix(&GOLDEN[at..at + 2], 16).unwrap();
        let golden: Vec<u8> = (0..GOLDEN.trim().len()).step_by(2).map(digit).collect();
        let mut started: RunStarted = codec::decode(&golden).unwrap();
        started.parameters = (0..200).map(|n| (format!("key.{n}"), "\"é\"".repeat(n))).collect();
        let bytes = codec::encode(&started);
        let beginning = without_parameters(&bytes).unwrap();
        assert_eq!(beginning, RunStarted { parameters: BTreeMap::new(), ..started });
        for cut in 0..bytes.len() {
            assert!(without_parameters(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
