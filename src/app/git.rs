//! What git says of the folder around a workspace.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

use super::{Error, ErrorKind, Result};

/// Variables that a hook of git sets and that would make git look elsewhere.
const ELSEWHERE: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"];

/// Runs git in `dir`.
fn run(dir: &Path, words: &[&str]) -> io::Result<Output> {
    let mut command = Command::new("git");
    ELSEWHERE.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.arg("-C").arg(dir).args(words).output()
}

/// What git prints; none where it refuses or is not there.
pub(super) fn ask(dir: &Path, words: &[&str]) -> Option<String> {
    let output = run(dir, words).ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What git prints, byte for byte.
///
/// # Errors
/// When git is not there, or refuses: what it says is in the message.
pub(super) fn must(dir: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let asked = format!("git {} in {}", words.join(" "), dir.display());
    let output = run(dir, words).map_err(|e| Error::io(format!("run {asked}"), e))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(ErrorKind::Io, format!("{asked} failed: {said}")))
}

/// The top folder of the work tree around `dir`; none where no git looks after it.
///
/// # Errors
/// When there is a `.git` and git cannot be asked: to take its folder for one without would keep
/// what it ignores.
pub(super) fn top(dir: &Path) -> Result<Option<std::path::PathBuf>> {
    if !dir.ancestors().any(|folder| folder.join(".git").exists()) {
        return Ok(None);
    }
    let said = must(dir, &["rev-parse", "--show-toplevel"])?;
    let path = said.strip_suffix(b"\n").unwrap_or(&said);
    let path = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path);
    Ok(Some(path.into()))
}
