//! What bounded loads did: how many requests they sent elsewhere, and how far
//! they had to look.

/// Sums over requests that went where bounded loads said. A request that is
/// tried again at another server counts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoundedCounters {
    /// How many.
    pub requests: u64,
    /// Those of them that went to another server than without bounds.
    pub overflowed: u64,
    /// How many candidates were asked for them whether they are below their
    /// bounds: [`Route::n_asked`](super::Route::n_asked) added up, the probes of
    /// the literature.
    pub asked: u64,
    /// The most that were asked for one request.
    pub asked_max: u64,
}
