//! Readers of lexicons, line by line: files of the UMLS are larger than memory should be.
//!
//! A table has the columns of [`HEADER`] between tabs; types are parted by `;`, synonyms by `|`,
//! and lines that begin with `#` are remarks. `MRCONSO.RRF` and `MRSTY.RRF` have the columns of the
//! UMLS Reference Manual (<https://www.ncbi.nlm.nih.gov/books/NBK9685/>).

use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::Path;

use super::LexiconError;

/// The columns of a table.
pub(super) const HEADER: &str = "concept\tpreferred\tsemantic_types\tsynonyms";
const CONCEPT_NAME_FIELDS: usize = 18;
const SEMANTIC_TYPE_FIELDS: usize = 6;

/// A way to say a concept.
pub(super) struct Term<'a> {
    pub(super) concept: &'a str,
    pub(super) text: &'a str,
    /// Whether it is the concept's first name.
    pub(super) preferred: bool,
    /// Parted by `;`; empty where the file does not tell.
    pub(super) types: &'a str,
}

type Visit<'a> = &'a mut dyn FnMut(&Term<'_>);

/// Reads a table.
pub(super) fn table(
    lines: &mut dyn BufRead,
    path: &Path,
    visit: Visit<'_>,
) -> Result<(), LexiconError> {
    let (mut seen, mut has_header) = (BTreeSet::new(), false);
    each_line(lines, path, &mut |line| {
        if line.trim().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if !has_header {
            has_header = true;
            let found = line == HEADER;
            return found.then_some(()).ok_or_else(|| {
                let columns = HEADER.replace('\t', ", ");
                format!("a first line with the columns {columns} between tabs expected")
            });
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [concept, preferred, types, synonyms] = fields[..] else {
            return Err(format!("4 fields between tabs expected, found {}", fields.len()));
        };
        // Read as they are, they would be part of a name, which then stands in no text.
        if let Some(field) = fields.iter().find(|field| field.starts_with('"')) {
            return Err(format!("{field}: fields are not quoted in this table; remove the quotes"));
        }
        if concept.trim().is_empty() || preferred.trim().is_empty() {
            return Err("a concept and its preferred name expected".to_owned());
        }
        if !seen.insert(concept.to_owned()) {
            return Err(format!("concept {concept} stands twice"));
        }
        visit(&Term { concept, text: preferred, preferred: true, types });
        for text in synonyms.split('|').filter(|text| !text.trim().is_empty()) {
            visit(&Term { concept, text, preferred: false, types });
        }
        Ok(())
    })
}

/// Reads `MRCONSO.RRF`: English names that are not suppressed.
pub(super) fn concept_names(
    lines: &mut dyn BufRead,
    path: &Path,
    visit: Visit<'_>,
) -> Result<(), LexiconError> {
    each_line(lines, path, &mut |line| {
        let fields = fields(line, CONCEPT_NAME_FIELDS)?;
        let [concept, language, term_status, _, string_type, _, is_preferred, ..] = fields[..]
        else {
            return Ok(());
        };
        let (text, suppressed) = (fields[14], fields[16]);
        if language == "ENG" && suppressed == "N" {
            let preferred = term_status == "P" && string_type == "PF" && is_preferred == "Y";
            visit(&Term { concept, text, preferred, types: "" });
        }
        Ok(())
    })
}

/// Reads `MRSTY.RRF`; `visit` gets concept, number and name of a semantic type.
pub(super) fn semantic_types(
    lines: &mut dyn BufRead,
    path: &Path,
    visit: &mut dyn FnMut(&str, &str, &str),
) -> Result<(), LexiconError> {
    each_line(lines, path, &mut |line| {
        let fields = fields(line, SEMANTIC_TYPE_FIELDS)?;
        visit(fields[0], fields[1], fields[3]);
        Ok(())
    })
}

/// The fields of a line, which ends with a bar too.
fn fields(line: &str, expected: usize) -> Result<Vec<&str>, String> {
    let fields: Vec<&str> = line.strip_suffix('|').unwrap_or(line).split('|').collect();
    if fields.len() != expected {
        return Err(format!("{expected} fields between bars expected, found {}", fields.len()));
    }
    let concept = fields[0].strip_prefix('C').unwrap_or_default();
    if concept.len() != 7 || !concept.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("\"{}\" is not a concept number such as C0011570", fields[0]));
    }
    Ok(fields)
}

fn each_line(
    lines: &mut dyn BufRead,
    path: &Path,
    take: &mut dyn FnMut(&str) -> Result<(), String>,
) -> Result<(), LexiconError> {
    let (mut bytes, mut number) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let read = lines.read_until(b'\n', &mut bytes);
        let read = read.map_err(|source| LexiconError::Io { path: path.to_owned(), source })?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        if number == 1 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
            let problem = "UTF-16 found, UTF-8 expected".to_owned();
            return Err(LexiconError::Line { path: path.to_owned(), line: number, problem });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let taken = std::str::from_utf8(bytes)
            .map_err(|_| "not UTF-8".to_owned())
            .and_then(|line| take(line.trim_end_matches(['\n', '\r'])));
        taken.map_err(|problem| LexiconError::Line {
            path: path.to_owned(),
            line: number,
            problem,
        })?;
    }
}
