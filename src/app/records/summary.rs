//! An event in a few words, for the lines of the log.

use serde_json::Value;

/// The fields people look for first.
pub(in crate::app) fn summary(event: &Value) -> String {
    const FIRST: [&str; 13] = [
        "experiment_id",
        "name",
        "category",
        "candidate",
        "reason",
        "message",
        "step",
        "path",
        "verb",
        "location",
        "to",
        "approver",
        "project",
    ];
    let Value::Object(fields) = event else { return String::new() };
    if let Some(text) = changes(fields) {
        return text.chars().take(100).collect();
    }
    let found = FIRST.iter().filter_map(|key| {
        let text = match fields.get(*key)? {
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(format!("{key} {text}"))
    });
    let text = found.take(3).collect::<Vec<_>>().join(", ");
    text.chars().take(100).collect()
}

/// What events changed that tell what was before: rules of the policy, versions, aliases.
fn changes(fields: &serde_json::Map<String, Value>) -> Option<String> {
    let text = |key: &str| match fields.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let because = text("reason").map(|reason| format!(": {reason}")).unwrap_or_default();
    if let Some(Value::Array(changes)) = fields.get("changes") {
        let one = |change: &Value| {
            let word = |key: &str| change.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(match word("old") {
                Some(old) => format!("{} {old} -> {}", word("key")?, word("new")?),
                None => format!("{} {}", word("key")?, word("new")?),
            })
        };
        let all: Vec<String> = changes.iter().filter_map(one).collect();
        let told = match all.as_slice() {
            [] => return None,
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        };
        return Some(told + &because);
    }
    let name = text("name")?;
    let (number, from) = (text("number")?, text("from"));
    if let Some(alias) = text("alias") {
        return Some(format!("{alias} -> {name}@{number}{because}"));
    }
    let to = text("to");
    let (before, after) = (from?, to.unwrap_or_else(|| format!("version {number}")));
    Some(format!("{name} {before} -> {after}{because}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changed_is_in_the_line() {
        for (event, line) in [
            (
                json!({"policy": {}, "changes": [{"key": "a.b", "old": "1", "new": "2"}],
                    "reason": "tighter"}),
                "a.b 1 -> 2: tighter",
            ),
            (
                json!({"changes": [{"key": "a", "new": "2"}, {"key": "b", "new": "3"}]}),
                "a 2 (and 1 more)",
            ),
            (
                json!({"name": "night", "number": 1, "from": 2, "reason": "worse"}),
                "night 2 -> version 1: worse",
            ),
            (
                json!({"name": "night", "number": 1, "from": "1.0.0", "to": "1.1.0"}),
                "night 1.0.0 -> 1.1.0",
            ),
            (json!({"alias": "champion", "name": "night", "number": 2}), "champion -> night@2"),
            (json!({"name": "night", "reason": "old"}), "name night, reason old"),
        ] {
            assert_eq!(summary(&event), line);
        }
    }
}
