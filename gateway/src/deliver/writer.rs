//! One sink of line protocol: lines in, the store's answer out.
//!
//! `influxdb2` sends the bytes, built from a client that has time-outs and speaks HTTP/1 alone
//! (`dependencies.md` 1.1). Only 204 is success.

use std::fmt;
use std::time::Duration;

use influxdb2::RequestError;
use influxdb2::api::write::TimestampPrecision;

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// What a store that says "not now" is given: its `Retry-After` is not visible through the crate.
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// Where lines go.
#[derive(Debug, Clone)]
pub struct SinkAddress {
    /// Id of the sink, its cursor and its dead-letter file.
    pub id: String,
    /// Base URL.
    pub url: String,
    /// Organisation.
    pub org: String,
    /// Bucket.
    pub bucket: String,
    /// Token; empty: none.
    pub token: String,
    /// What it acknowledges is on its disk.
    pub durable: bool,
}

/// Why a sink cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSink {
    /// The sink.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for BadSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sink {}: {}", self.id, self.why)
    }
}

impl std::error::Error for BadSink {}

/// What a store said to a batch of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has them, durable by its own word.
    Taken,
    /// It will never take them as they are: 400, 413, 422.
    Poison(String),
    /// It may take them later; not before this pause, where one is given.
    Later {
        /// What it said.
        why: String,
        /// At least.
        pause: Option<Duration>,
        /// There was no answer: it may have been killed.
        away: bool,
    },
}

/// Sends lines to one sink.
#[derive(Debug)]
pub struct Writer {
    client: influxdb2::Client,
    org: String,
    bucket: String,
}

impl Writer {
    /// A writer for the sink.
    ///
    /// # Errors
    /// The URL is none, or asks for what this build cannot do.
    pub fn new(sink: &SinkAddress) -> Result<Writer, BadSink> {
        let bad = |why: String| BadSink {
            id: sink.id.clone(),
            why,
        };
        // The crate panics on a bad URL and throws a path away.
        let url = reqwest011::Url::parse(&sink.url)
            .map_err(|e| bad(format!("`{}` is no URL: {e}", sink.url)))?;
        if url.scheme() != "http" || url.host_str().is_none() {
            return Err(bad(format!(
                "`{}` must begin with http:// (put a TLS proxy before an https store)",
                sink.url
            )));
        }
        if url.path() != "/" {
            return Err(bad(format!(
                "`{}` has a path, and lines always go to /api/v2/write (put a rewriting proxy before it)",
                sink.url
            )));
        }
        let http = reqwest011::ClientBuilder::new()
            .http1_only()
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(30));
        let client =
            influxdb2::ClientBuilder::with_builder(http, &sink.url, &sink.org, &sink.token)
                .build()
                .map_err(|e| bad(e.to_string()))?;
        Ok(Writer {
            client,
            org: sink.org.clone(),
            bucket: sink.bucket.clone(),
        })
    }

    /// Sends lines.
    pub async fn write(&self, lines: Vec<u8>) -> Answer {
        let sent = self
            .client
            .write_line_protocol_with_precision(
                &self.org,
                &self.bucket,
                lines,
                TimestampPrecision::Nanoseconds,
            )
            .await;
        match sent {
            Ok(()) => Answer::Taken,
            Err(RequestError::Http { status, text }) => {
                let why = format!("{status} {}", text.chars().take(300).collect::<String>());
                match status.as_u16() {
                    400 | 413 | 422 => Answer::Poison(why),
                    429 | 503 => Answer::Later {
                        why,
                        pause: Some(BUSY_PAUSE),
                        away: false,
                    },
                    _ => Answer::Later {
                        why,
                        pause: None,
                        away: false,
                    },
                }
            }
            Err(e) => Answer::Later {
                why: e.to_string(),
                pause: None,
                away: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// The condition under which `deny.toml` ignores an advisory on the HTTP/2 code beneath
    /// influxdb2: none of it is reached, whatever a server sends.
    #[tokio::test]
    async fn only_http_1_is_spoken_even_to_a_server_that_answers_in_http_2() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut heard = vec![0; 4];
            stream.read_exact(&mut heard).await.expect("a request");
            // SETTINGS, as a server that speaks HTTP/2 begins.
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            stream.write_all(&settings).await.expect("written");
            heard
        });
        let writer = Writer::new(&SinkAddress {
            id: "s".to_owned(),
            url,
            org: "o".to_owned(),
            bucket: "b".to_owned(),
            token: String::new(),
            durable: true,
        })
        .expect("a writer");
        let answer = writer.write(b"m v=1 1".to_vec()).await;
        assert!(matches!(answer, Answer::Later { .. }), "{answer:?}");
        // HTTP/2 would begin with "PRI ".
        assert_eq!(server.await.expect("served"), b"POST");
    }
}
