//! What gRPC says of how a call went, which HTTP does not: its answers have status
//! 200 whatever comes of them, and `grpc-status` behind the body, or in the head
//! where there is no body.

use http::{HeaderMap, StatusCode};

/// By what status a server is judged for what its head, or its trailers, say of a
/// call; `None` where they say nothing. Which status of gRPC is which of HTTP is
/// as Envoy has it, so that the same answers eject a server.
pub(super) fn status(fields: &HeaderMap) -> Option<StatusCode> {
    let status = fields.get("grpc-status")?.to_str().ok()?;
    Some(match status {
        "0" => StatusCode::OK,
        // Invalid argument, failed precondition, out of range.
        "3" | "9" | "11" => StatusCode::BAD_REQUEST,
        "16" => StatusCode::UNAUTHORIZED,
        "7" => StatusCode::FORBIDDEN,
        "5" => StatusCode::NOT_FOUND,
        // Already exists, aborted.
        "6" | "10" => StatusCode::CONFLICT,
        // Resource exhausted.
        "8" => StatusCode::TOO_MANY_REQUESTS,
        // Cancelled, which the client did.
        "1" => StatusCode::from_u16(499).ok()?,
        // Unimplemented.
        "12" => StatusCode::NOT_IMPLEMENTED,
        // Unavailable.
        "14" => StatusCode::SERVICE_UNAVAILABLE,
        // Deadline exceeded.
        "4" => StatusCode::GATEWAY_TIMEOUT,
        // Unknown, internal, data loss, and what gRPC does not have.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    })
}

/// Whether trailers say that a call failed at the server.
pub(super) fn has_failed(trailers: &HeaderMap) -> bool {
    status(trailers).is_some_and(|status| status.is_server_error())
}
