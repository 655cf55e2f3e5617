//! A torch network as a [`Learner`]: one step, one evaluation, saved and loaded bit for bit.

use std::fs;
use std::path::Path;

use annals::base::{Digest, Split};
use annals::data::batch::Batch;
use annals::data::prepared::{Prepared, Targets};
use annals::model::WEIGHTS_FILE;
use annals::model::config::{Architecture, TrainConfig};
use annals::model::hf::Weights;
use annals::model::pat;
use annals::train::protocol::JobSpec;
use annals::train::{AttentionMaps, EvalOutput, LearnError, Learner, StepKey, StepOutput};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Device, Kind, Tensor, nn, no_grad};

use crate::arch::{self, Attention, Network, Rows, Scores, Shape};
use crate::device;
use crate::loss::Loss;
use crate::objective::Objective;
use crate::optim::AdamW;
use crate::shim::Bf16;

const OPTIMIZER_FILE: &str = "optimizer.safetensors";
const UPDATES: &str = "updates";

/// A network with its optimiser.
struct TorchLearner {
    network: Box<dyn Network>,
    vars: nn::VarStore,
    optimizer: AdamW,
    objective: Objective,
    device: Device,
    bf16: bool,
    /// Layers of a DistilBERT, whose weights have other layouts too.
    distilbert_layers: Option<u32>,
}

/// Builds the learner of a job. Threads are fixed first: they decide the order of sums.
pub(crate) fn build(job: &JobSpec, data: &Prepared) -> Result<Box<dyn Learner>, LearnError> {
    let threads = i32::try_from(job.threads.max(1)).unwrap_or(1);
    tch::set_num_threads(threads);
    let device = device::named(&job.device)?;
    let bf16 = device::computes_bf16(job.config.training.precision, &job.device, device)?;
    let counts = data.class_counts(Split::Train);
    if counts.len() < 2 && job.config.learns_labels() {
        return Err(LearnError::Config(format!("2 classes needed, found {}", counts.len())));
    }
    let training = &job.config.training;
    tch::manual_seed(StepKey { seed: training.seed, epoch: 0, step: 0 }.mix_i64(0));
    let vars = nn::VarStore::new(device);
    let shape = Shape {
        config: &job.config,
        vocab_size: i64::from(data.inputs.vocab_size()),
        concepts: i64::from(if job.config.lexicon.has_vectors() { data.concept_count } else { 0 }),
        classes: counts.len() as i64,
        multi_label: data.targets.is_multi(),
        heads: data.heads.iter().map(|h| (h.name.clone(), h.labels.len() as i64)).collect(),
    };
    let network = arch::build(&vars.root(), &shape)?;
    if job.resume_from.is_none() {
        init(&job.config, &vars)?;
        init_encoder(&job.config, &vars)?;
    }
    let weights: Vec<(String, Tensor)> = vars.variables().into_iter().collect();
    let optimizer = AdamW::new(weights, training.weight_decay, training.gradient_clip_norm);
    let rows = data.of_split(Split::Train).len() as u64;
    let class_weights = match data.targets {
        Targets::Single(_) => training.class_weights.weights(&counts),
        Targets::Multi(_) => training.class_weights.positive_weights(&counts, rows),
    };
    Ok(Box::new(TorchLearner {
        network,
        vars,
        optimizer,
        objective: Objective::new(Loss::new(training, &class_weights, device), &job.config),
        device,
        bf16,
        distilbert_layers: (job.config.model.architecture == Architecture::Distilbert)
            .then_some(job.config.model.n_layer),
    }))
}

/// Takes the weights of the folder to fine-tune from, if there is one. What they lack of a
/// classifier stays as it was made.
fn init(config: &TrainConfig, vars: &nn::VarStore) -> Result<(), LearnError> {
    let from = &config.distilbert;
    if from.init_from.is_empty() {
        return Ok(());
    }
    let weights = open(Path::new(&from.init_from), config.model.n_layer)?;
    if weights.digest.to_string() != from.init_digest {
        let message = format!("digest {}, {} expected", weights.digest, from.init_digest);
        return Err(state_error(&from.init_from, message));
    }
    let fresh = weights.missing_head();
    let mut all: Vec<(String, Tensor)> = vars.variables().into_iter().collect();
    all.retain(|(name, _)| !fresh.contains(&name.as_str()));
    copy(&weights, all, &from.init_from)
}

/// The weights of a DistilBERT, in whatever layout they are.
fn open(folder: &Path, layers: u32) -> Result<Weights, LearnError> {
    let file = folder.display().to_string();
    Weights::open(folder, layers).map_err(|e| state_error(&file, e.to_string()))
}

/// Copies saved numbers into tensors, which change their type to that of the network.
fn copy(weights: &Weights, to: Vec<(String, Tensor)>, file: &str) -> Result<(), LearnError> {
    no_grad(|| {
        for (name, mut tensor) in to {
            let bad = |message: String| state_error(file, message);
            let saved = weights.get(&name).ok_or_else(|| bad(format!("{name} is missing")))?;
            let kind = match saved.dtype {
                Dtype::F16 => Kind::Half,
                Dtype::BF16 => Kind::BFloat16,
                Dtype::F64 => Kind::Double,
                _ => Kind::Float,
            };
            if saved.shape != shape_of(&tensor) {
                let expected = tensor.size();
                let message = format!("{name} has shape {:?}, {expected:?} expected", saved.shape);
                return Err(bad(message));
            }
            tensor.copy_(&Tensor::from_data_size(saved.bytes, &tensor.size(), kind));
        }
        Ok(())
    })
}

/// Takes the weights to begin from, where there are some.
fn init_encoder(config: &TrainConfig, vars: &nn::VarStore) -> Result<(), LearnError> {
    let file = &config.pat.init_from;
    if file.is_empty() {
        return Ok(());
    }
    let path = Path::new(file);
    let bytes = fs::read(path).map_err(|source| io("read", path, source))?;
    let found = Digest::of(&bytes).to_string();
    if found != config.pat.init_digest {
        let expected = &config.pat.init_digest;
        return Err(state_error(file, format!("digest {found}, {expected} expected")));
    }
    let encoder = pat::encoder(&bytes, config).map_err(|e| state_error(file, e.to_string()))?;
    no_grad(|| {
        for (name, mut tensor) in vars.variables() {
            if let Some(weights) = encoder.get(&name) {
                tensor.copy_(&Tensor::from_slice(&weights.values).view_as(&tensor));
            }
        }
    });
    Ok(())
}

impl TorchLearner {
    fn forward(&self, batch: &Batch, attention: Attention, train: bool) -> Scores {
        let (rows, cols) = (batch.len() as i64, batch.cols as i64);
        if !batch.values.is_empty() {
            let values = Tensor::from_slice(&batch.values).view([rows, cols]);
            let mask = Tensor::ones([rows, cols], (Kind::Bool, self.device));
            return self.network.forward(
                &Rows { ids: values.to_device(self.device), mask, concepts: None, attention },
                train,
            );
        }
        let whole = |numbers: &[u32], cols: i64| {
            let numbers: Vec<i64> = numbers.iter().map(|number| i64::from(*number)).collect();
            Tensor::from_slice(&numbers).view([rows, cols]).to_device(self.device)
        };
        let (ids, lengths) = (whole(&batch.ids, cols), whole(&batch.lengths, 1));
        let concepts = (!batch.concepts.is_empty()).then(|| whole(&batch.concepts, cols));
        let mask =
            Tensor::arange(cols, (Kind::Int64, self.device)).unsqueeze(0).lt_tensor(&lengths);
        self.network.forward(&Rows { ids, mask, concepts, attention }, train)
    }

    /// Computes in bf16 until dropped, where that is asked for.
    fn mixed(&self) -> Result<Option<Bf16>, LearnError> {
        self.bf16.then(|| Bf16::begin(self.device)).transpose()
    }

    fn sorted(&self) -> Vec<(String, Tensor)> {
        let mut weights: Vec<(String, Tensor)> = self.vars.variables().into_iter().collect();
        weights.sort_by(|a, b| a.0.cmp(&b.0));
        weights
    }
}

impl Learner for TorchLearner {
    fn step(&mut self, batches: &[Batch], lr: f64, key: StepKey) -> Result<StepOutput, LearnError> {
        self.optimizer.zero_grad();
        let mut update = self.objective.begin(batches);
        for (micro, batch) in (0..).zip(batches) {
            tch::manual_seed(key.mix_i64(micro));
            let mixed = self.mixed()?;
            let scores = self.forward(batch, self.objective.attention(), true);
            let loss = self.objective.loss(&mut update, &scores, batch);
            // Each step backward computes as the step forward did.
            drop(mixed);
            loss.backward();
        }
        let grad_norm = self.optimizer.step(lr)?;
        let (loss, parts) = self.objective.end(&update);
        for (what, value) in [("loss", loss), ("gradient norm", grad_norm)] {
            if !value.is_finite() {
                return Err(LearnError::NotFinite { what, value, step: key.step });
            }
        }
        Ok(StepOutput { loss, grad_norm, parts })
    }

    fn evaluate(&mut self, batch: &Batch) -> Result<EvalOutput, LearnError> {
        let mixed = self.mixed()?;
        let scores = no_grad(|| self.forward(batch, Attention::None, false));
        drop(mixed);
        let heads = scores.heads.iter().map(numbers).collect::<Result<_, _>>()?;
        Ok(EvalOutput { logits: numbers(&scores.logits)?, heads })
    }

    fn attend(&mut self, batch: &Batch) -> Result<Option<AttentionMaps>, LearnError> {
        let scores = no_grad(|| self.forward(batch, Attention::All, false));
        let Some(first) = scores.attention.first() else { return Ok(None) };
        Ok(Some(AttentionMaps {
            layers: scores.attention.len(),
            rows: batch.len(),
            heads: usize::try_from(first.size()[1]).unwrap_or(0),
            cols: batch.cols,
            weights: scores.attention.iter().map(numbers).collect::<Result<Vec<_>, _>>()?.concat(),
        }))
    }

    fn save(&self, dir: &Path) -> Result<(), LearnError> {
        let weights = self.sorted();
        let named: Vec<(String, &Tensor)> = weights.iter().map(|(n, t)| (n.clone(), t)).collect();
        write(dir, WEIGHTS_FILE, &named)?;
        let updates = self.optimizer.updates() as i64;
        let updates = Tensor::from_slice(&[updates]);
        let mut state = self.optimizer.state();
        state.push((UPDATES.to_owned(), &updates));
        write(dir, OPTIMIZER_FILE, &state)
    }

    fn load_weights(&mut self, dir: &Path) -> Result<(), LearnError> {
        if let Some(layers) = self.distilbert_layers {
            return copy(&open(dir, layers)?, self.sorted(), &dir.display().to_string());
        }
        let weights = read(dir, WEIGHTS_FILE)?;
        let parsed = parse(&weights, WEIGHTS_FILE)?;
        no_grad(|| {
            for (name, mut tensor) in self.sorted() {
                let saved = take(&parsed, &name, &tensor)
                    .map_err(|message| state_error(WEIGHTS_FILE, message))?;
                tensor.copy_(&saved);
            }
            Ok::<_, LearnError>(())
        })
    }

    fn load(&mut self, dir: &Path) -> Result<(), LearnError> {
        self.load_weights(dir)?;
        let state = read(dir, OPTIMIZER_FILE)?;
        let parsed = parse(&state, OPTIMIZER_FILE)?;
        let bad = |message: String| state_error(OPTIMIZER_FILE, message);
        let updates = take(&parsed, UPDATES, &Tensor::from_slice(&[0_i64])).map_err(bad)?;
        let updates = u64::try_from(updates.int64_value(&[0])).unwrap_or(0);
        self.optimizer.restore(updates, |name, like| take(&parsed, name, like)).map_err(bad)
    }

    fn freeze(&mut self) {
        if !self.bf16 {
            no_grad(|| self.network.freeze());
        }
    }

    fn parameter_count(&self) -> u64 {
        self.vars.trainable_variables().iter().map(|tensor| tensor.numel() as u64).sum()
    }
}

/// All numbers of a tensor, row by row.
fn numbers(tensor: &Tensor) -> Result<Vec<f32>, LearnError> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view(-1);
    Vec::<f32>::try_from(flat).map_err(|error| LearnError::Backend(error.to_string()))
}

/// Writes tensors as safetensors: the same tensors give the same bytes.
fn write(dir: &Path, name: &str, tensors: &[(String, &Tensor)]) -> Result<(), LearnError> {
    let path = dir.join(name);
    let mut bytes = Vec::with_capacity(tensors.len());
    for (_, tensor) in tensors {
        bytes.push((bytes_of(tensor)?, dtype_of(tensor)?, shape_of(tensor)));
    }
    let mut views = Vec::with_capacity(tensors.len());
    for ((name, _), (bytes, dtype, shape)) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(*dtype, shape.clone(), bytes)
            .map_err(|error| LearnError::Backend(format!("{name}: {error}")))?;
        views.push((name.clone(), view));
    }
    // `transformers` refuses weights that do not say what wrote them.
    let format = [("format".to_owned(), "pt".to_owned())].into();
    let file = safetensors::serialize(views, Some(format))
        .map_err(|error| LearnError::Backend(error.to_string()))?;
    // The caller syncs the folder and renames it; nothing refers to it before.
    #[expect(clippy::disallowed_methods, reason = "the trainer makes the folder durable")]
    fs::write(&path, file).map_err(|source| io("write", &path, source))
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, LearnError> {
    let path = dir.join(name);
    fs::read(&path).map_err(|source| io("read", &path, source))
}

fn parse<'b>(bytes: &'b [u8], file: &str) -> Result<SafeTensors<'b>, LearnError> {
    SafeTensors::deserialize(bytes).map_err(|error| state_error(file, error.to_string()))
}

/// The saved tensor `name`, which must have the shape and kind of `like`.
fn take(saved: &SafeTensors<'_>, name: &str, like: &Tensor) -> Result<Tensor, String> {
    let view = saved.tensor(name).map_err(|error| error.to_string())?;
    if view.shape() != shape_of(like) {
        return Err(format!("{name} has shape {:?}, {:?} expected", view.shape(), like.size()));
    }
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::I64 => Kind::Int64,
        other => return Err(format!("{name} has type {other:?}, which is not used here")),
    };
    Ok(Tensor::from_data_size(view.data(), &like.size(), kind).to_device(like.device()))
}

fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, LearnError> {
    let flat = tensor.detach().to_device(Device::Cpu).contiguous().view(-1);
    let failed = |error: tch::TchError| LearnError::Backend(error.to_string());
    Ok(match tensor.kind() {
        Kind::Int64 => {
            let values = Vec::<i64>::try_from(flat).map_err(failed)?;
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        _ => {
            let values = Vec::<f32>::try_from(flat).map_err(failed)?;
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
    })
}

fn dtype_of(tensor: &Tensor) -> Result<Dtype, LearnError> {
    match tensor.kind() {
        Kind::Float => Ok(Dtype::F32),
        Kind::Int64 => Ok(Dtype::I64),
        other => Err(LearnError::Backend(format!("tensors of kind {other:?} are not saved"))),
    }
}

fn shape_of(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect()
}

fn state_error(file: &str, message: String) -> LearnError {
    LearnError::State { file: file.to_owned(), message }
}

fn io(verb: &'static str, path: &Path, source: std::io::Error) -> LearnError {
    LearnError::Io { verb, path: path.display().to_string(), source }
}
