//! Names and shapes of the encoder's tensors: ours, which are torch's, and those of Keras.

use crate::model::config::{PatchEmbedding, TrainConfig};

/// What the names of the encoder's tensors begin with.
pub(super) const PREFIX: &str = "encoder.";

/// A tensor that must be there.
pub(super) struct Expected {
    /// Its name in our files.
    pub(super) name: String,
    /// Its shape in our files.
    pub(super) shape: Vec<usize>,
    /// Its shape in Keras' files.
    pub(super) keras: Vec<usize>,
    /// Rows and columns that its Keras form is transposed by; `None` where both are the same.
    pub(super) transposed: Option<(usize, usize)>,
    /// The settings that decide the shape.
    pub(super) settings: &'static str,
}

/// Everything the encoder of `config` consists of.
pub(super) fn expected(config: &TrainConfig) -> Vec<Expected> {
    let (model, pat) = (&config.model, &config.pat);
    let (width, heads) = (model.n_embd as usize, model.num_heads as usize);
    let (hidden, patch) = (pat.feed_forward as usize, pat.patch_size as usize);
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize], keras: &[usize], transposed, settings| {
        let (shape, keras) = (shape.to_vec(), keras.to_vec());
        all.push(Expected { name: format!("{PREFIX}{name}"), shape, keras, transposed, settings });
    };
    let settings = "pat.patch_size, pat.patch_embedding, model.n_embd";
    match pat.patch_embedding {
        PatchEmbedding::Linear => {
            let by = Some((patch, width));
            add("patch.weight".into(), &[width, patch], &[patch, width], by, settings);
        }
        PatchEmbedding::Conv | PatchEmbedding::ConvPooled => {
            let pooled = pat.patch_embedding == PatchEmbedding::ConvPooled;
            let kernel = if pooled { POOLED_KERNEL } else { patch };
            let (ours, keras) = ([width, 1, kernel], [kernel, 1, width]);
            add("patch.weight".into(), &ours, &keras, Some((kernel, width)), settings);
        }
    }
    add("patch.bias".into(), &[width], &[width], None, settings);
    for block in 0..model.n_layer {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let settings = "model.n_embd, model.num_heads";
        let inner = heads * width;
        for part in ["query", "key", "value"] {
            let (ours, keras) = ([inner, width], [width, heads, width]);
            let by = Some((width, inner));
            add(name(&format!("{part}.weight")), &ours, &keras, by, settings);
            add(name(&format!("{part}.bias")), &[inner], &[heads, width], None, settings);
        }
        let (ours, keras) = ([width, inner], [heads, width, width]);
        let by = Some((inner, width));
        add(name("attention_output.weight"), &ours, &keras, by, settings);
        add(name("attention_output.bias"), &[width], &[width], None, settings);
        for norm in ["attention_norm", "feed_forward_norm"] {
            add(name(&format!("{norm}.weight")), &[width], &[width], None, settings);
            add(name(&format!("{norm}.bias")), &[width], &[width], None, settings);
        }
        let settings = "model.n_embd, pat.feed_forward";
        for (part, inputs, outputs) in
            [("feed_forward_in", width, hidden), ("feed_forward_out", hidden, width)]
        {
            let (ours, keras) = ([outputs, inputs], [inputs, outputs]);
            let by = Some((inputs, outputs));
            add(name(&format!("{part}.weight")), &ours, &keras, by, settings);
            add(name(&format!("{part}.bias")), &[outputs], &[outputs], None, settings);
        }
    }
    all
}

/// Width of the convolution inside a patch.
pub(super) const POOLED_KERNEL: usize = 3;
