//! `annals why` and `annals verify-bundle`.

use std::path::PathBuf;

use super::context::Context;
use super::out::{self, OutPath};
use super::read_args::LogFile;
use super::ui::{Ui, escape};
use crate::app::{Bundle, Error, Node, Result, Workspace, records};
use crate::base::{are, counted};

/// Show why a model is in production, or where a file comes from, event by event
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals why hate_v1
  annals why models/production/hate_v1/vectorizer.json
  annals why hate_v1 --proofs proofs.json")]
pub(super) struct Args {
    /// A model (NAME or NAME@VERSION), a run, a file, or the digest of one (8 digits or more)
    what: String,
    /// Write proofs of every event of the chain to this file, or to a file in this folder;
    /// `annals verify-bundle` checks them on any machine
    #[arg(long, value_name = "FILE|DIR")]
    proofs: Option<OutPath>,
    #[command(flatten)]
    file: LogFile,
}

/// Check a bundle of proofs with the public key alone, on any machine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals verify-bundle proofs.json
  annals verify-bundle proofs.json --key 'annals/hate/1+ed25519+AAAA'")]
pub(super) struct BundleArgs {
    /// The file that `annals why --proofs` wrote
    bundle: PathBuf,
    /// The public key that must have signed; the key inside the bundle proves nothing
    #[arg(long)]
    key: Option<String>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.file.read(context, |workspace, context| show(args, workspace, context))
}

fn show(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let node = records::why(workspace, &args.what, &context.cwd)?;
    context.ui.data(&node, |ui| tree(ui, &node, "", ""))?;
    let Some(path) = &args.proofs else { return Ok(()) };
    let mut path = path.place(context)?;
    if path.is_dir() {
        let plain = |c: char| if c.is_alphanumeric() || "-_.@".contains(c) { c } else { '_' };
        path.push(format!("{}.proofs.json", args.what.chars().map(plain).collect::<String>()));
    }
    let bundle = records::bundle(workspace, &args.what, &node)?;
    let text = serde_json::to_string_pretty(&bundle).unwrap_or_default();
    out::write(&path, text.as_bytes())?;
    context.ui.note(&format!("{} proofs are in {}", bundle.proofs.len(), path.display()));
    Ok(())
}

/// `indent` stands before the line, `below` before the lines of what it rests on.
fn tree(ui: &mut Ui, node: &Node, indent: &str, below: &str) -> Result<()> {
    let at = node.position.map(|at| format!("  [{at}]")).unwrap_or_default();
    ui.line(&format!("{indent}{}: {}{at}", node.what, escape(&node.detail)))?;
    let last = node.because.len().saturating_sub(1);
    for (index, child) in node.because.iter().enumerate() {
        let (branch, next) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        tree(ui, child, &format!("{below}{branch}"), &format!("{below}{next}"))?;
    }
    Ok(())
}

pub(super) fn run_bundle(args: &BundleArgs, context: &mut Context) -> Result<()> {
    let path = context.cwd.join(&args.bundle);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
    let checked = Bundle::check(&text, args.key.as_deref())?;
    context.ui.data(&checked, |ui| {
        for event in &checked.events {
            let (at, kind) = (event.position, &event.kind);
            ui.line(&format!("{at:>8}  {kind:<30} {}", escape(&event.summary)))?;
        }
        ui.line(&format!(
            "{} {} in the log {} of size {}, signed by {}.",
            counted(checked.events.len(), "event"),
            are(&checked.events.len()),
            checked.origin,
            checked.size,
            checked.key
        ))?;
        if !checked.key_pinned {
            ui.warn("the key came with the bundle; --key pins the one you trust");
        }
        Ok(())
    })
}
