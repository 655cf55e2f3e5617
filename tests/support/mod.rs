//! What test crates share: a workspace of its own for each test and the program run in it, the
//! repository's files, mutants. Each crate takes a part: `#[path = "../support/mod.rs"]`.

#![allow(dead_code, unreachable_pub, reason = "no crate uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test writes plain files")]

pub mod files;
pub mod history;
pub mod mutate;

#[allow(unused_imports, reason = "no crate uses all of it")]
pub use files::{fixture, root, shared};

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The bytes of a text in hexadecimal digits, such as `tests/golden/bytes` holds.
pub fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.trim().as_bytes().chunks(2);
    pairs.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// What a call of the program gave.
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Answer {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails the test unless the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Fails the test unless the program ended with `code` and said `text`.
    #[track_caller]
    pub fn refused(self, code: i32, text: &str) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        assert!(self.err.contains(text), "{text:?} is not in:\n{}", self.err);
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

pub struct Workspace {
    _temporary: tempfile::TempDir,
    pub root: PathBuf,
    home: PathBuf,
    /// More of the environment of every call.
    pub variables: Vec<(String, String)>,
    /// How many calls there were, where the clock and the seed are the test's.
    calls: Option<AtomicU64>,
}

impl Workspace {
    /// An empty folder, not yet a workspace.
    pub fn bare() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let (root, home) = (temporary.path().join("ward"), temporary.path().join("home"));
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir_all(&home).unwrap();
        Self { _temporary: temporary, root, home, variables: Vec::new(), calls: None }
    }

    pub fn new() -> Self {
        let workspace = Self::bare();
        workspace.annals(&["init"]).ok();
        workspace
    }

    /// A folder in which ids and times are the same whenever the test runs: each call is a minute
    /// after the one before, and has a seed of its own.
    pub fn repeatable() -> Self {
        Self { calls: Some(AtomicU64::new(0)), ..Self::bare() }
    }

    /// One finished run of the plain learner, named `name`.
    pub fn train(&self, name: &str, more: &[&str]) -> Answer {
        let args =
            ["train", "--config", "toy", "--name", name, "--sample-size", "600", "--category"];
        self.annals(&[&args[..], &["baseline"], more].concat())
    }

    /// Lets runs on generated data into production.
    pub fn allow_synthetic(&self) {
        self.annals(&["policy", "set", "production_promotion.allow_synthetic", "true"]).ok();
    }

    pub fn annals(&self, args: &[&str]) -> Answer {
        self.annals_as("mara", args)
    }

    pub fn annals_as(&self, actor: &str, args: &[&str]) -> Answer {
        Answer::of(self.command(actor, args).output().unwrap())
    }

    /// The workspace and its user's folder, elsewhere.
    pub fn copy(&self) -> Self {
        let copy = self.received();
        copy_folder(&self.home, &copy.home);
        copy
    }

    /// The workspace as somebody received it who has keys and pins of their own, none so far.
    pub fn received(&self) -> Self {
        let mut copy = Self::bare();
        copy.variables.clone_from(&self.variables);
        copy_folder(&self.root, &copy.root);
        copy
    }

    /// A config folder of its own that has the pin of this workspace's log and no private key.
    pub fn pin_alone(&self) -> PathBuf {
        let folder = self.path("../no keys");
        std::fs::create_dir_all(&folder).unwrap();
        for entry in std::fs::read_dir(self.home.join(".config/annals/keys")).unwrap().flatten() {
            if entry.path().extension().is_some_and(|suffix| suffix == "pin") {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
            }
        }
        folder
    }

    /// The key that the log began with, as its owner reads it to others.
    pub fn key(&self) -> String {
        let shown = self.annals(&["trust", "--dry-run", "--format", "json"]).ok().json();
        shown["key"].as_str().unwrap().to_owned()
    }

    /// Runs the program until its `step`th step, where it dies as by `kill -9`.
    pub fn killed_at(&self, step: u64, args: &[&str]) -> std::process::ExitStatus {
        let mut command = self.command("mara", args);
        command.env("ANNALS_TEST_KILL_AT", step.to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    /// Runs the program with its clock at `time`; each call needs a `seed` of its own.
    pub fn annals_at(&self, time: &str, seed: u64, args: &[&str]) -> Answer {
        let mut command = self.command("mara", args);
        command.env("ANNALS_TEST_CLOCK", time).env("ANNALS_TEST_SEED", seed.to_string());
        Answer::of(command.output().unwrap())
    }

    /// Runs the program with more in its environment.
    pub fn annals_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Answer {
        let mut command = self.command("mara", args);
        Answer::of(command.envs(variables.iter().copied()).output().unwrap())
    }

    /// Starts the program and leaves it running.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.start(args, Stdio::null())
    }

    /// Starts the program and leaves it running, its answers going to `out`.
    pub fn start(&self, args: &[&str], out: Stdio) -> Child {
        let mut command = self.command("mara", args);
        command.stdout(out).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs `annals` where no file may grow beyond `kib`, as on a disk that is full.
    pub fn annals_on_a_full_disk(&self, kib: u32, args: &[&str]) -> Answer {
        let limited = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
        let plain = self.command("mara", args);
        let mut bash = Command::new("bash");
        bash.args(["-c", limited, &kib.to_string()]).arg(plain.get_program());
        bash.args(plain.get_args()).current_dir(&self.root).env_clear();
        bash.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        Answer::of(bash.output().unwrap())
    }

    fn command(&self, actor: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
        command.args(args).current_dir(&self.root).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").env("HOME", &self.home);
        command.envs(self.variables.iter().cloned());
        if let Some(calls) = &self.calls {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            let time = format!("2026-03-01T{:02}:{:02}:00Z", 9 + call / 60, call % 60);
            command.env("ANNALS_TEST_CLOCK", time).env("ANNALS_TEST_SEED", call.to_string());
        }
        command.env("ANNALS_ACTOR", actor).env("ANNALS_HOST", "ward-3");
        command
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.root.join(file)).unwrap()
    }

    /// The user's home folder, with her keys.
    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.unwrap().success());
}

/// Asks again until `f` gives something; fails the test after a while.
#[track_caller]
pub fn wait_for<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if let Some(value) = f() {
            return value;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not happen");
}

/// Sends what Ctrl-C sends.
pub fn interrupt(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// Kills a process without a chance to say anything.
pub fn kill_9(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    // One that is gone already is as good.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(Path::new("/proc").join(child.to_string()).join("stat"));
        let parent = stat.ok().and_then(|stat| {
            stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok()
        });
        if parent == Some(pid) {
            found.push(child);
        }
    }
    found
}
