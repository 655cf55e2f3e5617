//! The same rows in CSV, TSV, JSON Lines and Parquet are the same data, faults included; and as
//! many records are read as were written.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use annals::base::durable;
use annals::data::{Dataset, LabelColumns, LabelSpec, Source, read, read_table};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

const FORMATS: [&str; 5] = ["csv", "tsv", "jsonl", "parquet", "csv.gz"];

/// A label as a program holds it before it is written; all rows of a file have one kind.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    Text(&'static str),
    Int(i64),
    Float(f64),
    List(&'static [&'static str]),
    Numbers(&'static [i64]),
}

use Cell::{Float, Int, List, Null, Numbers, Text};

impl Cell {
    /// As pandas writes it into a table of text.
    fn in_text(&self) -> String {
        let quoted = |text: &&str| format!("'{text}'");
        match self {
            Null => String::new(),
            Text(text) => (*text).to_owned(),
            Int(number) => number.to_string(),
            Float(number) => format!("{number:?}"),
            List(list) => format!("[{}]", list.iter().map(quoted).collect::<Vec<_>>().join(", ")),
            Numbers(list) => format!("{list:?}"),
        }
    }

    fn in_json(&self) -> serde_json::Value {
        match self {
            Null => serde_json::Value::Null,
            Text(text) => (*text).into(),
            Int(number) => (*number).into(),
            Float(number) => (*number).into(),
            List(list) => list.to_vec().into(),
            Numbers(list) => list.to_vec().into(),
        }
    }
}

fn separated(by: u8, rows: &[(String, Cell)]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().delimiter(by).from_writer(Vec::new());
    writer.write_record(["id", "text", "label"]).unwrap();
    for (number, (text, label)) in rows.iter().enumerate() {
        writer.write_record([&number.to_string(), text, &label.in_text()]).unwrap();
    }
    writer.into_inner().unwrap()
}

fn json_lines(rows: &[(String, Cell)]) -> Vec<u8> {
    let line = |(id, (text, label)): (usize, &(String, Cell))| {
        format!("{}\n", serde_json::json!({"id": id, "text": text, "label": label.in_json()}))
    };
    rows.iter().enumerate().map(line).collect::<String>().into_bytes()
}

fn parquet(rows: &[(String, Cell)]) -> Vec<u8> {
    let kind = rows.iter().map(|(_, label)| label).find(|label| !matches!(label, Null));
    let label = match kind {
        Some(Int(_)) => "optional int64 label",
        Some(Float(_)) => "optional double label",
        Some(List(_)) => {
            "optional group label (LIST) { repeated group list \
             { optional binary element (UTF8); } }"
        }
        Some(Numbers(_)) => {
            "optional group label (LIST) { repeated group list { optional int64 element; } }"
        }
        _ => "optional binary label (UTF8)",
    };
    let end = if label.ends_with('}') { "" } else { ";" };
    let schema =
        format!("message t {{ required int64 id; required binary text (UTF8); {label}{end} }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut next = |write: &mut dyn FnMut(&mut SerializedColumnWriter<'_>)| {
        let mut column = group.next_column().unwrap().unwrap();
        write(&mut column);
        column.close().unwrap();
    };
    let ids: Vec<i64> = (0..).take(rows.len()).collect();
    next(&mut |c| {
        c.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
    });
    let texts: Vec<ByteArray> = rows.iter().map(|(text, _)| text.as_str().into()).collect();
    next(&mut |c| {
        c.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    });
    let (mut bytes, mut whole, mut real) = (Vec::new(), Vec::new(), Vec::new());
    let (mut definitions, mut repetitions, mut is_list) = (Vec::new(), Vec::new(), false);
    for (_, label) in rows {
        let count = match label {
            Null => 0,
            Text(text) => {
                bytes.push(ByteArray::from(*text));
                1
            }
            Int(number) => {
                whole.push(*number);
                1
            }
            Float(number) => {
                real.push(*number);
                1
            }
            List(list) => {
                is_list = true;
                bytes.extend(list.iter().map(|text| ByteArray::from(*text)));
                list.len()
            }
            Numbers(list) => {
                is_list = true;
                whole.extend(*list);
                list.len()
            }
        };
        let element = if matches!(label, List(_) | Numbers(_)) { 3 } else { 1 };
        match (label, count) {
            (Null, _) => definitions.push(0),
            (_, 0) => definitions.push(1),
            _ => definitions.extend(vec![element; count]),
        }
        repetitions.push(0);
        repetitions.extend(vec![1; count.saturating_sub(1)]);
    }
    let (definitions, repetitions) = (Some(&definitions[..]), is_list.then_some(&repetitions[..]));
    next(&mut |c| {
        match kind {
            Some(Int(_) | Numbers(_)) => {
                c.typed::<Int64Type>().write_batch(&whole, definitions, repetitions)
            }
            Some(Float(_)) => c.typed::<DoubleType>().write_batch(&real, definitions, repetitions),
            _ => c.typed::<ByteArrayType>().write_batch(&bytes, definitions, repetitions),
        }
        .unwrap();
    });
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn written(format: &str, rows: &[(String, Cell)]) -> Vec<u8> {
    match format {
        "csv" => separated(b',', rows),
        "tsv" => separated(b'\t', rows),
        "jsonl" => json_lines(rows),
        "parquet" => parquet(rows),
        _ => {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&separated(b',', rows)).unwrap();
            gz.finish().unwrap()
        }
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, format: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(format!("rows.{format}"));
        durable::write(&path, bytes).unwrap();
        path
    }
}

/// Numbered texts with these labels.
fn rows(labels: &[Cell]) -> Vec<(String, Cell)> {
    (0..).zip(labels).map(|(number, label)| (format!("note {number}"), label.clone())).collect()
}

/// The labels of each row by name.
fn names(dataset: &Dataset) -> Vec<Vec<String>> {
    let all = dataset.label_names();
    let of_row = |classes: &Vec<u32>| classes.iter().map(|c| all[*c as usize].clone()).collect();
    dataset.rows.iter().map(|row| of_row(&row.classes)).collect()
}

#[test]
fn labels_mean_the_same_in_every_format() {
    // What the labels are, or what the refusal names; `|` ends a row.
    type Expected = Result<&'static str, &'static str>;
    let cases: &[(&str, &[Cell], bool, Expected)] = &[
        ("texts", &[Text("b"), Text("a")], false, Ok("b|a")),
        ("whole numbers", &[Int(10), Int(9)], false, Ok("10|9")),
        ("numbers with a point", &[Float(1.0), Float(0.0)], false, Ok("1|0")),
        ("fractions", &[Float(0.5), Float(1.5)], false, Ok("0.5|1.5")),
        (
            "beyond 2^53",
            &[Int(9_007_199_254_740_993), Int(9_007_199_254_740_992)],
            false,
            Ok("9007199254740993|9007199254740992"),
        ),
        ("one spelling", &[Text("1"), Text("1.0"), Text("0")], false, Ok("1|1|0")),
        ("a code", &[Text("01"), Text("02")], false, Ok("01|02")),
        ("two spellings", &[Text("01"), Text("1")], false, Err("\"01\" and \"1\"")),
        ("two spellings", &[Text("1.10"), Text("1.1")], false, Err("one number in two spellings")),
        ("truths", &[Text("True"), Text("False")], false, Ok("true|false")),
        ("lists of one", &[List(&["b"]), List(&["a"])], false, Ok("b|a")),
        (
            "lists of two",
            &[List(&["b"]), List(&["a", "c"])],
            false,
            Err("row 2 has 2 labels (a, c)"),
        ),
        ("no label", &[Text("b"), Null], false, Err("row 2: column \"label\" is empty")),
        (
            "an empty list",
            &[List(&["b"]), List(&[])],
            false,
            Err("row 2: column \"label\" is empty"),
        ),
        (
            "one class",
            &[Text("b"), Text("b")],
            false,
            Err("every row has the label \"b\" (2 rows)"),
        ),
        (
            "several in one",
            &[Text("3,6"), Text("3"), Text("6,7")],
            false,
            Err("3 different labels made of 3, such as \"3,6\""),
        ),
        ("several in one", &[Text("a;b"), Text("a"), Text("b")], false, Err("several labels")),
        ("a comma in a name", &[Text("yes, sure"), Text("no")], false, Ok("yes, sure|no")),
        ("a vector", &[Numbers(&[0, 1]), Numbers(&[1, 0])], false, Err("row 1 has 2 labels")),
        (
            "lists",
            &[List(&["b", "a, c"]), List(&[]), List(&["it's"]), Null],
            true,
            Ok("a, c+b||it's|"),
        ),
        ("lists", &[List(&["b", "a, c"]), List(&[]), List(&["b"])], true, Ok("a, c+b||b")),
        ("lists of numbers", &[Numbers(&[3, 7]), Numbers(&[3]), Numbers(&[])], true, Ok("3+7|3|")),
        ("commas", &[Text("b,a"), Null, Text("a")], true, Ok("a+b||a")),
        ("bars", &[Text("b|a"), Text("b"), Text("a")], true, Err("several labels")),
        ("vectors", &[Numbers(&[0, 1, 0]), Numbers(&[1, 0, 0]), Null], true, Err("a vector")),
        ("vectors as text", &[Text("0 1 0"), Text("1 0 0")], true, Err("several labels")),
        ("written vectors", &[Text("0,1"), Text("1,1")], true, Err("a vector")),
        ("no list", &[Text("['a' 'b']"), Text("a")], true, Err("a list written as text")),
        ("nothing", &[Null, Null], true, Err("no row has a label")),
    ];
    let place = Place::new();
    for (what, labels, multi, expected) in cases {
        // Python writes a list with "it's" in double quotes; that is tried elsewhere.
        let rows = rows(labels);
        for format in FORMATS {
            let is_text = format != "jsonl" && format != "parquet";
            if is_text && labels.iter().any(|l| l.in_text().contains("it's")) {
                continue;
            }
            let path = place.put(format, &written(format, &rows));
            let mut source = Source::of(path, "text", "label");
            if *multi {
                source.label_columns = LabelColumns::List("label".into());
            }
            let found = read(&source).map_err(|e| e.to_string());
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    let lines: Vec<String> =
                        names(&found).iter().map(|labels| labels.join("+")).collect();
                    assert_eq!(lines.join("|"), *expected, "{what}, {format}");
                }
                (Err(error), Err(expected)) => {
                    assert!(error.contains(expected), "{what}, {format}: {error}");
                }
                (found, _) => panic!("{what}, {format}: {found:?}"),
            }
        }
    }
}

#[test]
fn listed_labels_and_names_are_found_in_every_format() {
    let place = Place::new();
    let numbers = rows(&[Float(0.0), Float(1.0), Float(1.0)]);
    for format in FORMATS {
        let path = place.put(format, &written(format, &numbers));
        let named = |labels: &str| {
            let labels = LabelSpec::parse(labels).unwrap();
            read(&Source { labels, ..Source::of(path.clone(), "text", "label") })
        };
        let found = named("0=hate,1=other").unwrap();
        assert_eq!(names(&found).concat(), ["hate", "other", "other"], "{format}");
        let error = named("hate,other").unwrap_err();
        assert!(!error.to_string().contains("did you mean"), "{error}");
        assert!(error.hint().unwrap().contains("--labels 0=hate,1=other"), "{format}");
    }
}

#[test]
fn empty_texts_are_refused_or_left_out_in_every_format() {
    let place = Place::new();
    let mut rows = rows(&[Text("a"), Text("c"), Text("b"), Text("a")]);
    rows[1].0 = " \n".into();
    for format in FORMATS {
        let path = place.put(format, &written(format, &rows));
        let source = Source::of(path, "text", "label");
        let error = read(&source).unwrap_err();
        assert!(error.to_string().ends_with("row 2: the text is empty"), "{error}");
        assert!(error.hint().unwrap().contains("--drop-empty"));
        let found = read(&Source { drop_empty: true, ..source }).unwrap();
        assert_eq!(found.label_names(), ["a", "b"], "{format}: a label of no row");
        assert_eq!(found.rows.len(), 4, "{format}: rows keep their numbers");
        assert!(found.rows[1].is_empty() && found.rows[1].classes.is_empty());
    }
}

#[test]
fn what_a_file_does_not_say_is_refused() {
    let utf16: Vec<u8> = "text,label\na,b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe][..], &utf16].concat();
    let cases: &[(&str, &[u8], &str)] = &[
        ("csv", b"label,text\nx,fine\ny,\"open\nx,fine\ny,fine\n", "row 2 (line 3): the quote"),
        ("csv", b"text,label\nfine,x\n\"open,y\nfine,x\n", "row 2 (line 3): the quote"),
        ("csv.gz", b"label,text\nx,\"open\n", "row 1 (line 2): the quote"),
        ("tsv", b"label\ttext\nx\t\"a \"\"b\"\"\"\ny\t\"open\nx\tfine\n", "row 2 (line 3)"),
        ("csv", &marked, "is UTF-16, UTF-8 expected"),
        ("csv", &utf16, "is UTF-16, UTF-8 expected"),
        ("tsv", &marked, "UTF-16"),
        ("jsonl", &marked, "UTF-16"),
        ("csv", b"text,label,text\na,x,b\n", "two columns are called \"text\""),
        ("csv", b"text;label\na;x\n", "separated by semicolons, commas expected"),
        ("csv", b"text\tlabel\na\tx\n", "separated by tabs, commas expected"),
        ("tsv", b"text,label\na,x\n", "separated by commas, tabs expected"),
        ("csv", b"sep=;\ntext;label\na;x\n", "(line 1): the line \"sep=\""),
        ("csv", b"sep=,\ntext,label\na,x\n", "(line 1): the line \"sep=\""),
        ("csv", b"text,label\na,x\n\xef\xbb\xbftext,label\nb,y\n", "row 2 (line 3): the header is"),
        ("csv", b"text,label\na,x\nb,y,z\n", "row 2 (line 3): 2 fields expected, found 3; a comma"),
        ("tsv", b"text\tlabel\na\tx\nb\n", "row 2 (line 3): 2 fields expected, found 1"),
        ("jsonl", b"{\"text\":[\"a\",\"b\"],\"label\":1}\n", "row 1: column \"text\" is a list"),
        ("jsonl", b"{\"text\":{\"a\":1},\"label\":1}\n", "row 1: column \"text\" is an object"),
        (
            "jsonl",
            b"{\"text\":\"a\",\"label\":{\"x\":1}}\n",
            "row 1: column \"label\" is an object",
        ),
        ("jsonl", b"{\"text\":\"a\"}\n", "no column \"label\" (columns: text)"),
        ("jsonl", b"{\"text\":\"\\ud83d\",\"label\":1}\n", "row 1 (line 1): not a JSON object"),
    ];
    let place = Place::new();
    for (format, bytes, problem) in cases {
        let mut bytes = bytes.to_vec();
        if format.ends_with(".gz") {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&bytes).unwrap();
            bytes = gz.finish().unwrap();
        }
        let path = place.put(format, &bytes);
        let error = read(&Source::of(path, "text", "label")).unwrap_err().to_string();
        assert!(error.contains(problem), "{format}: {error:?} lacks {problem:?}");
    }
}

#[test]
fn what_can_be_meant_otherwise_is_remarked_upon() {
    let mut swallowed = "label,text\nx,\"open\n".to_owned();
    for row in 0..9 {
        swallowed += &format!("y,note {row}\n");
    }
    swallowed += "x,closed\"\n";
    let cases: &[(&str, &str, &str)] = &[
        ("csv", "text,label\n\"a\" b,x\nc,y\n", "cells with text after a closing quote: 1,"),
        ("csv", &swallowed, "row 1 (line 2) has a quoted cell of"),
        (
            "jsonl",
            "{\"text\":\"a\",\"text\":\"b\",\"label\":1}\n{\"text\":\"c\",\"label\":2}\n",
            "twice",
        ),
    ];
    let place = Place::new();
    for (format, content, remark) in cases {
        let path = place.put(format, content.as_bytes());
        let table = read_table(&path, true).unwrap();
        assert!(table.remarks.len() == 1 && table.remarks[0].contains(remark), "{table:?}");
    }
    let unnamed = read_table(&place.put("csv", b",text,label,\n0,a,x,\n"), true).unwrap();
    assert_eq!(unnamed.names, ["1", "text", "label", "4"]);
    let clean = "text,label\n\"one\ntwo, three\nfour\",x\nc,y\n";
    assert_eq!(read_table(&place.put("csv", clean.as_bytes()), true).unwrap().remarks.len(), 0);
}

#[test]
fn quotes_of_a_tab_separated_file_are_signs_or_text_for_the_whole_file() {
    let cases: &[(&str, &str)] = &[
        ("text\tlabel\n\"lone\tx\nb\ty\n", "\"lone"),
        ("text\tlabel\n\"a title\"\tx\nb\ty\n", "\"a title\""),
        ("text\tlabel\n\"a\" b\tx\n\"c\"\ty\n", "\"a\" b"),
        ("text\tlabel\n\"a \"\"b\"\"\"\tx\nb\ty\n", "a \"b\""),
        ("text\tlabel\n\"a\tb\"\tx\nb\ty\n", "a\tb"),
        ("text\tlabel\n\"a\nb\"\tx\nb\ty\n", "a\nb"),
        ("\"text\"\t\"label\"\n\"a\"\t\"x\"\n\"b\"\t\"y\"\n", "a"),
        ("text\tlabel\n\"a\"\t1\n\"b\"\t2\n", "a"),
    ];
    let place = Place::new();
    for (content, first) in cases {
        let path = place.put("tsv", content.as_bytes());
        let found = read(&Source::of(path, "text", "label")).unwrap();
        assert_eq!(found.rows[0].text, *first, "{content:?}");
        assert_eq!(found.rows.len(), 2, "{content:?}");
    }
}

/// A file of Parquet with two texts and a column of whole numbers of some type.
fn with_numbers(column: &str, numbers: &[i64; 2]) -> Vec<u8> {
    let schema = format!("message t {{ required binary text (UTF8); required int64 {column}; }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts = ["a", "b"].map(ByteArray::from);
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(numbers, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn stored_numbers_are_what_their_type_makes_of_them() {
    let place = Place::new();
    let path = place.put("parquet", &with_numbers("label (UINT_64)", &[-1, 1]));
    let found = read(&Source::of(path, "text", "label")).unwrap();
    assert_eq!(found.label_names(), ["1", "18446744073709551615"]);
    for kind in ["TIMESTAMP_MICROS", "TIMESTAMP(NANOS,true)", "TIME(NANOS,false)", "DECIMAL(9,2)"] {
        let path = place.put("parquet", &with_numbers(&format!("label ({kind})"), &[1, 2]));
        let error = read(&Source::of(path.clone(), "text", "label")).unwrap_err().to_string();
        assert!(error.contains("column \"label\" is of type"), "{kind}: {error}");
        // Where nobody asks for it, it does not keep the rest from being read.
        let table = read_table(&path, true).unwrap();
        assert_eq!((table.names, table.rows.len()), (vec!["text".to_owned()], 2), "{kind}");
        assert!(table.remarks[0].contains("it was left out"), "{kind}");
    }
}

/// Texts of anything but nothing, and of what trips readers.
fn texts() -> impl Strategy<Value = Vec<String>> {
    let tricky = prop::sample::select(vec![
        "\"",
        "\"\"",
        ",",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\\",
        "a\"b",
        "\"a\"",
        "'",
        ";",
        "|",
        "\u{0}",
        "\u{feff}",
        "\u{2028}",
        "\u{1f600}",
        "NULL",
        "{",
        "[1]",
        "sep=;",
        "#",
        " ",
    ]);
    let part = prop_oneof![
        tricky.prop_map(str::to_owned),
        "[a-z ]{0,6}",
        any::<char>().prop_map(String::from)
    ];
    let text = prop::collection::vec(part, 1..6).prop_map(|parts| format!("n{}", parts.concat()));
    prop::collection::vec(text, 2..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn records_read_are_records_written(texts in texts()) {
        let place = Place::new();
        let label = |row: usize| if row.is_multiple_of(2) { Text("x") } else { Text("y, \"z\"") };
        let rows: Vec<(String, Cell)> =
            texts.iter().enumerate().map(|(row, text)| (text.clone(), label(row))).collect();
        for format in FORMATS {
            let path = place.put(format, &written(format, &rows));
            let found = read(&Source::of(path.clone(), "text", "label")).unwrap();
            let read: Vec<&str> = found.rows.iter().map(|row| row.text.as_str()).collect();
            let written: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(read, written, "{}", format);
            prop_assert_eq!(found.label_names(), ["x", "y, \"z\""], "{}", format);
            let table = read_table(&path, true).unwrap();
            prop_assert_eq!(table.names, ["id", "text", "label"]);
            prop_assert_eq!(table.rows.len(), texts.len());
        }
    }

    /// Whatever a stray quote does, no record goes missing without a word.
    #[test]
    fn a_stray_quote_never_swallows_records_silently(row in 0_usize..30, at_end: bool, tsv: bool) {
        let (by, format) = if tsv { ('\t', "tsv") } else { (',', "csv") };
        let names = if at_end { ["label", "text"] } else { ["text", "label"] };
        let mut content = format!("{}{by}{}\n", names[0], names[1]);
        for number in 0..30 {
            let quote = if number == row { "\"" } else { "" };
            let label = if number % 2 == 0 { "x" } else { "y" };
            content += &if at_end {
                format!("{label}{by}{quote}note {number}\n")
            } else {
                format!("{quote}note {number}{by}{label}\n")
            };
        }
        let place = Place::new();
        match read(&Source::of(place.put(format, content.as_bytes()), "text", "label")) {
            Ok(found) => prop_assert_eq!(found.rows.len(), 30),
            Err(error) => {
                let named = format!("row {} (line {})", row + 1, row + 2);
                prop_assert!(error.to_string().contains(&named), "{}", error);
            }
        }
    }
}
