//! `annals predict`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use serde_json::{Map, json};

use super::context::Context;
use super::ui::share;
use crate::app::{BATCH_TEXTS, Error, ErrorKind, Model, Programs, Result};

/// A label is given from this probability on, where a text may have any number of them.
const THRESHOLD: f64 = 0.5;

/// Classify texts with a run, a model in production or a folder
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A production name, a run, or a folder such as models/production/NAME
    model: String,
    /// The texts
    #[arg(conflicts_with = "file")]
    texts: Vec<String>,
    /// A file with a text in each line; - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Show unnormalised scores too
    #[arg(long)]
    logits: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let programs =
        Programs { torch: context.program("annals-engine"), own: context.program("annals") };
    if args.texts.is_empty() && args.file.is_none() {
        return Err(Error::new(ErrorKind::Usage, "no text was given")
            .hint("annals predict MODEL \"a text\", or --file FILE with a text in each line"));
    }
    let folder = context.cwd.join(&args.model);
    let mut model = if folder.is_dir() {
        Model::in_folder(&folder, &programs)?
    } else {
        context.app()?.model(&args.model, &programs)?
    };
    if !model.recorded {
        context.ui.note(&format!(
            "{} is not checked against a log; its weights have digest {}.",
            model.name, model.weights
        ));
    }
    let Some(file) = &args.file else { return answer(&mut model, &args.texts, args, context) };
    let name = file.display().to_string();
    let lines: Box<dyn BufRead> = if name == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(context.cwd.join(file))
            .map_err(|e| Error::caused(ErrorKind::Data, format!("cannot read {name}"), e))?;
        Box::new(BufReader::new(file))
    };
    let mut texts = Vec::with_capacity(BATCH_TEXTS);
    for (number, line) in lines.lines().enumerate() {
        texts.push(line.map_err(|e| {
            Error::caused(ErrorKind::Data, format!("cannot read line {} of {name}", number + 1), e)
        })?);
        if texts.len() == BATCH_TEXTS {
            answer(&mut model, &texts, args, context)?;
            texts.clear();
        }
    }
    answer(&mut model, &texts, args, context)
}

/// One line for each text.
fn answer(model: &mut Model, texts: &[String], args: &Args, context: &mut Context) -> Result<()> {
    for part in texts.chunks(BATCH_TEXTS) {
        for (text, scores) in part.iter().zip(model.scores(part)?) {
            let probabilities = model.probabilities(&scores);
            let said = labels(model, &probabilities);
            if context.ui.json() {
                let all: Map<String, serde_json::Value> = model
                    .labels
                    .iter()
                    .zip(&probabilities)
                    .map(|(label, p)| (label.clone(), json!(p)))
                    .collect();
                let mut line = json!({
                    "text": text,
                    "labels": said,
                    "probabilities": all,
                    "model": model.name,
                    "weights": model.weights,
                });
                if model.multi_label {
                    line["threshold"] = json!(THRESHOLD);
                }
                if args.logits {
                    line["logits"] = json!(scores);
                }
                context.ui.line(&line.to_string())?;
                continue;
            }
            let top = probabilities.iter().copied().fold(0.0, f64::max);
            let mut line = format!("{}  {}", share(Some(top)), said.join(", "));
            if args.logits {
                let scores: Vec<String> = scores.iter().map(|s| format!("{s:.6}")).collect();
                line += &format!("  [{}]", scores.join(", "));
            }
            context.ui.line(&format!("{line}  {}", super::ui::escape(text)))?;
        }
    }
    Ok(())
}

fn labels(model: &Model, probabilities: &[f64]) -> Vec<String> {
    let pairs = model.labels.iter().zip(probabilities);
    if model.multi_label {
        let chosen = pairs.filter(|(_, p)| **p >= THRESHOLD).map(|(label, _)| label.clone());
        return chosen.collect();
    }
    let best = pairs.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(label, _)| label.clone()).into_iter().collect()
}
