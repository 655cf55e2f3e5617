//! Best models and candidates: questions over the runs, answered with the evidence.

use std::collections::BTreeMap;

use serde::Serialize;

use super::row::{open, value};
use super::runs::{ArchivedRunDetails, DETAILS, RunDetails, Status};
use super::{Snapshot, ViewError};
use crate::base::{Direction, RunId, Split};
use crate::domain::metric::FinalMetric;
use crate::domain::policy::{Assessment, Policy, assess};
use crate::domain::run::{Category, RunState};

/// Runs of one configuration that differ in their seed only, needed to call a model stable.
const STABLE_RUNS_MIN: usize = 3;

/// The best run in one respect.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Best {
    /// The respect: `highest_accuracy`, `best_f1_macro`, …
    pub role: &'static str,
    /// The run's unique name.
    pub experiment_id: String,
    /// What was measured.
    pub metric: String,
    /// Where.
    pub split: Split,
    /// The value; for `most_stable` the spread over the seeds.
    pub value: f64,
    /// Position of the event that holds the value.
    pub position: u64,
    /// How many runs were compared.
    pub runs: usize,
}

/// Why the best are the best.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestExplained {
    /// For each respect, the runs in order.
    pub rankings: Vec<Ranking>,
    /// Finished runs that do not count, and why.
    pub left_out: Vec<LeftOut>,
}

/// Runs in order of one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// The respect.
    pub role: &'static str,
    /// What was measured.
    pub metric: String,
    /// Unique name, value, and position of the event that holds it; best first.
    pub runs: Vec<(String, f64, u64)>,
}

/// A finished run that does not count.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftOut {
    /// Its unique name.
    pub experiment_id: String,
    /// What keeps it out.
    pub why: Vec<&'static str>,
}

/// A run against the rules in force.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The run.
    pub run: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// Position of its start.
    pub position: u64,
    /// Rule by rule.
    pub assessment: Assessment,
}

impl Candidate {
    /// Reads the row in place: what is not judged, such as parameters, is most of it.
    fn of(row: &[u8], policy: &Policy) -> Result<Option<Self>, ViewError> {
        let row: &ArchivedRunDetails = open(&DETAILS, row)?;
        let status: Status = value(&DETAILS, &row.status)?;
        if status != Status::Finished || row.deleted.is_some() {
            return Ok(None);
        }
        let equal = row.reproductions.iter().filter(|reproduction| reproduction.1).count();
        let state = RunState {
            id: Some(RunId(row.id)),
            status: status.into(),
            category: value(&DETAILS, &row.category)?,
            synthetic: row.synthetic,
            leaked_rows: row.leaked_rows.to_native(),
            rows: value::<Vec<(Split, u64)>>(&DETAILS, &row.rows)?,
            provenance: value(&DETAILS, &row.provenance)?,
            metrics: value(&DETAILS, &row.metrics)?,
            evaluations: value(&DETAILS, &row.evaluations)?,
            reproduced: u32::try_from(equal).unwrap_or(u32::MAX),
            ..RunState::default()
        };
        Ok(Some(Self {
            run: RunId(row.id),
            experiment_id: row.experiment_id.as_str().to_owned(),
            position: row.started_position.to_native(),
            assessment: assess(policy, &state),
        }))
    }
}

impl Snapshot {
    /// Every finished run against the rules in force, newest first.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn candidates(&self) -> Result<Vec<Candidate>, ViewError> {
        let (_, policy) = self.policy()?;
        let mut candidates = Vec::new();
        self.scan(&DETAILS, &[], |_, row| {
            candidates.extend(Candidate::of(row, &policy)?);
            Ok(())
        })?;
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.position));
        Ok(candidates)
    }

    /// One finished run against the rules in force; none for a run that has not finished.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn candidate(&self, run: RunId) -> Result<Option<Candidate>, ViewError> {
        let (_, policy) = self.policy()?;
        let row = self.get(&DETAILS, &run.0)?;
        row.map_or(Ok(None), |row| Candidate::of(&row, &policy))
    }

    /// Why the best are the best: who came after them, and who does not count.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn best_explained(&self) -> Result<BestExplained, ViewError> {
        let (_, policy) = self.policy()?;
        let runs = self.run_details()?;
        let allowed: Vec<&RunDetails> = runs.iter().filter(|run| counts(run, &policy)).collect();
        let ranking = |(role, metric): (&'static str, String)| {
            let of = |m: &&FinalMetric| m.key.name == metric && m.key.split == Some(Split::Test);
            let mut found: Vec<(&RunDetails, &FinalMetric)> = allowed
                .iter()
                .filter_map(|run| Some((*run, run.metrics.iter().find(of)?)))
                .collect();
            // Stable: on a tie the earlier run keeps its place.
            found.sort_by(|a, b| match a.1.key.direction {
                Direction::Lower => a.1.value.total_cmp(&b.1.value),
                _ => b.1.value.total_cmp(&a.1.value),
            });
            let row = |(run, metric): (&RunDetails, &FinalMetric)| {
                let position = run.ended_position.unwrap_or(run.started_position);
                (run.experiment_id.clone(), metric.value, position)
            };
            Ranking { role, runs: found.into_iter().map(row).collect(), metric: metric.clone() }
        };
        let rankings = roles(&policy).into_iter().map(ranking).filter(|r| !r.runs.is_empty());
        let finished = runs.iter().filter(|run| run.status == Status::Finished);
        let left_out = finished
            .map(|run| LeftOut {
                experiment_id: run.experiment_id.clone(),
                why: objections(run, &policy),
            })
            .filter(|left| !left.why.is_empty());
        Ok(BestExplained { rankings: rankings.collect(), left_out: left_out.collect() })
    }

    /// The best run in each respect; respects that no run qualifies for are left out.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn best(&self) -> Result<Vec<Best>, ViewError> {
        let (_, policy) = self.policy()?;
        Ok(best(&self.run_details()?, &policy))
    }
}

/// The best of `runs`, which are in the order they began, in each respect.
pub fn best(runs: &[RunDetails], policy: &Policy) -> Vec<Best> {
    let allowed: Vec<&RunDetails> = runs.iter().filter(|run| counts(run, policy)).collect();
    let mut best: Vec<Best> = roles(policy)
        .into_iter()
        .filter_map(|(role, metric)| best_by(&allowed, role, &metric, Split::Test))
        .collect();
    best.extend(most_stable(&allowed));
    best
}

/// The respects and their metrics on the test split.
fn roles(policy: &Policy) -> Vec<(&'static str, String)> {
    let critical = policy.production_promotion.critical_class.as_ref();
    let mut roles =
        vec![("highest_accuracy", "accuracy".to_owned()), ("best_f1_macro", "f1_macro".to_owned())];
    roles.extend(critical.map(|class| ("best_critical_recall", format!("recall_{class}"))));
    roles.push(("lowest_loss", "loss".to_owned()));
    roles
}

/// What keeps a finished run out: debug runs, generated data and metrics without evidence count
/// only where the rules allow them.
fn objections(run: &RunDetails, policy: &Policy) -> Vec<&'static str> {
    let rules = &policy.production_promotion;
    let mut why = Vec::new();
    if !rules.allow_debug && run.category == Category::Debug {
        why.push("a debug run");
    }
    if !rules.allow_synthetic && run.synthetic {
        why.push("generated data");
    }
    if !run.provenance.is_some_and(|provenance| rules.evidence.contains(&provenance)) {
        why.push("scores without the evidence that the policy asks for");
    }
    why
}

fn counts(run: &RunDetails, policy: &Policy) -> bool {
    run.status == Status::Finished && run.deleted.is_none() && objections(run, policy).is_empty()
}

fn best_by(runs: &[&RunDetails], role: &'static str, metric: &str, split: Split) -> Option<Best> {
    let of = |m: &&FinalMetric| m.key.name == metric && m.key.split == Some(split);
    let measured: Vec<(&RunDetails, &FinalMetric)> =
        runs.iter().filter_map(|run| Some((*run, run.metrics.iter().find(of)?))).collect();
    // On a tie the earlier run keeps its place.
    let (run, found) = measured.iter().copied().reduce(|best, next| {
        if next.1.key.direction.is_better(next.1.value, best.1.value) { next } else { best }
    })?;
    (found.key.direction != Direction::Neutral).then(|| Best {
        role,
        experiment_id: run.experiment_id.clone(),
        metric: metric.to_owned(),
        split,
        value: found.value,
        position: run.ended_position.unwrap_or(run.started_position),
        runs: measured.len(),
    })
}

fn most_stable(runs: &[&RunDetails]) -> Option<Best> {
    type Key<'a> = (&'a [(String, String)], &'a [String]);
    let mut groups: BTreeMap<Key<'_>, Vec<&RunDetails>> = BTreeMap::new();
    for run in runs {
        groups.entry((&run.parameters, &run.labels)).or_default().push(run);
    }
    let spread = |group: &[&RunDetails]| {
        let mut by_seed: BTreeMap<u64, f64> = BTreeMap::new();
        for run in group {
            by_seed.insert(run.seed, run.metric("f1_macro", Split::Test)?);
        }
        let (low, high) = by_seed
            .values()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        (by_seed.len() >= STABLE_RUNS_MIN).then_some((high - low, by_seed.len()))
    };
    let (group, (spread, seeds)) = groups
        .values()
        .filter_map(|group| Some((group, spread(group)?)))
        .min_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
    let last = group.last()?;
    Some(Best {
        role: "most_stable",
        experiment_id: last.experiment_id.clone(),
        metric: "f1_macro".into(),
        split: Split::Test,
        value: spread,
        position: last.ended_position.unwrap_or(last.started_position),
        runs: seeds,
    })
}
