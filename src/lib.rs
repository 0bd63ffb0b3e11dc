//! Ringway: consistent hashing, one engine in three places.

pub mod engine;

pub mod wire;

pub mod config;

#[cfg(not(target_arch = "wasm32"))]
mod number;

#[cfg(target_arch = "wasm32")]
#[path = "wasm/number.rs"]
mod number;

#[cfg(not(target_arch = "wasm32"))]
pub mod native;

#[cfg(target_arch = "wasm32")]
mod wasm;
