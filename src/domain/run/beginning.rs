//! How a run began, without its settings. They are most of its bytes and no rule asks about them,
//! so that a check of a whole log need not put them in memory.

use std::collections::BTreeMap;

use bincode::Decode;
use bincode::de::Decoder;
use bincode::de::read::Reader as _;
use bincode::error::DecodeError;

use super::RunStarted;
use crate::base::codec::{self, CodecError};

/// Reads the payload of a `run.started` of version 3 or 4; its parameters are left out. None for
/// other versions.
///
/// # Errors
/// As for the whole.
pub(in crate::domain) fn without_parameters(
    version: u16,
    bytes: &[u8],
) -> Option<Result<RunStarted, CodecError>> {
    match version {
        3 => Some(codec::decode::<Beginning<false>>(bytes).map(|beginning| beginning.0)),
        4 => Some(codec::decode::<Beginning<true>>(bytes).map(|beginning| beginning.0)),
        _ => None,
    }
}

/// `SAYS` is whether it says that points are signed, which version 3 does not.
struct Beginning<const SAYS: bool>(RunStarted);

impl<C, const SAYS: bool> Decode<C> for Beginning<SAYS> {
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
            points_signed: SAYS && Decode::decode(from)?,
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
    use crate::domain::Event;
    use crate::domain::run::RunEvent;

    const V3: &str = include_str!("../../../tests/golden/bytes/run.started.v3.hex");
    const V4: &str = include_str!("../../../tests/golden/bytes/run.started.v4.hex");

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.trim().len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn all_but_the_settings_is_read() {
        for (version, golden) in [(3, bytes_of(V3)), (4, bytes_of(V4))] {
            let Ok(Event::Run(RunEvent::Started(started))) =
                Event::decode(RunEvent::STARTED, version, &golden)
            else {
                panic!("it starts a run")
            };
            let whole = RunStarted { parameters: BTreeMap::new(), ..started };
            assert_eq!(without_parameters(version, &golden).unwrap().unwrap(), whole);
        }
        assert!(without_parameters(2, &bytes_of(V3)).is_none());
        let mut started: RunStarted = codec::decode(&bytes_of(V4)).unwrap();
        started.parameters = (0..200).map(|n| (format!("key.{n}"), "\"é\"".repeat(n))).collect();
        let bytes = codec::encode(&started);
        let beginning = without_parameters(4, &bytes).unwrap().unwrap();
        assert_eq!(beginning, RunStarted { parameters: BTreeMap::new(), ..started });
        for cut in 0..bytes.len() {
            assert!(without_parameters(4, &bytes[..cut]).unwrap().is_err(), "{cut}");
        }
    }
}
