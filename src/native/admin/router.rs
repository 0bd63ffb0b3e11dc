//! From a request to the entry that answers it: reads what the entry allows,
//! refuses the rest.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, State};
use axum::routing::{MethodFilter, on};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::call::{Call, decoded};
use super::problem::{Kind, Problem};
use super::routes::{Entry, NAME, ROUTES, Run};
use super::{Admin, assets};
use crate::wire::{Fault, Faults};

/// The longest body of a request. A server's is a hundred bytes; a key or a
/// body to forward may be long.
pub(super) const BODY_MAX: usize = 1 << 20;

/// How long a client may take to send a body.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// The router over [`ROUTES`].
pub(super) fn router(admin: Arc<Admin>) -> Router {
    let mut router = Router::new();
    for entry in ROUTES {
        let handler = move |state: State<Arc<Admin>>, names, request| async move {
            enter(entry, state.0, names, request).await
        };
        router = router.route(entry.path, on(filter(&entry.method), handler));
    }
    router
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_allowed)
        .with_state(admin)
}

/// [`ROUTES`] uses no other methods.
fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET)
}

async fn enter(
    entry: &'static Entry,
    admin: Arc<Admin>,
    names: Result<RawPathParams, RawPathParamsRejection>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let result = match call(entry, admin, names, parts, body).await {
        Ok(call) => match entry.run {
            Run::Now(run) => run(&call),
            Run::Later(run) => run(call).await,
        },
        Err(problem) => Err(problem),
    };
    result.unwrap_or_else(Response::from)
}

/// What `entry` is called with.
async fn call(
    entry: &Entry,
    admin: Arc<Admin>,
    names: Result<RawPathParams, RawPathParamsRejection>,
    mut parts: Parts,
    body: Body,
) -> Result<Call, Problem> {
    let not_text = |_| Faults::new(NAME, "give the name's UTF-8 bytes, percent-encoded");
    let names = names.map_err(not_text)?;
    let name = names.iter().find(|(name, _)| *name == NAME);
    let query = query(entry, parts.uri.query().unwrap_or_default())?;
    let local = parts.extensions.get().copied();
    let body = match &entry.body {
        Some(_) => {
            check_content_type(&parts.headers)?;
            read(&parts.headers, body).await?
        }
        None => no_body(body).await?,
    };
    Ok(Call {
        admin,
        // Set on each connection by the listener.
        local: local.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
        name: name.map(|(_, name)| name.to_owned()),
        query,
        version: parts.version,
        headers: parts.headers,
        upgrade: parts.extensions.remove(),
        body,
    })
}

/// The parameters that `entry` knows; all others are refused, and so is one
/// that is given twice.
fn query(entry: &Entry, text: &str) -> Result<Vec<(&'static str, Vec<u8>)>, Problem> {
    let mut found: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let mut faults = Vec::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = decoded(name);
        let name = String::from_utf8_lossy(&name);
        let known = entry.query.iter().map(|parameter| parameter.name);
        let message = match known.clone().find(|known| *known == name) {
            Some(known) if found.iter().all(|(before, _)| *before != known) => {
                found.push((known, decoded(value)));
                continue;
            }
            Some(_) => Cow::Borrowed("this is given twice"),
            None if entry.query.is_empty() => "this call takes no parameters".into(),
            None => {
                let known: Vec<&str> = known.collect();
                let known = known.join(", ");
                format!("this parameter is not known here; known are {known}").into()
            }
        };
        // As many as anybody reads.
        if faults.len() < 20 {
            faults.push(Fault {
                path: name.chars().take(80).collect(),
                message: message.into_owned(),
            });
        }
    }
    Faults::check(faults)?;
    Ok(found)
}

/// A page of another site can have a browser send a form, or plain text, but
/// not JSON without asking first; so anything else is refused.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let media = given.as_deref().map(|given| given.split(';').next());
    let is_json = media
        .flatten()
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    if is_json {
        return Ok(());
    }
    let given = match given {
        Some(given) => format!("{given:?}"),
        None => "none".to_owned(),
    };
    Err(Problem::new(
        Kind::WrongContentType,
        format!("send the header Content-Type: application/json; given was {given}"),
    ))
}

async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            Kind::TooLarge,
            format!("give a body of at most {BODY_MAX} bytes"),
        )
    };
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_MAX as u64) {
        return Err(too_large());
    }
    let all = async {
        let mut content = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let broken = |_| Problem::new(Kind::BadRequest, "the body broke off");
            let frame = frame.map_err(broken)?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            if content.len() + data.len() > BODY_MAX {
                return Err(too_large());
            }
            content.extend_from_slice(data);
        }
        Ok(content.freeze())
    };
    timeout(BODY_WAIT, all).await.unwrap_or_else(|_| {
        let wait = BODY_WAIT.as_secs();
        let detail = format!("the body was not whole within {wait} s");
        Err(Problem::new(Kind::Timeout, detail))
    })
}

/// What comes with a call that takes nothing is most likely meant for another.
async fn no_body(mut body: Body) -> Result<Bytes, Problem> {
    if http_body::Body::is_end_stream(&body) {
        return Ok(Bytes::new());
    }
    let first = timeout(BODY_WAIT, body.frame()).await;
    match first {
        Ok(None) => Ok(Bytes::new()),
        _ => Err(Problem::new(
            Kind::BadRequest,
            "this call takes no body; send none",
        )),
    }
}

async fn nothing_here(request: Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let file = is_read.then(|| assets::find(path, request.headers()));
    file.flatten().unwrap_or_else(|| {
        let shown: String = path.chars().take(200).collect();
        let detail = format!("there is nothing at {shown}; /openapi.json has all there is");
        Problem::new(Kind::NotFound, detail).into()
    })
}

async fn not_allowed(request: Request<Body>) -> Response<Body> {
    // The router adds what is allowed.
    let detail = format!(
        "{} cannot be done here; the header Allow says what can",
        request.method()
    );
    Problem::new(Kind::MethodNotAllowed, detail).into()
}
