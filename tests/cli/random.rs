//! Long random lives in both layouts: whatever people do in whatever order, log, views, registry
//! files and folders agree, and everything comes back from the log alone.

use crate::support::{Answer, Workspace};
use crate::walk::agree;
use crate::{fold, tables};

/// Commands of one life.
const COMMANDS: usize = 260;
/// After so many commands everything is compared.
const COMPARED_EVERY: usize = 65;
/// Exit codes of a command that was carried out, or refused for a reason that people can
/// understand: not found, a rule, a conflict.
const UNDERSTOOD: [i32; 4] = [0, 4, 5, 6];

/// Numbers that follow from a seed (Marsaglia, "Xorshift RNGs", 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// One workspace and those who use it.
struct Life {
    ward: Workspace,
    dice: Dice,
    /// Seconds of the clock that everybody sees: the same life has the same names.
    now: usize,
    asked: u64,
    runs: Vec<String>,
    carried_out: Vec<String>,
}

impl Life {
    fn new(seed: u64, layout: &str) -> Self {
        let ward = Workspace::bare();
        ward.annals(&["init", "--project", "life", "--layout", layout]).ok();
        std::fs::write(ward.path("model.bin"), format!("weights {seed}")).unwrap();
        let confusion = r#"{"labels": ["calm", "risk"], "matrix": [[90, 10], [20, 80]]}"#;
        std::fs::write(ward.path("confusion.json"), confusion).unwrap();
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Self { ward, dice, now: 0, asked: seed << 32, runs: Vec::new(), carried_out: Vec::new() }
    }

    /// Asks a little later, or at the same moment.
    fn ask(&mut self, words: &[&str]) -> Answer {
        self.now += self.dice.below(3);
        self.asked += 1;
        let [hour, minute, second] = [self.now / 3_600, self.now / 60 % 60, self.now % 60];
        let time = format!("2027-03-01T1{hour}:{minute:02}:{second:02}Z");
        self.ward.annals_at(&time, self.asked, words)
    }

    #[track_caller]
    fn say(&mut self, words: &[&str]) {
        let answer = self.ask(words);
        let told = format!("{words:?} after {:?}: {}", self.carried_out, answer.err);
        assert!(UNDERSTOOD.contains(&answer.code), "exit code {} of {told}", answer.code);
        if answer.code == 0 {
            self.carried_out.push(words.join(" "));
        }
    }

    /// A run from its start to one of its ends; some never end.
    fn begin(&mut self) {
        let name = self.dice.of(&["notes", "baseline_micro", "debug_try", "hate_v1", "hate_v2"]);
        let seed = self.dice.below(4).to_string();
        // Real, generated, or not stated; the same of the leaked rows.
        let synthetic: &[&str] = match self.dice.below(5) {
            0 => &["--synthetic", "--leaked-rows", "0"],
            1 => &[],
            _ => &["--synthetic", "false", "--leaked-rows", "0"],
        };
        let start = ["run", "start", "--name", name, "--seed", &seed, "--labels", "calm,risk"];
        let rows = ["--rows", "train=800", "--rows", "test=200"];
        let begun = self.ask(&[&start, &rows[..], synthetic].concat()).ok();
        let run = begun.out.trim().to_owned();
        self.carried_out.push(format!("run start {run}"));
        let loss = format!("train/loss=0.{}", self.dice.below(9) + 1);
        self.say(&["run", "log", &run, &loss]);
        match self.dice.below(8) {
            0 => self.say(&["run", "fail", &run, "--reason", "no memory"]),
            1 => {}
            _ => {
                self.say(&["run", "save", &run, "model.bin"]);
                let f1 = format!("test/f1_macro=0.{}", 40 + self.dice.below(59));
                let accuracy = format!("test/accuracy=0.{}", 50 + self.dice.below(49));
                let confusion = ["--confusion", "confusion.json"];
                self.say(&[&["run", "finish", &run, &f1, &accuracy], &confusion[..]].concat());
            }
        }
        self.runs.push(run);
    }

    fn act(&mut self) {
        if self.runs.len() < 4 || self.dice.below(7) == 0 {
            return self.begin();
        }
        let run = self.runs[self.dice.below(self.runs.len())].clone();
        let run = run.as_str();
        let model = self.dice.of(&["alpha", "beta", "gamma"]);
        let number = (self.dice.below(4) + 1).to_string();
        let chosen = self.dice.below(20);
        if chosen == 17 {
            return self.consolidate();
        }
        if chosen == 13 && self.dice.below(3) > 0 {
            return self.set_alias(model);
        }
        let (dice, odd) = (&mut self.dice, self.now % 2 == 1);
        let words = match chosen {
            0 => {
                let words = ["+baseline", "+debug", "+night", "-baseline", "-debug", "-night"];
                vec!["tag", run, dice.of(&words)]
            }
            1 => vec!["note", run, "looked at it"],
            2 => vec!["pin", run],
            3 => vec!["unpin", run],
            4 => vec!["rename", run, dice.of(&["other", "notes", "baseline_micro", "debug_again"])],
            5 => vec!["classify", run, "--as", dice.of(&["debug", "baseline"])],
            6 | 7 => {
                let place = dice.of(&["archive_debug", "archive_baseline", "archived"]);
                let how = ["", "--compress=zst", "--compress=gz", "--drop-weights"];
                let how = dice.of(&how);
                let words = ["archive", run, "--type", place, how];
                words.into_iter().filter(|word| !word.is_empty()).collect()
            }
            8 => vec!["restore", run],
            9 => vec!["promote", run, "--as", model],
            10 => vec!["promote", run, "--as", model, "--replace"],
            11 => vec!["demote", model, "--reason", "too old"],
            12 => vec!["rollback", model, "--reason", "the new one is worse"],
            13 => vec!["alias", "remove", "champion"],
            14 => vec!["version", "bump", dice.of(&["major", "minor", "patch"]), model],
            15 => {
                let keys = [
                    "production_promotion.min_test_rows",
                    "debug_experiments.min_experiments_before_archive",
                ];
                vec!["policy", "set", dice.of(&keys), &number]
            }
            16 => vec!["cleanup", "--keep", &number],
            18 => vec!["undo"],
            _ => match dice.below(3) {
                0 => vec!["layout", "migrate", dice.of(&LAYOUTS), "--apply"],
                1 if odd => vec!["layout", "pack-logs", "--before", "1 min", "--apply"],
                1 => vec!["gc", "--apply"],
                _ => vec!["snapshot", "create", "-m", "as it is"],
            },
        };
        self.say(&words);
    }

    /// Of a model that is in production, where there is one: few names are at any time.
    fn set_alias(&mut self, otherwise: &str) {
        let models = self.ask(&["models", "--format", "json"]).ok().json();
        let model = models[0]["model"]["name"].as_str().unwrap_or(otherwise).to_owned();
        let alias = self.dice.of(&["champion", "challenger"]);
        self.say(&["alias", "set", alias, &model]);
    }

    fn consolidate(&mut self) {
        let plan = self.ask(&["consolidate", "plan", "--format", "json"]).ok().json();
        let digest = plan["plan_digest"].as_str().unwrap().to_owned();
        self.say(&["consolidate", "apply", &digest]);
    }

    /// The bytes of a generated file, or where it leads.
    fn content(&self, file: &str) -> Vec<u8> {
        match std::fs::read_link(self.ward.path(file)) {
            Ok(to) => to.into_os_string().into_encoded_bytes(),
            Err(_) => self.ward.read(file),
        }
    }

    /// Everything agrees, and comes back byte for byte when only the log and the folders are left.
    fn compare(&self) {
        // Dice of its own: what is looked at does not change the life.
        let mut dice = Dice(self.dice.0);
        fold::agrees(&self.ward, &mut |n| dice.below(n));
        tables::agree(&self.ward);
        let found = self.ward.annals(&["doctor"]);
        assert_eq!(found.code, 0, "{} after {:#?}", found.out, self.carried_out);
        agree(&self.ward);
        let memory: serde_json::Value =
            serde_json::from_slice(&self.ward.read(".annals/exports.json")).unwrap();
        let files: Vec<&String> = memory["files"].as_object().unwrap().keys().collect();
        let content = || -> Vec<Vec<u8>> { files.iter().map(|file| self.content(file)).collect() };
        let before = content();
        assert!(files.len() >= 5, "{files:?}");
        for file in &files {
            std::fs::remove_file(self.ward.path(file)).unwrap();
        }
        std::fs::remove_file(self.ward.path(".annals/views.redb")).unwrap();
        self.ward.annals(&["replay"]).ok();
        for ((file, before), after) in files.iter().zip(before).zip(content()) {
            assert!(before == after, "{file} is another one after {:?}", self.carried_out);
        }
        agree(&self.ward);
    }
}

const LAYOUTS: [&str; 2] = ["consolidated", "training-output"];

fn live(seed: u64, layout: &str) {
    let mut life = Life::new(seed, layout);
    for command in 1..=COMMANDS {
        life.act();
        if command % COMPARED_EVERY == 0 {
            life.compare();
        }
    }
    // A life in which everything is refused compares nothing.
    let verbs = [
        "alias set",
        "archive",
        "classify",
        "cleanup",
        "consolidate",
        "demote",
        "gc",
        "layout",
        "note",
        "pin",
        "policy",
        "promote",
        "rename",
        "restore",
        "rollback",
        "run fail",
        "run finish",
        "snapshot",
        "tag",
        "undo",
        "unpin",
        "version",
    ];
    for verb in verbs {
        assert!(life.carried_out.iter().any(|words| words.starts_with(verb)), "no {verb}");
    }
}

#[test]
fn a_first_life() {
    live(5, "consolidated");
}

#[test]
fn a_second_life() {
    live(11, "training-output");
}

#[test]
fn a_third_life() {
    live(3, "consolidated");
}

#[test]
fn a_fourth_life() {
    live(4, "training-output");
}
