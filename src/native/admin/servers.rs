//! The servers: list, add, remove, re-weigh, drain.
//!
//! Changes take turns, from looking at a server over storing the change to
//! making it: so what `If-Match` was compared with is what is changed.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::task::JoinError;

use super::call::{Answer, Call, json};
use super::plan;
use super::problem::{Kind, Problem};
use crate::engine::{Command, CommandError, Server, ServerName, ServerSnapshot, Snapshot};
use crate::native::server_tls;
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
    let shared = &call.admin.shared;
    let mut view = ServersView::from(&shared.snapshot());
    for server in &mut view.servers {
        server.tls_trouble = shared.tls_trouble(&server.name);
    }
    Ok(json(StatusCode::OK, &view))
}

pub(super) fn show(call: &Call) -> Answer {
    let name = call.name()?;
    let snapshot = call.admin.shared.snapshot();
    let server = find(&snapshot, &name)?;
    let tag = tag(server);
    check_tag(&call.headers, &tag)?;
    let mut view = ServerView::new(server, snapshot.at);
    view.tls_trouble = call.admin.shared.tls_trouble(&view.name);
    let mut response = json(StatusCode::OK, &view);
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

pub(super) async fn add(call: Call) -> Answer {
    let server = Server::from(call.read::<ServerSpec>()?);
    call.admin.targets.check(&server, call.local)?;
    server_tls::check_files_of(&server)?;
    let name = server.name.clone();
    let path = format!(
        "/api/servers/{}",
        utf8_percent_encode(name.as_str(), IN_PATH)
    );
    let command = Command::AddServer(server);
    let mut answer = change(call, StatusCode::CREATED, command, name).await?;
    // Nothing is there after a dry run.
    if answer.status() == StatusCode::CREATED
        && let Ok(path) = HeaderValue::from_str(&path)
    {
        answer.headers_mut().insert(header::LOCATION, path);
    }
    Ok(answer)
}

pub(super) async fn remove(call: Call) -> Answer {
    let name = call.name()?;
    let command = Command::RemoveServer(name.clone());
    change(call, StatusCode::OK, command, name).await
}

pub(super) async fn set_weight(call: Call) -> Answer {
    let name = call.name()?;
    let WeightSpec { weight } = call.read()?;
    let command = Command::SetWeight(name.clone(), weight);
    change(call, StatusCode::OK, command, name).await
}

pub(super) async fn set_state(call: Call) -> Answer {
    let name = call.name()?;
    let StateSpec { state } = call.read()?;
    let command = Command::SetState(name.clone(), state);
    change(call, StatusCode::OK, command, name).await
}

/// Carries out a command and answers with what it did, whether or not the
/// client waits for that: what is stored must come into effect.
async fn change(call: Call, status: StatusCode, command: Command, name: ServerName) -> Answer {
    let task = tokio::spawn(async move { change_in_turn(&call, status, command, &name).await });
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(answer) => answer,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => Err(Problem::new(Kind::Stopping, "the program ends")),
    }
}

async fn change_in_turn(
    call: &Call,
    status: StatusCode,
    command: Command,
    name: &ServerName,
) -> Answer {
    let shared = &call.admin.shared;
    let guard = plan::Guard::of(call)?;
    let mut turn = shared.keeper().turn().await?;
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
    let config = shared.config();
    if let Some(path) = &config.process.state_file {
        // What will be refused below must not be stored.
        if let Some(max_moved) = guard.max_moved {
            let plan = shared.plan(vec![command.clone().into()])?;
            if plan.moved.total.fraction() > max_moved {
                return Err(plan::moves_too_much(&plan, max_moved));
            }
        }
        let state = shared.foreseen(command.clone())?;
        turn.store(Some(path), &state).await?;
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
