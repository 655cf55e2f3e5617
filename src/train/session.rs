//! The engine's side of the protocol, the same for every engine: greet, take the job, train, say
//! how it ended.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::classical;
use super::learner::{FailureKind, LearnError, Learner};
use super::protocol::{
    self, Ended, EngineHello, Failure, FromEngine, JobSpec, PROTOCOL_VERSION, ProtocolError,
    ScoreSpec, ToEngine,
};
use super::recorder::{Recorder, TrainEvent};
use super::toy::ToyLearner;
use super::trainer::{Outcome, TrainError, Trainer};
use crate::base::Split;
use crate::data::prepared::{Inputs, Prepared, Targets};
use crate::model::Program;
use crate::model::config::Architecture;

/// Serves one job over `socket`: `build` makes the learner, `on_orphaned` runs when the parent is
/// gone, on a thread of its own, and should end the process.
///
/// Panics of the learner are caught and reported, as [`FailureKind::Memory`] or
/// [`FailureKind::Bug`].
///
/// # Errors
/// When the parent cannot be talked to; there is then nobody to tell.
pub fn serve<B>(
    mut socket: UnixStream,
    hello: EngineHello,
    build: B,
    on_orphaned: impl FnOnce() + Send + 'static,
) -> Result<(), ProtocolError>
where
    B: FnOnce(&JobSpec, &Prepared) -> Result<Box<dyn Learner>, LearnError>,
{
    protocol::greet_parent(&mut socket, hello)?;
    let job = match protocol::receive::<ToEngine>(&mut socket)? {
        Some(ToEngine::Train(job)) => job,
        Some(ToEngine::Score(spec)) => return score(&mut socket, *spec, build),
        Some(ToEngine::Stop) | None => return Ok(()),
        Some(other) => {
            return Err(ProtocolError::OutOfTurn { expected: "train", found: other.word() });
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::new(AtomicBool::new(false));
    listen(socket.try_clone()?, &stop, &ended, on_orphaned);
    let mut voice = SocketRecorder { socket: &mut socket, stop: &stop, error: None };
    let outcome = catch_unwind(AssertUnwindSafe(|| train(&job, build, &mut voice, &stop)))
        .unwrap_or_else(|panic| {
            let message = panic_text(panic.as_ref());
            Ended::Failed(Failure { kind: kind_of_panic(&message), message, step: None })
        });
    ended.store(true, Ordering::SeqCst);
    match voice.error {
        Some(error) => Err(error),
        None => protocol::send(&mut socket, &FromEngine::Ended(outcome)),
    }
}

/// Loads a model and scores rows until the parent closes the channel.
fn score<B>(socket: &mut UnixStream, spec: ScoreSpec, build: B) -> Result<(), ProtocolError>
where
    B: FnOnce(&JobSpec, &Prepared) -> Result<Box<dyn Learner>, LearnError>,
{
    let load = || -> Result<Box<dyn Learner>, LearnError> {
        let inputs = Inputs::tokens(spec.vocab_size);
        let targets =
            if spec.multi_label { Targets::Multi(Vec::new()) } else { Targets::default() };
        let data = Prepared {
            labels: spec.labels,
            targets,
            inputs,
            concept_count: spec.concepts,
            ..Prepared::default()
        };
        let mut learner = build(&JobSpec::to_score(spec.config, spec.device, spec.threads), &data)?;
        learner.load_weights(&spec.dir)?;
        learner.freeze();
        Ok(learner)
    };
    let loaded = catch_unwind(AssertUnwindSafe(load))
        .unwrap_or_else(|panic| Err(LearnError::Backend(panic_text(panic.as_ref()))));
    let mut learner = match loaded {
        Ok(learner) => learner,
        Err(error) => return refuse(socket, error),
    };
    protocol::send(socket, &FromEngine::Ready)?;
    while let Some(message) = protocol::receive::<ToEngine>(socket)? {
        let ToEngine::Rows(batch) = message else {
            return Err(ProtocolError::OutOfTurn { expected: "rows", found: message.word() });
        };
        match learner.evaluate(&batch) {
            Ok(output) => protocol::send(socket, &FromEngine::Scores(output.logits))?,
            Err(error) => return refuse(socket, error),
        }
    }
    Ok(())
}

fn refuse(socket: &mut UnixStream, error: LearnError) -> Result<(), ProtocolError> {
    let ended = Ended::Failed(failure(&error.into(), None));
    protocol::send(socket, &FromEngine::Ended(ended))
}

/// Hears `Stop` and the parent's end while the job runs.
fn listen(
    mut socket: UnixStream,
    stop: &Arc<AtomicBool>,
    ended: &Arc<AtomicBool>,
    on_orphaned: impl FnOnce() + Send + 'static,
) {
    let (stop, ended) = (Arc::clone(stop), Arc::clone(ended));
    std::thread::spawn(move || {
        loop {
            match protocol::receive::<ToEngine>(&mut socket) {
                Ok(Some(ToEngine::Stop)) => stop.store(true, Ordering::SeqCst),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        if !ended.load(Ordering::SeqCst) {
            on_orphaned();
        }
    });
}

fn train<B>(job: &JobSpec, build: B, voice: &mut SocketRecorder<'_>, stop: &AtomicBool) -> Ended
where
    B: FnOnce(&JobSpec, &Prepared) -> Result<Box<dyn Learner>, LearnError>,
{
    let data = match Prepared::read(&job.dataset, job.dataset_digest) {
        Ok(data) => data,
        Err(error) => return Ended::Failed(failure(&error.into(), None)),
    };
    if job.config.model.architecture.specification().is_fitted_at_once() {
        return ended(classical::train(job, &data, voice, stop), None);
    }
    let mut learner = match build(job, &data) {
        Ok(learner) => learner,
        Err(error) => return Ended::Failed(failure(&error.into(), None)),
    };
    match Trainer::new(job, &data, learner.as_mut(), voice, stop) {
        Ok(mut trainer) => {
            let outcome = trainer.run();
            ended(outcome, Some(trainer.step()))
        }
        Err(error) => Ended::Failed(failure(&error, None)),
    }
}

fn ended(outcome: Result<Outcome, TrainError>, step: Option<u64>) -> Ended {
    match outcome {
        Ok(Outcome::Finished(finished)) => Ended::Finished(finished),
        Ok(Outcome::Interrupted(interrupted)) => Ended::Interrupted(interrupted),
        Err(error) => Ended::Failed(failure(&error, step)),
    }
}

fn failure(error: &TrainError, step: Option<u64>) -> Failure {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    Failure { kind: error.kind(), message, step }
}

/// Tensor libraries tell of exhausted memory by a panic with these words, on CPU and on GPU.
fn kind_of_panic(message: &str) -> FailureKind {
    let exhausted = ["can't allocate memory", "out of memory", "not enough memory"];
    if exhausted.iter().any(|words| message.contains(words)) {
        FailureKind::Memory
    } else {
        FailureKind::Bug
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

/// Tells the parent; the first failure is kept and asks for a stop.
struct SocketRecorder<'a> {
    socket: &'a mut dyn Write,
    stop: &'a AtomicBool,
    error: Option<ProtocolError>,
}

impl Recorder for SocketRecorder<'_> {
    fn record(&mut self, event: TrainEvent) {
        if self.error.is_some() {
            return;
        }
        if let Err(error) = protocol::send(&mut self.socket, &FromEngine::Event(event)) {
            self.error = Some(error);
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

/// How the toy engine introduces itself.
pub fn toy_hello(program: &str) -> EngineHello {
    EngineHello {
        protocol: PROTOCOL_VERSION,
        program: program.to_owned(),
        libtorch: None,
        devices: vec!["cpu".into()],
        bf16: Vec::new(),
        architectures: Architecture::ALL
            .iter()
            .filter(|known| known.specification().program() == Program::Own)
            .map(|known| known.word().to_owned())
            .collect(),
    }
}

impl ToyLearner {
    /// Builds the toy for a job; the `build` of [`serve`].
    ///
    /// # Errors
    /// When the data has fewer than two classes.
    pub fn build(job: &JobSpec, data: &Prepared) -> Result<Box<dyn Learner>, LearnError> {
        let counts = data.class_counts(Split::Train);
        Ok(Box::new(Self::new(&job.config, data.inputs.vocab_size(), &counts)?))
    }
}
