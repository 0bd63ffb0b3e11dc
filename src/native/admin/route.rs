//! Where a key goes, why, and (if asked) what comes back from there.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::call::{Answer, Call, json};
use super::forward::{self, Outgoing};
use super::problem::Problem;
use crate::native::asked::Asked;
use crate::wire::{ExplainView, Fault, Faults, GivenHeaders, RequestSpec, RouteSpec, RouteView};

pub(super) fn explain(call: &Call) -> Answer {
    let Some(key) = call.parameter("key") else {
        let missing = "this is required and was not given";
        return Err(Faults::new("key", missing).into());
    };
    let fleet = call.admin.shared.fleet().load_full();
    let view = ExplainView::new(&fleet.table, &*fleet, key, None);
    Ok(json(StatusCode::OK, &view))
}

pub(super) fn explain_request(call: &Call) -> Answer {
    let spec: RequestSpec = call.read()?;
    let fields = spec.headers.iter().flat_map(GivenHeaders::iter);
    let asked = Asked::new(&spec.path, fields, spec.client_ip.as_deref())?;
    let fleet = call.admin.shared.fleet().load_full();
    let chain = &fleet.config.routing.hash_key;
    let view = asked.explained(chain, &fleet.table, &*fleet)?;
    Ok(json(StatusCode::OK, &view))
}

pub(super) async fn route(call: Call) -> Answer {
    let spec: RouteSpec = call.read()?;
    let outgoing = outgoing(&spec)?;
    let fleet = call.admin.shared.fleet().load_full();
    let table = &fleet.table;
    let position = table.position(spec.key.as_bytes());
    let route = match table.keyless() {
        None => table.route(Some(position), &*fleet, &[]),
        Some(_) => call.admin.shared.pick(&fleet),
    }?;
    let server = &table.server(route.server).server;
    let mut view = RouteView::new(table, &*fleet, route.server, spec.key, &spec.path);
    if let Some(outgoing) = outgoing {
        let timeouts = &call.admin.shared.config().timeouts;
        view.forwarded = Some(forward::send(server, outgoing, timeouts).await);
    }
    Ok(json(StatusCode::OK, &view))
}

/// Fields that belong to a connection and not to a request, and those that
/// follow from the body: sent as the connection needs them.
const NOT_GIVEN: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Header fields of a request to be sent; servers take about as many.
const HEADERS_MAX: usize = 100;

/// The request to send, if one is to be sent.
fn outgoing(spec: &RouteSpec) -> Result<Option<Outgoing>, Problem> {
    let mut faults = Vec::new();
    let mut fault = |path: String, message: &str| {
        faults.push(Fault {
            path,
            message: message.to_owned(),
        });
    };
    if !spec.forward {
        for (field, is_given) in [
            ("method", spec.method.is_some()),
            ("headers", spec.headers.is_some()),
            ("body", spec.body.is_some()),
        ] {
            if is_given {
                fault(field.to_owned(), "this needs \"forward\": true");
            }
        }
        Faults::check(faults)?;
        return Ok(None);
    }
    let method = match &spec.method {
        None => Some(Method::GET),
        Some(text) => Method::from_bytes(text.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT),
    };
    if method.is_none() {
        let allowed = "give the name of a method, other than CONNECT";
        fault("method".to_owned(), allowed);
    }
    let n_headers = spec.headers.iter().flat_map(GivenHeaders::iter).count();
    if n_headers > HEADERS_MAX {
        let message = format!("{n_headers} fields are not allowed; give at most {HEADERS_MAX}");
        return Err(Faults::new("headers", message).into());
    }
    let mut headers = HeaderMap::new();
    for (name, value) in spec.headers.iter().flat_map(GivenHeaders::iter) {
        let path = format!("headers.{name}");
        match (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            (Ok(name), _) if NOT_GIVEN.contains(&name.as_str()) => {
                fault(path, "the proxy sets this itself; leave it out");
            }
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            (Err(_), _) => fault(path, "this cannot be the name of a header field"),
            (Ok(_), Err(_)) => fault(
                path,
                "this cannot be the value of a header field; give visible ASCII characters",
            ),
        }
    }
    Faults::check(faults)?;
    Ok(method.map(|method| Outgoing {
        method,
        path: spec.path.clone(),
        headers,
        body: spec.body.clone().unwrap_or_default(),
    }))
}
