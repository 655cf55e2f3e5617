//! Networks of three kinds asked together, through the program itself.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn annals(root: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(arguments)
        .args(["--format", "json"])
        .current_dir(root)
        .env("XDG_CONFIG_HOME", root.join("config"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    // `init` has nothing to tell a program.
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

const SMALL: &str = "--set model.n_embd=32 --set training.num_epochs=2 --sample-size 400";
const MEMBERS: [(&str, &str); 3] = [
    ("attention", "--config baseline_small --set model.n_layer=1"),
    (
        "convolution",
        "--config baseline_small --set model.n_layer=0 --set encoder.convolution=3 \
         --set encoder.pooling=max",
    ),
    (
        "bert",
        "--config distilbert --set model.n_layer=1 --set model.num_heads=2 \
         --set distilbert.hidden_dim=64 --set model.vocab_size=500",
    ),
];

#[test]
fn networks_of_several_kinds_answer_together() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    annals(root, &["init"]);
    for (name, settings) in MEMBERS {
        let words = settings.split_whitespace().chain(SMALL.split_whitespace());
        let arguments: Vec<&str> = ["train", "--name", name].into_iter().chain(words).collect();
        annals(root, &arguments);
    }
    let made = annals(root, &["ensemble", "create", "all", "attention", "convolution", "bert"]);
    assert_eq!(made["status"], "finished");

    let text = "cannot sleep and is afraid of everything";
    let asked = |model: &str| {
        let answer = annals(root, &["predict", model, text]);
        let all = answer["probabilities"].as_object().unwrap();
        all.values().map(|p| p.as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let parts = MEMBERS.map(|(name, _)| asked(name));
    assert_ne!(parts[0], parts[1]);
    for (label, together) in asked("all").iter().enumerate() {
        let mean = parts.iter().map(|part| part[label]).sum::<f64>() / 3.0;
        assert!((together - mean).abs() < 1e-6, "{together} instead of {mean}");
    }
}
