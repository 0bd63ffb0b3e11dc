//! The proxy: everything that touches the operating system.

pub mod clock;
pub mod counters;
pub mod driver;
pub mod health;
pub mod proxy;
pub mod shared;
pub mod telemetry;
