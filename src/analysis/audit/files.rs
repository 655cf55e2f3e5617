//! Checks of what lies on disk, where there is a workspace to look at.

use super::{AuditFacts, RawFinding, word};

/// What only the workspace can tell.
#[derive(Clone, Debug, Default)]
pub struct WorkspaceFiles {
    /// Files of models in production that are not what was promoted.
    pub production: Vec<ChangedFile>,
    /// Files among those in production that no event names.
    pub strangers: Vec<String>,
    /// Files of runs that are not what was recorded.
    pub runs: Vec<ChangedFile>,
    /// Registry files that somebody edited.
    pub edited: Vec<String>,
    /// Registry files and views that do not say what the log says.
    pub disagreeing: Vec<RegistryFile>,
    /// Runs without a folder and folders without a run, in a sentence each.
    pub misplaced: Vec<String>,
}

/// A file that is not what an event says.
#[derive(Clone, Debug)]
pub struct ChangedFile {
    /// Its path, relative to the workspace.
    pub path: String,
    /// Whose it is.
    pub subject: String,
    /// Position of the event that says what it was.
    pub position: u64,
    /// Digest or size that it had.
    pub expected: String,
    /// Digest or size that it has; none where it is missing.
    pub found: Option<String>,
}

/// A registry file that does not say what the log says.
#[derive(Clone, Debug)]
pub struct RegistryFile {
    /// Its path, relative to the workspace.
    pub path: String,
    /// `missing` or `different`.
    pub what: String,
    /// The first line that differs, from 1.
    pub line: Option<usize>,
}

fn workspace<'f>(
    facts: &'f AuditFacts,
    found: impl Fn(&'f WorkspaceFiles) -> Vec<RawFinding> + 'f,
) -> Vec<RawFinding> {
    facts.workspace.as_ref().map(found).unwrap_or_default()
}

fn changed(file: &ChangedFile) -> RawFinding {
    let what = match &file.found {
        Some(_) => format!("{} is not what was recorded", file.path),
        None => format!("{} is missing", file.path),
    };
    let found = RawFinding::new(&file.subject, what).at([file.position]).in_file(&file.path);
    let found = found.value("expected", &file.expected);
    match &file.found {
        Some(is) => found.value("found", is),
        None => found,
    }
}

pub(super) fn production(facts: &AuditFacts) -> Vec<RawFinding> {
    workspace(facts, |workspace| workspace.production.iter().map(changed).collect())
}

pub(super) fn strangers(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |path: &String| {
        RawFinding::new(path, "no event names this file")
            .in_file(path)
            .shown_by(format!("why {}", word(path)))
    };
    workspace(facts, move |workspace| workspace.strangers.iter().map(found).collect())
}

pub(super) fn runs(facts: &AuditFacts) -> Vec<RawFinding> {
    workspace(facts, |workspace| workspace.runs.iter().map(changed).collect())
}

pub(super) fn edited(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |path: &String| {
        let what = "it was edited by hand; the next changing verb stores the edit in a separate \
             file";
        RawFinding::new(path, what).in_file(path).shown_by("replay --check")
    };
    workspace(facts, move |workspace| workspace.edited.iter().map(found).collect())
}

pub(super) fn disagreeing(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |file: &RegistryFile| {
        let found = RawFinding::new(&file.path, format!("it is {}", file.what)).in_file(&file.path);
        let found = found.shown_by("replay --check");
        match file.line {
            Some(line) => found.value("first_line", line),
            None => found,
        }
    };
    // What was edited is said there.
    workspace(facts, move |workspace| {
        let rest = workspace.disagreeing.iter().filter(|f| !workspace.edited.contains(&f.path));
        rest.map(found).collect()
    })
}

pub(super) fn misplaced(facts: &AuditFacts) -> Vec<RawFinding> {
    let found = |what: &String| RawFinding::new("the workspace", what).shown_by("doctor");
    workspace(facts, move |workspace| workspace.misplaced.iter().map(found).collect())
}
