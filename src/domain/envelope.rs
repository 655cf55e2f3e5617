//! The envelope: what the log stores and hashes for one event. The stored form is the header's
//! bytes followed by the payload's; both are kept and hashed verbatim (LOG-2), never re-encoded.

use std::fmt;
use std::str::FromStr;

use bincode::{BorrowDecode, Decode, Encode};

use super::Identity;
use crate::base::{CommandId, Digest, InvocationId, MoveId, RunId, Timestamp, codec};

/// The kind of entity a stream tells about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum StreamType {
    /// The log itself: its creation, keys and actors.
    Workspace = 1,
    /// The rules in force.
    Policy = 2,
    /// Promotion requests, decisions and production models.
    Registry = 3,
    /// One run.
    Run = 4,
    /// One use of a verb that changes something.
    Invocation = 5,
    /// One move of files.
    Move = 6,
}

impl StreamType {
    /// Every stream type, in code order.
    pub const ALL: [Self; 6] =
        [Self::Workspace, Self::Policy, Self::Registry, Self::Run, Self::Invocation, Self::Move];

    /// The word in front of the slash of a stream's text form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Policy => "policy",
            Self::Registry => "registry",
            Self::Run => "run",
            Self::Invocation => "invocation",
            Self::Move => "move",
        }
    }

    /// The stored code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// All events of one entity: `policy`, or `run/<id>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct StreamId {
    /// A [`StreamType`] code; unknown codes of later versions are carried.
    pub code: u8,
    /// The entity's id; zero for the streams that exist once.
    pub entity: [u8; 16],
}

impl StreamId {
    /// The stream of the log itself.
    pub const WORKSPACE: Self = Self::single(StreamType::Workspace);
    /// The stream of the rules.
    pub const POLICY: Self = Self::single(StreamType::Policy);
    /// The stream of promotions.
    pub const REGISTRY: Self = Self::single(StreamType::Registry);

    const fn single(kind: StreamType) -> Self {
        Self { code: kind as u8, entity: [0; 16] }
    }

    /// The stream type, unless a later version made it.
    pub fn stream_type(self) -> Option<StreamType> {
        StreamType::ALL.into_iter().find(|t| t.code() == self.code)
    }

    /// 17 bytes whose order groups streams by type: the key form.
    pub fn to_key(self) -> [u8; 17] {
        let mut key = [0; 17];
        key[0] = self.code;
        key[1..].copy_from_slice(&self.entity);
        key
    }

    /// Reads the key form.
    pub fn from_key(key: [u8; 17]) -> Self {
        let mut entity = [0; 16];
        entity.copy_from_slice(&key[1..]);
        Self { code: key[0], entity }
    }

    /// The run this stream tells about, if it is a run's.
    pub fn run(self) -> Option<RunId> {
        (self.code == StreamType::Run.code()).then_some(RunId(self.entity))
    }

    /// The text form: a word, and the letters after its slash.
    pub(crate) fn parts(self) -> (&'static str, Option<[u8; 32]>) {
        let word = self.stream_type().map_or("unknown", StreamType::word);
        (word, (self.entity != [0; 16]).then(|| RunId(self.entity).letters()))
    }
}

impl From<RunId> for StreamId {
    fn from(id: RunId) -> Self {
        Self { code: StreamType::Run.code(), entity: id.0 }
    }
}

impl From<InvocationId> for StreamId {
    fn from(id: InvocationId) -> Self {
        Self { code: StreamType::Invocation.code(), entity: id.0 }
    }
}

impl From<MoveId> for StreamId {
    fn from(id: MoveId) -> Self {
        Self { code: StreamType::Move.code(), entity: id.0 }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (word, None) => f.pad(word),
            (word, Some(_)) => f.pad(&format!("{word}/{}", RunId(self.entity))),
        }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self})")
    }
}

impl FromStr for StreamId {
    type Err = crate::base::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || crate::base::ParseIdError(text.to_owned());
        let (word, id) = text.split_once('/').map_or((text, None), |(w, id)| (w, Some(id)));
        let kind = StreamType::ALL.into_iter().find(|t| t.word() == word).ok_or_else(bad)?;
        let entity = id.map_or(Ok([0; 16]), |id| id.parse::<RunId>().map(|id| id.0))?;
        Ok(Self { code: kind.code(), entity })
    }
}

/// The number of an event's kind; [`super::kind_info`] tells its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Kind(pub u16);

impl Kind {
    /// The kind's name, such as `run.finished`; `kind-0x…` for kinds of a later version.
    pub fn name(self) -> String {
        super::kind_info(self).map_or_else(|| format!("kind-{:#06x}", self.0), |i| i.name.into())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// How a fact came to the log: what an auditor may conclude from it.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// Measured by annals' own engine.
    Engine,
    /// Printed by a foreign program that annals supervised.
    Supervised,
    /// Reported by a program through the command line or an interface.
    Reported,
    /// Entered by hand, or after the run had ended.
    Typed,
    /// Taken from another tracker's files.
    Imported,
}

impl Provenance {
    /// The word used in files, policy and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Supervised => "supervised",
            Self::Reported => "reported",
            Self::Typed => "typed",
            Self::Imported => "imported",
        }
    }
}

/// Everything about an event except what happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// Index in the whole log, from 0 (LOG-1).
    pub position: u64,
    /// Whose event it is.
    pub stream: StreamId,
    /// Index inside the stream, from 0 (STR-1).
    pub revision: u64,
    /// What kind of event.
    pub kind: Kind,
    /// Version of the kind's shape; older ones are upcast on reading (L-7).
    pub version: u16,
    /// When the log took it; never earlier than the event before.
    pub recorded: Timestamp,
    /// Raw wall clock minus `recorded`, in nanoseconds: not 0 where the clock went back.
    pub wall_offset_ns: i64,
    /// The producer's time minus `recorded`, in nanoseconds.
    pub occurred_offset_ns: i64,
    /// Position of the `actor.registered` event of who did it.
    pub actor: u64,
    /// Position of the `invocation.started` event it belongs to; none for the few before the first.
    pub invocation: Option<u64>,
    /// Index inside the invocation, from 0: with `invocation` it names the fact (idempotence).
    pub sequence: u64,
    /// The request that caused it, where one was named (DOM-2).
    pub command: Option<CommandId>,
    /// How it came to the log.
    pub provenance: Provenance,
    /// How the log knows the actor.
    pub identity: Identity,
}

/// Clocks of several machines differ by less; more is a clock that was wrong.
pub const AHEAD_NS_MIN: i64 = 1_000_000_000;

impl Header {
    /// When it happened, by the producer's clock.
    pub fn occurred(&self) -> Timestamp {
        self.recorded.plus_nanos(self.occurred_offset_ns)
    }

    /// The raw wall clock when it was recorded.
    pub fn wall(&self) -> Timestamp {
        self.recorded.plus_nanos(self.wall_offset_ns)
    }

    /// When it was recorded, for people. Where a clock was far ahead once, `recorded` stays there
    /// for good, since it only grows; the wall clock of later events is what they are dated by.
    pub fn dated(&self) -> Timestamp {
        if self.wall_offset_ns < -AHEAD_NS_MIN { self.wall() } else { self.recorded }
    }
}

/// What happened, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Payload {
    /// The event's bytes.
    Inline(Vec<u8>),
    /// The bytes of a redactable kind; the salt keeps short texts from being guessed.
    Salted {
        /// Random, covered by the payload digest.
        salt: [u8; 16],
        /// The event's bytes.
        bytes: Vec<u8>,
    },
    /// Texts were taken out under a `text.redacted` event; the digest stays, so proofs hold (L-8).
    Redacted {
        /// What the log knows of it.
        masked: Masked,
        /// The event's bytes with placeholders.
        bytes: Vec<u8>,
    },
}

/// What is known of a payload whose texts were taken out. That the rest is what was there is what
/// the signed event at `by` says, which names both digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Masked {
    /// The payload digest of what was here.
    pub digest: Digest,
    /// Position of the `text.redacted` event.
    pub by: u64,
    /// Bytes of the stored event before: where blocks end follows from it.
    pub stored_bytes: u64,
    /// Version of the shape of the bytes that stand there now.
    pub version: u16,
}

impl Payload {
    /// The digest that the leaf commits to.
    pub fn digest(&self) -> Digest {
        self.borrowed().digest()
    }

    fn borrowed(&self) -> PayloadRef<'_> {
        match self {
            Self::Inline(bytes) => PayloadRef::Inline(bytes),
            Self::Salted { salt, bytes } => PayloadRef::Salted { salt: *salt, bytes },
            Self::Redacted { masked, bytes } => PayloadRef::Redacted { masked: *masked, bytes },
        }
    }

    /// The event's bytes; with placeholders where texts were redacted.
    pub fn bytes(&self) -> &[u8] {
        self.borrowed().bytes()
    }

    /// Position of the event under which texts were taken out.
    pub fn redacted_by(&self) -> Option<u64> {
        self.borrowed().redacted_by()
    }
}

/// A [`Payload`] whose bytes stay where they are stored; the same encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorrowDecode)]
pub enum PayloadRef<'a> {
    /// The event's bytes.
    Inline(&'a [u8]),
    /// The bytes of a redactable kind.
    Salted {
        /// Random, covered by the payload digest.
        salt: [u8; 16],
        /// The event's bytes.
        bytes: &'a [u8],
    },
    /// Texts were taken out under a `text.redacted` event.
    Redacted {
        /// What the log knows of it.
        masked: Masked,
        /// The event's bytes with placeholders.
        bytes: &'a [u8],
    },
}

impl<'a> PayloadRef<'a> {
    /// The digest that the leaf commits to.
    pub fn digest(&self) -> Digest {
        let (salt, bytes): (&[u8], &[u8]) = match self {
            Self::Inline(bytes) => (&[], bytes),
            Self::Salted { salt, bytes } => (salt, bytes),
            Self::Redacted { masked, .. } => return masked.digest,
        };
        Digest::of_parts(&[b"annals/payload/v1", &[u8::from(!salt.is_empty())], salt, bytes])
    }

    /// The event's bytes; with placeholders where texts were redacted.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Inline(bytes) | Self::Salted { bytes, .. } | Self::Redacted { bytes, .. } => {
                bytes
            }
        }
    }

    /// Position of the event under which texts were taken out.
    pub fn redacted_by(&self) -> Option<u64> {
        match self {
            Self::Redacted { masked, .. } => Some(masked.by),
            Self::Inline(_) | Self::Salted { .. } => None,
        }
    }

    /// What an event of `stored` bytes counts for where blocks end.
    fn weight(&self, stored: usize) -> u64 {
        match self {
            Self::Redacted { masked, .. } => masked.stored_bytes,
            Self::Inline(_) | Self::Salted { .. } => stored as u64,
        }
    }

    fn event(&self, header: &Header) -> Result<super::Event, super::DecodeError> {
        super::Event::decode(header.kind, self.version(header), self.bytes())
    }

    fn version(&self, header: &Header) -> u16 {
        match self {
            Self::Redacted { masked, .. } => masked.version,
            Self::Inline(_) | Self::Salted { .. } => header.version,
        }
    }
}

/// The leaf data of an event: what the log's tree commits to (LOG-3).
pub fn leaf_data(header_bytes: &[u8], payload_digest: &Digest) -> Digest {
    Digest::of_parts(&[b"annals/leaf/v1", header_bytes, &payload_digest.0])
}

/// What an actor signs: everything about the event that is known before it has a position.
pub fn signing_message(header: &Header, payload_digest: &Digest) -> Vec<u8> {
    let mut message = b"annals/identity/v1\n".to_vec();
    message.extend(codec::encode(&(
        header.stream,
        header.revision,
        header.kind,
        header.version,
        header.actor,
        header.command,
    )));
    message.extend(payload_digest.0);
    message
}

/// One stored event, its bytes kept beside what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Everything about the event except what happened.
    pub header: Header,
    /// What happened.
    pub payload: Payload,
    /// The stored bytes, verbatim.
    stored: Vec<u8>,
    header_len: usize,
}

impl Envelope {
    /// Encodes a new envelope, once.
    pub fn encode(header: Header, payload: Payload) -> Self {
        let mut stored = codec::encode(&header);
        let header_len = stored.len();
        stored.extend(codec::encode(&payload));
        Self { header, payload, stored, header_len }
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// When the bytes are not exactly one envelope.
    pub fn decode(stored: &[u8]) -> Result<Self, codec::CodecError> {
        let (header, header_len) = codec::decode_prefix::<Header>(stored)?;
        let payload = codec::decode::<Payload>(&stored[header_len..])?;
        Ok(Self { header, payload, stored: stored.to_vec(), header_len })
    }

    /// The stored bytes.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// The stored bytes, without the rest.
    pub fn into_stored(self) -> Vec<u8> {
        self.stored
    }

    /// What the log's tree commits to.
    pub fn leaf_data(&self) -> Digest {
        leaf_data(&self.stored[..self.header_len], &self.payload.digest())
    }

    /// The event, upcast to today's shape.
    ///
    /// # Errors
    /// When it is of a later version's kind, or its bytes are malformed.
    pub fn event(&self) -> Result<super::Event, super::DecodeError> {
        self.payload.borrowed().event(&self.header)
    }

    /// The stored bytes of the same event with `bytes` of shape `version` as its payload, its texts
    /// taken out under the event at `by`. Its leaf stays what it was.
    pub fn masked(&self, by: u64, version: u16, bytes: Vec<u8>) -> Vec<u8> {
        let digest = self.payload.digest();
        let stored_bytes = self.payload.borrowed().weight(self.stored.len());
        let masked = Masked { digest, by, stored_bytes, version };
        let payload = codec::encode(&Payload::Redacted { masked, bytes });
        [&self.stored[..self.header_len], &payload].concat()
    }
}

/// Where the parts of a stored event are: its event's bytes come last.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    header_len: usize,
    bytes_at: usize,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Inline,
    Salted([u8; 16]),
    Redacted(Box<Masked>),
}

/// One stored event, read in place: what scans hand out.
#[derive(Clone, Debug)]
pub struct EnvelopeRef<'a> {
    /// Everything about the event except what happened.
    pub header: Header,
    /// What happened.
    pub payload: PayloadRef<'a>,
    stored: &'a [u8],
    header_len: usize,
}

impl<'a> EnvelopeRef<'a> {
    /// Reads stored bytes without copying the payload.
    ///
    /// # Errors
    /// When the bytes are not exactly one envelope.
    pub fn decode(stored: &'a [u8]) -> Result<Self, codec::CodecError> {
        let (header, header_len) = codec::decode_prefix::<Header>(stored)?;
        let payload = codec::decode_borrowed(&stored[header_len..])?;
        Ok(Self { header, payload, stored, header_len })
    }

    /// The header, and where the rest is, to be [rejoined](Self::rejoin) with the stored bytes.
    pub(crate) fn into_parts(self) -> (Header, Parts) {
        let form = match self.payload {
            PayloadRef::Inline(_) => Form::Inline,
            PayloadRef::Salted { salt, .. } => Form::Salted(salt),
            PayloadRef::Redacted { masked, .. } => Form::Redacted(Box::new(masked)),
        };
        let bytes_at = self.stored.len() - self.payload.bytes().len();
        (self.header, Parts { header_len: self.header_len, bytes_at, form })
    }

    /// What [`decode`](Self::decode) gave, from its parts and the same stored bytes, which are not
    /// read: they may have left the processor's cache.
    pub(crate) fn rejoin(header: &Header, parts: &Parts, stored: &'a [u8]) -> Self {
        let bytes = stored.get(parts.bytes_at..).unwrap_or_default();
        let payload = match &parts.form {
            Form::Inline => PayloadRef::Inline(bytes),
            Form::Salted(salt) => PayloadRef::Salted { salt: *salt, bytes },
            Form::Redacted(masked) => PayloadRef::Redacted { masked: **masked, bytes },
        };
        Self { header: header.clone(), payload, stored, header_len: parts.header_len }
    }

    /// The stored bytes.
    pub fn stored(&self) -> &'a [u8] {
        self.stored
    }

    /// What the log's tree commits to.
    pub fn leaf_data(&self) -> Digest {
        leaf_data(&self.stored[..self.header_len], &self.payload.digest())
    }

    /// The event, upcast to today's shape.
    ///
    /// # Errors
    /// When it is of a later version's kind, or its bytes are malformed.
    pub fn event(&self) -> Result<super::Event, super::DecodeError> {
        self.payload.event(&self.header)
    }

    /// The event without the settings of a run, which are most of its bytes and change no state:
    /// for a check of the whole log.
    ///
    /// # Errors
    /// As for [`Self::event`].
    pub fn event_without_settings(&self) -> Result<super::Event, super::DecodeError> {
        let (kind, version) = (self.header.kind, self.payload.version(&self.header));
        let lean = || super::run::without_parameters(version, self.payload.bytes());
        let Some(started) = (kind == super::run::RunEvent::STARTED).then(lean).flatten() else {
            return self.event();
        };
        let malformed = |source| super::DecodeError::Malformed { kind, version, source };
        started.map(super::Event::from).map_err(malformed)
    }

    /// What the event counts for where blocks end: the bytes it was stored in at first.
    pub fn weight(&self) -> u64 {
        self.payload.weight(self.stored.len())
    }

    /// A copy that owns its bytes.
    ///
    /// # Errors
    /// Never for what [`Self::decode`] accepted.
    pub fn to_envelope(&self) -> Result<Envelope, codec::CodecError> {
        Envelope::decode(self.stored)
    }
}
