//! What a promotion rests on: fixed by the request, covered by each approval.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Digest, Split};
use crate::domain::run::RunState;

/// The files of a production model that annals writes itself, from the record of its run.
pub const PAPERS: [&str; 4] = ["README.md", "config.json", "labels.json", "training_info.json"];

/// Digests by the digests that they had before a redaction renamed them.
pub type Originals = BTreeMap<Digest, Digest>;

/// What a promotion rests on. Whoever approves it approves exactly this.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Digests of the run's files, by what they are; the weights are among them.
    pub files: BTreeMap<String, Digest>,
    /// Digest of its final metrics and of its predictions against labels, written as text.
    pub evaluation: Digest,
    /// Digest of its prepared rows; none for a run that did not say what it began with.
    pub data: Option<Digest>,
    /// The revision of the policy that changed the rules about promotions last.
    pub policy_revision: u64,
}

impl Evidence {
    /// That of a run under rules. A file that was redacted has the digest from before: whether its
    /// approvals count is judged by the redaction.
    pub fn of(run: &RunState, policy_revision: u64, originals: &Originals) -> Self {
        let files = run.artifacts.iter().map(|(name, file)| (name.clone(), file.digest));
        let evidence = Self {
            files: files.collect(),
            evaluation: evaluation(run),
            data: run.data,
            policy_revision,
        };
        evidence.original(originals)
    }

    /// The same, with the digests from before any redaction.
    pub(in crate::domain) fn original(mut self, originals: &Originals) -> Self {
        let original = |digest: &Digest| originals.get(digest).copied().unwrap_or(*digest);
        self.files.values_mut().for_each(|digest| *digest = original(digest));
        self.data = self.data.as_ref().map(original);
        self
    }

    /// What an approval covers: the digest of the evidence as text, which no later version of this
    /// type changes.
    pub fn digest(&self) -> Digest {
        let mut text = String::from("annals promotion evidence 1\n");
        for (name, digest) in &self.files {
            text += &format!("file {name:?} {digest}\n");
        }
        let data = self.data.map_or_else(|| "unknown".to_owned(), |data| data.to_string());
        text += &format!("evaluation {}\ndata {data}\n", self.evaluation);
        text += &format!("policy {}\n", self.policy_revision);
        Digest::of(text.as_bytes())
    }

    /// What of the run is not as it was, in words; none where only rules changed.
    pub(in crate::domain) fn change_of_run(&self, before: &Self) -> Option<String> {
        let changed = |name: &&String| self.files.get(*name) != before.files.get(*name);
        if let Some(name) = self.files.keys().chain(before.files.keys()).find(changed) {
            return Some(format!("its file {name}"));
        }
        match () {
            () if self.evaluation != before.evaluation => Some("its evaluation".into()),
            () if self.data != before.data => Some("its data".into()),
            () => None,
        }
    }
}

fn evaluation(run: &RunState) -> Digest {
    let mut text = String::new();
    for metric in &run.metrics {
        let split = metric.key.split.map_or("", Split::word);
        text += &format!("{:?} {split} {:016x}\n", metric.key.name, metric.value.to_bits());
    }
    for evaluation in &run.evaluations {
        let labels: Vec<&str> =
            evaluation.classes.iter().map(|class| class.label.as_str()).collect();
        let (split, confusion) = (evaluation.split.word(), &evaluation.confusion);
        text += &format!("{split} {} {labels:?} {confusion:?}\n", evaluation.rows);
    }
    Digest::of(text.as_bytes())
}
