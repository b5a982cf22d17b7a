//! A tiny HTTP client that shares no code with the server.

use std::net::SocketAddr;

use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

pub(crate) async fn get(at: SocketAddr, path: &str) -> Answer {
    send(at, "GET", path, &[], b"").await
}

pub(crate) async fn post(at: SocketAddr, path: &str, body: &Json) -> Answer {
    let body = body.to_string();
    send(
        at,
        "POST",
        path,
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
    .await
}

/// One request on a connection of its own. `extra` may hold `host`.
pub(crate) async fn send(
    at: SocketAddr,
    method: &str,
    path: &str,
    extra: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    super::within(path, async {
        let mut stream = TcpStream::connect(at).await.expect("connected");
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !extra.iter().any(|(n, _)| *n == "host") {
            head += &format!("host: {at}\r\n");
        }
        for (name, value) in extra {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("sent");
        // A server that refuses early closes before it has read everything.
        let _ = stream.write_all(body).await;
        read(&mut BufReader::new(stream)).await
    })
    .await
}

async fn read(stream: &mut BufReader<TcpStream>) -> Answer {
    let (status, headers) = read_head(stream).await;
    let mut body = Vec::new();
    let of = |name: &str| {
        headers
            .iter()
            .find(|(n, _): &&(String, String)| n == name)
            .map(|(_, v)| v.clone())
    };
    if of("transfer-encoding").as_deref() == Some("chunked") {
        while let Some(chunk) = read_chunk(stream).await {
            body.extend(chunk);
        }
    } else {
        let length: usize = of("content-length")
            .and_then(|l| l.parse().ok())
            .unwrap_or(0);
        body.resize(length, 0);
        stream.read_exact(&mut body).await.expect("a whole body");
    }
    Answer {
        status,
        headers,
        body,
    }
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("a status line");
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| panic!("no status in {line:?}"));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("a header");
        let Some((name, value)) = line.trim_end().split_once(':') else {
            return (status, headers);
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
}

async fn read_chunk(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let length = usize::from_str_radix(line.trim(), 16).ok()?;
    let mut chunk = vec![0; length + 2];
    stream.read_exact(&mut chunk).await.ok()?;
    chunk.truncate(length);
    (length > 0).then_some(chunk)
}

/// One event of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    pub(crate) data: Json,
}

/// An open event stream.
pub(crate) struct Stream {
    stream: BufReader<TcpStream>,
    text: String,
}

impl Stream {
    pub(crate) async fn open(at: SocketAddr, last_id: Option<&str>) -> Stream {
        let mut stream = TcpStream::connect(at).await.expect("connected");
        let last = last_id.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let head = format!("GET /api/v1/stream HTTP/1.1\r\nhost: {at}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut stream = BufReader::new(stream);
        let (status, headers) = read_head(&mut stream).await;
        assert_eq!(status, 200);
        assert!(headers.contains(&("content-type".into(), "text/event-stream".into())));
        Stream {
            stream,
            text: String::new(),
        }
    }

    /// The next event; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = parse(&event) {
                    return Some(event);
                }
                continue;
            }
            let chunk = read_chunk(&mut self.stream).await?;
            self.text += std::str::from_utf8(&chunk).expect("UTF-8");
        }
    }

    /// The next event that fits.
    pub(crate) async fn until(&mut self, what: &str, fits: impl Fn(&Event) -> bool) -> Event {
        super::within(what, async {
            loop {
                let event = self.next().await.expect("an open stream");
                if fits(&event) {
                    return event;
                }
            }
        })
        .await
    }
}

fn parse(text: &str) -> Option<Event> {
    let of = |field: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(field))
            .map(str::trim)
    };
    Some(Event {
        id: of("id:").and_then(|id| id.parse().ok()),
        name: of("event:")?.to_owned(),
        data: serde_json::from_str(of("data:")?).expect("JSON"),
    })
}
