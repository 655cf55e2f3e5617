//! The answers of a model: a line for each, or a file of them.
//!
//! In a file a text with one label has the label itself in the column `labels`, and one with any
//! number has a JSON list, which `--multi-label` reads back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::Context;
use super::format::Format;
use super::out;
use super::ui::{escape, share};
use crate::app::{
    CsvCells, Error, ErrorKind, InputValue, Model, Prediction, Result, RowFormat, RowTable, Value,
};

/// What the model gives for one row.
pub(super) struct Answer<'t> {
    /// The text, or the name of the series.
    pub(super) shown: &'t str,
    /// The columns of the row in its file, the text among them.
    pub(super) columns: Vec<(String, InputValue)>,
    /// Whether the text was cut; none for series.
    pub(super) cut: Option<bool>,
    /// Unnormalized scores.
    pub(super) scores: Vec<f32>,
}

/// Formats of the file.
const FORMATS: &[RowFormat] = &[RowFormat::Csv, RowFormat::Jsonl, RowFormat::Parquet];

/// Where answers are written, as a whole.
pub(super) struct OutFile {
    /// The file; none for standard output.
    path: Option<PathBuf>,
    format: RowFormat,
}

impl OutFile {
    /// The file at `path`, of the format that its name ends in.
    ///
    /// # Errors
    /// When the ending is another one, or it is the file that is read.
    pub(super) fn new(path: PathBuf, input: Option<&Path>) -> Result<Self> {
        let format = RowFormat::of(&path, FORMATS)?;
        let same = |input: &Path| {
            let real = |path: &Path| std::fs::canonicalize(path).ok();
            real(input).is_some_and(|input| real(&path).as_ref() == Some(&input))
        };
        if input.is_some_and(same) {
            let message = format!("--out {} is the file that is read", path.display());
            return Err(Error::new(ErrorKind::Usage, message));
        }
        Ok(Self { path: Some(path), format })
    }

    /// Standard output as a table, where that format was chosen.
    pub(super) fn stdout(format: Format) -> Option<Self> {
        let format = match format {
            Format::Csv => RowFormat::Csv,
            Format::Parquet => RowFormat::Parquet,
            _ => return None,
        };
        Some(Self { path: None, format })
    }
}

/// Where answers go.
pub(super) struct Outlet {
    logits: bool,
    out: Option<OutFile>,
    /// Names that columns of an input file may not have.
    reserved: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    lines: Vec<u8>,
    answers: u64,
}

impl Outlet {
    pub(super) fn new(model: &Model, logits: bool, out: Option<OutFile>) -> Self {
        let mut reserved: Vec<String> =
            ["labels", "probabilities", "threshold", "logits", "truncated", "model", "weights"]
                .map(str::to_owned)
                .to_vec();
        for kind in ["probability", "threshold", "logit"] {
            reserved.extend(model.labels.iter().map(|label| format!("{kind}_{label}")));
        }
        let (columns, rows, lines) = (Vec::new(), Vec::new(), Vec::new());
        Self { logits, out, reserved, columns, rows, lines, answers: 0 }
    }

    /// The columns that are called otherwise in the answers, with the names they get.
    pub(super) fn rename(&self, names: &[String]) -> Vec<(String, String)> {
        let renamed = self.renamed(names);
        names.iter().cloned().zip(renamed).filter(|(from, to)| from != to).collect()
    }

    /// The names of the columns in the answers.
    pub(super) fn renamed(&self, names: &[String]) -> Vec<String> {
        let rename = |name: &String| {
            let mut new = name.clone();
            while self.reserved.contains(&new) || new != *name && names.contains(&new) {
                new = format!("input_{new}");
            }
            new
        };
        names.iter().map(rename).collect()
    }

    /// Prints or keeps an answer.
    pub(super) fn put(
        &mut self,
        model: &Model,
        answer: Answer<'_>,
        context: &mut Context,
    ) -> Result<()> {
        self.answers += 1;
        let probabilities = model.probabilities(&answer.scores);
        let given = labels(model, &probabilities);
        match self.out.as_ref().map(|out| out.format) {
            None if context.ui.json() => {
                context.ui.line(&self.object(model, &answer, &probabilities, &given))
            }
            None => context.ui.line(&self.line(&answer, &probabilities, &given)),
            Some(RowFormat::Jsonl) => {
                let line = self.object(model, &answer, &probabilities, &given);
                self.lines.extend_from_slice(line.as_bytes());
                self.lines.push(b'\n');
                Ok(())
            }
            Some(_) => {
                self.row(model, answer, &probabilities, &given);
                Ok(())
            }
        }
    }

    fn line(&self, answer: &Answer<'_>, probabilities: &[f64], given: &[&str]) -> String {
        let top = probabilities.iter().copied().fold(0.0, f64::max);
        let mut line = format!("{}  {}", share(Some(top)), given.join(", "));
        if self.logits {
            let scores: Vec<String> = answer.scores.iter().map(|s| format!("{s:.6}")).collect();
            line += &format!("  [{}]", scores.join(", "));
        }
        format!("{line}  {}", escape(answer.shown))
    }

    /// An answer as JSON. The columns of the file keep all their digits, which a JSON value of
    /// 64 bits would not.
    fn object(
        &self,
        model: &Model,
        answer: &Answer<'_>,
        probabilities: &[f64],
        given: &[&str],
    ) -> String {
        let by_label = |numbers: &[f64]| -> BTreeMap<String, f64> {
            model.labels.iter().cloned().zip(numbers.iter().copied()).collect()
        };
        let prediction = Prediction {
            labels: given.iter().map(ToString::to_string).collect(),
            probabilities: by_label(probabilities),
            truncated: answer.cut,
            model: model.name.clone(),
            weights: model.weights,
            threshold: model.multi_label.then(|| by_label(&model.thresholds)),
            logits: self.logits.then(|| answer.scores.clone()),
        };
        let column =
            |(name, value): &(String, InputValue)| format!("{}:{}", json!(name), value.to_json());
        let columns: Vec<String> = answer.columns.iter().map(column).collect();
        let rest = serde_json::to_string(&prediction).unwrap_or_default();
        format!("{{{},{}", columns.join(","), rest.trim_start_matches('{'))
    }

    fn row(&mut self, model: &Model, answer: Answer<'_>, probabilities: &[f64], given: &[&str]) {
        let labels = match given {
            [one] if !model.multi_label => (*one).to_owned(),
            many => json!(many).to_string(),
        };
        let mut cells: Vec<(String, Value)> =
            answer.columns.into_iter().map(|(name, value)| (name, cell(&value))).collect();
        cells.push(("labels".to_owned(), labels.into()));
        for (label, probability) in model.labels.iter().zip(probabilities) {
            cells.push((format!("probability_{label}"), (*probability).into()));
        }
        if model.multi_label {
            for (label, threshold) in model.labels.iter().zip(&model.thresholds) {
                cells.push((format!("threshold_{label}"), (*threshold).into()));
            }
        }
        if self.logits {
            for (label, score) in model.labels.iter().zip(&answer.scores) {
                cells.push((format!("logit_{label}"), f64::from(*score).into()));
            }
        }
        cells.extend(answer.cut.map(|cut| ("truncated".to_owned(), cut.into())));
        cells.push(("model".to_owned(), model.name.clone().into()));
        cells.push(("weights".to_owned(), model.weights.to_string().into()));
        if self.columns.is_empty() {
            self.columns = cells.iter().map(|(name, _)| name.clone()).collect();
        }
        self.rows.push(cells.into_iter().map(|(_, cell)| cell).collect());
    }

    /// Writes the file, if there is one.
    pub(super) fn end(self, context: &mut Context) -> Result<()> {
        let Some(OutFile { path, format }) = self.out else { return Ok(()) };
        let (columns, rows, cells) = (&self.columns, &self.rows, CsvCells::Exact);
        let table = RowTable { name: "predictions", columns, kinds: &[], rows, cells };
        let Some(path) = path else { return context.ui.records(&table) };
        let bytes = match format {
            // Made line by line: numbers keep digits that a table has not.
            RowFormat::Jsonl => self.lines,
            format => table.bytes(format)?,
        };
        out::write(&path, &bytes)?;
        let answers = self.answers;
        context
            .ui
            .wrote(path, |path| format!("{answers} predictions were written to {}", path.display()))
    }
}

/// A cell of an input file as a cell of an output file; what has no type there is text.
fn cell(value: &InputValue) -> Value {
    match value {
        _ if value.is_missing() => Value::Null,
        InputValue::Bool(truth) => (*truth).into(),
        InputValue::Int(number) => match i64::try_from(*number) {
            Ok(number) => Value::Int(number),
            Err(_) => number.to_string().into(),
        },
        InputValue::Float(number) => (*number).into(),
        InputValue::Single(_) | InputValue::Number(_) => {
            let text = value.text().unwrap_or_default();
            match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _) => Value::Int(number),
                // A whole number beyond 64 bits would lose digits.
                (_, Ok(number)) if text.contains(['.', 'e']) => Value::Real(number),
                _ => text.into(),
            }
        }
        InputValue::Text(text) => text.clone().into(),
        InputValue::Null | InputValue::List(_) | InputValue::Object(_) => value.to_json().into(),
    }
}

fn labels<'m>(model: &'m Model, probabilities: &[f64]) -> Vec<&'m str> {
    let pairs = model.labels.iter().zip(probabilities);
    if model.multi_label {
        let reached = pairs.zip(&model.thresholds).filter(|((_, p), t)| p >= t);
        return reached.map(|((label, _), _)| label.as_str()).collect();
    }
    let best = pairs.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(label, _)| label.as_str()).into_iter().collect()
}
