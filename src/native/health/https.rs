//! An HTTP probe over TLS. Who cannot show a good certificate gets no request.

use super::http::Ask;
use super::target::Target;
use super::tls::Tls;
use crate::engine::ServerProtocol;

/// Asks over TLS.
///
/// # Errors
/// When the answer is not as a healthy server's; the text says how.
pub(super) async fn probe(
    target: &Target<'_>,
    ask: &Ask,
    tls: &Tls,
    protocol: ServerProtocol,
) -> Result<(), String> {
    let stream = tls.over(target.connect().await?, target.name).await?;
    match protocol {
        ServerProtocol::Http1 => ask.probe(stream, target).await,
        ServerProtocol::Http2 => ask.probe_http2(stream, target, "https").await,
    }
}
