//! One use of a verb: who, where, with which words, what it did and how it ended.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{Error, ErrorKind, LogLine, LogQuery, Result, Workspace, records};
use crate::base::Timestamp;
use crate::domain::Event;
use crate::domain::IdentityLevel;
use crate::domain::invocation::{InvocationEvent, Outcome};

/// One invocation with everything it did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InvocationShown {
    /// Its id.
    pub id: String,
    /// Position of its start.
    pub position: u64,
    /// The words after `annals`, secrets masked.
    pub words: String,
    /// Who.
    pub actor: String,
    /// `claimed` or `signed`, as its decisions say.
    pub identity: IdentityLevel,
    /// The machine.
    pub host: String,
    /// The folder, relative to the workspace.
    pub cwd: String,
    /// The process.
    pub pid: u32,
    /// Version of annals.
    pub tool_version: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; none while it is open.
    pub ended: Option<Timestamp>,
    /// How it ended, in words.
    pub outcome: String,
    /// What it did, oldest first.
    pub events: Vec<LogLine>,
}

impl Workspace {
    /// An invocation by its id, the beginning of its id, or the position of one of its events.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; when the log cannot be read.
    pub fn invocation_shown(&self, text: &str) -> Result<InvocationShown> {
        let position = records::invocation(self, text)?;
        let query = LogQuery {
            invocation: Some(position.to_string()),
            limit: usize::MAX,
            ..LogQuery::default()
        };
        let mut events = records::log(self, &query)?;
        events.reverse();
        let (start, end) = self.store.read(|log| {
            let start = log.event(position)?;
            let end = log.stream(start.header.stream, 1)?;
            Ok::<_, Error>((start, end.into_iter().next()))
        })?;
        let Ok(Event::Invocation(InvocationEvent::Started(started))) = start.event() else {
            let message = format!("the start of invocation {position} cannot be read");
            return Err(Error::new(ErrorKind::Integrity, message));
        };
        let end = end.filter(|end| self.scope.size.is_none_or(|size| end.header.position < size));
        let outcome = match end.as_ref().map(crate::domain::Envelope::event) {
            Some(Ok(Event::Invocation(InvocationEvent::Finished(finished)))) => {
                match finished.outcome {
                    Outcome::Succeeded => "succeeded".into(),
                    Outcome::Refused { message } => format!("refused: {message}"),
                    Outcome::Failed { exit_code, message } => {
                        format!("failed with exit code {exit_code}: {message}")
                    }
                }
            }
            Some(Ok(_)) => "interrupted; a later invocation cleared up after it".into(),
            Some(Err(error)) => format!("unreadable: {error}"),
            None => "not yet".into(),
        };
        let signed = events.iter().any(|event| event.identity == IdentityLevel::Signed);
        Ok(InvocationShown {
            id: started.invocation.to_string(),
            position,
            words: started.argv.join(" "),
            actor: events.first().map(|event| event.actor.clone()).unwrap_or_default(),
            identity: IdentityLevel::signed(signed),
            host: started.host,
            cwd: started.cwd,
            pid: started.pid,
            tool_version: started.tool_version,
            began: start.header.dated(),
            ended: end.map(|end| end.header.dated()),
            outcome,
            events,
        })
    }
}
