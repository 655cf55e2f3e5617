//! What has to be known of what lies before an event: read from the log where it was not told.

use super::admit::{History, Past, RunRecord, Told};
use super::moved::MovedRun;
use super::people::People;
use super::rules::Rules;
use super::take::{signed, take_policy, take_workspace};
use crate::base::RunId;
use crate::domain::{Envelope, Event, Header, StreamId};

impl History {
    /// Brings a run to where it was when the event of `header` was appended.
    pub(super) fn run_before<P: Past>(
        &mut self,
        past: &P,
        run: RunId,
        header: &Header,
    ) -> Result<(), P::Error> {
        let stream = StreamId::from(run);
        if self.told != Told::All && !self.runs.contains_key(&run) {
            let first = header.stream == stream && header.revision == 0;
            let all = if first { vec![] } else { past.stream(stream)? };
            let queue = all.into_iter().filter(|e| !self.will_be_told(&e.header));
            self.runs.insert(run, Box::new(RunRecord::after(queue.collect())));
        }
        while let Some(next) = self.next_of(run, header.position) {
            let Ok(Event::Run(event)) = next.event() else { continue };
            let digest = || next.payload.digest();
            if let Some(moved) = MovedRun::of(&event) {
                self.load_move_of_run(past, moved)?;
            }
            let nothing = RunRecord::default();
            let record = self.runs.get(&run).map_or(&nothing, |record| &**record);
            if self.judge_run(past, record, &next.header, &digest, Some(&event)).is_ok() {
                self.runs.entry(run).or_default().take(&next.header, &digest, &event);
            }
        }
        Ok(())
    }

    /// Reads the results and files of a run of which an outline is known.
    pub(super) fn complete<P: Past>(
        &mut self,
        past: &P,
        run: RunId,
        header: &Header,
    ) -> Result<(), P::Error> {
        if self.runs.get(&run).is_none_or(|record| !record.outline) {
            return Ok(());
        }
        let refused = |at| self.violations.binary_search_by_key(&at, |v| v.position).is_ok();
        let all = past.stream(run.into())?.into_iter();
        let before = all.filter(|e| e.header.position < header.position);
        let allowed = before.filter(|e| !refused(e.header.position)).collect();
        self.runs.insert(run, Box::new(RunRecord::after(allowed)));
        Ok(())
    }

    pub(super) fn next_of(&mut self, run: RunId, before: u64) -> Option<Envelope> {
        let queue = &mut self.runs.get_mut(&run)?.queue;
        queue.front().filter(|next| next.header.position < before)?;
        queue.pop_front()
    }

    pub(super) fn known<P: Past>(&mut self, past: &P, position: u64) -> Result<&People, P::Error> {
        self.load_people(past, position)?;
        Ok(self.people.get_or_insert_default())
    }

    pub(super) fn load_originals<P: Past>(&mut self, past: &P) -> Result<(), P::Error> {
        if self.originals.is_some() {
            return Ok(());
        }
        let all = match &self.people {
            // They were read to the end.
            Some(people) if !self.is_told(StreamId::WORKSPACE) => people.originals(),
            _ => people_before(past, u64::MAX)?.originals(),
        };
        self.originals = Some(all);
        Ok(())
    }

    /// Reads who was known before `position`; all of them where events of their stream are not
    /// told, since each says from which position on it counts.
    pub(super) fn load_people<P: Past>(&mut self, past: &P, position: u64) -> Result<(), P::Error> {
        if self.people.is_some() {
            return Ok(());
        }
        let told = self.is_told(StreamId::WORKSPACE);
        self.people = Some(people_before(past, if told { position } else { u64::MAX })?);
        Ok(())
    }

    pub(super) fn load_rules<P: Past>(&mut self, past: &P, position: u64) -> Result<(), P::Error> {
        if self.rules.is_some() {
            return Ok(());
        }
        self.load_people(past, position)?;
        let mut rules = Rules::default();
        let all = past.stream(StreamId::POLICY)?;
        let told = self.is_told(StreamId::POLICY);
        let people = self.people.get_or_insert_default();
        for before in all.into_iter().take_while(|e| !told || e.header.position < position) {
            if let Ok(Event::Policy(event)) = before.event() {
                let digest = || before.payload.digest();
                let _ = signed(people, past, &before.header, &digest).and_then(|()| {
                    take_policy(people, &mut rules, past, &before.header, &digest, &event)
                });
            }
        }
        self.rules = Some(rules);
        Ok(())
    }
}

fn people_before<P: Past>(past: &P, position: u64) -> Result<People, P::Error> {
    let mut people = People::default();
    let all = past.stream(StreamId::WORKSPACE)?;
    for before in all.iter().take_while(|before| before.header.position < position) {
        if let Ok(Event::Workspace(event)) = before.event() {
            let digest = || before.payload.digest();
            let _ = signed(&people, past, &before.header, &digest)
                .and_then(|()| take_workspace(&mut people, past, &before.header, &digest, &event));
        }
    }
    Ok(people)
}
