//! The page: the files of `www/`, embedded when the binary is built.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;
use rust_embed::{Embed, EmbeddedFile};

use super::auth;
use super::call::{Answer, Call, answer};
use super::problem::{Kind, Problem};

/// The files. There may be none, in a checkout without the page.
#[derive(Embed)]
#[folder = "www/"]
#[allow_missing = true]
struct Page;

/// What the page's scripts load; built before the binary, and not committed.
const BUILT: &str = "pkg/";

/// Only own scripts and styles, and WebAssembly; calls to this API alone; in
/// nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn index(call: &Call) -> Answer {
    let is_built = Page::iter().any(|path| path.starts_with(BUILT));
    match Page::get("index.html").filter(|_| is_built) {
        Some(file) => Ok(show("index.html", file, &call.headers)),
        None => Err(Problem::new(
            Kind::NotFound,
            "the page is not in this binary: build it with `make run`, \
             which builds the page's WebAssembly first",
        )),
    }
}

/// The file at `path`, if there is one.
pub(super) fn find(path: &str, headers: &HeaderMap) -> Option<http::Response<axum::body::Body>> {
    let name = percent_decode_str(path.strip_prefix('/')?);
    let name = name.decode_utf8().ok()?;
    // The page's stand-ins for an API, for servers that have none.
    if !auth::is_open(&format!("/{name}")) {
        return None;
    }
    Page::get(&name).map(|file| show(&name, file, headers))
}

fn show(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> http::Response<axum::body::Body> {
    let hash = file.metadata.sha256_hash();
    let hash: String = hash[..16].iter().map(|b| format!("{b:02x}")).collect();
    let tag = HeaderValue::from_str(&format!("\"{hash}\""));
    let tag = tag.unwrap_or(HeaderValue::from_static("\"\""));
    let is_known = super::servers::names(headers, &header::IF_NONE_MATCH, &tag);
    let mut response = if is_known {
        answer(StatusCode::NOT_MODIFIED, content_type(name), Vec::new())
    } else {
        answer(StatusCode::OK, content_type(name), file.data.into_owned())
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    for (name, value) in [
        // Kept, but asked for again each time: a new binary has new files.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" | "" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
