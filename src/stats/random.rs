//! Random numbers that follow from a key alone: no state to save, the same on every machine, and
//! never shared with a backend's own generator.

/// Mixes words into 64 bits: one round of SplitMix64's finaliser per word (Steele, Lea, Flood,
/// "Fast splittable pseudorandom number generators", 2014).
pub fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0x243f_6a88_85a3_08d3, |state, word| finalise(state ^ finalise(*word)))
}

fn finalise(word: u64) -> u64 {
    let z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The stream of numbers of one key: the n-th is a function of key and n.
#[derive(Clone, Debug)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// Starts the stream of `key`; a word of it should name the purpose, so that two uses of one
    /// seed never share numbers.
    pub fn new(key: &[u64]) -> Self {
        Self { key: mix(key), counter: 0 }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.counter += 1;
        finalise(self.key ^ finalise(self.counter))
    }

    /// A whole number below `bound`, which must not be 0 (Lemire's multiply, whose bias is below
    /// `bound` / 2^64).
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * bound as u128;
        (wide >> 64) as usize
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_fixed_for_ever_and_keys_differ() {
        let mut stream = Stream::new(&[1, 2]);
        let first: Vec<u64> = (0..3).map(|_| stream.next_u64()).collect();
        assert_eq!(
            first,
            [10_896_028_642_994_736_288, 11_534_182_351_463_132_021, 16_299_856_255_350_999_488],
            "a recorded seed would no longer give the recorded numbers"
        );
        assert_ne!(mix(&[1, 2]), mix(&[2, 1]));
        assert_ne!(mix(&[0]), mix(&[0, 0]));
    }

    #[test]
    fn below_is_even() {
        let mut stream = Stream::new(&[7]);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[stream.below(10)] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
    }
}
