//! What an audit is: findings by weight, and how many checks were made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{AuditFacts, CHECKS, Check};
use crate::domain::run::Category;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody must act: the record or what is in production cannot be relied on as it is.
    Error,
    /// Somebody must look: there may be a good reason, but the record does not show it.
    Warning,
    /// Good to know when reading the rest.
    Note,
}

impl Severity {
    /// The word used in files and tables; also the level in SARIF.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawFinding {
    /// What it is about, such as `model night` or `run notes_20270301_100000`.
    pub subject: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// Positions of the events that show it, ascending.
    pub positions: Vec<u64>,
    /// The numbers and names behind it.
    pub values: BTreeMap<String, String>,
    /// The words after `annals` that show it.
    pub command: String,
    /// The file it is about, relative to the workspace.
    pub file: Option<String>,
    /// Where it weighs more or less than its check says.
    pub severity: Option<Severity>,
}

impl RawFinding {
    /// Something about a subject.
    pub fn new(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), what: what.into(), ..Self::default() }
    }

    /// The events that show it; the first is what the command shows where none is given.
    #[must_use]
    pub fn at(mut self, positions: impl IntoIterator<Item = u64>) -> Self {
        self.positions.extend(positions);
        self.positions.sort_unstable();
        self.positions.dedup();
        self
    }

    /// A number or name behind it.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and names, without a & at each")]
    pub fn value(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// What shows it.
    #[must_use]
    pub fn shown_by(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// The file it is about.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<String>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Weighs it otherwise than its check does.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }
}

/// One finding, with the rule that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Name of the check.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about.
    pub subject: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// Positions of the events that show it, ascending.
    pub positions: Vec<u64>,
    /// The numbers and names behind it.
    pub values: BTreeMap<String, String>,
    /// What shows it.
    pub command: String,
    /// The file it is about, relative to the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// How many findings there are of each weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Somebody must act.
    pub error: usize,
    /// Somebody must look.
    pub warning: usize,
    /// Good to know.
    pub note: usize,
}

/// The answer of an audit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Audit {
    /// How many events the log has.
    pub size: u64,
    /// Names of the checks that were made.
    pub checks: Vec<&'static str>,
    /// Names of those that need the workspace, where there is none to look at.
    pub left_out: Vec<&'static str>,
    /// How many findings there are.
    pub counts: Counts,
    /// What was found, the heaviest first.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// Whether something weighs as much as `severity`, or more.
    pub fn reaches(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity <= severity)
    }
}

/// A word of a command, quoted where a shell would take it for something else.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./@:,+=".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Makes the checks that `wanted` takes.
pub fn audit(facts: &AuditFacts, wanted: impl Fn(&Check) -> bool) -> Audit {
    let mut audit = Audit {
        size: facts.size,
        checks: vec![],
        left_out: vec![],
        counts: Counts::default(),
        findings: vec![],
    };
    for check in CHECKS.iter().filter(|check| wanted(check)) {
        if check.workspace && facts.workspace.is_none() {
            audit.left_out.push(check.rule);
            continue;
        }
        audit.checks.push(check.rule);
        audit.findings.extend((check.find)(facts).into_iter().map(|found| finding(check, found)));
    }
    // Within one weight what is in production or about the record comes before other runs, and
    // debug runs come last; then the order is that of the checks.
    let ranks = facts.runs.iter().map(|(id, run)| {
        let debug = run.state.category == Category::Debug;
        let rank = if facts.placed_of(*id).is_some() { 0 } else { 1 + u8::from(debug) };
        (run.subject(), rank)
    });
    let ranks: BTreeMap<String, u8> = ranks.collect();
    let rank = |finding: &Finding| ranks.get(&finding.subject).copied().unwrap_or(0);
    audit.findings.sort_by_key(|finding| (finding.severity, rank(finding)));
    for finding in &audit.findings {
        match finding.severity {
            Severity::Error => audit.counts.error += 1,
            Severity::Warning => audit.counts.warning += 1,
            Severity::Note => audit.counts.note += 1,
        }
    }
    audit
}

fn finding(check: &Check, found: RawFinding) -> Finding {
    let first = found.positions.first();
    let show = || first.map(|position| format!("show {position}")).unwrap_or_default();
    let command = if found.command.is_empty() { show() } else { found.command };
    Finding {
        rule: check.rule,
        severity: found.severity.unwrap_or(check.severity),
        subject: found.subject,
        what: found.what,
        positions: found.positions,
        values: found.values,
        command: format!("annals {command}"),
        file: found.file,
    }
}
