//! Lives that are watched: two or three verbs in a row, any of those that change something, damage
//! and repair in between, in both layouts; and after every step all that can be asked is asked.
//!
//! The normal tests take a slice with fixed seeds. `make soak` (`ANNALS_SOAK`, a number of lives)
//! goes through every pair and then through triples of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{Answer, Workspace};
use crate::verbs;

/// Lives of one layout in the normal tests.
const SLICE: usize = 5;

/// Exit codes of a command that was carried out, or refused for a reason that people understand.
const UNDERSTOOD: [i32; 4] = [0, 4, 5, 6];

const LAYOUTS: [&str; 2] = ["consolidated", "training-output"];

/// Numbers that follow from a seed (Marsaglia, "Xorshift RNGs", 2003).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| assert!(dice.below(2) < 2));
        dice
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}

/// A verb with the words of its uses. `RUN` and `OTHER` are runs, `MODEL` is a name that is or was
/// in production, `NEW` one that may not be, `LAYOUT` is the other layout; several commands of one
/// use are parted by `;`.
const STEPS: &[(&str, &[&str])] = &[
    ("actor add", &["actor add ines"]),
    ("actor rotate", &["actor rotate"]),
    ("actor vouch", &["actor vouch otto"]),
    ("alias remove", &["alias remove champion"]),
    ("alias set", &["alias set challenger MODEL", "alias set champion ward@1"]),
    ("approve", &["promote RUN --request --as NEW;approve NEW"]),
    ("archive", &["archive RUN", "archive RUN --compress=zst", "archive RUN --drop-weights"]),
    ("checkpoint anchor", &["checkpoint anchor anchor.note", "checkpoint anchor other.note"]),
    ("classify", &["classify RUN --as debug", "classify RUN --as baseline"]),
    ("cleanup", &["cleanup --keep 0", "classify RUN --as debug;cleanup --keep 0"]),
    ("consolidate apply", &["consolidate apply PLAN"]),
    ("demote", &["demote MODEL --reason retired"]),
    ("ensemble create", &["ensemble create both RUN OTHER"]),
    ("gc", &["gc --apply --min-age 0"]),
    ("init", &["init"]),
    ("layout migrate", &["layout migrate LAYOUT --apply"]),
    ("layout pack-logs", &["layout pack-logs --before 0s --apply"]),
    ("note", &["note RUN seen"]),
    ("pin", &["pin RUN"]),
    ("policy edit", &["policy edit"]),
    (
        "policy set",
        &[
            "policy set production_promotion.min_class_f1 0.1",
            "policy set production_promotion.approvals 2",
            "policy set production_promotion.allow_synthetic false",
            "policy set log_checkpoints.only_signed_events true",
        ],
    ),
    ("promote", &["promote RUN --as NEW", "promote RUN --as ward --replace", "promote RUN"]),
    ("redact", &["note RUN of-Anna;redact --run RUN --field note --reason wish"]),
    ("reject", &["promote RUN --request --as NEW;reject NEW --reason no"]),
    ("rename", &["rename RUN noon"]),
    ("repair", &["repair --all", "repair MODEL"]),
    ("replay", &["replay"]),
    ("reproduce", &["reproduce RUN"]),
    ("restore", &["restore RUN"]),
    ("rollback", &["rollback MODEL --reason erred", "rollback ward --to 1 --reason erred"]),
    ("run exec", &["run exec --name once -- true"]),
    ("run fail", &["run start --name script;run fail SCRIPT --reason no"]),
    ("run finish", &["run start --name script;run finish SCRIPT test/accuracy=0.9"]),
    ("run log", &["run start --name script;run log SCRIPT train/loss=0.5 --step 3"]),
    ("run save", &["run start --name script;run save SCRIPT model.bin"]),
    ("run share", &["run share RUN bob", "run share RUN bob;run share RUN bob --stop"]),
    ("run start", &["run start --name again"]),
    ("snapshot create", &["snapshot create --message now", "snapshot create --run RUN"]),
    ("snapshot restore", &["snapshot create;snapshot restore latest --to ../out"]),
    ("tag", &["tag RUN +slow", "tag RUN +debug"]),
    ("train", &["train --config toy --name dusk --sample-size 200"]),
    ("undo", &["undo"]),
    ("unpin", &["pin RUN;unpin RUN"]),
    ("version bump", &["version bump minor MODEL"]),
    // No verbs: what happens to production folders.
    ("damage", &["alter", "remove", "add", "remove all"]),
];

fn lived_in(layout: usize) -> Workspace {
    static LIVED_IN: [OnceLock<Workspace>; 2] = [OnceLock::new(), OnceLock::new()];
    let lived_in = LIVED_IN[layout].get_or_init(|| {
        let mut ward = Workspace::bare();
        ward.variables.push(("EDITOR".into(), "sed -i 's/: 0.55/: 0.6/'".into()));
        ward.annals(&["init", "--project", "life", "--layout", LAYOUTS[layout]]).ok();
        ward.allow_synthetic();
        for name in ["dawn", "day", "night"] {
            ward.train(name, &[]).ok();
        }
        std::fs::write(ward.path("model.bin"), "weights").unwrap();
        ward.annals(&["promote", "dawn", "--as", "ward"]).ok();
        ward.annals(&["promote", "night", "--as", "ward", "--replace"]).ok();
        ward.annals(&["promote", "day", "--as", "home"]).ok();
        ward.annals(&["alias", "set", "champion", "ward"]).ok();
        ward.annals_as("otto", &["actor", "add", "otto"]).ok();
        ward
    });
    lived_in.copy()
}

/// What is asked before and after a step, as of the same moment.
fn seen(ward: &Workspace, as_of: Option<&str>) -> Vec<Value> {
    let asked: [&[&str]; 3] = [
        &["list", "-n", "1000", "--format", "json"],
        &["query", "SELECT * FROM models ORDER BY name, number", "--format", "json"],
        &["query", "SELECT * FROM aliases ORDER BY alias", "--format", "json"],
    ];
    let as_of = as_of.map(|at| ["--as-of", at]);
    let answers = asked.iter().map(|words| {
        let words = [*words, as_of.as_ref().map_or(&[][..], |at| &at[..])].concat();
        ward.annals(&words)
    });
    answers.filter(|answer| answer.code == 0).map(|answer| answer.json()).collect()
}

struct Life {
    ward: Workspace,
    dice: Dice,
    layout: usize,
    done: Vec<String>,
    /// Folders in production that are damaged now, by name.
    damaged: BTreeSet<String>,
}

impl Life {
    fn new(seed: u64, layout: usize) -> Self {
        let (ward, dice) = (lived_in(layout), Dice::new(seed));
        Self { ward, dice, layout, done: Vec::new(), damaged: BTreeSet::new() }
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.dice.below(words.len())]
    }

    /// The models in production: name, folder and files.
    fn production(&self) -> Vec<(String, String, Vec<String>)> {
        let sql = "SELECT name, path FROM models WHERE in_production ORDER BY name";
        let rows = self.ward.annals(&["query", sql, "--format", "json"]).ok().json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = rows.as_array().unwrap().iter();
        let model = |row: &Value| {
            let shown =
                self.ward.annals(&["show", row["name"].as_str().unwrap(), "--format", "json"]);
            let files = shown.ok().json()["model"]["files"].clone();
            let files = files.as_array().unwrap().iter().map(|file| text(&file[0])).collect();
            (text(&row["name"]), text(&row["path"]), files)
        };
        rows.map(model).collect()
    }

    fn damage(&mut self, how: &str) {
        let production = self.production();
        if production.is_empty() {
            return;
        }
        let (name, path, files) = &production[self.dice.below(production.len())];
        let folder = self.ward.path(path);
        let file = folder.join(&files[self.dice.below(files.len())]);
        match how {
            "alter" => drop(std::fs::write(&file, "altered")),
            "remove" => drop(std::fs::remove_file(&file)),
            "add" => drop(std::fs::write(folder.join("mine.txt"), "mine")),
            _ => drop(std::fs::remove_dir_all(&folder)),
        }
        self.damaged.insert(name.clone());
    }

    /// One use of a verb.
    fn step(&mut self, verb: &str) {
        let uses = STEPS.iter().find(|(name, _)| *name == verb).unwrap().1;
        let text = self.of(uses);
        if verb == "damage" {
            self.damage(text);
            return self.done.push(format!("damage: {text}"));
        }
        let runs = ["dawn", "day", "night"];
        let first = self.dice.below(runs.len());
        let run = runs[first];
        // Another one: an ensemble has no member twice.
        let other = runs[(first + 1 + self.dice.below(runs.len() - 1)) % runs.len()];
        let (model, new) = (self.of(&["ward", "home"]), self.of(&["dusk", "eve"]));
        let layout = LAYOUTS[1 - self.layout];
        let mut script = String::new();
        for command in text.split(';') {
            let plan = if command.contains("PLAN") { self.plan() } else { String::new() };
            let words: Vec<&str> = command
                .split(' ')
                .map(|word| match word {
                    "RUN" => run,
                    "OTHER" => other,
                    "MODEL" => model,
                    "NEW" => new,
                    "LAYOUT" => layout,
                    "PLAN" => plan.as_str(),
                    "SCRIPT" => script.as_str(),
                    "0s" => "0 s",
                    word => word,
                })
                .collect();
            let answer = self.ward.annals(&words);
            self.done.push(format!("{} -> {}", words.join(" "), answer.code));
            self.understood(&words, &answer);
            if command.starts_with("layout migrate") && answer.code == 0 {
                self.layout = 1 - self.layout;
            }
            if command.starts_with("run start") {
                answer.out.trim().clone_into(&mut script);
            }
        }
    }

    fn plan(&self) -> String {
        let plan = self.ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json();
        plan["plan_digest"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn understood(&self, words: &[&str], answer: &Answer) {
        // What reads a damaged model's files may find them so.
        let integrity = answer.code == 10 && !self.damaged.is_empty();
        let data = answer.code == 3 && words[0] == "ensemble";
        assert!(
            UNDERSTOOD.contains(&answer.code) || integrity || data,
            "{words:?} ended with {}: {}\nafter {:#?}",
            answer.code,
            answer.err,
            self.done
        );
    }

    /// Everything that can be asked agrees.
    #[track_caller]
    fn look(&mut self) {
        let (ward, done) = (&self.ward, &self.done);
        let ask = |words: &[&str], codes: &[i32]| {
            let answer = ward.annals(words);
            let told = format!("{}{}", answer.out, answer.err);
            assert!(codes.contains(&answer.code), "{words:?}: {told}\nafter {done:#?}");
            answer
        };
        ask(&["verify"], &[0]);
        ask(&["replay", "--check"], &[0]);
        let production = self.production();
        let mut damaged: BTreeSet<String> =
            production.iter().map(|model| model.0.clone()).collect();
        damaged.retain(|name| self.damaged.contains(name));
        // Whoever was demoted, replaced or repaired is not damaged any more.
        let doctor = ask(&["doctor"], &[0, 9]).out;
        damaged.retain(|name| doctor.contains(&format!("annals repair {name}")));
        let others = doctor.lines().filter(|line| !line.contains("annals repair"));
        let others: Vec<&str> = others.filter(|line| *line != "Nothing to report.").collect();
        assert!(others.is_empty(), "doctor: {doctor}\nafter {done:#?}");
        let audit = ask(&["audit", "--deep", "--format", "json"], &[0, 9]).json();
        let findings = audit["findings"].as_array().or(audit.as_array()).unwrap().clone();
        for finding in findings {
            let rule = finding["rule"].as_str().unwrap().to_owned();
            let about_files = rule.starts_with("production-file");
            let integrity = BROKEN.contains(&rule.as_str());
            assert!(
                !integrity || (about_files && !damaged.is_empty()),
                "{finding}\nafter {done:#?}"
            );
        }
        for (name, path, files) in &production {
            let why = ask(&["why", name, "--format", "json"], &[0]).json();
            let shown = ask(&["show", name, "--format", "json"], &[0]).json();
            assert_eq!(why["position"], shown["model"]["placed"]["position"], "{done:#?}");
            let file = format!("{path}/{}", files[0]);
            let predicted = ask(&["predict", name, "a text"], &[0, 10, 3, 4, 7]);
            if !damaged.contains(name) {
                assert_eq!(predicted.code, 0, "{name}: {}\nafter {done:#?}", predicted.err);
                ask(&["why", &file], &[0]);
            }
        }
        self.damaged = damaged;
    }

    /// Takes steps, and looks after each; what was seen before is what `--as-of` shows later.
    fn live(&mut self, verbs: &[&str]) {
        let mut known: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for verb in verbs {
            let size =
                self.ward.annals(&["status", "--format", "json"]).ok().json()["events"].clone();
            let last = (size.as_u64().unwrap() - 1).to_string();
            known.insert(last, seen(&self.ward, None));
            self.step(verb);
            self.look();
        }
        for (at, before) in &known {
            let then = seen(&self.ward, Some(at));
            assert_eq!(then.len(), before.len(), "as of {at}, after {:#?}", self.done);
            for (then, before) in then.iter().zip(before) {
                assert_eq!(then, before, "as of {at}, after {:#?}", self.done);
            }
        }
    }
}

/// Rules of `audit` that no verb may break.
const BROKEN: &[&str] = &[
    "record-damaged",
    "events-lost",
    "move-without-end",
    "production-file-changed",
    "production-file-unknown",
    "run-file-changed",
    "registry-file-disagrees",
    "registry-file-edited",
    "folder-out-of-place",
];

fn names() -> Vec<&'static str> {
    STEPS.iter().map(|(verb, _)| *verb).collect()
}

/// Triples drawn from a seed: every verb comes up about as often.
fn slice(seed: u64, layout: usize, lives: usize) {
    let names = names();
    let mut dice = Dice::new(seed);
    for number in 0..lives {
        let mut verbs: Vec<&str> = (0..3).map(|_| names[dice.below(names.len())]).collect();
        // Damage and the ways out of it come up in every third life.
        if number % 3 == 0 {
            verbs[0] = "damage";
            verbs[1] = ["repair", "rollback", "demote", "promote", "undo"][dice.below(5)];
        }
        Life::new(seed * 1_000 + number as u64, layout).live(&verbs);
    }
}

#[test]
fn a_slice_of_watched_lives() {
    slice(1, 0, SLICE);
}

#[test]
fn another_slice_of_watched_lives() {
    slice(2, 1, SLICE);
}

#[test]
fn a_third_slice_of_watched_lives() {
    slice(3, 0, SLICE);
}

#[test]
fn a_fourth_slice_of_watched_lives() {
    slice(4, 1, SLICE);
}

/// Every pair of verbs and then triples, as many lives as `ANNALS_SOAK` names from the seed
/// `ANNALS_SOAK_SEED` on.
#[test]
fn soak() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let Some(lives) = number("ANNALS_SOAK") else { return };
    let first = number("ANNALS_SOAK_SEED").unwrap_or(0);
    let names = names();
    for life in first..first + lives {
        let pair = life / 2;
        let verbs = match pair / names.len() {
            one if one < names.len() => vec![names[one], names[pair % names.len()]],
            _ => {
                let mut dice = Dice::new(life as u64);
                (0..3).map(|_| names[dice.below(names.len())]).collect()
            }
        };
        Life::new(life as u64, life % 2).live(&verbs);
    }
}

/// A verb that changes something is lived with.
#[test]
fn every_changing_verb_is_in_the_lives() {
    let mut lived: BTreeSet<String> = names().into_iter().map(str::to_owned).collect();
    lived.remove("damage");
    assert_eq!(lived, verbs::changing());
}
