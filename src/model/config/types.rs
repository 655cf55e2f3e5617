//! The shape of the settings. Every key stands in `data/configs/base.yaml` with its default.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::families::{
    AttentionConfig, CurriculumConfig, EncoderConfig, LexiconConfig, MultitaskConfig,
};
use super::pat::PatConfig;
use super::threshold::Threshold;

/// Everything that decides what is trained and how.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// What the network looks like.
    pub model: ModelConfig,
    /// How it is fitted.
    pub training: TrainingConfig,
    /// How texts become rows and rows become splits.
    pub data: DataConfig,
    /// Which rows are learned first.
    pub curriculum: CurriculumConfig,
    /// Concepts beside the tokens.
    pub lexicon: LexiconConfig,
    /// What is made of attention.
    pub attention: AttentionConfig,
    /// What else the encoder learns.
    pub multitask: MultitaskConfig,
    /// Settings of the architecture `encoder`.
    pub encoder: EncoderConfig,
    /// Settings of the architecture `distilbert`.
    pub distilbert: DistilbertConfig,
    /// Settings of the architecture `pat`.
    pub pat: PatConfig,
    /// Settings of the classical baselines.
    pub tfidf: TfidfConfig,
    /// Settings of the architecture `toy`.
    pub toy: ToyConfig,
    /// Words the run is classified and found by.
    pub tags: Vec<String>,
    /// One line for people.
    pub description: String,
}

impl TrainConfig {
    /// Rows scored together: without gradients twice the rows fit.
    pub fn eval_batch_rows(&self) -> usize {
        self.training.batch_size as usize * 2
    }
}

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Transformer encoder; needs the engine with libtorch.
    Encoder,
    /// DistilBERT with a classifier, in the layout of Hugging Face; needs the engine with libtorch.
    Distilbert,
    /// Transformer on patches of a long series of numbers, such as a week of actigraphy; needs the
    /// engine with libtorch.
    Pat,
    /// TF-IDF and logistic regression, fitted to the optimum in plain Rust.
    TfidfLogreg,
    /// TF-IDF and a linear support vector machine, fitted to the optimum in plain Rust.
    TfidfSvm,
    /// Softmax regression on bags of tokens in plain Rust: seconds to train, for trying things
    /// out and for tests.
    Toy,
}

impl Architecture {
    /// The word used in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Distilbert => "distilbert",
            Self::Pat => "pat",
            Self::TfidfLogreg => "tfidf_logreg",
            Self::TfidfSvm => "tfidf_svm",
            Self::Toy => "toy",
        }
    }

    /// Whether it cuts up texts itself instead of taking token ids.
    pub fn takes_texts(self) -> bool {
        matches!(self, Self::TfidfLogreg | Self::TfidfSvm)
    }

    /// Whether its rows are series of numbers instead of texts.
    pub fn takes_series(self) -> bool {
        matches!(self, Self::Pat)
    }
}

/// What the network looks like.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Which network.
    pub architecture: Architecture,
    /// Most entries of the vocabulary.
    pub vocab_size: u32,
    /// Width of the residual stream.
    pub n_embd: u32,
    /// Attention heads; divides `n_embd`.
    pub num_heads: u32,
    /// Encoder layers.
    pub n_layer: u32,
    /// Classes; 0 takes the number of labels of the data.
    pub num_classes: u32,
    /// Most tokens of a text; the rest is cut off.
    pub max_seq_length: u32,
    /// Dropout of embeddings, residual branches and the classifier's input.
    pub dropout: f64,
    /// Dropout of attention probabilities; 0 keeps the fast attention kernel.
    pub attention_dropout: f64,
}

/// How the network is fitted.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of weights, splits, order and dropout.
    pub seed: u64,
    /// Rows that go through the network together.
    pub batch_size: u32,
    /// Batches of one update; the gradients of all rows weigh the same.
    pub accumulation_steps: u32,
    /// Passes over the training rows, at most.
    pub num_epochs: u32,
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay; not on biases and norms.
    pub weight_decay: f64,
    /// Largest L2 norm of all gradients together; 0 turns clipping off.
    pub gradient_clip_norm: f64,
    /// How the learning rate moves after warm-up.
    pub schedule: ScheduleKind,
    /// Times `cosine_with_restarts` falls to 0.
    pub cosine_cycles: u32,
    /// Share of all updates in which the learning rate rises from 0.
    pub warmup_fraction: f64,
    /// Updates in which it rises from 0, instead of `warmup_fraction`; 0 goes by the fraction.
    pub warmup_steps: u32,
    /// How classes weigh in the loss.
    pub class_weights: ClassWeights,
    /// Share of the target spread over all classes.
    pub label_smoothing: f64,
    /// How much less the loss looks at rows that are right already; 0 is cross entropy.
    pub focal_gamma: f64,
    /// What matrix products are computed in; weights and sums stay 32 bits wide.
    pub precision: Precision,
    /// From which probability on a row has a label, where it may have any number of them.
    pub threshold: Threshold,
    /// The validation metric the model is chosen by and early stopping watches.
    pub best_metric: String,
    /// When to stop before `num_epochs`.
    pub early_stopping: EarlyStopping,
    /// Training checkpoints with the best validation metric to keep, at least 1.
    pub keep_best: u32,
    /// Newest training checkpoints to keep, at least 1.
    pub keep_last: u32,
    /// Updates between training checkpoints inside a pass; 0 saves at the end of passes only.
    pub save_steps: u32,
}

impl TrainingConfig {
    /// Rows of one update.
    pub fn update_rows(&self) -> usize {
        self.batch_size as usize * self.accumulation_steps as usize
    }
}

/// How the learning rate moves after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Stays.
    Constant,
    /// Falls to 0 in a straight line.
    Linear,
    /// Falls to 0 along half a cosine.
    Cosine,
    /// Falls to 0 along half a cosine `cosine_cycles` times, from the peak each time.
    CosineWithRestarts,
}

/// What matrix products are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    Fp32,
    /// 16 bits with 8 of exponent, where the device has them; refused elsewhere.
    Bf16,
    /// `bf16` where the device has it, else `fp32`.
    Auto,
}

/// How classes weigh in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All alike.
    None,
    /// rows / (classes * rows of the class).
    Balanced,
    /// Square root of `balanced`.
    SqrtBalanced,
}

impl ClassWeights {
    /// The weight of each class, given the training rows of each. A class without rows weighs 1
    /// and is not counted, as scikit-learn knows only the classes that occur.
    pub fn weights(self, counts: &[u64]) -> Vec<f64> {
        let rows: u64 = counts.iter().sum();
        let classes = counts.iter().filter(|count| **count > 0).count();
        let balanced = |count: u64| rows as f64 / (classes as f64 * count as f64);
        counts
            .iter()
            .map(|count| match self {
                _ if *count == 0 => 1.0,
                Self::None => 1.0,
                Self::Balanced => balanced(*count),
                Self::SqrtBalanced => balanced(*count).sqrt(),
            })
            .collect()
    }

    /// The weight of each label's positive rows where a row has any number of labels: `balanced`
    /// makes positives and negatives weigh the same. A label without rows weighs 1.
    pub fn positive_weights(self, counts: &[u64], rows: u64) -> Vec<f64> {
        let balanced = |count: u64| rows.saturating_sub(count).max(1) as f64 / count as f64;
        counts
            .iter()
            .map(|count| match self {
                _ if *count == 0 => 1.0,
                Self::None => 1.0,
                Self::Balanced => balanced(*count),
                Self::SqrtBalanced => balanced(*count).sqrt(),
            })
            .collect()
    }
}

/// When to stop before the last pass.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Passes without improvement after which training ends; 0 never ends early.
    pub patience: u32,
    /// Improvements up to this size do not count.
    pub threshold: f64,
}

/// How texts become rows and rows become splits.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// How rows become splits.
    pub split: SplitConfig,
    /// Removes training rows whose text also stands in validation or test.
    pub dedupe: bool,
    /// Times a term must stand in the training rows to enter the vocabulary.
    pub min_count: u32,
}

/// How rows become splits.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// The rule.
    pub rule: SplitRule,
    /// Share of validation rows, of all rows that are not test rows.
    pub valid_fraction: f64,
    /// Share of test rows, of all rows; the rule `hash` always takes one in five.
    pub test_fraction: f64,
}

/// The rule that assigns rows to splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitRule {
    /// By the SHA-256 of the record number: a row keeps its split when rows are appended, and
    /// the test rows do not depend on the seed.
    Hash,
    /// By seed, with each class in the same share everywhere.
    Stratified,
}

/// Settings of the architecture `distilbert`. With `init_from` the folder decides the sizes, and
/// all of them are recorded.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistilbertConfig {
    /// A folder in the layout of Hugging Face to fine-tune from; empty trains from scratch.
    pub init_from: String,
    /// Digest of its weights; empty takes the one found, which is then recorded.
    pub init_digest: String,
    /// Width of the feed-forward layers.
    pub hidden_dim: u32,
    /// Rows of the position table; texts may be as long.
    pub max_position_embeddings: u32,
    /// Dropout of the classifier's input.
    pub classifier_dropout: f64,
}

/// Settings of the classical baselines.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TfidfConfig {
    /// Terms to keep: the most frequent ones.
    pub max_features: u32,
    /// Words of the longest term.
    pub ngram_max: u32,
    /// Inverse strength of the L2 penalty, as scikit-learn's `C`.
    pub c: f64,
}

/// Settings of the architecture `toy`, mostly ways to misbehave.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToyConfig {
    /// Milliseconds every update takes at least.
    pub step_ms: u32,
    /// The update that fails with an error; 0 never.
    pub fail_at_step: u64,
    /// The update at which the process aborts, as after a crash in a library; 0 never.
    pub abort_at_step: u64,
    /// The update whose loss is NaN; 0 never.
    pub nan_at_step: u64,
}
