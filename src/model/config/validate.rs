//! Ranges of settings.

use super::types::{Architecture, TrainConfig};
use super::yaml::{ConfigError, Node, Place};
use crate::train::metric;

/// Checks every range; `tree` tells where the values stand.
pub(super) fn validate(config: &TrainConfig, tree: &Node) -> Result<(), ConfigError> {
    for (holds, key, value, rule) in rules(config) {
        if !holds {
            let unknown = || Place { file: "settings".into(), line: 0, column: 0 };
            let place = tree.find(key).map_or_else(unknown, |node| node.place.clone());
            return Err(ConfigError::Range { place, key: key.to_owned(), value, rule });
        }
    }
    Ok(())
}

/// Whether it holds, the key, its value, and what it must be.
pub(super) type Rule = (bool, &'static str, String, String);

fn rules(config: &TrainConfig) -> Vec<Rule> {
    let (m, t, s) = (&config.model, &config.training, &config.data.split);
    let mut rules = Vec::new();
    let mut whole = |key, value: u64, min: u64, max: u64| {
        let rule = format!("{min} to {max}");
        rules.push(((min..=max).contains(&value), key, value.to_string(), rule));
    };
    whole("model.vocab_size", m.vocab_size.into(), 16, 1_000_000);
    whole("model.n_embd", m.n_embd.into(), 1, 16_384);
    whole("model.num_heads", m.num_heads.into(), 1, 1_024);
    whole("model.n_layer", m.n_layer.into(), super::families::least_layers(config), 1_000);
    whole("model.num_classes", m.num_classes.into(), 0, 10_000);
    whole("model.max_seq_length", m.max_seq_length.into(), 2, 65_536);
    whole("training.batch_size", t.batch_size.into(), 1, 65_536);
    whole("training.accumulation_steps", t.accumulation_steps.into(), 1, 65_536);
    whole("training.num_epochs", t.num_epochs.into(), 1, 100_000);
    whole("training.cosine_cycles", t.cosine_cycles.into(), 1, 100_000);
    whole("training.keep_best", t.keep_best.into(), 1, 1_000);
    whole("training.keep_last", t.keep_last.into(), 1, 1_000);
    whole("data.min_count", config.data.min_count.into(), 1, 1_000_000);
    let p = &config.pat;
    whole("pat.length", p.length.into(), 1, 1_000_000);
    whole("pat.patch_size", p.patch_size.into(), 1, 1_000_000);
    whole("pat.feed_forward", p.feed_forward.into(), 1, 65_536);
    whole("pat.head_hidden", p.head_hidden.into(), 0, 65_536);
    let d = &config.distilbert;
    whole("distilbert.hidden_dim", d.hidden_dim.into(), 1, 65_536);
    whole("distilbert.max_position_embeddings", d.max_position_embeddings.into(), 2, 65_536);
    whole("tfidf.max_features", config.tfidf.max_features.into(), 1, 100_000_000);
    whole("tfidf.ngram_max", config.tfidf.ngram_max.into(), 1, 8);
    let mut share = |key, value: f64, max: f64| {
        let rule = format!("at least 0 and below {max}");
        rules.push(((0.0..max).contains(&value), key, value.to_string(), rule));
    };
    share("model.dropout", m.dropout, 1.0);
    share("model.attention_dropout", m.attention_dropout, 1.0);
    share("distilbert.classifier_dropout", d.classifier_dropout, 1.0);
    share("training.weight_decay", t.weight_decay, 100.0);
    share("training.gradient_clip_norm", t.gradient_clip_norm, 1e9);
    share("training.warmup_fraction", t.warmup_fraction, 1.0);
    share("training.label_smoothing", t.label_smoothing, 1.0);
    share("training.focal_gamma", t.focal_gamma, 100.0);
    share("training.early_stopping.threshold", t.early_stopping.threshold, 1e9);
    let mut inside = |key, value: f64, min: f64, max: f64| {
        let holds = value > min && value < max;
        rules.push((holds, key, value.to_string(), format!("above {min} and below {max}")));
    };
    inside("training.learning_rate", t.learning_rate, 0.0, 1e3);
    inside("pat.mask_ratio", p.mask_ratio, 0.0, 1.0);
    inside("tfidf.c", config.tfidf.c, 0.0, 1e9);
    inside("data.split.valid_fraction", s.valid_fraction, 0.0, 0.9);
    inside("data.split.test_fraction", s.test_fraction, 0.0, 0.9);
    rules.push((
        m.num_heads > 0 && m.n_embd % m.num_heads == 0,
        "model.n_embd",
        m.n_embd.to_string(),
        format!("a multiple of `model.num_heads` ({})", m.num_heads),
    ));
    rules.push((
        p.length.is_multiple_of(p.patch_size),
        "pat.length",
        p.length.to_string(),
        format!("a multiple of `pat.patch_size` ({})", p.patch_size),
    ));
    rules.push((
        m.architecture != Architecture::Pat || m.n_embd.is_multiple_of(2),
        "model.n_embd",
        m.n_embd.to_string(),
        "even: sines and cosines of the positions share it".into(),
    ));
    rules.push((
        m.architecture != Architecture::Distilbert || m.max_seq_length <= d.max_position_embeddings,
        "model.max_seq_length",
        m.max_seq_length.to_string(),
        format!("at most `distilbert.max_position_embeddings` ({})", d.max_position_embeddings),
    ));
    rules.push((
        !p.pretrain || t.best_metric == "loss",
        "training.best_metric",
        format!("\"{}\"", t.best_metric),
        "\"loss\" where `pat.pretrain` learns without labels".into(),
    ));
    rules.push((m.num_classes != 1, "model.num_classes", "1".into(), "0, or 2 and more".into()));
    rules.push((
        metric::can_choose(&t.best_metric),
        "training.best_metric",
        format!("\"{}\"", t.best_metric),
        format!("one of {}, or f1_LABEL, recall_LABEL, precision_LABEL", metric::NAMES.join(", ")),
    ));
    rules.extend(super::families::rules(config));
    rules
}
