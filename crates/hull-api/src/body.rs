//! JSON bodies of requests.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use crate::error::ApiError;

/// The JSON body of a request; `Null` if there is none. Kept as a value and not as a type, so that
/// fields that Hull does not know are seen too ([`crate::wire`]).
#[derive(Debug)]
pub(crate) struct Json(pub(crate) Value);

/// So long may a JSON body be, in bytes.
const LIMIT: usize = 4 << 20;

impl<S: Sync> FromRequest<S> for Json {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).cloned();
        let body = read(request).await?;
        if body.is_empty() {
            return Ok(Self(Value::Null));
        }
        let kind = kind.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::bad_request(format!(
                "unsupported Content-Type header ({kind}): must be 'application/json'"
            )));
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format!("invalid JSON: {error}")))
    }
}

async fn read(request: Request) -> Result<Bytes, ApiError> {
    match Limited::new(request.into_body(), LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("request body is larger than {LIMIT} bytes"),
        )),
        Err(error) => Err(ApiError::bad_request(format!("cannot read the request body: {error}"))),
    }
}
