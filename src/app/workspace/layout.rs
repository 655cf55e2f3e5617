//! Where things lie in a workspace: the one place that derives paths and names of folders.
//!
//! `consolidated` keeps runs below `experiments/`, `training-output` below `training/` with models
//! in `model_weights/`. A run's id is the same in both; only its folder is called otherwise.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::{Error, ErrorKind, LayoutMove, Mode, Result, Settings, Workspace, workspace};
use crate::base::{Timestamp, confine};
use crate::domain::policy::Policy;
use crate::domain::run::Archive;
use crate::domain::workspace::LayoutKind;
use crate::projection::files::{TrainingOutputFiles, plain};

/// Variables of the environment that move folders of the layout `training-output`.
pub const FOLDER_VARIABLES: [&str; 3] = ["TRAINING_DIR", "MODEL_WEIGHTS_DIR", "EXPERIMENT_DIR"];

/// Folders that are elsewhere than the layout has them, relative to the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// The active runs' folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiments: Option<String>,
    /// The production models' folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<String>,
    /// What belongs to training, in the layout `training-output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<String>,
}

/// Where things lie, relative to the workspace, `/` between components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Which.
    pub kind: LayoutKind,
    /// The active runs' folders.
    pub experiments: String,
    /// The production models' folders.
    pub production: String,
    /// What belongs to training.
    pub training: String,
}

/// The layout of a workspace, and what is not where the layout has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LayoutShown {
    /// Which layout.
    pub layout: LayoutKind,
    /// The folder of the active runs.
    pub experiments: String,
    /// The folder of the production models.
    pub production: String,
    /// The folder of what belongs to training.
    pub training: String,
    /// The folder of pretrained models, where the layout has one.
    pub pretrained: Option<String>,
    /// Folders that are not where the layout has them.
    pub elsewhere: Vec<LayoutMove>,
}

/// The layout, and the folders that are not where it has them.
///
/// # Errors
/// When the log cannot be read.
pub fn layout_shown(workspace: &Workspace) -> Result<LayoutShown> {
    let pretrained = workspace.layout.pretrained();
    let Layout { kind, experiments, production, training } = workspace.layout.clone();
    let elsewhere = workspace::migrate(workspace, kind, Mode::DryRun)?.moves;
    Ok(LayoutShown { layout: kind, experiments, production, training, pretrained, elsewhere })
}

impl Layout {
    /// A layout as it is by itself.
    pub fn new(kind: LayoutKind) -> Self {
        let (experiments, production, training) = match kind {
            LayoutKind::Consolidated => ("experiments", "models/production", "."),
            LayoutKind::TrainingOutput => {
                ("training/experiments/active", "model_weights/production", "training")
            }
        };
        Self {
            kind,
            experiments: experiments.into(),
            production: production.into(),
            training: training.into(),
        }
    }

    /// Each layout as it is by itself.
    pub(in crate::app) fn all() -> [Self; 2] {
        [LayoutKind::Consolidated, LayoutKind::TrainingOutput].map(Self::new)
    }

    /// The layout of a workspace: as its settings say, the variables of the environment, and those
    /// of a file `.env` in the workspace where the environment lacks them.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] and [`ErrorKind::Usage`] for a folder outside of the workspace.
    pub fn of(
        root: &Path,
        settings: &Settings,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let paths = &settings.paths;
        let mut layout = Self::new(settings.layout);
        let of_file = match layout.kind {
            LayoutKind::TrainingOutput => dotenv(root)?,
            LayoutKind::Consolidated => BTreeMap::new(),
        };
        let variable = |name: &str| variables.get(name).or_else(|| of_file.get(name)).cloned();
        let named = |path: &Option<String>, key: &str| -> Result<Option<String>> {
            let inside = |path: &String| {
                inside(root, path).ok_or_else(|| {
                    let message = format!("annals.toml: the folder {path:?} of paths.{key} leaves");
                    Error::new(ErrorKind::Data, format!("{message} the workspace"))
                })
            };
            path.as_ref().map(inside).transpose()
        };
        let moved = |name: &str| -> Result<Option<String>> {
            let Some(text) = variable(name).filter(|_| layout.kind == LayoutKind::TrainingOutput)
            else {
                return Ok(None);
            };
            let path = inside(root, &text).ok_or_else(|| {
                let message = format!("{name}={text} leaves the workspace {}", root.display());
                Error::new(ErrorKind::Usage, message)
                    .hint("name a folder inside of it, or unset it, in the environment or in .env")
            })?;
            Ok(Some(path))
        };
        let training = moved("TRAINING_DIR")?.or(named(&paths.training, "training")?);
        let production = moved("MODEL_WEIGHTS_DIR")?.or(named(&paths.production, "production")?);
        let experiments = moved("EXPERIMENT_DIR")?.or(named(&paths.experiments, "experiments")?);
        if let Some(training) = training {
            layout.experiments = format!("{training}/experiments/active");
            layout.training = training;
        }
        layout.production = production.unwrap_or(layout.production);
        layout.experiments = experiments.unwrap_or(layout.experiments);
        Ok(layout)
    }

    /// The folder of weights from elsewhere, which trainings start from: beside the models in
    /// production, in the layout `training-output` only.
    pub fn pretrained(&self) -> Option<String> {
        let above = match self.production.rsplit_once('/') {
            Some((above, _)) => format!("{above}/"),
            None => String::new(),
        };
        (self.kind == LayoutKind::TrainingOutput).then(|| format!("{above}pretrained"))
    }

    /// The name of a run's folder; `number` tells those of one name apart.
    pub fn folder_name(&self, run: &NewRun<'_>, number: u32) -> String {
        match self.kind {
            LayoutKind::Consolidated => run.experiment_id(number),
            LayoutKind::TrainingOutput => {
                let model = plain(run.model);
                numbered(format!("{}_{model}_{}", run.began.date(), run.name), number)
            }
        }
    }

    /// The folder of an active run.
    pub fn home(&self, folder_name: &str) -> String {
        format!("{}/{folder_name}", self.experiments)
    }

    /// The folder that holds the runs of an archive.
    pub fn archive(&self, archive: Archive, policy: &Policy) -> String {
        match self.kind {
            LayoutKind::Consolidated => {
                format!("{}/{}", self.experiments, archive.location(policy))
            }
            LayoutKind::TrainingOutput => format!("{}/experiments/archived", self.training),
        }
    }

    /// Where the file `name` of a run's settings or log lies in its folder: those of the layout
    /// `training-output` lie at the top of it. None for other artifacts.
    pub(in crate::app) fn inside(&self, artifact: &str, name: &str) -> Option<String> {
        let folder = match artifact {
            "config" => "config/",
            "log" => "logs/",
            _ => return None,
        };
        let name = name.strip_prefix(folder).unwrap_or(name);
        match self.kind {
            _ if name.contains('/') => None,
            LayoutKind::Consolidated => Some(format!("{folder}{name}")),
            LayoutKind::TrainingOutput => Some(name.to_owned()),
        }
    }

    /// What is generated beside runs and models.
    pub(in crate::app) fn guide(&self) -> Option<TrainingOutputFiles> {
        (self.kind == LayoutKind::TrainingOutput)
            .then(|| TrainingOutputFiles { training: self.training.clone() })
    }

    /// The folder of a production model.
    pub fn model(&self, name: &str) -> String {
        format!("{}/{name}", self.production)
    }
}

/// A run that is about to begin.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// The experiment's name.
    pub name: &'a str,
    /// Its sort of model: the name of its configuration.
    pub model: &'a str,
    /// When it begins.
    pub began: Timestamp,
}

impl NewRun<'_> {
    /// The unique name.
    pub fn experiment_id(&self, number: u32) -> String {
        numbered(format!("{}_{}", self.name, self.began.compact()), number)
    }
}

/// What a production model is called where the metric is the version: `pat_conv_l_v0.5929`, or
/// `pat_conv_l_v0.5929_20250725`.
pub(in crate::app) fn model_name(model: &str, auc: f64, date: Option<Timestamp>) -> String {
    let date = date.map(|date| format!("_{}", date.date().replace('-', "")));
    format!("{}_v{auc:.4}{}", plain(model), date.unwrap_or_default())
}

/// The variables of the layout in the workspace's `.env`, where there is one.
fn dotenv(root: &Path) -> Result<BTreeMap<String, String>> {
    let path = root.join(".env");
    // A pipe or a link is nobody's settings.
    if !std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
        return Ok(BTreeMap::new());
    }
    let text =
        std::fs::read(&path).map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    Ok(variables_in(&String::from_utf8_lossy(&text)))
}

/// The variables of the layout in lines of `NAME=value`, as shells and dotenv read them: `export`
/// in front, single or double quotes, comments. The last of a name counts.
fn variables_in(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { continue };
        let Some(name) = FOLDER_VARIABLES.iter().find(|known| **known == name.trim()) else {
            continue;
        };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            value.strip_prefix(quote)?.split_once(quote).map(|(inside, _)| inside)
        });
        let plain = || value.split(" #").next().unwrap_or(value).trim_end();
        let value = quoted.unwrap_or_else(plain);
        match value.is_empty() {
            true => found.remove(*name),
            false => found.insert((*name).to_owned(), value.to_owned()),
        };
    }
    found
}

fn numbered(name: String, number: u32) -> String {
    if number == 1 { name } else { format!("{name}_{number}") }
}

/// A folder inside of the workspace, as the log writes it; none for one that leaves it.
fn inside(root: &Path, path: &str) -> Option<String> {
    let path = Path::new(path);
    let relative = if path.is_absolute() { path.strip_prefix(root).ok()? } else { path };
    let mut parts = Vec::new();
    for part in relative.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::Normal(part) => parts.push(part.to_str()?.to_owned()),
            _ => return None,
        }
    }
    let path = parts.join("/");
    confine::public(&path).is_ok().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_folder_leaves_the_workspace() {
        let root = Path::new("/data/ward");
        assert_eq!(inside(root, "./training/"), Some("training".into()));
        assert_eq!(inside(root, "/data/ward/a/b"), Some("a/b".into()));
        for path in [
            "",
            ".",
            "..",
            "a/../b",
            "/data",
            "/data/ward",
            "/etc",
            ".annals",
            ".annals/x",
            ".git/x",
        ] {
            assert_eq!(inside(root, path), None, "{path}");
        }
    }

    #[test]
    fn a_file_of_variables_is_read_as_shells_read_it() {
        for (text, expected) in [
            ("TRAINING_DIR=\"./t3\"", Some("./t3")),
            ("export TRAINING_DIR='t 4' # here", Some("t 4")),
            ("  TRAINING_DIR = t5 # here\r", Some("t5")),
            ("# TRAINING_DIR=t6", None),
            ("TRAINING_DIR=\nOTHER=x\nTRAINING_DIRS=y", None),
            ("TRAINING_DIR=a\nTRAINING_DIR=b#c", Some("b#c")),
            ("TRAINING_DIR=\"a\"\nTRAINING_DIR=''", None),
        ] {
            let found = variables_in(text);
            assert_eq!(found.get("TRAINING_DIR").map(String::as_str), expected, "{text}");
            assert!(found.keys().all(|name| FOLDER_VARIABLES.contains(&name.as_str())));
        }
    }

    #[test]
    fn folders_are_called_as_their_layout_asks() {
        let began = "2026-07-25T10:44:38Z".parse().expect("a time");
        let run = NewRun { name: "simplified", model: "pat conv/l", began };
        let name = |kind| Layout::new(kind).folder_name(&run, 1);
        assert_eq!(name(LayoutKind::Consolidated), "simplified_20260725_104438");
        assert_eq!(name(LayoutKind::TrainingOutput), "2026-07-25_pat_conv_l_simplified");
        let second = Layout::new(LayoutKind::TrainingOutput).folder_name(&run, 2);
        assert_eq!(second, "2026-07-25_pat_conv_l_simplified_2");
    }
}
