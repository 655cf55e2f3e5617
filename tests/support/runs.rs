//! Runs as benches record them: every field filled, sixty parameters, an evaluation on test.

#![allow(dead_code, reason = "no crate uses all of it")]

use std::collections::BTreeMap;

use annals::base::{Digest, Direction, RunId, Split};
use annals::domain::Event;
use annals::domain::metric::{Evaluation, FinalMetric, MetricKey};
use annals::domain::run::{
    ArtifactStored, Category, DataRecord, Environment, RunClassified, RunFinished, RunStarted,
};

/// Keys of a resolved configuration.
const PARAMETERS: u64 = 60;
/// Where the weights are in a run's folder.
pub(crate) const WEIGHTS: &str = "weights/model.safetensors";

/// What annals makes of it.
pub(crate) fn classified() -> Event {
    let rule = "no debug word".into();
    let (matched, policy_revision) = (vec![], Some(0));
    RunClassified { category: Category::Baseline, rule, matched, policy_revision }.into()
}

/// The weights, stored in the run's folder.
pub(crate) fn weights() -> Event {
    ArtifactStored {
        name: "weights".into(),
        path: Some(WEIGHTS.into()),
        digest: Digest::of(b"weights"),
        sha256: None,
        bytes: 20_000_000,
        blob: false,
    }
    .into()
}

/// Run `n`, as it starts.
pub(crate) fn started(run: RunId, experiment_id: String, n: u64) -> Event {
    RunStarted {
        run,
        name: "hate".into(),
        folder: format!("experiments/{experiment_id}"),
        experiment_id,
        description: "a question".into(),
        tags: vec!["baseline".into()],
        attempt: 1,
        config_name: "baseline_small".into(),
        config: Digest::of(b"config"),
        parameters: (0..PARAMETERS).map(|p| (format!("model.key_{p}"), "256".into())).collect(),
        seed: n,
        data: DataRecord {
            files: vec![],
            synthetic: None,
            labels: vec!["x".into(), "y".into()],
            split_rule: "hash".into(),
            splits: vec![],
            leaked_rows: 0,
            prepared: Digest::of(b"data"),
        },
        environment: Environment {
            tool_version: "0".into(),
            libtorch: None,
            os: "Linux".into(),
            host: "host".into(),
            cpu: "cpu".into(),
            cpus: 4,
            threads: 4,
            memory_bytes: 0,
            device: "cpu".into(),
            accelerators: vec![],
            variables: BTreeMap::new(),
            git: None,
            cargo_lock: None,
        },
        trainer: "engine".into(),
        unstated: std::collections::BTreeSet::new(),
        points_signed: false,
    }
    .into()
}

/// The same, as it ends.
pub(crate) fn finished(n: u64) -> Event {
    let metric = |name: &str| FinalMetric {
        key: MetricKey {
            name: name.into(),
            split: Some(Split::Test),
            direction: Direction::Higher,
        },
        value: (n % 100) as f64 / 100.0,
    };
    let labels = ["x".to_owned(), "y".to_owned()];
    let confusion = vec![vec![90, 10], vec![100 - n % 100, n % 100]];
    let evaluation = Evaluation::of_confusion(Split::Test, &labels, confusion).unwrap();
    RunFinished {
        attempt: 1,
        duration_seconds: 60.0,
        steps: 100,
        epochs: 1,
        best: None,
        metrics: vec![metric("accuracy"), metric("f1_macro")],
        evaluations: vec![evaluation],
        parameter_count: Some(5_000_000),
        model_bytes: 20_000_000,
        weights: Some(Digest::of(b"weights")),
        rows_per_second: Some(250.0),
    }
    .into()
}
