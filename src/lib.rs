//! Ringway: consistent hashing, one engine in three places.
pub mod config;
pub mod engine;
pub mod wire;
