//! One request as the rooms see it, and how they answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use deserr::Deserr;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::Admin;
use super::problem::Problem;
use crate::engine::ServerName;
use crate::wire::{self, Faults};

/// What a room has to answer with.
pub(super) type Answer = Result<Response<Body>, Problem>;

/// A request that its entry allows.
#[derive(Debug)]
pub(super) struct Call {
    /// Who is asked.
    pub(super) admin: Arc<Admin>,
    /// Where the connection came in.
    pub(super) local: SocketAddr,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// The connection, once it has changed over to another protocol.
    pub(super) upgrade: Option<OnUpgrade>,
    /// The part of the path that names a server, decoded.
    pub(super) name: Option<String>,
    /// The parameters of the query that the entry knows, decoded, each once.
    pub(super) query: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Bytes,
}

impl Call {
    /// The server that the path names.
    ///
    /// # Errors
    /// When no server can have such a name.
    pub(super) fn name(&self) -> Result<ServerName, Problem> {
        let name = self.name.as_deref().unwrap_or_default();
        Ok(ServerName::new(name).map_err(|error| Faults::new("name", error))?)
    }

    /// The bytes of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&[u8]> {
        let mut known = self.query.iter();
        known
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_slice())
    }

    /// A parameter of the query as text (bytes that are not UTF-8 replaced).
    pub(super) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.parameter(name).map(String::from_utf8_lossy)
    }

    /// The body as a shape.
    ///
    /// # Errors
    /// Every fault of it.
    pub(super) fn read<T: Deserr<Faults>>(&self) -> Result<T, Problem> {
        Ok(wire::parse(&self.body)?)
    }
}

/// A part of a query decoded as forms encode it: `+` is a space.
pub(super) fn decoded(part: &str) -> Vec<u8> {
    percent_decode_str(&part.replace('+', " ")).collect()
}

/// A shape as an answer.
pub(super) fn json(status: StatusCode, view: &impl Serialize) -> Response<Body> {
    // Shapes have only texts for keys and no serialiser of their own that fails.
    let text = serde_json::to_vec(view).unwrap_or_default();
    answer(status, "application/json", text)
}

/// An answer with this content.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(content.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
