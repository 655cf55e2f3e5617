//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use bincode::{Decode, Encode};

use super::{
    DebugExperiments, FailedExperiments, LogCheckpoints, NewRuns, Policy, PolicyChange,
    PolicyChanged, PolicyEvent, ProductionPromotion, Runs,
};
use crate::base::codec;
use crate::domain::{DecodeError, Kind};

/// `policy.changed` before there were rules about what a run begins from.
#[derive(Encode, Decode)]
struct PolicyChangedV1 {
    policy: PolicyV1,
    changes: Vec<PolicyChange>,
    reason: Option<String>,
}

#[derive(Encode, Decode)]
struct PolicyV1 {
    debug_experiments: DebugExperiments,
    failed_experiments: FailedExperiments,
    production_promotion: ProductionPromotion,
}

/// `policy.changed` before there were rules about who records what of a run.
#[derive(Encode, Decode)]
struct PolicyChangedV2 {
    policy: PolicyV2,
    changes: Vec<PolicyChange>,
    reason: Option<String>,
}

#[derive(Encode, Decode)]
struct PolicyV2 {
    debug_experiments: DebugExperiments,
    failed_experiments: FailedExperiments,
    production_promotion: ProductionPromotion,
    new_runs: NewRuns,
}

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<PolicyEvent, DecodeError>> {
    let event = match (kind.name().as_str(), version) {
        ("policy.changed", 1) => codec::decode::<PolicyChangedV1>(bytes).map(|old| {
            let PolicyChangedV1 { policy, changes, reason } = old;
            let policy = Policy {
                debug_experiments: policy.debug_experiments,
                failed_experiments: policy.failed_experiments,
                production_promotion: policy.production_promotion,
                new_runs: NewRuns::default(),
                runs: Runs::default(),
                log_checkpoints: LogCheckpoints::default(),
            };
            PolicyChanged { policy, changes, reason }.into()
        }),
        ("policy.changed", 2) => codec::decode::<PolicyChangedV2>(bytes).map(|old| {
            let PolicyChangedV2 { policy, changes, reason } = old;
            let policy = Policy {
                debug_experiments: policy.debug_experiments,
                failed_experiments: policy.failed_experiments,
                production_promotion: policy.production_promotion,
                new_runs: policy.new_runs,
                runs: Runs::default(),
                log_checkpoints: LogCheckpoints::default(),
            };
            PolicyChanged { policy, changes, reason }.into()
        }),
        _ => return None,
    };
    Some(event.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
