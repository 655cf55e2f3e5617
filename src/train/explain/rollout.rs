//! Attention rollout (Abnar and Zuidema, "Quantifying attention flow in transformers", 2020): how
//! much of each token reaches the pooled output when every layer passes on half of what it gets
//! and half of what it attends to.

use crate::train::learner::AttentionMaps;

/// Mean over the heads of one layer, for one row: `length * length`, a line for each query.
pub(super) fn mean_of_heads(
    maps: &AttentionMaps,
    layer: usize,
    row: usize,
    length: usize,
) -> Vec<f32> {
    let mut mean = vec![0.0; length * length];
    for head in 0..maps.heads {
        for query in 0..length {
            let line = &maps.line(layer, row, head, query)[..length];
            for (sum, weight) in mean[query * length..].iter_mut().zip(line) {
                *sum += weight / maps.heads as f32;
            }
        }
    }
    mean
}

/// Mean over the queries of what each token receives from one head.
pub(super) fn received(
    maps: &AttentionMaps,
    layer: usize,
    row: usize,
    head: usize,
    length: usize,
) -> Vec<f32> {
    let mut mean = vec![0.0; length];
    for query in 0..length {
        for (sum, weight) in mean.iter_mut().zip(maps.line(layer, row, head, query)) {
            *sum += weight / length as f32;
        }
    }
    mean
}

/// The relevance of each of `length` tokens to the mean of the last layer's outputs; they sum to 1
/// where every query's attention does.
pub(super) fn rollout(layers: &[Vec<f32>], length: usize) -> Vec<f32> {
    let mut relevance = vec![1.0 / length as f32; length];
    // From the output back to the input, so that it is one vector and not a product of matrices.
    for layer in layers.iter().rev() {
        let mut before: Vec<f32> = relevance.iter().map(|share| share / 2.0).collect();
        for (query, share) in relevance.iter().enumerate() {
            let line = &layer[query * length..(query + 1) * length];
            for (sum, weight) in before.iter_mut().zip(line) {
                *sum += share * weight / 2.0;
            }
        }
        relevance = before;
    }
    relevance
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of two real tokens and one of padding, two heads, two layers.
    fn maps() -> AttentionMaps {
        let head = |a: f32, b: f32| vec![a, 1.0 - a, 0.0, b, 1.0 - b, 0.0, 1.0, 0.0, 0.0];
        let weights = [head(1.0, 0.0), head(0.0, 0.0), head(0.5, 0.5), head(0.5, 0.5)].concat();
        AttentionMaps { layers: 2, rows: 1, heads: 2, cols: 3, weights }
    }

    #[test]
    fn rollout_is_the_product_of_the_layers() {
        let maps = maps();
        let layers: Vec<Vec<f32>> = (0..2).map(|layer| mean_of_heads(&maps, layer, 0, 2)).collect();
        assert_eq!(layers[0], [0.5, 0.5, 0.0, 1.0]);
        assert_eq!(layers[1], [0.5; 4]);
        // By hand: (I + A1)/2 = [.75 .25; 0 1], (I + A2)/2 = [.75 .25; .25 .75]; the mean of the
        // lines of their product is [.5 .5] * [.75 .25; 0 1].
        assert_eq!(rollout(&layers, 2), [0.375, 0.625]);
        assert_eq!(received(&maps, 0, 0, 0, 2), [0.5, 0.5]);
        assert_eq!(received(&maps, 0, 0, 1, 2), [0.0, 1.0]);
    }
}
