//! Recorded plant data through the whole product: what is stored equals what was recorded, to the
//! bit; empty cells end as loss of view, frozen ones as `stuck`. Not on our own simulator's models,
//! which share our mistakes: the step-locked devices here only hand out the published files.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)] // a test says what broke by panicking

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use davy_journal::SeriesReader;
use davy_points::{Quality, Timestamp};
use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::dataset::{
    Dataset, DatasetSite, Layout, MqttReplay, MqttReplayConfig, Rewind, StepLock, StuckRule,
    Transport,
};
use davy_simulator::field::modbus_server::ModbusServer;
use davy_simulator::field::{SiteSpec, write_site};
use harness::{
    Influx, Mosquitto, Process, VictoriaMetrics, davy, free_port, get_json, post, recorded,
    wait_for,
};

/// Rows read within so long before a connection was lost are offered again.
const REWIND: Duration = Duration::from_secs(2);

fn datasets(folder: &str, read: fn(&str, &str) -> Dataset) -> Option<Vec<Dataset>> {
    let mut files: Vec<PathBuf> = fs::read_dir(recorded(folder)?)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    Some(
        files
            .iter()
            .map(|file| {
                let name = file.file_stem().unwrap().to_str().unwrap();
                let short: String = name
                    .to_lowercase()
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                    .collect();
                read(&short, &fs::read_to_string(file).unwrap())
            })
            .collect(),
    )
}

fn skab(name: &str, text: &str) -> Dataset {
    Dataset::skab(name, text).unwrap()
}

fn three_w(name: &str, text: &str) -> Dataset {
    Dataset::three_w(name, text).unwrap()
}

fn tep(name: &str, text: &str) -> Dataset {
    Dataset::tep(name, text).unwrap()
}

/// A data set on its way through the product.
struct Run {
    root: tempfile::TempDir,
    data: Arc<Dataset>,
    tags: Vec<String>,
    http: u16,
    began: Instant,
}

impl Run {
    fn new(
        data: Dataset,
        stuck: Option<StuckRule>,
        transport: &Transport,
        broker: u16,
        mirror: Option<String>,
    ) -> Run {
        let http = free_port();
        let spec = SiteSpec {
            site: "recorded".into(),
            gateway: "gw-1".into(),
            broker: ([127, 0, 0, 1], broker).into(),
            listen: ([127, 0, 0, 1], http).into(),
            mirror,
        };
        let site = DatasetSite::new(&data, transport, stuck, &spec);
        let root = tempfile::tempdir().unwrap();
        write_site(&root.path().join("site"), &site.files).unwrap();
        Run {
            root,
            data: Arc::new(data),
            tags: site.tags,
            http,
            began: Instant::now(),
        }
    }

    fn process(&self, verb: &str, more: &[&str]) -> Process {
        let (site, data) = (self.root.path().join("site"), self.root.path().join("data"));
        let mut arguments = vec![
            verb,
            site.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
        ];
        arguments.extend(more);
        Process::spawn(
            &format!("davy {verb}"),
            davy(&arguments).env("DAVY_LOG", "warn,davy_gateway::acquire=info"),
        )
    }

    /// Waits until the centre has the last row of every point.
    fn arrived(&self) {
        let last = self.data.rows.last().unwrap().0.ns();
        wait_for("the last row at the centre", || {
            let points = get_json(self.http, "/api/v1/points")?;
            points["points"]
                .as_array()?
                .iter()
                .all(|p| p["source_time"].as_i64() == Some(last))
                .then_some(())
        });
        let seconds = self.began.elapsed().as_secs_f64();
        let span = self.data.rows.last().unwrap().0.since(self.data.rows[0].0) as f64 / 1e9;
        println!(
            "{}: {} rows × {} in {seconds:.1} s, {:.0} × real time",
            self.data.name,
            self.data.rows.len(),
            self.tags.len(),
            span / seconds
        );
    }

    fn center(&self) -> PathBuf {
        self.root.path().join("data/center")
    }

    /// No finite value missing, none extra, none changed by a bit.
    fn compare(&self) {
        let series = SeriesReader::open(&self.center()).unwrap();
        for (column, tag) in self.tags.iter().enumerate() {
            let stored = rows(&series, tag);
            let finite: BTreeMap<i64, u64> = self
                .data
                .series(column)
                .filter_map(|(t, v)| Some((t.ns(), v?.to_bits())))
                .collect();
            let numbers: BTreeMap<i64, u64> = stored
                .iter()
                .filter_map(|(t, (v, _))| Some((*t, v.as_ref()?.to_bits())))
                .collect();
            let missing = finite
                .iter()
                .filter(|(t, v)| numbers.get(t) != Some(v))
                .count();
            let extra = numbers.keys().filter(|t| !finite.contains_key(t)).count();
            assert_eq!(
                (missing, extra),
                (0, 0),
                "{tag}: of {} finite values",
                finite.len()
            );
            for (time, value) in self.data.series(column) {
                if value.is_none() {
                    let (_, quality) = stored[&time.ns()];
                    assert!(
                        quality.is_bad(),
                        "{tag} at {time}: an empty cell is Bad, not {quality}"
                    );
                }
            }
        }
        assert_eq!(series.damaged(), 0);
    }

    /// Columns that end empty stand as loss of view.
    fn blind_at_the_end(&self) {
        let alarms = get_json(self.http, "/api/v1/alarms").unwrap();
        for (column, tag) in self.tags.iter().enumerate() {
            let last = self.data.rows.last().unwrap().1[column];
            let name = format!("quality/{tag}/bad");
            let standing = alarms["alarms"]
                .as_array()
                .unwrap()
                .iter()
                .any(|a| a["alarm"] == name.as_str() && a["label"] == "UNACK");
            assert_eq!(
                standing,
                last.is_none(),
                "{name} stands exactly where the column ends empty"
            );
        }
    }

    /// Frozen stretches are stored as uncertain, and raised `stuck`; what moves is Good.
    fn frozen(&self, rule: StuckRule) {
        let series = SeriesReader::open(&self.center()).unwrap();
        let export = Process::spawn(
            "export",
            &mut davy(&[
                "journal",
                "export",
                "--data-dir",
                self.center().to_str().unwrap(),
            ]),
        );
        let mut export = export;
        assert_eq!(export.ended(), Some(0));
        let journal = export.lines.lock().unwrap().join("\n");
        let window = i64::try_from(rule.window.as_nanos()).unwrap();
        for (column, tag) in self.tags.iter().enumerate() {
            let stored = rows(&series, tag);
            let cells: Vec<(Timestamp, Option<f64>)> = self.data.series(column).collect();
            // An active `stuck` ends when something moves, not by a gap: absence never clears.
            let (mut ever, mut held) = (false, false);
            // Start of the stretch in which nothing moved by more than epsilon and nothing was empty.
            let (mut begin, mut least, mut most) = (0, f64::MAX, f64::MIN);
            for (i, (time, value)) in cells.iter().enumerate() {
                let Some(value) = value else {
                    (begin, least, most) = (i + 1, f64::MAX, f64::MIN);
                    continue;
                };
                (least, most) = (least.min(*value), most.max(*value));
                while most - least > rule.epsilon {
                    held = false;
                    begin += 1;
                    let stretch = cells[begin..=i].iter().filter_map(|c| c.1);
                    (least, most) =
                        stretch.fold((f64::MAX, f64::MIN), |(l, m), v| (l.min(v), m.max(v)));
                }
                let still = time.since(cells[begin].0);
                let (_, quality) = stored[&time.ns()];
                if still > window {
                    (ever, held) = (true, true);
                    assert_eq!(
                        quality,
                        Quality::UncertainLastUsable,
                        "{tag} at {time}, still for {still} ns"
                    );
                } else if still < window && !held {
                    assert_eq!(
                        quality,
                        Quality::Good,
                        "{tag} at {time}, still for {still} ns"
                    );
                }
            }
            let raised = journal.contains(&format!("\"alarm\":\"frozen/{tag}/on\""));
            assert_eq!(raised, ever, "stuck on {tag}");
        }
    }

    /// Equal at VictoriaMetrics' precision: milliseconds and about 15 digits.
    fn compare_mirror(&self, store: &VictoriaMetrics) {
        for (column, tag) in self.tags.iter().enumerate() {
            let finite: Vec<(i64, f64)> = self
                .data
                .series(column)
                .filter_map(|(t, v)| Some((t.ns().div_euclid(1_000_000), v?)))
                .collect();
            let selector = format!("recorded_value{{tag=\"{tag}\"}}");
            let mirrored = wait_for(
                &format!("{} samples of {tag} in the mirror", finite.len()),
                || {
                    let mut rows = store.export(&selector);
                    rows.dedup_by_key(|r| r.0);
                    (rows.len() >= finite.len()).then_some(rows)
                },
            );
            assert_eq!(mirrored.len(), finite.len(), "{tag}");
            for ((t, v), (mt, mv)) in finite.iter().zip(&mirrored) {
                assert_eq!(t, mt, "{tag}");
                assert!(
                    (v - mv).abs() <= v.abs() * 1e-14,
                    "{tag} at {t} ms: {v} became {mv}"
                );
            }
        }
    }
}

type Stored = BTreeMap<i64, (Option<f64>, Quality)>;

fn rows(series: &SeriesReader, tag: &str) -> Stored {
    let mut rows = Stored::new();
    let all = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    series
        .scan(tag, all.0, all.1, &mut |row| {
            let value = row.value.number();
            assert!(
                rows.insert(row.time.ns(), (value, row.quality)).is_none(),
                "{tag}: a time twice"
            );
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

/// A step-locked device on a runtime of its own.
struct Device {
    runtime: tokio::runtime::Runtime,
    lock: Arc<StepLock>,
    server: ModbusServer,
}

impl Device {
    fn start(data: &Arc<Dataset>) -> Device {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let lock = Arc::new(StepLock::new(Arc::clone(data), REWIND));
        let server = runtime
            .block_on(ModbusServer::start(
                Arc::clone(&lock),
                Arc::new(FaultSwitch::new(1)),
            ))
            .unwrap();
        Device {
            runtime,
            lock,
            server,
        }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn finished(&self) {
        wait_for(
            &format!("the last row (now at {})", self.lock.row()),
            || self.lock.is_finished().then_some(()),
        );
    }
}

fn over_modbus(data: Dataset, stuck: Option<StuckRule>, broker: &Mosquitto) -> Run {
    let shared = Arc::new(data.clone());
    let device = Device::start(&shared);
    let run = Run::new(
        data,
        stuck,
        &Transport::Modbus(device.address()),
        broker.port,
        None,
    );
    let mut davy = run.process("run", &[]);
    device.finished();
    run.arrived();
    run.blind_at_the_end();
    assert_eq!(davy.stop(), Some(0), "{:?}", davy.tail());
    run.compare();
    run
}

fn broker() -> Option<(tempfile::TempDir, Mosquitto)> {
    let root = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(root.path())?;
    Some((root, broker))
}

#[test]
fn skab_over_modbus_is_stored_to_the_bit() {
    let (Some(sets), Some((_root, broker))) = (datasets("skab", skab), broker()) else {
        return;
    };
    for data in sets {
        over_modbus(data, None, &broker);
    }
}

#[test]
fn three_w_over_modbus_ends_blind_and_frozen_where_the_well_did() {
    let (Some(sets), Some((_root, broker))) = (datasets("3w", three_w), broker()) else {
        return;
    };
    let rule = StuckRule {
        epsilon: 0.0,
        window: Duration::from_secs(600),
    };
    for data in sets {
        over_modbus(data, Some(rule), &broker).frozen(rule);
    }
}

#[test]
fn tep_over_modbus_is_stored_to_the_bit() {
    let (Some(sets), Some((_root, broker))) = (datasets("tep", tep), broker()) else {
        return;
    };
    for data in sets {
        over_modbus(data, None, &broker);
    }
}

#[test]
fn recordings_over_mqtt_are_stored_to_the_bit() {
    let Some((_root, broker)) = broker() else {
        return;
    };
    let (Some(skab), Some(three_w), Some(tep)) = (
        datasets("skab", skab),
        datasets("3w", three_w),
        datasets("tep", tep),
    ) else {
        return;
    };
    let first = |sets: Vec<Dataset>| sets.into_iter().min_by_key(|d| d.rows.len()).unwrap();
    for (data, layout) in [
        (first(skab), Layout::TopicPerColumn),
        (first(three_w), Layout::Combined),
        (first(tep), Layout::Combined),
    ] {
        let address: SocketAddr = ([127, 0, 0, 1], broker.port).into();
        let prefix = format!("replay/{}", data.name);
        let transport = Transport::Mqtt {
            broker: address,
            prefix: prefix.clone(),
            layout,
        };
        let run = Run::new(data, None, &transport, broker.port, None);
        let mut davy = run.process("run", &[]);
        // A publisher speaks when somebody listens: before the subscription the broker keeps
        // nothing for the gateway.
        wait_for("the subscription", || {
            let lines = davy.lines.lock().unwrap();
            let up = lines.iter().any(|l| l.contains("source is up"));
            up.then_some(())
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let replay = runtime.block_on(async {
            MqttReplay::start(
                Arc::clone(&run.data),
                MqttReplayConfig {
                    client: "recorder".into(),
                    broker: address,
                    prefix,
                    layout,
                    window: 100,
                    rewind: Rewind::Start,
                    pace: Duration::ZERO,
                },
            )
        });
        wait_for("every row acknowledged by the broker", || {
            (replay.acknowledged() == run.data.rows.len()).then_some(())
        });
        run.arrived();
        run.blind_at_the_end();
        assert_eq!(davy.stop(), Some(0), "{:?}", davy.tail());
        run.compare();
        drop(replay);
    }
}

/// mosquitto and VictoriaMetrics are killed in the middle, and the gateway with -9 twice.
#[test]
fn nothing_is_lost_when_broker_store_and_gateway_are_killed() {
    let (Some(sets), Some((root, mut broker))) = (datasets("3w", three_w), broker()) else {
        return;
    };
    let Some(mut store) = VictoriaMetrics::start(root.path()) else {
        return;
    };
    // Long enough to be killed in the middle, four times.
    let data = sets.into_iter().max_by_key(|d| d.rows.len()).unwrap();
    let device = Device::start(&Arc::new(data.clone()));
    let run = Run::new(
        data,
        None,
        &Transport::Modbus(device.address()),
        broker.port,
        Some(store.url()),
    );
    let mut center = run.process("center", &[]);
    let mut gateway = run.process("gateway", &["--id", "gw-1"]);
    let past = |part: usize| {
        let row = run.data.rows.len() * part / 10;
        wait_for(&format!("row {row}"), || {
            (device.lock.row() >= row).then_some(())
        });
    };
    past(2);
    gateway.kill();
    gateway = run.process("gateway", &["--id", "gw-1"]);
    past(4);
    broker.kill();
    store.kill();
    past(6);
    gateway.kill();
    gateway = run.process("gateway", &["--id", "gw-1"]);
    past(7);
    broker.restart();
    store.restart();
    device.finished();
    assert!(
        device.lock.rewound() > 0,
        "a killed reader was offered its last rows again"
    );
    run.arrived();
    run.compare_mirror(&store);
    // Every transition that the gateway journalled is at the centre.
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    wait_for("every transition at the centre", || {
        let gateways = get_json(run.http, "/api/v1/gateways")?;
        let g = &gateways["gateways"][0];
        (g["last_seq"].as_u64()? > 0 && g["acked_seq"] == g["last_seq"]).then_some(())
    });
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    run.compare();
    drop(device.runtime);
}

/// Debian's InfluxDB 1.6 takes every line that we write: it judges the mirror's bodies.
#[test]
fn the_strict_parser_takes_every_line() {
    let (Some(sets), Some((root, broker))) = (datasets("3w", three_w), broker()) else {
        return;
    };
    let Some(influx) = Influx::start(root.path()) else {
        return;
    };
    let influx = Arc::new(influx);
    let judge = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", judge.local_addr().unwrap());
    let verdicts = Arc::new(std::sync::Mutex::new(Vec::<(u16, String)>::new()));
    {
        let (influx, verdicts) = (Arc::clone(&influx), Arc::clone(&verdicts));
        std::thread::spawn(move || forward(&judge, &influx, &verdicts));
    }
    let data = sets.into_iter().min_by_key(|d| d.rows.len()).unwrap();
    let device = Device::start(&Arc::new(data.clone()));
    let rule = StuckRule {
        epsilon: 0.0,
        window: Duration::from_secs(60),
    };
    let run = Run::new(
        data,
        Some(rule),
        &Transport::Modbus(device.address()),
        broker.port,
        Some(url),
    );
    let mut davy = run.process("run", &[]);
    device.finished();
    run.arrived();
    let expected = u64::try_from(run.data.finite()).unwrap();
    wait_for("every line in InfluxDB", || {
        (count(&influx, "recorded", "value") >= expected).then_some(())
    });
    assert_eq!(count(&influx, "recorded", "value"), expected);
    wait_for("the alarms' mirror", || {
        (count(&influx, "alarm", "state") > 0).then_some(())
    });
    assert_eq!(davy.stop(), Some(0));
    let verdicts = verdicts.lock().unwrap();
    assert!(!verdicts.is_empty());
    for (status, body) in verdicts.iter() {
        assert_eq!(*status, 204, "{body}");
    }
}

fn count(influx: &Influx, measurement: &str, field: &str) -> u64 {
    let query = format!("/query?db=davy&q=SELECT+count(%22{field}%22)+FROM+%22{measurement}%22");
    let (_, body) = post(influx.port, &query, b"");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    answer["results"][0]["series"][0]["values"][0][1]
        .as_u64()
        .unwrap_or(0)
}

/// Answers `/api/v2/write` with what `/write` of the strict parser says of the same bytes.
fn forward(judge: &TcpListener, influx: &Influx, verdicts: &std::sync::Mutex<Vec<(u16, String)>>) {
    for stream in judge.incoming() {
        let Ok(mut stream) = stream else { return };
        let mut buffer = Vec::new();
        let mut chunk = [0; 65_536];
        while let Ok(n) = stream.read(&mut chunk) {
            if n == 0 {
                break;
            }
            buffer.extend_from_slice(&chunk[..n]);
            while let Some((body, used)) = request(&buffer) {
                let (status, said) = influx.write(&body);
                buffer.drain(..used);
                let text = format!(
                    "{said}: {}",
                    String::from_utf8_lossy(&body[..body.len().min(300)])
                );
                verdicts.lock().unwrap().push((status, text));
                let answer = if status == 204 {
                    "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
                } else {
                    format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n")
                };
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

/// The body of the first whole request, and how many bytes it took.
fn request(buffer: &[u8]) -> Option<(Vec<u8>, usize)> {
    let head = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length: usize = text
        .lines()
        .find_map(|l| l.strip_prefix("content-length:"))
        .and_then(|l| l.trim().parse().ok())
        .unwrap_or(0);
    let body = buffer.get(head..head + length)?;
    Some((body.to_vec(), head + length))
}
