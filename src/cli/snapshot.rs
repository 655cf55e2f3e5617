//! `annals snapshot`.

use clap::Subcommand;

use super::consent::DryRun;
use super::context::Context;
use super::out::OutPath;
use super::ui::{Table, digest_cells, size};
use crate::app::{
    Content, Error, ErrorKind, Programs, PythonEnvironment, Result, SnapshotCreated, SnapshotLine,
    SnapshotManifest, SnapshotRequest, SnapshotRestored, SnapshotShown, SnapshotVerified,
    Workspace, workspace,
};
use crate::base::{are, counted};

/// Digits of a digest that tables show.
const DIGITS: usize = 12;

/// Store code, settings, environment and models; verify, compare and restore them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals snapshot create -m 'before the audit'
  annals snapshot verify latest
  annals snapshot diff 0123abcd latest")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Store the files that git tracks or would add (without git, the whole folder), uncommitted
    /// changes, settings, policy, environment and the models in production
    ///
    /// Files are stored unchanged, including secrets in them; files that git ignores are left out.
    #[command(after_help = "\
Examples:
  annals snapshot create -m 'before the audit'
  annals snapshot create --run hate --dry-run")]
    Create {
        /// The reason, which is recorded
        #[arg(long, short)]
        message: Option<String>,
        /// Also store the files of this run, and exempt it from the retention rules
        #[arg(long, value_name = "RUN")]
        run: Vec<String>,
        #[command(flatten)]
        mode: DryRun,
    },
    /// List all snapshots, newest first
    #[command(after_help = "\
Examples:
  annals snapshot list
  annals snapshot list --format jsonl")]
    List,
    /// Show the content of a snapshot
    #[command(after_help = "\
Examples:
  annals snapshot show latest
  annals snapshot show 0123abcd --files")]
    Show {
        /// The first letters of its name, or `latest`
        snapshot: String,
        /// Show every file
        #[arg(long)]
        files: bool,
    },
    /// Check every file of a snapshot against its digest
    #[command(after_help = "\
Examples:
  annals snapshot verify latest
  annals snapshot verify 0123abcd")]
    Verify {
        /// The first letters of its name, or `latest`
        snapshot: String,
    },
    /// Restore a snapshot into a new or empty folder: code/, config/, models/, runs/, snapshot.json
    #[command(after_help = "\
Examples:
  annals snapshot restore latest --to restored
  annals snapshot restore latest --to restored --dry-run")]
    Restore {
        /// The first letters of its name, or `latest`
        snapshot: String,
        /// The folder
        #[arg(long, value_name = "DIR")]
        to: OutPath,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Compare two snapshots
    #[command(after_help = "\
Examples:
  annals snapshot diff 0123abcd latest
  annals snapshot diff 0123abcd 4567cdef --format json")]
    Diff {
        /// The first letters of its name, or `latest`
        first: String,
        /// The first letters of its name, or `latest`
        second: String,
    },
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let dry_run = match &args.verb {
        Verb::Create { mode, .. } | Verb::Restore { mode, .. } => mode.dry_run,
        _ => false,
    };
    let changes = matches!(args.verb, Verb::Create { .. } | Verb::Restore { .. });
    let workspace = if changes { context.changing(dry_run)? } else { context.workspace()? };
    match args.verb {
        Verb::Create { message, run, .. } => create(&workspace, message, &run, context),
        Verb::List => list(&workspace::snapshots(&workspace)?, context),
        Verb::Show { snapshot, files } => {
            let line = workspace::find_snapshot(&workspace, &snapshot)?;
            let manifest = workspace::manifest(&workspace, line.snapshot)?;
            let shown = SnapshotShown { taken: line, content: manifest };
            let (line, manifest) = (&shown.taken, &shown.content);
            context.ui.data(&shown, |ui| {
                if files {
                    ui.table(&contents(manifest))?;
                    return Ok(());
                }
                facts(line, manifest).iter().try_for_each(|(key, value)| {
                    ui.line(&format!("{key:<13} {}", super::ui::escape(value)))
                })
            })
        }
        Verb::Verify { snapshot } => verify(&workspace, &snapshot, context),
        Verb::Restore { snapshot, to, .. } => {
            let line = workspace::find_snapshot(&workspace, &snapshot)?;
            let to = to.place(context)?;
            let manifest = workspace::restore_snapshot(&workspace, line.snapshot, &to)?;
            let (name, count) = (line.snapshot.short(DIGITS), manifest.entries.len());
            let told = size(manifest.bytes());
            let restored = SnapshotRestored { snapshot: line.snapshot, to, files: count };
            context.ui.data(&restored, |ui| {
                ui.line(&format!(
                    "Snapshot {name} was restored into {}: {}, {told}.",
                    restored.to.display(),
                    counted(count, "file")
                ))
            })
        }
        Verb::Diff { first, second } => diff(&workspace, &first, &second, context),
    }
}

fn create(
    workspace: &Workspace,
    message: Option<String>,
    names: &[String],
    context: &mut Context,
) -> Result<()> {
    let views = workspace.snapshot()?;
    let runs = names.iter().map(|name| workspace.find_run(&views, name)).collect::<Result<_>>()?;
    drop(views);
    let programs =
        Programs { torch: context.program("annals-engine"), own: context.program("annals") };
    let request = SnapshotRequest { message, runs, programs: Some(programs) };
    let taken = workspace::take_snapshot(workspace, &request)?;
    let (name, manifest) = (taken.snapshot.short(DIGITS), &taken.manifest);
    let told = (manifest.entries.len(), size(manifest.bytes()));
    context.ui.data(&SnapshotCreated::from(&taken), |ui| {
        let files = counted(told.0, "file");
        ui.line(&format!("Snapshot {name}: {files}, {}.", told.1))?;
        if !taken.new {
            ui.note("The same content is stored already: nothing changed since that snapshot.");
        }
        for path in &manifest.left_out {
            ui.warn(&format!("{path} is not a file, folder or link and was left out"));
        }
        Ok(())
    })
}

fn list(lines: &Vec<SnapshotLine>, context: &mut Context) -> Result<()> {
    context.ui.data(lines, |ui| {
        let mut table =
            Table::new(&["snapshot", "taken", "by", "commit", "files", "size", "message"]);
        for line in lines {
            table.row([
                &line.snapshot.short(DIGITS),
                &line.recorded.human(),
                &format!("{} ({})", line.actor, line.identity),
                &commit(line),
                &line.files.to_string(),
                &size(line.bytes),
                line.message.as_deref().unwrap_or("-"),
            ]);
        }
        ui.table(&table)
    })
}

fn commit(line: &SnapshotLine) -> String {
    let dirty = if line.dirty { " and changes" } else { "" };
    let short = line.commit.as_deref().map(|commit| commit.get(..DIGITS).unwrap_or(commit));
    short.map_or_else(|| "-".to_owned(), |commit| format!("{commit}{dirty}"))
}

/// What a snapshot says beside its files.
fn facts(line: &SnapshotLine, manifest: &SnapshotManifest) -> Vec<(&'static str, String)> {
    let environment = &manifest.environment;
    let none = || "none".to_owned();
    let models = manifest.models.iter().map(|(name, version)| format!("{name} {version}"));
    let models: Vec<String> = models.collect();
    let runs: Vec<String> = manifest.runs.iter().map(ToString::to_string).collect();
    let joined = |list: &[String]| if list.is_empty() { none() } else { list.join(", ") };
    vec![
        ("snapshot", line.snapshot.to_string()),
        ("taken", format!("{} by {} ({})", line.recorded.human(), line.actor, line.identity)),
        ("position", line.position.to_string()),
        ("message", line.message.clone().unwrap_or_else(none)),
        ("commit", commit(line)),
        ("branch", environment.git.as_ref().and_then(|g| g.branch.clone()).unwrap_or_else(none)),
        ("os", environment.os.clone()),
        ("cpu", format!("{}, {} threads", environment.cpu, environment.cpus)),
        ("rust", manifest.rust.clone().unwrap_or_else(none)),
        ("libtorch", environment.libtorch.clone().unwrap_or_else(none)),
        ("python", manifest.python.as_ref().map_or_else(none, python)),
        ("pinned by", joined(&manifest.packages)),
        ("policy", format!("revision {}", manifest.policy_revision)),
        ("models", joined(&models)),
        ("runs", joined(&runs)),
        ("left out", joined(&manifest.left_out)),
        ("files", format!("{} ({})", manifest.entries.len(), size(manifest.bytes()))),
    ]
}

fn python(environment: &PythonEnvironment) -> String {
    let version = environment.version.as_deref().unwrap_or("of an unknown version");
    let packages = environment.packages.len();
    format!("{version}, {packages} packages in {} (--format json lists them)", environment.path)
}

fn contents(manifest: &SnapshotManifest) -> Table {
    let mut table = Table::new(&["file", "mode", "size", "blake3", "sha256"]);
    for entry in &manifest.entries {
        let [mode, size, blake3, sha256] = described(&entry.content);
        table.row([&entry.path, &mode, &size, &blake3, &sha256]);
    }
    table
}

/// Mode, size and digests, or where a link points to.
fn described(content: &Content) -> [String; 4] {
    match content {
        Content::File { digest, sha256, bytes, mode } => {
            let [blake3, sha256] = digest_cells(digest, sha256.as_ref());
            [format!("{mode:o}"), size(*bytes), blake3, sha256]
        }
        Content::Link { target } => ["link".into(), "-".into(), target.clone(), String::new()],
    }
}

fn verify(workspace: &Workspace, snapshot: &str, context: &mut Context) -> Result<()> {
    let line = workspace::find_snapshot(workspace, snapshot)?;
    let verified = SnapshotVerified {
        snapshot: line.snapshot,
        found: workspace::verify_snapshot(workspace, line.snapshot)?,
    };
    let found = &verified.found;
    let name = line.snapshot.short(DIGITS);
    let wrong = found.wrong.len();
    context.ui.data(&verified, |ui| {
        if wrong == 0 {
            let told = size(found.bytes);
            let files = counted(found.files, "file");
            return ui.line(&format!("Snapshot {name} is intact: {files}, {told}."));
        }
        let mut table = Table::new(&["file", "problem"]);
        found.wrong.iter().for_each(|(path, what)| table.row([path, what]));
        ui.table(&table)
    })?;
    if wrong == 0 {
        return Ok(());
    }
    let message = format!(
        "{wrong} of {} of snapshot {name} {} damaged",
        counted(found.files, "file"),
        are(&wrong)
    );
    Err(Error::new(ErrorKind::Integrity, message)
        .hint("nothing was repaired; a copy of the workspace may have the blobs"))
}

fn diff(workspace: &Workspace, first: &str, second: &str, context: &mut Context) -> Result<()> {
    let (first, second) =
        (workspace::find_snapshot(workspace, first)?, workspace::find_snapshot(workspace, second)?);
    let found = workspace::compare_snapshots(workspace, first.snapshot, second.snapshot)?;
    context.ui.data(&found, |ui| {
        if found.facts.is_empty() && found.files.is_empty() {
            ui.note("They have the same content.");
            return Ok(());
        }
        let mut table = Table::new(&["change", "name", "before", "after"]);
        for (key, before, after) in &found.facts {
            table.row(["fact", key, before, after]);
        }
        for change in &found.files {
            let side = |content: &Option<Content>| {
                let cells = content.as_ref().map(described);
                cells.map_or_else(|| "-".into(), |[mode, _, what, _]| format!("{what} {mode}"))
            };
            let (before, after) = (side(&change.before), side(&change.after));
            table.row([change.word(), &change.path, &before, &after]);
        }
        ui.table(&table)
    })
}
