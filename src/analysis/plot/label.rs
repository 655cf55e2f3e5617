//! Room for words: how wide they are, how they are cut or wrapped, and where they can be put
//! without covering each other or leaving the picture.

use unicode_width::UnicodeWidthChar as _;

/// How wide a text is at most in the fonts that we name, in the units of the picture.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(character).sum::<f64>() * size
}

/// Width of a character in parts of the font size.
fn character(c: char) -> f64 {
    match c {
        'W' | 'M' | 'm' | '@' | '%' | '…' | '—' => 1.0,
        'w' | 'A'..='Z' | '&' | '+' | '=' | '<' | '>' | '~' => 0.8,
        'i' | 'l' | 'j' | 't' | 'f' | 'r' | ' ' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.42,
        c if c.is_ascii() => 0.62,
        c => c.width().unwrap_or(1).max(1) as f64,
    }
}

/// The text, cut with an ellipsis where it is wider than `room`.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if width(&cut, size) + size * character('…') > room {
            cut.pop();
            break;
        }
    }
    cut.trim_end().to_owned() + "…"
}

/// The text in lines of at most `room`, broken at blanks; no more than `most` lines.
pub(super) fn wrap(text: &str, size: f64, room: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer {
            Some(longer) if width(&longer, size) <= room || lines.len() == most => {
                lines.pop();
                lines.push(longer);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| fit(line, size, room)).collect()
}

/// A rectangle that a word covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    /// The area of a text whose baseline is at `at`; `anchor` as in SVG.
    pub(super) fn of(text: &str, at: (f64, f64), anchor: &str, size: f64) -> Self {
        let wide = width(text, size);
        let left = match anchor {
            "start" => at.0,
            "end" => at.0 - wide,
            _ => at.0 - wide / 2.0,
        };
        Self { left, top: at.1 - size, right: left + wide, bottom: at.1 + size * 0.3 }
    }

    fn meets(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn is_inside(&self, other: &Self) -> bool {
        self.left >= other.left
            && self.right <= other.right
            && self.top >= other.top
            && self.bottom <= other.bottom
    }
}

/// The words of a picture that were put somewhere.
pub(super) struct Labels {
    inside: Area,
    taken: Vec<Area>,
}

impl Labels {
    /// Nothing yet; words are kept inside an area.
    pub(super) fn new(inside: Area) -> Self {
        Self { inside, taken: Vec::new() }
    }

    /// Keeps words out of an area.
    pub(super) fn take(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// Takes the first of several places that is free: a point of the text and its anchor. None
    /// where all would cover another word or leave the area.
    pub(super) fn place(
        &mut self,
        text: &str,
        size: f64,
        places: impl IntoIterator<Item = ((f64, f64), &'static str)>,
    ) -> Option<((f64, f64), &'static str)> {
        places.into_iter().find(|(at, anchor)| {
            let area = Area::of(text, *at, anchor, size);
            let free =
                area.is_inside(&self.inside) && !self.taken.iter().any(|taken| taken.meets(&area));
            if free {
                self.taken.push(area);
            }
            free
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_wrapped_to_their_room() {
        assert_eq!(fit("abc", 10.0, 19.0), "abc");
        assert_eq!(fit("abcdef", 10.0, 24.0), "ab…");
        assert_eq!(wrap("ab cd ef", 10.0, 30.0, 3), ["ab cd", "ef"]);
        assert_eq!(wrap("ab cd ef gh", 10.0, 34.0, 1), ["ab c…"]);
        assert!(wrap("", 10.0, 30.0, 2).concat().is_empty());
    }

    #[test]
    fn words_are_never_put_over_each_other() {
        let inside = Area { left: 0.0, top: 0.0, right: 100.0, bottom: 40.0 };
        let mut labels = Labels::new(inside);
        let places = [((50.0, 20.0), "middle"), ((50.0, 35.0), "middle"), ((95.0, 20.0), "start")];
        assert_eq!(labels.place("word", 10.0, places), Some(places[0]));
        assert_eq!(labels.place("word", 10.0, places), Some(places[1]));
        assert_eq!(labels.place("word", 10.0, places), None);
    }
}
