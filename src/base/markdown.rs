//! Text of people and data inside Markdown: it reads as it was written and makes no markup, no
//! table cell and no terminal sequence.

/// Characters that Markdown could take for markup, each kept by a backslash.
const MARKUP: &str = "\\`*[]|";

/// Characters that begin a block where they begin a line.
const STARTS: &str = "#>-+=~";

/// `text` as a paragraph of its own: plain text of one line that begins no heading or list.
pub fn paragraph(text: &str) -> String {
    let line = escape(text.trim_start());
    if line.starts_with(|c| STARTS.contains(c)) { format!("\\{line}") } else { line }
}

/// `text` as plain text inside a line of Markdown, also inside a table.
pub fn escape(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            '<' => line.push_str("&lt;"),
            '&' => line.push_str("&amp;"),
            c if c.is_control() || is_invisible(c) => {
                line.push_str(&c.escape_unicode().to_string().replace('\\', "\\\\"));
            }
            c if MARKUP.contains(c) => line.extend(['\\', c]),
            c => line.push(c),
        }
    }
    line
}

/// Marks that turn the direction of text or separate lines and are not seen themselves.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::{escape, paragraph};

    #[test]
    fn no_text_becomes_markup_a_cell_or_a_sequence() {
        for (text, expected) in [
            ("plain_name-1.0 (é)", "plain_name-1.0 (é)"),
            ("a|b", "a\\|b"),
            ("a\\|b", "a\\\\\\|b"),
            ("<script>&", "&lt;script>&amp;"),
            (">= 0.5 - #1", ">= 0.5 - #1"),
            ("\u{1b}[31mred", "\\\\u{1b}\\[31mred"),
            ("two\r\nlines", "two  lines"),
            ("\u{202e}turned", "\\\\u{202e}turned"),
            ("[x](javascript:y) `z` **b**", "\\[x\\](javascript:y) \\`z\\` \\*\\*b\\*\\*"),
        ] {
            assert_eq!(escape(text), expected);
        }
        assert_eq!(paragraph("# a heading"), "\\# a heading");
        assert_eq!(paragraph(" > a quote"), "\\> a quote");
        assert_eq!(paragraph("plain"), "plain");
        let all: String = (0..=0x2100).filter_map(char::from_u32).collect();
        let kept = escape(&all);
        assert!(!kept.contains(char::is_control) && !kept.contains('<'));
        let unescaped = kept.replace("\\\\", "").replace("\\|", "");
        assert!(!unescaped.contains('|'));
    }
}
