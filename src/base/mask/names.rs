//! Names whose values are secrets.

/// How sure a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Whatever the value is.
    Certain,
    /// A name that code gives to other things too: `token = tokens[i]`.
    Weak,
    /// Only where the value is quoted: `auth = "X"`.
    Quoted,
}

/// Words that make a name secret wherever they are in it.
const SECRET: [&str; 13] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passphrases",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "jwt",
    "psw",
];
/// Last words of a name that is about a secret and holds none.
const ABOUT: [&str; 30] = [
    "length", "len", "count", "counts", "size", "num", "number", "min", "max", "policy", "file",
    "files", "path", "dir", "name", "names", "type", "url", "field", "label", "column", "strength",
    "required", "expiry", "ttl", "stdin", "store", "manager", "rotation", "version",
];
/// Words before `key` or `keys`.
const KEYS: [&str; 24] = [
    "api",
    "access",
    "secret",
    "private",
    "auth",
    "encryption",
    "signing",
    "ssh",
    "account",
    "storage",
    "master",
    "subscription",
    "deploy",
    "admin",
    "consumer",
    "wandb",
    "openai",
    "anthropic",
    "hf",
    "kaggle",
    "comet",
    "neptune",
    "azure",
    "aws",
];
/// Words before `token` with which it is a part of a text.
const TEXT_TOKENS: [&str; 50] = [
    "pad",
    "eos",
    "bos",
    "cls",
    "sep",
    "unk",
    "mask",
    "start",
    "end",
    "stop",
    "special",
    "image",
    "audio",
    "video",
    "first",
    "last",
    "next",
    "prev",
    "previous",
    "per",
    "max",
    "min",
    "num",
    "n",
    "prompt",
    "completion",
    "new",
    "each",
    "every",
    "added",
    "decoder",
    "oov",
    "word",
    "sub",
    "input",
    "output",
    "target",
    "current",
    "cur",
    "class",
    "dist",
    "query",
    "text",
    "sentence",
    "padding",
    "unknown",
    "separator",
    "eot",
    "single",
    "entity",
];
/// Words written together with another.
const JOINED: [&str; 17] = [
    "apikey",
    "apikeys",
    "accesskey",
    "secretkey",
    "privatekey",
    "sshkey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "apitoken",
    "hftoken",
    "ghtoken",
    "githubtoken",
    "bottoken",
    "oauthtoken",
    "sessiontoken",
    "bearertoken",
];
/// Ends of words written together with another.
const JOINED_ENDS: [&str; 4] = ["password", "passwd", "passphrase", "secret"];
/// Words before `pass` with which it is a walk over data.
const PASSES: [&str; 14] = [
    "forward", "backward", "single", "multi", "one", "two", "first", "second", "last", "train",
    "test", "n", "num", "per",
];
/// Names in the query of an address.
const IN_ADDRESS: [&str; 5] = ["sig", "signature", "key", "x-amz-signature", "x-amz-credential"];

/// Whether a value of this name is a secret.
pub fn is_secret_name(name: &str) -> bool {
    strength(name).is_some_and(|strength| strength != Strength::Quoted)
}

pub(super) fn is_secret_in_address(name: &str) -> bool {
    IN_ADDRESS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// How sure it is that a value of this name is a secret; none where it is not one.
pub(super) fn strength(name: &str) -> Option<Strength> {
    let last = name.rsplit('.').next().map(str::len);
    name.split('.').find_map(|part| {
        let strength = of_words(&words(part))?;
        // Of `secrets.openai` both are names; of `token.length` only the last is.
        let is_last = Some(part.len()) == last && name.ends_with(part);
        (is_last || strength == Strength::Certain).then_some(strength)
    })
}

fn of_words(words: &[String]) -> Option<Strength> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (last, before) = words.split_last()?;
    let previous = before.last().copied().unwrap_or_default();
    if ABOUT.contains(last) {
        return None;
    }
    let joined = |word: &&str| {
        JOINED.contains(word)
            || JOINED_ENDS.iter().any(|end| word.len() > end.len() && word.ends_with(end))
    };
    if words.iter().any(|word| SECRET.contains(word) || joined(word)) {
        return Some(Strength::Certain);
    }
    let certain = match *last {
        "key" | "keys" => KEYS.contains(&previous),
        "token" if before.is_empty() => return Some(Strength::Weak),
        "token" => !TEXT_TOKENS.contains(&previous),
        "tokens" => ["api", "access", "auth", "refresh", "bearer"].contains(&previous),
        "pass" => !before.is_empty() && !PASSES.contains(&previous),
        "pw" | "bearer" => true,
        "pwd" => !before.is_empty(),
        "auth" => return Some(Strength::Quoted),
        _ => false,
    };
    certain.then_some(Strength::Certain)
}

/// The words of a name in any spelling, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = name.chars().collect();
    for (at, c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase)
            });
        if begins || !c.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            word.push(c.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
