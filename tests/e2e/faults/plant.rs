//! A small site whose every part can be broken: a device of plain registers, a broker, a centre, a
//! proxy between gateway and centre, a listener that never answers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use davy_journal::{JournalReader, ReceivedReader, SeriesReader, verify};
use davy_points::{ModbusTable, Timestamp};
use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::modbus_server::ModbusServer;
use davy_simulator::field::registers::Image;
use serde_json::Value;

use crate::harness::{Mosquitto, Process, davy, free_port, get_json, post, wait_for};

/// Registers 0 to `count` of unit 1, on a runtime of their own.
pub struct Device {
    image: Arc<Image>,
    pub faults: Arc<FaultSwitch>,
    server: Option<ModbusServer>,
    runtime: tokio::runtime::Runtime,
    pub port: u16,
}

impl Device {
    pub fn start(count: u16) -> Device {
        let mut image = Image::default();
        image.cover(1, ModbusTable::Holding, 0, count);
        let image = Arc::new(image);
        let faults = Arc::new(FaultSwitch::new(7));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime
            .block_on(ModbusServer::start(Arc::clone(&image), Arc::clone(&faults)))
            .unwrap();
        let port = server.address().port();
        Device {
            image,
            faults,
            server: Some(server),
            runtime,
            port,
        }
    }

    pub fn set(&self, register: u16, value: u16) {
        self.image.set(1, ModbusTable::Holding, register, &[value]);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

/// What a site is made of; every part has its plain default.
pub struct Build<'a> {
    pub broker: u16,
    /// Devices, each a source `plc-1`, `plc-2`, …, and how many points each has.
    pub devices: &'a [(u16, usize)],
    pub sink: Option<String>,
    /// Where the gateway finds the centre, where it is not the centre itself.
    pub center_url: Option<String>,
    /// More tables of `sources.toml`.
    pub sources: String,
    /// More rows of `points.csv`.
    pub points: String,
    /// More text of `site.toml`.
    pub site: String,
    pub data: Option<PathBuf>,
    pub http: u16,
}

impl Default for Build<'_> {
    fn default() -> Self {
        Build {
            broker: 0,
            devices: &[],
            sink: None,
            center_url: None,
            sources: String::new(),
            points: String::new(),
            site: String::new(),
            data: None,
            http: free_port(),
        }
    }
}

/// A site in a folder, and where its parts are.
pub struct Site {
    pub dir: PathBuf,
    pub data: PathBuf,
    pub http: u16,
}

/// Columns of `points.csv`.
const COLUMNS: &str = "tag,description,hazard,area,class,unit,low,high,source,unit_id,table,\
                       address,type,LL,L,H,HH,deadband";

impl Build<'_> {
    /// Point `n` of device `d` is `LT-{d}{n:03}`, 0 to 100 %, H 85, HH 90.
    pub fn write(self, root: &Path) -> Site {
        let Build { broker, http, .. } = self;
        let dir = root.join("site");
        fs::create_dir_all(&dir).unwrap();
        let mut site = format!(
            "schema = 1\n[site]\nid = \"sab\"\nname = \"一个罐\"\nzone = \"Asia/Shanghai\"\n\
             [[hazard]]\nid = \"TF\"\nname = \"罐区\"\ngrade = 1\nsubstance = \"苯\"\n\
             [[area]]\nid = \"A\"\nname = \"罐区\"\n[[gateway]]\nid = \"gw-1\"\nname = \"网关\"\n\
             [center]\nlisten = \"127.0.0.1:{http}\"\nbroker = \"mqtt://127.0.0.1:{broker}\"\n"
        );
        if let Some(url) = self.center_url {
            site += &format!("url = \"{url}\"\n");
        }
        if let Some(url) = self.sink {
            site += &format!("[[sink]]\nid = \"mirror\"\nurl = \"{url}\"\nbucket = \"davy\"\n");
        }
        site += &self.site;
        fs::write(dir.join("site.toml"), site).unwrap();
        let mut sources = "schema = 1\n".to_owned();
        let mut points = format!("{COLUMNS}\n");
        for (d, (port, count)) in self.devices.iter().enumerate() {
            let d = d + 1;
            sources += &format!(
                "[[modbus]]\nid = \"plc-{d}\"\ngateway = \"gw-1\"\naddress = \"tcp://127.0.0.1:{port}\"\n\
                 timeout = \"300ms\"\npoll = {{ fast = \"100ms\", normal = \"100ms\", slow = \"1s\" }}\n"
            );
            for n in 0..*count {
                points += &format!(
                    "LT-{d}{n:03},液位,TF,A,tank_level,%,0,100,plc-{d},1,holding,{n},u16,5,10,85,90,1\n"
                );
            }
        }
        sources += &self.sources;
        points += &self.points;
        fs::write(dir.join("sources.toml"), sources).unwrap();
        fs::write(dir.join("points.csv"), points).unwrap();
        Site {
            dir,
            data: self.data.unwrap_or_else(|| root.join("data")),
            http,
        }
    }
}

impl Site {
    pub fn command(&self, verb: &str, more: &[&str]) -> Command {
        let (dir, data) = (self.dir.to_str().unwrap(), self.data.to_str().unwrap());
        let mut arguments = vec![verb, dir, "--data-dir", data];
        arguments.extend(more);
        davy(&arguments)
    }

    pub fn process(&self, verb: &str, more: &[&str]) -> Process {
        Process::spawn(&format!("davy {verb}"), &mut self.command(verb, more))
    }

    pub fn center(&self) -> Process {
        self.process("center", &[])
    }

    pub fn gateway(&self) -> Process {
        self.process("gateway", &["--id", "gw-1"])
    }

    pub fn gateway_dir(&self) -> PathBuf {
        self.data.join("gw-1")
    }

    pub fn center_dir(&self) -> PathBuf {
        self.data.join("center")
    }

    pub fn alarms(&self) -> Option<Vec<Value>> {
        let list = get_json(self.http, "/api/v1/alarms")?;
        Some(list["alarms"].as_array()?.clone())
    }

    /// The alarm of an owner (`gw-1`, `center`).
    pub fn alarm_of(&self, owner: &str, name: &str) -> Option<Value> {
        self.alarms()?
            .into_iter()
            .find(|a| a["alarm"] == name && a["owner"] == owner)
    }

    pub fn alarm(&self, name: &str) -> Option<Value> {
        self.alarm_of("gw-1", name)
    }

    pub fn alarm_as(&self, name: &str, label: &str) -> Value {
        wait_for(&format!("{name} as {label}"), || {
            self.alarm(name)
                .filter(|a| a["label"] == label && a["unknown"] == false)
        })
    }

    /// Asks for an ack; the command's id, or none where the centre is not there.
    pub fn ack(&self, occurrence: &str, key: &str) -> Option<String> {
        let (status, body) = post(
            self.http,
            &format!("/api/v1/occurrences/{occurrence}/ack"),
            format!("{{\"actor\":\"e2e\",\"reason\":\"\",\"idempotency_key\":\"{key}\"}}")
                .as_bytes(),
        );
        let answer: Value = serde_json::from_str(&body).ok()?;
        (status == 202).then(|| answer["command_id"].as_str().unwrap().to_owned())
    }

    pub fn point(&self, tag: &str) -> Option<Value> {
        get_json(self.http, "/api/v1/points")?["points"]
            .as_array()?
            .iter()
            .find(|p| p["tag"] == tag)
            .cloned()
    }

    pub fn value_is(&self, tag: &str, value: f64) {
        wait_for(&format!("{tag} = {value} at the centre"), || {
            self.point(tag).filter(|p| p["value"] == value)
        });
    }

    pub fn gateway_view(&self) -> Option<Value> {
        Some(get_json(self.http, "/api/v1/gateways")?["gateways"][0].clone())
    }

    /// Waits until the centre has committed all that the gateway's journal holds.
    pub fn settled(&self) {
        let last = || {
            JournalReader::open(&self.gateway_dir())
                .unwrap()
                .last_seq()
                .unwrap()
        };
        wait_for("every transition at the centre", || {
            let view = self.gateway_view()?;
            (view["acked_seq"].as_u64()? == last()).then_some(())
        });
    }

    /// Both sides hold the same records, once each, in order, and both chains are whole.
    pub fn same_records(&self) {
        let ours = JournalReader::open(&self.gateway_dir())
            .unwrap()
            .read_from(0, usize::MAX >> 1)
            .unwrap();
        let theirs = ReceivedReader::open(&self.center_dir())
            .unwrap()
            .received_of("gw-1", 0, usize::MAX >> 1)
            .unwrap();
        assert_eq!(theirs.len(), ours.len(), "records at the centre");
        for (n, (sent, got)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(sent.seq, n as u64 + 1, "gapless");
            assert_eq!(got.seq, sent.seq, "in order");
            assert!(
                got.wire == *sent.wire,
                "record {} differs:\n{}\n{}",
                sent.seq,
                String::from_utf8_lossy(&sent.wire),
                String::from_utf8_lossy(&got.wire)
            );
            assert!(got.chain_ok, "record {}", sent.seq);
        }
        for dir in [self.gateway_dir(), self.center_dir()] {
            let report = verify(&dir).unwrap();
            assert!(report.is_whole(), "{}: {report:#?}", dir.display());
        }
    }

    /// Every row of the series in `dir`, as bits by time, for each tag.
    pub fn rows(dir: &Path) -> BTreeMap<String, BTreeMap<i64, (Option<u64>, u8)>> {
        let series = SeriesReader::open(dir).unwrap();
        let mut all = BTreeMap::new();
        for (tag, _) in series.points().unwrap() {
            let mut rows = BTreeMap::new();
            let each = &mut |row: davy_journal::Row| {
                let bits = row.value.number().map(f64::to_bits);
                rows.insert(row.time.ns(), (bits, row.quality.code()));
                ControlFlow::Continue(())
            };
            series
                .scan(&tag, Timestamp(i64::MIN), Timestamp(i64::MAX), each)
                .unwrap();
            all.insert(tag, rows);
        }
        assert_eq!(series.damaged(), 0);
        all
    }

    /// The centre has every row that the gateway has, to the bit, and none else.
    pub fn same_rows(&self) -> usize {
        let (ours, theirs) = (
            Self::rows(&self.gateway_dir()),
            Self::rows(&self.center_dir()),
        );
        let mut count = 0;
        for (tag, rows) in &ours {
            let got = theirs.get(tag).cloned().unwrap_or_default();
            let missing: Vec<_> = rows.iter().filter(|(t, r)| got.get(t) != Some(r)).collect();
            assert!(
                missing.is_empty() && got.len() == rows.len(),
                "{tag}: {} of {} rows at the centre, missing or different: {:?}",
                got.len(),
                rows.len(),
                &missing[..missing.len().min(5)]
            );
            count += rows.len();
        }
        count
    }

    /// What stands on each side, as (alarm, occurrence, label).
    pub fn standing(&self) -> Vec<(String, String, String)> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let mut standing: Vec<_> = self
            .alarms()
            .unwrap()
            .iter()
            .filter(|a| a["owner"] == "gw-1")
            .map(|a| (text(&a["alarm"]), text(&a["occurrence"]), text(&a["label"])))
            .collect();
        standing.sort();
        standing
    }

    /// What stands by the gateway's own journal.
    pub fn standing_in_journal(&self) -> Vec<(String, String, String)> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let mut newest = BTreeMap::new();
        let records = JournalReader::open(&self.gateway_dir())
            .unwrap()
            .read_json(0, usize::MAX >> 1)
            .unwrap();
        for (_, json) in records {
            let t: Value = serde_json::from_slice(&json).unwrap();
            newest.insert(text(&t["alarm"]), (text(&t["occurrence"]), text(&t["to"])));
        }
        newest
            .into_iter()
            .filter(|(_, (_, to))| to != "NORMAL")
            .map(|(alarm, (occurrence, to))| (alarm, occurrence, to))
            .collect()
    }
}

pub fn broker(root: &Path) -> Option<Mosquitto> {
    Mosquitto::start(root)
}

/// How the proxy answers.
pub const PASS: u8 = 0;
pub const REFUSE: u8 = 1;
pub const HANG: u8 = 2;
pub const CLOSE: u8 = 3;

/// Stands before `/api/v2/write` and misbehaves on demand.
pub struct Proxy {
    pub port: u16,
    mode: Arc<AtomicU8>,
    /// Requests that were refused, hung or cut.
    pub spoiled: Arc<AtomicU64>,
    hung: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            mode: Arc::new(AtomicU8::new(PASS)),
            spoiled: Arc::default(),
            hung: Arc::default(),
        };
        let (mode, spoiled, hung) = (
            Arc::clone(&proxy.mode),
            Arc::clone(&proxy.spoiled),
            Arc::clone(&proxy.hung),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (mode, spoiled, hung) =
                    (Arc::clone(&mode), Arc::clone(&spoiled), Arc::clone(&hung));
                std::thread::spawn(move || serve(stream, to, &mode, &spoiled, &hung));
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on; what hangs is let go when something else is asked for.
    pub fn mode(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
        if mode != HANG {
            for stream in self.hung.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Waits until a request has met the present fault.
    pub fn struck(&self) {
        let before = self.spoiled.load(Ordering::SeqCst);
        wait_for("a request that meets the fault", || {
            (self.spoiled.load(Ordering::SeqCst) > before).then_some(())
        });
    }
}

fn serve(
    mut stream: TcpStream,
    to: u16,
    mode: &AtomicU8,
    spoiled: &AtomicU64,
    hung: &Mutex<Vec<TcpStream>>,
) {
    let mut buffer = Vec::new();
    let mut chunk = [0; 65_536];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
        }
        while let Some((head, body, used)) = request(&buffer) {
            buffer.drain(..used);
            let present = mode.load(Ordering::SeqCst);
            if present != PASS {
                spoiled.fetch_add(1, Ordering::SeqCst);
            }
            let answer = match present {
                REFUSE => "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned(),
                HANG => {
                    hung.lock().unwrap().push(stream.try_clone().unwrap());
                    continue;
                }
                CLOSE => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                _ => {
                    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
                    let (status, _) = post(to, &path, &body);
                    match status {
                        204 => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
                        0 => "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n".to_owned(),
                        other => format!("HTTP/1.1 {other} Said\r\nContent-Length: 0\r\n\r\n"),
                    }
                }
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Head and body of the first whole request, and how many bytes it took.
fn request(buffer: &[u8]) -> Option<(String, Vec<u8>, usize)> {
    let split = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..split]).into_owned();
    let length: usize = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    let body = buffer.get(split..split + length)?;
    Some((head, body.to_vec(), split + length))
}

/// Accepts connections and never says a word: a broker behind a dead machine.
pub struct Mute {
    pub port: u16,
    pub accepted: Arc<AtomicU64>,
    held: Arc<Mutex<Vec<TcpStream>>>,
    over: Arc<AtomicU8>,
    thread: std::thread::JoinHandle<()>,
}

impl Mute {
    pub fn start() -> Mute {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, held, over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicU8::new(0)),
        );
        let (count, keep, end) = (Arc::clone(&accepted), Arc::clone(&held), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if end.load(Ordering::SeqCst) != 0 {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                keep.lock().unwrap().push(stream);
            }
        });
        Mute {
            port,
            accepted,
            held,
            over,
            thread,
        }
    }

    /// Gives the port up, so that somebody else can listen there.
    pub fn end(self) -> u16 {
        self.over.store(1, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for stream in self.held.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.thread.join().unwrap();
        self.port
    }
}

/// A small, seeded random number: below `n`.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}
