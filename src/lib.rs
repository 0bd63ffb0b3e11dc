//! Ringway: consistent hashing, one engine in three places.
pub mod engine;
