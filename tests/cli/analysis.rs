//! Comparing, drawing, reporting: the numbers are those of the runs, what may not be concluded is
//! said, and nothing that a user called a run becomes a tag.

use parquet::record::Field;

use crate::support::{Answer, Workspace};

/// Two baselines on rows that only one of them can tell apart in full.
fn two_runs() -> Workspace {
    let ward = Workspace::new();
    let mut csv = String::from("text,label\n");
    for n in 0..600 {
        let (words, label) = match n % 3 {
            0 => ("the night was long and dark", "risk"),
            1 => ("the day was long and bright", "calm"),
            // Only the order of the words tells these apart: single words cannot.
            _ if n % 2 == 0 => ("not well but calm", "calm"),
            _ => ("calm but not well", "risk"),
        };
        csv.push_str(&format!("{words} {n} {},{label}\n", n * 7 % 13));
    }
    std::fs::write(ward.path("notes.csv"), csv).unwrap();
    let train = |name: &str, most: &str| {
        let longest = format!("tfidf.ngram_max={most}");
        ward.annals(&[
            "train",
            "--config",
            "tfidf_logreg",
            "--name",
            name,
            "--data",
            "notes.csv",
            "--text-column",
            "text",
            "--label-column",
            "label",
            "--labels",
            "calm,risk",
            "--set",
            &longest,
        ])
        .ok()
    };
    train("single", "1");
    train("triple", "3");
    ward
}

#[test]
fn the_best_are_explained() {
    let ward = two_runs();
    ward.annals(&["train", "--config", "tfidf_logreg", "--name", "made", "--sample-size", "90"])
        .ok();
    let found = ward.annals(&["best", "--explain", "--format", "json"]).ok().json();
    let accuracy = &found["rankings"][0];
    let names = [0, 1].map(|n| accuracy["runs"][n][0].as_str().unwrap().to_owned());
    assert!(names[0].starts_with("triple_") && names[1].starts_with("single_"), "{names:?}");
    assert_eq!(found["left_out"][0]["why"], serde_json::json!(["generated data"]));
    let shown = ward.annals(&["best", "--explain"]).ok().out;
    assert!(shown.contains("does not count: made_") && shown.contains("lowest_loss"), "{shown}");
}

fn lines(answer: &Answer) -> Vec<&str> {
    answer.out.lines().collect()
}

#[test]
fn two_runs_stand_side_by_side_and_are_tested_on_the_same_rows() {
    let ward = two_runs();
    let found = ward.annals(&["compare", "single", "triple", "--format", "json"]).ok().json();
    assert_eq!(found["parameters"][0]["key"], "tfidf.ngram_max");
    assert_eq!(found["parameters"][0]["values"], serde_json::json!(["1", "3"]));
    let accuracy = &found["scores"][0];
    assert_eq!((&accuracy["metric"], &accuracy["best"]), (&"accuracy".into(), &1.into()));
    let [first, second] = [0, 1].map(|run| accuracy["values"][run]["value"].as_f64().unwrap());
    assert_eq!(second, 1.0);
    let paired = &found["paired"];
    let rows = paired["rows"].as_f64().unwrap();
    assert_eq!(paired["mcnemar"]["only_first"], 0);
    let only_second = paired["mcnemar"]["only_second"].as_f64().unwrap();
    assert!((only_second / rows - (second - first)).abs() < 1e-9);
    assert!(paired["mcnemar"]["p"].as_f64().unwrap() < 0.01);
    let shown = ward.annals(&["compare", "single", "triple"]).ok();
    assert!(shown.out.contains("more than chance"), "{}", shown.out);

    let table = ["--columns", "experiment_name,final_accuracy,ngram_max", "--sort"];
    let sorted = ward.annals(&[&["compare"], &table[..], &["final_accuracy"]].concat()).ok();
    assert!(lines(&sorted)[1].starts_with("triple "), "{}", sorted.out);
    let condition = "final_accuracy < 0.99 and ngram_max = 1";
    let one = ward.annals(&["compare", "--where", condition, "--out", "one.csv"]).ok();
    assert!(one.err.contains("Wrote 1 run to"), "{}", one.err);
    let csv = std::fs::read_to_string(ward.path("one.csv")).unwrap();
    assert!(csv.lines().count() == 2 && csv.contains("single_"), "{csv}");
}

#[test]
fn runs_on_other_rows_are_not_tested_and_it_is_said() {
    let ward = two_runs();
    let text = std::fs::read_to_string(ward.path("notes.csv")).unwrap();
    std::fs::write(ward.path("more.csv"), text + "another bright day,calm\n").unwrap();
    ward.annals(&[
        "train",
        "--config",
        "tfidf_logreg",
        "--name",
        "other",
        "--data",
        "more.csv",
        "--text-column",
        "text",
        "--label-column",
        "label",
        "--labels",
        "calm,risk",
    ])
    .ok();
    let found = ward.annals(&["compare", "triple", "other"]).ok();
    assert!(found.err.contains("Measured on different test rows"), "{}", found.err);
    assert!(!found.out.contains("McNemar"), "{}", found.out);
}

#[test]
fn wrong_questions_say_what_is_wrong() {
    let ward = two_runs();
    let ask = |args: &[&str]| ward.annals(args);
    ask(&["compare", "--where", "final_acuracy > 1"]).refused(2, "did you mean `final_accuracy`?");
    ask(&["compare", "--where", "accuracy >"]).refused(2, "at character 11: a value expected");
    ask(&["compare", "--columns", "acuracy"]).refused(2, "did you mean `accuracy`?");
    ask(&["compare", "--out", "table.xls"]).refused(2, "must be .csv, .md, .json or .parquet");
    ask(&["plot", "roc"]).refused(2, "this picture shows one run, but 2 were selected");
    ask(&["plot", "architecture", "--x", "n_emd"]).refused(2, "no run has a column \"n_emd\"");
    ask(&["plot", "confusion", "triple", "--out", "x.gif"]).refused(2, "must be .svg or .png");
    ask(&["clinical"]).refused(2, "the policy names no critical class");
    ask(&["clinical", "--class", "rsk"]).refused(4, "did you mean `risk`?");
    ask(&["report", "--out", "no/such/folder.html"]).refused(7, "No such file");
}

#[test]
fn pictures_are_drawn_the_same_each_time() {
    let ward = two_runs();
    for kind in ["roc", "pr", "calibration", "confusion"] {
        let file = |n: u8, end: &str| {
            let name = format!("{kind}{n}.{end}");
            ward.annals(&["plot", kind, "triple", "--out", &name]).ok();
            std::fs::read(ward.path(&name)).unwrap()
        };
        let svg = String::from_utf8(file(1, "svg")).unwrap();
        assert_eq!(svg.as_bytes(), file(2, "svg"), "{kind}");
        assert!(svg.contains("test split, n = ") && !svg.contains("NaN"), "{kind}: {svg}");
        let png = file(1, "png");
        assert!(png.starts_with(b"\x89PNG") && png == file(2, "png"), "{kind}");
        let drawn = ward.annals(&["plot", kind, "triple"]).ok();
        assert!(lines(&drawn).len() > 4, "{}", drawn.out);
    }
    for kind in ["architecture", "efficiency", "history"] {
        ward.annals(&["plot", kind, "--metric", "accuracy", "--out", "x.svg"]).ok();
    }
    ward.annals(&["plot", "architecture", "--x", "ngram_max"]).ok();
    ward.annals(&["plot", "size-recall", "--class", "risk"]).ok();
    ward.train("toy", &[]).ok();
    let drawn = ward.annals(&["plot", "curves", "toy"]).ok();
    assert!(drawn.out.contains("train loss") && drawn.out.contains("valid loss"), "{}", drawn.out);
}

#[test]
fn what_left_production_stays_marked_in_the_history() {
    let ward = two_runs();
    ward.annals(&["promote", "triple", "--as", "notes"]).ok();
    ward.annals(&["demote", "notes", "--reason", "retired"]).ok();
    let history = ["plot", "history", "--metric", "accuracy", "--out", "history.svg"];
    ward.annals(&history).ok();
    let drawn = std::fs::read_to_string(ward.path("history.svg")).unwrap();
    assert!(drawn.contains("notes 1.0.0"), "{drawn}");
}

#[test]
fn comparisons_are_written_as_parquet() {
    let ward = two_runs();
    let columns = "experiment_name,final_accuracy,ngram_max";
    ward.annals(&["compare", "--columns", columns, "--out", "runs.parquet"]).ok();
    let file = std::fs::File::open(ward.path("runs.parquet")).unwrap();
    let reader = parquet::file::reader::SerializedFileReader::new(file).unwrap();
    let rows: Vec<_> = reader.into_iter().map(Result::unwrap).collect();
    let args = ["compare", "--columns", columns, "--format", "json"];
    let said = ward.annals(&args).ok().json();
    assert_eq!(rows.len(), 2);
    for (row, said) in rows.iter().zip(said.as_array().unwrap()) {
        for (name, field) in row.get_column_iter() {
            let cell = match field {
                Field::Str(text) => text.clone().into(),
                Field::Double(value) => serde_json::Value::from(*value),
                other => panic!("{name}: {other}"),
            };
            assert_eq!(cell, said[name], "{name}");
        }
    }
}

#[test]
fn the_critical_class_comes_first_and_generated_data_allow_no_conclusion() {
    let ward = two_runs();
    let found = ward.annals(&["clinical", "--class", "risk", "--format", "json"]).ok().json();
    let best = &found["clinical"]["runs"][0];
    assert!(best["experiment_id"].as_str().unwrap().starts_with("triple_"));
    assert_eq!((&best["false_negatives"], &best["recall"]), (&0.into(), &1.0.into()));
    let conclusion = found["conclusion"].as_str().unwrap();
    assert!(conclusion.contains("has the highest recall for risk: it misses 0 of"), "{conclusion}");

    let ward = Workspace::new();
    ward.annals(&["train", "--config", "tfidf_logreg", "--name", "made", "--sample-size", "90"])
        .ok();
    let found = ward.annals(&["clinical", "--class", "suicide_risk"]).ok();
    assert!(found.out.contains("No conclusion about suicide_risk: "), "{}", found.out);
    assert!(found.out.contains("generated data"), "{}", found.out);
    assert!(found.out.contains("at least 30 are needed"), "{}", found.out);
}

#[test]
fn the_report_is_one_file_that_is_the_same_each_time_and_obeys_no_name() {
    let ward = two_runs();
    ward.annals(&["policy", "set", "production_promotion.critical_class", "risk"]).ok();
    ward.annals(&["promote", "triple", "--as", "notes"]).ok();
    let report = |name: &str| {
        ward.annals(&["report", "--out", name]).ok();
        std::fs::read_to_string(ward.path(name)).unwrap()
    };
    let html = report("a.html");
    assert_eq!(html, report("b.html"));
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
    for part in ["In production", "notes", "has the highest recall for risk", "annals/", "<svg"] {
        assert!(html.contains(part), "{part}");
    }
    for part in ["Of 2 runs, 2 have their files in place", "No consolidation was applied."] {
        assert!(html.contains(part), "{part}");
    }
    // As it was, and from a copy of the log alone.
    ward.annals(&["report", "--as-of", "5", "--out", "old.html"]).ok();
    let old = std::fs::read_to_string(ward.path("old.html")).unwrap();
    assert!(old.contains("Made from 6 events") && old.contains("No run has finished."), "{old}");
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    ward.annals(&["compare", "single", "triple", "--log", "copy.redb"]).ok();
    ward.annals(&["report", "--log", "copy.redb", "--out", "copied.html"]).ok();
    let hostile = "<script>alert(1)</script>";
    ward.annals(&["policy", "set", "production_promotion.critical_class", hostile]).ok();
    let html = report("c.html");
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"));
    let markdown = report("a.md");
    assert!(markdown.contains("## In production") && markdown.contains("```text"), "{markdown}");
    assert!(markdown.contains("\\<script\\>"), "{markdown}");
    assert!(!markdown.replace("\\<", "").contains("<script"), "{markdown}");
}

/// A file of rows whose label is told by a word, but not always.
fn notes(ward: &Workspace, file: &str, rows: std::ops::Range<u32>) {
    let row = |n: u32| {
        let (word, label) = if n.is_multiple_of(2) { ("bright", "calm") } else { ("dark", "risk") };
        let word = if n.is_multiple_of(7) { "grey" } else { word };
        format!("a {word} day number {n} {},{label}\n", n * 31 % 17)
    };
    let csv: String = rows.map(row).collect();
    std::fs::write(ward.path(file), format!("text,label\n{csv}")).unwrap();
}

fn train_on(ward: &Workspace, name: &str, train: &str, test: &str) {
    let columns = ["--text-column", "text", "--label-column", "label"];
    let words = ["train", "--config", "tfidf_logreg", "--name", name, "--data", train];
    ward.annals(&[&words[..], &["--test", test, "--category", "baseline"], &columns].concat()).ok();
}

#[test]
fn the_test_rows_alone_decide_what_is_compared() {
    let ward = Workspace::new();
    // The test rows have other numbers in the second run, for its training file is shorter.
    notes(&ward, "long.csv", 0..300);
    notes(&ward, "short.csv", 1000..1200);
    notes(&ward, "test.csv", 2000..2150);
    notes(&ward, "other.csv", 3000..3120);
    train_on(&ward, "one", "long.csv", "test.csv");
    train_on(&ward, "two", "short.csv", "test.csv");
    train_on(&ward, "three", "long.csv", "other.csv");
    let same = ward.annals(&["compare", "one", "two"]).ok();
    assert!(!same.err.contains("test rows"), "{}", same.err);
    assert!(same.out.contains("On the same 150 test rows:"), "{}", same.out);
    let different = ward.annals(&["compare", "one", "three"]).ok();
    assert!(different.err.contains("Measured on different test rows"), "{}", different.err);
    assert!(!different.out.contains("McNemar") && !different.out.contains(" *"));
    assert!(!different.err.contains("marks the best"), "{}", different.err);
    // An ensemble keeps its predictions and is compared like its members.
    ward.annals(&["ensemble", "create", "both", "one", "two"]).ok();
    let both = ward.annals(&["compare", "both", "two"]).ok();
    assert!(both.out.contains("On the same 150 test rows:"), "{}", both.out);
    ward.annals(&["ensemble", "create", "x", "one", "three"]).refused(5, "has other data files");

    let ranked = ward.annals(&["best", "--explain", "--format", "json"]).ok().json();
    let sets = ranked["rankings"].as_array().unwrap().iter();
    let sets: Vec<_> = sets.filter(|ranking| ranking["role"] == "best_f1_macro").collect();
    assert_eq!(sets.len(), 2, "one list for each set of test rows");
    let best = ward.annals(&["best"]).ok();
    assert!(best.err.contains("on other test rows"), "{}", best.err);
}

#[test]
fn stated_scores_are_the_best_only_on_request_and_marked() {
    let ward = two_runs();
    let run = ward.annals(&["run", "start", "--name", "said"]).ok().out.trim().to_owned();
    let scores = ["test/accuracy=1.0", "test/f1_macro=1.0", "test/loss=0.0"];
    ward.annals(&[&["run", "finish", &run], &scores[..]].concat()).ok();
    let best = |args: &[&str]| {
        let found = ward.annals(&[&["best", "--format", "json"], args].concat()).ok().json();
        let all = found.as_array().unwrap().clone();
        all.into_iter().find(|best| best["role"] == "best_f1_macro").unwrap()
    };
    assert!(best(&[])["experiment_id"].as_str().unwrap().starts_with("triple_"));
    let note = ward.annals(&["best"]).ok().err;
    assert!(note.contains("1 run not counted"), "{note}");
    let marked = ward.annals(&["best", "--all"]).ok().out;
    assert!(marked.contains("typed in"), "{marked}");
}

#[test]
fn an_anchor_is_in_the_record() {
    let ward = two_runs();
    ward.annals(&["checkpoint", "anchor", "anchor.note"]).ok();
    let events = ward.annals(&["log", "--kind", "checkpoint.anchored", "--format", "json"]);
    let events = events.ok().json();
    assert_eq!(events.as_array().map(Vec::len), Some(1), "{events}");
}

#[test]
fn nothing_to_compare_is_told_without_counting_parameters() {
    let ward = two_runs();
    let none = ward.annals(&["compare", "--where", "accuracy > 2"]).ok();
    assert!(none.err.contains("No run meets the condition"), "{}", none.err);
    assert!(!none.err.contains("parameter") && none.out.is_empty(), "{}{}", none.err, none.out);
}
