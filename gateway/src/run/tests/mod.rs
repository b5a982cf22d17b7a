//! Whole gateways on loopback: a real broker, a device, a store and a played centre.

mod broker;
mod center;
mod device;
mod store;

mod alarm_lane;
mod field_mqtt;
mod history_lane;
mod publisher;
mod reload;
mod shell;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_plan::{
    CenterPlan, Clock, GatewayPlan, InfluxSink, ModbusAddress, ModbusSource, MqttAddress,
    MqttSource, Payload, Plan, PollPeriods, SiteSource,
};
use davy_points::{
    Binding, ByteOrder, Life, Limits, ModbusBinding, ModbusTable, ModbusType, MqttBinding,
    PointDef, PointTable, PollClass, Scaling, SourceDef, SourceIx,
};

use self::broker::Broker;
use self::center::Center;
use self::device::Device;
use self::store::{Reply, Store};
use super::{Gateway, GatewayConfig, StartError, start};

/// Longest wait for something that must come.
const DEADLINE: Duration = Duration::from_secs(90);

/// A site with one gateway `gw-1`, made piece by piece.
struct Site {
    table: PointTable,
    sources: Vec<SiteSource>,
    broker: MqttAddress,
    url: String,
    sinks: Vec<InfluxSink>,
    key: Option<Vec<u8>>,
}

fn limits() -> Limits {
    Limits {
        ll: None,
        l: None,
        h: Some(85.0),
        hh: Some(90.0),
    }
}

impl Site {
    fn new(broker: &Broker, store: &Store) -> Site {
        Site {
            table: PointTable::new(),
            sources: Vec::new(),
            broker: broker.address(),
            url: store.url(),
            sinks: Vec::new(),
            key: None,
        }
    }

    fn source_def(&mut self, recorded: bool) -> (SourceIx, Arc<str>) {
        let id: Arc<str> = format!("source-{}", self.sources.len()).into();
        let ix = self.table.add_source(SourceDef {
            id: id.clone(),
            gateway: "gw-1".into(),
            recorded,
        });
        (ix, id)
    }

    fn modbus(&mut self, device: &Device) -> SourceIx {
        let (ix, id) = self.source_def(false);
        let period = Duration::from_millis(20);
        self.sources.push(SiteSource::Modbus(ModbusSource {
            ix,
            id,
            gateway: "gw-1".into(),
            address: ModbusAddress::Tcp {
                host: device.address.ip().to_string(),
                port: device.address.port(),
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
            clock: Clock::Arrival,
            time: None,
        }));
        ix
    }

    fn mqtt(&mut self, clock: Clock) -> SourceIx {
        let (ix, id) = self.source_def(clock == Clock::Recorded);
        self.sources.push(SiteSource::Mqtt(MqttSource {
            ix,
            id,
            gateway: "gw-1".into(),
            address: self.broker.clone(),
            topics: vec!["plant/#".into()],
            payload: Payload::Json {
                value: "value".into(),
                time: Some("ts".into()),
            },
            stale_after: Duration::from_secs(600),
            clock,
        }));
        ix
    }

    fn point(&mut self, tag: &str, source: SourceIx, binding: Binding, limits: Limits) {
        self.table
            .add(PointDef {
                tag: tag.into(),
                description: "".into(),
                hazard: "TF1".into(),
                area: "A".into(),
                class: "tank_level".into(),
                unit: "%".into(),
                low: None,
                high: None,
                source,
                binding,
                scaling: Scaling::default(),
                poll: PollClass::Normal,
                expected_interval: Duration::from_secs(200),
                stale_after: Duration::from_secs(600),
                report_deadband: None,
                limits,
                deadband: 1.0,
                on_delay: Duration::ZERO,
                off_delay: Duration::ZERO,
                priority: None,
                sentinels: Box::default(),
                life: Life::InService,
                calibration_due: None,
                note: "".into(),
                span: 0..0,
            })
            .expect("a new tag");
    }

    fn register(&mut self, tag: &str, source: SourceIx, address: u16) {
        let binding = Binding::Modbus(ModbusBinding {
            unit_id: 1,
            table: ModbusTable::Holding,
            address,
            kind: ModbusType::U16,
            order: ByteOrder::Abcd,
            status: None,
        });
        self.point(tag, source, binding, limits());
    }

    fn topic(&mut self, tag: &str, source: SourceIx) {
        let binding = Binding::Mqtt(MqttBinding {
            topic: format!("plant/{tag}"),
            json_path: None,
        });
        self.point(tag, source, binding, limits());
    }

    fn config(self, data: &Path) -> GatewayConfig {
        let (rules, faults) = davy_rules::language::compile(&[], &self.table, &[]);
        assert!(faults.is_empty(), "{faults:?}");
        let plan = Plan {
            dir: PathBuf::new(),
            site: "site".into(),
            name: "Site".into(),
            zone: "Asia/Shanghai".into(),
            approval_key: None,
            hazards: Vec::new(),
            areas: Vec::new(),
            gateways: vec![GatewayPlan {
                id: "gw-1".into(),
                name: "Gateway".into(),
            }],
            center: CenterPlan {
                listen: "127.0.0.1:0".into(),
                url: self.url,
                broker: self.broker,
                token: Some("secret".into()),
                command_key: self.key,
            },
            sinks: self.sinks,
            storage: data.to_path_buf(),
            points: Arc::new(self.table),
            sources: self.sources,
            rule_files: Vec::new(),
            test_files: Vec::new(),
            guidance: Vec::new(),
            rev: "0123456789abcdef".into(),
        };
        GatewayConfig {
            plan: Arc::new(plan),
            rules: Arc::new(rules.expect("rules")),
            id: "gw-1".into(),
            data_dir: data.to_path_buf(),
            input_log: None,
        }
    }
}

fn data() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Waits for what no channel tells; looks again whenever others have had their turn.
async fn until(mut look: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !look() {
        assert!(begin.elapsed() < DEADLINE, "it never came");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
