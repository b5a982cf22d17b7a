//! Real parts for end-to-end tests: the binary, a broker, stores, a site in a folder of its own.
//!
//! A test that needs a server which the machine lacks says so and names the Debian package;
//! under `.ci/run` (where `CI` is set) the same is a failure. Every process is ended by its pid.

#![allow(dead_code)] // each test target uses its part
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a test waits for an event before it says that it did not come.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The program, or `None` where this machine lacks it (a failure where `CI` is set).
pub fn program(name: &str, package: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH").into_iter().flat_map(|path| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
            .map(|dir| dir.join(name))
            .collect::<Vec<_>>()
    });
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        missing(&format!(
            "`{name}` is not on this machine: apt-get install {package}"
        ));
    }
    found
}

/// A folder of recorded plant data, or `None` where this machine lacks it (a failure where
/// `DAVY_DATA` says that it has it). The data sets are public, and not ours to hand on.
pub fn recorded(folder: &str) -> Option<PathBuf> {
    let named = std::env::var_os("DAVY_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = named.clone().unwrap_or_else(beside).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    let why = format!(
        "no recorded data at {}: set DAVY_DATA to the folder that holds `{folder}`",
        path.display()
    );
    assert!(named.is_none(), "{why}");
    eprintln!("skipped: {why}");
    None
}

fn missing(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits until `ready` gives something; panics with `what` after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for: {what}"
        );
        std::thread::sleep(Duration::from_millis(20)); // between two looks, not in place of one
    }
}

/// A process that ends with the test.
pub struct Process {
    child: Child,
    name: String,
    /// Lines of stdout and stderr so far.
    pub lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub fn spawn(name: &str, command: &mut Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        for stream in [
            Box::new(out) as Box<dyn std::io::Read + Send>,
            Box::new(err),
        ] {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines() {
                    let Ok(line) = line else { break };
                    lines.lock().unwrap().push(line);
                }
            });
        }
        Process {
            child,
            name: name.to_owned(),
            lines,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: the process learns nothing.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and the exit code; panics if it is not gone within [`PATIENCE`].
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        wait_for(&format!("{} to stop", self.name), || {
            self.child.try_wait().unwrap()
        })
        .code()
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self) -> Option<i32> {
        wait_for(&format!("{} to end", self.name), || {
            self.child.try_wait().unwrap()
        })
        .code()
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status();
        assert!(
            done.is_ok_and(|s| s.success()),
            "kill -{name} {}",
            self.name
        );
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The first line that holds `part`.
    pub fn line(&self, part: &str) -> String {
        wait_for(
            &format!("`{part}` from {}; it said: {:#?}", self.name, self.tail()),
            || {
                self.lines
                    .lock()
                    .unwrap()
                    .iter()
                    .find(|l| l.contains(part))
                    .cloned()
            },
        )
    }

    pub fn tail(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines[lines.len().saturating_sub(20)..].to_vec()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} said last:\n{}", self.name, self.tail().join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A real mosquitto on a port of its own, which it keeps over a restart.
pub struct Mosquitto {
    program: PathBuf,
    config: PathBuf,
    pub port: u16,
    process: Process,
}

impl Mosquitto {
    pub fn start(dir: &Path) -> Option<Mosquitto> {
        Self::start_at(dir, free_port())
    }

    /// On a port that is known before.
    pub fn start_at(dir: &Path, port: u16) -> Option<Mosquitto> {
        let program = program("mosquitto", "mosquitto")?;
        let config = dir.join("mosquitto.conf");
        fs::write(
            &config,
            format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
                 max_inflight_messages 0\nmax_queued_messages 0\n"
            ),
        )
        .unwrap();
        let process = Self::launch(&program, &config, port);
        Some(Mosquitto {
            program,
            config,
            port,
            process,
        })
    }

    fn launch(program: &Path, config: &Path, port: u16) -> Process {
        let process = Process::spawn("mosquitto", Command::new(program).arg("-c").arg(config));
        listening("mosquitto", port);
        process
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub fn restart(&mut self) {
        self.process = Self::launch(&self.program, &self.config, self.port);
    }
}

/// A real VictoriaMetrics, which keeps its data over a restart.
pub struct VictoriaMetrics {
    program: PathBuf,
    data: PathBuf,
    pub port: u16,
    process: Process,
}

impl VictoriaMetrics {
    pub fn start(dir: &Path) -> Option<VictoriaMetrics> {
        let program = program("victoria-metrics", "victoria-metrics")?;
        let port = free_port();
        let data = dir.join("victoria-metrics");
        let process = Self::launch(&program, &data, port);
        Some(VictoriaMetrics {
            program,
            data,
            port,
            process,
        })
    }

    fn launch(program: &Path, data: &Path, port: u16) -> Process {
        let process = Process::spawn(
            "victoria-metrics",
            Command::new(program)
                .arg(format!("-storageDataPath={}", data.display()))
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .args(["-retentionPeriod=40y", "-search.latencyOffset=0s"]),
        );
        listening("victoria-metrics", port);
        process
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub fn restart(&mut self) {
        self.process = Self::launch(&self.program, &self.data, self.port);
    }

    /// Every raw sample of a series, as (milliseconds, value), ascending.
    pub fn export(&self, selector: &str) -> Vec<(i64, f64)> {
        get(self.port, "/internal/force_flush");
        let path = format!("/api/v1/export?match[]={}", encode(selector));
        let (status, body) = get(self.port, &path);
        assert_eq!(status, 200, "{body}");
        let mut rows: Vec<(i64, f64)> = Vec::new();
        for line in body.lines() {
            let series: serde_json::Value = serde_json::from_str(line).unwrap();
            let times = series["timestamps"].as_array().unwrap();
            let values = series["values"].as_array().unwrap();
            rows.extend(
                times
                    .iter()
                    .zip(values)
                    .filter_map(|(t, v)| Some((t.as_i64()?, v.as_f64()?))),
            );
        }
        rows.sort_by_key(|r| r.0);
        rows
    }
}

/// Debian's InfluxDB 1.6: the strict judge of line protocol.
pub struct Influx {
    pub port: u16,
    _process: Process,
}

impl Influx {
    pub fn start(dir: &Path) -> Option<Influx> {
        let program = program("influxd", "influxdb")?;
        let (port, rpc) = (free_port(), free_port());
        let root = dir.join("influx");
        let config = dir.join("influxd.conf");
        fs::write(
            &config,
            format!(
                "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n\
                 [meta]\ndir = \"{0}/meta\"\n[data]\ndir = \"{0}/data\"\nwal-dir = \"{0}/wal\"\n\
                 max-values-per-tag = 0\nmax-series-per-database = 0\n\
                 [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n",
                root.display()
            ),
        )
        .unwrap();
        let process = Process::spawn("influxd", Command::new(program).arg("-config").arg(&config));
        listening("influxd", port);
        let (status, body) = post(port, "/query?q=CREATE+DATABASE+davy", b"");
        assert_eq!(status, 200, "{body}");
        Some(Influx {
            port,
            _process: process,
        })
    }

    /// Writes lines as they are; (status, body).
    pub fn write(&self, lines: &[u8]) -> (u16, String) {
        post(self.port, "/write?db=davy&precision=ns", lines)
    }
}

fn listening(name: &str, port: u16) {
    wait_for(&format!("{name} on port {port}"), || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

/// The binary under test.
pub fn davy(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    command.args(arguments).env("DAVY_LOG", "info,rumqttc=warn");
    command
}

/// HTTP GET over loopback: (status, body).
pub fn get(port: u16, path: &str) -> (u16, String) {
    http(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"),
        b"",
    )
}

/// HTTP GET that must answer 200 with JSON; `None` while nobody listens.
pub fn get_json(port: u16, path: &str) -> Option<serde_json::Value> {
    TcpStream::connect(("127.0.0.1", port)).ok()?;
    let (status, body) = get(port, path);
    (status == 200)
        .then(|| serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}")))
}

/// HTTP POST over loopback: (status, body).
pub fn post(port: u16, path: &str, body: &[u8]) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    http(port, &head, body)
}

fn http(port: u16, head: &str, body: &[u8]) -> (u16, String) {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let Ok(mut stream) = TcpStream::connect(address) else {
        return (0, "nobody listens".to_owned());
    };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    if stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .is_err()
    {
        return (0, "the connection broke".to_owned());
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let split = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..split]).to_ascii_lowercase();
    let body = answer.get(split + 4..).unwrap_or_default();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let body = if head.contains("transfer-encoding: chunked") {
        unchunk(body)
    } else {
        body.to_vec()
    };
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok();
        let Some(size) = size.and_then(|s| usize::from_str_radix(s.trim(), 16).ok()) else {
            break;
        };
        let Some(chunk) = body.get(end + 2..end + 2 + size) else {
            break;
        };
        if size == 0 {
            break;
        }
        out.extend_from_slice(chunk);
        body = body.get(end + 2 + size + 2..).unwrap_or_default();
    }
    out
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                (b as char).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
