//! Conditions on runs: `final_accuracy > 0.85 and config = "baseline_small"`.
//!
//! ```text
//! any    = all { "or" all }
//! all    = one { "and" one }
//! one    = "not" one | "(" any ")" | COLUMN OPERATOR VALUE
//! OPERATOR: = != < <= > >= ~ (contains)      VALUE: number, word, "text" or 'text'
//! ```

use super::column::{Cell, cell};
use crate::projection::runs::RunDetails;

/// How deep conditions may nest.
const DEPTH_MAX: u32 = 64;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// At least one holds.
    Any(Vec<Filter>),
    /// All hold.
    All(Vec<Filter>),
    /// The other does not hold.
    Not(Box<Filter>),
    /// A column compared with a value; what is missing meets nothing but `!=`.
    Compare {
        /// The column.
        column: String,
        /// How.
        operator: Operator,
        /// With what.
        value: String,
    },
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `~`
    Contains,
}

/// A condition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {what}")]
pub struct FilterError {
    /// From 1.
    pub at: usize,
    /// What was expected, and what stands there.
    pub what: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Operator(Operator),
    Open,
    Close,
}

impl Filter {
    /// Reads a condition.
    ///
    /// # Errors
    /// Says at which character what was expected.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.chars().count() + 1 };
        let filter = parser.any(0)?;
        match parser.tokens.get(parser.next) {
            None => Ok(filter),
            Some((at, _)) => Err(expected(*at, "`and`, `or` or the end")),
        }
    }

    /// The columns it names.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().flat_map(Self::columns).collect(),
            Self::Not(part) => part.columns(),
            Self::Compare { column, .. } => vec![column],
        }
    }

    /// Whether it holds for a run.
    pub fn holds(&self, run: &RunDetails) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds(run)),
            Self::All(parts) => parts.iter().all(|part| part.holds(run)),
            Self::Not(part) => !part.holds(run),
            Self::Compare { column, operator, value } => {
                compare(&cell(run, column), *operator, value)
            }
        }
    }
}

fn compare(cell: &Cell, operator: Operator, value: &str) -> bool {
    let order = match (cell, value.parse::<f64>()) {
        (Cell::Missing, _) => return operator == Operator::Unequal,
        (Cell::Number(found), Ok(value)) if operator != Operator::Contains => {
            found.partial_cmp(&value)
        }
        (found, _) => {
            let found = found.shown();
            if operator == Operator::Contains {
                return found.to_lowercase().contains(&value.to_lowercase());
            }
            Some(found.as_str().cmp(value))
        }
    };
    let Some(order) = order else { return false };
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::Unequal => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Contains => false,
    }
}

fn expected(at: usize, what: &str) -> FilterError {
    FilterError { at, what: format!("{what} expected") }
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut i) = (Vec::new(), 0);
    while let Some(&c) = chars.get(i) {
        let at = i + 1;
        let (token, length) = match c {
            c if c.is_whitespace() => {
                i += 1;
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '\'' => {
                let inside: String = chars[i + 1..].iter().take_while(|x| **x != c).collect();
                let length = inside.chars().count() + 2;
                if i + length > chars.len() {
                    return Err(FilterError { at, what: format!("{c} is never closed") });
                }
                (Token::Text(inside), length)
            }
            '=' | '!' | '<' | '>' | '~' => operator(c, chars.get(i + 1).copied(), at)?,
            _ => {
                let ends = |c: &char| c.is_whitespace() || "()=!<>~\"'".contains(*c);
                let word: String = chars[i..].iter().take_while(|c| !ends(c)).collect();
                let length = word.chars().count();
                (Token::Word(word), length)
            }
        };
        tokens.push((at, token));
        i += length;
    }
    Ok(tokens)
}

fn operator(c: char, next: Option<char>, at: usize) -> Result<(Token, usize), FilterError> {
    let (operator, length) = match (c, next) {
        ('=', Some('=')) => (Operator::Equal, 2),
        ('=', _) => (Operator::Equal, 1),
        ('!', Some('=')) => (Operator::Unequal, 2),
        ('<', Some('=')) => (Operator::LessOrEqual, 2),
        ('<', _) => (Operator::Less, 1),
        ('>', Some('=')) => (Operator::GreaterOrEqual, 2),
        ('>', _) => (Operator::Greater, 1),
        ('~', _) => (Operator::Contains, 1),
        _ => return Err(expected(at, "`!=`")),
    };
    Ok((Token::Operator(operator), length))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
}

impl Parser {
    fn any(&mut self, depth: u32) -> Result<Filter, FilterError> {
        let mut parts = vec![self.all(depth)?];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Any(parts) })
    }

    fn all(&mut self, depth: u32) -> Result<Filter, FilterError> {
        let mut parts = vec![self.one(depth)?];
        while self.word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::All(parts) })
    }

    fn one(&mut self, depth: u32) -> Result<Filter, FilterError> {
        if depth > DEPTH_MAX {
            return Err(FilterError { at: self.at(), what: "nested too deeply".into() });
        }
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        let at = self.at();
        match self.take() {
            Some(Token::Open) => {
                let inside = self.any(depth + 1)?;
                let at = self.at();
                match self.take() {
                    Some(Token::Close) => Ok(inside),
                    _ => Err(expected(at, "`)`")),
                }
            }
            Some(Token::Word(column)) => self.comparison(column),
            _ => Err(expected(at, "a column, `not` or `(`")),
        }
    }

    fn comparison(&mut self, column: String) -> Result<Filter, FilterError> {
        let at = self.at();
        let Some(Token::Operator(operator)) = self.take() else {
            return Err(expected(at, "one of = != < <= > >= ~"));
        };
        let at = self.at();
        match self.take() {
            Some(Token::Word(value) | Token::Text(value)) => {
                Ok(Filter::Compare { column, operator, value })
            }
            _ => Err(expected(at, "a value")),
        }
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(
            self.tokens.get(self.next),
            Some((_, Token::Word(word))) if word.eq_ignore_ascii_case(wanted)
        );
        self.next += usize::from(found);
        found
    }

    fn take(&mut self) -> Option<Token> {
        let (_, token) = self.tokens.get(self.next)?;
        self.next += 1;
        Some(token.clone())
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_bind_as_written() {
        let parsed = Filter::parse("a > 0.5 and not (b = 'x y' or c ~ z)").unwrap();
        let leaf = |column: &str, operator, value: &str| Filter::Compare {
            column: column.into(),
            operator,
            value: value.into(),
        };
        let either = Filter::Any(vec![
            leaf("b", Operator::Equal, "x y"),
            leaf("c", Operator::Contains, "z"),
        ]);
        let whole = vec![leaf("a", Operator::Greater, "0.5"), Filter::Not(Box::new(either))];
        assert_eq!(parsed, Filter::All(whole));
        assert_eq!(parsed.columns(), ["a", "b", "c"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let said = |text: &str| Filter::parse(text).unwrap_err().to_string();
        assert_eq!(said(""), "at character 1: a column, `not` or `(` expected");
        assert_eq!(said("a >"), "at character 4: a value expected");
        assert_eq!(said("a 1"), "at character 3: one of = != < <= > >= ~ expected");
        assert_eq!(said("a = 'x"), "at character 5: ' is never closed");
        assert_eq!(said("(a = 1"), "at character 7: `)` expected");
        assert_eq!(said("a = 1 b"), "at character 7: `and`, `or` or the end expected");
        assert_eq!(said("a ! 1"), "at character 3: `!=` expected");
        assert!(said(&"(".repeat(1_000_000)).contains("nested too deeply"));
    }

    #[test]
    fn numbers_compare_as_numbers_and_what_is_missing_meets_nothing() {
        let holds = |found: Cell, operator, value| compare(&found, operator, value);
        assert!(holds(Cell::Number(9.0), Operator::Less, "10"));
        assert!(holds(Cell::Text("abc".into()), Operator::Contains, "B"));
        assert!(!holds(Cell::Missing, Operator::Equal, "0"));
        assert!(holds(Cell::Missing, Operator::Unequal, "0"));
        assert!(!holds(Cell::Number(f64::NAN), Operator::LessOrEqual, "1"));
    }
}
