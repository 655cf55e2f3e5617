//! The protocol between `annals` (the parent) and an engine (its child), in the version
//! [`PROTOCOL_VERSION`].
//!
//! **Channel.** One connected Unix stream socket. The child finds its end on descriptor 0
//! ([`engine_socket`]); its stdout and stderr stay free for whatever libraries print. When the
//! parent dies the child reads end of file, and must end.
//!
//! **Frame.** `u32` little endian: length of the body, at most [`FRAME_BYTES_MAX`]; then the body:
//! one [`ToEngine`] or [`FromEngine`] as [`base::codec`](crate::base::codec) bytes.
//!
//! **Order.**
//!
//! ```text
//! parent                     engine
//!   Hello              ->                 both check the protocol version first
//!                      <-  Hello
//!   Train(JobSpec)     ->
//!                      <-  Event(Started)
//!                      <-  Event(Progress | Metrics | EpochEnded | Checkpoint..)  any number
//!   Stop               ->                 at any time: finish the step, save, end
//!                      <-  Ended(Finished | Interrupted | Failed)
//!                          the engine exits with 0
//! ```
//!
//! Instead of `Train`, a parent may say `Score(ScoreSpec)`, answered by `Ready`, and then any
//! number of `Rows`, each answered by `Scores`; the engine ends when the parent closes the channel.
//!
//! An engine that goes without `Ended` has died; why is in its exit status and stderr.
//!
//! Variant 0 of both enums is `Hello`, and the first field of both hellos is the version: that
//! much never changes, so that any two versions can refuse each other with a clear message.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use bincode::{Decode, Encode};

use super::learner::FailureKind;
use super::recorder::{Interrupted, TrainEvent, TrainingResult};
use crate::base::codec::{self, CodecError};
use crate::base::{Digest, RunId};
use crate::data::batch::Batch;
use crate::model::config::{Precision, TrainConfig};

/// The version spoken here.
pub const PROTOCOL_VERSION: u32 = 4;
/// Longest body of a frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A conversation that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The socket failed, or ended inside a frame.
    #[error("the connection between annals and its engine broke")]
    Io(#[from] io::Error),
    /// A length that no message has.
    #[error("frame of {bytes} bytes announced, at most {FRAME_BYTES_MAX} allowed")]
    FrameTooLong {
        /// The announced length.
        bytes: usize,
    },
    /// Bytes that are not a message.
    #[error("frame of {bytes} bytes that is not a message")]
    Malformed {
        /// The length of the body.
        bytes: usize,
        /// What the codec said.
        source: CodecError,
    },
    /// The other side speaks another version.
    #[error("protocol version {PROTOCOL_VERSION} expected, found {found} ({program})")]
    Version {
        /// The other side's version.
        found: u32,
        /// The other side's program and version.
        program: String,
    },
    /// A message at a time when it has no meaning.
    #[error("{expected} expected, found {found}")]
    OutOfTurn {
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// The other side closed the connection before it said what was expected.
    #[error("{expected} expected, but the connection was closed")]
    Closed {
        /// What should have come.
        expected: &'static str,
    },
}

/// What the parent says.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ToEngine {
    /// First message.
    Hello(ParentHello),
    /// Train; once per engine.
    Train(Box<JobSpec>),
    /// Finish the step, save a training checkpoint, say [`Ended::Interrupted`].
    Stop,
    /// Load a model and score rows; once per engine, instead of [`Train`](Self::Train).
    Score(Box<ScoreSpec>),
    /// Score these rows.
    Rows(Batch),
}

/// What an engine says.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum FromEngine {
    /// First message.
    Hello(EngineHello),
    /// Something happened in training.
    Event(TrainEvent),
    /// Last message.
    Ended(Ended),
    /// The model is loaded.
    Ready,
    /// Unnormalised scores, row by row.
    Scores(Vec<f32>),
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ParentHello {
    /// [`PROTOCOL_VERSION`] of the parent.
    pub protocol: u32,
    /// Program and version.
    pub program: String,
}

/// Who answers, and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EngineHello {
    /// [`PROTOCOL_VERSION`] of the engine.
    pub protocol: u32,
    /// Program and version.
    pub program: String,
    /// Version of libtorch, where the engine has one.
    pub libtorch: Option<String>,
    /// Devices that can be asked for: `cpu`, `cuda:0`, `mps`.
    pub devices: Vec<String>,
    /// Those of them that compute in bf16 with instructions of their own.
    pub bf16: Vec<String>,
    /// Architectures that can be asked for; the parent asks for no other.
    pub architectures: Vec<String>,
}

impl EngineHello {
    /// What `auto` stands for on `device`; others stand for themselves.
    pub fn precision(&self, wanted: Precision, device: &str) -> Precision {
        let device = if device == "cuda" { "cuda:0" } else { device };
        match wanted {
            Precision::Auto if self.bf16.iter().any(|known| known == device) => Precision::Bf16,
            Precision::Auto => Precision::Fp32,
            given => given,
        }
    }
}

/// A training, with everything resolved: the engine reads no other setting and no other input.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct JobSpec {
    /// The run; for messages and to check that a training checkpoint belongs to it.
    pub run: RunId,
    /// The settings.
    pub config: TrainConfig,
    /// Digest of the settings in their canonical form.
    pub config_digest: Digest,
    /// The prepared dataset.
    pub dataset: PathBuf,
    /// Its digest.
    pub dataset_digest: Digest,
    /// The run's folder; training checkpoints go to `checkpoints/` inside.
    pub run_dir: PathBuf,
    /// `cpu`, `cuda`, `cuda:1`, `mps`.
    pub device: String,
    /// Threads of one operation; part of what decides the numbers.
    pub threads: u32,
    /// Folder of the training checkpoint to go on from, relative to the run's folder.
    pub resume_from: Option<PathBuf>,
    /// Digest of the manifest that the training checkpoint must have.
    pub resume_digest: Option<Digest>,
}

impl JobSpec {
    /// A job that trains nothing: what building a model asks of one.
    pub(super) fn to_score(mut config: TrainConfig, device: String, threads: u32) -> Self {
        // Its weights come from its own folder.
        config.distilbert.init_from.clear();
        config.pat.init_from.clear();
        // They are 32 bits wide: a device without bf16 scores with them too.
        if config.training.precision == Precision::Bf16 {
            config.training.precision = Precision::Auto;
        }
        Self {
            run: RunId([0; 16]),
            config_digest: config.digest(),
            config,
            dataset: PathBuf::new(),
            dataset_digest: Digest::of(b""),
            run_dir: PathBuf::new(),
            device,
            threads,
            resume_from: None,
            resume_digest: None,
        }
    }
}

/// A model to score rows with.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ScoreSpec {
    /// The settings it was trained with.
    pub config: TrainConfig,
    /// The folder of its weights.
    pub dir: PathBuf,
    /// Entries of its vocabulary.
    pub vocab_size: u32,
    /// Concepts of its lexicon.
    pub concepts: u32,
    /// Its labels, in the order of the scores.
    pub labels: Vec<String>,
    /// Whether a row may have any number of labels.
    pub multi_label: bool,
    /// `cpu`, `cuda`, `cuda:1`, `mps`.
    pub device: String,
    /// Threads of one operation.
    pub threads: u32,
}

/// How the job ended.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Ended {
    /// To its end.
    Finished(Box<TrainingResult>),
    /// On request.
    Interrupted(Interrupted),
    /// For a reason.
    Failed(Failure),
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// What a program may act on.
    pub kind: FailureKind,
    /// The error and its causes, in one line.
    pub message: String,
    /// Updates done, where training had begun.
    pub step: Option<u64>,
}

impl ToEngine {
    /// The word for messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Train(_) => "train",
            Self::Stop => "stop",
            Self::Score(_) => "score",
            Self::Rows(_) => "rows",
        }
    }
}

impl FromEngine {
    /// The word for messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Event(_) => "event",
            Self::Ended(_) => "ended",
            Self::Ready => "ready",
            Self::Scores(_) => "scores",
        }
    }
}

/// The engine's end of the channel: descriptor 0.
///
/// # Errors
/// When descriptor 0 cannot be duplicated.
pub fn engine_socket() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Sends one message as one frame, in one write.
///
/// # Errors
/// When the channel fails or the message is too long.
pub fn send<M: Encode>(to: &mut impl Write, message: &M) -> Result<(), ProtocolError> {
    let body = codec::encode(message);
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= FRAME_BYTES_MAX)
        .ok_or(ProtocolError::FrameTooLong { bytes: body.len() })?;
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    to.write_all(&frame)?;
    Ok(to.flush()?)
}

/// Receives one message; `None` when the other side closed the channel between two messages.
///
/// # Errors
/// When the channel fails, ends inside a frame, or yields something that is not a message.
pub fn receive<M: Decode<()>>(from: &mut impl Read) -> Result<Option<M>, ProtocolError> {
    let Some(body) = receive_body(from)? else { return Ok(None) };
    codec::decode(&body)
        .map(Some)
        .map_err(|source| ProtocolError::Malformed { bytes: body.len(), source })
}

fn receive_body(from: &mut impl Read) -> Result<Option<Vec<u8>>, ProtocolError> {
    let mut length = [0_u8; 4];
    let first = loop {
        match from.read(&mut length) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[first..])?;
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes > FRAME_BYTES_MAX {
        return Err(ProtocolError::FrameTooLong { bytes });
    }
    // Grows as bytes arrive, so that a false length costs no memory.
    let mut body = Vec::new();
    from.take(bytes as u64).read_to_end(&mut body)?;
    if body.len() < bytes {
        return Err(ProtocolError::Io(ErrorKind::UnexpectedEof.into()));
    }
    Ok(Some(body))
}

/// The parent's half of the greeting.
///
/// # Errors
/// When the engine is silent, garbled or of another version.
pub fn greet_engine(
    channel: &mut (impl Read + Write),
    program: &str,
) -> Result<EngineHello, ProtocolError> {
    let hello = ParentHello { protocol: PROTOCOL_VERSION, program: program.to_owned() };
    send(channel, &ToEngine::Hello(hello))?;
    let body = receive_body(channel)?.ok_or(ProtocolError::Closed { expected: "hello" })?;
    check_version(&body)?;
    match decode_body(&body)? {
        FromEngine::Hello(hello) => Ok(hello),
        other => Err(ProtocolError::OutOfTurn { expected: "hello", found: other.word() }),
    }
}

/// The engine's half of the greeting.
///
/// # Errors
/// When the parent is silent, garbled or of another version. The parent is then told this
/// engine's version first, so that both sides can name both.
pub fn greet_parent(
    channel: &mut (impl Read + Write),
    hello: EngineHello,
) -> Result<ParentHello, ProtocolError> {
    let body = receive_body(channel)?.ok_or(ProtocolError::Closed { expected: "hello" })?;
    send(channel, &FromEngine::Hello(hello))?;
    check_version(&body)?;
    match decode_body(&body)? {
        ToEngine::Hello(hello) => Ok(hello),
        other => Err(ProtocolError::OutOfTurn { expected: "hello", found: other.word() }),
    }
}

fn decode_body<M: Decode<()>>(body: &[u8]) -> Result<M, ProtocolError> {
    codec::decode(body).map_err(|source| ProtocolError::Malformed { bytes: body.len(), source })
}

/// Reads only what every version shares: variant 0, the version and the program.
fn check_version(body: &[u8]) -> Result<(), ProtocolError> {
    let malformed = |source| ProtocolError::Malformed { bytes: body.len(), source };
    let ((variant, found, program), _) =
        codec::decode_prefix::<(u32, u32, String)>(body).map_err(malformed)?;
    match (variant, found) {
        (0, PROTOCOL_VERSION) => Ok(()),
        (0, found) => Err(ProtocolError::Version { found, program }),
        _ => Err(ProtocolError::OutOfTurn { expected: "hello", found: "another message" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine_hello(protocol: u32) -> EngineHello {
        EngineHello {
            protocol,
            program: "annals-engine 9.9".into(),
            libtorch: None,
            devices: vec!["cpu".into()],
            bf16: Vec::new(),
            architectures: vec!["toy".into()],
        }
    }

    #[test]
    fn both_sides_greet_and_talk() {
        let (mut parent, mut engine) = UnixStream::pair().unwrap();
        let child = std::thread::spawn(move || {
            let hello = greet_parent(&mut engine, engine_hello(PROTOCOL_VERSION)).unwrap();
            assert_eq!(hello.program, "annals 1");
            assert_eq!(receive::<ToEngine>(&mut engine).unwrap(), Some(ToEngine::Stop));
        });
        assert_eq!(greet_engine(&mut parent, "annals 1").unwrap().devices, ["cpu"]);
        send(&mut parent, &ToEngine::Stop).unwrap();
        child.join().unwrap();
        assert!(receive::<FromEngine>(&mut parent).unwrap().is_none());
    }

    #[test]
    fn another_version_is_named() {
        let (mut parent, mut engine) = UnixStream::pair().unwrap();
        send(&mut engine, &FromEngine::Hello(engine_hello(7))).unwrap();
        let error = greet_engine(&mut parent, "annals 1").unwrap_err();
        assert_eq!(error.to_string(), "protocol version 4 expected, found 7 (annals-engine 9.9)");
    }

    #[test]
    fn garbage_is_refused_without_allocating_for_it() {
        let mut long: &[u8] = &[0xff; 64];
        assert!(matches!(
            receive::<FromEngine>(&mut long),
            Err(ProtocolError::FrameTooLong { bytes: 0xffff_ffff })
        ));
        let mut wrong: &[u8] = &[2, 0, 0, 0, 9, 9];
        assert!(matches!(
            receive::<FromEngine>(&mut wrong),
            Err(ProtocolError::Malformed { bytes: 2, .. })
        ));
        let mut torn: &[u8] = &[200, 0, 0, 0, 1];
        assert!(matches!(receive::<FromEngine>(&mut torn), Err(ProtocolError::Io(_))));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_panic_the_reader(bytes in proptest::collection::vec(0_u8.., 0..64)) {
            let mut framed = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
            framed.extend_from_slice(&bytes);
            let _ = receive::<FromEngine>(&mut framed.as_slice());
            let _ = receive::<ToEngine>(&mut bytes.as_slice());
        }
    }
}
