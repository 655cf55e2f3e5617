//! How the large row of a run follows from its events.

use super::registry::FileRow;
use super::row::{pack, unpack};
use super::runs::{Archived, DETAILS, Deleted, Planned, RunDetails, Status};
use super::{Kv, ViewError};
use crate::base::{Digest, Timestamp};
use crate::domain::run::{
    Category, DataRecord, DroppedFile, RunEvent, RunShared, TEST_ROWS, TestRows, add_rows,
};
use crate::domain::{EnvelopeRef, Event};
use crate::model::settings;

pub(super) fn apply_details(
    kv: &mut dyn Kv,
    envelope: &EnvelopeRef<'_>,
    event: &Event,
) -> Result<(), ViewError> {
    let Event::Run(event) = event else { return Ok(()) };
    let key = envelope.header.stream.entity;
    let mut details = match (kv.get(&key)?, event) {
        (_, RunEvent::Started(_)) => new_details(envelope, event),
        (Some(row), _) => Some(unpack::<RunDetails>(&DETAILS, &row)?),
        (None, _) => None,
    };
    let Some(details) = &mut details else { return Ok(()) };
    let actor = envelope.header.actor;
    if event.is_recorded_fact() && actor != details.owner && !details.recorded_by.contains(&actor) {
        details.recorded_by.push(actor);
    }
    apply_event(details, envelope, event);
    kv.put(&key, pack(details))
}

fn new_details(envelope: &EnvelopeRef<'_>, event: &RunEvent) -> Option<RunDetails> {
    let RunEvent::Started(started) = event else { return None };
    let mut parameters = settings::recorded(&started.parameters);
    parameters.remove("training.seed");
    let parameters: Vec<(String, String)> = parameters.into_iter().collect();
    Some(RunDetails {
        question: config_fingerprint(&parameters, &started.data.labels).0,
        id: started.run.0,
        experiment_id: started.experiment_id.clone(),
        experiment_name: started.name.clone(),
        folder: started.folder.clone(),
        archive: None,
        deleted: None,
        description: started.description.clone(),
        tags: started.tags.clone(),
        actor: envelope.header.actor,
        status: Status::Running,
        category: Category::Baseline,
        category_rule: String::new(),
        category_words: vec![],
        pinned: false,
        owner: envelope.header.actor,
        shared_with: vec![],
        recorded_by: vec![],
        notes: vec![],
        config_name: started.config_name.clone(),
        config_digest: started.config.to_string(),
        parameters,
        seed: started.seed,
        data: data_digest(&started.data).0,
        test_rows: TestRows::of_start(&started.data),
        synthetic: started.data.synthetic.is_some(),
        leaked_rows: started.data.leaked_rows,
        unstated: started.unstated.iter().copied().collect(),
        rows: started.data.splits.iter().map(|s| (s.split, s.rows)).collect(),
        labels: started.data.labels.clone(),
        provenance: None,
        metrics: vec![],
        unrecorded: vec![],
        evaluations: vec![],
        started: envelope.header.dated().0,
        ended: None,
        duration_seconds: None,
        reason: None,
        planned: None,
        parameter_count: None,
        model_bytes: None,
        weights: None,
        artifacts: vec![],
        dropped: vec![],
        candidate: None,
        reproductions: vec![],
        started_position: envelope.header.position,
        ended_position: None,
    })
}

fn data_digest(data: &DataRecord) -> Digest {
    let files: Vec<Digest> = data.files.iter().map(|file| file.digest).collect();
    let generated = data.synthetic.as_ref().map(|s| (&s.generator, s.rows));
    Digest::of(format!("{:?}", (files, generated)).as_bytes())
}

fn config_fingerprint(parameters: &[(String, String)], labels: &[String]) -> Digest {
    let pairs = parameters.iter().flat_map(|(key, value)| [key, value]);
    let mut bytes = Vec::new();
    for text in pairs.chain(labels) {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    Digest::of(&bytes)
}

fn apply_event(details: &mut RunDetails, envelope: &EnvelopeRef<'_>, event: &RunEvent) {
    match event {
        RunEvent::Classified(classified) => {
            details.category = classified.category;
            details.category_rule.clone_from(&classified.rule);
            details.category_words.clone_from(&classified.matched);
        }
        RunEvent::Tagged(tagged) => {
            details.tags.retain(|tag| !tagged.removed.contains(tag));
            details.tags.extend(tagged.added.iter().cloned());
        }
        RunEvent::Noted(noted) => {
            details.notes.push((envelope.header.dated().0, noted.text.clone()));
        }
        RunEvent::Pinned(_) => details.pinned = true,
        RunEvent::Shared(shared) => share(&mut details.shared_with, shared),
        RunEvent::Unpinned(_) => details.pinned = false,
        RunEvent::Renamed(renamed) => details.experiment_name.clone_from(&renamed.new),
        RunEvent::Archived(archived) => {
            details.folder.clone_from(&archived.folder);
            details.archive = Some(Archived {
                archive: archived.archive,
                at: envelope.header.dated().0,
                rule: archived.rule.clone(),
                reason: archived.reason.clone(),
                policy_revision: archived.policy_revision,
                packed: archived.packed.as_ref().map(|packed| packed.pack.file().to_owned()),
                bytes_before: archived.bytes_before,
                bytes_after: archived.bytes_after,
                position: envelope.header.position,
            });
            details.dropped.extend(archived.dropped.iter().map(|file| file.path.clone()));
        }
        RunEvent::Restored(restored) => {
            details.folder.clone_from(&restored.folder);
            details.archive = None;
            let back = |path: &String| restored.recovered.iter().any(|file| file.path == *path);
            details.dropped.retain(|path| !back(path));
        }
        RunEvent::Relocated(relocated) => {
            details.folder.clone_from(&relocated.folder);
            for (_, path, ..) in &mut details.artifacts {
                let found = relocated.renamed.iter().find(|file| *path == Some(file.from.clone()));
                if let Some(file) = found {
                    *path = Some(file.to.clone());
                }
            }
        }
        RunEvent::Deleted(deleted) => {
            details.archive = None;
            details.deleted = Some(Deleted {
                at: envelope.header.dated().0,
                plan: deleted.plan.to_string(),
                reason: deleted.reason.clone(),
                files: deleted.files.iter().map(gone).collect(),
                bytes: deleted.bytes,
                position: envelope.header.position,
            });
        }
        RunEvent::ArtifactStored(stored) => {
            if stored.name == TEST_ROWS {
                details.test_rows.digest = Some(stored.digest.0);
            }
            let (name, path) = (stored.name.clone(), stored.path.clone());
            let sha256 = stored.sha256.map(|sha256| sha256.to_string());
            details.artifacts.push((name, path, stored.digest.to_string(), sha256));
        }
        _ => apply_progress(details, envelope, event),
    }
}

/// How far the run is and what it ended with.
fn apply_progress(details: &mut RunDetails, envelope: &EnvelopeRef<'_>, event: &RunEvent) {
    let mut end = |status: Status, reason: Option<&String>| {
        details.status = status;
        details.reason = reason.cloned();
        details.ended = Some(envelope.header.dated().0);
        details.ended_position = Some(envelope.header.position);
        details.duration_seconds =
            Some(envelope.header.dated().seconds_since(Timestamp(details.started)));
    };
    match event {
        RunEvent::Finished(finished) => {
            end(Status::Finished, None);
            details.duration_seconds = Some(finished.duration_seconds);
            details.provenance = Some(envelope.header.provenance);
            details.metrics.clone_from(&finished.metrics);
            details.evaluations.clone_from(&finished.evaluations);
            details.parameter_count = finished.parameter_count;
            details.model_bytes = Some(finished.model_bytes);
            details.weights = finished.weights.map(|weights| weights.to_string());
            add_rows(&mut details.rows, &finished.evaluations);
        }
        RunEvent::Planned(planned) => {
            let from = planned.resumed_at_step.unwrap_or(0);
            let (steps, epochs, at) = (planned.steps, planned.epochs, envelope.header.recorded.0);
            details.planned = Some(Planned { steps, epochs, from, at });
        }
        RunEvent::Failed(failed) => end(Status::Failed, Some(&failed.reason)),
        RunEvent::Interrupted(interrupted) => {
            end(Status::Interrupted, Some(&interrupted.reason));
        }
        RunEvent::Resumed(_) => {
            details.status = Status::Running;
            (details.reason, details.ended, details.ended_position) = (None, None, None);
            details.duration_seconds = None;
        }
        RunEvent::MetricsUnrecorded(noted) => {
            details.unrecorded.extend(noted.series.iter().cloned());
        }
        RunEvent::Reproduced(reproduced) => {
            details.reproductions.push((reproduced.by.to_string(), reproduced.equal));
        }
        RunEvent::Assessed(assessed) => details.candidate = Some(assessed.candidate),
        _ => {}
    }
}

fn gone(file: &DroppedFile) -> FileRow {
    let sha256 = file.sha256.map(|sha256| sha256.to_string());
    (file.path.clone(), file.digest.to_string(), file.bytes, sha256)
}

fn share(with: &mut Vec<String>, shared: &RunShared) {
    with.retain(|person| *person != shared.person);
    with.extend(shared.allowed.then(|| shared.person.clone()));
}
