//! The console as a browser gets it.

use std::sync::Arc;

use crate::client::{get, send};
use crate::{center, site};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_its_routes_and_its_files_are_served_with_their_types_and_a_strict_policy() {
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&Arc::new(site(9)), dir.path()).await;
    let at = room.local_addr();
    let page = get(at, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.body.starts_with(b"<!doctype html>") || page.body.starts_with(b"<!DOCTYPE html>"));
    assert_eq!(
        get(at, "/alarms").await.body,
        page.body,
        "a route of the page"
    );

    let script = get(at, "/app.js").await;
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(script.header("content-encoding"), None);
    let etag = script.header("etag").expect("an etag").to_owned();
    let again = send(at, "GET", "/app.js", &[("if-none-match", &etag)], b"").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let zipped = send(
        at,
        "GET",
        "/app.js",
        &[("accept-encoding", "gzip, br")],
        b"",
    )
    .await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_ne!(zipped.header("etag"), Some(etag.as_str()));
    let mut plain = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&zipped.body[..]),
        &mut plain,
    )
    .expect("gzip");
    assert_eq!(plain, script.body);
    let refused = send(
        at,
        "GET",
        "/app.js",
        &[("accept-encoding", "gzip;q=0")],
        b"",
    )
    .await;
    assert_eq!(refused.header("content-encoding"), None);
    room.stop().await;
}
