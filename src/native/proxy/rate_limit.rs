//! Limits on rates as clients meet them: who is asking, and what the answer
//! says of it (draft-ietf-httpapi-ratelimit-headers-10).

use http::{HeaderMap, HeaderName, HeaderValue, request};

use super::asker::Asker;
use super::error::ProxyError;
use super::worker::WorkerFleet;
use crate::native::rate_limit::Allowance;

/// What there is to spend.
static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// By which rules.
static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Counts a request before anything else is done for it. What is returned is
/// for [`tell`].
///
/// # Errors
/// When its client, or its key, has asked too often.
pub(super) fn admit(
    asker: &Asker,
    fleet: &WorkerFleet,
    head: &request::Parts,
) -> Result<Vec<Allowance>, ProxyError> {
    if fleet.rate_limits().is_empty() {
        return Ok(Vec::new());
    }
    ask(asker, fleet, head)
}

/// Kept apart, so that nothing of it is in the way of those who limit nobody.
#[inline(never)]
fn ask(
    asker: &Asker,
    fleet: &WorkerFleet,
    head: &request::Parts,
) -> Result<Vec<Allowance>, ProxyError> {
    let limits = fleet.rate_limits();
    // Its key is not counted among the hot ones until it is admitted.
    let parts = asker.key_parts(head, None);
    let key = (limits.has_hash_key()).then(|| fleet.rules().hash_key.key(parts));
    let admitted = limits.admit(asker.address, key.flatten().as_deref());
    admitted.map_err(ProxyError::RateLimited)
}

/// Has an answer say how its client stands with the limits; a server's own
/// limits stay beside them.
pub(super) fn tell(allowances: &[Allowance], headers: &mut HeaderMap) {
    if allowances.is_empty() {
        return;
    }
    let list = |item: fn(Allowance) -> String| {
        let items: Vec<String> = allowances.iter().copied().map(item).collect();
        // Words and numbers are all that is in it.
        HeaderValue::try_from(items.join(", ")).unwrap_or(HeaderValue::from_static(""))
    };
    headers.append(&RATELIMIT_POLICY, list(Allowance::policy_item));
    headers.append(&RATELIMIT, list(Allowance::item));
}
