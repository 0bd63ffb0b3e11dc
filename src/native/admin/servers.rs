//! The servers: list, add, remove, re-weigh, drain.
//!
//! Between looking at a server and changing it nothing is awaited, and all
//! changes are made on the control thread: so what `If-Match` was compared
//! with is what is changed.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::call::{Answer, Call, json};
use super::plan;
use super::problem::{Kind, Problem};
use crate::engine::{Command, CommandError, Server, ServerName, ServerSnapshot, Snapshot};
use crate::wire::{
    ChangeView, MovedView, PlanView, ServerSpec, ServerView, ServersView, StateSpec, WeightSpec,
};

/// What stands in a path as it is: RFC 3986's unreserved characters.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

pub(super) fn list(call: &Call) -> Answer {
    let snapshot = call.admin.shared.snapshot();
    Ok(json(StatusCode::OK, &ServersView::from(&snapshot)))
}

pub(super) fn show(call: &Call) -> Answer {
    let name = call.name()?;
    let snapshot = call.admin.shared.snapshot();
    let server = find(&snapshot, &name)?;
    let tag = tag(server);
    check_tag(&call.headers, &tag)?;
    let mut response = json(StatusCode::OK, &ServerView::new(server, snapshot.at));
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

pub(super) fn add(call: &Call) -> Answer {
    let server = Server::from(call.read::<ServerSpec>()?);
    call.admin.targets.check(&server, call.local)?;
    let name = server.name.clone();
    let path = format!(
        "/api/servers/{}",
        utf8_percent_encode(name.as_str(), IN_PATH)
    );
    let mut answer = change(call, StatusCode::CREATED, Command::AddServer(server), &name)?;
    // Nothing is there after a dry run.
    if answer.status() == StatusCode::CREATED
        && let Ok(path) = HeaderValue::from_str(&path)
    {
        answer.headers_mut().insert(header::LOCATION, path);
    }
    Ok(answer)
}

pub(super) fn remove(call: &Call) -> Answer {
    let name = call.name()?;
    change(
        call,
        StatusCode::OK,
        Command::RemoveServer(name.clone()),
        &name,
    )
}

pub(super) fn set_weight(call: &Call) -> Answer {
    let name = call.name()?;
    let WeightSpec { weight } = call.read()?;
    let command = Command::SetWeight(name.clone(), weight);
    change(call, StatusCode::OK, command, &name)
}

pub(super) fn set_state(call: &Call) -> Answer {
    let name = call.name()?;
    let StateSpec { state } = call.read()?;
    let command = Command::SetState(name.clone(), state);
    change(call, StatusCode::OK, command, &name)
}

/// Carries out a command and answers with what it did.
fn change(call: &Call, status: StatusCode, command: Command, name: &ServerName) -> Answer {
    let shared = &call.admin.shared;
    let guard = plan::Guard::of(call)?;
    if call.headers.contains_key(header::IF_MATCH) {
        let snapshot = shared.snapshot();
        match find(&snapshot, name) {
            Ok(server) => check_tag(&call.headers, &tag(server))?,
            // There is nothing yet that could match.
            Err(_) if matches!(command, Command::AddServer(_)) => return Err(changed(None)),
            Err(problem) => return Err(problem),
        }
    }
    if guard.is_dry_run {
        let plan = shared.plan(vec![command.into()])?;
        return Ok(json(StatusCode::OK, &PlanView::new(&plan, None)));
    }
    let applied = match guard.max_moved {
        None => shared.apply(command)?,
        Some(max_moved) => shared
            .apply_within(command, max_moved)?
            .map_err(|plan| plan::moves_too_much(&plan, max_moved))?,
    };
    let snapshot = shared.snapshot();
    let server = find(&snapshot, name).ok();
    let view = ChangeView {
        server: server.map(|server| ServerView::new(server, snapshot.at)),
        moved: MovedView::from(&applied.after.moved_since(&applied.before)),
    };
    let mut response = json(status, &view);
    if let Some(server) = server {
        response.headers_mut().insert(header::ETAG, tag(server));
    }
    Ok(response)
}

fn find<'a>(snapshot: &'a Snapshot, name: &ServerName) -> Result<&'a ServerSnapshot, Problem> {
    let servers = &snapshot.servers;
    match servers.binary_search_by(|other| other.server.name.cmp(name)) {
        Ok(i) => Ok(&servers[i]),
        Err(_) => Err(CommandError::UnknownServer(name.clone()).into()),
    }
}

/// What `If-Match` is compared with: equal just when all that operators
/// decide of a server is.
fn tag(server: &ServerSnapshot) -> HeaderValue {
    let decided = (ServerSpec::from(&server.server), server.state);
    let text = serde_json::to_vec(&decided).unwrap_or_default();
    let tag = format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(&text));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Lets a request pass whose `If-Match`, if it has one, names this tag.
fn check_tag(headers: &HeaderMap, tag: &HeaderValue) -> Result<(), Problem> {
    if !headers.contains_key(header::IF_MATCH) || names(headers, &header::IF_MATCH, tag) {
        return Ok(());
    }
    Err(changed(Some(tag)))
}

fn changed(tag: Option<&HeaderValue>) -> Problem {
    let problem = Problem::new(
        Kind::PreconditionFailed,
        "the server is not as the header If-Match has it; read it again",
    );
    match tag {
        Some(tag) => problem.with_header(header::ETAG, tag.clone()),
        None => problem,
    }
}

/// Whether a list of tags names `tag`, or any by `*`. Weak tags name none.
pub(super) fn names(headers: &HeaderMap, field: &HeaderName, tag: &HeaderValue) -> bool {
    let lists = headers.get_all(field).iter();
    lists
        .flat_map(|list| list.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .any(|given| given == b"*" || given == tag.as_bytes())
}
