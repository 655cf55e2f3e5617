//! Best models and candidates: questions over the runs, answered with the evidence.

use std::collections::BTreeMap;

use serde::Serialize;

use super::judged::Judged;
use super::runs::{DETAILS, RunDetails, Status};
use super::{Snapshot, ViewError};
use crate::base::{Digest, Direction, RunId, Split};
use crate::domain::Provenance;
use crate::domain::metric::FinalMetric;
use crate::domain::policy::{Assessment, Policy, assess};
use crate::domain::run::{Category, RunState, RunStatus};

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
    /// Rule by rule.
    pub assessment: Assessment,
}

impl Candidate {
    fn of(run: &Judged<'_>, policy: &Policy) -> Option<Self> {
        let wanted = run.state.status == RunStatus::Finished && !run.deleted;
        wanted.then(|| Self {
            run: run.run(),
            experiment_id: run.experiment_id.to_owned(),
            assessment: assess(policy, &run.state),
        })
    }
}

impl Snapshot {
    /// Every finished run against the rules in force, newest first.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn candidates(&self) -> Result<Vec<Candidate>, ViewError> {
        let (_, policy) = self.policy()?;
        let mut candidates = self.judge(|run| Candidate::of(run, &policy))?;
        candidates.reverse();
        Ok(candidates)
    }

    /// One finished run against the rules in force; none for a run that has not finished.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn candidate(&self, run: RunId) -> Result<Option<Candidate>, ViewError> {
        let (_, policy) = self.policy()?;
        let row = self.get(&DETAILS, &run.0)?;
        row.map_or(Ok(None), |row| Ok(Candidate::of(&Judged::of(&row)?, &policy)))
    }

    /// Why the best are the best: who came after them, and who does not count.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn best_explained(&self) -> Result<BestExplained, ViewError> {
        let (_, policy) = self.policy()?;
        let runs = self.run_details()?;
        let objections =
            |run: &RunDetails| objections(&policy, run.category, run.synthetic, run.provenance);
        let finished = runs.iter().filter(|run| run.status == Status::Finished);
        let counts = |run: &&RunDetails| run.deleted.is_none() && objections(run).is_empty();
        let allowed: Vec<&RunDetails> = finished.clone().filter(counts).collect();
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
        let left_out = finished
            .map(|run| LeftOut { experiment_id: run.experiment_id.clone(), why: objections(run) })
            .filter(|left| !left.why.is_empty());
        Ok(BestExplained { rankings: rankings.collect(), left_out: left_out.collect() })
    }

    /// The best run in each respect; respects that no run qualifies for are left out.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn best(&self) -> Result<Vec<Best>, ViewError> {
        let (_, policy) = self.policy()?;
        let contest = Contest::new(&policy);
        Ok(contest.best(&self.judge(|run| contest.enter(run))?))
    }
}

/// A run that counts, with what it is compared by.
#[derive(Clone, Debug)]
pub struct Contender {
    experiment_id: String,
    /// Digest of its configuration without the seed, and its labels.
    question: Digest,
    seed: u64,
    /// Position of the event that holds its values.
    position: u64,
    /// On the test split.
    metrics: Vec<FinalMetric>,
}

impl Contender {
    fn metric(&self, name: &str) -> Option<&FinalMetric> {
        self.metrics.iter().find(|metric| metric.key.name == name)
    }
}

/// What runs are compared in under a policy.
pub struct Contest<'p> {
    policy: &'p Policy,
    roles: Vec<(&'static str, String)>,
}

impl<'p> Contest<'p> {
    /// The respects that `policy` knows.
    pub fn new(policy: &'p Policy) -> Self {
        Self { policy, roles: roles(policy) }
    }

    /// None for a run that does not count.
    pub fn enter(&self, run: &Judged<'_>) -> Option<Contender> {
        let RunState { status, category, synthetic, provenance, .. } = run.state;
        let counts = status == RunStatus::Finished
            && !run.deleted
            && objections(self.policy, category, synthetic, provenance).is_empty();
        let asked = |m: &&FinalMetric| {
            m.key.split == Some(Split::Test) && self.roles.iter().any(|(_, n)| *n == m.key.name)
        };
        counts.then(|| Contender {
            experiment_id: run.experiment_id.to_owned(),
            question: run.question(),
            seed: run.seed,
            position: run.position,
            metrics: run.state.metrics.iter().filter(asked).cloned().collect(),
        })
    }

    /// The best of `runs`, which are in the order they began, in each respect.
    pub fn best(&self, runs: &[Contender]) -> Vec<Best> {
        let by_role = self.roles.iter().filter_map(|(role, metric)| best_by(runs, role, metric));
        by_role.chain(most_stable(runs)).collect()
    }
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
fn objections(
    policy: &Policy,
    category: Category,
    synthetic: bool,
    provenance: Option<Provenance>,
) -> Vec<&'static str> {
    let rules = &policy.production_promotion;
    let mut why = Vec::new();
    if !rules.allow_debug && category == Category::Debug {
        why.push("a debug run");
    }
    if !rules.allow_synthetic && synthetic {
        why.push("generated data");
    }
    if !provenance.is_some_and(|provenance| rules.evidence.contains(&provenance)) {
        why.push("scores without the evidence that the policy asks for");
    }
    why
}

fn best_by(runs: &[Contender], role: &'static str, metric: &str) -> Option<Best> {
    let measured: Vec<(&Contender, &FinalMetric)> =
        runs.iter().filter_map(|run| Some((run, run.metric(metric)?))).collect();
    // On a tie the earlier run keeps its place.
    let (run, found) = measured.iter().copied().reduce(|best, next| {
        if next.1.key.direction.is_better(next.1.value, best.1.value) { next } else { best }
    })?;
    (found.key.direction != Direction::Neutral).then(|| Best {
        role,
        experiment_id: run.experiment_id.clone(),
        metric: metric.to_owned(),
        split: Split::Test,
        value: found.value,
        position: run.position,
        runs: measured.len(),
    })
}

fn most_stable(runs: &[Contender]) -> Option<Best> {
    // Runs of one question; of questions that are as stable the older wins.
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Contender>> = Vec::new();
    for run in runs {
        let place = *places.entry(run.question).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let spread = |group: &[&Contender]| {
        let mut by_seed: BTreeMap<u64, f64> = BTreeMap::new();
        for run in group {
            by_seed.insert(run.seed, run.metric("f1_macro")?.value);
        }
        let (low, high) = by_seed
            .values()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        (by_seed.len() >= STABLE_RUNS_MIN).then_some((high - low, by_seed.len()))
    };
    let (group, (spread, seeds)) = groups
        .iter()
        .filter_map(|group| Some((group, spread(group)?)))
        .min_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
    let last = group.last()?;
    Some(Best {
        role: "most_stable",
        experiment_id: last.experiment_id.clone(),
        metric: "f1_macro".into(),
        split: Split::Test,
        value: spread,
        position: last.position,
        runs: seeds,
    })
}
