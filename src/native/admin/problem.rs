//! Refusals: what stands in `application/problem+json` (RFC 9457), and the
//! status of each kind.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::engine::{CommandError, LayoutError, NoServer};
use crate::wire::{FaultView, Faults, ProblemView, no_server_code};

/// A refusal. Whoever makes one has changed nothing.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FaultView>,
    /// Boxed, as it is rare and would make every answer larger.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// The most faults that are listed: a body of a megabyte can have a hundred
/// thousand.
const ERRORS_MAX: usize = 100;

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BadRequest,
    InvalidInput,
    Unauthorized,
    ForeignOrigin,
    TargetNotAllowed,
    NotFound,
    UnknownServer,
    MethodNotAllowed,
    Timeout,
    DuplicateName,
    DuplicateId,
    NotLastShard,
    MovesTooMuch,
    NotLaidOut,
    TooManyPoints,
    NoKeys,
    NoFile,
    NeedsRestart,
    InvalidFile,
    PreconditionFailed,
    TooLarge,
    WrongContentType,
    ForeignHost,
    NoServer(NoServer),
    TooManyStreams,
    Stopping,
}

impl Kind {
    /// The status, a name that stays, and the name in words.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest => (S::BAD_REQUEST, "bad-request", "The request is malformed"),
            Self::InvalidInput => (S::BAD_REQUEST, "invalid-input", "The input has faults"),
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "A token is needed"),
            Self::ForeignOrigin => (
                S::FORBIDDEN,
                "foreign-origin",
                "Pages of other sites may not call this API",
            ),
            Self::TargetNotAllowed => (
                S::FORBIDDEN,
                "target-not-allowed",
                "Servers may not be added at this address",
            ),
            Self::NotFound => (S::NOT_FOUND, "not-found", "There is nothing here"),
            Self::UnknownServer => (S::NOT_FOUND, "unknown-server", "There is no such server"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This cannot be done here",
            ),
            Self::Timeout => (S::REQUEST_TIMEOUT, "timeout", "The request came too slowly"),
            Self::DuplicateName => (S::CONFLICT, "duplicate-name", "The name is taken"),
            Self::DuplicateId => (S::CONFLICT, "duplicate-id", "The id is taken"),
            Self::MovesTooMuch => (
                S::CONFLICT,
                "moves-too-much",
                "More keys would move than may",
            ),
            Self::NotLastShard => (
                S::CONFLICT,
                "not-last-shard",
                "Shards come and go at the end only",
            ),
            Self::NotLaidOut => (
                S::CONFLICT,
                "not-laid-out",
                "The rule cannot have such servers",
            ),
            Self::TooManyPoints => (
                S::CONFLICT,
                "too-many-points",
                "The ring would grow too large",
            ),
            Self::NoKeys => (
                S::CONFLICT,
                "no-keys",
                "The rule has no keys that could move",
            ),
            Self::NoFile => (S::CONFLICT, "no-file", "There is no file to reload"),
            Self::NeedsRestart => (
                S::CONFLICT,
                "needs-restart",
                "Some settings cannot change while the program runs",
            ),
            Self::InvalidFile => (
                S::UNPROCESSABLE_ENTITY,
                "invalid-file",
                "The configuration file is not good",
            ),
            Self::PreconditionFailed => (
                S::PRECONDITION_FAILED,
                "precondition-failed",
                "The server has changed",
            ),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::WrongContentType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "wrong-content-type",
                "The body must be JSON",
            ),
            Self::ForeignHost => (
                S::MISDIRECTED_REQUEST,
                "foreign-host",
                "This is not known as a name of the API",
            ),
            Self::NoServer(reason) => (
                S::SERVICE_UNAVAILABLE,
                no_server_code(reason),
                "There is no server for this key",
            ),
            Self::TooManyStreams => (
                S::SERVICE_UNAVAILABLE,
                "too-many-streams",
                "There are as many streams as may be",
            ),
            Self::Stopping => (
                S::SERVICE_UNAVAILABLE,
                "stopping",
                "The proxy is shutting down",
            ),
        }
    }
}

impl Problem {
    /// A refusal of this kind, with a sentence on what went wrong.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            header: None,
        }
    }

    /// The same, with a header field that belongs to it.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// The same as another kind.
    pub(super) fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        let n = faults.as_slice().len();
        let detail = match n {
            1 => faults.to_string(),
            _ if n > ERRORS_MAX => {
                format!("there are {n} faults; errors has the first {ERRORS_MAX} of them")
            }
            _ => format!("there are {n} faults; errors has each with its place"),
        };
        let mut errors: Vec<FaultView> = (&faults).into();
        errors.truncate(ERRORS_MAX);
        Self {
            errors,
            ..Self::new(Kind::InvalidInput, detail)
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let kind = match &error {
            CommandError::DuplicateName(_) => Kind::DuplicateName,
            CommandError::DuplicateId(_) => Kind::DuplicateId,
            CommandError::UnknownServer(_) => Kind::UnknownServer,
            CommandError::NoKeys(_) => Kind::NoKeys,
            CommandError::Layout(LayoutError::TooManyPoints(_)) => Kind::TooManyPoints,
            CommandError::Layout(LayoutError::NotLastShard { .. }) => Kind::NotLastShard,
            CommandError::Layout(
                LayoutError::TooManyServers { .. }
                | LayoutError::WeightedShard { .. }
                | LayoutError::Compat(_),
            ) => Kind::NotLaidOut,
        };
        // The fields of a server stand at the top of what was sent.
        let errors = error.place().map(|(_, field)| FaultView {
            path: field.to_owned(),
            message: error.to_string(),
        });
        Self {
            errors: errors.into_iter().collect(),
            ..Self::new(kind, error.to_string())
        }
    }
}

impl From<NoServer> for Problem {
    fn from(reason: NoServer) -> Self {
        Self::new(Kind::NoServer(reason), reason.to_string())
    }
}

impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Self {
        let (status, code, title) = problem.kind.row();
        let view = ProblemView {
            kind: format!("urn:ringway:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: problem.detail,
            errors: problem.errors,
        };
        let mut response = super::call::json(status, &view);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(header) = problem.header {
            let (name, value) = *header;
            headers.insert(name, value);
        }
        response
    }
}
