//! Best models and candidates: questions over the runs, answered with the evidence.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::run_summary::RunSummary;
use super::runs::{DETAILS, RunDetails};
use super::{Snapshot, ViewError};
use crate::base::{Digest, Direction, RunId, Split, counted};
use crate::domain::metric::FinalMetric;
use crate::domain::policy::{Assessment, Policy, assess};
use crate::domain::run::{Category, RunStatus, TestRows, Unstated};
use crate::domain::{Provenance, RuleResult};

/// Runs of one configuration that differ in their seed only, needed to call a model stable.
const STABLE_RUNS_MIN: usize = 3;
/// Hexadecimal digits by which a set of test rows is named.
const ROWS_DIGITS: usize = 12;

/// A respect in which one run is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BestRole {
    /// Highest accuracy on the test split.
    HighestAccuracy,
    /// Highest macro F1 on the test split.
    BestF1Macro,
    /// Highest recall of the class that the policy calls critical.
    BestCriticalRecall,
    /// Lowest loss on the test split.
    LowestLoss,
    /// Smallest spread over seeds.
    MostStable,
}

impl BestRole {
    /// The word used in files and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::HighestAccuracy => "highest_accuracy",
            Self::BestF1Macro => "best_f1_macro",
            Self::BestCriticalRecall => "best_critical_recall",
            Self::LowestLoss => "lowest_loss",
            Self::MostStable => "most_stable",
        }
    }
}

/// The best run in one respect.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Best {
    /// The respect.
    pub role: BestRole,
    /// The run's unique name; for `most_stable` the newest run of its configuration.
    pub experiment_id: String,
    /// What was measured.
    pub metric: String,
    /// Where.
    pub split: Split,
    /// The value; for `most_stable` the mean over the seeds.
    pub value: f64,
    /// For `most_stable` the highest minus the lowest value over the seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// Position of the event that holds the value.
    pub position: u64,
    /// How many runs were compared; for `most_stable` how many seeds.
    pub runs: usize,
    /// How many of them were not, or not provably, measured on the same test rows as this one.
    pub on_other_rows: usize,
    /// What weakens the evidence: `typed in`, `reported by a script`, `3 leaked rows`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
}

/// The best run in each respect.
#[derive(Clone, Debug, Default)]
pub struct BestRuns {
    /// One for each respect that a run qualifies for.
    pub best: Vec<Best>,
    /// How many finished runs would count with [`Admission::Unproven`].
    pub unproven: usize,
    /// How many finished runs the policy does not let count.
    pub barred: usize,
}

/// Why the best are the best.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BestExplained {
    /// For each respect and each set of test rows, the runs in order.
    pub rankings: Vec<Ranking>,
    /// What weakens the evidence of a ranked run, by its unique name.
    pub marks: BTreeMap<String, Vec<String>>,
    /// Finished runs that do not count, and why.
    pub left_out: Vec<LeftOut>,
}

/// Runs that were measured on the same test rows, in order of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Ranking {
    /// The respect.
    pub role: BestRole,
    /// What was measured.
    pub metric: String,
    /// The first digits of what identifies the test rows; none where they are not recorded.
    pub test_rows: Option<String>,
    /// Unique name, value, and position of the event that holds it; best first.
    pub runs: Vec<(String, f64, u64)>,
}

/// A finished run that does not count.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LeftOut {
    /// Its unique name.
    pub experiment_id: String,
    /// What keeps it out.
    pub why: Vec<&'static str>,
    /// Whether it would count with [`Admission::Unproven`].
    pub unproven: bool,
}

/// Which runs count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Those that annals measured or saw measured, on test rows that are not training rows.
    Measured,
    /// Also those whose scores were typed in, reported or imported, or whose test rows leaked.
    Unproven,
}

/// The rule that the files of a model can be had; it is judged where files are known.
pub const FILES_RULE: &str = "files";

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
    fn of(run: &RunSummary<'_>, policy: &Policy) -> Option<Self> {
        let wanted = run.status == RunStatus::Finished && !run.deleted;
        wanted.then(|| Self {
            run: run.run(),
            experiment_id: run.experiment_id.to_owned(),
            assessment: assess(policy, run),
        })
    }
}

impl Snapshot {
    /// Every finished run against the rules in force, newest first. Of one that meets them all,
    /// `unmet` is the rule about its files where it does not meet that.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn candidates(
        &self,
        unmet: impl Fn(&RunSummary<'_>) -> Option<RuleResult> + Sync,
    ) -> Result<Vec<Candidate>, ViewError> {
        let (_, policy) = self.policy()?;
        let mut candidates = self.map_runs(|run| {
            let mut candidate = Candidate::of(run, &policy)?;
            if candidate.assessment.is_candidate() {
                candidate.assessment.rules.extend(unmet(run));
            }
            Some(candidate)
        })?;
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
        row.map_or(Ok(None), |row| Ok(Candidate::of(&RunSummary::of(&row)?, &policy)))
    }

    /// Why the best are the best: who came after them, and who does not count.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn best_explained(&self, admission: Admission) -> Result<BestExplained, ViewError> {
        let (_, policy) = self.policy()?;
        let contest = Contest::new(&policy, admission);
        let entries = self.map_runs(|run| {
            let finished = run.status == RunStatus::Finished && !run.deleted;
            finished.then(|| contest.enter(run).ok_or_else(|| contest.left_out(run)))
        })?;
        let (mut runs, mut left_out) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Ok(run) => runs.push(run),
                Err(left) => left_out.push(left),
            }
        }
        let marks = runs.iter().filter(|run| !run.marks.is_empty());
        let marks = marks.map(|run| (run.experiment_id.clone(), run.marks.clone())).collect();
        let runs: Vec<&Contender> = runs.iter().collect();
        Ok(BestExplained { rankings: contest.rankings(&runs), marks, left_out })
    }

    /// The best run in each respect, and how many do not count; respects that no run qualifies
    /// for are left out.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn best(&self, admission: Admission) -> Result<BestRuns, ViewError> {
        let (_, policy) = self.policy()?;
        let contest = Contest::new(&policy, admission);
        let entries = self.map_runs(|run| {
            let finished = run.status == RunStatus::Finished && !run.deleted;
            finished.then(|| contest.enter(run).ok_or_else(|| contest.is_unproven(run)))
        })?;
        let (mut runs, mut unproven, mut barred) = (Vec::new(), 0, 0);
        for entry in &entries {
            match entry {
                Ok(run) => runs.push(run),
                Err(true) => unproven += 1,
                Err(false) => barred += 1,
            }
        }
        Ok(BestRuns { best: contest.best(&runs), unproven, barred })
    }
}

/// What weakens the evidence of a run's scores.
pub fn marks(run: &RunDetails) -> Vec<String> {
    marks_of(run.provenance, run.leaked_rows, run.synthetic, run.category)
}

fn marks_of(
    provenance: Option<Provenance>,
    leaked_rows: u64,
    synthetic: bool,
    category: Category,
) -> Vec<String> {
    let mut marks = Vec::new();
    match provenance {
        Some(Provenance::Typed) => marks.push("typed in".to_owned()),
        Some(Provenance::Reported) => marks.push("reported by a script".to_owned()),
        Some(Provenance::Imported) => marks.push("imported".to_owned()),
        Some(Provenance::Supervised) => marks.push("printed by a script".to_owned()),
        _ => {}
    }
    if leaked_rows > 0 {
        marks.push(counted(leaked_rows, "leaked row"));
    }
    if synthetic {
        marks.push("generated data".to_owned());
    }
    if category == Category::Debug {
        marks.push("debug run".to_owned());
    }
    marks
}

/// A run that counts, with what it is compared by.
#[derive(Clone, Debug)]
pub struct Contender {
    experiment_id: String,
    /// Digest of its data and its configuration without the seed; none where nothing is known.
    configuration: Option<Digest>,
    test_rows: TestRows,
    /// None where nobody stated it.
    seed: Option<u64>,
    /// Position of the event that holds its values.
    position: u64,
    /// On the test split.
    metrics: Vec<FinalMetric>,
    marks: Vec<String>,
}

impl Contender {
    fn metric(&self, name: &str) -> Option<&FinalMetric> {
        self.metrics.iter().find(|metric| metric.key.name == name)
    }
}

/// What runs are compared in under a policy.
pub struct Contest<'p> {
    policy: &'p Policy,
    admission: Admission,
    roles: Vec<(BestRole, String)>,
}

impl<'p> Contest<'p> {
    /// The respects that `policy` knows.
    pub fn new(policy: &'p Policy, admission: Admission) -> Self {
        Self { policy, admission, roles: roles(policy) }
    }

    /// None for a run that does not count.
    pub fn enter(&self, run: &RunSummary<'_>) -> Option<Contender> {
        let RunSummary { category, synthetic, provenance, leaked_rows, .. } = *run;
        let asked = |m: &&FinalMetric| {
            m.key.split == Some(Split::Test) && self.roles.iter().any(|(_, n)| *n == m.key.name)
        };
        self.admits(run).then(|| Contender {
            experiment_id: run.experiment_id.to_owned(),
            // Generated rows follow from the seed, which is what the runs of a group differ in.
            configuration: match synthetic {
                true => Some(run.config_fingerprint()),
                false => run.configuration(),
            },
            test_rows: run.test_rows().unwrap_or_default(),
            seed: run.stated(Unstated::Seed).then_some(run.seed),
            position: run.position,
            metrics: run.metrics.iter().filter(asked).cloned().collect(),
            marks: marks_of(provenance, leaked_rows, synthetic, category),
        })
    }

    fn left_out(&self, run: &RunSummary<'_>) -> LeftOut {
        LeftOut {
            experiment_id: run.experiment_id.to_owned(),
            unproven: self.is_unproven(run),
            why: self.objections(run).map(|(why, _)| why).collect(),
        }
    }

    /// Whether a run that does not count lacks nothing but proof.
    fn is_unproven(&self, run: &RunSummary<'_>) -> bool {
        self.objections(run).all(|(_, unproven)| unproven)
    }

    /// Whether a run counts.
    pub fn admits(&self, run: &RunSummary<'_>) -> bool {
        run.status == RunStatus::Finished && !run.deleted && self.objections(run).next().is_none()
    }

    /// What keeps a finished run out, and whether that is missing proof: debug runs and generated
    /// data count only where the rules allow them, unproven scores only where they are admitted.
    fn objections(&self, run: &RunSummary<'_>) -> impl Iterator<Item = (&'static str, bool)> {
        let rules = &self.policy.production_promotion;
        let unproven = self.admission == Admission::Measured;
        let provenance = run.provenance;
        let weak = match provenance {
            // The default rules let reported runs become candidates, for people then judge them.
            Some(Provenance::Reported) => Some("scores that a script reported"),
            Some(provenance) if rules.evidence.contains(&provenance) => None,
            Some(Provenance::Typed) => Some("scores that were typed in"),
            Some(Provenance::Imported) => Some("scores that were imported"),
            _ => Some("scores without the evidence that the policy requires"),
        };
        [
            (!rules.allow_debug && run.category == Category::Debug)
                .then_some(("a debug run", false)),
            (!rules.allow_synthetic && run.synthetic).then_some(("generated data", false)),
            weak.filter(|_| unproven).map(|weak| (weak, true)),
            (unproven && run.leaked_rows > 0)
                .then_some(("test or validation rows that are also training rows", true)),
        ]
        .into_iter()
        .flatten()
    }

    /// The best of `runs`, which are in the order they began, in each respect.
    pub fn best(&self, runs: &[&Contender]) -> Vec<Best> {
        let groups = groups(runs);
        let by_role =
            self.roles.iter().filter_map(|(role, metric)| best_by(runs, &groups, *role, metric));
        by_role.chain(most_stable(runs)).collect()
    }

    /// The runs of each set of test rows in order of each metric; larger sets first.
    fn rankings(&self, runs: &[&Contender]) -> Vec<Ranking> {
        let groups = groups(runs);
        let mut rankings = Vec::new();
        for (role, metric) in &self.roles {
            let mut sets: BTreeMap<Option<usize>, Vec<(&Contender, &FinalMetric)>> =
                BTreeMap::new();
            for (run, group) in runs.iter().zip(&groups) {
                let found = run.metric(metric).map(|found| (*run, found));
                found.into_iter().for_each(|entry| sets.entry(*group).or_default().push(entry));
            }
            let mut sets: Vec<_> = sets.into_values().collect();
            sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
            for mut set in sets {
                // Stable: on a tie the earlier run keeps its place.
                set.sort_by(|a, b| match a.1.key.direction {
                    Direction::Lower => a.1.value.total_cmp(&b.1.value),
                    _ => b.1.value.total_cmp(&a.1.value),
                });
                let rows = set.first().map(|(run, _)| run.test_rows).unwrap_or_default();
                let rows =
                    rows.digest.or(rows.rule).map(|digest| Digest(digest).short(ROWS_DIGITS));
                let row = |(run, metric): (&Contender, &FinalMetric)| {
                    (run.experiment_id.clone(), metric.value, run.position)
                };
                let (metric, test_rows) = (metric.clone(), rows);
                let runs = set.into_iter().map(row).collect();
                rankings.push(Ranking { role: *role, metric, test_rows, runs });
            }
        }
        rankings
    }
}

/// The set of test rows of each run.
fn groups(runs: &[&Contender]) -> Vec<Option<usize>> {
    TestRows::groups(&runs.iter().map(|run| run.test_rows).collect::<Vec<_>>())
}

/// The respects and their metrics on the test split.
fn roles(policy: &Policy) -> Vec<(BestRole, String)> {
    let critical = policy.production_promotion.critical_class.as_ref();
    let mut roles = vec![
        (BestRole::HighestAccuracy, "accuracy".to_owned()),
        (BestRole::BestF1Macro, "f1_macro".to_owned()),
    ];
    let recall = |class| (BestRole::BestCriticalRecall, format!("recall_{class}"));
    roles.extend(critical.map(recall));
    roles.push((BestRole::LowestLoss, "loss".to_owned()));
    roles
}

fn best_by(
    runs: &[&Contender],
    groups: &[Option<usize>],
    role: BestRole,
    metric: &str,
) -> Option<Best> {
    let measured: Vec<(&Contender, Option<usize>, &FinalMetric)> = runs
        .iter()
        .zip(groups)
        .filter_map(|(run, group)| Some((*run, *group, run.metric(metric)?)))
        .collect();
    // On a tie the earlier run keeps its place.
    let (run, group, found) = measured.iter().copied().reduce(|best, next| {
        if next.2.key.direction.is_better(next.2.value, best.2.value) { next } else { best }
    })?;
    let same = |other: &Option<usize>| group.is_some() && *other == group;
    let on_same_rows = measured.iter().filter(|(_, other, _)| same(other)).count().max(1);
    (found.key.direction != Direction::Neutral).then(|| Best {
        role,
        experiment_id: run.experiment_id.clone(),
        metric: metric.to_owned(),
        split: Split::Test,
        value: found.value,
        spread: None,
        position: run.position,
        runs: measured.len(),
        on_other_rows: measured.len() - on_same_rows,
        marks: run.marks.clone(),
    })
}

fn most_stable(runs: &[&Contender]) -> Option<Best> {
    // Of configurations that are as stable the older wins.
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut all: Vec<Vec<&Contender>> = Vec::new();
    for run in runs {
        let Some(configuration) = run.configuration else { continue };
        let place = *places.entry(configuration).or_insert(all.len());
        match all.get_mut(place) {
            Some(group) => group.push(run),
            None => all.push(vec![run]),
        }
    }
    let by_seed = |group: &Vec<&Contender>| {
        let mut by_seed: BTreeMap<u64, f64> = BTreeMap::new();
        for run in group {
            // Two unknown seeds may be one.
            let Some(seed) = run.seed else { continue };
            by_seed.insert(seed, run.metric("f1_macro")?.value);
        }
        let values: Vec<f64> = by_seed.into_values().collect();
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
        (values.len() >= STABLE_RUNS_MIN).then_some((high - low, values))
    };
    let (group, (spread, values)) = all
        .iter()
        .filter_map(|group| Some((group, by_seed(group)?)))
        .min_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
    let last = group.last()?;
    let sets = TestRows::groups(&group.iter().map(|run| run.test_rows).collect::<Vec<_>>());
    let last_set = sets.last().copied().flatten();
    Some(Best {
        role: BestRole::MostStable,
        experiment_id: last.experiment_id.clone(),
        metric: "f1_macro".into(),
        split: Split::Test,
        value: values.iter().sum::<f64>() / values.len() as f64,
        spread: Some(spread),
        position: last.position,
        runs: values.len(),
        on_other_rows: sets[..sets.len() - 1]
            .iter()
            .filter(|set| last_set.is_none() || **set != last_set)
            .count(),
        marks: last.marks.clone(),
    })
}
