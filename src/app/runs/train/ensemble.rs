//! `ensemble create`: finished runs asked together, as a run of its own that is asked and promoted
//! like any other. Its probabilities and thresholds are the means of its members'; its scores are
//! those on the test rows that all of them kept apart.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::folder::RunFolder;
use super::{PlannedRun, Programs, Reporter, translate};
use crate::app::NewRun;
use crate::app::core::admitted::admitted;
use crate::app::core::draft::Draft;
use crate::app::core::environment::{self, EngineFacts};
use crate::app::runs::run_files::{DATASET, RecordedFile, RunFiles, files_of_state};
use crate::app::{
    Error, ErrorKind, Result, Session, Workspace, fold_policy, fold_run, models, runs,
};
use crate::base::{Digest, RunId, Split, durable};
use crate::data::prepared::Prepared;
use crate::domain::run::{
    Ending, RunCommand, RunEvent, RunFacts, RunFinished, RunOutcome, RunStart, RunStarted,
    RunState, RunStatus, RunStream, Sameness, StoredFile, TEST_ROW_ORDER, TEST_ROWS, TestRows,
};
use crate::domain::{Envelope, Event, Name, Provenance};
use crate::model::{MODEL_FILES, ModelFile};
use crate::projection::runs::RunDetails;
use crate::train::metric::{Evaluation, PREDICTIONS_FILE, Scorer, Thresholds, predictions_file};

/// The list of members, in the folder of an ensemble.
pub(in crate::app) const MANIFEST: &str = ModelFile::Ensemble.file_name();
/// What the list of members and their files are called as artifacts of a run.
pub(in crate::app) const ARTIFACT: &str = ModelFile::Ensemble.artifact();
const MEMBERS: &str = "members/";

/// The members of an ensemble, in order: member n has its files in `members/<n>/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::app) struct EnsembleManifest {
    pub(in crate::app) members: Vec<ListedMember>,
}

/// One member, as the list has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::app) struct ListedMember {
    run: RunId,
    experiment_id: String,
    weights: Digest,
}

/// A run that becomes a member.
struct Member {
    run: RunId,
    state: RunState,
    place: RunFiles,
    started: RunStarted,
    finished: RunFinished,
    weights: Digest,
    data: Prepared,
    /// Indices of the test rows in `data`, in one order for all members.
    rows: Vec<usize>,
    /// Which rows they are.
    test_rows: TestRows,
    /// Their numbers in the data file, in the order of their content, where that was recorded.
    order: Option<Vec<u32>>,
}

/// An ensemble that is to be recorded.
struct Made<'a> {
    run: RunId,
    name: &'a Name,
    members: &'a [Member],
    evaluation: &'a Evaluation,
    seconds: f64,
}

/// Whether `path` is a file of a member.
pub(in crate::app) fn is_of_member(path: &str) -> bool {
    path.starts_with(MEMBERS)
}

/// The name of a file of member `number`, from 1, if `path` is one.
pub(in crate::app) fn member_file(path: &str, number: usize) -> Option<&str> {
    path.strip_prefix(MEMBERS)?.strip_prefix(&number.to_string())?.strip_prefix('/')
}

/// Scores whose probabilities are the means of the members' probabilities, row by row: logarithms
/// of the means, or of their odds where a row may have any number of labels.
pub(in crate::app) fn average(members: &[Vec<Vec<f64>>], multi_label: bool) -> Vec<Vec<f32>> {
    let Some(first) = members.first() else { return Vec::new() };
    let mean = |row: usize, label: usize| {
        let sum: f64 = members.iter().map(|member| member[row][label]).sum();
        // Bounds keep the logarithms finite.
        (sum / members.len() as f64).clamp(1e-30, 1.0 - f64::EPSILON)
    };
    let score = |p: f64| if multi_label { p.ln() - (-p).ln_1p() } else { p.ln() } as f32;
    let row = |row: usize| (0..first[row].len()).map(|label| score(mean(row, label))).collect();
    (0..first.len()).map(row).collect()
}

/// The means of the members' thresholds, label by label.
pub(in crate::app) fn mean_thresholds(members: &[Vec<f64>]) -> Vec<f64> {
    let labels = members.first().map_or(0, Vec::len);
    let sum = |label: usize| members.iter().map(|member| member[label]).sum::<f64>();
    (0..labels).map(|label| sum(label) / members.len() as f64).collect()
}

/// Makes an ensemble named `name` of the runs that `texts` name.
///
/// # Errors
/// When a run has not finished, is an ensemble, is named twice, or has other labels or other
/// test rows than the first.
pub fn create_ensemble(
    workspace: &Workspace,
    name: &str,
    texts: &[String],
    programs: &Programs,
    reporter: &mut dyn Reporter,
) -> Result<RunDetails> {
    let begun = Instant::now();
    let name = Name::new(name)?;
    for note in workspace.recover()?.notes {
        reporter.note(&note);
    }
    let members = members(workspace, texts)?;
    let (mut probabilities, mut thresholds) = (Vec::new(), Vec::new());
    for member in &members {
        let mut model = models::model(workspace, &member.started.experiment_id, programs)?;
        let scores = model.scores_of(&member.data, &member.rows)?;
        probabilities.push(scores.iter().map(|row| model.probabilities(row)).collect());
        thresholds.push(model.thresholds);
    }
    let evaluation = members[0].evaluate(&probabilities, &thresholds)?;
    workspace.may_begin("ensemble")?;
    let session = workspace.begin("ensemble")?;
    let run = RunId(workspace.env.random());
    let folder = match RunFolder::create(
        workspace,
        &NewRun { name: name.as_str(), model: "ensemble", began: session.now() },
    ) {
        Ok(folder) => folder,
        Err(error) => return session.finish_with(Err(error)),
    };
    let (members, evaluation) = (&members, &evaluation);
    let seconds = begun.elapsed().as_secs_f64();
    let made = Made { run, name: &name, members, evaluation, seconds };
    let result = record_ensemble(workspace, &session, &made, &folder);
    let ended = super::close(session, run, &folder, result);
    Ok(super::trained(workspace, run, None, ended)?.run)
}

/// The runs that `texts` name, checked to have the same labels and test rows.
fn members(workspace: &Workspace, texts: &[String]) -> Result<Vec<Member>> {
    let mut members: Vec<Member> =
        texts.iter().map(|text| member(workspace, text)).collect::<Result<_>>()?;
    // The same rows may have other numbers in other files.
    if members.iter().all(|member| member.order.is_some()) {
        members.iter_mut().for_each(Member::order_by_content);
    }
    for (index, member) in members.iter().enumerate() {
        if members[..index].iter().any(|other| other.run == member.run) {
            let message = format!("{} is named twice", member.started.experiment_id);
            return Err(Error::new(ErrorKind::Usage, message));
        }
        members[0].expect_same_rows(member)?;
    }
    if members.len() < 2 {
        return Err(Error::new(ErrorKind::Usage, "an ensemble has 2 members or more"));
    }
    Ok(members)
}

/// The ensemble that [`create_ensemble`] would make.
///
/// # Errors
/// As [`create_ensemble`].
pub fn plan_ensemble(workspace: &Workspace, name: &str, texts: &[String]) -> Result<PlannedRun> {
    let name = Name::new(name)?;
    let members = members(workspace, texts)?;
    workspace.may_begin("ensemble")?;
    let mut plan = PlannedRun::new(name.as_str(), ARTIFACT);
    plan.members = members.iter().map(|m| m.started.experiment_id.clone()).collect();
    let rows = members.first().map_or(0, |member| member.rows.len());
    plan.rows = vec![(Split::Test, rows as u64)];
    Ok(plan)
}

fn member(workspace: &Workspace, text: &str) -> Result<Member> {
    let run = workspace.find_run(&workspace.snapshot()?, text)?;
    let (state, events) = workspace.store.read(|log| {
        let events = admitted(log, run)?;
        Ok::<_, Error>((fold_run(log, run)?, events))
    })?;
    let (mut started, mut finished) = (None, None);
    for event in events.iter().filter_map(|envelope: &Envelope| envelope.event().ok()) {
        match event {
            Event::Run(RunEvent::Started(event)) => started = Some(event),
            Event::Run(RunEvent::Finished(event)) => finished = Some(event),
            _ => {}
        }
    }
    let refused = |why: &str| {
        let message = format!("{} {why}", state.experiment_id);
        Err(Error::new(ErrorKind::Rejected, message))
    };
    if state.artifacts.contains_key(ARTIFACT) {
        return refused("is an ensemble, and ensembles are not nested");
    }
    let (Some(started), Some(finished), RunStatus::Finished) = (started, finished, state.status)
    else {
        return refused(&format!("is {}: members have finished", state.status.word()));
    };
    let place = workspace.store.read(|log| RunFiles::of_state(log, &state))?;
    runs::model_available(workspace, &place, &files_of_state(&state))?;
    let Some(weights) = finished.weights else { return refused("has no weights") };
    let digest = started.data.prepared;
    let rows = RecordedFile { name: "rows", path: DATASET, digest };
    let bytes = runs::recorded_bytes(workspace, &place, rows)?;
    let data = Prepared::decode(Path::new(DATASET), &bytes, digest).map_err(|e| {
        Error::caused(ErrorKind::Data, format!("the rows of {}", state.experiment_id), e)
    })?;
    let mut rows = data.of_split(Split::Test);
    rows.sort_by_key(|row| data.rows[*row]);
    let mut test_rows = TestRows::of_start(&started.data);
    test_rows.digest = state.artifacts.get(TEST_ROWS).map(|rows| rows.digest.0);
    let order = order_of(workspace, &state, &place)?;
    Ok(Member { run, state, place, started, finished, weights, data, rows, test_rows, order })
}

fn order_of(workspace: &Workspace, state: &RunState, place: &RunFiles) -> Result<Option<Vec<u32>>> {
    let Some(known) = state.artifacts.get(TEST_ROW_ORDER) else { return Ok(None) };
    let Some(path) = &known.path else { return Ok(None) };
    let recorded = RecordedFile { name: TEST_ROW_ORDER, path, digest: known.digest };
    let bytes = runs::recorded_bytes(workspace, place, recorded)?;
    Ok(serde_json::from_slice(&bytes).ok())
}

fn record_ensemble(
    workspace: &Workspace,
    session: &Session<'_>,
    made: &Made<'_>,
    folder: &RunFolder,
) -> Result<()> {
    let Made { run, members, .. } = *made;
    let manifest = EnsembleManifest {
        members: members
            .iter()
            .map(|member| ListedMember {
                run: member.run,
                experiment_id: member.started.experiment_id.clone(),
                weights: member.weights,
            })
            .collect(),
    };
    let mut stored = copy_members(workspace, &manifest, members, folder)?;
    stored.extend(keep_answers(workspace, made, folder)?);
    runs::put_blobs(workspace, folder, &mut stored)?;
    let started = ensemble_started(workspace, made, &stored[0], folder);
    let finished = ensemble_finished(made, &stored[0]);
    session.transact(|tx| {
        let policy = fold_policy(tx.log())?;
        let mut record = Draft::<RunStream>::read(tx.log(), run)?;
        let facts = RunFacts::new(&policy, Provenance::Engine).told_by(tx.teller());
        let mut commands = vec![RunCommand::Start(Box::new(started), None)];
        commands.extend(stored.into_iter().map(RunCommand::StoreArtifact));
        commands.push(RunCommand::End(Ending::Finish(Box::new(finished))));
        for command in commands {
            record.decide(command, &facts)?;
        }
        tx.append(&mut record)?;
        Ok(())
    })
}

/// The list of members, the labels, and every file that a member is asked with.
fn copy_members(
    workspace: &Workspace,
    manifest: &EnsembleManifest,
    members: &[Member],
    folder: &RunFolder,
) -> Result<Vec<StoredFile>> {
    let list = serde_json::to_vec_pretty(manifest).unwrap_or_default();
    let path = format!("config/{MANIFEST}");
    folder.write(&path, &list)?;
    let mut stored = vec![folder.file(ARTIFACT, &path)?];
    for (number, member) in (1..).zip(members) {
        let place = format!("{MEMBERS}{number}");
        let made = folder.path.join(&place);
        durable::create_dir_all(&made)
            .map_err(|e| Error::io(format!("make {}", made.display()), e))?;
        for file in MODEL_FILES {
            let (artifact, file) = (file.artifact(), file.file_name());
            let Some(known) = member.state.artifacts.get(artifact) else { continue };
            let Some(path) = &known.path else { continue };
            let recorded = RecordedFile { name: artifact, path, digest: known.digest };
            let bytes = runs::recorded_bytes(workspace, &member.place, recorded)?;
            let target = format!("{place}/{file}");
            folder.write(&target, &bytes)?;
            stored.push(folder.file(&target, &target)?);
            if number == 1 && artifact == "labels" {
                folder.write("config/labels.json", &bytes)?;
                stored.push(folder.file("labels", "config/labels.json")?);
            }
        }
    }
    Ok(stored)
}

/// The predictions for the test rows and what identifies these rows, so that an ensemble is
/// compared row by row like any other run.
fn keep_answers(
    workspace: &Workspace,
    made: &Made<'_>,
    folder: &RunFolder,
) -> Result<Vec<StoredFile>> {
    let mut stored = Vec::new();
    let first = &made.members[0];
    for name in [TEST_ROWS, TEST_ROW_ORDER] {
        let Some(known) = first.state.artifacts.get(name) else { continue };
        let Some(path) = &known.path else { continue };
        // Bytes that were redacted identify no rows any more.
        if first.place.redacted_at(known.digest).is_some() {
            continue;
        }
        let recorded = RecordedFile { name, path, digest: known.digest };
        folder.write(path, &runs::recorded_bytes(workspace, &first.place, recorded)?)?;
        stored.push(folder.file(name, path)?);
    }
    let predictions = &made.evaluation.predictions;
    if !predictions.is_empty() {
        folder.write(PREDICTIONS_FILE, &predictions_file(predictions, &first.data.labels))?;
        stored.push(folder.file("test_predictions", PREDICTIONS_FILE)?);
    }
    Ok(stored)
}

fn ensemble_started(
    workspace: &Workspace,
    made: &Made<'_>,
    manifest: &StoredFile,
    folder: &RunFolder,
) -> RunStart {
    let Made { run, name, members, .. } = *made;
    let names: Vec<&str> =
        members.iter().map(|member| member.started.experiment_id.as_str()).collect();
    let first = &members[0].started;
    let libtorch = members.iter().find_map(|m| m.started.environment.libtorch.as_deref());
    let (environment, _) = workspace.environment(EngineFacts {
        libtorch,
        threads: environment::cpus(),
        device: "cpu",
        accelerators: Vec::new(),
    });
    let mut data = first.data.clone();
    for file in members[1..].iter().flat_map(|member| &member.started.data.files) {
        if data.files.iter().all(|known| known.digest != file.digest) {
            data.files.push(file.clone());
        }
    }
    let started = || members.iter().map(|member| &member.started);
    data.leaked_rows = started().map(|member| member.data.leaked_rows).max().unwrap_or(0);
    data.synthetic = started().find_map(|member| member.data.synthetic.clone());
    RunStart {
        run,
        name: name.to_string(),
        experiment_id: folder.experiment_id.clone(),
        folder: workspace.relative(&folder.path),
        description: format!("mean of the probabilities of {}", names.join(", ")),
        tags: vec!["ensemble".to_owned()],
        config_name: "ensemble".to_owned(),
        config: manifest.digest,
        parameters: [("ensemble.members".to_owned(), serde_json::json!(names).to_string())].into(),
        seed: first.seed,
        data,
        environment,
        trainer: concat!("annals ", env!("CARGO_PKG_VERSION")).to_owned(),
        unstated: started().flat_map(|member| member.unstated.iter().copied()).collect(),
    }
}

fn ensemble_finished(made: &Made<'_>, manifest: &StoredFile) -> RunOutcome {
    let Made { members, evaluation, seconds, .. } = *made;
    let (metrics, evaluations) = translate::scores(std::slice::from_ref(evaluation));
    RunOutcome {
        duration_seconds: seconds,
        steps: 0,
        epochs: 0,
        best: None,
        metrics,
        evaluations,
        parameter_count: members.iter().map(|member| member.finished.parameter_count).sum(),
        model_bytes: members.iter().map(|member| member.finished.model_bytes).sum(),
        weights: Some(manifest.digest),
        rows_per_second: None,
    }
}

impl Member {
    /// Refuses a member whose scores speak of something else.
    fn expect_same_rows(&self, other: &Self) -> Result<()> {
        let refused = |what: &str| {
            let (one, two) = (&self.started.experiment_id, &other.started.experiment_id);
            let message = format!("{two} has other {what} than {one}");
            Err(Error::new(ErrorKind::Rejected, message)
                .hint("members are scored together on the rows that all of them kept apart"))
        };
        let files = |member: &Self| -> Vec<Digest> {
            member.started.data.files.iter().map(|file| file.digest).collect()
        };
        let numbers = |member: &Self| -> Vec<u32> {
            member.rows.iter().map(|row| member.data.rows[*row]).collect()
        };
        if self.data.labels != other.data.labels
            || self.data.targets.is_multi() != other.data.targets.is_multi()
        {
            return refused("labels");
        }
        let sameness = self.test_rows.sameness(&other.test_rows);
        let known = sameness == Sameness::Same && self.order.is_some() && other.order.is_some();
        if !known && files(self) != files(other) {
            return refused("data files");
        }
        let targets = |member: &Self| member.data.targets.select(&member.rows);
        if sameness == Sameness::Different
            || (!known && numbers(self) != numbers(other))
            || targets(self) != targets(other)
        {
            return refused("test rows");
        }
        Ok(())
    }

    /// Puts the test rows in the order of their content, where all of them have a place in it.
    fn order_by_content(&mut self) {
        let order = self.order.iter().flatten().copied().zip(0_u32..);
        let places: BTreeMap<u32, u32> = order.collect();
        let place = |row: &usize| places.get(&self.data.rows[*row]).copied();
        if self.rows.iter().all(|row| place(row).is_some()) {
            let mut rows = self.rows.clone();
            rows.sort_by_key(place);
            self.rows = rows;
        }
    }

    fn evaluate(
        &self,
        probabilities: &[Vec<Vec<f64>>],
        thresholds: &[Vec<f64>],
    ) -> Result<Evaluation> {
        let multi = self.data.targets.is_multi();
        let thresholds = Thresholds::Given(mean_thresholds(thresholds));
        let mut scorer = Scorer::new(self.data.labels.len(), multi).with(thresholds);
        let scores = average(probabilities, multi).concat();
        let numbers: Vec<u32> = self.rows.iter().map(|row| self.data.rows[*row]).collect();
        scorer.add(&scores, &self.data.targets.select(&self.rows), &numbers).map_err(|e| {
            Error::caused(ErrorKind::TrainingFailed, "the members cannot be scored", e)
        })?;
        Ok(scorer.finish(Split::Test, &self.data.labels, self.started.seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probabilities_of_the_scores_are_the_means() {
        let members = [vec![vec![0.9, 0.1, 0.0]], vec![vec![0.5, 0.1, 0.4]]];
        let one_of = average(&members, false);
        let any_of = average(&members, true);
        for (label, mean) in [0.7, 0.1, 0.2].into_iter().enumerate() {
            assert!((f64::from(one_of[0][label]).exp() - mean).abs() < 1e-6);
            let odds = f64::from(any_of[0][label]).exp();
            assert!((odds / (1.0 + odds) - mean).abs() < 1e-6);
        }
        let sure = average(&[vec![vec![1.0, 0.0]]], true);
        assert!(sure[0].iter().all(|score| score.is_finite()));
    }

    #[test]
    fn files_of_members_are_told_apart() {
        assert_eq!(member_file("members/1/vocab.txt", 1), Some("vocab.txt"));
        assert_eq!(member_file("members/12/vocab.txt", 1), None);
        assert!(is_of_member("members/12/vocab.txt") && !is_of_member("config.yaml"));
    }
}
