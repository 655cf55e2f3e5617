//! The two macros behind the lists: kinds of one stream, and streams of the domain.

/// Declares the event enum of one stream: code, constant, name, schema version, class and payload
/// of each kind. Codes and names are stored: never reuse or change one. The constant
/// (`RunEvent::FINISHED`) is how code outside of the domain names the kind.
macro_rules! stream_events {
    (
        $(#[$doc:meta])*
        pub enum $name:ident of $stream:ident {
            $( $code:literal $constant:ident $kind_name:literal $version:literal $class:ident
               $variant:ident($payload:ident) ),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant, reason = "one event at a time is in memory")]
        pub enum $name {
            $( #[doc = concat!("`", $kind_name, "`")] $variant($payload), )+
        }

        impl $name {
            $( #[doc = concat!("The kind `", $kind_name, "`.")]
            pub const $constant: $crate::domain::Kind = $crate::domain::Kind($code); )+

            /// The kinds of this stream, in code order.
            pub const KINDS: &'static [$crate::domain::KindInfo] = &[
                $( $crate::domain::KindInfo {
                    kind: $crate::domain::Kind($code),
                    name: $kind_name,
                    version: $version,
                    class: $crate::domain::Class::$class,
                    stream: $crate::domain::StreamType::$stream,
                    schema: || schemars::schema_for!($payload),
                }, )+
            ];

            /// The event's kind.
            pub fn kind(&self) -> $crate::domain::Kind {
                match self { $( Self::$variant(_) => $crate::domain::Kind($code), )+ }
            }

            /// The payload's bytes, in the current version.
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $( Self::$variant(payload) => $crate::base::codec::encode(payload), )+
                }
            }

            /// Reads a payload of any version; `None` for a kind that is not of this stream.
            pub(in $crate::domain) fn decode(
                kind: $crate::domain::Kind,
                version: u16,
                bytes: &[u8],
            ) -> Option<Result<Self, $crate::domain::DecodeError>> {
                match kind.0 {
                    $( $code if version == $version => Some(
                        $crate::base::codec::decode(bytes).map(Self::$variant)
                            .map_err(|source| $crate::domain::DecodeError::Malformed {
                                kind, version, source,
                            })
                    ), )+
                    $( $code => Some(super::upcast::upcast(kind, version, bytes).unwrap_or(
                        Err($crate::domain::DecodeError::UnknownVersion { kind, version }))), )+
                    _ => None,
                }
            }
        }

        $( impl From<$payload> for $name {
            fn from(payload: $payload) -> Self { Self::$variant(payload) }
        }
        impl From<$payload> for $crate::domain::Event {
            fn from(payload: $payload) -> Self { Self::$stream($name::$variant(payload)) }
        } )+
    };
}

/// Declares [`Event`](super::Event): the sum over the streams.
macro_rules! streams {
    ( $( $(#[$doc:meta])* $stream:ident($event:ty) ),+ $(,)? ) => {
        /// Anything that can happen: the sum over the streams.
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant, reason = "one event at a time is in memory")]
        pub enum Event {
            $( $(#[$doc])* $stream($event), )+
        }

        impl Event {
            /// The event's kind.
            pub fn kind(&self) -> Kind {
                match self { $( Self::$stream(event) => event.kind(), )+ }
            }

            /// The payload's bytes, in the kind's current version.
            pub fn encode(&self) -> Vec<u8> {
                match self { $( Self::$stream(event) => event.encode(), )+ }
            }

            /// Reads a payload of any version and upcasts it to today's shape.
            ///
            /// # Errors
            /// For kinds and versions made by a later annals, and for malformed bytes.
            pub fn decode(kind: Kind, version: u16, bytes: &[u8]) -> Result<Self, DecodeError> {
                $( if let Some(event) = <$event>::decode(kind, version, bytes) {
                    return event.map(Self::$stream);
                } )+
                Err(DecodeError::UnknownKind(kind))
            }
        }

        $( impl From<$event> for Event {
            fn from(event: $event) -> Self { Self::$stream(event) }
        } )+

        const ALL_KINDS: &[&[KindInfo]] = &[ $( <$event>::KINDS, )+ ];
    };
}
