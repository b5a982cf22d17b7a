//! The console: files that the build embedded, and the same page for each of its routes.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

include!(concat!(env!("OUT_DIR"), "/console.rs"));

pub(super) async fn get(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return ApiError::not_found(
            format!("there is no `{} {path}`", request.method()),
            "see /api/v1/openapi.json",
        )
        .into_response();
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "the console is only read",
            "commands go to /api/v1",
        )
        .into_response();
    }
    let name = path.trim_start_matches('/');
    // A name with a dot is a file; any other path is a route of the page.
    if name.contains('.') {
        file(name, request.headers())
    } else {
        file("index.html", request.headers())
    }
    .unwrap_or_else(|| {
        ApiError::not_found(format!("there is no `{path}`"), "open / for the console")
            .into_response()
    })
}

fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    if name.ends_with(".gz") {
        return None;
    }
    let zipped = accepts_gzip(headers)
        .then(|| Console::get(&format!("{name}.gz")))
        .flatten();
    let gzip = zipped.is_some();
    let found = zipped.or_else(|| Console::get(name))?;
    let etag = format!(
        "\"{}{}\"",
        super::hex(&found.metadata.sha256_hash()[..12]),
        if gzip { "-gz" } else { "" }
    );
    let unchanged = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(',')
                .any(|t| t.trim().trim_start_matches("W/") == etag)
        });
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        found.data.into_owned().into_response()
    };
    let out = response.headers_mut();
    let mut set = |name, value: &str| {
        if let Ok(value) = value.parse() {
            out.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, content_type(name));
    set(header::ETAG, &etag);
    set(header::VARY, "accept-encoding");
    // Revalidated each time: an update of the program is an update of the page.
    set(header::CACHE_CONTROL, "no-cache");
    if gzip {
        set(header::CONTENT_ENCODING, "gzip");
    }
    Some(response)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| {
            v.split(',').any(|coding| {
                let mut parts = coding.split(';').map(str::trim);
                parts.next() == Some("gzip") && !parts.any(|p| matches!(p, "q=0" | "q=0.0"))
            })
        })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
