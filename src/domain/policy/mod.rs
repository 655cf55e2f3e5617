//! The rules in force: what makes a run a candidate, who may promote it, what is archived. Policy
//! lives in the log, so that every decision can be judged by the rules of its time.

mod assess;
mod command;
mod consolidate;
mod decide;
mod event;
mod housekeeping;
mod rules;
mod series;
mod state;
mod strictness;
mod upcast;

#[cfg(test)]
mod strictness_tests;
#[cfg(test)]
mod tests;

pub use assess::{Assessment, MODEL_RULE, assess};
pub use command::PolicyCommand;
pub use consolidate::{Action, Class, Member, Score, consolidate};
pub use decide::{PolicyFacts, PolicyStream, changes};
pub use event::{PolicyChange, PolicyChanged, PolicyEvent};
pub use housekeeping::{ExpiredRun, RetentionCandidate, housekeeping, surplus};
pub use rules::{
    DebugExperiments, FailedExperiments, LogCheckpoints, NewRuns, Policy, ProductionPromotion, Runs,
};
pub use series::{ConfigKey, series, stem};
pub use state::PolicyState;
pub use strictness::{WeakenedRule, WeakerRule, weakened, weaker};
