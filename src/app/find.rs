//! Things by what the user calls them: an id's prefix, a unique name, a name.

use super::{App, Error, ErrorKind, Result};
use crate::base::RunId;
use crate::base::suggest::nearest;
use crate::domain::Event;
use crate::domain::invocation::InvocationEvent;
use crate::domain::run::RunStatus;
use crate::projection::Snapshot;
use crate::projection::registry::{ModelRow, RequestRow};
use crate::projection::runs::{RunLine, Status};

/// How many of several matches a message names.
const NAMED_MAX: usize = 5;

impl App {
    /// The run that `text` names: a unique name, an experiment's name that one run has, or a
    /// prefix of an id or unique name that one run has.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the nearest name; [`ErrorKind::Usage`] when several fit.
    pub fn find_run(&self, views: &Snapshot, text: &str) -> Result<RunId> {
        let (mut exact, mut named, mut prefixed) = (None, Vec::new(), Vec::new());
        let mut all = Vec::new();
        views.run_names(|id, experiment_id, name| {
            if experiment_id == text || id.to_string() == text {
                exact = Some(id);
            } else if name == text {
                named.push((id, experiment_id.to_owned()));
            } else if experiment_id.starts_with(text) || id.to_string().starts_with(text) {
                prefixed.push((id, experiment_id.to_owned()));
            }
            all.push(experiment_id.to_owned());
        })?;
        let fitting = if named.is_empty() { prefixed } else { named };
        match (exact, fitting.as_slice()) {
            (Some(id), _) => Ok(id),
            (None, [(id, _)]) if !text.is_empty() => Ok(*id),
            (None, []) => {
                let error = Error::new(ErrorKind::NotFound, format!("there is no run \"{text}\""));
                Err(match nearest(text, all.iter().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("`annals list` shows all runs"),
                })
            }
            (None, several) => {
                let mut names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
                names.sort_unstable();
                let more = if names.len() > NAMED_MAX { ", …" } else { "" };
                names.truncate(NAMED_MAX);
                let message =
                    format!("\"{text}\" fits {} runs: {}{more}", several.len(), names.join(", "));
                Err(Error::new(ErrorKind::Usage, message).hint("use a longer prefix"))
            }
        }
    }

    /// The version of a production model that `text` names: `NAME` for the one in production, else
    /// the newest, `NAME@2` or `NAME@1.1.0`; none for a name that never was in production.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a version that there is not.
    pub fn find_version(&self, views: &Snapshot, text: &str) -> Result<Option<ModelRow>> {
        let (name, wanted) = text.split_once('@').map_or((text, None), |(n, v)| (n, Some(v)));
        let mut versions = views.versions(name)?;
        let Some(wanted) = wanted.filter(|_| !versions.is_empty()) else {
            let current = views.production()?.into_iter().find(|model| model.name == name);
            return Ok(current.or_else(|| versions.pop()));
        };
        let fits = |m: &ModelRow| m.version == wanted || m.number.to_string() == wanted;
        let known: Vec<String> = versions.iter().map(|model| model.version.clone()).collect();
        let found = versions.into_iter().find(fits).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{name} has no version \"{wanted}\""))
                .hint(format!("its versions are {}", known.join(", ")))
        });
        found.map(Some)
    }

    /// The request that `text` names: a prefix of its id, a production name or a run with one
    /// open request.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::Usage`] as for runs.
    pub fn find_request(&self, views: &Snapshot, text: &str) -> Result<RequestRow> {
        let requests = views.requests()?;
        let run = self.find_run(views, text).ok();
        let fits = |row: &&RequestRow| {
            row.request().to_string().starts_with(text)
                || (row.status == "open" && (row.name == text || run == Some(row.run())))
        };
        let mut fitting: Vec<&RequestRow> =
            requests.iter().filter(|_| !text.is_empty()).filter(fits).collect();
        match (fitting.pop(), fitting.is_empty()) {
            (Some(row), true) => Ok(row.clone()),
            (Some(_), false) => {
                let message = format!("\"{text}\" fits several promotion requests");
                Err(Error::new(ErrorKind::Usage, message).hint("use the id of one"))
            }
            (None, _) => {
                let message = format!("there is no open promotion request for \"{text}\"");
                Err(Error::new(ErrorKind::NotFound, message)
                    .hint("`annals status` shows the open ones")
                    .hint("`annals promote RUN --request` makes one"))
            }
        }
    }

    /// How far a run got, as it is now: one whose supervisor is gone is interrupted, whether or
    /// not a changing verb has written that down yet.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn status_now(&self, status: Status, invocation: Option<u64>) -> Result<RunStatus> {
        // What was alive then, or elsewhere, is not known here; the log said that it was running.
        if status != Status::Running || self.looks_back() {
            return Ok(status.into());
        }
        let Some(invocation) = invocation else { return Ok(RunStatus::Running) };
        let event = self.store.read(|log| Ok::<_, Error>(log.event(invocation)?))?;
        let alive = match event.event() {
            Ok(Event::Invocation(InvocationEvent::Started(started))) => {
                self.live.is_alive(started.invocation)
            }
            _ => false,
        };
        Ok(if alive { RunStatus::Running } else { RunStatus::Interrupted })
    }

    /// [`Self::status_now`] of a line.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn status_of(&self, run: &RunLine<'_>) -> Result<RunStatus> {
        self.status_now(run.status, run.invocation)
    }
}
