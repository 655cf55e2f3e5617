use super::*;

/// Takes in lines of the standard output, in pieces of `size` bytes.
fn heard_in(text: &str, size: usize) -> ScriptOutput {
    let mut heard = ScriptOutput::default();
    for piece in text.as_bytes().chunks(size.max(1)) {
        heard.take(false, piece, Timestamp(0));
    }
    heard.end(Timestamp(0));
    heard.pending.seal();
    heard
}

fn heard(text: &str) -> ScriptOutput {
    heard_in(text, usize::MAX)
}

type Point = (String, u64, f64);

fn points(heard: &mut ScriptOutput) -> Vec<Point> {
    let mut points = Vec::new();
    while let Some(crate::domain::run::RunCommand::RecordMetrics(batch)) = heard.pending.next() {
        for point in batch.points() {
            let key = &batch.keys[usize::from(point.key)];
            points.push((shown(&key.name, key.split), point.step, point.value));
        }
    }
    points
}

fn point(name: &str, step: u64, value: f64) -> Point {
    (name.to_owned(), step, value)
}

fn dropped(heard: &ScriptOutput) -> Vec<(String, Reason, u64)> {
    let series = heard.unrecorded().series.into_iter();
    series.map(|s| (shown(&s.name, s.split), s.reason, s.values)).collect()
}

#[test]
fn pieces_of_any_size_and_either_end_of_line_give_the_same_points() {
    let text =
        "{'step': 1, 'a': 0.5}\r\n\r 1/2 [=> ] {\"step\": 2, \"a\": 1e-3}\n{\"step\": 3, \"a\": 3}";
    let whole = points(&mut heard(text));
    assert_eq!(whole, [point("a", 1, 0.5), point("a", 2, 1e-3), point("a", 3, 3.0)]);
    for size in 1..text.len() {
        assert_eq!(points(&mut heard_in(text, size)), whole, "{size}");
    }
}

#[test]
fn both_streams_are_heard_and_their_lines_are_not_mixed() {
    let mut heard = ScriptOutput::default();
    heard.take(false, b"{\"step\": 1, ", Timestamp(0));
    heard.take(true, b"{'step': 2, 'b': 2}\nwarning\n", Timestamp(0));
    heard.take(false, b"\"a\": 1}\n", Timestamp(0));
    heard.pending.seal();
    assert_eq!(points(&mut heard), [point("b", 2, 2.0), point("a", 1, 1.0)]);
    assert_eq!(heard.tail(), "{'step': 2, 'b': 2}\nwarning");
}

#[test]
fn the_log_has_every_line_without_its_secrets_however_it_came() {
    let long = "x".repeat(3 * LINE_BYTES_MAX);
    let text = format!("begin\npassword=hunter22\n{long}\n{{'a': 1}}\r\nend");
    for size in [4_093, usize::MAX] {
        let mut heard = ScriptOutput::default();
        let mut kept = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            heard.take(false, piece, Timestamp(0));
            kept.extend(heard.kept());
        }
        heard.end(Timestamp(0));
        kept.extend(heard.kept());
        let kept = String::from_utf8(kept).unwrap();
        assert!(!kept.contains("hunter22"), "{size}");
        assert!(
            kept.starts_with("begin\npassword=") && kept.ends_with("{'a': 1}\r\nend"),
            "{size}"
        );
        assert!(kept.len() > long.len(), "{size}");
    }
}

#[test]
fn values_that_are_not_finite_are_counted_and_the_others_kept() {
    let mut heard = heard(
        "{\"step\": 1, \"split\": \"valid\", \"a\": 0.5, \"b\": 0.1}\n\
         {\"step\": 2, \"split\": \"valid\", \"a\": 0.6, \"b\": NaN}\n\
         {\"step\": 3, \"split\": \"valid\", \"a\": 1e999, \"b\": -Infinity}\n\
         {\"step\": 4, \"split\": \"valid\", \"a\": nan, \"b\": 0.2}\n",
    );
    let wanted = [("a", 1, 0.5), ("b", 1, 0.1), ("a", 2, 0.6), ("b", 4, 0.2)];
    let wanted = wanted.map(|(name, step, value)| point(&format!("valid/{name}"), step, value));
    assert_eq!(points(&mut heard), wanted);
    let series = heard.unrecorded().series;
    let found: Vec<_> = series.iter().map(|s| (s.values, s.first_step, s.diverged())).collect();
    assert_eq!(found, [(2, Some(3), true), (2, Some(2), false)]);
    // A diverged metric has no final value: the last finite one would be better than the truth.
    let last: Vec<_> = heard.finish(0.0).metrics.into_iter().map(|m| m.key.name).collect();
    assert_eq!(last, ["b"]);
}

#[test]
fn two_series_are_never_one_and_every_other_name_is_told() {
    let mut heard = heard(
        "{\"step\": 1, \"loss\": 1, \"val/loss\": 2, \"dev/loss\": 3, \"eval_loss\": 4, \
          \"split/loss\": 5, \"test\": {\"loss\": 6}, \"loss/test\": 7}\n\
         {\"step\": 2, \"split\": \"val\", \"loss\": 8}\n\
         {\"step\": 3, \"split\": \"holdout\", \"loss\": 9}\n\
         {\"step\": 4, \"a\": 1, \"a\": 2}\n",
    );
    assert_eq!(
        points(&mut heard),
        [
            point("loss", 1, 1.0),
            point("valid/loss", 1, 2.0),
            point("dev/loss", 1, 3.0),
            point("eval_loss", 1, 4.0),
            point("split/loss", 1, 5.0),
            point("test/loss", 1, 6.0),
            point("loss/test", 1, 7.0),
            point("valid/loss", 2, 8.0),
            point("holdout/loss", 3, 9.0),
            point("a", 4, 1.0),
        ]
    );
    assert_eq!(dropped(&heard), [("a".into(), Reason::Repeated, 1)]);
    let notes = heard.notes().join("\n");
    assert!(notes.contains("val/loss as valid/loss"), "{notes}");
}

#[test]
fn what_is_no_number_or_has_no_legal_name_is_reported_by_name_and_count() {
    let long = "x".repeat(101);
    let text = format!(
        "{{'step': 1, 'ok': True, 'text': '0.25', 'note': 'calm', 'none': None, 'list': [1, 2], \
           'words': ['a'], '{long}': 1, '': 1, 'a\\nb': 1, 'when': datetime.date(2026, 1, 1), \
           'c': np.float32(0.5)}}\n{{'step': 2, 'ok': False}}\n"
    );
    let mut heard = heard(&text);
    assert_eq!(points(&mut heard), [point("c", 1, 0.5)]);
    let names: Vec<_> = dropped(&heard).into_iter().collect();
    let counted = |name: &str, why, n| assert!(names.contains(&(name.into(), why, n)), "{names:?}");
    counted("ok", Reason::NotANumber, 2);
    counted("text", Reason::NotANumber, 1);
    counted("list", Reason::NotANumber, 1);
    counted("when", Reason::NotANumber, 1);
    counted("a b", Reason::BadName, 1);
    counted(&long[..100], Reason::BadName, 1);
    assert_eq!(names.len(), 7, "{names:?}");
    assert!(heard.notes().join("\n").contains("2 values of ok are not a number"));
}

#[test]
fn steps_are_as_given_or_refused() {
    for (given, step) in [
        ("0", 0),
        ("7", 7),
        ("3.0", 3),
        ("1e3", 1_000),
        ("9223372036854775807", STEP_MAX),
        ("9007199254740993", 9_007_199_254_740_993),
    ] {
        let mut heard = heard(&format!("{{\"step\": {given}, \"a\": 1}}"));
        assert_eq!(points(&mut heard), [point("a", step, 1.0)], "{given}");
    }
    let refused = ["-1", "2.5", "\"7\"", "NaN", "true", "[1]", "9223372036854775808", "1e300"];
    for given in refused {
        let mut heard = heard(&format!("{{\"step\": {given}, \"a\": 1}}"));
        assert_eq!(points(&mut heard), []);
        assert_eq!(dropped(&heard), [("a".into(), Reason::BadStep, 1)], "{given}");
    }
    for given in ["-1", "inf", "\"1\"", "1e300"] {
        let mut heard = heard(&format!("{{\"epoch\": {given}, \"a\": 1}}"));
        assert_eq!((points(&mut heard).len(), dropped(&heard).len()), (0, 1), "{given}");
    }
    // In any order; and none is given twice by itself.
    let mut any = heard("{\"step\": 9, \"a\": 1}\n{\"step\": 2, \"a\": 2}\n{\"a\": 3}\n{\"a\": 4}");
    let steps: Vec<u64> = points(&mut any).into_iter().map(|(_, step, _)| step).collect();
    assert_eq!(steps, [9, 2, 10, 11]);
    let mut last = heard(&format!("{{\"step\": {STEP_MAX}, \"a\": 1}}\n{{\"a\": 2}}"));
    assert_eq!(points(&mut last).len(), 1);
    assert_eq!(dropped(&last), [("a".into(), Reason::BadStep, 1)]);
}

#[test]
fn whole_epochs_are_steps_and_fractions_are_counted() {
    let mut whole = heard(
        "{'epoch': 1, 'split': 'train', 'a': 1}\n{'epoch': 1, 'split': 'valid', 'a': 2}\n\
         {'epoch': 2, 'split': 'train', 'a': 3}\n{'epoch': 2, 'split': 'train', 'a': 4}\n",
    );
    let steps: Vec<u64> = points(&mut whole).into_iter().map(|(_, step, _)| step).collect();
    assert_eq!(steps, [1, 1, 2, 3]);
    let mut fractions = heard(
        "{'loss': 0.7, 'epoch': 0.5}\n{'loss': 0.6, 'epoch': 1.0}\n\
         {'eval_loss': 0.5, 'epoch': 1.0}\n",
    );
    let found = points(&mut fractions);
    let wanted = [point("loss", 1, 0.7), point("loss", 2, 0.6), point("valid/loss", 3, 0.5)];
    assert_eq!(found, wanted);
}

#[test]
fn a_line_of_any_length_loses_nothing_that_follows() {
    for numbers in [10, 4_096, SERIES_MAX + 1_500, 60_000, 200_000] {
        let values: Vec<String> = (0..numbers).map(|i| format!("\"m{i}\": 0.5")).collect();
        let line = format!("{{\"step\": 1, {}}}\n", values.join(", "));
        let mut heard = heard(&format!("{line}{{\"step\": 2, \"after\": 1}}\n"));
        let found = points(&mut heard);
        let (read, after) = (line.len() <= LINE_BYTES_MAX, point("after", 2, 1.0));
        let kept = if read { numbers.min(SERIES_MAX) } else { 0 };
        let room = usize::from(kept < SERIES_MAX);
        assert_eq!(found.len(), kept + room, "{numbers}");
        assert!(room == 0 || found.last() == Some(&after));
        if kept < numbers {
            assert!(!dropped(&heard).is_empty(), "{numbers}");
        }
        let finished = heard.finish(0.0);
        let bytes = crate::base::codec::encode(&finished.metrics).len();
        assert!(bytes < crate::base::limits::PAYLOAD_INLINE_BYTES_MAX, "{bytes}");
        let unrecorded = heard.unrecorded();
        assert!(unrecorded.series.len() <= UNRECORDED_NAMES_MAX);
        let counted = unrecorded.series.iter().map(|s| s.values).sum::<u64>() + unrecorded.others;
        assert_eq!(counted > 0, kept < numbers || finished.metrics.len() < kept, "{numbers}");
    }
}

#[test]
fn batches_fit_into_events_whatever_the_names() {
    let name = "n".repeat(95);
    let values: Vec<String> = (0..3_000).map(|i| format!("'{name}{i:05}': {i}")).collect();
    let text: String =
        values.chunks(500).map(|part| format!("{{{}}}\n", part.join(", "))).collect();
    let mut heard = heard(&text);
    let mut count = 0;
    while let Some(crate::domain::run::RunCommand::RecordMetrics(batch)) = heard.pending.next() {
        count += batch.len();
        let bytes = crate::base::codec::encode(&batch).len();
        assert!(bytes + 16 <= crate::base::limits::PAYLOAD_INLINE_BYTES_MAX, "{bytes}");
    }
    assert_eq!(count, 3_000);
}

#[test]
fn files_to_keep_have_legal_words() {
    let heard = heard(
        "{\"save\": \"m.pt\"}\n{\"save\": \"v.txt\", \"as\": \"vocabulary\"}\n\
         {\"save\": \"x\", \"as\": \"../../evil\"}\n{\"save\": \"y\", \"as\": 5}\n",
    );
    let kept: Vec<_> = heard.saves.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(kept, ["weights", "vocabulary"]);
    assert_eq!(dropped(&heard).len(), 2);
}

#[test]
fn a_command_that_printed_no_metric_is_told_so() {
    assert!(heard("loss 0.3\n").notes()[0].contains("no metric was recorded"));
    assert!(heard("{\"loss\": 0.3}\n").notes().is_empty());
    let cut = heard("{\"loss\": 0.3\n").notes().join("\n");
    assert!(cut.contains("1 value of a line with an object is unreadable"), "{cut}");
}
