//! What a consolidation does with each run (E-6): the best of a series stays, one goes into an
//! archive to stand for the others, and these are taken away. Never one that is under way, pinned,
//! promoted, asked for or named elsewhere, nor one that somebody archived by hand.
//!
//! Where a run lies does not change what is decided about the others: a consolidation that was
//! cut short is decided the same way when it goes on.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::base::{RunId, Split, Timestamp, fixed};
use crate::domain::run::{Category, RunStatus, words};

const DAY_SECONDS: f64 = 86_400.0;

/// What a run counts as in an inventory.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// In production, or meets every rule for it.
    ProductionReady,
    /// Its result counts.
    Baseline,
    /// A try-out.
    Debug,
    /// A try-out of the machinery.
    TestMock,
    /// It has no model.
    Incomplete,
}

impl Class {
    /// Every class, in the order of an inventory.
    pub const ALL: [Self; 5] =
        [Self::ProductionReady, Self::Baseline, Self::Debug, Self::TestMock, Self::Incomplete];

    /// The class of a run that is `ready` or not.
    pub fn of(
        status: RunStatus,
        category: Category,
        name: &str,
        tags: &[String],
        ready: bool,
    ) -> Self {
        let mock = |text: &str| words(text).iter().any(|word| word == "test" || word == "mock");
        match (status, category) {
            (RunStatus::Finished, _) if ready => Self::ProductionReady,
            (RunStatus::Finished, Category::Baseline) => Self::Baseline,
            (RunStatus::Finished, Category::Debug) => {
                let any = mock(name) || tags.iter().any(|tag| mock(tag));
                if any { Self::TestMock } else { Self::Debug }
            }
            _ => Self::Incomplete,
        }
    }

    /// As a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::ProductionReady => "Production-Ready Models",
            Self::Baseline => "Baseline Models",
            Self::Debug => "Debug Models",
            Self::TestMock => "Test/Mock Models",
            Self::Incomplete => "Failed/Incomplete Runs",
        }
    }
}

/// How good a run is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Whether the policy lets its numbers count.
    pub counts: bool,
    /// Where it was measured, and the metric that decides with its value.
    pub measured: Option<(Split, &'static str, f64)>,
    /// Decides where that is equal.
    pub second: f64,
}

impl Score {
    fn rank(&self) -> (bool, u8, f64, f64) {
        match self.measured {
            Some((split, _, value)) => {
                (self.counts, 1 + u8::from(split == Split::Test), value, self.second)
            }
            None => (self.counts, 0, 0.0, 0.0),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let (a, b) = (self.rank(), other.rank());
        let first = (a.0, a.1).cmp(&(b.0, b.1));
        first.then(a.2.total_cmp(&b.2)).then(a.3.total_cmp(&b.3))
    }

    /// In words.
    pub fn text(&self) -> String {
        match self.measured {
            Some((split, metric, value)) => {
                format!("{metric} {} on {}", fixed(value, 4), split.word())
            }
            None => "not measured".to_owned(),
        }
    }
}

/// A run whose files are there, as the rules of a consolidation see it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The run.
    pub run: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// Its series.
    pub series: String,
    /// What it counts as.
    pub class: Class,
    /// How far it got.
    pub status: RunStatus,
    /// How good it is.
    pub score: Score,
    /// When it ended; none while it runs.
    pub ended: Option<Timestamp>,
    /// Whether it lies in an archive.
    pub archived: bool,
    /// Why it stays whatever is better: `pinned`, `in production`.
    pub held: Option<String>,
}

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It stays where it is.
    Keep,
    /// It goes into an archive, without weights.
    Archive,
    /// Its files are taken away; metrics and digests stay.
    Remove,
}

impl Action {
    /// The word used in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Archive => "archive",
            Self::Remove => "remove",
        }
    }
}

/// What becomes of each of `members`, which are oldest first, and why.
pub fn consolidate(policy: &Policy, members: &[Member], now: Timestamp) -> Vec<(Action, String)> {
    let mut series: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in members {
        series.entry(&member.series).or_default().push(member);
    }
    let chosen: BTreeMap<&str, Chosen<'_>> =
        series.into_iter().map(|(name, members)| (name, Chosen::of(&members))).collect();
    let decide = |member: &Member| match chosen.get(member.series.as_str()) {
        Some(chosen) => chosen.decide(policy, member, now),
        None => (Action::Keep, "in no series".to_owned()),
    };
    members.iter().map(decide).collect()
}

/// Who stands for a series.
#[derive(Default)]
struct Chosen<'m> {
    best: Option<&'m Member>,
    sample: Option<&'m Member>,
}

impl<'m> Chosen<'m> {
    fn of(members: &[&'m Member]) -> Self {
        // Of equals the later is better: members are oldest first.
        let best_of = |wanted: &dyn Fn(&Member) -> bool| {
            let wanted = members.iter().copied().filter(|member| wanted(member));
            wanted.max_by(|a, b| a.score.compare(&b.score))
        };
        let counts =
            |member: &Member| matches!(member.class, Class::ProductionReady | Class::Baseline);
        let best = best_of(&counts);
        let other = |member: &Member| Some(member.run) != best.map(|best| best.run);
        let sample = best_of(&|member| counts(member) && other(member))
            .or_else(|| best_of(&|member| member.class == Class::Debug));
        Self { best, sample }
    }

    fn decide(&self, policy: &Policy, member: &Member, now: Timestamp) -> (Action, String) {
        let is = |chosen: Option<&Member>| chosen.is_some_and(|chosen| chosen.run == member.run);
        if let Some(held) = &member.held {
            return (Action::Keep, held.clone());
        }
        if is(self.best) {
            return (Action::Keep, format!("best of its series: {}", member.score.text()));
        }
        if is(self.sample) {
            let reason = format!("reference run of its series: {}", member.score.text());
            return match member.archived {
                true => (Action::Keep, format!("{reason}; archived already")),
                false => (Action::Archive, reason),
            };
        }
        let stays = self.sample.or(self.best);
        let instead = stays.map_or(String::new(), |m| format!("; {} is kept", m.experiment_id));
        match member.class {
            Class::Incomplete => self.incomplete(policy, member, now),
            Class::TestMock => {
                (Action::Remove, "a test or mock run, by its name or tags".to_owned())
            }
            Class::Debug => (Action::Remove, format!("a further debug run of its series{instead}")),
            Class::Baseline | Class::ProductionReady => {
                let better = self.best.map_or(String::new(), |best| {
                    format!("; {} has {}", best.experiment_id, best.score.text())
                });
                (Action::Remove, format!("{}{better}", member.score.text()))
            }
        }
    }

    fn incomplete(&self, policy: &Policy, member: &Member, now: Timestamp) -> (Action, String) {
        let days = policy.failed_experiments.archive_after_days;
        let old = |ended: Timestamp| now.seconds_since(ended) / DAY_SECONDS >= f64::from(days);
        let word = member.status.word();
        if member.ended.is_some_and(old) {
            return (Action::Remove, format!("{word} at least {days} days ago"));
        }
        (Action::Keep, format!("{word} less than {days} days ago"))
    }
}
