//! A small HTTP server of the tests' own: takes lines, and answers as it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::DEADLINE;

/// What the server does with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u16),
    /// Keeps the connection and says nothing.
    Hang,
    /// Closes the connection without a word.
    Close,
}

type Behaviour = dyn Fn(usize, &str) -> Reply + Send + Sync;

pub(super) struct Store {
    pub(super) address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    changed: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Store {
    /// `behaviour` gets the number of the request and its body; what is answered with 204 is kept.
    pub(super) async fn start(
        behaviour: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
    ) -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (tell, changed) = watch::channel(0);
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        let (kept, heads) = (Arc::clone(&lines), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                clients.spawn(serve(
                    stream,
                    Arc::clone(&behaviour),
                    Arc::clone(&kept),
                    Arc::clone(&heads),
                    tell.clone(),
                ));
            }
        });
        Store {
            address,
            lines,
            requests,
            changed,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }

    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&[String]) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                self.changed.mark_unchanged();
                if let Some(found) = look(&self.lines.lock().expect("no panic")) {
                    return found;
                }
                self.changed.changed().await.expect("the task lives");
            }
        };
        match tokio::time::timeout(DEADLINE, found).await {
            Ok(found) => found,
            Err(_) => panic!("never came: {what}"),
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    behaviour: Arc<Behaviour>,
    lines: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
    tell: watch::Sender<u64>,
) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut buffer).await {
        let number = {
            let mut requests = requests.lock().expect("no panic");
            requests.push(head);
            requests.len() - 1
        };
        match behaviour(number, &body) {
            Reply::Status(status) => {
                if status == 204 {
                    lines
                        .lock()
                        .expect("no panic")
                        .extend(body.lines().map(str::to_owned));
                }
                tell.send_modify(|n| *n += 1);
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Reply::Hang => std::future::pending().await,
            Reply::Close => return,
        }
    }
}

/// Head and body of a request with a content length.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..at].to_vec()).expect("a head in ASCII");
            let length: usize = head
                .lines()
                .find_map(|l| {
                    l.to_lowercase()
                        .strip_prefix("content-length:")?
                        .trim()
                        .parse()
                        .ok()
                })
                .expect("a content length");
            let end = at + 4 + length;
            if buffer.len() >= end {
                let body = String::from_utf8(buffer[at + 4..end].to_vec()).expect("UTF-8 lines");
                buffer.drain(..end);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
