//! The edge: user, machine, folders and clock as the process has them. Nothing else in annals
//! reads the environment.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use crate::app::{Caller, ConfigDirs, Error, ErrorKind, Result, caller_folders};
use crate::base::mask::mask_words;
use crate::base::{Env, Timestamp};

/// Environment variables that change results, recorded with every run.
const RECORDED: [&str; 8] = [
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
];

/// The caller in the folder `cwd`: the user is `ANNALS_ACTOR`, else `USER`, else the number of the
/// user; the machine is `ANNALS_HOST`, else its host name. Secrets in the arguments of the process
/// are masked.
pub fn caller(cwd: PathBuf) -> Caller {
    let argv: Vec<String> =
        env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let named = |name: &&str| Some(((*name).to_owned(), variable(name)?));
    Caller {
        actor: variable("ANNALS_ACTOR").or_else(|| variable("USER")).unwrap_or_else(user_id),
        host: variable("ANNALS_HOST").unwrap_or_else(host),
        cwd,
        argv: mask_words(&argv),
        variables: RECORDED.iter().filter_map(named).collect::<BTreeMap<_, _>>(),
        folders: caller_folders().filter_map(|name| named(&name)).collect::<BTreeMap<_, _>>(),
    }
}

/// The folders of the user: private keys are in `annals/keys` of `XDG_CONFIG_HOME`, else of
/// `HOME/.config`.
///
/// # Errors
/// [`ErrorKind::Usage`] where neither variable is set.
pub fn config_dirs() -> Result<ConfigDirs> {
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".config"));
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "there is no home folder to store keys in")
            .hint("set HOME or XDG_CONFIG_HOME")
    })?;
    Ok(ConfigDirs { keys: config.join("annals/keys") })
}

/// The clock and the random numbers of the system; builds for testing take a fixed clock and seed
/// from `ANNALS_TEST_CLOCK` and `ANNALS_TEST_SEED`.
pub fn clock() -> Env {
    if cfg!(debug_assertions)
        && let (Some(clock), Some(seed)) =
            (variable("ANNALS_TEST_CLOCK"), variable("ANNALS_TEST_SEED"))
        && let (Ok(start), Ok(seed)) = (clock.parse::<Timestamp>(), seed.parse())
    {
        return Env::fixed(start, seed);
    }
    Env::system()
}

/// The current folder of the process.
pub(crate) fn working_dir() -> PathBuf {
    env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

/// An environment variable that is set, not empty and valid UTF-8.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn user_id() -> String {
    format!("uid-{}", rustix::process::getuid().as_raw())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
