//! Which runs may go into production: the rules of the policy, and whether the files of the model
//! can be had, judged as `promote` judges them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::runs::run_files::{RunFiles, files_of_details, files_of_summary};
use crate::app::{Error, ErrorKind, Result, Workspace, runs};
use crate::base::RunId;
use crate::domain::RuleResult;
use crate::projection::Snapshot;
use crate::projection::best::{Candidate, FILES_RULE};

/// A run against the rules, as programs read it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CandidateLine {
    /// The run.
    pub run_id: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// Whether it meets every rule.
    pub candidate: bool,
    /// The rules.
    pub rules: Vec<RuleResult>,
}

impl From<Candidate> for CandidateLine {
    fn from(candidate: Candidate) -> Self {
        Self {
            run_id: candidate.run,
            experiment_id: candidate.experiment_id,
            candidate: candidate.assessment.is_candidate(),
            rules: candidate.assessment.rules,
        }
    }
}

/// The run that is named, or every finished run, against the rules in force.
///
/// # Errors
/// As `candidate`; [`ErrorKind::NotFound`] for an unknown run.
pub fn candidate_lines(workspace: &Workspace, only: Option<&str>) -> Result<Vec<CandidateLine>> {
    let views = workspace.snapshot()?;
    let candidates = match only {
        Some(text) => vec![candidate(workspace, &views, workspace.find_run(&views, text)?)?],
        None => candidates(workspace, &views)?,
    };
    Ok(candidates.into_iter().map(Into::into).collect())
}

/// Every finished run against the rules in force, newest first. Runs whose files were removed
/// are left out.
///
/// # Errors
/// When views or log cannot be read.
pub fn candidates(workspace: &Workspace, views: &Snapshot) -> Result<Vec<Candidate>> {
    let redacted = runs::redacted_files(workspace)?;
    Ok(views.candidates(|run| {
        let files = RunFiles::of_summary(run, redacted.clone());
        let available = runs::model_available(workspace, &files, &files_of_summary(run));
        available.err().map(|why| unmet(&why))
    })?)
}

/// One run against the rules in force.
///
/// # Errors
/// [`ErrorKind::Rejected`] for a run that has not finished or whose files were removed.
pub(in crate::app) fn candidate(
    workspace: &Workspace,
    views: &Snapshot,
    run: RunId,
) -> Result<Candidate> {
    let details = views
        .run(run)?
        .ok_or_else(|| Error::new(ErrorKind::Bug, format!("BUG: run {run} is in no view")))?;
    let place = RunFiles::of_details(&details, runs::redacted_files(workspace)?);
    place.refuse_removed()?;
    let Some(mut candidate) = views.candidate(run)? else {
        let status = workspace.status_now(details.status, None)?.word();
        let message = format!("{} is {status}", details.experiment_id);
        return Err(Error::new(ErrorKind::Rejected, message)
            .hint("only a finished run is judged by the policy"));
    };
    let available = runs::model_available(workspace, &place, &files_of_details(&details));
    candidate.assessment.rules.extend(available.err().map(|why| unmet(&why)));
    Ok(candidate)
}

fn unmet(why: &Error) -> RuleResult {
    RuleResult {
        rule: FILES_RULE.into(),
        passed: false,
        required: "every file of the model can be had".into(),
        found: why.to_string().into(),
    }
}
