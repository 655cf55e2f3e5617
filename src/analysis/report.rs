//! The report: what there is, what is best and why, what may be concluded, and the position of each
//! number in the log. The same log gives the same bytes.

use super::audit::{Audit, Finding, Severity};
use super::charts;
use super::clinical::Clinical;
use super::column::number;
use super::compare::score;
use super::document::{Block, Document};
use super::plot::{Picture, Scale};
use crate::base::{Split, Timestamp, counted};
use crate::domain::Provenance;
use crate::domain::run::{Category, NOT_STATED, TestRows};
use crate::projection::best::{Best, BestRole, Candidate, LeftOut, marks};
use crate::projection::consolidations::ConsolidationRow;
use crate::projection::registry::ModelRow;
use crate::projection::runs::{RunDetails, Status};

/// The role of the run with the best recall of the critical class.
const CRITICAL_RECALL: BestRole = BestRole::BestCriticalRecall;
/// Runs in the table at most; the rest are counted.
pub(super) const RUNS_MAX: usize = 50;
/// Findings of one check in the report at most.
const OF_ONE_CHECK_MAX: usize = 3;

/// What a report is made from.
#[derive(Clone, Debug)]
pub struct ReportFacts {
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
    /// Runs that do not count among the best, and why.
    pub left_out: Vec<LeftOut>,
    /// What the runs were trained and tested on.
    pub data: Vec<DataSet>,
    /// What the audit of the record found.
    pub audit: Audit,
    /// Why models are in production, by production name: who, and what they wrote.
    pub reasons: Vec<(String, String)>,
    /// What the report would show and cannot, since it was redacted or is missing.
    pub omitted: Vec<String>,
}

/// Data that runs have in common.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Files with their rows and the first digits of their digests, or how it was generated.
    pub files: Vec<String>,
    /// When it was first used.
    pub first_used: Timestamp,
    /// How it was split, and the rows of each split, of the newest run.
    pub split: String,
    /// How many finished runs used it.
    pub runs: usize,
    /// Validation and test rows that nearly repeat a training row, where that was counted.
    pub near_duplicates: Option<usize>,
    /// Validation and test rows that are also training rows, at most; none where nobody stated it.
    pub leaked_rows: Option<u64>,
}

impl ReportFacts {
    /// The report.
    pub fn document(&self) -> Document {
        let clinical = self.critical.as_ref().map(|class| {
            let runs: Vec<RunDetails> = self.counted_runs().cloned().collect();
            Clinical::of(&runs, class)
        });
        let mut blocks = self.summary(clinical.as_ref());
        blocks.extend(self.recommendations());
        blocks.extend(self.models());
        blocks.extend(self.best_runs(clinical.as_ref()));
        blocks.extend(self.deployment());
        blocks.extend(self.critical_class(clinical.as_ref()));
        blocks.extend(self.data_sets());
        blocks.extend(self.table(clinical.as_ref()));
        blocks.extend(self.drawings());
        blocks.extend(self.omissions());
        blocks.extend(self.findings());
        blocks.extend(self.consolidation());
        blocks.extend(self.provenance());
        Document { title: format!("{}: experiments and models", self.project), blocks }
    }

    fn finished(&self) -> Vec<RunDetails> {
        self.runs.iter().filter(|run| run.status == Status::Finished).cloned().collect()
    }

    fn summary(&self, clinical: Option<&Clinical>) -> Vec<Block> {
        let count = |status| self.runs.iter().filter(|run| run.status == status).count();
        let candidates = self.candidates.iter().filter(|c| c.assessment.is_candidate()).count();
        let debug = self.runs.iter().filter(|run| run.category == Category::Debug).count();
        let counts = self.audit.counts;
        let mut points = vec![
            format!(
                "{} ({} for debugging): {} finished, {} failed, {} interrupted, {} not ended.",
                counted(self.runs.len(), "run"),
                debug,
                count(Status::Finished),
                count(Status::Failed),
                count(Status::Interrupted),
                count(Status::Running)
            ),
            format!(
                "{} in production; {} policy revision {}.",
                counted(self.production.len(), "model"),
                match candidates {
                    1 => "1 run meets".to_owned(),
                    several => format!("{several} runs meet"),
                },
                self.policy_revision
            ),
            format!(
                "Audit of the record: {}, {} and {}.",
                counted(counts.error, "error"),
                counted(counts.warning, "warning"),
                counted(counts.note, "note")
            ),
        ];
        let leading = self.best.iter().find(|best| best.role == BestRole::BestF1Macro);
        points.extend(leading.map(|best| {
            format!(
                "Best macro F1: {} with {} on the {} split.",
                best.experiment_id,
                number(best.value),
                best.split.word()
            )
        }));
        points.extend(clinical.map(Clinical::conclusion));
        vec![
            Block::Text(format!(
                "Made from {} events, the last of {} UTC. Scores are of the test split, with 95 % \
                 intervals where they were measured.",
                self.events,
                self.recorded.human()
            )),
            Block::Heading("Summary".into()),
            Block::List(points),
        ]
    }

    /// The best in each respect. The critical class has one answer, that of its own section.
    fn best_runs(&self, clinical: Option<&Clinical>) -> Vec<Block> {
        let mut blocks = vec![Block::Heading("Best runs".into())];
        let mut rows: Vec<Vec<String>> = self
            .best
            .iter()
            .filter(|best| best.role != CRITICAL_RECALL)
            .map(|best| {
                vec![
                    sentence(best.role.word()),
                    best.experiment_id.clone(),
                    best.metric.clone(),
                    match best.spread {
                        Some(spread) => {
                            format!("mean {}, spread {}", number(best.value), number(spread))
                        }
                        None => number(best.value),
                    },
                    match best.spread {
                        Some(_) => counted(best.runs, "seed"),
                        None => counted(best.runs, "run"),
                    },
                    best.on_other_rows.to_string(),
                    best.marks.join(", "),
                    best.position.to_string(),
                ]
            })
            .collect();
        if let Some((clinical, best)) = clinical.and_then(|c| Some((c, c.best()?))) {
            rows.push(vec![
                sentence(CRITICAL_RECALL.word()),
                best.experiment_id.clone(),
                format!("recall_{}", clinical.class),
                number(best.recall),
                counted(clinical.runs.len(), "run"),
                "-".into(),
                String::new(),
                "-".into(),
            ]);
        }
        if rows.is_empty() {
            blocks.push(Block::Caution("No run qualifies as best.".into()));
        } else {
            let heading = [
                "best for",
                "run",
                "metric",
                "value",
                "of",
                "of them on other test rows",
                "marks",
                "event",
            ];
            blocks.push(Block::table(&heading, rows));
        }
        if self.best.iter().any(|best| best.on_other_rows > 0) {
            blocks.push(Block::Caution(
                "Some runs were measured on other test rows than the best one, or on rows that are \
                 not recorded; their values cannot be compared. `annals best --explain` ranks each \
                 set of test rows."
                    .into(),
            ));
        }
        let unproven = self.left_out.iter().filter(|left| left.unproven).count();
        if unproven > 0 {
            blocks.push(Block::Text(format!(
                "{} with typed, reported, imported or leaked scores not counted (`annals best \
                 --all` counts them).",
                counted(unproven, "run")
            )));
        }
        blocks
    }

    fn data_sets(&self) -> Vec<Block> {
        let rows = self.data.iter().map(|data| {
            vec![
                data.files.join("; "),
                data.split.clone(),
                data.first_used.human(),
                data.runs.to_string(),
                data.near_duplicates.map_or("not counted".into(), |n| n.to_string()),
                data.leaked_rows.map_or(NOT_STATED.into(), |rows| rows.to_string()),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let mut blocks = vec![Block::Heading("Data".into())];
        blocks.push(if rows.is_empty() {
            Block::Text("No finished run.".into())
        } else {
            let heading =
                ["files", "split", "first used (UTC)", "runs", "near-duplicates", "leaked rows"];
            Block::table(&heading, rows)
        });
        blocks
    }

    fn omissions(&self) -> Vec<Block> {
        if self.omitted.is_empty() {
            return vec![];
        }
        let missing = counted(self.omitted.len(), "part");
        let heading = Block::Heading("Omitted from this report".into());
        let text =
            format!("{missing} cannot be shown, since the texts were redacted or are missing:");
        vec![heading, Block::Caution(text), Block::List(self.omitted.clone())]
    }

    /// What the audit found, most severe first.
    fn findings(&self) -> Vec<Block> {
        let mut rows = Vec::new();
        let same = |a: &Finding, b: &Finding| (a.severity, a.rule) == (b.severity, b.rule);
        let heavy: Vec<Finding> = self
            .audit
            .findings
            .iter()
            .filter(|finding| finding.severity != Severity::Note)
            .cloned()
            .collect();
        for group in heavy.chunk_by(same) {
            rows.extend(group.iter().take(OF_ONE_CHECK_MAX).map(|finding| {
                vec![
                    finding.severity.word().to_owned(),
                    finding.rule.to_owned(),
                    finding.subject.clone(),
                    finding.what.clone(),
                    format!("`{}`", finding.command),
                ]
            }));
            let more = group.len().saturating_sub(OF_ONE_CHECK_MAX);
            if more > 0 {
                let cells = [group[0].severity.word(), group[0].rule, "", "", ""];
                let mut cells = cells.map(str::to_owned).to_vec();
                cells[3] = format!("and {more} more");
                rows.push(cells);
            }
        }
        let mut blocks = vec![Block::Heading("Audit findings".into())];
        blocks.push(match rows.is_empty() {
            true => Block::Text("The audit of the record found no errors and no warnings.".into()),
            false => Block::table(&["weight", "check", "about", "finding", "see"], rows),
        });
        blocks.push(Block::Text(format!(
            "{} of the record itself were made; files in the workspace are checked by `annals \
             audit` only.",
            counted(self.audit.checks.len(), "check")
        )));
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
                model.placed.how.word().into(),
                model.approvals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                self.reason(&model.name),
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
                "reasons",
                "event",
            ];
            Block::table(&heading, rows)
        });
        blocks
    }

    fn reason(&self, name: &str) -> String {
        let of = |(model, reason): &(String, String)| (model == name).then(|| reason.clone());
        let reasons: Vec<String> = self.reasons.iter().filter_map(of).collect();
        if reasons.is_empty() { "not stated".into() } else { reasons.join("; ") }
    }

    pub(super) fn run(&self, id: [u8; 16]) -> Option<&RunDetails> {
        self.runs.iter().find(|run| run.id == id)
    }

    fn table(&self, clinical: Option<&Clinical>) -> Vec<Block> {
        let mut order: Vec<&RunDetails> = self.counted_runs().collect();
        let key =
            |run: &RunDetails| run.metric("f1_macro", Split::Test).unwrap_or(f64::NEG_INFINITY);
        // Scores that nobody measured here come last, whatever they are.
        order.sort_by(|a, b| stated(a).cmp(&stated(b)).then(key(b).total_cmp(&key(a))));
        let sets = TestRows::groups(&order.iter().map(|run| run.test_rows).collect::<Vec<_>>());
        let critical = clinical.and_then(Clinical::best).map(|best| best.experiment_id.as_str());
        let roles = |run: &RunDetails| {
            let of = |best: &&Best| {
                best.role != CRITICAL_RECALL && best.experiment_id == run.experiment_id
            };
            let mut roles: Vec<String> =
                self.best.iter().filter(of).map(|b| b.role.word().replace('_', " ")).collect();
            if critical == Some(run.experiment_id.as_str()) {
                roles.push(CRITICAL_RECALL.word().replace('_', " "));
            }
            roles.join(", ")
        };
        let policy = |run: &RunDetails| {
            let judged = self.candidates.iter().find(|c| c.run == run.run());
            let failed = judged.map(|c| c.assessment.failed()).unwrap_or_default();
            match (judged, failed.as_slice()) {
                (None, _) => "-".to_owned(),
                (Some(_), []) => "met".to_owned(),
                (Some(_), failed) => {
                    let names: Vec<&str> = failed.iter().map(|rule| &*rule.rule).collect();
                    format!("not met: {}", names.join(", "))
                }
            }
        };
        let rows = order.iter().zip(&sets).take(RUNS_MAX).map(|(run, set)| {
            vec![
                run.experiment_id.clone(),
                run.config_name.clone(),
                shown(run, "accuracy"),
                shown(run, "f1_macro"),
                set.map_or("not recorded".into(), |set| format!("set {}", set + 1)),
                run.parameter_count.map_or("-".into(), |n| number(n as f64 / 1e6)),
                marks(run).join(", "),
                policy(run),
                roles(run),
            ]
        });
        let rows: Vec<_> = rows.collect();
        let heading = [
            "run",
            "config",
            "accuracy",
            "macro F1",
            "test rows",
            "parameters (M)",
            "marks",
            "policy",
            "best for",
        ];
        let mut blocks = vec![Block::Heading("Runs, best macro F1 first".into())];
        let left = order.len().saturating_sub(rows.len());
        blocks.push(if rows.is_empty() {
            Block::Text("No run has finished.".into())
        } else {
            Block::table(&heading, rows)
        });
        if sets.iter().flatten().any(|set| *set > 0) || sets.contains(&None) && sets.len() > 1 {
            blocks.push(Block::Caution(
                "Only scores on the same set of test rows can be compared.".into(),
            ));
        }
        let debug = self.finished().len() - order.len();
        if left > 0 {
            blocks.push(Block::Text(format!("{} not shown.", counted(left, "more run"))));
        }
        if debug > 0 {
            let runs = counted(debug, "finished debug run");
            blocks.push(Block::Text(format!("{runs} not shown (`annals list`).")));
        }
        blocks
    }

    fn drawings(&self) -> Vec<Block> {
        let runs: Vec<RunDetails> =
            self.counted_runs().filter(|run| !stated(run)).cloned().collect();
        let pictures = [
            charts::against(&runs, "parameters", "f1_macro", Scale::Log),
            charts::history(&runs, "f1_macro", &self.promotions),
            self.critical.as_ref().and_then(|class| charts::size_recall(&runs, class)),
        ];
        let mut all: Vec<Picture> = pictures.into_iter().flatten().collect();
        all.extend(self.pictures.iter().cloned());
        match all.is_empty() {
            true => vec![],
            false => vec![Block::Heading("Pictures".into()), Block::Pictures(all)],
        }
    }

    /// What lies where, and what was tidied up.
    fn consolidation(&self) -> Vec<Block> {
        let count = |of: fn(&&RunDetails) -> bool| self.runs.iter().filter(of).count();
        let mut blocks = vec![
            Block::Heading("Consolidation".into()),
            Block::Text(format!(
                "Of {}, {} have their files in place, {} are in an archive, and the files of {} \
                 were removed; the record of all of them is kept.",
                counted(self.runs.len(), "run"),
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
        let mut blocks = vec![Block::Heading("Positions in the record".into())];
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
                    "The last signed log checkpoint, a file for `annals verify --against FILE`:"
                        .into(),
                ));
                blocks.push(Block::Verbatim(text.clone()));
            }
            None => blocks.push(Block::Caution("The log has no signed log checkpoint.".into())),
        }
        blocks
    }
}

/// Whether scores were stated by a person or a script instead of measured.
fn stated(run: &RunDetails) -> bool {
    use Provenance::{Imported, Reported, Typed};
    matches!(run.provenance, Some(Typed | Reported | Imported))
}

fn shown(run: &RunDetails, metric: &str) -> String {
    score(run, metric).map_or("-".into(), |score| score.shown())
}

fn sentence(role: &str) -> String {
    let words = role.replace('_', " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
}
