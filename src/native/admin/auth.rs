//! Who may ask: clients that know the token, if there is one.

use std::fmt;
use std::io::Read;

use http::{HeaderMap, HeaderValue, header};
use subtle::ConstantTimeEq;

use super::problem::{Kind, Problem};
use crate::config::{self, Secret};

/// The longest token file; a token and a line end are far shorter.
const TOKEN_FILE_MAX: u64 = 4096;

/// Why there is no token although one is configured.
#[derive(Debug)]
pub struct TokenError {
    file: String,
    why: String,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "api.token_file: {}: {}", self.file, self.why)
    }
}

impl std::error::Error for TokenError {}

/// The token that `api` asks for, if any.
///
/// # Errors
/// When the token file cannot be read or has no good token.
pub(super) fn token(api: &config::Api) -> Result<Option<Secret>, TokenError> {
    let Some(file) = &api.token_file else {
        return Ok(api.token.clone());
    };
    let error = |why: String| TokenError {
        file: file.clone(),
        why,
    };
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(TOKEN_FILE_MAX).read_to_string(&mut text))
        .map_err(|found| error(format!("cannot be read: {found}")))?;
    let token = Secret::new(text.trim_end().to_owned());
    token
        .map(Some)
        .ok_or_else(|| error(format!("holds no token; write {}", Secret::ALLOWED)))
}

/// Whether anybody may ask for `path`: for the page, for what the API looks
/// like, and whether the proxy lives.
pub(super) fn is_open(path: &str) -> bool {
    path != "/metrics" && path != "/api" && !path.starts_with("/api/")
}

/// Lets a request for `path` pass, or not.
pub(super) fn check(
    token: Option<&Secret>,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let Some(token) = token.filter(|_| !is_open(path)) else {
        return Ok(());
    };
    let refuse = |detail: &str, challenge| {
        Err(Problem::new(Kind::Unauthorized, detail).with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        ))
    };
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return refuse(
            "send the header Authorization: Bearer, with the token of this API",
            "Bearer realm=\"ringway\"",
        );
    };
    let given = given.as_bytes();
    let is_good = given.split_at_checked(7).is_some_and(|(scheme, given)| {
        // How long it takes says nothing of where they differ.
        scheme.eq_ignore_ascii_case(b"Bearer ") && given.ct_eq(token.reveal().as_bytes()).into()
    });
    if is_good {
        return Ok(());
    }
    refuse(
        "this is not the token of this API",
        "Bearer realm=\"ringway\", error=\"invalid_token\"",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(authorization: &str) -> bool {
        let token = Secret::new("0123456789abcdef".to_owned());
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(authorization) {
            headers.insert(header::AUTHORIZATION, value);
        }
        check(token.as_ref(), "/api/servers", &headers).is_ok()
    }

    #[test]
    fn only_the_whole_token_lets_in() {
        assert!(is_let_in("Bearer 0123456789abcdef"));
        assert!(is_let_in("bearer 0123456789abcdef"));
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer  0123456789abcdef",
        ] {
            assert!(!is_let_in(bad), "{bad:?} was let in");
        }
    }
}
