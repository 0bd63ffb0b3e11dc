//! nginx: `ngx_http_upstream_hash_module`, `hash KEY consistent`.

use super::hashes::CRC_32;
use super::{CompatError, CompatPoint, Numbered, authority, hash_name, upper, within_limit};

/// Points for each unit of weight.
const POINTS: u64 = 160;

/// What stands in the `server` directive is hashed as host, zero byte, port;
/// each point hashes the one before, too.
pub(super) fn points(servers: &[Numbered<'_>]) -> Result<Vec<CompatPoint>, CompatError> {
    let weights = servers.iter().map(|s| u64::from(s.server.weight.number()));
    let mut points = Vec::with_capacity(within_limit(weights.sum::<u64>() * POINTS)?);
    for (i, &Numbered { server, .. }) in servers.iter().enumerate() {
        let text = hash_name(server, || authority(server));
        let (host, port) = split(&text);
        let mut base = CRC_32.digest();
        base.update(host);
        base.update(&[0]);
        base.update(port);
        let mut previous = 0_u32;
        for _ in 0..u64::from(server.weight.number()) * POINTS {
            let mut digest = base.clone();
            digest.update(&previous.to_le_bytes());
            previous = digest.finalize();
            points.push((upper(previous), i));
        }
    }
    Ok(points)
}

/// Host and port of a `server` directive, as nginx tells them apart. A port
/// that is not written is not hashed.
fn split(text: &str) -> (&[u8], &[u8]) {
    let bytes = text.as_bytes();
    if bytes.len() >= 5 && bytes[..5].eq_ignore_ascii_case(b"unix:") {
        return (&bytes[5..], b"");
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (host.as_bytes(), port.as_bytes())
        }
        _ => (bytes, b""),
    }
}
