//! What `annals log --model` shows: everything about a production name, or about one version of it.

use std::collections::BTreeSet;

use crate::app::{Error, Result, Workspace};
use crate::domain::file_move::MoveEvent;
use crate::domain::registry::RegistryEvent;
use crate::domain::{Event, Header, StreamId};
use crate::store::Filter;

/// A production name, and the requests and moves that were made for it; of one version, only
/// what is about that version.
#[derive(Debug)]
pub(in crate::app) struct Subject {
    name: String,
    number: Option<u32>,
    streams: BTreeSet<StreamId>,
    requests: BTreeSet<[u8; 16]>,
    /// Where the version was taken out of production.
    demotions: BTreeSet<u64>,
}

/// What is about the model that `text` names: `NAME`, or of one version `NAME@VERSION` or an
/// alias. A name may have requests and no version yet.
pub(in crate::app) fn subject(workspace: &Workspace, text: &str) -> Result<Subject> {
    let version = workspace.find_version(text)?.filter(|row| row.name != text);
    let number = version.as_ref().map(|row| row.number);
    let name = version.map_or_else(|| text.to_owned(), |row| row.name);
    let mut subject = Subject {
        name,
        number,
        streams: BTreeSet::new(),
        requests: BTreeSet::new(),
        demotions: BTreeSet::new(),
    };
    let kinds = [
        RegistryEvent::REQUESTED,
        MoveEvent::PLANNED,
        RegistryEvent::PROMOTED,
        RegistryEvent::DEMOTED,
        RegistryEvent::ROLLED_BACK,
    ];
    let (mut promoted, mut current) = (0, None);
    workspace.store.read(|log| {
        log.scan(0..log.size(), &Filter::kinds(kinds), |event| {
            let Ok(decoded) = event.event() else { return Ok(()) };
            subject.take_in(&event.header, &decoded, &mut promoted, &mut current);
            Ok::<_, Error>(())
        })
    })?;
    Ok(subject)
}

impl Subject {
    fn is_version(&self, number: u32) -> bool {
        self.number.is_none_or(|wanted| wanted == number)
    }

    /// `promoted` counts the versions so far, `current` is the one in production.
    fn take_in(
        &mut self,
        header: &Header,
        event: &Event,
        promoted: &mut u32,
        current: &mut Option<u32>,
    ) {
        match event {
            Event::Registry(RegistryEvent::Requested(made))
                if made.name == self.name && self.number.is_none() =>
            {
                self.requests.insert(made.request.0);
            }
            Event::Registry(RegistryEvent::Promoted(made)) if made.name == self.name => {
                *promoted += 1;
                *current = Some(*promoted);
                if self.is_version(*promoted) {
                    self.requests.insert(made.request.0);
                    self.streams.insert(made.file_move.into());
                }
            }
            Event::Registry(RegistryEvent::RolledBack(back)) if back.name == self.name => {
                *current = Some(back.number);
                if self.is_version(back.number) {
                    self.streams.insert(back.file_move.into());
                }
            }
            Event::Registry(RegistryEvent::Demoted(gone))
                if gone.name == self.name
                    && current.take().is_some_and(|number| self.is_version(number)) =>
            {
                self.demotions.insert(header.position);
            }
            Event::Move(MoveEvent::Planned(plan))
                if self.number.is_none() && plan.purpose.model() == Some(&self.name) =>
            {
                self.streams.insert(header.stream);
            }
            _ => {}
        }
    }

    /// Whether an event is about the model or the version.
    pub(in crate::app) fn concerns(&self, header: &Header, event: &Event) -> bool {
        let Event::Registry(event) = event else { return self.streams.contains(&header.stream) };
        let all = self.number.is_none();
        match event {
            RegistryEvent::Requested(e) if all => e.name == self.name,
            RegistryEvent::Requested(e) => self.requests.contains(&e.request.0),
            RegistryEvent::Approved(e) => self.requests.contains(&e.request.0),
            RegistryEvent::Rejected(e) => self.requests.contains(&e.request.0),
            RegistryEvent::Refused(e) => all && e.name == self.name,
            RegistryEvent::Promoted(e) if all => e.name == self.name,
            RegistryEvent::Promoted(e) => self.requests.contains(&e.request.0),
            RegistryEvent::Demoted(_) => self.demotions.contains(&header.position),
            RegistryEvent::RolledBack(e) => e.name == self.name && self.is_version(e.number),
            RegistryEvent::FoundDamaged(e) => e.name == self.name && self.is_version(e.number),
            RegistryEvent::Repaired(e) => e.name == self.name && self.is_version(e.number),
            RegistryEvent::VersionBumped(e) => e.name == self.name && self.is_version(e.number),
            RegistryEvent::Relocated(e) => e.name == self.name,
            RegistryEvent::AliasSet(e) => e.name == self.name && self.is_version(e.number),
            RegistryEvent::AliasRemoved(_) => false,
        }
    }
}
