//! What the API answers when it cannot do what was asked: `{error, remedy}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A refusal, with what the caller can do about it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    error: String,
    remedy: String,
}

#[derive(Serialize)]
struct Body {
    error: String,
    remedy: String,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        error: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ApiError {
        ApiError {
            status,
            error: error.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn not_found(what: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, what, remedy)
    }

    pub(crate) fn bad_request(what: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, what, remedy)
    }

    /// The store cannot take or give it now.
    pub(crate) fn unavailable(what: impl Into<String>) -> ApiError {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            what,
            "try again in a few seconds; where it stays so, look at the centre's log and disk",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (
            self.status,
            Json(Body {
                error: self.error,
                remedy: self.remedy,
            }),
        )
            .into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(
                axum::http::header::RETRY_AFTER,
                axum::http::HeaderValue::from_static("5"),
            );
        }
        response
    }
}
