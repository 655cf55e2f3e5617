//! The pictures annals draws, each from plain facts.

use std::collections::BTreeSet;

use super::column::{Cell, cell};
use super::plot::{Axis, Chart, Grid, Picture, Scale, Series};
use crate::base::{Split, counted};
use crate::domain::run::TestRows;
use crate::projection::runs::RunDetails;
use crate::train::metric::PredictedRow;

/// Bins of the calibration picture, of equal width.
const BINS: usize = 10;
/// Nanoseconds of a day.
const DAY: f64 = 86_400e9;
/// Points of a curve that are drawn at most.
const POINTS_MAX: usize = 400;

/// Points of one series of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The metric.
    pub metric: String,
    /// Where it was measured.
    pub split: Option<Split>,
    /// Epochs done, and the value.
    pub points: Vec<(f64, f64)>,
}

fn tested(runs: &[RunDetails]) -> String {
    let rows: Vec<u64> = runs.iter().filter_map(|run| rows_of(run, Split::Test)).collect();
    let (least, most) = (rows.iter().min(), rows.iter().max());
    let made = runs.iter().filter(|run| run.synthetic).count();
    let rows = match (least, most) {
        (Some(least), Some(most)) if least == most => format!("n = {}", counted(*least, "row")),
        (Some(least), Some(most)) => format!("n = {least} to {most} rows"),
        _ => "rows unknown".into(),
    };
    let identities: Vec<TestRows> = runs.iter().map(|run| run.test_rows).collect();
    let groups = TestRows::groups(&identities);
    let sets: BTreeSet<usize> = groups.iter().flatten().copied().collect();
    let same = match (sets.len(), groups.contains(&None)) {
        (0 | 1, false) => String::new(),
        (0 | 1, true) => ", not all recorded as the same rows".to_owned(),
        (sets, _) => format!(", {sets} different sets of rows: not comparable across sets"),
    };
    let made = if made > 0 { format!("; {made} on generated data") } else { String::new() };
    format!("test split, {rows}{same}; {}{made}", counted(runs.len(), "run"))
}

fn of_run(run: &RunDetails, split: Split) -> String {
    let rows = rows_of(run, split).map_or("rows unknown".into(), |rows| format!("n = {rows}"));
    let made = if run.synthetic { "; generated data" } else { "" };
    format!("{}; {} split, {rows}{made}", run.experiment_id, split.word())
}

fn rows_of(run: &RunDetails, split: Split) -> Option<u64> {
    run.rows.iter().find(|(found, _)| *found == split).map(|(_, rows)| *rows)
}

/// A column against another, run by run; none where no run has both.
pub fn against(runs: &[RunDetails], x: &str, y: &str, scale: Scale) -> Option<Picture> {
    let mut groups: Vec<Series> = Vec::new();
    for run in runs {
        let (Cell::Number(px), Cell::Number(py)) = (cell(run, x), cell(run, y)) else { continue };
        if scale == Scale::Log && px <= 0.0 {
            continue;
        }
        let name = &run.config_name;
        let at = groups.iter().position(|group| group.name == *name).unwrap_or_else(|| {
            let (points, words) = (Vec::new(), Vec::new());
            groups.push(Series { name: name.clone(), points, words, joined: false });
            groups.len() - 1
        });
        groups[at].points.push((px, py));
        groups[at].words.push(run.experiment_name.clone());
    }
    let points: usize = groups.iter().map(|group| group.points.len()).sum();
    if points > 12 {
        groups.iter_mut().for_each(|group| group.words.clear());
    }
    (points > 0).then(|| {
        Picture::Chart(Chart {
            title: format!("{} against {}", plain(y), plain(x)),
            subtitle: tested(runs),
            x: Axis { scale, ..Axis::new(&unit(x)) },
            y: Axis::new(&unit(y)),
            series: groups,
            marks: Vec::new(),
            diagonal: false,
        })
    })
}

/// The recall of a class against the size of the model.
pub fn size_recall(runs: &[RunDetails], class: &str) -> Option<Picture> {
    against(runs, "model_mb", &format!("recall_{class}"), Scale::Log)
}

/// A metric of the test split over the time at which runs ended; `promotions` are when a version
/// went into production, and which.
pub fn history(runs: &[RunDetails], metric: &str, promotions: &[(i64, String)]) -> Option<Picture> {
    let mut points: Vec<(f64, f64)> = runs
        .iter()
        .filter_map(|run| match (run.ended, cell(run, metric)) {
            (Some(ended), Cell::Number(value)) => Some((ended as f64 / DAY, value)),
            _ => None,
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    (!points.is_empty()).then(|| {
        Picture::Chart(Chart {
            title: format!("{} over time", plain(metric)),
            subtitle: tested(runs),
            x: Axis { scale: Scale::Days, ..Axis::new("time the run ended (UTC)") },
            y: Axis::new(&unit(metric)),
            series: vec![Series { name: plain(metric), points, words: Vec::new(), joined: false }],
            marks: promotions.iter().map(|(at, name)| (*at as f64 / DAY, name.clone())).collect(),
            diagonal: false,
        })
    })
}

/// How one training went: losses, and the metric the run was chosen by.
pub fn curves(run: &RunDetails, all: &[Curve], metric: &str) -> Option<Picture> {
    overlaid(&[(run, all)], metric, None)
}

/// How a metric went in several trainings, in one picture; of one split, or of all.
pub fn overlaid(
    runs: &[(&RunDetails, &[Curve])],
    metric: &str,
    split: Option<Split>,
) -> Option<Picture> {
    let names = run_names(runs.iter().map(|(run, _)| *run));
    let (mut series, mut splits) = (Vec::new(), BTreeSet::new());
    for ((_, all), name) in runs.iter().zip(&names) {
        // One point is no curve.
        let wanted = |curve: &&Curve| {
            curve.metric == metric
                && curve.points.len() > 1
                && (split.is_none() || curve.split == split)
        };
        for curve in all.iter().filter(wanted) {
            splits.extend(curve.split);
            let of = curve.split.map_or("", Split::word);
            let name = if runs.len() == 1 {
                format!("{of} {}", curve.metric)
            } else {
                format!("{name} {of}")
            };
            series.push(Series {
                name: name.trim().to_owned(),
                points: thinned(&curve.points),
                words: Vec::new(),
                joined: true,
            });
        }
    }
    let splits: Vec<&str> = splits.into_iter().map(Split::word).collect();
    let of = match runs {
        [(run, _)] => run.experiment_id.clone(),
        several => format!("{} runs", several.len()),
    };
    (!series.is_empty()).then(|| {
        Picture::Chart(Chart {
            title: format!("{} while training", plain(metric)),
            subtitle: format!("{of}; {} split", splits.join(" and ")),
            x: Axis::new("epochs"),
            y: Axis::new(&unit(metric)),
            series,
            marks: Vec::new(),
            diagonal: false,
        })
    })
}

/// The names of experiments where they tell the runs apart, else their unique names.
fn run_names<'a>(runs: impl Iterator<Item = &'a RunDetails> + Clone) -> Vec<&'a str> {
    let distinct: BTreeSet<&str> = runs.clone().map(|run| run.experiment_name.as_str()).collect();
    let all_differ = distinct.len() == runs.clone().count();
    let name = |run: &'a RunDetails| match all_differ {
        true => run.experiment_name.as_str(),
        false => run.experiment_id.as_str(),
    };
    runs.map(name).collect()
}

/// Means of neighbouring points, so that a long training stays readable.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let each = points.len().div_ceil(POINTS_MAX).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(each).map(mean).collect()
}

/// Labels against predictions.
pub fn confusion(run: &RunDetails, split: Split) -> Option<Picture> {
    let evaluation = run.evaluations.iter().find(|e| e.split == split)?;
    (!evaluation.confusion.is_empty()).then(|| {
        Picture::Grid(Grid {
            title: "Labels against predictions".into(),
            subtitle: of_run(run, split),
            rows_are: "label".into(),
            columns_are: "predicted".into(),
            names: run.labels.clone(),
            counts: evaluation.confusion.clone(),
        })
    })
}

/// Of each label: the probability of every row, and whether the row has the label, surest first.
fn ranked(labels: &[String], rows: &[PredictedRow]) -> Vec<(String, Vec<(f32, bool)>)> {
    let one = |(index, label): (usize, &String)| {
        let of =
            |row: &PredictedRow| Some((*row.probabilities.get(index)?, row.labels.contains(label)));
        let mut all: Vec<(f32, bool)> = rows.iter().filter_map(of).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        (label.clone(), all)
    };
    let mixed = |(_, all): &(String, Vec<(f32, bool)>)| {
        all.iter().any(|(_, has)| *has) && all.iter().any(|(_, has)| !has)
    };
    labels.iter().enumerate().map(one).filter(mixed).collect()
}

/// Rows with and without the label at or above each probability that occurs.
fn steps(ranked: &[(f32, bool)]) -> Vec<(u64, u64)> {
    let (mut with, mut without, mut steps) = (0, 0, Vec::new());
    for group in ranked.chunk_by(|a, b| a.0 == b.0) {
        let hits = group.iter().filter(|(_, has)| *has).count() as u64;
        with += hits;
        without += group.len() as u64 - hits;
        steps.push((with, without));
    }
    steps
}

/// Area under a curve of points from left to right.
fn area(points: &[(f64, f64)]) -> f64 {
    points
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0) * f64::midpoint(pair[0].1, pair[1].1))
        .sum()
}

/// True against false positives, with the area under each curve.
pub fn roc(run: &RunDetails, rows: &[PredictedRow]) -> Option<Picture> {
    let series = ranked(&run.labels, rows).into_iter().map(|(name, ranked)| {
        let steps = steps(&ranked);
        let (with, without) = steps.last().copied().unwrap_or((1, 1));
        let share = |(a, b): &(u64, u64)| (*b as f64 / without as f64, *a as f64 / with as f64);
        let points: Vec<_> = [(0.0, 0.0)].into_iter().chain(steps.iter().map(share)).collect();
        let name = format!("{name}: AUC {:.4} (n = {with})", area(&points));
        Series { name, points, words: Vec::new(), joined: true }
    });
    curve_of(run, "ROC", ["false positive rate", "true positive rate"], series.collect(), true)
}

/// Precision against recall, with the average precision of each label.
pub fn precision_recall(run: &RunDetails, rows: &[PredictedRow]) -> Option<Picture> {
    let series = ranked(&run.labels, rows).into_iter().map(|(name, ranked)| {
        let steps = steps(&ranked);
        let with = steps.last().map_or(1, |last| last.0);
        let share = |(a, b): &(u64, u64)| (*a as f64 / with as f64, *a as f64 / (a + b) as f64);
        let points: Vec<_> = steps.iter().map(share).collect();
        let recall = |n: usize| points.get(n).map_or(0.0, |point: &(f64, f64)| point.0);
        let gained = (0..points.len()).map(|n| match n {
            0 => points[0].0 * points[0].1,
            n => (points[n].0 - recall(n - 1)) * points[n].1,
        });
        let name = format!("{name}: average precision {:.4} (n = {with})", gained.sum::<f64>());
        Series { name, points, words: Vec::new(), joined: true }
    });
    let axes = ["recall", "precision"];
    curve_of(run, "Precision against recall", axes, series.collect(), false)
}

fn curve_of(
    run: &RunDetails,
    title: &str,
    axes: [&str; 2],
    series: Vec<Series>,
    diagonal: bool,
) -> Option<Picture> {
    // One curve has no legend.
    let only = match series.as_slice() {
        [only] => format!("; {}", only.name),
        _ => String::new(),
    };
    (!series.is_empty()).then(|| {
        Picture::Chart(Chart {
            title: title.into(),
            subtitle: of_run(run, Split::Test) + &only,
            x: Axis::share(axes[0]),
            y: Axis::share(axes[1]),
            series,
            marks: Vec::new(),
            diagonal,
        })
    })
}

/// How often the model was right against how sure it was; of rows with many labels, each label.
pub fn calibration(run: &RunDetails, rows: &[PredictedRow]) -> Option<Picture> {
    let one_class = run.evaluations.iter().any(|e| !e.confusion.is_empty());
    let sure: Vec<(f64, bool)> = if one_class {
        let said = |row: &PredictedRow| {
            let most = row.probabilities.iter().copied().max_by(f32::total_cmp)?;
            Some((f64::from(most), row.predicted == row.labels))
        };
        rows.iter().filter_map(said).collect()
    } else {
        let each = ranked(&run.labels, rows).into_iter();
        each.flat_map(|(_, all)| all).map(|(p, has)| (f64::from(p), has)).collect()
    };
    let mut bins = [(0.0, 0_u64, 0_u64); BINS];
    for (p, right) in sure {
        let bin = &mut bins[((p * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + p, bin.1 + u64::from(right), bin.2 + 1);
    }
    let filled: Vec<_> = bins.into_iter().filter(|bin| bin.2 > 0).collect();
    (!filled.is_empty()).then(|| {
        let points = filled
            .iter()
            .map(|(sum, right, n)| (sum / *n as f64, *right as f64 / *n as f64))
            .collect();
        Picture::Chart(Chart {
            title: "Calibration".into(),
            subtitle: format!("{}; beside each point its rows", of_run(run, Split::Test)),
            x: Axis::share("mean probability"),
            y: Axis::share(if one_class { "share that is right" } else { "share with the label" }),
            series: vec![Series {
                name: "bins of equal width".into(),
                points,
                words: filled.iter().map(|(_, _, n)| n.to_string()).collect(),
                joined: true,
            }],
            marks: Vec::new(),
            diagonal: true,
        })
    })
}

/// A column as a heading says it.
fn plain(column: &str) -> String {
    let name = column.strip_prefix("final_").unwrap_or(column);
    match name {
        "f1_macro" => "macro F1".into(),
        "roc_auc" => "ROC-AUC".into(),
        "pr_auc" => "PR-AUC".into(),
        "model_mb" => "model size".into(),
        other => other.replace('_', " "),
    }
}

/// A column with its unit.
fn unit(column: &str) -> String {
    match column {
        "model_mb" => "model size (MB)".into(),
        "duration_minutes" => "duration (min)".into(),
        "parameters" => "trainable parameters".into(),
        "parameters_millions" => "trainable parameters (millions)".into(),
        "loss" => "loss (nats)".into(),
        other => plain(other),
    }
}
