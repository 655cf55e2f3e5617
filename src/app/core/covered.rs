//! What a log checkpoint would vouch for beyond the command that signs it.

use std::collections::BTreeMap;

use crate::app::core::admitted::{counting_checkpoint, people};
use crate::app::{Error, Result, Workspace, fold_policy};
use crate::base::counted;
use crate::store::{Filter, Reader};
use crate::tlog::{LogCheckpoint, NoteSigner};

/// Who appended events that no log checkpoint covers yet, and how many: by name, and whether they
/// are signed with a key that counts.
type Uncovered = BTreeMap<(String, bool), u64>;

impl Workspace {
    /// The key that signs the next log checkpoint, if one does. Whoever signs vouches for the order
    /// and the bytes of everything before: a warning counts what others appended, or somebody who
    /// only claimed a name. Where the policy allows only signed events, none is signed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(in crate::app) fn covering<'k>(
        &self,
        key: Option<&'k (Option<u64>, NoteSigner)>,
    ) -> Result<Option<&'k NoteSigner>> {
        let Some((at, signer)) = key else { return Ok(None) };
        if at.is_none() {
            return Ok(Some(signer));
        }
        let (uncovered, only_signed) = self.store.read(|log| {
            let uncovered = self.uncovered(log, signer)?;
            let only_signed = match uncovered.is_empty() {
                true => false,
                false => fold_policy(log)?.policy.log_checkpoints.only_signed_events,
            };
            Ok::<_, Error>((uncovered, only_signed))
        })?;
        if uncovered.is_empty() {
            return Ok(Some(signer));
        }
        let by = |((name, signed), count): (&(String, bool), &u64)| {
            let how = if *signed { "signed" } else { "claimed" };
            format!("{} by {name} ({how})", counted(*count as usize, "event"))
        };
        let all = uncovered.iter().map(by).collect::<Vec<_>>().join(", ");
        let claimed = uncovered.keys().any(|(_, signed)| !signed);
        if only_signed && claimed {
            self.warnings.push(format!(
                "no log checkpoint is signed: it would cover {all}, and \
                 log_checkpoints.only_signed_events allows only signed ones; `annals log` shows \
                 them"
            ));
            return Ok(None);
        }
        self.warnings
            .push(format!("your log checkpoint also covers {all}; `annals log` shows them"));
        Ok(Some(signer))
    }

    fn uncovered(&self, log: &Reader, signer: &NoteSigner) -> Result<Uncovered> {
        let mut uncovered = Uncovered::new();
        let last = log.last_checkpoint()?;
        let own = [signer.public().clone()];
        let from = match &last {
            Some((size, note)) if LogCheckpoint::open(note, log.origin(), &own).is_ok() => *size,
            _ => counting_checkpoint(log, log.size())?.map_or(0, |(size, _)| size),
        };
        if from == log.size() {
            return Ok(uncovered);
        }
        let people = people(log)?;
        log.scan(from..log.size(), &Filter::default(), |event| {
            let header = &event.header;
            let name = people.name(header.actor, header.position).unwrap_or("nobody");
            let signed = people.signed(header);
            let own = name == self.caller.actor;
            // What a trainer of ours reports while it runs is not signed.
            let reported = || self.is_of_live_invocation(log, header.invocation);
            if own && (signed || reported()) {
                return Ok::<_, Error>(());
            }
            *uncovered.entry((name.to_owned(), signed)).or_default() += 1;
            Ok(())
        })?;
        Ok(uncovered)
    }

    fn is_of_live_invocation(&self, log: &Reader, invocation: Option<u64>) -> bool {
        use crate::domain::Event;
        use crate::domain::invocation::InvocationEvent;
        let started = invocation.and_then(|at| log.event(at).ok()).and_then(|e| e.event().ok());
        match started {
            Some(Event::Invocation(InvocationEvent::Started(started))) => {
                self.live.is_alive(started.invocation)
            }
            _ => false,
        }
    }
}
