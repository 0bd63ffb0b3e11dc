//! Maglev: a table of slots that the servers fill in turns.
//!
//! Eisenbud et al., «Maglev: a fast and reliable software network load
//! balancer», NSDI 2016; turns by weight as in Envoy's implementation. Shares
//! are even to within a slot or two. When a server comes or goes somewhat more
//! keys move than must.

use core::fmt;

use super::ring::{Position, Share};

/// How many slots a table has: a prime from 2 to 5,000,011, so that every
/// server's way through the slots comes to each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize(u32);

impl TableSize {
    /// 65,537, as in the paper and in Envoy: even to 1 % for 100 servers.
    pub const DEFAULT: Self = Self(65_537);
    /// The largest: Envoy's.
    pub const MAX: u32 = 5_000_011;
    /// What is allowed, in words.
    pub const ALLOWED: &'static str = "a prime number from 2 to 5000011";

    /// Accepts a prime from 2 to 5,000,011.
    ///
    /// # Errors
    /// When `size` is none.
    pub fn new(size: u64) -> Result<Self, TableSizeError> {
        let small = u32::try_from(size).ok().filter(|&n| n <= Self::MAX);
        match small.filter(|&n| is_prime(n)) {
            Some(size) => Ok(Self(size)),
            None => Err(TableSizeError { given: size }),
        }
    }

    /// The size as a number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

fn is_prime(n: u32) -> bool {
    let mut divisors = (2..).take_while(|d| d * d <= n);
    n >= 2 && divisors.all(|d| !n.is_multiple_of(d))
}

/// A number that is no [`TableSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSizeError {
    given: u64,
}

impl fmt::Display for TableSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = TableSize::ALLOWED;
        write!(f, "{} is not allowed; give {allowed}", self.given)
    }
}

impl std::error::Error for TableSizeError {}

/// Who fills slots, and where their ways begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filler {
    /// Says which slot comes first.
    pub(super) offset: u64,
    /// Says how far it is from one slot to the next.
    pub(super) skip: u64,
    /// How often it has its turn, relative to the others. Sums of these decide,
    /// so a product's table needs the product's floating-point numbers; whole
    /// numbers are exact.
    pub(super) weight: f64,
}

/// The filled slots.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Maglev {
    /// By slot: which filler has it.
    slots: Vec<u16>,
    /// 2^128 over the number of slots, rounded up.
    reciprocal: u128,
}

impl Maglev {
    /// The most fillers: what a slot can name.
    pub(super) const FILLERS_MAX: usize = 1 << 16;

    /// Lets `fillers` (at least one, at most [`Self::FILLERS_MAX`]) fill a
    /// table, in turns in the given order.
    pub(super) fn new(size: TableSize, fillers: &[Filler]) -> Self {
        let size = u64::from(size.number());
        let heaviest = fillers.iter().map(|f| f.weight).fold(0.0, f64::max);
        // Where each filler looks next, and how far it goes from there.
        let mut ways: Vec<(u64, u64)> = fillers
            .iter()
            .map(|filler| {
                let skip = filler.skip % (size - 1).max(1) + 1;
                (filler.offset % size, skip)
            })
            .collect();
        let mut turns_due = vec![0.0; fillers.len()];
        let mut slots = vec![None; size as usize];
        let mut n_free = slots.len();
        let mut round = 0.0;
        while n_free > 0 && !fillers.is_empty() {
            round += 1.0;
            for (i, filler) in fillers.iter().enumerate() {
                if n_free == 0 {
                    break;
                }
                // The heaviest has a turn in each round, the others whenever
                // they have saved up for one.
                if round * filler.weight < turns_due[i] {
                    continue;
                }
                turns_due[i] += heaviest;
                let (next, skip) = &mut ways[i];
                while slots[*next as usize].is_some() {
                    *next = step(*next, *skip, size);
                }
                slots[*next as usize] = Some(i as u16);
                *next = step(*next, *skip, size);
                n_free -= 1;
            }
        }
        Self {
            slots: slots.into_iter().map(Option::unwrap_or_default).collect(),
            reciprocal: u128::MAX / u128::from(size) + 1,
        }
    }

    /// Which filler has the slot of the key at `position`: that of its
    /// remainder.
    #[inline]
    pub(super) fn owner(&self, position: Position) -> u32 {
        u32::from(self.slots[self.remainder(position.bits())])
    }

    /// `bits` modulo the number of slots, by multiplying: the fraction of
    /// `bits` over that number, in units of 2^-128, times that number (Lemire
    /// et al., «Faster remainder by direct computation», 2019).
    #[inline]
    fn remainder(&self, bits: u64) -> usize {
        let n_slots = self.slots.len() as u128;
        let fraction = self.reciprocal.wrapping_mul(u128::from(bits));
        let low = ((fraction & u128::from(u64::MAX)) * n_slots) >> 64;
        (((fraction >> 64) * n_slots + low) >> 64) as usize
    }

    /// How many slots there are.
    pub(super) fn n_slots(&self) -> usize {
        self.slots.len()
    }

    /// By slot: which filler has it, and what part of all keys falls into it.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u32, Share)> {
        // Of 2^64 positions so many have each remainder, and the first
        // remainders one more.
        let (each, more) = (
            Share::WHOLE.units() / self.slots.len() as u128,
            Share::WHOLE.units() % self.slots.len() as u128,
        );
        self.slots.iter().enumerate().map(move |(slot, &filler)| {
            let units = each + u128::from((slot as u128) < more);
            (u32::from(filler), Share::from_units(units))
        })
    }
}

fn step(from: u64, by: u64, size: u64) -> u64 {
    let to = from + by;
    if to >= size { to - size } else { to }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remainder_is_the_remainder() {
        let filler = Filler {
            offset: 3,
            skip: 5,
            weight: 1.0,
        };
        for size in [2, 3, 7, 65_537, 655_373, 5_000_011_u64] {
            let slots = Maglev::new(TableSize::new(size).expect("a prime"), &[filler]);
            let edges = [0, 1, size - 1, size, size + 1, u64::MAX - 1, u64::MAX];
            let near = u64::MAX / size * size;
            let drawn = (1..2_000_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for bits in edges.into_iter().chain([near - 1, near]).chain(drawn) {
                assert_eq!(slots.remainder(bits) as u64, bits % size, "{bits} {size}");
            }
        }
    }
}
