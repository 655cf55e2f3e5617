//! The consolidation report: what there is, what is best for what, what was done and what is
//! left to do.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::plan::{PlanRow, Planned, metrics};
use crate::app::{Result, Workspace, runs};
use crate::base::{RequestId, Split, Timestamp};
use crate::domain::RuleResult;
use crate::domain::policy::{Action, Class, Policy, stem};
use crate::domain::registry::RequestStatus;
use crate::domain::run::RunStatus;
use crate::model::settings;
use crate::projection::Snapshot;
use crate::projection::best::{Admission, BestRole};
use crate::projection::consolidations::ConsolidationRow;
use crate::projection::runs::RunDetails;

/// Begins the rule of a run that a consolidation archived.
const RULE: &str = "consolidation ";

/// The runs of one class.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClassInventory {
    /// Which.
    pub class: Class,
    /// How many runs, those included whose files are gone.
    pub runs: usize,
    /// Its series: name, runs whose files are there, runs whose files are gone.
    pub series: Vec<(String, usize, usize)>,
    /// The best of it; none for runs without a model.
    pub best: Option<ModelLine>,
    /// Runs without a model whose files are there, with how they ended and why.
    pub endings: Vec<(String, String)>,
}

/// A model in numbers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelLine {
    /// The run's unique name.
    pub experiment_id: String,
    /// Layers, width and vocabulary, else the name of its configuration.
    pub architecture: String,
    /// On the test split.
    pub accuracy: Option<f64>,
    /// On the test split.
    pub f1_macro: Option<f64>,
    /// What it is the one to take for.
    pub best_for: Vec<String>,
    /// The rules for production that it does not meet.
    pub issues: Vec<String>,
}

/// One of the four phases.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Phase {
    /// What it is.
    pub title: &'static str,
    /// Runs or files of which it is done.
    pub done: usize,
    /// Those of which it is not.
    pub left: usize,
    /// What belongs to it.
    pub steps: Vec<String>,
}

impl Phase {
    /// How far it got.
    pub fn state(&self) -> &'static str {
        match (self.done, self.left) {
            (0, 0) => "nothing to do",
            (_, 0) => "done",
            (0, _) => "to do",
            _ => "in part",
        }
    }
}

/// What happened since the last consolidation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SinceLastConsolidation {
    /// That consolidation.
    pub last: ConsolidationRow,
    /// When it was.
    pub at: Timestamp,
    /// Runs that began since.
    pub began: Vec<String>,
    /// Models that went into production since.
    pub promoted: Vec<String>,
    /// Whether the policy changed since.
    pub policy_changed: bool,
}

/// The report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// The project's name.
    pub project: String,
    /// When it was made.
    pub generated: Timestamp,
    /// Folders with how many runs or models lie there.
    pub places: Vec<(String, usize)>,
    /// The runs by class.
    pub inventory: Vec<ClassInventory>,
    /// What would be done now.
    pub planned: Planned,
    /// The models that stay.
    pub performance: Vec<ModelLine>,
    /// By what models were chosen.
    pub criteria: Vec<String>,
    /// The four phases.
    pub phases: Vec<Phase>,
    /// Bytes that consolidations saved so far.
    pub bytes_saved: u64,
    /// Bytes that the present plan saves, at least.
    pub bytes_to_save: u64,
    /// What happened since the last consolidation; none where there was none.
    pub since: Option<SinceLastConsolidation>,
    /// What to do next.
    pub next_steps: Vec<String>,
}

/// What the parts of the report are made from.
struct ReportInputs {
    policy: Policy,
    policy_revision: u64,
    runs: BTreeMap<String, RunDetails>,
    production: BTreeMap<[u8; 16], String>,
    roles: BTreeMap<String, Vec<String>>,
    past: Vec<ConsolidationRow>,
    /// Requests that are open, by run.
    open: BTreeMap<[u8; 16], RequestId>,
    /// Runs about whose promotion somebody decided already.
    decided: BTreeSet<[u8; 16]>,
}

impl ReportInputs {
    fn read(views: &Snapshot) -> Result<Self> {
        let (policy_revision, policy) = views.policy()?;
        let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let runs = views.run_details()?;
        let requests = views.requests()?;
        let (open, closed): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|request| request.status == RequestStatus::Open);
        for best in views.best(Admission::Measured)?.best {
            roles.entry(best.experiment_id).or_default().push(role(best.role).to_owned());
        }
        Ok(Self {
            policy,
            policy_revision,
            runs: runs.into_iter().map(|run| (run.experiment_id.clone(), run)).collect(),
            production: views.production()?.into_iter().map(|m| (m.run, m.name)).collect(),
            roles,
            past: views.consolidations()?,
            open: open.into_iter().map(|request| (request.run, request.request())).collect(),
            decided: closed.into_iter().map(|request| request.run).collect(),
        })
    }

    /// The command that takes a run into production, where the plan keeps the run, it meets the
    /// rules, and nobody decided about it yet. A run that the plan takes away is not promoted.
    fn promotion(&self, row: &PlanRow) -> Option<(String, String)> {
        let run = self.runs.get(&row.experiment_id)?;
        let waits = row.class == Class::ProductionReady
            && row.action == Action::Keep
            && run.is_active()
            && !self.production.contains_key(&run.id);
        if let Some(request) = self.open.get(&run.id).filter(|_| waits) {
            let what = format!("Decide on the request for {}", row.experiment_id);
            return Some((what, format!("annals approve {request}")));
        }
        let free = waits && !self.decided.contains(&run.id);
        let id = &row.experiment_id;
        free.then(|| (format!("Promote {id}"), format!("annals promote {id}")))
    }

    fn model(&self, name: &str) -> Option<ModelLine> {
        let run = self.runs.get(name)?;
        let mut best_for: Vec<String> = self.roles.get(name).cloned().unwrap_or_default();
        let production = self.production.get(&run.id);
        best_for.extend(production.map(|name| format!("In production as {name}")));
        if run.archive.is_some() {
            best_for.push("Historical reference".into());
        }
        let failed = run.assess(&self.policy).failed();
        Some(ModelLine {
            experiment_id: name.to_owned(),
            architecture: architecture(run),
            accuracy: run.metric("accuracy", Split::Test),
            f1_macro: run.metric("f1_macro", Split::Test),
            best_for,
            issues: failed.iter().map(unmet).collect(),
        })
    }
}

fn unmet(rule: &RuleResult) -> String {
    format!("{}: required {}, actual {}", rule.rule, rule.required, rule.found)
}

fn role(role: BestRole) -> &'static str {
    match role {
        BestRole::HighestAccuracy => "Highest accuracy",
        BestRole::BestF1Macro => "Balanced performance",
        BestRole::BestCriticalRecall => "Critical class",
        BestRole::LowestLoss => "Lowest loss",
        BestRole::MostStable => "Stability over seeds",
    }
}

/// Layers, width and vocabulary of a network; the architecture's name for what has none.
fn architecture(run: &RunDetails) -> String {
    let found = |key: &str| run.parameters.iter().find(|(name, _)| name == key).map(|(_, v)| v);
    let parameter = |key: &str| found(key).and_then(|value| value.parse::<u64>().ok());
    let word = found("model.architecture").map(|word| word.trim_matches('"'));
    match (parameter("model.n_layer"), parameter("model.n_embd"), parameter("model.vocab_size")) {
        (Some(layers), Some(width), Some(words)) if words >= 1000 => {
            format!("{layers}L-{width}D-{}K", words / 1000)
        }
        (Some(layers), Some(width), Some(words)) => format!("{layers}L-{width}D-{words}"),
        (Some(layers), Some(width), None) => format!("{layers}L-{width}D"),
        _ => word.and_then(settings::title).unwrap_or(&run.config_name).to_owned(),
    }
}

/// The consolidation report as of now.
///
/// # Errors
/// When views or folders cannot be read.
pub fn consolidation_report(workspace: &Workspace) -> Result<Report> {
    let planned = runs::plan_consolidation(workspace)?;
    let views = workspace.snapshot()?;
    let facts = ReportInputs::read(&views)?;
    let rows = &planned.plan.rows;
    let stays = |row: &&PlanRow| {
        row.action != Action::Remove && !matches!(row.class, Class::Incomplete | Class::TestMock)
    };
    let performance = rows.iter().filter(stays).filter_map(|r| facts.model(&r.experiment_id));
    let saved = facts.past.iter().map(|row| row.bytes_before.saturating_sub(row.bytes_after));
    Ok(Report {
        project: workspace.settings.project.clone(),
        generated: workspace.env.now(),
        places: places(&facts),
        inventory: inventory(rows, &facts),
        performance: performance.collect(),
        criteria: criteria(&facts, &metrics(workspace.layout.kind)),
        bytes_saved: saved.sum(),
        bytes_to_save: planned.plan.bytes_saved(),
        since: since(&facts, &views)?,
        next_steps: next_steps(&planned, &facts),
        phases: phases(workspace, &planned, &facts),
        planned,
    })
}

fn phases(workspace: &Workspace, planned: &Planned, facts: &ReportInputs) -> Vec<Phase> {
    let rows = &planned.plan.rows;
    let ours = |run: &&RunDetails| {
        let rule = run.archive.as_ref().and_then(|archive| archive.rule.as_ref());
        rule.is_some_and(|rule| rule.starts_with(RULE))
    };
    let line = |row: &PlanRow| format!("{} ({})", row.experiment_id, row.reason);
    let steps = |action: Action| rows.iter().filter(|r| r.action == action).map(line).collect();
    let mut registry: Vec<String> = workspace.exporter().edited();
    registry.iter_mut().for_each(|file| *file = format!("{file} was edited by hand"));
    if planned.plan.moving().next().is_some() {
        registry.push("written again when the plan is applied".to_owned());
    }
    let deleted = facts.runs.values().filter(|run| run.deleted.is_some()).count();
    let waiting = rows.iter().filter_map(|row| facts.promotion(row));
    let waiting: Vec<String> =
        waiting.map(|(what, command)| format!("{what}: {command}")).collect();
    vec![
        Phase {
            title: "Create Production Model Archive",
            done: facts.production.len(),
            left: waiting.len(),
            steps: waiting,
        },
        Phase {
            title: "Archive Historical Models",
            done: facts.runs.values().filter(ours).count(),
            left: planned.plan.count(Action::Archive),
            steps: steps(Action::Archive),
        },
        Phase {
            title: "Clean Debug Models",
            done: deleted,
            left: planned.plan.count(Action::Remove),
            steps: steps(Action::Remove),
        },
        Phase {
            title: "Update Registry",
            done: facts.past.len(),
            left: registry.len(),
            steps: registry,
        },
    ]
}

fn places(facts: &ReportInputs) -> Vec<(String, usize)> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for run in facts.runs.values().filter(|run| run.deleted.is_none()) {
        let parent = run.folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        *places.entry(format!("{parent}/")).or_default() += 1;
    }
    places.into_iter().collect()
}

fn inventory(rows: &[PlanRow], facts: &ReportInputs) -> Vec<ClassInventory> {
    let planned: BTreeMap<&str, &PlanRow> =
        rows.iter().map(|row| (row.experiment_id.as_str(), row)).collect();
    let shelf = |class: Class| {
        let mut series: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.class == class) {
            // Under the run's own name: the runs of a series may have several.
            let run = facts.runs.get(&row.experiment_id);
            let name = run.map_or(row.experiment_id.as_str(), |run| &run.experiment_name);
            series.entry(stem(name)).or_default().0 += 1;
        }
        for (name, run) in facts.runs.iter().filter(|(_, run)| run.deleted.is_some()) {
            let (status, id) = (RunStatus::from(run.status), &run.experiment_name);
            let gone = !planned.contains_key(name.as_str());
            if gone && Class::of(status, run.category, id, &run.tags, false) == class {
                series.entry(stem(id)).or_default().1 += 1;
            }
        }
        let of_class = rows.iter().filter(|row| row.class == class);
        let of_class: Vec<&PlanRow> = of_class.collect();
        let incomplete = class == Class::Incomplete;
        let models = of_class.iter().filter_map(|row| facts.model(&row.experiment_id));
        let endings = of_class.iter().filter_map(|row| {
            let run = facts.runs.get(&row.experiment_id).filter(|_| incomplete)?;
            let why = run.reason.as_ref().map_or(String::new(), |why| format!(": {why}"));
            Some((row.experiment_id.clone(), format!("{}{why}", run.status.word())))
        });
        let value = |model: &ModelLine| model.f1_macro.or(model.accuracy).unwrap_or(f64::MIN);
        ClassInventory {
            class,
            runs: series.values().map(|(there, gone)| there + gone).sum(),
            series: series.into_iter().map(|(name, (there, gone))| (name, there, gone)).collect(),
            best: models.filter(|_| !incomplete).max_by(|a, b| value(a).total_cmp(&value(b))),
            endings: endings.collect(),
        }
    };
    Class::ALL.into_iter().map(shelf).collect()
}

fn criteria(facts: &ReportInputs, metrics: &[&str]) -> Vec<String> {
    let rules = &facts.policy.production_promotion;
    let split = rules.split.word();
    vec![
        format!(
            "Best of a series: the first of {} that was measured on {split}, else on valid, then \
             accuracy; of equals the newest",
            metrics.join(", ")
        ),
        format!(
            "Production-ready: accuracy ≥ {}, macro F1 ≥ {}, every class F1 ≥ {} on {split}, \
             at least {} rows (policy revision {})",
            rules.min_accuracy_threshold,
            rules.min_f1_macro_threshold,
            rules.min_class_f1,
            rules.min_test_rows,
            facts.policy_revision
        ),
        "Series: runs of one name apart from versions, dates and seeds, and runs of one \
         configuration on the same data"
            .into(),
        "Always kept: runs that are running, pinned, in production now or before, requested for \
         production, best of all by a metric, or archived by hand"
            .into(),
        format!(
            "Failed and interrupted runs: kept for {} days after they ended, then removed",
            facts.policy.failed_experiments.archive_after_days
        ),
    ]
}

fn since(facts: &ReportInputs, views: &Snapshot) -> Result<Option<SinceLastConsolidation>> {
    let Some(last) = facts.past.last().cloned() else { return Ok(None) };
    let mut later: Vec<&RunDetails> =
        facts.runs.values().filter(|run| run.started_position > last.position).collect();
    later.sort_by_key(|run| run.started_position);
    let promoted = views.production()?.into_iter().filter(|m| m.placed.position > last.position);
    Ok(Some(SinceLastConsolidation {
        at: Timestamp(last.at),
        began: later.into_iter().map(|run| run.experiment_id.clone()).collect(),
        promoted: promoted.map(|model| model.name).collect(),
        policy_changed: last.policy_revision != facts.policy_revision,
        last,
    }))
}

fn next_steps(planned: &Planned, facts: &ReportInputs) -> Vec<String> {
    let mut steps = Vec::new();
    if planned.plan.moving().next().is_some() {
        let digest = planned.plan_digest.short(16);
        steps.push(format!("Execute the plan: `annals consolidate apply {digest}`"));
    }
    for (what, command) in planned.plan.rows.iter().filter_map(|row| facts.promotion(row)) {
        steps.push(format!("{what}: `{command}`"));
    }
    let named: BTreeSet<&String> = facts.roles.keys().collect();
    for name in named {
        let failed = facts.runs.get(name).map(|run| run.assess(&facts.policy).failed());
        for rule in failed.into_iter().flatten().take(1) {
            steps.push(format!("Retrain {name}: {}", unmet(&rule)));
        }
    }
    if facts.runs.values().any(|run| run.deleted.is_some() || !run.dropped.is_empty()) {
        steps.push("Free what only removed runs needed: `annals gc`".into());
    }
    if !facts.policy.debug_experiments.enabled {
        let set = "annals policy set debug_experiments.enabled true";
        steps.push(format!("Set up automatic clean-up for debug runs: `{set}`"));
    }
    steps
}
