//! Things by what the user calls them: an id's prefix, a unique name, a name.

use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::RunId;
use crate::base::suggest::nearest;
use crate::domain::invocation::InvocationEvent;
use crate::domain::registry::RequestStatus;
use crate::domain::run::RunStatus;
use crate::domain::{Event, StreamId};
use crate::projection::Snapshot;
use crate::projection::registry::{ModelRow, RequestRow};
use crate::projection::runs::{RunLine, Status};

/// How many of several matches a message names.
const NAMED_MAX: usize = 5;

/// What somebody calls the newest run.
const LATEST: &str = "latest";

/// Where a text may name a run or a model.
#[derive(Debug)]
pub enum Named {
    /// A run.
    Run(RunId),
    /// A version of a production model.
    Version(Box<ModelRow>),
}

/// The runs that a text fits and does not name for certain, by unique name.
#[derive(Default)]
struct FittingRuns {
    named: Vec<(RunId, String)>,
    prefixed: Vec<(RunId, String)>,
}

impl FittingRuns {
    fn of(views: &Snapshot, text: &str) -> Result<Self> {
        let mut fitting = Self::default();
        views.run_names(|id, experiment_id, name| {
            if name == text {
                fitting.named.push((id, experiment_id.to_owned()));
            } else if !text.is_empty()
                && (experiment_id.starts_with(text) || id.letters().starts_with(text.as_bytes()))
            {
                fitting.prefixed.push((id, experiment_id.to_owned()));
            }
        })?;
        Ok(fitting)
    }
}

impl Workspace {
    /// The run that `text` names: a unique name or id, an experiment's name that one run has, a
    /// production name, alias or `NAME@VERSION` (the run that the version came from), a prefix of
    /// an id or unique name that one run has, or `latest`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the nearest name; [`ErrorKind::Usage`] when several fit, with
    /// their names.
    pub fn find_run(&self, views: &Snapshot, text: &str) -> Result<RunId> {
        if let Some(id) = exactly(views, text)? {
            return Ok(id);
        }
        let model = self.find_version(text)?;
        let fitting = FittingRuns::of(views, text)?;
        match (model, fitting.named.as_slice()) {
            (Some(model), named) if named.iter().all(|(id, _)| *id == model.run()) => {
                return Ok(model.run());
            }
            (Some(model), named) => return Err(model_or_run(views, text, &model, named)?),
            (None, _) => {}
        }
        let runs = if fitting.named.is_empty() { &fitting.prefixed } else { &fitting.named };
        match runs.as_slice() {
            [(id, _)] => Ok(*id),
            [] if text == LATEST => newest(views),
            [] => {
                let error = Error::new(ErrorKind::NotFound, format!("there is no run \"{text}\""));
                let mut all = Vec::new();
                views.run_names(|_, experiment_id, _| all.push(experiment_id.to_owned()))?;
                Err(match nearest(text, all.iter().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("`annals list` shows all runs"),
                })
            }
            several => {
                let message =
                    format!("\"{text}\" fits {} runs: {}", several.len(), listed(several));
                Err(Error::new(ErrorKind::Usage, message).hint("use a longer prefix"))
            }
        }
    }

    /// The model or the run that `text` names, for verbs that take both. A production name, an
    /// alias and `NAME@VERSION` mean the model also where a run has that name: what answers in
    /// production does not change when somebody starts a run.
    ///
    /// # Errors
    /// As [`Self::find_run`] and [`Self::find_version`].
    pub fn find_named(&self, views: &Snapshot, text: &str) -> Result<Named> {
        if let Some(id) = exactly(views, text)? {
            return Ok(Named::Run(id));
        }
        match self.find_version(text)? {
            Some(model) => Ok(Named::Version(Box::new(model))),
            None => self.find_run(views, text).map(Named::Run),
        }
    }

    /// The version of a production model that `text` names: `NAME` for the one in production, else
    /// the newest, `NAME@2` or `NAME@1.1.0`, or an alias; none where no model is called so. It is
    /// read from the log: its files are loaded, moved and vouched for.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a version that there is not.
    pub fn find_version(&self, text: &str) -> Result<Option<ModelRow>> {
        let views = self.registry()?;
        let alias = views.aliases()?.into_iter().find(|alias| alias.alias == text);
        if let Some(alias) = alias {
            let mut versions = views.versions(&alias.name)?.into_iter();
            return Ok(versions.find(|model| model.number == alias.number));
        }
        let (name, wanted) = text.split_once('@').map_or((text, None), |(n, v)| (n, Some(v)));
        let mut versions = views.versions(name)?;
        let Some(wanted) = wanted.filter(|_| !versions.is_empty()) else {
            let current = views.production()?.into_iter().find(|model| model.name == name);
            return Ok(current.or_else(|| versions.pop()));
        };
        let bare = wanted.strip_prefix('v').unwrap_or(wanted);
        let fits = |m: &ModelRow| m.version == bare || m.number.to_string() == bare;
        let known: Vec<String> = versions.iter().map(|model| model.version.clone()).collect();
        let found = versions.into_iter().find(fits).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{name} has no version \"{wanted}\""))
                .hint(format!("its versions are {}", known.join(", ")))
        });
        found.map(Some)
    }

    /// The models, their versions and aliases, and the requests, from the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(in crate::app) fn registry(&self) -> Result<Snapshot> {
        self.snapshot_of(&[StreamId::REGISTRY])
    }

    /// The production name that `text` means, for verbs that change what is in production: an
    /// alias and `NAME@VERSION` mean it where that version is in production; a text that names no
    /// model is returned as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] for a version that is not in production.
    pub fn production_name(&self, text: &str) -> Result<String> {
        let views = self.registry()?;
        if !views.versions(text)?.is_empty() {
            return Ok(text.to_owned());
        }
        let Some(model) = self.find_version(text)? else { return Ok(text.to_owned()) };
        let current = views.production()?.into_iter().find(|current| current.name == model.name);
        match current {
            Some(current) if current.number == model.number => Ok(model.name),
            current => {
                let now = current.map_or_else(
                    || "no version of it is in production".into(),
                    |current| format!("version {} is in production", current.number),
                );
                let message =
                    format!("{text} is version {} of {}, and {now}", model.number, model.name);
                Err(Error::new(ErrorKind::Rejected, message)
                    .hint(format!("use the production name: {}", model.name)))
            }
        }
    }

    /// The production name and the version of it that `text` means, for verbs about any version of
    /// a model: an alias and `NAME@VERSION` mean one version, a name means none in particular. A
    /// text that names no model is returned as it is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a version that there is not.
    pub fn model_and_version(&self, text: &str) -> Result<(String, Option<u32>)> {
        let views = self.registry()?;
        if !views.versions(text)?.is_empty() {
            return Ok((text.to_owned(), None));
        }
        let found = self.find_version(text)?;
        Ok(found.map_or((text.to_owned(), None), |model| (model.name, Some(model.number))))
    }

    /// The request that `text` names: a prefix of its id, a production name or a run with one
    /// open request.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::Usage`] as for runs.
    pub fn find_request(&self, views: &Snapshot, text: &str) -> Result<RequestRow> {
        let requests = self.registry()?.requests()?;
        let run = self.find_run(views, text).ok();
        let fits = |row: &&RequestRow| {
            row.request().to_string().starts_with(text)
                || (row.status == RequestStatus::Open
                    && (row.name == text || run == Some(row.run())))
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

/// The run that has this unique name or this id.
fn exactly(views: &Snapshot, text: &str) -> Result<Option<RunId>> {
    if let Some(id) = views.run_called(text)? {
        return Ok(Some(id));
    }
    match text.parse::<RunId>() {
        Ok(id) => Ok(views.run(id)?.map(|_| id)),
        Err(_) => Ok(None),
    }
}

/// The names of runs, as far as a message has room for them.
fn listed(runs: &[(RunId, String)]) -> String {
    let mut names: Vec<&str> = runs.iter().map(|(_, name)| name.as_str()).collect();
    names.sort_unstable();
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    names.truncate(NAMED_MAX);
    format!("{}{more}", names.join(", "))
}

/// A text that names a model of one run, and other runs as well.
fn model_or_run(
    views: &Snapshot,
    text: &str,
    model: &ModelRow,
    named: &[(RunId, String)],
) -> Result<Error> {
    let from = views.run(model.run())?.map(|run| run.experiment_id).unwrap_or_default();
    let message = format!(
        "\"{text}\" names version {} of the model {} (run {from}) and also {}",
        model.number,
        model.name,
        listed(named)
    );
    Ok(Error::new(ErrorKind::Usage, message).hint("use the unique name of the run"))
}

fn newest(views: &Snapshot) -> Result<RunId> {
    let runs = views.runs()?;
    runs.ids().next().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "there is no run yet")
            .hint("`annals train` and `annals run start` begin one")
    })
}
