//! What git shall not keep of a workspace: the log, blobs, the texts and weights of runs and
//! models. The registry files and generated documents are small and belong into git.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::app::workspace::layout::Layout;
use crate::app::{Error, Result};
use crate::base::durable;
use crate::domain::workspace::LayoutKind;

const FILE: &str = ".gitignore";
const HEADING: &str = "# annals: the log, blobs, data and weights stay out of git; the registry \
                       files may go in";

/// What was done about `.gitignore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitIgnore {
    /// It was written.
    Written,
    /// It was there, and these lines were added at its end.
    Added(Vec<String>),
    /// It was there and has all that it needs.
    Enough,
    /// It was there and was not changed, because it says something else about these folders or is
    /// no plain file: the lines that are missing.
    Advised(Vec<String>),
}

/// The folders that git shall not keep, relative to the workspace.
fn folders(layout: &Layout) -> Vec<String> {
    let mut folders = vec![".annals".to_owned()];
    match layout.kind {
        LayoutKind::Consolidated => folders.push(layout.experiments.clone()),
        LayoutKind::TrainingOutput => {
            let experiments = format!("{}/experiments", layout.training);
            if !layout.experiments.starts_with(&format!("{experiments}/")) {
                folders.push(layout.experiments.clone());
            }
            folders.extend([experiments, format!("{}/logs", layout.training)]);
        }
    }
    folders.push(layout.production.clone());
    folders.extend(layout.pretrained());
    folders
}

/// A path as a pattern of git.
fn pattern(folder: &str) -> String {
    let mut pattern = String::from("/");
    for c in folder.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | ' ') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "/"
}

/// What a line of `.gitignore` names, without how it is anchored.
fn named(line: &str) -> &str {
    line.trim().trim_start_matches('!').trim_matches('/')
}

/// Writes `.gitignore` into `root`, or adds to the one that is there what it lacks.
///
/// # Errors
/// When the file cannot be read or written.
pub(in crate::app) fn protect(root: &Path, layout: &Layout) -> Result<GitIgnore> {
    let path = root.join(FILE);
    let failed = |e| Error::io(format!("write {}", path.display()), e);
    let wanted: Vec<String> = folders(layout).iter().map(|folder| pattern(folder)).collect();
    match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let text = format!("{HEADING}\n{}\n", wanted.join("\n"));
            durable::write(&path, text.as_bytes()).map_err(failed)?;
            return Ok(GitIgnore::Written);
        }
        Err(e) => return Err(failed(e)),
        Ok(meta) if !meta.is_file() => return Ok(GitIgnore::Advised(wanted)),
        Ok(_) => {}
    }
    let text = String::from_utf8_lossy(&fs::read(&path).map_err(failed)?).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let says = |wanted: &String| lines.iter().any(|line| named(line) == named(wanted));
    let missing: Vec<String> = wanted.iter().filter(|line| !says(line)).cloned().collect();
    let mut exceptions = lines.iter().filter(|line| line.starts_with('!'));
    if exceptions.any(|line| wanted.iter().any(|wanted| concerns(line, wanted))) {
        return Ok(GitIgnore::Advised(wanted));
    }
    if missing.is_empty() {
        return Ok(GitIgnore::Enough);
    }
    let start = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let added = format!("{start}{HEADING}\n{}\n", missing.join("\n"));
    let append = || {
        let mut file = OpenOptions::new().append(true).open(&path)?;
        file.write_all(added.as_bytes())?;
        file.sync_all()
    };
    append().map_err(failed)?;
    Ok(GitIgnore::Added(missing))
}

/// Whether an exception of somebody lets git keep something of a folder.
fn concerns(exception: &str, folder: &str) -> bool {
    let (exception, folder) = (named(exception), named(folder));
    exception == folder || exception.starts_with(&format!("{folder}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes plain files")]
    fn what_is_there_stays_and_is_only_added_to() {
        let of = |kind| Layout::new(kind);
        let all = "/.annals/\n/experiments/\n/models/production/\n";
        let cases: [(&str, &str, GitIgnore); 6] = [
            ("*.pyc", "*.pyc\n", GitIgnore::Added(vec![])),
            ("*.pyc\n", "*.pyc\n", GitIgnore::Added(vec![])),
            ("", "", GitIgnore::Added(vec![])),
            (all, all, GitIgnore::Enough),
            (".annals\nexperiments/\nmodels/production\n", "", GitIgnore::Enough),
            ("!/experiments/keep.md\n", "", GitIgnore::Advised(vec![])),
        ];
        for (before, start, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(FILE);
            fs::write(&path, before).unwrap();
            let done = protect(folder.path(), &of(LayoutKind::Consolidated)).unwrap();
            let after = fs::read_to_string(&path).unwrap();
            assert!(after.starts_with(before), "{after}");
            match (&done, &expected) {
                (GitIgnore::Added(lines), GitIgnore::Added(_)) => {
                    assert_eq!(lines.join("\n") + "\n", all);
                    assert!(after.starts_with(start) && after.ends_with(all), "{after}");
                    let again = protect(folder.path(), &of(LayoutKind::Consolidated)).unwrap();
                    assert_eq!(again, GitIgnore::Enough);
                }
                (GitIgnore::Advised(lines), GitIgnore::Advised(_)) => {
                    assert_eq!((lines.len(), after.as_str()), (3, before));
                }
                (done, expected) => assert_eq!((done, after.as_str()), (expected, before)),
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let done = protect(folder.path(), &of(LayoutKind::TrainingOutput)).unwrap();
        assert_eq!(done, GitIgnore::Written);
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        for line in
            ["/.annals/", "/training/experiments/", "/training/logs/", "/model_weights/production/"]
        {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        fs::remove_file(folder.path().join(FILE)).unwrap();
        std::os::unix::fs::symlink("elsewhere", folder.path().join(FILE)).unwrap();
        let done = protect(folder.path(), &of(LayoutKind::Consolidated)).unwrap();
        assert!(matches!(done, GitIgnore::Advised(_)) && !folder.path().join("elsewhere").exists());
    }
}
