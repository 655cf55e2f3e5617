//! The rules, revision by revision.

use super::{Definition, Kv, Snapshot, ViewError};
use crate::base::codec;
use crate::domain::policy::{Policy, PolicyEvent};
use crate::domain::{EnvelopeRef, Event};

pub(super) const VIEW: Definition =
    Definition { name: "policy", revision: 2, kinds: &[PolicyEvent::CHANGED], apply };

fn apply(kv: &mut dyn Kv, envelope: &EnvelopeRef<'_>, event: &Event) -> Result<(), ViewError> {
    if let Event::Policy(PolicyEvent::Changed(changed)) = event {
        kv.put(&envelope.header.revision.to_be_bytes(), codec::encode(&changed.policy))?;
    }
    Ok(())
}

impl Snapshot {
    /// The rules in force, with their revision.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn policy(&self) -> Result<(u64, Policy), ViewError> {
        let mut last = (0, Policy::default());
        self.scan(&VIEW, &[], |key, row| {
            let damaged = || ViewError::Row { view: VIEW.name };
            let revision = key.try_into().map(u64::from_be_bytes).map_err(|_| damaged())?;
            last = (revision, codec::decode(row).map_err(|_| damaged())?);
            Ok(())
        })?;
        Ok(last)
    }
}
