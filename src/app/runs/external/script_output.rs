//! What a supervised command printed, taken in piece by piece: its lines, the series they name, the
//! steps they count, and an account of everything that is no point of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::line::{self, METRIC_NAME_BYTES_MAX, is_name, key, merged};
use super::literal::{Literal, Object};
use super::pending::Pending;
use super::printed::{self, Line, Name, Value};
use super::report::FinalScores;
use crate::base::mask::Masker;
use crate::base::{Split, Timestamp, counted};
use crate::domain::Name as Word;
use crate::domain::metric::{Evaluation, FinalMetric, MetricKey};
use crate::domain::run::{UnrecordedReason as Reason, UnrecordedSeries, UnrecordedValues};

/// Longest line that is read, in bytes; of a longer one everything up to its end is passed over.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most series of one run.
const SERIES_MAX: usize = 5_000;
/// Names of unrecorded values that are kept apart.
const UNRECORDED_NAMES_MAX: usize = 100;
/// Last lines of the error output that are kept for `run.failed`, and the longest piece of one.
const TAIL_LINES: usize = 20;
const TAIL_LINE_BYTES: usize = 500;
/// Steps are stored as signed numbers of 64 bits.
pub(super) const STEP_MAX: u64 = i64::MAX as u64;
/// Epochs are stored with 24 bits.
pub(super) const EPOCH_MAX: f64 = 16_777_216.0;
/// Keys of an object that are no metrics.
const NO_METRICS: [&str; 3] = ["step", "epoch", "split"];

/// A line under way of one stream.
#[derive(Default)]
struct Stream {
    line: Vec<u8>,
    /// Whether a carriage return came in this line.
    returned: bool,
    /// Whether the line is too long to be read.
    too_long: bool,
    masker: Masker,
}

/// A series of the run.
struct Series {
    key: MetricKey,
    last_step: Option<u64>,
    /// The last value; none where it was not finite.
    last: Option<f64>,
}

/// What is known of values that are no points.
#[derive(Default)]
struct Unrecorded {
    series: BTreeMap<(String, Reason), UnrecordedSeries>,
    others: u64,
}

/// What was heard of a command so far.
#[derive(Default)]
pub(super) struct ScriptOutput {
    pub(super) pending: Pending,
    /// Whole lines without secrets, for the log of the output.
    kept: Vec<u8>,
    streams: [Stream; 2],
    series: Vec<Series>,
    /// Index of each series by the words that named it.
    spelled: BTreeMap<String, usize>,
    /// The words that each key belongs to.
    owners: BTreeMap<(Option<Split>, String), String>,
    /// Other names than the printed ones, to be told once.
    renamed: BTreeMap<String, String>,
    unrecorded: Unrecorded,
    steps: u64,
    /// Whether epochs are fractions: whole ones are then no steps either.
    fractions: bool,
    epochs: f64,
    points: u64,
    last_given: Vec<FinalMetric>,
    evaluations: Vec<Evaluation>,
    pub(super) saves: Vec<(String, PathBuf)>,
    tail: Vec<String>,
}

impl ScriptOutput {
    /// Takes in a piece of what the command printed.
    pub(super) fn take(&mut self, error: bool, bytes: &[u8], now: Timestamp) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let stream = &mut self.streams[usize::from(error)];
            let ended = piece.last().filter(|byte| matches!(byte, b'\n' | b'\r')).copied();
            let text = &piece[..piece.len() - usize::from(ended.is_some())];
            if stream.line.len() + text.len() > LINE_BYTES_MAX {
                stream.too_long = true;
                self.kept.extend(stream.masker.bytes(&std::mem::take(&mut stream.line)));
            }
            stream.line.extend(text);
            if let Some(end) = ended {
                self.end_line(error, Some(end), now);
                self.streams[usize::from(error)].returned = end == b'\r';
            }
        }
    }

    /// Takes in what has no end of line.
    pub(super) fn end(&mut self, now: Timestamp) {
        [false, true].into_iter().for_each(|error| self.end_line(error, None, now));
    }

    /// The lines that ended since the last call, without secrets, for the log of the output.
    pub(super) fn kept(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    fn end_line(&mut self, error: bool, end: Option<u8>, now: Timestamp) {
        let stream = &mut self.streams[usize::from(error)];
        let line = std::mem::take(&mut stream.line);
        let returned = std::mem::take(&mut stream.returned);
        let too_long = std::mem::take(&mut stream.too_long);
        let masked = stream.masker.bytes(&line);
        let shown = String::from_utf8_lossy(&masked).trim_end().to_owned();
        self.kept.extend(masked);
        self.kept.extend(end);
        if too_long {
            let name = format!("a line of more than {LINE_BYTES_MAX} bytes");
            return self.drop_value(&name, None, Reason::Unreadable, None, false);
        }
        let text = String::from_utf8_lossy(&line);
        if error && !shown.is_empty() {
            let end = (0..=TAIL_LINE_BYTES.min(shown.len())).rev();
            let end = end.into_iter().find(|end| shown.is_char_boundary(*end)).unwrap_or(0);
            self.tail.push(shown[..end].to_owned());
            if self.tail.len() > TAIL_LINES {
                self.tail.remove(0);
            }
        }
        match printed::read(&text, returned) {
            Line::Plain => {}
            Line::Unreadable => {
                self.drop_value("a line with an object", None, Reason::Unreadable, None, false);
            }
            Line::Data(object) => self.object(&object, now),
        }
    }

    fn object(&mut self, object: &Object, now: Timestamp) {
        let get = |name: &str| object.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        if let Some(Literal::Text(path)) = get("save") {
            return self.save(path, get("as"));
        }
        if let Some(confusion @ Literal::Object(_)) = get("confusion") {
            let read = confusion.to_json().and_then(|json| line::parse_confusion(&json).ok());
            return match read {
                Some(evaluation) => {
                    self.evaluations.retain(|known| known.split != evaluation.split);
                    self.evaluations.push(evaluation);
                }
                None => self.drop_value("confusion", None, Reason::Unreadable, None, false),
            };
        }
        let split = match get("split") {
            Some(Literal::Text(word) | Literal::Number(word)) if !word.is_empty() => Some(word),
            _ => None,
        };
        let split = split.map(String::as_str);
        if let Some(Literal::Object(last)) = get("final") {
            for value in self.distinct(printed::values(last, split, &NO_METRICS)) {
                self.final_value(&value);
            }
            let rest = printed::values(object, split, &[&NO_METRICS[..], &["final"]].concat());
            // Points beside final values are points of the end: they have no step of their own.
            return self.points(rest, object, now);
        }
        self.points(printed::values(object, split, &NO_METRICS), object, now);
    }

    fn save(&mut self, path: &str, what: Option<&Literal>) {
        let what = match what {
            None => "weights",
            Some(Literal::Text(what)) if Word::new(what).is_ok() => what,
            Some(_) => return self.drop_value(path, None, Reason::NoFile, None, false),
        };
        self.saves.push((what.to_owned(), PathBuf::from(path)));
    }

    /// The values without those under a name that stands in the line already.
    fn distinct<'a>(&mut self, values: Vec<Value<'a>>) -> Vec<Value<'a>> {
        let mut seen = BTreeSet::new();
        let mut distinct = Vec::with_capacity(values.len());
        for value in values {
            if seen.insert(value.name.spelled.clone()) {
                distinct.push(value);
            } else {
                let Name { full, split, .. } = &value.name;
                self.drop_value(full, *split, Reason::Repeated, None, false);
            }
        }
        distinct
    }

    fn points(&mut self, values: Vec<Value<'_>>, object: &Object, now: Timestamp) {
        let values = self.distinct(values);
        let get = |name: &str| object.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let (Ok(step), Ok(epoch)) = (step(get("step")), epoch(get("epoch"))) else {
            for value in values {
                let Name { full, split, .. } = &value.name;
                self.drop_value(full, *split, Reason::BadStep, None, false);
            }
            return;
        };
        let values: Vec<(usize, f64, String)> = values
            .into_iter()
            .filter_map(|Value { name, value }| {
                let number = self.number(&name, value)?;
                let spelled = name.full.clone();
                self.series(name).map(|index| (index, number, spelled))
            })
            .collect();
        if values.is_empty() {
            return;
        }
        let Some(step) = step.or_else(|| self.next_step(epoch, &values)) else {
            for (index, ..) in values {
                let MetricKey { name, split, .. } = self.series[index].key.clone();
                self.drop_value(&name, split, Reason::BadStep, None, false);
            }
            return;
        };
        self.epochs = epoch.unwrap_or(self.epochs).max(self.epochs);
        self.steps = self.steps.max(step);
        for (index, value, _) in values {
            let series = &mut self.series[index];
            series.last_step = series.last_step.max(Some(step));
            let MetricKey { name, split, .. } = series.key.clone();
            if value.is_finite() {
                series.last = Some(value);
                self.points += 1;
                self.pending.push(&series.key, step, epoch.unwrap_or(0.0), value, now);
                self.finite_again(&name, split);
            } else {
                series.last = None;
                self.drop_value(&name, split, Reason::NotFinite, Some(step), true);
            }
        }
    }

    /// The step of a line that has none: its epoch, if epochs are whole and the series have no such
    /// step yet, else one more than the last of the run.
    fn next_step(&mut self, epoch: Option<f64>, values: &[(usize, f64, String)]) -> Option<u64> {
        self.fractions |= epoch.is_some_and(|epoch| epoch.fract() != 0.0);
        let last = values.iter().filter_map(|(index, ..)| self.series[*index].last_step).max();
        match epoch.filter(|_| !self.fractions).map(|epoch| epoch as u64) {
            Some(epoch) if last.is_none_or(|last| last < epoch) => Some(epoch),
            _ => self.steps.checked_add(1).filter(|step| *step <= STEP_MAX),
        }
    }

    fn final_value(&mut self, Value { name, value }: &Value<'_>) {
        let Some(number) = self.number(name, value) else { return };
        let Some(index) = self.series(name.clone()) else { return };
        let key = self.series[index].key.clone();
        self.last_given.retain(|metric| metric.key != key);
        if number.is_finite() {
            self.last_given.push(FinalMetric { key, value: number });
        } else {
            self.series[index].last = None;
            self.drop_value(&key.name, key.split, Reason::NotFinite, None, true);
        }
    }

    /// The value as a number, which may be none that is finite.
    fn number(&mut self, name: &Name, value: &Literal) -> Option<f64> {
        match value {
            Literal::Number(text) => text.parse().ok(),
            Literal::NotFinite(_) => Some(f64::NAN),
            // Words are no metrics; a number written as a text might be meant as one.
            Literal::Text(text) if text.trim().parse::<f64>().is_err() => None,
            Literal::Null => None,
            Literal::Object(inner) if inner.is_empty() => None,
            Literal::List(list) if !list.iter().any(|v| matches!(v, Literal::Number(_))) => None,
            Literal::Bool(_)
            | Literal::Text(_)
            | Literal::List(_)
            | Literal::Object(_)
            | Literal::Other => {
                self.drop_value(&name.full, name.split, Reason::NotANumber, None, false);
                None
            }
        }
    }

    /// The series of these words. Where another spelling has its name on its split already, it is
    /// recorded under its full name: two series never become one.
    fn series(&mut self, name: Name) -> Option<usize> {
        if let Some(index) = self.spelled.get(&name.spelled) {
            return Some(*index);
        }
        if self.series.len() >= SERIES_MAX {
            self.drop_value(&name.full, name.split, Reason::TooMany, None, false);
            return None;
        }
        let choices = [(name.split, &name.name), (None, &name.full)];
        if !choices.iter().all(|(_, name)| is_name(name)) {
            self.drop_value(&name.full, name.split, Reason::BadName, None, false);
            return None;
        }
        let free = choices
            .into_iter()
            .find(|(split, text)| !self.owners.contains_key(&(*split, (*text).clone())));
        let Some((split, text)) = free else {
            self.drop_value(&name.full, name.split, Reason::Repeated, None, false);
            return None;
        };
        let key = key(text, split, name.direction);
        let shown = split.map_or(text.clone(), |split| format!("{}/{text}", split.word()));
        if shown != name.full {
            self.renamed.insert(name.full.clone(), shown);
        }
        self.owners.insert((split, text.clone()), name.spelled.clone());
        self.spelled.insert(name.spelled, self.series.len());
        self.series.push(Series { key, last_step: None, last: None });
        Some(self.series.len() - 1)
    }

    fn drop_value(
        &mut self,
        name: &str,
        split: Option<Split>,
        reason: Reason,
        step: Option<u64>,
        ends_so: bool,
    ) {
        self.unrecorded.count(name, split, reason, step, ends_so);
    }

    fn finite_again(&mut self, name: &str, split: Option<Split>) {
        let known = self.unrecorded.series.get_mut(&(shown(name, split), Reason::NotFinite));
        if let Some(known) = known {
            known.ends_so = false;
        }
    }

    /// A file that could not be kept.
    pub(super) fn no_file(&mut self, file: &str) {
        self.drop_value(file, None, Reason::NoFile, None, false);
    }

    /// The last lines of the error output.
    pub(super) fn tail(&self) -> String {
        self.tail.join("\n")
    }

    /// What to tell the user when the command has ended, once, by name and count.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.points == 0 && self.last_given.is_empty() && self.evaluations.is_empty() {
            notes.push(
                "no metric was recorded: the command printed no JSON object or Python dictionary \
                 with numbers, such as {\"step\": 1, \"valid/loss\": 0.3}"
                    .to_owned(),
            );
        }
        if !self.renamed.is_empty() {
            let pairs: Vec<String> =
                self.renamed.iter().take(10).map(|(from, to)| format!("{from} as {to}")).collect();
            let more = match self.renamed.len() - pairs.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            notes.push(format!("recorded by split: {}{more}", pairs.join(", ")));
        }
        notes.extend(self.unrecorded.lines());
        notes
    }

    /// What to record of values that are no points.
    pub(super) fn unrecorded(&self) -> UnrecordedValues {
        let series = self.unrecorded.series.values().cloned().collect();
        UnrecordedValues { series, others: self.unrecorded.others }
    }

    pub(super) fn finish(&mut self, seconds: f64) -> FinalScores {
        let scores = self.evaluations.iter().flat_map(line::scores).collect();
        let last = self.series.iter().filter_map(|series| {
            series.last.map(|value| FinalMetric { key: series.key.clone(), value })
        });
        let metrics = merged([last.collect(), scores, std::mem::take(&mut self.last_given)]);
        let (metrics, left) = super::report::fitting(metrics, &self.evaluations);
        for metric in left {
            self.drop_value(&metric.key.name, metric.key.split, Reason::TooMany, None, false);
        }
        FinalScores {
            metrics,
            evaluations: std::mem::take(&mut self.evaluations),
            steps: self.steps,
            epochs: self.epochs.max(0.0) as u32,
            parameters: None,
            seconds,
        }
    }
}

impl Unrecorded {
    fn count(
        &mut self,
        name: &str,
        split: Option<Split>,
        reason: Reason,
        step: Option<u64>,
        ends_so: bool,
    ) {
        let key = (shown(name, split), reason);
        if !self.series.contains_key(&key) && self.series.len() >= UNRECORDED_NAMES_MAX {
            self.others += 1;
            return;
        }
        let end = (0..=METRIC_NAME_BYTES_MAX.min(name.len())).rev();
        let end = end.into_iter().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let known = self.series.entry(key).or_insert_with(|| UnrecordedSeries {
            name: name[..end].replace(char::is_control, " "),
            split,
            reason,
            values: 0,
            first_step: step,
            last_step: step,
            ends_so,
        });
        known.values += 1;
        known.last_step = step.or(known.last_step);
        known.ends_so = ends_so;
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.series.values().map(|series| format!("not recorded: {}", series.line())).collect();
        if self.others > 0 {
            lines.push(format!("not recorded: {} of further names", counted(self.others, "value")));
        }
        lines
    }
}

fn shown(name: &str, split: Option<Split>) -> String {
    split.map_or_else(|| name.to_owned(), |split| format!("{}/{name}", split.word()))
}

/// A step exactly as it was given; none where none was.
fn step(given: Option<&Literal>) -> Result<Option<u64>, ()> {
    let text = match given {
        None | Some(Literal::Null) => return Ok(None),
        Some(Literal::Number(text)) => text,
        Some(_) => return Err(()),
    };
    let whole = text.parse::<u64>().ok().or_else(|| {
        // Such as 3.0 or 1e3, up to where every whole number is one.
        let value: f64 = text.parse().ok()?;
        let exact = value.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&value);
        (exact && text.contains(['.', 'e', 'E'])).then_some(value as u64)
    });
    whole.filter(|step| *step <= STEP_MAX).map(Some).ok_or(())
}

fn epoch(given: Option<&Literal>) -> Result<Option<f64>, ()> {
    match given {
        None | Some(Literal::Null) => Ok(None),
        Some(Literal::Number(text)) => {
            let value = text.parse().map_err(|_| ())?;
            if (0.0..=EPOCH_MAX).contains(&value) { Ok(Some(value)) } else { Err(()) }
        }
        Some(_) => Err(()),
    }
}

#[cfg(test)]
mod tests;
