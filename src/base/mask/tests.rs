use super::*;

const SECRET: &str = "Zx81Qp-hunter2";

/// Forms in which secrets occur; `X` is the secret.
const FORMS: [&str; 67] = [
    "<config><password>X</password></config>",
    "password: X",
    "+password: X",
    "-    password: X",
    "  - password: X",
    "password=X",
    "password = X",
    "PASSWORD=X python train.py",
    "export HF_TOKEN=X",
    "ENV API_KEY=X",
    "db.password=X",
    "dbPassword: X",
    "clientSecret = \"X\"",
    "OPENAI_API_KEY=X",
    "hf-token: X",
    "apiKey: X",
    "api_key=\"X\"",
    "api-key='X'",
    "{\"user\": \"u\", \"password\": \"X\"}",
    "{'user': 'u', 'password': 'X', 'port': 1}",
    "cfg = {\"user\": \"u\", \"password\": \"X\"}",
    "cfg = dict(user=\"u\", password=\"X\")",
    "cfg = \"{\\\"user\\\": \\\"u\\\", \\\"password\\\": \\\"X\\\"}\"",
    "url = \"https://h/?token=X\"",
    "url = \"https://h/?a=1&access_token=X&b=2\"",
    "https://h/blob?sv=1&sig=X",
    "https://h/?key=X",
    "bash -c 'FOO=1 TOKEN=X'",
    "bash -c \"FOO=1 TOKEN=X python a.py\"",
    "env TOKEN=X python a.py",
    "python a.py --token X --epochs 3",
    "python a.py --api-key=X --epochs 3",
    "python a.py --password \"X\"",
    "curl -u name:X https://h",
    "curl --user name:X https://h",
    "Authorization: Bearer X",
    "Authorization: Basic X",
    "curl -H \"Authorization: Bearer X\" https://h",
    "curl -H 'X-Api-Key: X' https://h",
    "headers = {\"Authorization\": \"Bearer X\"}",
    "headers[\"Authorization\"] = f\"Bearer X\"",
    "got Bearer X from the server",
    "postgresql://user:X@db.example:5432/runs",
    "redis://:X@cache",
    "os.environ[\"AWS_SECRET_ACCESS_KEY\"] = \"X\"",
    "os.environ['WANDB_API_KEY']='X'",
    "aws_secret_access_key = X",
    "private_key => X",
    "password := \"X\"",
    "if password == \"X\":",
    "<password>: X",
    "login(token=\"X\", add_to_git_credential=True)",
    "login(token='X')",
    "wandb.login(key_name=\"k\", api_key='X')",
    "machine h login u password X",
    "passphrase: \"X\"",
    "secrets.openai = \"X\"",
    "Cookie: X",
    "smtp_pass=X",
    "PGPASSWORD=X psql",
    "MYSQL_PWD=X mysql",
    "authtoken: X",
    "auth = \"X\"",
    "auth=(\"u\", \"X\")",
    "api_keys = [\"X\", \"X\"]",
    "credentials: {user: u, pass: X}",
    "password=\"X and more X\"",
];

/// Tokens of known services, which need no name.
fn shapes() -> Vec<String> {
    let body = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5";
    vec![
        "AKIAIOSFODNN7EXAMPLE".into(),
        format!("ghp_{body}"),
        format!("github_pat_11{body}"),
        format!("hf_{body}"),
        format!("sk-proj-{body}"),
        format!("sk-{body}"),
        "xoxb-123456789012-abcdefGHIJ".into(),
        format!("AIza{body}"),
        format!("glpat-{body}"),
        format!("npm_{body}"),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N".into(),
    ]
}

/// Lines that have no secret, though something in them looks like one.
const PLAIN_LINES: [&str; 56] = [
    "tokenizer=bert-base-uncased",
    "tokenizer: distilbert",
    "tokenizer_config.json: 3",
    "max_tokens=5",
    "num_tokens: 3000000",
    "tokens_per_second=1234.5",
    "pad_token: \"[PAD]\"",
    "eos_token_id=2",
    "special_tokens: {}",
    "token_type_ids: [0, 1]",
    "token = tokens[i]",
    "token = next_token",
    "token = tokenizer.next()",
    "token: str",
    "token=5",
    "for token in tokens: pass",
    "password_length=8",
    "password: null",
    "password = None",
    "password: Optional[str] = None",
    "api_key = os.environ[\"KEY_OF_API\"]",
    "secret_name=mine",
    "key=value",
    "primary_key = id",
    "sort_key: date",
    "keyboard: qwerty",
    "monkey=1",
    "forward_pass: 3",
    "pass=2",
    "bypass=1",
    "compass=north",
    "PWD=/home/mara",
    "author: mara",
    "authority=low",
    "pin=mara",
    "pat=conv-l",
    "commit 0123456789abcdef0123456789abcdef01234567",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "weights 4f1d6fd2e6d1c2a98c9ad1ed2a32d46f5ec6f6d3a0c8f9a97d06f9f5d5a3c1b2",
    "run hate_20260725_104438",
    "01K9ZQ4T2B3C4D5E6F7G8H9JKM",
    "pip install scikit-learn sk-learn-contrib-something",
    "from huggingface_hub import hf_hub_download",
    "ssh://git@github.com/owner/name",
    "https://example.org:8080/a@b/c",
    "mail mara@example.org: hello",
    "git@github.com:owner/name.git",
    "val/acc@1=0.5 epoch=3",
    "{\"step\": 5, \"loss\": 0.25}",
    "std::env::var(name)",
    "lr: 0.001  # the rate",
    "-----BEGIN PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----",
    "usage: annals [OPTIONS] <VERB>",
    "http://localhost:5000/?page=2&sort=name",
    "--max-tokens 5 --tokenizer bert",
];

#[test]
fn secrets_are_masked_in_every_form() {
    let mut failed = Vec::new();
    for form in FORMS {
        // What a header calls `X-Api-Key` is no secret.
        let text = form.replace("X-Api", "x-Api").replace('X', SECRET);
        let masked = mask_text(&text);
        if masked.contains(SECRET) || masked.contains("hunter") || !masked.contains(MASK) {
            failed.push(format!("{text}  ->  {masked}"));
        }
        // As the line of a difference, of a log, and as a word of a command line.
        for around in ["+", "-  ", "12:00:01 INFO ", "  "] {
            let masked = mask_text(&format!("{around}{text}\n"));
            if masked.contains(SECRET) {
                failed.push(format!("{around}{text}  ->  {masked}"));
            }
        }
        let masked = mask_words(std::slice::from_ref(&text)).concat();
        if masked.contains(SECRET) {
            failed.push(format!("word {text}  ->  {masked}"));
        }
    }
    for shape in shapes() {
        for text in
            [shape.clone(), format!("x {shape} y"), format!("x='{shape}',"), format!("/{shape}/")]
        {
            let masked = mask_text(&text);
            if masked.contains(&shape) {
                failed.push(format!("{text}  ->  {masked}"));
            }
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn what_is_no_secret_stays() {
    let changed: Vec<String> = PLAIN_LINES
        .iter()
        .filter(|line| mask_text(line) != **line || mask_words(&[(**line).to_owned()]) != [**line])
        .map(|line| format!("{line}  ->  {}", mask_text(line)))
        .collect();
    assert!(changed.is_empty(), "\n{}", changed.join("\n"));
    let words = ["run", "start", "--name", "hate", "--seed", "3", "-u", "--user", "mara"];
    let words = words.map(str::to_owned);
    assert_eq!(mask_words(&words), words);
}

#[test]
fn what_is_around_a_secret_stays() {
    for (text, masked) in [
        ("{\"user\": \"u\", \"password\": \"X\"}", "{\"user\": \"u\", \"password\": \"***\"}"),
        ("bash -c 'FOO=1 TOKEN=X'", "bash -c 'FOO=1 TOKEN=***'"),
        ("https://h/?token=X&b=2", "https://h/?token=***&b=2"),
        ("Authorization: Bearer X", "Authorization: Bearer ***"),
        ("  password: \"X\",\r\n", "  password: \"***\",\r\n"),
        ("postgresql://user:X@db/runs", "postgresql://user:***@db/runs"),
        ("a.py --token X --epochs 3", "a.py --token *** --epochs 3"),
    ] {
        assert_eq!(mask_text(&text.replace('X', SECRET)), masked);
    }
    let words = ["run", "--api-key", "abc", "--token", "-X", "--token=t0", "--token", "--fast"];
    let masked = mask_words(&words.map(str::to_owned));
    assert_eq!(
        masked,
        ["run", "--api-key", "***", "--token", "***", "--token=***", "--token", "--fast"]
    );
    assert_eq!(mask_setting("api_key", "\"X\""), "\"***\"");
    assert_eq!(mask_setting("db.password", "5"), "\"***\"");
    assert_eq!(mask_setting("db.url", "\"postgres://u:X@h\""), "\"postgres://u:***@h\"");
    assert_eq!(mask_setting("max_tokens", "5"), "5");
    assert_eq!(mask_setting("use_password", "true"), "true");
}

#[test]
fn secrets_of_several_lines_are_masked_and_the_lines_after_them_stay() {
    let pem =
        "a: 1\n-----BEGIN RSA PRIVATE KEY-----\nMIIX\nX+/=\n-----END RSA PRIVATE KEY-----\nb: 2\n";
    let diff = pem.lines().map(|line| format!("+{line}\n")).collect::<String>();
    for (text, kept) in [
        (pem.to_owned(), "b: 2"),
        (diff, "+b: 2"),
        (format!("key = \"{}\"\nb: 2", pem.replace('\n', "\\n")), "b: 2"),
        ("password: |\n  X\n  X X\nb: 2\n".into(), "b: 2"),
        ("+password: >-\n+  X\n+\n+  X\n+b: 2\n".into(), "+b: 2"),
        ("secrets:\n  openai: X\n  list:\n    - X\nb: 2\n".into(), "b: 2"),
        ("passwords:\n- X\n- X\nb: 2\n".into(), "b: 2"),
        ("secret = \"\"\"\nX\nX\"\"\"\nb = 2\n".into(), "b = 2"),
        ("api_keys = [\n  \"X\",\n  \"X\"\n]\nb = 2\n".into(), "b = 2"),
        (
            "  \"secrets\": {\n    \"a\": \"X\",\n    \"c\": {\"d\": \"X\"}\n  },\n  \"b\": 2\n"
                .into(),
            "\"b\": 2",
        ),
    ] {
        let masked = mask_text(&text.replace('X', SECRET));
        assert!(!masked.contains(SECRET) && !masked.contains("MII"), "{text}\n->\n{masked}");
        assert!(masked.lines().any(|line| line.trim() == kept), "{text}\n->\n{masked}");
        assert_eq!(masked.lines().count(), text.lines().count());
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_masked_without_a_panic_and_twice_as_once(
        text in "(?s)[\\PC\n\"'\\\\=:\\[\\]{}()]{0,80}",
    ) {
        let _ = mask_text(&text);
        let text = format!("{text}\npassword=\"{SECRET}\"");
        let _ = mask_text(&text);
        for name in ["password=", "token: ", "--token ", "secrets: {", "Bearer ", "://u:"] {
            let _ = mask_text(&format!("{name}{text}"));
        }
    }
}
