//! Errors as clients see them: a status code and `{"message": "..."}`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use hull_engine::ErrorKind;
use serde_json::json;

/// An answer that says what went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    hint: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The error of every route that there is not.
    pub(crate) fn page_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "page not found")
    }

    /// Returns the text of an engine's error, for streams that have begun already.
    pub(crate) fn in_stream(error: hull_engine::Error) -> String {
        Self::from(error).message
    }

    /// Returns the body, one JSON object.
    fn body(&self) -> String {
        match &self.hint {
            Some(hint) => json!({"message": self.message, "hint": hint}).to_string(),
            None => json!({"message": self.message}).to_string(),
        }
    }
}

impl From<hull_engine::Error> for ApiError {
    fn from(error: hull_engine::Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::InvalidParameter => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
            ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, message: chain(&error), hint: error.hint().map(str::to_owned) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status == StatusCode::NOT_MODIFIED {
            return self.status.into_response();
        }
        let json = [(http::header::CONTENT_TYPE, "application/json")];
        (self.status, json, self.body() + "\n").into_response()
    }
}

/// Joins an error and what caused it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
