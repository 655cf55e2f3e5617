//! Values that are secrets by what they look like.

use super::MASK;

/// Shortest text with a secret that has no name.
pub(super) const SHORTEST: usize = 14;

/// How the rest of a token looks.
#[derive(Clone, Copy)]
enum Rest {
    /// Large letters and digits.
    Upper,
    /// Letters and digits.
    Letters,
    /// Letters, digits, `_` and `-`.
    Words,
    /// Those and `.`.
    Dotted,
}

/// Beginnings of tokens, with how the rest looks and its smallest length.
const TOKENS: [(&str, Rest, usize); 31] = [
    ("AKIA", Rest::Upper, 16),
    ("ASIA", Rest::Upper, 16),
    ("ABIA", Rest::Upper, 16),
    ("ACCA", Rest::Upper, 16),
    ("github_pat_", Rest::Words, 22),
    ("ghp_", Rest::Letters, 30),
    ("gho_", Rest::Letters, 30),
    ("ghu_", Rest::Letters, 30),
    ("ghs_", Rest::Letters, 30),
    ("ghr_", Rest::Letters, 30),
    ("glpat-", Rest::Words, 18),
    ("hf_", Rest::Letters, 25),
    ("api_org_", Rest::Letters, 25),
    ("sk-", Rest::Words, 20),
    ("xoxb-", Rest::Words, 10),
    ("xoxp-", Rest::Words, 10),
    ("xoxa-", Rest::Words, 10),
    ("xoxr-", Rest::Words, 10),
    ("xoxs-", Rest::Words, 10),
    ("xoxe.", Rest::Dotted, 10),
    ("xapp-", Rest::Words, 10),
    ("AIza", Rest::Words, 30),
    ("ya29.", Rest::Dotted, 20),
    ("npm_", Rest::Letters, 30),
    ("pypi-", Rest::Words, 40),
    ("dckr_pat_", Rest::Words, 20),
    ("SG.", Rest::Dotted, 40),
    ("sk_live_", Rest::Letters, 16),
    ("rk_live_", Rest::Letters, 16),
    ("shpat_", Rest::Letters, 30),
    ("eyJ", Rest::Dotted, 30),
];

/// Length of a token of a known service at the beginning of `text`.
pub(super) fn token(text: &str) -> Option<usize> {
    let (begin, rest, least) = TOKENS.iter().find(|(begin, ..)| text.starts_with(begin))?;
    let fits = |c: char| match rest {
        Rest::Upper => c.is_ascii_uppercase() || c.is_ascii_digit(),
        Rest::Letters => c.is_ascii_alphanumeric(),
        Rest::Words => c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
        Rest::Dotted => c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'),
    };
    let after = &text[begin.len()..];
    let length = after.find(|c| !fits(c)).unwrap_or(after.len());
    let body = &after[..length];
    let has_digit = body.bytes().any(|b| b.is_ascii_digit());
    // `sk-learn-...` and `hf_hub_download` are words, and no sentence has two dots in a word.
    let whole = match *begin {
        "eyJ" => body.matches('.').count() == 2,
        "AKIA" | "ASIA" | "ABIA" | "ACCA" => length == *least,
        _ => has_digit,
    };
    (length >= *least && whole).then_some(begin.len() + length)
}

/// Length of the first line of a private key at the beginning of `text`.
pub(super) fn private_key_header(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("-----BEGIN ")?;
    let end = rest.find("-----")?;
    let private = rest[..end].contains("PRIVATE KEY");
    private.then_some("-----BEGIN ".len() + end + "-----".len())
}

/// Masks the password of an address whose `://` is at the beginning of `text`; how many bytes were
/// taken.
pub(super) fn address(text: &str, masked: &mut String) -> Option<usize> {
    const SCHEME: &str = "://";
    let rest = text.strip_prefix(SCHEME)?;
    let hook = ["hooks.slack.com/services/", "discord.com/api/webhooks/"];
    if let Some(hook) = hook.into_iter().find(|hook| rest.starts_with(hook)) {
        let end = rest.find(ends_address).unwrap_or(rest.len());
        masked.push_str(SCHEME);
        masked.push_str(hook);
        masked.push_str(MASK);
        return Some(SCHEME.len() + end);
    }
    let end = rest.find(|c| ends_address(c) || matches!(c, '/' | '?' | '#')).unwrap_or(rest.len());
    let user = &rest[..rest[..end].rfind('@')?];
    masked.push_str(SCHEME);
    match user.split_once(':') {
        Some((name, "")) => masked.push_str(&format!("{name}:")),
        Some((name, _)) => masked.push_str(&format!("{name}:{MASK}")),
        // A token in the place of the name.
        None if user.len() >= 20 => masked.push_str(MASK),
        None => masked.push_str(user),
    }
    Some(SCHEME.len() + user.len())
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')' | ']' | '}' | ',')
}
