//! The report: what there is, what is best and why, what may be concluded, and where each number
//! stands in the log. The same log gives the same bytes.

use super::charts;
use super::clinical::{Clinical, ClinicalRun};
use super::column::number;
use super::compare::score;
use super::document::{Block, Document};
use super::plot::{Picture, Scale};
use crate::base::Timestamp;
use crate::projection::best::{Best, Candidate};
use crate::projection::consolidations::ConsolidationRow;
use crate::projection::registry::ModelRow;
use crate::projection::runs::{RunDetails, Status};

/// Runs in the table at most; the rest are counted.
const RUNS_MAX: usize = 50;

/// What a report is made from.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The project's name.
    pub project: String,
    /// Events in the log.
    pub events: u64,
    /// When the last of them was recorded.
    pub recorded: Timestamp,
    /// The last signed log checkpoint.
    pub checkpoint: Option<String>,
    /// Revision of the policy in force.
    pub policy_revision: u64,
    /// Every run, in the order they began.
    pub runs: Vec<RunDetails>,
    /// The best in each respect.
    pub best: Vec<Best>,
    /// Finished runs against the rules.
    pub candidates: Vec<Candidate>,
    /// Models in production.
    pub production: Vec<ModelRow>,
    /// When versions went into production.
    pub promotions: Vec<(i64, String)>,
    /// The consolidations that were applied, oldest first.
    pub consolidations: Vec<ConsolidationRow>,
    /// The critical class, where the policy names one.
    pub critical: Option<String>,
    /// Pictures of single runs that were worth it.
    pub pictures: Vec<Picture>,
}

impl Facts {
    /// The report.
    pub fn document(&self) -> Document {
        let mut blocks = self.summary();
        blocks.extend(self.models());
        blocks.extend(self.table());
        blocks.extend(self.drawings());
        blocks.extend(self.guidance());
        blocks.extend(self.consolidation());
        blocks.extend(self.provenance());
        Document { title: format!("{}: experiments and models", self.project), blocks }
    }

    fn finished(&self) -> Vec<RunDetails> {
        self.runs.iter().filter(|run| run.status == Status::Finished).cloned().collect()
    }

    fn summary(&self) -> Vec<Block> {
        let count = |status| self.runs.iter().filter(|run| run.status == status).count();
        let candidates = self.candidates.iter().filter(|c| c.assessment.is_candidate()).count();
        let mut points = vec![
            format!(
                "{} runs: {} finished, {} failed, {} interrupted, {} not ended.",
                self.runs.len(),
                count(Status::Finished),
                count(Status::Failed),
                count(Status::Interrupted),
                count(Status::Running)
            ),
            format!(
                "{} models in production; {candidates} runs meet policy revision {}.",
                self.production.len(),
                self.policy_revision
            ),
        ];
        points.extend(self.best.iter().map(|best| {
            format!(
                "{}: {} with {} {} on the {} split, of {} runs (event {}).",
                sentence(best.role),
                best.experiment_id,
                best.metric,
                number(best.value),
                best.split.word(),
                best.runs,
                best.position
            )
        }));
        let mut blocks = vec![
            Block::Text(format!(
                "Made from {} events, the last of {} UTC. Scores are of the test split, with 95 % \
                 intervals where they were measured.",
                self.events,
                self.recorded.human()
            )),
            Block::Heading("Summary".into()),
            Block::List(points),
        ];
        if self.best.is_empty() {
            blocks.push(Block::Caution(
                "No run qualifies as best: debug runs, generated data and scores without evidence \
                 do not count."
                    .into(),
            ));
        }
        blocks
    }

    fn models(&self) -> Vec<Block> {
        let rows = self.production.iter().map(|model| {
            let run = self.run(model.run);
            vec![
                model.name.clone(),
                model.version.clone(),
                run.map_or_else(|| "-".into(), |run| run.experiment_id.clone()),
                run.map_or_else(|| "-".into(), |run| shown(run, "accuracy")),
                run.map_or_else(|| "-".into(), |run| shown(run, "f1_macro")),
                Timestamp(model.placed.at).human(),
                model.placed.how.clone(),
                model.approvals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                model.placed.position.to_string(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let mut blocks = vec![Block::Heading("In production".into())];
        blocks.push(if rows.is_empty() {
            Block::Text("Nothing is in production.".into())
        } else {
            let heading = [
                "model",
                "version",
                "run",
                "accuracy",
                "macro F1",
                "in production since (UTC)",
                "by",
                "approved by",
                "event",
            ];
            Block::table(&heading, rows)
        });
        blocks
    }

    fn run(&self, id: [u8; 16]) -> Option<&RunDetails> {
        self.runs.iter().find(|run| run.id == id)
    }

    fn table(&self) -> Vec<Block> {
        let finished = self.finished();
        let mut order: Vec<&RunDetails> = finished.iter().collect();
        let f1 = |run: &RunDetails| run.metric("f1_macro", crate::base::Split::Test);
        let key = |run: &RunDetails| f1(run).unwrap_or(f64::NEG_INFINITY);
        order.sort_by(|a, b| key(b).total_cmp(&key(a)));
        let roles = |run: &RunDetails| {
            let of = |best: &&Best| best.experiment_id == run.experiment_id;
            self.best.iter().filter(of).map(|b| b.role.replace('_', " ")).collect::<Vec<_>>()
        };
        let rows = order.iter().take(RUNS_MAX).map(|run| {
            vec![
                run.experiment_id.clone(),
                run.config_name.clone(),
                shown(run, "accuracy"),
                shown(run, "f1_macro"),
                run.parameter_count.map_or("-".into(), |n| number(n as f64 / 1e6)),
                run.seed.to_string(),
                if run.synthetic { "generated".into() } else { "real".into() },
                roles(run).join(", "),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let heading =
            ["run", "config", "accuracy", "macro F1", "parameters (M)", "seed", "data", "best for"];
        let mut blocks = vec![Block::Heading("Runs, best macro F1 first".into())];
        let left = finished.len().saturating_sub(rows.len());
        blocks.push(if rows.is_empty() {
            Block::Text("No run has finished.".into())
        } else {
            Block::table(&heading, rows)
        });
        if left > 0 {
            blocks.push(Block::Text(format!("{left} more runs are not shown.")));
        }
        blocks
    }

    fn drawings(&self) -> Vec<Block> {
        let runs = self.finished();
        let pictures = [
            charts::against(&runs, "parameters", "f1_macro", Scale::Log),
            charts::history(&runs, "f1_macro", &self.promotions),
            self.critical.as_ref().and_then(|class| charts::size_recall(&runs, class)),
        ];
        let mut blocks: Vec<Block> = pictures.into_iter().flatten().map(Block::Picture).collect();
        blocks.extend(self.pictures.iter().cloned().map(Block::Picture));
        if !blocks.is_empty() {
            blocks.insert(0, Block::Heading("Pictures".into()));
        }
        blocks
    }

    fn guidance(&self) -> Vec<Block> {
        let mut blocks = vec![Block::Heading("Critical class".into())];
        let Some(class) = &self.critical else {
            blocks.push(Block::Text(
                "The policy names no critical class (`annals policy set \
                 production_promotion.critical_class NAME`), so nothing is said of missed cases."
                    .into(),
            ));
            return blocks;
        };
        let clinical = Clinical::of(&self.finished(), class);
        blocks.push(Block::Text(clinical.conclusion()));
        let rows: Vec<_> = clinical.runs.iter().take(RUNS_MAX).map(ClinicalRun::cells).collect();
        if !rows.is_empty() {
            blocks.push(Block::table(ClinicalRun::HEADING, rows));
        }
        blocks.push(Block::Text(
            "Limits: these are scores on the test rows of each run, not a trial. A model of texts \
             does not diagnose; whom it misses must be decided by people before it is used."
                .into(),
        ));
        blocks
    }

    /// What lies where, and what was tidied up.
    fn consolidation(&self) -> Vec<Block> {
        let count = |of: fn(&&RunDetails) -> bool| self.runs.iter().filter(of).count();
        let mut blocks = vec![
            Block::Heading("Consolidation".into()),
            Block::Text(format!(
                "Of {} runs, {} have their files in place, {} lie in an archive, and of {} the \
                 files were taken away; the record of all of them stays.",
                self.runs.len(),
                count(|run| run.deleted.is_none() && run.archive.is_none()),
                count(|run| run.deleted.is_none() && run.archive.is_some()),
                count(|run| run.deleted.is_some()),
            )),
        ];
        let megabytes = |bytes: u64| number(bytes as f64 / 1e6);
        let rows = self.consolidations.iter().rev().map(|row| {
            vec![
                Timestamp(row.at).human(),
                row.plan.chars().take(12).collect(),
                row.policy_revision.to_string(),
                row.runs_before.to_string(),
                row.archived.to_string(),
                row.deleted.to_string(),
                row.stayed.to_string(),
                megabytes(row.bytes_before),
                megabytes(row.bytes_after),
                row.position.to_string(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        blocks.push(if rows.is_empty() {
            Block::Text("No consolidation was applied.".into())
        } else {
            let heading = [
                "applied (UTC)",
                "plan",
                "policy revision",
                "runs before",
                "archived",
                "deleted",
                "stayed",
                "MB before",
                "MB after",
                "event",
            ];
            Block::table(&heading, rows)
        });
        blocks
    }

    fn provenance(&self) -> Vec<Block> {
        let rows = self.production.iter().filter_map(|model| {
            let run = self.run(model.run)?;
            Some(vec![
                format!("{} {}", model.name, model.version),
                run.started_position.to_string(),
                run.ended_position.map_or("-".into(), |at| at.to_string()),
                model.position.to_string(),
                model.policy_revision.to_string(),
                run.config_digest.clone(),
                run.weights.clone().unwrap_or_else(|| "-".into()),
            ])
        });
        let rows: Vec<_> = rows.collect();
        let mut blocks = vec![Block::Heading("Where this stands in the record".into())];
        if !rows.is_empty() {
            let heading = [
                "model",
                "run started",
                "run ended",
                "promoted",
                "policy revision",
                "config",
                "weights",
            ];
            blocks.push(Block::table(&heading, rows));
        }
        match &self.checkpoint {
            Some(text) => {
                blocks.push(Block::Text(
                    "The last signed log checkpoint; `annals verify --against` takes it as a file."
                        .into(),
                ));
                blocks.push(Block::Verbatim(text.clone()));
            }
            None => blocks.push(Block::Caution("The log has no signed log checkpoint.".into())),
        }
        blocks
    }
}

fn shown(run: &RunDetails, metric: &str) -> String {
    score(run, metric).map_or("-".into(), |score| score.shown())
}

fn sentence(role: &str) -> String {
    let words = role.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
}
