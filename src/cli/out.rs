//! Where a verb writes what the user asked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::context::Context;
use crate::app::{Error, Result, check_output};
use crate::base::durable;

/// A file or folder that a verb writes. It is used only through [`Self::place`], so that no verb
/// writes where annals keeps its own.
#[derive(Clone, Debug)]
pub(super) struct OutPath(PathBuf);

impl From<OsString> for OutPath {
    fn from(text: OsString) -> Self {
        Self(text.into())
    }
}

impl From<&str> for OutPath {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl OutPath {
    /// Whether it is a word that names no file.
    pub(super) fn is(&self, word: &str) -> bool {
        self.0.as_os_str() == word
    }

    /// The full path.
    ///
    /// # Errors
    /// [`crate::app::ErrorKind::Usage`] for a place that belongs to annals.
    pub(super) fn place(&self, context: &Context) -> Result<PathBuf> {
        let path = context.cwd.join(&self.0);
        check_output(&path, context.dirs().ok().as_ref())?;
        Ok(path)
    }

    /// As [`Self::place`], for a folder that gets registry files.
    ///
    /// # Errors
    /// As [`Self::place`]; for a workspace, whose own registry files would be written over.
    pub(super) fn place_of_registry(&self, context: &Context) -> Result<PathBuf> {
        let path = self.place(context)?;
        check_output(&path.join("models_registry.json"), None)?;
        Ok(path)
    }
}

/// Writes a file that the user asked for, whole or not at all. The path is one that
/// [`OutPath::place`] gave.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    durable::write(path, bytes).map_err(|e| Error::io(format!("write {}", path.display()), e))
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use super::*;

    /// Arguments that name a file or folder to read, or to work in. One that a verb writes is an
    /// [`OutPath`] and stands in `OUTPUTS`, and so in the table of `tests/cli/attack.rs`.
    const INPUTS: [&str; 41] = [
        "annals --directory",
        "annals audit --log",
        "annals best --log",
        "annals candidates --log",
        "annals clinical --log",
        "annals compare --log",
        "annals diff --log",
        "annals export --log",
        "annals init dir",
        "annals list --log",
        "annals log --file",
        "annals log --log",
        "annals models --log",
        "annals plot --log",
        "annals policy diff --log",
        "annals policy history --log",
        "annals policy show --log",
        "annals predict --file",
        "annals prove --check",
        "annals query --log",
        "annals redact --text-from",
        "annals report --log",
        "annals run exec --config",
        "annals run exec --data",
        "annals run exec --save",
        "annals run finish --confusion",
        "annals run save file",
        "annals run start --config",
        "annals run start --data",
        "annals show --log",
        "annals status --log",
        "annals train --config",
        "annals train --data",
        "annals train --init",
        "annals train --labels-file",
        "annals train --test",
        "annals train --valid",
        "annals verify --against",
        "annals verify --log",
        "annals verify-bundle bundle",
        "annals why --log",
    ];
    const OUTPUTS: [&str; 12] = [
        "annals checkpoint anchor to",
        "annals compare --out",
        "annals consolidate report --out",
        "annals export folder",
        "annals log copy target",
        "annals plot --out",
        "annals predict --out",
        "annals query --out",
        "annals replay --out",
        "annals report --out",
        "annals snapshot restore --to",
        "annals why --proofs",
    ];

    fn arguments(command: &clap::Command, path: &str, each: &mut impl FnMut(String, &clap::Arg)) {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let name =
                arg.get_long().map_or_else(|| arg.get_id().to_string(), |long| format!("--{long}"));
            each(format!("{path} {name}"), arg);
        }
        for sub in command.get_subcommands() {
            arguments(sub, &format!("{path} {}", sub.get_name()), each);
        }
    }

    #[test]
    fn every_file_that_a_verb_writes_is_checked() {
        let (mut outputs, mut unknown) = (Vec::new(), Vec::new());
        arguments(&crate::cli::command(), "annals", &mut |name, arg| {
            let kind = arg.get_value_parser().type_id();
            let names = arg.get_value_names().unwrap_or_default();
            let path = names.iter().any(|name| {
                ["FILE", "DIR", "FOLDER", "PATH"].iter().any(|word| name.contains(word))
            });
            if kind == TypeId::of::<OutPath>() {
                outputs.push(name);
            } else if (path || kind == TypeId::of::<PathBuf>()) && !INPUTS.contains(&&*name) {
                unknown.push(name);
            }
        });
        outputs.sort_unstable();
        assert_eq!(outputs, OUTPUTS, "tests/cli/attack.rs needs a row for each");
        assert!(unknown.is_empty(), "read or written? {unknown:?}");
    }
}
