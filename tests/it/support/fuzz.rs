//! A run of things made up from a seed: a fixed number of them, or for as long
//! as it is told to.
//!
//! The seed is printed; `RINGWAY_FUZZ_SEED` repeats it, and
//! `RINGWAY_FUZZ_SECONDS=600` goes on for ten minutes.

use std::time::Duration;

use ringway::engine::Timestamp;
use ringway::native::clock;

use super::rng::Rng;

/// Cases in a normal run.
pub(crate) const CASES: u32 = 2000;

pub(crate) struct Run {
    pub(crate) rng: Rng,
    seed: u64,
    pub(crate) n: u32,
    until: Option<Timestamp>,
}

impl Run {
    pub(crate) fn new(default_seed: u64) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let seed = number("RINGWAY_FUZZ_SEED").unwrap_or(default_seed);
        println!("RINGWAY_FUZZ_SEED={seed}");
        let seconds = number("RINGWAY_FUZZ_SECONDS").map(Duration::from_secs);
        Self {
            rng: Rng::new(seed),
            seed,
            n: 0,
            until: seconds.map(|seconds| clock::now().after(seconds)),
        }
    }

    pub(crate) fn goes_on(&mut self) -> bool {
        self.n += 1;
        match self.until {
            Some(until) => clock::now() < until,
            None => self.n <= CASES,
        }
    }

    /// For messages: where we are.
    pub(crate) fn place(&self) -> String {
        format!("case {} of seed {}", self.n, self.seed)
    }

    /// `bytes` with a few of them changed, dropped, doubled or swapped for
    /// pieces of `pieces`.
    pub(crate) fn mangled(&mut self, bytes: &[u8], pieces: &[&str]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.rng.below(4) {
            let at = self.rng.below(bytes.len() as u64 + 1) as usize;
            let to = (at + self.rng.below(12) as usize).min(bytes.len());
            let piece = match self.rng.below(5) {
                0 => vec![self.rng.next() as u8],
                1 => bytes[at..to].repeat(2),
                2 => Vec::new(),
                _ => self.rng.pick(pieces).copied().unwrap_or_default().into(),
            };
            bytes.splice(at..to, piece);
        }
        bytes
    }
}
