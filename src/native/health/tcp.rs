//! A TCP probe: that the server takes a connection is enough.

use super::target::Target;

/// Connects, and closes again.
///
/// # Errors
/// When it cannot; the text says why.
pub(super) async fn probe(target: &Target<'_>) -> Result<(), String> {
    target.connect().await.map(drop)
}
