//! Benchmarks of the ring.

fn main() {}
