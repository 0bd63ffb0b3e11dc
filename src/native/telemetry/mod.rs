//! What the proxy tells about itself.

pub mod access_log;
pub mod events;
