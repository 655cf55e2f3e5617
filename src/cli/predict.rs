//! `annals predict`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use serde_json::{Map, json};

use super::context::Context;
use super::ui::share;
use crate::app::{
    BATCH_TEXTS, Error, ErrorKind, ID_COLUMN, Model, Programs, Result, refuse_pickle,
};

/// Classify texts or series of numbers with a run, a model in production or a folder
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A production name, a run, or a folder such as models/production/NAME
    model: String,
    /// The texts
    #[arg(conflicts_with = "file")]
    texts: Vec<String>,
    /// A file with a text in each line, - for standard input; for series a table or array
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Column that names each series
    #[arg(long, value_name = "NAME", default_value = ID_COLUMN)]
    id_column: String,
    /// Texts that go through the model together; 1 answers each line as it comes
    #[arg(long, value_name = "N", default_value_t = BATCH_TEXTS)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4_096))]
    batch: usize,
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
    refuse_pickle(&folder)?;
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
    if model.series_length().is_some() {
        let series = model.read_series(&context.cwd.join(file), &args.id_column)?;
        for part in series.chunks(args.batch) {
            let names: Vec<&str> = part.iter().map(|series| series.name.as_str()).collect();
            let scores = model.series_scores(part)?;
            print(&model, "series", &names, &scores, args, context)?;
        }
        return Ok(());
    }
    let name = file.display().to_string();
    let lines: Box<dyn BufRead> = if name == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(context.cwd.join(file))
            .map_err(|e| Error::caused(ErrorKind::Data, format!("cannot read {name}"), e))?;
        Box::new(BufReader::new(file))
    };
    let mut texts = Vec::with_capacity(args.batch);
    for (number, line) in lines.lines().enumerate() {
        texts.push(line.map_err(|e| {
            Error::caused(ErrorKind::Data, format!("cannot read line {} of {name}", number + 1), e)
        })?);
        if texts.len() == args.batch {
            answer(&mut model, &texts, args, context)?;
            texts.clear();
        }
    }
    answer(&mut model, &texts, args, context)
}

fn answer(model: &mut Model, texts: &[String], args: &Args, context: &mut Context) -> Result<()> {
    for part in texts.chunks(args.batch) {
        let scores = model.scores(part)?;
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        print(model, "text", &part, &scores, args, context)?;
    }
    Ok(())
}

/// One line for each of `rows`, which are texts or the names of series.
fn print(
    model: &Model,
    what: &str,
    rows: &[&str],
    scores: &[Vec<f32>],
    args: &Args,
    context: &mut Context,
) -> Result<()> {
    for (row, scores) in rows.iter().zip(scores) {
        let probabilities = model.probabilities(scores);
        let said = labels(model, &probabilities);
        if context.ui.json() {
            let all: Map<String, serde_json::Value> = model
                .labels
                .iter()
                .zip(&probabilities)
                .map(|(label, p)| (label.clone(), json!(p)))
                .collect();
            let mut line = json!({
                what: row,
                "labels": said,
                "probabilities": all,
                "model": model.name,
                "weights": model.weights,
            });
            if model.multi_label {
                let thresholds = model.labels.iter().zip(&model.thresholds);
                let thresholds = thresholds.map(|(label, t)| (label.clone(), json!(t)));
                line["threshold"] = thresholds.collect::<Map<_, _>>().into();
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
        context.ui.line(&format!("{line}  {}", super::ui::escape(row)))?;
    }
    Ok(())
}

fn labels(model: &Model, probabilities: &[f64]) -> Vec<String> {
    let pairs = model.labels.iter().zip(probabilities);
    if model.multi_label {
        let reached = pairs.zip(&model.thresholds).filter(|((_, p), t)| p >= t);
        return reached.map(|((label, _), _)| label.clone()).collect();
    }
    let best = pairs.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(label, _)| label.clone()).into_iter().collect()
}
