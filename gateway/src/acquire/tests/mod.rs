//! Acquisition against real sockets on loopback.

mod device;
mod faults;
mod hostile;
mod recorded;

use std::sync::Arc;
use std::time::Duration;

use davy_plan::{
    Clock as SourceClock, ModbusAddress, ModbusSource, PollPeriods, SiteSource, TimeRegister,
};
use davy_points::{
    Binding, ByteOrder, Life, Limits, ModbusBinding, ModbusTable, ModbusType, PointDef, PointIx,
    PointTable, PollClass, Quality, Sample, Scaling, SourceDef, SourceIx, Value,
};
use tokio::sync::mpsc;

use self::device::{Answer, Server};
use super::{AcquireHandle, AcquireMetrics, Batch, Clock, spawn};

/// Longest wait for something that must come.
const DEADLINE: Duration = Duration::from_secs(60);

/// A site with one source after another, each with its points.
struct Site {
    table: PointTable,
    sources: Vec<SiteSource>,
}

struct Running {
    rx: mpsc::Receiver<Batch>,
    table: Arc<PointTable>,
    metrics: prometheus::Registry,
    handle: AcquireHandle,
}

impl Site {
    fn new() -> Site {
        Site {
            table: PointTable::new(),
            sources: Vec::new(),
        }
    }

    fn source(&mut self, server: &Server, change: impl FnOnce(&mut ModbusSource)) -> SourceIx {
        let id: Arc<str> = format!("plc-{}", self.sources.len()).into();
        let ix = self.table.add_source(SourceDef {
            id: Arc::clone(&id),
            gateway: "gw".into(),
            recorded: false,
        });
        let period = Duration::from_millis(20);
        let mut source = ModbusSource {
            ix,
            id,
            gateway: "gw".into(),
            address: ModbusAddress::Tcp {
                host: server.address.ip().to_string(),
                port: server.address.port(),
            },
            timeout: Duration::from_secs(5),
            poll: PollPeriods {
                fast: period,
                normal: period,
                slow: period,
            },
            gap: 8,
            max_registers: 125,
            in_flight: 1,
            clock: SourceClock::Arrival,
            time: None,
        };
        change(&mut source);
        self.sources.push(SiteSource::Modbus(source));
        ix
    }

    fn point(
        &mut self,
        source: SourceIx,
        address: u16,
        kind: ModbusType,
        change: impl FnOnce(&mut PointDef, &mut ModbusBinding),
    ) -> PointIx {
        let mut binding = ModbusBinding {
            unit_id: 1,
            table: ModbusTable::Holding,
            address,
            kind,
            order: ByteOrder::Abcd,
            status: None,
        };
        let mut def = PointDef {
            tag: format!("P-{}", self.table.len()).into(),
            description: "".into(),
            hazard: "".into(),
            area: "".into(),
            class: "tank_level".into(),
            unit: "".into(),
            low: None,
            high: None,
            source,
            binding: Binding::Internal,
            scaling: Scaling::default(),
            poll: PollClass::Normal,
            expected_interval: Duration::from_secs(1),
            stale_after: Duration::from_secs(3),
            report_deadband: None,
            limits: Limits::default(),
            deadband: 0.0,
            on_delay: Duration::ZERO,
            off_delay: Duration::ZERO,
            priority: None,
            sentinels: Box::default(),
            life: Life::InService,
            calibration_due: None,
            note: "".into(),
            span: 0..0,
        };
        change(&mut def, &mut binding);
        def.binding = Binding::Modbus(binding);
        self.table.add(def).expect("a new tag")
    }

    fn run(self) -> Running {
        let table = Arc::new(self.table);
        let (tx, rx) = mpsc::channel(64);
        let metrics = prometheus::Registry::new();
        let m = AcquireMetrics::new(&metrics).expect("an empty registry");
        let handle = spawn(&self.sources, &table, &tx, Clock::start(), &m).expect("a thread");
        Running {
            rx,
            table,
            metrics,
            handle,
        }
    }
}

impl Running {
    async fn next(&mut self) -> Batch {
        tokio::time::timeout(DEADLINE, self.rx.recv())
            .await
            .expect("a batch in time")
            .expect("a poller")
    }

    /// Takes batches until one holds what is looked for.
    async fn until<T>(&mut self, mut look: impl FnMut(&Batch) -> Option<T>) -> T {
        let found = async {
            loop {
                let batch = self.next().await;
                if let Some(found) = look(&batch) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found)
            .await
            .expect("it comes in time")
    }

    async fn sample(&mut self, mut want: impl FnMut(&Sample) -> bool) -> Sample {
        self.until(|b| b.samples.iter().find(|s| want(s)).cloned())
            .await
    }

    async fn event(&mut self, up: bool) -> Quality {
        self.until(|b| b.events.iter().find(|e| e.up == up).map(|e| e.quality))
            .await
    }

    fn count(&self, name: &str) -> f64 {
        self.metrics
            .gather()
            .iter()
            .filter(|f| f.name() == format!("davy_modbus_{name}"))
            .flat_map(|f| f.get_metric())
            .map(|m| m.get_counter().get_value())
            .sum()
    }
}

#[tokio::test]
async fn a_register_becomes_a_sample_on_the_grid() {
    let server = Server::start(|ask| {
        Answer::Registers((0..ask.count).map(|i| ask.address + i + 7).collect())
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |s| s.poll.normal = Duration::from_millis(50));
    let a = site.point(source, 100, ModbusType::U16, |_, _| {});
    let b = site.point(source, 103, ModbusType::U16, |d, _| d.scaling.scale = 0.5);
    let mut run = site.run();

    let first = run.next().await;
    assert_eq!(first.events.len(), 1, "up, before the first value");
    assert!(first.events[0].up);
    let mut seqs = Vec::new();
    let mut times = Vec::new();
    // the first look does not wait for the grid
    for (n, batch) in [first, run.next().await, run.next().await]
        .into_iter()
        .enumerate()
    {
        let values: Vec<_> = batch
            .samples
            .iter()
            .map(|s| (s.point, s.value.clone()))
            .collect();
        assert_eq!(values, [(a, Value::F64(107.0)), (b, Value::F64(55.0))]);
        for s in &batch.samples {
            assert_eq!(s.quality, Quality::Good);
            let grid = if n == 0 { 1_000_000 } else { 50_000_000 };
            assert_eq!(s.source_time.ns() % grid, 0, "an exact grid");
            assert!(s.offset_ns > 0 && s.uncertainty_ns > 0);
            assert!(s.source_time.ns() + s.offset_ns <= s.arrival_time.ns());
        }
        seqs.push(batch.samples[0].seq);
        times.push(batch.samples[0].source_time);
    }
    assert!(times.is_sorted() && seqs.windows(2).all(|w| w[1] == w[0] + 1));
    // one request covers both points, on one connection
    assert!(
        server
            .asked
            .lock()
            .expect("no panic")
            .iter()
            .all(|a| a.count == 4)
    );
    run.handle.stop();
}
