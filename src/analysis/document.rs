//! Text, tables and pictures as values, and how they become one HTML file or Markdown.
//!
//! The HTML needs no network: style and pictures are inside. Every text is escaped, whatever a
//! user called a run.

use std::fmt::Write as _;

use super::plot::{Picture, xml};

/// A part of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Begins a section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// Something the reader should not miss.
    Caution(String),
    /// Points.
    List(Vec<String>),
    /// A heading and rows of as many cells.
    Table {
        /// Over each column.
        heading: Vec<String>,
        /// Row by row.
        rows: Vec<Vec<String>>,
    },
    /// Pictures beside each other, as many as there is room for.
    Pictures(Vec<Picture>),
    /// Text as it is, such as a log checkpoint.
    Verbatim(String),
}

impl Block {
    /// A table.
    pub fn table(heading: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self::Table { heading: heading.iter().map(|&cell| cell.to_owned()).collect(), rows }
    }
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it is.
    pub title: String,
    /// Its parts, in order.
    pub blocks: Vec<Block>,
}

const STYLE: &str = include_str!("report.css");

impl Document {
    /// One HTML file by itself.
    pub fn html(&self) -> String {
        let title = xml(&self.title);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
             name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}\
             </title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        for block in &self.blocks {
            let _ = match block {
                Block::Heading(text) => writeln!(html, "<h2>{}</h2>", xml(text)),
                Block::Text(text) => writeln!(html, "<p>{}</p>", inline(text)),
                Block::Caution(text) => {
                    writeln!(html, "<p class=\"caution\">{}</p>", inline(text))
                }
                Block::List(points) => {
                    let points: String = points
                        .iter()
                        .map(|point| format!("<li>{}</li>\n", inline(point)))
                        .collect();
                    writeln!(html, "<ul>\n{points}</ul>")
                }
                Block::Table { heading, rows } => writeln!(html, "{}", table(heading, rows)),
                Block::Pictures(pictures) => {
                    html.push_str("<div class=\"pictures\">\n");
                    for picture in pictures {
                        let _ = writeln!(html, "<figure>\n{}\n</figure>", picture.svg_inline());
                    }
                    writeln!(html, "</div>")
                }
                Block::Verbatim(text) => writeln!(html, "<pre>{}</pre>", xml(text)),
            };
        }
        html.push_str("</body>\n</html>\n");
        html
    }

    /// Markdown, as pull requests show it; pictures are drawn in letters.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", line(&self.title));
        for block in &self.blocks {
            out.push('\n');
            let _ = match block {
                Block::Heading(text) => writeln!(out, "## {}", line(text)),
                Block::Text(text) => writeln!(out, "{}", line(text)),
                Block::Caution(text) => writeln!(out, "> **Caution:** {}", line(text)),
                Block::List(points) => {
                    points.iter().try_for_each(|point| writeln!(out, "- {}", line(point)))
                }
                Block::Table { heading, rows } => {
                    out.push_str(&markdown_table(heading, rows));
                    Ok(())
                }
                Block::Pictures(pictures) => {
                    let drawn: Vec<String> =
                        pictures.iter().map(|picture| fenced(&picture.text())).collect();
                    out.write_str(&drawn.join("\n"))
                }
                Block::Verbatim(text) => out.write_str(&fenced(text)),
            };
        }
        out
    }
}

fn table(heading: &[String], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"wide\"><table>\n<tr>");
    for cell in heading {
        let _ = write!(html, "<th>{}</th>", xml(cell));
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            // A number, also one with its interval.
            let first = cell.split(' ').next().unwrap_or_default();
            let class = if first.parse::<f64>().is_ok() { " class=\"n\"" } else { "" };
            let _ = write!(html, "<td{class}>{}</td>", inline(cell));
        }
        html.push_str("</tr>\n");
    }
    html + "</table></div>"
}

/// A table in Markdown.
pub fn markdown_table(heading: &[String], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| line(cell).replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = format!("|{}\n", " --- |".repeat(heading.len()));
    row(heading) + &rule + &rows.iter().map(|cells| row(cells)).collect::<String>()
}

/// Parts of a text, and which of them are commands of annals to be set as code. Other backticks
/// are characters like any other, whatever a user called a run.
fn parts(text: &str) -> Vec<(bool, &str)> {
    const OPEN: &str = "`annals ";
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(OPEN) {
        let Some(end) = rest[at + 1..].find('`') else { break };
        parts.push((false, &rest[..at]));
        parts.push((true, &rest[at + 1..at + 1 + end]));
        rest = &rest[at + end + 2..];
    }
    parts.push((false, rest));
    parts
}

/// A text of a page, its commands as code.
fn inline(text: &str) -> String {
    let part = |(code, text): (bool, &str)| match code {
        true => format!("<code>{}</code>", xml(text)),
        false => xml(text),
    };
    parts(text).into_iter().map(part).collect()
}

/// A text on one line, its commands as code.
fn line(text: &str) -> String {
    let part = |(code, text): (bool, &str)| match code {
        true => format!("`{}`", text.replace(char::is_control, " ")),
        false => plain(text),
    };
    parts(text).into_iter().map(part).collect()
}

/// A text on one line, without what Markdown would obey.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A text as it is, in a fence longer than any in it.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        Document {
            title: "Report <b>".into(),
            blocks: vec![
                Block::Heading("Runs".into()),
                Block::Caution("*not* <i>this</i>".into()),
                Block::table(&["a", "b|c"], vec![vec!["x|y".into(), "0.5".into()]]),
                Block::Verbatim("```\n</pre>\n".into()),
            ],
        }
    }

    #[test]
    fn commands_are_code_and_other_backticks_are_not() {
        let text = "`annals compare <a>` and `b` and `annals x";
        assert_eq!(inline(text), "<code>annals compare &lt;a&gt;</code> and `b` and `annals x");
        assert_eq!(line(text), "`annals compare <a>` and \\`b\\` and \\`annals x");
    }

    #[test]
    fn no_name_becomes_a_tag() {
        let html = document().html();
        assert!(html.contains("<h1>Report &lt;b&gt;</h1>") && html.contains("&lt;/pre&gt;"));
        assert!(html.contains("<td class=\"n\">0.5</td>"));
        assert!(!html.contains("http"), "nothing is fetched");
        let markdown = document().markdown();
        assert!(markdown.contains("| a | b\\|c |\n| --- | --- |\n| x\\|y | 0.5 |"), "{markdown}");
        assert!(markdown.contains("> **Caution:** \\*not\\* \\<i\\>this"), "{markdown}");
        assert!(markdown.contains("````text\n```"), "{markdown}");
    }
}
