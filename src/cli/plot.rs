//! `annals plot`: pictures as SVG, as PNG and in the terminal.

use clap::ValueEnum;

use super::context::Context;
use super::out::{self, OutPath};
use super::read_args::ReadScope;
use crate::app::{
    Error, ErrorKind, Picture, PictureDrawn, Result, RunDetails, Scale, Workspace, charts,
    check_columns, runs, workspace,
};
use crate::base::Split;
use crate::base::suggest::nearest;

/// Plot runs, in the terminal or as SVG or PNG
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals plot architecture --metric f1_macro --x n_embd
  annals plot curves small large --metric f1_macro --split valid
  annals plot confusion small --out confusion.png")]
pub(super) struct Args {
    /// What to draw
    #[arg(value_enum)]
    kind: Kind,
    /// Runs, by id, prefix or name; all finished runs where none is named
    runs: Vec<String>,
    /// Only runs that meet this condition (see `annals compare --help`)
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// The score to draw
    #[arg(long)]
    metric: Option<String>,
    /// architecture: the parameter or fact to draw it against
    #[arg(long, default_value = "parameters")]
    x: String,
    /// size-recall: the critical class, where the policy names none
    #[arg(long)]
    class: Option<String>,
    /// curves: only those of this split
    #[arg(long, value_enum)]
    split: Option<SplitArg>,
    /// Write the plot to this file: .svg or .png
    #[arg(long, value_name = "FILE")]
    out: Option<OutPath>,
    #[command(flatten)]
    scope: ReadScope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A metric against a parameter, run by run
    Architecture,
    /// Losses and scores over training, several runs overlaid
    Curves,
    /// Confusion matrix of one run
    Confusion,
    /// True against false positives of one run, label by label
    Roc,
    /// Precision against recall of one run, label by label
    Pr,
    /// Accuracy of one run against its confidence
    Calibration,
    /// A metric against the number of parameters
    Efficiency,
    /// Recall of the critical class against the size of the model
    SizeRecall,
    /// A metric over time, promotions marked
    History,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitArg {
    Train,
    Valid,
    Test,
}

impl From<SplitArg> for Split {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Train => Self::Train,
            SplitArg::Valid => Self::Valid,
            SplitArg::Test => Self::Test,
        }
    }
}

/// As many runs as can be told apart in one picture.
const OVERLAID_MAX: usize = 12;

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| draw(args, workspace, context))
}

fn draw(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let views = workspace.snapshot()?;
    let runs = runs::select_runs(workspace, &views, &args.runs, args.condition.as_deref())?;
    let metric = args.metric.as_deref().unwrap_or("f1_macro");
    let nothing = |why: &str| {
        let kind = args.kind.to_possible_value().map_or_else(String::new, |k| k.get_name().into());
        Error::new(ErrorKind::NotFound, format!("nothing to draw as {kind}: {why}"))
    };
    let drawn = match args.kind {
        Kind::Architecture | Kind::Efficiency => {
            let efficiency = args.kind == Kind::Efficiency;
            let (x, scale) = match efficiency || args.x == "parameters" {
                true => ("parameters", Scale::Log),
                false => (args.x.as_str(), Scale::Linear),
            };
            check_columns(&runs, [x, metric])?;
            charts::against(&runs, x, metric, scale)
                .ok_or_else(|| nothing(&format!("no run has both {x} and {metric}")))?
        }
        Kind::History => {
            check_columns(&runs, [metric])?;
            charts::history(&runs, metric, &runs::promotions(&views)?)
                .ok_or_else(|| nothing(&format!("no run has {metric}")))?
        }
        Kind::SizeRecall => {
            let class = match &args.class {
                Some(class) => class.clone(),
                None => critical(workspace)?,
            };
            charts::size_recall(&runs, &class)
                .ok_or_else(|| nothing(&format!("no run has test scores of {class:?}")))?
        }
        Kind::Curves => curves(args, workspace, &runs, &nothing, context)?,
        _ => one(args, workspace, &runs, &nothing)?,
    };
    show(args, &drawn, context)
}

fn curves(
    args: &Args,
    workspace: &Workspace,
    runs: &[RunDetails],
    nothing: &dyn Fn(&str) -> Error,
    context: &mut Context,
) -> Result<Picture> {
    if runs.len() > OVERLAID_MAX {
        let message = format!(
            "{} runs were selected, but one picture shows at most {OVERLAID_MAX}",
            runs.len()
        );
        return Err(Error::new(ErrorKind::Usage, message)
            .hint("name some: annals plot curves RUN RUN, or use --where"));
    }
    let metric = args.metric.as_deref().unwrap_or("loss");
    let recorded =
        runs.iter().map(|run| runs::curves(workspace, run.run())).collect::<Result<Vec<_>>>()?;
    for (run, curves) in runs.iter().zip(&recorded) {
        if curves.iter().all(|curve| curve.metric != metric || curve.points.len() < 2) {
            let id = &run.experiment_id;
            context.ui.warn(&format!("{id} has fewer than two points of {metric}: not drawn"));
        }
    }
    let pairs: Vec<_> = runs.iter().zip(recorded.iter().map(Vec::as_slice)).collect();
    charts::overlaid(&pairs, metric, args.split.map(Into::into)).ok_or_else(|| {
        let curves = recorded.iter().flatten();
        let mut known: Vec<&str> = curves.map(|curve| curve.metric.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let error = nothing(&format!("there are not two points of {metric:?}"));
        match nearest(metric, known.iter().copied()).filter(|near| *near != metric) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => error,
            None => error.hint(format!("recorded: {}", known.join(", "))),
        }
    })
}

fn one(
    args: &Args,
    workspace: &Workspace,
    runs: &[RunDetails],
    nothing: &dyn Fn(&str) -> Error,
) -> Result<Picture> {
    let [run] = runs else {
        let message = format!("this picture shows one run, but {} were selected", runs.len());
        return Err(Error::new(ErrorKind::Usage, message).hint("name one: annals plot KIND RUN"));
    };
    let kept = || {
        let lost = runs::predictions_lost(workspace, run)?;
        let none = || format!("{} kept no test predictions", run.experiment_id);
        runs::predictions(workspace, run)?.ok_or_else(|| nothing(&lost.unwrap_or_else(none)))
    };
    let mixed = "no label that some test rows have and some have not";
    match args.kind {
        Kind::Confusion => charts::confusion(run, Split::Test)
            .ok_or_else(|| nothing("the run has no confusion matrix of the test split")),
        Kind::Roc => charts::roc(run, &kept()?).ok_or_else(|| nothing(mixed)),
        Kind::Pr => charts::precision_recall(run, &kept()?).ok_or_else(|| nothing(mixed)),
        _ => charts::calibration(run, &kept()?).ok_or_else(|| nothing("there are no rows")),
    }
}

/// The critical class that the policy names.
pub(super) fn critical(workspace: &Workspace) -> Result<String> {
    workspace::policy(workspace, None)?.policy.production_promotion.critical_class.ok_or_else(
        || {
            Error::new(ErrorKind::Usage, "the policy names no critical class")
                .hint("name one here: --class NAME")
                .hint("or for good: annals policy set production_promotion.critical_class NAME")
        },
    )
}

fn show(args: &Args, drawn: &Picture, context: &mut Context) -> Result<()> {
    let Some(out) = &args.out else {
        let text = drawn.text();
        return context.ui.data(&PictureDrawn { svg: drawn.svg_file() }, |ui| {
            text.lines().try_for_each(|line| ui.line(line))
        });
    };
    let path = out.place(context)?;
    let bytes = match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => drawn.svg_file().into_bytes(),
        Some("png") => drawn.png_file().ok_or_else(|| {
            Error::new(ErrorKind::Io, "not enough memory for the pixels of the picture")
        })?,
        _ => {
            let message = format!("--out {}: the suffix must be .svg or .png", path.display());
            return Err(Error::new(ErrorKind::Usage, message));
        }
    };
    out::write(&path, &bytes)?;
    context.ui.wrote(path, |path| format!("{} is in {}", drawn.title(), path.display()))
}
