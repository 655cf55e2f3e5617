use super::*;
use crate::model::config::{Layer, TrainConfig, resolve};

const MODEL: &[u8] = include_bytes!("../../../tests/train/fixtures/pat_model.h5");
const WEIGHTS: &[u8] = include_bytes!("../../../tests/train/fixtures/pat_weights.h5");
const OURS: &[u8] = include_bytes!("../../../tests/train/fixtures/pat.safetensors");

fn config(settings: &[(&str, &str)]) -> TrainConfig {
    let sizes = [
        ("model.architecture", "pat"),
        ("model.n_embd", "4"),
        ("model.num_heads", "2"),
        ("model.n_layer", "2"),
        ("pat.length", "36"),
        ("pat.patch_size", "9"),
        ("pat.feed_forward", "6"),
    ];
    let layers: Vec<Layer<'_>> =
        sizes.iter().chain(settings).map(|(key, value)| Layer::Set { key, value }).collect();
    resolve(&layers).unwrap()
}

#[test]
fn all_formats_give_the_same_encoder() {
    let ours = encoder(OURS, &config(&[])).unwrap();
    assert_eq!(ours.len(), 2 + 2 * 16);
    assert_eq!(encoder(MODEL, &config(&[])).unwrap(), ours);
    assert_eq!(encoder(WEIGHTS, &config(&[])).unwrap(), ours);
}

#[test]
fn what_does_not_fit_is_named() {
    let cases = [
        (("model.n_layer", "3"), "lacks encoder.blocks.2.query.weight, "),
        (("model.n_layer", "1"), "holds model_weights/encoder_layer_2_transformer/"),
        (
            ("pat.patch_size", "18"),
            "model_weights/dense/dense/kernel:0 has shape [9, 4], [18, 4] expected \
             (`pat.patch_size, pat.patch_embedding, model.n_embd`)",
        ),
        (("pat.patch_embedding", "conv"), "kernel:0 has shape [9, 4], [9, 1, 4] expected"),
        (("model.num_heads", "4"), "query/kernel:0 has shape [4, 2, 4], [4, 4, 4] expected"),
    ];
    for (setting, message) in cases {
        let error = encoder(MODEL, &config(&[setting])).unwrap_err().to_string();
        assert!(error.contains(message), "{error} lacks {message}");
    }
}

#[test]
fn damage_is_an_error_or_other_numbers() {
    let config = config(&[]);
    for bytes in [MODEL, WEIGHTS, OURS] {
        assert!(encoder(&bytes[..bytes.len() / 2], &config).is_err());
        let step = bytes.len() / 200 + 1;
        for at in (0..bytes.len()).step_by(step) {
            // What stands behind the encoder may be lost without harm.
            if let Ok(found) = encoder(&bytes[..at], &config) {
                assert_eq!(found, encoder(bytes, &config).unwrap(), "cut at {at}");
            }
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 0xff;
            // Bytes of the numbers themselves carry no check; no flip may end the process.
            let _ = encoder(&flipped, &config);
        }
    }
}
