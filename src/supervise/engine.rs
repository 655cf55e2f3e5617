//! One engine process, from its start to its end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, ErrorKind, Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Gone;
use crate::base::confine;
use crate::base::mask::Masker;
use crate::data::batch::Batch;
use crate::model::config::Architecture;
use crate::train::TrainEvent;
use crate::train::protocol::{
    self, Ended, EngineHello, FromEngine, JobSpec, ProtocolError, ScoreSpec, ToEngine,
};

/// Messages that may wait for the log before the engine has to.
const QUEUE_MESSAGES: usize = 4_096;
/// Lines of the engine's output that are kept for `run.failed`.
const TAIL_LINES: usize = 20;
/// Longest kept line, in bytes.
const TAIL_LINE_BYTES: usize = 500;
/// Looks at what they wait for before threads of an engine that answers fall asleep. A text of 32
/// tokens through 66 M weights took 8 ms with them and 15 without on idle cores, and 75 against 25
/// at a load of 18 on 4.
const ANSWERING_SPINS: u32 = 4_000;
/// The same of an engine that trains, for which the machine may fill up meanwhile. Of a small
/// network 4 cores learned 420 rows/s with them and 340 without; of four at once each 152 and 216
/// (with 4,000: 460 and 91).
const TRAINING_SPINS: u32 = 1_000;
/// How long an engine may take to end after its last message, and how often that is looked at.
const END_WAIT: Duration = Duration::from_secs(10);
const END_POLL: Duration = Duration::from_millis(2);
/// How long an engine may take to greet.
const HELLO_WAIT: Duration = Duration::from_secs(60);

/// An engine that cannot be started or talked to.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The program cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program does not speak the protocol, or not this version.
    #[error("{program} does not greet as an engine")]
    Hello {
        /// The program.
        program: String,
        /// What went wrong.
        source: ProtocolError,
    },
    /// The program ended before it greeted.
    #[error("{}", .0.reason)]
    Died(Box<Gone>),
    /// It has no network of the architecture that is wanted.
    #[error("{program} has no architecture {wanted} (it has {})", known.join(", "))]
    Architecture {
        /// The program.
        program: String,
        /// What is wanted.
        wanted: &'static str,
        /// What it offers.
        known: Vec<String>,
    },
    /// Its log file cannot be written.
    #[error("cannot write the engine's output to {path}")]
    Log {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The job cannot be sent.
    #[error("cannot send the job to {program}")]
    Job {
        /// The program.
        program: String,
        /// What went wrong.
        source: ProtocolError,
    },
}

/// What is heard next.
#[derive(Debug)]
pub enum EngineMessage {
    /// Something happened in training.
    Event(TrainEvent),
    /// The job ended, and the engine said how.
    Ended(Ended),
    /// The model to score with is loaded.
    Ready,
    /// Unnormalised scores of the rows last asked for.
    Scores(Vec<f32>),
    /// The engine is gone without a word.
    Gone(Gone),
    /// Nothing yet.
    Silence,
}

/// A running engine. Dropping it kills the process.
#[derive(Debug)]
pub struct Engine {
    program: String,
    child: Child,
    socket: UnixStream,
    heard: Receiver<Result<FromEngine, ProtocolError>>,
    output: Option<JoinHandle<()>>,
    tail: Arc<Mutex<VecDeque<String>>>,
    hello: EngineHello,
}

impl Engine {
    /// Starts `program` with `args`, waits for its greeting, and from then on keeps its standard
    /// output and error in the file `log`. On a machine with cores to spare its threads spin for a
    /// moment before they sleep.
    ///
    /// # Errors
    /// When it cannot be started, dies, or does not greet in this version of the protocol.
    pub fn start(program: &Path, args: &[&str], log: &Path) -> Result<Self, SuperviseError> {
        Self::launch(program, args, log, TRAINING_SPINS)
    }

    /// The same, for an engine that is to answer one row at a time: its threads spin for longer.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_to_answer(
        program: &Path,
        args: &[&str],
        log: &Path,
    ) -> Result<Self, SuperviseError> {
        Self::launch(program, args, log, ANSWERING_SPINS)
    }

    fn launch(
        program: &Path,
        args: &[&str],
        log: &Path,
        spins: u32,
    ) -> Result<Self, SuperviseError> {
        let name =
            program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let start_error = |source| SuperviseError::Start { program: name.clone(), source };
        let (mut socket, theirs) = UnixStream::pair().map_err(start_error)?;
        let (output, merged) = io::pipe().map_err(start_error)?;
        let mut child = Command::new(program)
            .args(args)
            // Threads of libgomp wait for each other by spinning. Beside other work that starves
            // the thread they wait for: at a load of 15 on 4 cores, a training that took 29 s
            // with 0 took 277 s with 20,000.
            .env("GOMP_SPINCOUNT", if has_cores_to_spare() { spins } else { 0 }.to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(merged.try_clone().map_err(start_error)?)))
            .stderr(Stdio::from(OwnedFd::from(merged)))
            .process_group(0)
            .spawn()
            .map_err(start_error)?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let file = confine::append_file(log).map_err(|source| {
            let _ = child.kill();
            let _ = child.wait();
            SuperviseError::Log { path: log.display().to_string(), source }
        })?;
        let output = keep_output(output, file, Arc::clone(&tail));
        socket.set_read_timeout(Some(HELLO_WAIT)).map_err(start_error)?;
        let greeted =
            protocol::greet_engine(&mut socket, concat!("annals ", env!("CARGO_PKG_VERSION")));
        let hello = match greeted {
            Ok(hello) => hello,
            Err(source) => return Err(failed_greeting(name, child, output, &tail, source)),
        };
        socket.set_read_timeout(None).map_err(start_error)?;
        let (sender, heard) = sync_channel(QUEUE_MESSAGES);
        let ears = socket.try_clone().map_err(start_error)?;
        std::thread::spawn(move || listen(ears, &sender));
        Ok(Self { program: name, child, socket, heard, output: Some(output), tail, hello })
    }

    /// How the engine introduced itself.
    pub fn hello(&self) -> &EngineHello {
        &self.hello
    }

    /// Refuses an architecture that the engine does not offer, before anything is recorded.
    ///
    /// # Errors
    /// [`SuperviseError::Architecture`].
    pub fn require(&self, architecture: Architecture) -> Result<(), SuperviseError> {
        let (wanted, known) = (architecture.word(), &self.hello.architectures);
        if known.iter().any(|offered| offered == wanted) {
            return Ok(());
        }
        let (program, known) = (self.program.clone(), known.clone());
        Err(SuperviseError::Architecture { program, wanted, known })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives the engine its job. One that is gone is heard as such.
    ///
    /// # Errors
    /// When the job cannot be put into a message.
    pub fn train(&mut self, job: JobSpec) -> Result<(), SuperviseError> {
        self.say(&ToEngine::Train(Box::new(job)))
    }

    /// Lets the engine load a model to score rows with; it answers [`EngineMessage::Ready`].
    ///
    /// # Errors
    /// When the order cannot be put into a message.
    pub fn score(&mut self, spec: ScoreSpec) -> Result<(), SuperviseError> {
        self.say(&ToEngine::Score(Box::new(spec)))
    }

    /// Lets the engine score rows; it answers [`EngineMessage::Scores`].
    ///
    /// # Errors
    /// When the rows cannot be put into a message.
    pub fn rows(&mut self, batch: Batch) -> Result<(), SuperviseError> {
        self.say(&ToEngine::Rows(batch))
    }

    fn say(&mut self, message: &ToEngine) -> Result<(), SuperviseError> {
        match protocol::send(&mut self.socket, message) {
            // How it died says more than that it cannot be reached.
            Ok(()) | Err(ProtocolError::Io(_)) => Ok(()),
            Err(source) => Err(SuperviseError::Job { program: self.program.clone(), source }),
        }
    }

    /// Asks the engine to finish the step, save and end. One that is gone is heard as such.
    pub fn stop(&mut self) {
        let _ = protocol::send(&mut self.socket, &ToEngine::Stop);
    }

    /// Ends the process at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for what is heard next, at most `wait`.
    pub fn recv(&mut self, wait: Duration) -> EngineMessage {
        match self.heard.recv_timeout(wait) {
            Ok(Ok(FromEngine::Event(event))) => EngineMessage::Event(event),
            Ok(Ok(FromEngine::Ended(ended))) => {
                self.reap();
                EngineMessage::Ended(ended)
            }
            Ok(Ok(FromEngine::Ready)) => EngineMessage::Ready,
            Ok(Ok(FromEngine::Scores(scores))) => EngineMessage::Scores(scores),
            Err(RecvTimeoutError::Timeout) => EngineMessage::Silence,
            // A second hello or garbage: the engine is not one to go on with.
            Ok(Ok(FromEngine::Hello(_)) | Err(_)) => {
                self.kill();
                EngineMessage::Gone(self.gone())
            }
            Err(RecvTimeoutError::Disconnected) => EngineMessage::Gone(self.gone()),
        }
    }

    fn gone(&mut self) -> Gone {
        match self.reap() {
            Some(status) => Gone::new(&self.program, status, join_tail(&self.tail)),
            None => Gone {
                reason: format!("{} is out of reach", self.program),
                signal: None,
                exit_code: None,
                output_tail: join_tail(&self.tail),
            },
        }
    }

    /// Waits for the process, which has closed its socket or sent its last message, and for the end
    /// of its output. A process that does not end by itself is ended.
    fn reap(&mut self) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + END_WAIT;
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => std::thread::sleep(END_POLL),
                Ok(None) => {
                    let _ = self.child.kill();
                    break self.child.wait().ok();
                }
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        if let Some(output) = self.output.take() {
            let _ = output.join();
        }
        status
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.output.is_some() {
            let _ = self.child.kill();
            self.reap();
        }
    }
}

fn listen(mut socket: UnixStream, sender: &SyncSender<Result<FromEngine, ProtocolError>>) {
    loop {
        let message = match protocol::receive::<FromEngine>(&mut socket) {
            Ok(Some(message)) => Ok(message),
            // A socket reset by a killed engine is its end, not garbage.
            Ok(None) | Err(ProtocolError::Io(_)) => return,
            Err(error) => Err(error),
        };
        let last = message.is_err();
        if sender.send(message).is_err() || last {
            return;
        }
    }
}

fn keep_output(
    output: impl Read + Send + 'static,
    file: File,
    tail: Arc<Mutex<VecDeque<String>>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut output, mut file) = (BufReader::new(output), BufWriter::new(file));
        let (mut line, mut masker) = (Vec::new(), Masker::default());
        loop {
            line.clear();
            let limited = (&mut output).take(64 * 1024).read_until(b'\n', &mut line);
            if matches!(limited, Ok(0) | Err(_)) {
                break;
            }
            // The log of the output is a convenience: a full disk must not end the training.
            let kept = masker.bytes(&line);
            let _ = file.write_all(&kept).and_then(|()| file.flush());
            let mut text = String::from_utf8_lossy(&kept).trim_end().to_owned();
            let end = (0..=TAIL_LINE_BYTES).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.push_back(text);
            if tail.len() > TAIL_LINES {
                tail.pop_front();
            }
        }
    })
}

fn join_tail(tail: &Mutex<VecDeque<String>>) -> String {
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn failed_greeting(
    program: String,
    mut child: Child,
    output: JoinHandle<()>,
    tail: &Mutex<VecDeque<String>>,
    source: ProtocolError,
) -> SuperviseError {
    // One that is only slow says nothing in time, and would wait for its job for ever.
    let slow = |e: &io::Error| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let died = match &source {
        ProtocolError::Closed { .. } => true,
        ProtocolError::Io(error) => !slow(error),
        _ => false,
    };
    if !died {
        let _ = child.kill();
    }
    let status = child.wait();
    let _ = output.join();
    match status {
        Ok(status) if died => {
            SuperviseError::Died(Box::new(Gone::new(&program, status, join_tail(tail))))
        }
        _ => SuperviseError::Hello { program, source },
    }
}

/// Whether half of the cores have nothing to do now; where the system does not tell, no.
fn has_cores_to_spare() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Such as `0.35 0.41 0.40 2/345 6789`: 2 threads of 345 run or could.
    let said = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = said.split_whitespace().nth(3).and_then(|part| part.split('/').next());
    running.and_then(|count| count.parse::<usize>().ok()).is_some_and(|count| count <= cores / 2)
}
