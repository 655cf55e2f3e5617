//! An answer as rows of a table: what `--format csv`, `markdown` and `parquet` print.

use serde_json::Value as Json;

use crate::app::{Row, Value};

/// The columns and rows of an answer: a row for each item of a list, a column for each key. Keys
/// of an object inside an item are joined with a dot; a list inside an item is JSON text.
pub(super) fn rows(answer: &Json) -> (Vec<String>, Vec<Row>) {
    let items = match answer {
        Json::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let items: Vec<Vec<(String, Value)>> = items.iter().map(cells).collect();
    let mut columns: Vec<String> = Vec::new();
    for (name, _) in items.iter().flatten() {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    let row = |item: Vec<(String, Value)>| -> Row {
        let mut row: Row = columns.iter().map(|_| Value::Null).collect();
        for (name, value) in item {
            if let Some(at) = columns.iter().position(|column| *column == name) {
                row[at] = value;
            }
        }
        row
    };
    let rows = items.into_iter().map(row).collect();
    (columns, rows)
}

fn cells(item: &Json) -> Vec<(String, Value)> {
    let Json::Object(object) = item else { return vec![("value".to_owned(), cell(item))] };
    let mut cells = Vec::new();
    for (key, value) in object {
        match value {
            Json::Object(inner) => {
                cells.extend(
                    inner.iter().map(|(name, value)| (format!("{key}.{name}"), cell(value))),
                );
            }
            value => cells.push((key.clone(), cell(value))),
        }
    }
    cells
}

fn cell(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) if !value.is_u64() => Value::Real(number),
            _ => number.to_string().into(),
        },
        Json::String(text) => text.clone().into(),
        Json::Array(_) | Json::Object(_) => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_becomes_rows_without_losing_a_value() {
        let answer = json!([
            {"run": "a", "score": 0.5, "model": {"name": "m", "files": [1]}},
            {"run": "b", "rows": u64::MAX, "pinned": true},
        ]);
        let (columns, rows) = rows(&answer);
        assert_eq!(columns, ["run", "score", "model.name", "model.files", "rows", "pinned"]);
        let text =
            |row: &Row| row.iter().map(|cell| cell.to_text().into_owned()).collect::<Vec<_>>();
        assert_eq!(text(&rows[0]), ["a", "0.5", "m", "[1]", "", ""]);
        assert_eq!(text(&rows[1])[4], "18446744073709551615");
        assert_eq!(rows.len(), 2);
    }
}
