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
