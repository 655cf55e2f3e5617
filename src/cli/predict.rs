//! `annals predict`.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::out::OutPath;
use super::predict_out::{Answer, OutFile, Outlet};
use crate::app::{
    BATCH_TEXTS, Error, ErrorKind, ID_COLUMN, InputValue, Model, Programs, Result, TextFile,
    models, refuse_pickle,
};
use crate::base::{are, counted};

/// The column of the texts where no other is named.
const TEXT_COLUMN: &str = "text";

/// Classify texts or series of numbers with a run, a model in production or a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals predict hate_v1 'what a lovely day'
  annals predict hate_v1 --file new.csv --text-column tweet --out answers.parquet
  annals predict models/production/hate_v1 --file - --format jsonl")]
pub(super) struct Args {
    /// A production name, a run, or a folder such as models/production/NAME
    model: String,
    /// The texts
    #[arg(conflicts_with = "file")]
    texts: Vec<String>,
    /// A table (.csv, .tsv, .jsonl, .parquet, also .gz), or a file with a text in each line, - for
    /// standard input; for series a table or array
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Column of the texts in a table; the other columns are copied to the output [default: text]
    #[arg(long, value_name = "NAME", requires = "file")]
    text_column: Option<String>,
    /// The first line of a .csv or .tsv is data, not a header; the columns are named 1, 2, 3
    #[arg(long)]
    no_header: bool,
    /// Column with the name of each series
    #[arg(long, value_name = "NAME", default_value = ID_COLUMN)]
    id_column: String,
    /// Write the predictions to this file: .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    out: Option<OutPath>,
    /// Batch size; 1 prints each line as soon as it is classified
    #[arg(long, value_name = "N", default_value_t = BATCH_TEXTS)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4_096))]
    batch: usize,
    /// Show unnormalized scores too
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
    let file = args
        .file
        .as_ref()
        .map(|file| if file == Path::new("-") { file.clone() } else { context.cwd.join(file) });
    let out = args.out.as_ref().map(|out| out.place(context)).transpose()?;
    let out = match out {
        Some(out) => Some(OutFile::new(out, file.as_deref())?),
        None => OutFile::stdout(context.ui.format()),
    };
    let folder = context.cwd.join(&args.model);
    refuse_pickle(&folder)?;
    let mut model = if folder.is_dir() {
        Model::in_folder(&folder, &programs)?
    } else {
        models::model(&context.workspace()?, &args.model, &programs)?
    };
    if !model.recorded {
        context.ui.note(&format!(
            "{} is not checked against a log; its weights have digest {}.",
            model.name, model.weights
        ));
    }
    for note in &model.notes {
        context.ui.warn(note);
    }
    let outlet = Outlet::new(&model, args.logits, out);
    let mut asking = Asking { model: &mut model, outlet, batch: args.batch, cut: 0, empty: 0 };
    match &file {
        None => asking.texts(&[], &args.texts, context)?,
        Some(file) if asking.model.series_length().is_some() => {
            let series = asking.model.read_series(file, &args.id_column)?;
            for part in series.chunks(args.batch) {
                let scores = asking.model.series_scores(part)?;
                for (series, scores) in part.iter().zip(scores) {
                    let name = InputValue::Text(series.name.clone());
                    let columns = vec![("series".to_owned(), name)];
                    let answer = Answer { shown: &series.name, columns, cut: None, scores };
                    asking.outlet.put(asking.model, answer, context)?;
                }
            }
        }
        Some(file) => asking.file(file, args, context)?,
    }
    asking.end(context)
}

/// A model that is asked.
struct Asking<'m> {
    model: &'m mut Model,
    outlet: Outlet,
    batch: usize,
    /// Texts that were cut.
    cut: u64,
    /// Texts of nothing but white space.
    empty: u64,
}

/// The columns of a row besides its text.
type Columns = Vec<(String, InputValue)>;

impl Asking<'_> {
    fn file(&mut self, file: &Path, args: &Args, context: &mut Context) -> Result<()> {
        match TextFile::open(file, !args.no_header)? {
            TextFile::Table(table) => {
                for remark in &table.remarks {
                    context.ui.warn(remark);
                }
                let column = args.text_column.as_deref().unwrap_or(TEXT_COLUMN);
                let texts = table.texts(file, column)?;
                for (from, to) in self.outlet.rename(&table.names) {
                    context
                        .ui
                        .warn(&format!("column \"{from}\" is renamed to \"{to}\" in the output"));
                }
                let names = &self.outlet.renamed(&table.names);
                let columns = |row: Vec<InputValue>| names.iter().cloned().zip(row).collect();
                let columns: Vec<Columns> = table.rows.into_iter().map(columns).collect();
                self.texts(&columns, &texts, context)
            }
            TextFile::Lines(_) if args.text_column.is_some() => {
                let message = format!(
                    "--text-column is for tables (.csv, .tsv, .jsonl, .parquet); {} has a text in \
                     each line",
                    file.display()
                );
                Err(Error::new(ErrorKind::Usage, message))
            }
            TextFile::Lines(lines) => self.lines(lines, file, context),
        }
    }

    fn lines(&mut self, lines: Box<dyn BufRead>, file: &Path, context: &mut Context) -> Result<()> {
        let mut texts = Vec::with_capacity(self.batch);
        for (number, line) in (1_u64..).zip(lines.lines()) {
            let mut line = line.map_err(|e| {
                let message = format!("cannot read line {number} of {}", file.display());
                Error::caused(ErrorKind::Data, message, e)
            })?;
            if number == 1 && line.starts_with('\u{feff}') {
                line.remove(0);
            }
            texts.push(line);
            if texts.len() == self.batch {
                self.texts(&[], &texts, context)?;
                texts.clear();
            }
        }
        self.texts(&[], &texts, context)
    }

    /// Answers texts, whose rows in a table have `columns`.
    fn texts(
        &mut self,
        columns: &[Columns],
        texts: &[String],
        context: &mut Context,
    ) -> Result<()> {
        for (number, part) in texts.chunks(self.batch).enumerate() {
            let found = self.model.scores(part)?;
            let answers = part.iter().zip(found.scores).zip(found.cut);
            for (at, ((text, scores), cut)) in answers.enumerate() {
                self.cut += u64::from(cut);
                self.empty += u64::from(text.trim().is_empty());
                let columns = match columns.get(number * self.batch + at) {
                    Some(columns) => columns.clone(),
                    None => vec![("text".to_owned(), InputValue::Text(text.clone()))],
                };
                let answer = Answer { shown: text, columns, cut: Some(cut), scores };
                self.outlet.put(self.model, answer, context)?;
            }
        }
        Ok(())
    }

    fn end(self, context: &mut Context) -> Result<()> {
        if let (Some(limit), 1..) = (self.model.length_max(), self.cut) {
            context.ui.warn(&format!(
                "{} longer than the {limit} tokens that {} reads: the rest was cut off",
                texts_are(self.cut),
                self.model.name
            ));
        }
        if self.empty > 0 {
            context.ui.note(&format!("{} empty.", texts_are(self.empty)));
        }
        self.outlet.end(context)
    }
}

fn texts_are(texts: u64) -> String {
    format!("{} {}", counted(texts, "text"), are(&texts))
}
