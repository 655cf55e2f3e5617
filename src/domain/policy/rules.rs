//! The policy as a typed value. Its JSON form is what the registry exports under
//! `auto_archival_rules`, and its keys, joined by dots, are what `annals policy set` takes.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Split;
use crate::domain::{Provenance, Rejection};

/// Files that a refusal names one by one.
const FILES_NAMED_MAX: usize = 10;

/// Every rule.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What counts as a debug run and what happens to old ones.
    pub debug_experiments: DebugExperiments,
    /// What happens to failed runs.
    pub failed_experiments: FailedExperiments,
    /// What a run must show to go into production, and who may decide it.
    pub production_promotion: ProductionPromotion,
    /// What a run must begin from.
    pub new_runs: NewRuns,
    /// Who may record what of a run.
    pub runs: Runs,
    /// What log checkpoints vouch for.
    pub log_checkpoints: LogCheckpoints,
}

/// What log checkpoints vouch for.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema, Default,
)]
#[serde(deny_unknown_fields)]
pub struct LogCheckpoints {
    /// Whether commands sign none that would cover claimed events of others, and leave the tail of
    /// the log unsigned.
    pub only_signed_events: bool,
}

/// Who may record what of a run.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema, Default,
)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// Whether anybody may record facts of a run that somebody else began, under their own name.
    /// Where approvals are signed, nobody may with whom it was not shared.
    pub others_may_record: bool,
}

impl Policy {
    /// Whether anybody may record facts of a run that somebody else began.
    pub fn others_may_record(&self) -> bool {
        self.runs.others_may_record && !self.production_promotion.approvals_signed
    }
}

/// What a run must begin from.
#[derive(
    Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema, Default,
)]
#[serde(deny_unknown_fields)]
pub struct NewRuns {
    /// Whether no run begins while git does not have all of the code.
    pub require_clean_tree: bool,
}

impl NewRuns {
    /// Whether a run may begin while git does not have these files; none where no git looks after
    /// the code.
    ///
    /// # Errors
    /// When a clean tree is required and there is none.
    pub fn may_begin(&self, uncommitted: Option<&[String]>) -> Result<(), Rejection> {
        let asks = "new_runs.require_clean_tree requires a clean git tree";
        match uncommitted {
            _ if !self.require_clean_tree => Ok(()),
            Some([]) => Ok(()),
            Some(files) => {
                let named = files.iter().take(FILES_NAMED_MAX).map(|file| format!("{file:?}"));
                let named: Vec<String> = named.collect();
                let more = files.len() - named.len();
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                let named = named.join(", ");
                Err(Rejection::NotAllowed(format!("{asks}, and it lacks {named}{more}")))
            }
            None => Err(Rejection::NotAllowed(format!("{asks}, and there is no git tree"))),
        }
    }
}

/// What counts as a debug run and what happens to old ones.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DebugExperiments {
    /// Whether old debug runs are archived.
    pub enabled: bool,
    /// Words of tags and names that make a run a debug run.
    pub criteria: Vec<String>,
    /// How many debug runs stay.
    pub min_experiments_before_archive: u32,
    /// Folder under `experiments/` that takes the others.
    pub archive_location: String,
}

/// What happens to failed runs.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedExperiments {
    /// Days after which a failed run is archived.
    pub archive_after_days: u32,
    /// Folder under `experiments/` that takes it.
    pub archive_location: String,
}

/// What a run must show to go into production, and who may decide it.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductionPromotion {
    /// Whether runs are assessed at all.
    pub enabled: bool,
    /// Least accuracy.
    pub min_accuracy_threshold: f64,
    /// Least macro F1.
    pub min_f1_macro_threshold: f64,
    /// Least F1 of every class.
    pub min_class_f1: f64,
    /// The label that must not be missed, such as `suicide_risk`.
    pub critical_class: Option<String>,
    /// Least recall of the critical class.
    pub min_critical_recall: Option<f64>,
    /// The split on which these are measured.
    pub split: Split,
    /// Least rows in that split.
    pub min_test_rows: u64,
    /// Whether a person must approve.
    pub require_manual_approval: bool,
    /// How many persons.
    pub approvals: u32,
    /// Whether the person who trained the run may be one of them.
    pub trainer_may_approve: bool,
    /// Whether approvals must be signed with the approver's own key.
    pub approvals_signed: bool,
    /// How the metrics may have come to the log.
    pub evidence: Vec<Provenance>,
    /// Whether runs on generated data may be promoted.
    pub allow_synthetic: bool,
    /// Whether runs with test rows that also stand in the training rows may be promoted.
    pub allow_leakage: bool,
    /// Whether debug runs may be promoted.
    pub allow_debug: bool,
    /// How often the run must have been reproduced.
    pub min_reproduced: u32,
}

impl Default for DebugExperiments {
    fn default() -> Self {
        let criteria = ["debug", "test", "mock", "micro", "ultra-micro", "minimal"];
        Self {
            enabled: true,
            criteria: criteria.map(str::to_owned).to_vec(),
            min_experiments_before_archive: 3,
            archive_location: "archive_debug".into(),
        }
    }
}

impl Default for FailedExperiments {
    fn default() -> Self {
        Self { archive_after_days: 7, archive_location: "archive_baseline".into() }
    }
}

impl Default for ProductionPromotion {
    fn default() -> Self {
        Self {
            enabled: true,
            min_accuracy_threshold: 0.55,
            min_f1_macro_threshold: 0.45,
            min_class_f1: 0.05,
            critical_class: None,
            min_critical_recall: None,
            split: Split::Test,
            min_test_rows: 100,
            require_manual_approval: true,
            approvals: 1,
            trainer_may_approve: true,
            approvals_signed: false,
            evidence: vec![Provenance::Engine, Provenance::Supervised, Provenance::Reported],
            allow_synthetic: false,
            allow_leakage: false,
            allow_debug: false,
            min_reproduced: 0,
        }
    }
}

impl ProductionPromotion {
    /// What people must do beside the rules, in one line.
    pub fn approval_terms(&self) -> String {
        if !self.require_manual_approval {
            return "no approval is required".to_owned();
        }
        let count = match self.approvals {
            1 => "1 approval".to_owned(),
            many => format!("{many} approvals"),
        };
        let whose = if self.trainer_may_approve { "" } else { " by others than the trainer" };
        let trust = match (self.approvals_signed, self.trainer_may_approve) {
            (true, _) => ", signed with the approver's key",
            (false, true) => "",
            (false, false) => "; who that is rests on claims, because approvals_signed is false",
        };
        format!("{count}{whose}{trust}")
    }
}

impl Policy {
    /// Every key with its value as JSON text, in the order of the fields.
    pub fn entries(&self) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        if let Ok(serde_json::Value::Object(groups)) = serde_json::to_value(self) {
            for (group, fields) in groups {
                if let serde_json::Value::Object(fields) = fields {
                    let keyed =
                        fields.into_iter().map(|(f, v)| (format!("{group}.{f}"), v.to_string()));
                    entries.extend(keyed);
                }
            }
        }
        entries
    }
}
