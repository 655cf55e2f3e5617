//! Files of texts on their way in and out: rows left out, refusals before a run begins, and files
//! answered by `predict`.

use serde_json::{Value, json};

use crate::support::Workspace;

fn put(ward: &Workspace, name: &str, text: &str) {
    std::fs::write(ward.path(name), text).unwrap();
}

fn notes(rows: usize, text: impl Fn(usize) -> String) -> String {
    let label = |row: usize| if row.is_multiple_of(2) { "well" } else { "ill" };
    let line = |row: usize| format!("{row},{},{}\n", text(row), label(row));
    format!("id,text,label\n{}", (0..rows).map(line).collect::<String>())
}

/// Notes that tell their label.
fn plain(row: usize) -> String {
    let about = if row.is_multiple_of(2) { "slept fine" } else { "cannot sleep" };
    format!("note {row} of the ward says {about}")
}

#[test]
fn rows_without_a_text_are_left_out_only_on_request_and_recorded() {
    let ward = Workspace::new();
    let empty = |row: usize| if row % 40 == 7 { " ".to_owned() } else { plain(row) };
    put(&ward, "notes.csv", &notes(200, empty));
    let args = ["train", "--config", "tfidf_logreg", "--data", "notes.csv", "--name", "notes"];
    let refused = ward.annals(&args).refused(3, "row 8: the text is empty");
    assert!(refused.err.contains("--drop-empty"), "{}", refused.err);
    let trained = ward.annals(&[&args[..], &["--drop-empty"]].concat()).ok();
    assert!(
        trained.err.contains("empty text: 5 (--drop-empty), the first is row 8"),
        "{}",
        trained.err
    );
    ward.annals(&["reproduce", "notes"]).ok();
    for run in ["notes", "notes_reproduced"] {
        let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
        assert!(shown["parameters"]["data.drop_empty"] == "true", "{run}: {shown}");
        let why = ward.annals(&["why", run]).ok().out;
        assert!(why.contains("rows with an empty text left out: 5"), "{run}: {why}");
    }
    let run = ward.annals(&["show", "notes", "--format", "json"]).ok().json();
    let report = format!("{}/config/data_report.json", run["folder"].as_str().unwrap());
    let report: Value = serde_json::from_slice(&ward.read(&report)).unwrap();
    assert_eq!(report["dropped_empty"], json!([8, 48, 88, 128, 168]));
    let rows: u64 =
        report["splits"].as_array().unwrap().iter().filter_map(|s| s["rows"].as_u64()).sum();
    assert_eq!(rows, 195);
}

#[test]
fn data_without_words_classes_or_rows_begin_no_run() {
    let ward = Workspace::new();
    let events = || ward.annals(&["status", "--format", "json"]).ok().json()["events"].clone();
    put(
        &ward,
        "signs.csv",
        &notes(100, |row| if row % 2 == 0 { "\u{1f600}" } else { "a b" }.to_owned()),
    );
    put(&ward, "few.csv", &notes(2, plain));
    put(&ward, "rare.csv", &notes(100, |row| format!("w{row}x{row}y")));
    put(&ward, "several.csv", "text,label\na,\"3,6\"\nb,3\nc,6\n");
    let before = events();
    for (file, config, more, problem) in [
        ("signs.csv", "tfidf_logreg", &[][..], "the vocabulary is empty"),
        ("signs.csv", "tfidf_svm", &[], "the vocabulary is empty"),
        (
            "rare.csv",
            "baseline_small",
            &["--set", "data.min_count=1000"],
            "the vocabulary is empty",
        ),
        ("few.csv", "tfidf_logreg", &[], "rows out of 2"),
        ("several.csv", "toy", &[], "several labels"),
    ] {
        let args = ["train", "--config", config, "--data", file];
        ward.annals(&[&args[..], more].concat()).refused(3, problem);
        assert_eq!(events(), before, "{file} with {config}: something was recorded");
    }
    ward.annals(&["train", "--config", "toy", "--data", "signs.csv"]).ok();
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Three rows in every format, the second without a text, the third longer than any model reads.
fn questions(ward: &Workspace) -> [&'static str; 3] {
    let long = vec!["cannot sleep"; 400].join(" ");
    let id = "12345678901234567890123";
    put(
        ward,
        "q.csv",
        &format!("id,tweet,labels\n{id},\"slept fine, I say\",x\n2,,y\n3,{long},z\n"),
    );
    put(
        ward,
        "q.tsv",
        &format!("id\ttweet\tlabels\n{id}\tslept fine, I say\tx\n2\t\ty\n3\t{long}\tz\n"),
    );
    let mut json = format!("{{\"id\":{id},\"tweet\":\"slept fine, I say\",\"labels\":\"x\"}}\n");
    json += "{\"id\":2,\"tweet\":null,\"labels\":\"y\",\"more\":[1,NaN]}\n";
    json += &format!("{{\"id\":3,\"tweet\":\"{long}\",\"labels\":\"z\"}}\n");
    put(ward, "q.jsonl", &json);
    ["q.csv", "q.tsv", "q.jsonl"]
}

#[test]
fn tables_are_answered_row_by_row_and_keep_their_columns() {
    let ward = Workspace::new();
    put(&ward, "notes.csv", &notes(200, plain));
    for config in ["tfidf_logreg", "toy"] {
        ward.annals(&["train", "--config", config, "--data", "notes.csv", "--name", config]).ok();
    }
    let files = questions(&ward);
    for model in ["tfidf_logreg", "toy"] {
        let mut known: Option<Vec<Value>> = None;
        for file in files {
            let asked = ["predict", model, "--file", file, "--text-column", "tweet"];
            let found = ward.annals(&[&asked[..], &["--format", "json"]].concat()).ok();
            assert!(found.out.contains("12345678901234567890123"), "{file}: an id lost digits");
            assert!(
                found.err.contains("column \"labels\" is renamed to \"input_labels\""),
                "{}",
                found.err
            );
            assert!(found.err.contains("1 text is empty"), "{}", found.err);
            let cut = model == "toy";
            assert_eq!(found.err.contains("1 text is longer than the"), cut, "{}", found.err);
            let rows = lines(&found.out);
            assert_eq!(rows.len(), 3, "{file}");
            assert_eq!(rows[2]["truncated"], cut);
            assert_eq!(rows[0]["truncated"], false);
            assert_eq!(rows[0]["tweet"], "slept fine, I say");
            assert_eq!(rows[1]["input_labels"], "y");
            let answers: Vec<Value> = rows.iter().map(|row| row["probabilities"].clone()).collect();
            assert_eq!(*known.get_or_insert(answers.clone()), answers, "{file}");
            for out in ["o.jsonl", "o.csv", "o.parquet"] {
                ward.annals(&[&asked[..], &["--out", out]].concat()).ok();
                // What was written is read again, with the answers as columns.
                let again = ["predict", model, "--file", out, "--text-column", "tweet"];
                let again = ward.annals(&[&again[..], &["--format", "json"]].concat()).ok();
                let again = lines(&again.out);
                assert_eq!(again.len(), 3, "{file} to {out}");
                assert_eq!(again[2]["probabilities"], rows[2]["probabilities"], "{file} to {out}");
                assert_eq!(again[1]["input_labels"], "y", "{file} to {out}");
                assert_eq!(again[1]["id"].to_string().trim_matches('"'), "2", "{file} to {out}");
            }
        }
    }
    ward.annals(&["predict", "toy", "--file", "q.csv"]).refused(3, "no column \"text\"");
    ward.annals(&["predict", "toy", "--file", "q.json"]).refused(3, "unknown format");
    let asked = ["predict", "toy", "--file", "q.csv", "--text-column", "tweet", "--out"];
    ward.annals(&[&asked[..], &["o.xlsx"]].concat()).refused(2, "the suffix must be");
    ward.annals(&[&asked[..], &["q.csv"]].concat()).refused(2, "is the file that is read");
    put(&ward, "q.txt", "{\"a\": 1}\n\nslept fine\n");
    let answers =
        lines(&ward.annals(&["predict", "toy", "--file", "q.txt", "--format", "json"]).ok().out);
    assert_eq!(answers.len(), 3, "a plain file has a text in each line");
    let asked = ["predict", "toy", "--file", "q.txt", "--text-column", "tweet"];
    ward.annals(&asked).refused(2, "--text-column is for tables");
    let long = vec!["cannot sleep"; 400].join(" ");
    let one = ward.annals(&["predict", "toy", &long]).ok();
    assert!(one.err.contains("1 text is longer than the"), "{}", one.err);
}

#[test]
fn texts_that_training_cuts_are_counted() {
    let ward = Workspace::new();
    let long = |row: usize| {
        if row.is_multiple_of(50) { vec![plain(row); 90].join(" ") } else { plain(row) }
    };
    put(&ward, "notes.csv", &notes(200, long));
    let args = ["train", "--data", "notes.csv", "--name", "notes", "--config"];
    let trained = ward.annals(&[&args[..], &["toy"]].concat()).ok();
    assert!(trained.err.contains("4 texts are longer than the"), "{}", trained.err);
    let trained = ward.annals(&[&args[..], &["tfidf_svm"]].concat()).ok();
    assert!(!trained.err.contains("longer than"), "{}", trained.err);
}
