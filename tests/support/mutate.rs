//! Mutants of valid samples, from a seed.

/// SplitMix64: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Most bytes of a mutant.
const BYTES_MAX: usize = 1 << 20;

/// What is written in the place of a number in a text.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1e999",
    "NaN",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1000000000000",
];

/// What is put into a text: openers without an end, odd characters, signs that mean something.
const PIECES: [&str; 24] = [
    "[",
    "{",
    "{\"a\":",
    "(",
    "\"",
    "'",
    "\\",
    "\\u",
    "\\ud800",
    ",",
    ":",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "&a [*a,*a]",
    "!!binary ",
    "- ",
    "\u{feff}",
    "\u{e9}",
    "\u{1f600}",
    "not ",
    "%s",
    "*",
];

/// Large numbers in seven bits a byte, and in the form of events.
const VARINTS: [&[u8]; 5] = [
    &[0xfe, 0xff, 0xff, 0x7f],
    &[0xfe, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[252, 0xff, 0xff, 0xff, 0x7f],
    &[253, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
];

/// One sample with one to four changes, or a bare start of one.
pub fn mutant(samples: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = samples[random.below(samples.len())].clone();
    // Half of all mutants differ in one place: most of the others fail before they come far.
    let changes = if random.below(2) == 0 { 1 } else { 1 + random.below(4) };
    for _ in 0..changes {
        change(&mut bytes, samples, random);
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, samples: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = at + random.below(bytes.len().saturating_sub(at).min(64) + 1);
    match random.below(12) {
        0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        2 if !bytes.is_empty() => bytes[at] = *random.of(&[&0, &1, &0x7f, &0x80, &0xff]),
        3 => integer(bytes, at, random),
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..end)),
        6 => {
            // A part many times over: nesting, long lists, long lines.
            let part = bytes[at..end].to_vec();
            let times = *random.of(&[&2, &10, &1_000, &20_000]);
            let many = part.repeat(times.min(BYTES_MAX / part.len().max(1)));
            bytes.splice(at..at, many);
        }
        7 => {
            let piece = random.of(&PIECES);
            let times = *random.of(&[&1, &1, &1, &3, &5_000, &50_000]);
            bytes.splice(at..at, piece.repeat(times).into_bytes());
        }
        8 => {
            let other = &samples[random.below(samples.len())];
            let from = random.below(other.len());
            let to = from + random.below(other.len().saturating_sub(from) + 1);
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        // A number of variable length, as Thrift, HDF5 and events write them.
        9 if !bytes.is_empty() => drop(bytes.splice(at..=at, random.of(&VARINTS).iter().copied())),
        _ => digits(bytes, at, random),
    }
}

/// A length, a count or an offset, as binary formats write them.
fn integer(bytes: &mut [u8], at: usize, random: &mut Random) {
    let value: u64 = *random.of(&[
        &0,
        &1,
        &0xffff,
        &0x7fff_ffff,
        &0x8000_0000,
        &0xffff_ffff,
        &0x1_0000_0000,
        &0x7fff_ffff_ffff_ffff,
        &u64::MAX,
    ]);
    let size = *random.of(&[&2_usize, &4, &8]);
    let number = if random.below(4) == 0 {
        value.to_be_bytes()[8 - size..].to_vec()
    } else {
        value.to_le_bytes()[..size].to_vec()
    };
    for (byte, new) in bytes[at..].iter_mut().zip(number) {
        *byte = new;
    }
}

/// Another number in the place of the next one in a text; bits where there is none.
fn digits(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|from| at + from) else {
        return integer(bytes, at, random);
    };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(start..start + length, random.of(&NUMBERS).bytes());
}
