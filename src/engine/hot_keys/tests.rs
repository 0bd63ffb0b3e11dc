//! The guarantees of the sketch, beside exact counts.

use std::collections::BTreeMap;

use super::*;

/// SplitMix64; also what makes ids of numbers.
fn mixed(n: u64) -> u64 {
    let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn sketch(capacity: u32) -> KeySketch {
    let settings = HotKeys {
        capacity,
        ..HotKeys::default()
    };
    KeySketch::new(&settings, Timestamp::ZERO)
}

fn see(sketch: &mut KeySketch, id: u64) {
    sketch.count(id, Position::from_bits(id), &id.to_le_bytes());
}

fn counts(sketch: &KeySketch) -> KeyCounts {
    let keys = sketch.entries.iter().map(|entry| KeyCount {
        id: entry.id,
        position: entry.position,
        key: Box::default(),
        is_truncated: false,
        count: sketch.heap.count(entry.place),
        error: entry.error,
        is_spread: false,
    });
    let capacity = sketch.settings.capacity as usize;
    let least = sketch.heap.least_when_full();
    KeyCounts::new(capacity, sketch.total, least, keys.collect())
}

/// Streams of ids: Zipf-like, all different, all colliding in the index,
/// and each key just as it was forgotten.
fn streams(seed: u64) -> Vec<Vec<u64>> {
    let zipf = |i: u64| {
        let unit = (mixed(seed ^ i) >> 11) as f64 / (1_u64 << 53) as f64;
        mixed((1.0 / (unit + 1e-4)) as u64)
    };
    vec![
        (0..20_000).map(zipf).collect(),
        (0..5_000).map(|i| mixed(seed.wrapping_add(i))).collect(),
        (0..5_000).map(|i| (mixed(seed ^ i) % 90) << 20).collect(),
        (0..5_000).map(|i| mixed(i % 33)).collect(),
    ]
}

/// Every bound there is, of counts of which the truth is `exact` (in units).
fn check(counts: &KeyCounts, exact: &BTreeMap<u64, u64>, slack: u64) {
    let sum: u64 = exact.values().sum();
    assert!(counts.total >= sum && counts.total <= sum + slack);
    assert!(counts.keys.len() <= counts.capacity);
    for key in &counts.keys {
        let truth = exact[&key.id];
        assert!(key.at_least() <= truth, "{key:?} {truth}");
        assert!(truth <= key.count + slack, "{key:?} {truth}");
    }
    let limit = counts.total / counts.capacity as u64;
    assert!(counts.missed <= limit + slack);
    for (id, &truth) in exact {
        let is_in = counts.keys.iter().any(|key| key.id == *id);
        assert!(is_in || truth <= counts.missed + slack);
        assert!(is_in || truth <= limit + slack, "{id:x}");
    }
}

#[test]
fn counts_bound_the_truth_and_no_frequent_key_is_missed() {
    for seed in 0..4 {
        for (n, stream) in streams(seed).iter().enumerate() {
            for capacity in [1, 2, 7, 32, 256] {
                let mut sketch = sketch(capacity);
                let mut exact = BTreeMap::new();
                for &id in stream {
                    see(&mut sketch, id);
                    *exact.entry(id).or_default() += ONE;
                }
                println!("seed {seed}, stream {n}, capacity {capacity}");
                sketch.heap.check(&sketch.entries);
                for (number, entry) in sketch.entries.iter().enumerate() {
                    let found = sketch.index.find(entry.id, &sketch.entries);
                    assert_eq!(found, Some(number as u16));
                }
                let counts = counts(&sketch);
                // Nothing is lost: all counts together are all requests.
                let sum: u64 = counts.keys.iter().map(|key| key.count).sum();
                assert_eq!(sum, counts.total);
                check(&counts, &exact, 0);
            }
        }
    }
}

#[test]
fn merged_counts_keep_the_bounds() {
    for seed in 0..4 {
        for stream in streams(seed) {
            let mut sketches = [sketch(32), sketch(32), sketch(32)];
            let mut exact = BTreeMap::new();
            for (i, id) in stream.into_iter().enumerate() {
                // Unevenly, as connections fall to workers.
                let worker = [0, 0, 0, 1, 1, 2][mixed(seed ^ i as u64) as usize % 6];
                see(&mut sketches[worker], id);
                *exact.entry(id).or_default() += ONE;
            }
            println!("seed {seed}");
            let merged = KeyCounts::merged(sketches.iter().map(counts));
            check(&merged, &exact, 0);
            let [a, b, c] = sketches.each_ref().map(counts);
            let in_steps = KeyCounts::merged([KeyCounts::merged([a, b]), c]);
            check(&in_steps, &exact, 0);
        }
    }
}

#[test]
fn counts_halve_and_the_bounds_hold_to_within_a_unit() {
    let mut sketch = sketch(32);
    let mut exact: BTreeMap<u64, f64> = BTreeMap::new();
    for round in 1..=40_u64 {
        for i in 0..500 {
            let id = mixed((mixed((round << 20) | i) % 1000).min(60 + round));
            see(&mut sketch, id);
            *exact.entry(id).or_default() += ONE as f64;
        }
        sketch.advance(Timestamp::from_millis(60_000 * round));
        exact.values_mut().for_each(|count| *count /= 2.0);
        sketch.heap.check(&sketch.entries);
        for key in &counts(&sketch).keys {
            let truth = exact[&key.id];
            assert!(key.at_least() as f64 <= truth && truth < key.count as f64 + 1.0);
        }
    }
    // Time that stands still or runs backwards ages nothing; much of it, all.
    let before = sketch.clone();
    sketch.advance(Timestamp::from_millis(60_000 * 40 + 59_999));
    assert!(sketch.is_as(&before));
    sketch.advance(Timestamp::MAX);
    assert_eq!(counts(&sketch).keys().count(), 0);
    assert!(sketch.total <= 1);
}

#[test]
fn a_million_keys_take_no_more_memory_than_the_first() {
    let mut sketch = sketch(256);
    let bytes = |sketch: &KeySketch| {
        sketch.entries.capacity() * size_of::<Entry>()
            + sketch.heap.bytes()
            + sketch.index.bytes()
            + sketch.keys.len()
    };
    let before = bytes(&sketch);
    for i in 0..1_000_000 {
        see(&mut sketch, mixed(i));
    }
    assert_eq!(sketch.entries.len(), 256);
    assert_eq!(bytes(&sketch), before);
    assert!(before < 64 << 10, "{before}");
}

#[test]
fn long_keys_are_cut_and_never_shown_by_debug() {
    let mut sketch = sketch(4);
    let key = [b'<'; 10_240];
    sketch.count(1, Position::from_bits(1), &key);
    assert_eq!(sketch.entries[0].n_shown, 128);
    assert!(sketch.entries[0].is_truncated);
    assert!(!format!("{sketch:?} {:?}", counts(&sketch)).contains("60, 60"));
}

#[test]
fn without_capacity_nothing_is_counted() {
    let mut sketch = sketch(0);
    see(&mut sketch, 1);
    assert_eq!((sketch.total, sketch.entries.len()), (0, 0));
}
