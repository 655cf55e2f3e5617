//! Secrets in command lines and differences are masked before they are recorded: the log is for
//! ever.

const WORDS: [&str; 8] =
    ["password", "passwd", "secret", "token", "api_key", "api-key", "apikey", "credential"];

const MASK: &str = "***";

/// Masks the values of flags and settings whose name sounds like a secret.
pub fn mask_words(words: &[String]) -> Vec<String> {
    let mut masked = Vec::with_capacity(words.len());
    let mut value_is_secret = false;
    for word in words {
        let flag = word.starts_with('-');
        if value_is_secret && !flag {
            masked.push(MASK.to_owned());
            value_is_secret = false;
            continue;
        }
        masked.push(mask_line(word));
        value_is_secret = flag && !word.contains('=') && sounds_secret(word);
    }
    masked
}

/// Masks what stands after `=` or `:` behind a name that sounds like a secret.
pub fn mask_text(text: &str) -> String {
    let mut masked: String = text.lines().map(|line| mask_line(line) + "\n").collect();
    if !text.ends_with('\n') {
        masked.pop();
    }
    masked
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

fn mask_line(line: &str) -> String {
    let Some(at) = line.find(['=', ':']) else { return line.to_owned() };
    let (name, value) = line.split_at(at + 1);
    if sounds_secret(name) && !value.trim().is_empty() {
        format!("{name}{MASK}")
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_is_not() {
        let words = ["run", "--api-key", "abc", "--name=hate", "--token=t0", "HF_TOKEN=x", "plain"];
        let masked = mask_words(&words.map(str::to_owned));
        assert_eq!(
            masked,
            ["run", "--api-key", "***", "--name=hate", "--token=***", "HF_TOKEN=***", "plain"]
        );
        assert_eq!(mask_text("+password: x\n+name: y\n"), "+password:***\n+name: y\n");
    }
}
