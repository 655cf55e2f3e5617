//! Use cases about registered models: candidates, promotion, production, repair, prediction.

pub(super) mod candidates;
pub(super) mod listed;
pub(super) mod model_card;
pub(super) mod model_files;
pub(super) mod pickle;
pub(super) mod predict;
pub(super) mod production;
pub(super) mod promote;
pub(super) mod promotion_facts;
pub(super) mod repair;

pub use self::candidates::candidate_lines;
pub use self::candidates::candidates;
pub use self::listed::list_models;
pub use self::listed::model_shown;
pub use self::predict::files::model;
pub use self::production::bump_version;
pub use self::production::demote;
pub use self::production::remove_alias;
pub use self::production::roll_back;
pub use self::production::set_alias;
pub use self::production::versions;
pub use self::promote::approve;
pub use self::promote::promote;
pub use self::promote::reject;
pub(in crate::app) use self::repair::damage_of;
pub(in crate::app) use self::repair::damaged_model;
pub(in crate::app) use self::repair::found_damaged;
pub use self::repair::repair;
pub(in crate::app) use self::repair::secure_present;
