//! Findings as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), which code
//! scanning services read.

use serde_json::{Value, json};

use super::{Audit, CHECKS, Finding};
use crate::base::Digest;

/// The log that `audit` found, as an audit of the file `log`.
pub fn sarif(audit: &Audit, log: &str) -> Value {
    let rules: Vec<Value> = CHECKS
        .iter()
        .map(|check| {
            json!({
                "id": check.rule,
                "shortDescription": { "text": check.about },
                "defaultConfiguration": { "level": check.severity.word() },
            })
        })
        .collect();
    let results: Vec<Value> = audit.findings.iter().map(|found| result(found, log)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "annals",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": { "log_size": audit.size, "left_out": audit.left_out },
        }],
    })
}

fn result(finding: &Finding, log: &str) -> Value {
    let index = CHECKS.iter().position(|check| check.rule == finding.rule);
    // The same finding in a later audit: what it is about and where, not how it is worded.
    let places: Vec<String> = finding.positions.iter().map(ToString::to_string).collect();
    let same = [finding.rule, &finding.subject, &places.join(",")].join("\n");
    let uri = uri(finding.file.as_deref().unwrap_or(log));
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity.word(),
        "message": {
            "text": format!("{}: {}. Shown by: {}", finding.subject, finding.what, finding.command),
        },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": uri } },
            "logicalLocations": [{ "fullyQualifiedName": finding.subject }],
        }],
        "partialFingerprints": { "annals/v1": Digest::of(same.as_bytes()).to_string() },
        "properties": {
            "positions": finding.positions,
            "values": finding.values,
            "command": finding.command,
        },
    })
}

/// A path as a relative URI: what RFC 3986 does not allow in one is percent-encoded.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    path.bytes().map(encode).collect()
}
