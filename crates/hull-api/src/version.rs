//! Versions of the API: the optional `/vX.YY` in front of each path.

use http::Uri;
use http::uri::PathAndQuery;

use crate::error::ApiError;

/// Newest version of the Docker Engine API that is spoken.
pub const VERSION: &str = "1.51";

/// Oldest version of the Docker Engine API that is spoken.
pub const MIN_VERSION: &str = "1.24";

/// Version that a request is in, as major and minor number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Version(u32, u32);

impl Version {
    pub(crate) const fn new(major: u32, minor: u32) -> Self {
        Self(major, minor)
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let number = |digits: &str| {
            let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            decimal.then(|| digits.parse().ok()).flatten()
        };
        Some(Self(number(major)?, number(minor)?))
    }
}

/// Takes the version from the front of a path.
///
/// # Errors
/// A version that is not spoken, in Docker's words.
pub(crate) fn strip(uri: &Uri) -> Result<(Uri, Version), ApiError> {
    let newest = Version::parse(VERSION).unwrap_or(Version::new(1, 51));
    let oldest = Version::parse(MIN_VERSION).unwrap_or(Version::new(1, 24));
    // A container's name may be written with the slash that Docker stores it with.
    let path = with_links(&uri.path().replacen("/containers//", "/containers/", 1));
    let prefixed = path
        .strip_prefix("/v")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        .and_then(|(text, rest)| Some((text, Version::parse(text)?, rest)));
    let (text, version, rest) = match prefixed {
        Some(found) => found,
        None if path == uri.path() => return Ok((uri.clone(), newest)),
        None => (VERSION, newest, path.trim_start_matches('/')),
    };
    if version > newest {
        return Err(ApiError::bad_request(format!(
            "client version {text} is too new. Maximum supported API version is {VERSION}"
        )));
    }
    if version < oldest {
        return Err(ApiError::bad_request(format!(
            "client version {text} is too old. Minimum supported API version is {MIN_VERSION}, \
             please upgrade your client to a newer version"
        )));
    }
    let mut target = format!("/{rest}");
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    let target = PathAndQuery::from_maybe_shared(target)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok((Uri::from(target), version))
}

/// Makes one segment of the name that a container has because another is linked to it: `parent/alias`.
fn with_links(path: &str) -> String {
    let named = path.split_once(CONTAINERS).and_then(|(before, rest)| {
        let (parent, rest) = rest.split_once('/')?;
        let alias = rest.split('/').next().filter(|alias| !alias.is_empty())?;
        let is_action = OPERATIONS.contains(&alias);
        (!is_action).then(|| format!("{before}{CONTAINERS}{parent}%2F{rest}"))
    });
    named.unwrap_or_else(|| path.to_owned())
}

const CONTAINERS: &str = "/containers/";
/// What may stand after a container's name.
const OPERATIONS: [&str; 20] = [
    "archive",
    "attach",
    "changes",
    "checkpoints",
    "exec",
    "export",
    "json",
    "kill",
    "logs",
    "pause",
    "rename",
    "resize",
    "restart",
    "start",
    "stats",
    "stop",
    "top",
    "unpause",
    "update",
    "wait",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(uri: &'static str) -> Result<String, String> {
        match strip(&Uri::from_static(uri)) {
            Ok((uri, version)) => Ok(format!("{}.{} {uri}", version.0, version.1)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn versions_are_stripped_and_checked() {
        assert_eq!(stripped("/v1.41/info?a=b").unwrap(), "1.41 /info?a=b");
        assert_eq!(stripped("/info").unwrap(), "1.51 /info");
        assert_eq!(stripped("/v1.41").unwrap(), "1.41 /");
        assert_eq!(stripped("/v1.41/containers//a/json?x").unwrap(), "1.41 /containers/a/json?x");
        assert_eq!(stripped("/containers//a").unwrap(), "1.51 /containers/a");
        assert_eq!(stripped("/volumes").unwrap(), "1.51 /volumes");
        assert_eq!(stripped("/v1.x/info").unwrap(), "1.51 /v1.x/info");
        for (path, expected) in [
            ("/v1.51/containers/web/db", "/containers/web%2Fdb"),
            ("/containers/web/db/json", "/containers/web%2Fdb/json"),
            ("/containers/web/json", "/containers/web/json"),
        ] {
            assert_eq!(strip(&Uri::from_static(path)).unwrap().0.path(), expected);
        }
        assert_eq!(
            stripped("/v1.99/info").unwrap_err(),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        assert_eq!(
            stripped("/v1.1/info").unwrap_err(),
            "client version 1.1 is too old. Minimum supported API version is 1.24, please upgrade \
             your client to a newer version"
        );
    }
}
