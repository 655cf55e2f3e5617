//! Texts that must go (L-8): out of events, out of files, out of every view and page, while what
//! happened, by whom it was redacted and why stays, and every proof holds.
//!
//! One `text.redacted` event, signed by the person who asks, names each payload by the digest that
//! the tree commits to and by the digest of what stands there instead; `verify` accepts a missing
//! payload under such an event alone. Order of effects: new bytes of files are made beside, views
//! are removed, the log is written anew in one step ([`Store::rewrite`]), files are put in place,
//! views and registry files are made from the log. A crash before the log leaves everything as it
//! was; after it, the next changing verb does the rest.
//!
//! Out of reach: copies, exports and bundles made before, what a file system keeps of removed
//! files. To add a kind with texts: `domain/text.rs`. Start reading at
//! [`redact`].
//!
//! [`Store::rewrite`]: crate::store::Store::rewrite

pub(super) mod deciding;
pub(super) mod events;
pub(super) mod files;
mod plan;
pub(super) mod text_matcher;

pub(in crate::app) use self::files::is_plausible_list;
pub use self::plan::{
    Field, RedactRequest, RedactedBy, RedactedLine, Redaction, Stays, find_file, redact,
};
pub(in crate::app) use self::plan::{clear_redaction, end_redaction, names};
