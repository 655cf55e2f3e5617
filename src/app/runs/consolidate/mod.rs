//! Consolidation (E-6): what stays, what stands for its series in an archive, what is taken away;
//! the plan, carrying it out, and the report. Start reading in `plan.rs`.

pub(super) mod apply;
pub(super) mod plan;
pub(super) mod report;

pub use apply::Applied;
pub use plan::{ConsolidationPlan, PlanRow, Planned};
pub use report::{ClassInventory, ModelLine, Phase, Report, SinceLastConsolidation};
