//! A whole plant on sockets: a device for every source of a site, a broker, and a story that is told.
//!
//! Lives here: the thread that steps the plant ten times a second, lays its readings into the
//! devices and does what the story asks. May not live here: models, protocols. Read first: [`Field`].

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use davy_points::{Binding, PointDef};
use tokio::sync::watch;

use super::broker::{Broker, BrokerStats};
use super::modbus_server::{ModbusServer, ServerStats};
use super::mqtt_publisher::{MqttPublisher, PayloadShape, Readings};
use super::registers::Image;
use crate::faults::{FaultSwitch, LinkFault};
use crate::plant::{Plant, PlantError};
use crate::scenarios::{Act, Story, Teller, Told};

/// The plant's step.
const STEP: Duration = Duration::from_millis(100);
/// Acts that are kept for the log.
const LOG: usize = 1000;

/// What is to be simulated in the place of one source.
#[derive(Debug, Clone)]
pub struct DeviceSpec {
    /// The source's id.
    pub source: Arc<str>,
    /// The protocol that it speaks.
    pub kind: DeviceKind,
    /// The points that the source reads.
    pub points: Vec<PointDef>,
}

/// The protocol of a simulated device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceKind {
    /// A Modbus TCP server.
    Modbus,
    /// Publishers on the broker.
    Mqtt(PayloadShape),
}

/// Why a field did not start.
#[derive(Debug, thiserror::Error)]
pub enum FieldError {
    /// No port, no thread, no runtime.
    #[error("the simulated field cannot start: {0}")]
    Io(#[from] io::Error),
    /// The story names what the site does not have, or would silence a Modbus tag alone.
    #[error("scenario {story:?} names what this site does not have: {}{hint}", .missing.join(", "))]
    Story {
        /// Name of the story.
        story: String,
        /// Tags and sources.
        missing: Vec<String>,
        /// Where it is told instead.
        hint: String,
    },
    /// A process model of the story cannot be wired to the site.
    #[error("scenario {0:?}: {1}")]
    Unit(String, PlantError),
}

/// A running field.
#[derive(Debug)]
pub struct Field {
    modbus: BTreeMap<Arc<str>, SocketAddr>,
    broker: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    plant: Mutex<Plant>,
    log: Mutex<VecDeque<Told>>,
    faults: BTreeMap<Arc<str>, Arc<FaultSwitch>>,
    stats: Mutex<FieldStats>,
    started: Instant,
}

/// What the field has seen.
#[derive(Debug, Clone, Default)]
pub struct FieldStats {
    /// By source.
    pub modbus: BTreeMap<Arc<str>, ServerStats>,
    /// Of the broker.
    pub broker: BrokerStats,
}

impl Field {
    /// Starts every device on an ephemeral loopback port, and the story with them. Blocks the few
    /// milliseconds until all of them listen; they run on a thread of their own.
    ///
    /// # Errors
    /// A port or a thread cannot be had; the story names what the site does not have.
    pub fn start(devices: Vec<DeviceSpec>, story: Story, seed: u64) -> Result<Field, FieldError> {
        check(&devices, &story)?;
        let points: Vec<PointDef> = devices.iter().flat_map(|d| d.points.clone()).collect();
        let mut plant = if story.units.is_empty() {
            Plant::new(&points, seed)
        } else {
            Plant::of_units(&points, seed, &story.units)
                .map_err(|e| FieldError::Unit(story.name.clone(), e))?
        };
        plant.set_speed(story.speed);
        let faults = devices
            .iter()
            .enumerate()
            .map(|(i, d)| {
                let switch = FaultSwitch::new(seed ^ i as u64);
                (d.source.clone(), Arc::new(switch))
            })
            .collect();
        let shared = Arc::new(Shared {
            plant: Mutex::new(plant),
            log: Mutex::default(),
            faults,
            stats: Mutex::default(),
            started: Instant::now(),
        });
        let (stop, stopped) = watch::channel(false);
        let (opened, addresses) = mpsc::sync_channel(1);
        let thread = {
            let shared = shared.clone();
            let mut teller = Teller::new(story, seed);
            // the runtime lives on its own thread: the caller may be on another one's
            std::thread::Builder::new()
                .name("field".into())
                .spawn(move || {
                    let runtime = match tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                    {
                        Ok(runtime) => runtime,
                        Err(error) => {
                            let _ = opened.send(Err(error));
                            return;
                        }
                    };
                    runtime.block_on(async {
                        match Devices::open(devices, &shared).await {
                            Ok(devices) => {
                                devices.turn(&mut teller, &shared, Duration::ZERO, STEP);
                                let broker = devices.broker.address();
                                let _ = opened.send(Ok((devices.addresses(), broker)));
                                devices.run(teller, &shared, stopped).await;
                            }
                            Err(error) => {
                                let _ = opened.send(Err(error));
                            }
                        }
                    });
                })?
        };
        let (modbus, broker) = addresses
            .recv()
            .map_err(|_| io::Error::other("its thread ended"))??;
        Ok(Field {
            modbus,
            broker,
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Where the device in the place of a Modbus source listens.
    #[must_use]
    pub fn modbus(&self, source: &str) -> Option<SocketAddr> {
        self.modbus.get(source).copied()
    }

    /// All Modbus devices by source.
    #[must_use]
    pub fn modbus_addresses(&self) -> &BTreeMap<Arc<str>, SocketAddr> {
        &self.modbus
    }

    /// Where the broker listens.
    #[must_use]
    pub fn broker(&self) -> SocketAddr {
        self.broker
    }

    /// What happened so far, the last thousand acts; times from the start of the field.
    #[must_use]
    pub fn log(&self) -> Vec<Told> {
        lock(&self.shared.log).iter().cloned().collect()
    }

    /// How long the story has been told.
    #[must_use]
    pub fn running_for(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// The plant, for tests that take hold of it beside the story.
    pub fn plant(&self) -> MutexGuard<'_, Plant> {
        lock(&self.shared.plant)
    }

    /// The switch of a Modbus device's faults.
    #[must_use]
    pub fn faults(&self, source: &str) -> Option<&Arc<FaultSwitch>> {
        self.shared.faults.get(source)
    }

    /// What the devices have seen, a tenth of a second old at most.
    #[must_use]
    pub fn stats(&self) -> FieldStats {
        lock(&self.shared.stats).clone()
    }

    /// Ends the story and closes every socket.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(devices: &[DeviceSpec], story: &Story) -> Result<(), FieldError> {
    let source = |name: &str| devices.iter().any(|d| &*d.source == name);
    let tag = |name: &str, mqtt_only: bool| {
        devices.iter().any(|d| {
            (!mqtt_only || d.kind != DeviceKind::Modbus) && d.points.iter().any(|p| &*p.tag == name)
        })
    };
    let mut missing: Vec<String> = story
        .acts()
        .filter_map(|act| {
            let name = act.target()?;
            let there = match act {
                Act::Silence(_) => source(name) || tag(name, true),
                Act::Refuse(_) => source(name),
                Act::Restore(_) => source(name) || tag(name, false),
                _ => tag(name, false),
            };
            (!there).then(|| name.to_owned())
        })
        .collect();
    // a model that moves nothing here belongs to another site
    for unit in &story.units {
        if !unit.shows.is_empty() && !unit.shows.keys().any(|name| tag(name, false)) {
            missing.extend(unit.shows.keys().cloned());
        }
    }
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(FieldError::Story {
            story: story.name.clone(),
            missing,
            hint: match &story.pack {
                Some(pack) => format!(
                    ". It is a story of the rule pack `{pack}`: `cargo test -p davy --test packs` tells it there"
                ),
                None => String::new(),
            },
        })
    }
}

/// The sockets, on the field's own runtime.
struct Devices {
    broker: Broker,
    modbus: Vec<Wired>,
    mqtt: Vec<(Arc<str>, Vec<Arc<str>>, MqttPublisher)>,
}

/// A Modbus device, and where its points are in the plant.
struct Wired {
    source: Arc<str>,
    server: ModbusServer,
    image: Arc<Image>,
    points: Vec<PointDef>,
    first: usize,
}

impl Devices {
    async fn open(specs: Vec<DeviceSpec>, shared: &Arc<Shared>) -> io::Result<Devices> {
        let broker = Broker::start().await?;
        let mut modbus = Vec::new();
        let mut mqtt = Vec::new();
        let mut first = 0;
        for spec in specs {
            let count = spec.points.len();
            match spec.kind {
                DeviceKind::Modbus => {
                    let image = Arc::new(Image::for_points(&spec.points));
                    let wired = Wired {
                        server: ModbusServer::start(
                            image.clone(),
                            shared.faults[&spec.source].clone(),
                        )
                        .await?,
                        source: spec.source,
                        image,
                        points: spec.points,
                        first,
                    };
                    wired.lay(&lock(&shared.plant));
                    modbus.push(wired);
                }
                DeviceKind::Mqtt(shape) => {
                    let tags: Vec<Arc<str>> = spec.points.iter().map(|p| p.tag.clone()).collect();
                    let readings: Readings = {
                        let (shared, tags) = (shared.clone(), tags.clone());
                        Arc::new(move |i| lock(&shared.plant).value(&tags[i]).unwrap_or(f64::NAN))
                    };
                    let publisher = MqttPublisher::start(
                        &format!("field-{}", spec.source),
                        broker.address(),
                        &spec.points,
                        shape,
                        period(&spec.points),
                        readings,
                    );
                    mqtt.push((spec.source, tags, publisher));
                }
            }
            first += count;
        }
        Ok(Devices {
            broker,
            modbus,
            mqtt,
        })
    }

    fn addresses(&self) -> BTreeMap<Arc<str>, SocketAddr> {
        self.modbus
            .iter()
            .map(|w| (w.source.clone(), w.server.address()))
            .collect()
    }

    async fn run(self, mut teller: Teller, shared: &Shared, mut stopped: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(STEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut last = shared.started;
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                _ = ticks.tick() => {}
            }
            let now = Instant::now();
            self.turn(&mut teller, shared, now - shared.started, now - last);
            last = now;
        }
        for (_, _, publisher) in self.mqtt {
            publisher.stop().await;
        }
        for wired in self.modbus {
            wired.server.stop().await;
        }
        self.broker.stop().await;
    }

    /// One step: the story, the plant, the devices.
    fn turn(&self, teller: &mut Teller, shared: &Shared, now: Duration, step: Duration) {
        let pace = teller.story().pace;
        for told in teller.due(now.mul_f64(pace)) {
            self.act(&told.act, shared);
            tracing::info!(chapter = told.chapter, "{}", told.act);
            let mut log = lock(&shared.log);
            if log.len() == LOG {
                log.pop_front();
            }
            log.push_back(told);
        }
        {
            let mut plant = lock(&shared.plant);
            plant.step(step.mul_f64(pace));
            for wired in &self.modbus {
                wired.lay(&plant);
            }
        }
        *lock(&shared.stats) = FieldStats {
            modbus: self
                .modbus
                .iter()
                .map(|w| (w.source.clone(), w.server.stats()))
                .collect(),
            broker: self.broker.stats(),
        };
    }

    /// Does what the story asks. Targets were checked at the start.
    fn act(&self, act: &Act, shared: &Shared) {
        let mut plant = lock(&shared.plant);
        let done = match act {
            Act::Silence(name) => {
                self.quiet(name, true, LinkFault::Silent);
                Ok(())
            }
            Act::Refuse(name) => {
                self.quiet(name, true, LinkFault::Refuse);
                Ok(())
            }
            Act::Restore(name) => {
                self.quiet(name, false, LinkFault::None);
                // a source is no instrument
                let _ = act.play(&mut plant);
                Ok(())
            }
            Act::Calm => {
                for wired in &self.modbus {
                    wired.server.faults().clear();
                }
                for (_, tags, publisher) in &self.mqtt {
                    publisher.restore(None);
                    for tag in tags {
                        publisher.restore(Some(tag));
                    }
                }
                act.play(&mut plant)
            }
            act => act.play(&mut plant),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the scenario asks for what the plant cannot do");
        }
    }

    /// Silences or restores a source, or one tag of an MQTT source.
    fn quiet(&self, name: &str, silent: bool, fault: LinkFault) {
        if let Some(wired) = self.modbus.iter().find(|w| &*w.source == name) {
            wired.server.faults().set(fault);
        }
        for (source, tags, publisher) in &self.mqtt {
            let tag = match &**source == name {
                true => None,
                false if tags.iter().any(|t| &**t == name) => Some(name),
                false => continue,
            };
            if silent {
                publisher.silence(tag);
            } else {
                publisher.restore(tag);
            }
        }
    }
}

impl Wired {
    fn lay(&self, plant: &Plant) {
        let readings = plant.readings().skip(self.first);
        for (def, reading) in self.points.iter().zip(readings) {
            self.image.write(def, reading);
        }
    }
}

/// As often as the site expects a value, halved so that none is late, and once a second at least.
fn period(points: &[PointDef]) -> Duration {
    points
        .iter()
        .filter(|p| matches!(p.binding, Binding::Mqtt(_)))
        .map(|p| p.expected_interval / 2)
        .min()
        .unwrap_or(Duration::from_secs(1))
        .clamp(Duration::from_millis(200), Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests_support::{holding, point};
    use davy_points::{ModbusType, MqttBinding};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    fn devices() -> Vec<DeviceSpec> {
        let mut gauge = holding("LT-1", 0, ModbusType::F32);
        gauge.low = Some(0.0);
        gauge.high = Some(14.0);
        gauge.class = "tank_level".into();
        let head = point(
            "AT-1",
            "gas_toxic",
            Binding::Mqtt(MqttBinding {
                topic: "hall/AT-1".into(),
                json_path: None,
            }),
        );
        let shape = PayloadShape::Json {
            value: "value".into(),
            time: None,
        };
        vec![
            DeviceSpec {
                source: "hall".into(),
                kind: DeviceKind::Mqtt(shape),
                points: vec![head],
            },
            DeviceSpec {
                source: "plc".into(),
                kind: DeviceKind::Modbus,
                points: vec![gauge],
            },
        ]
    }

    fn story(acts: &str) -> Story {
        Story::parse(&format!(
            "schema = 1\nname = 'x'\ntitle = ''\n[[chapter]]\nname = 'c'\ntitle = ''\nlength = '1h'\nacts = [{acts}]"
        ))
        .unwrap()
    }

    async fn level(field: &Field) -> f32 {
        let mut s = TcpStream::connect(field.modbus("plc").unwrap())
            .await
            .unwrap();
        s.write_all(&[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2])
            .await
            .unwrap();
        let mut reply = [0; 13];
        s.read_exact(&mut reply).await.unwrap();
        f32::from_be_bytes([reply[9], reply[10], reply[11], reply[12]])
    }

    #[tokio::test]
    async fn the_first_acts_stand_before_anyone_can_look() {
        let field = Field::start(
            devices(),
            story("{ at = '0s', set = 'LT-1', to = 3 }, { at = '0s', freeze = 'AT-1' }"),
            1,
        )
        .unwrap();
        assert!((level(&field).await - 3.0).abs() < 0.1);
        assert_eq!(field.log().len(), 2);
        field.plant().set("LT-1", 9.0).unwrap();
        while (level(&field).await - 9.0).abs() > 0.1 {
            tokio::task::yield_now().await;
        }
        while field.stats().broker.received < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(field.stats().modbus["plc"].write_attempts, 0);
        let address = field.modbus("plc").unwrap();
        field.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_story_for_another_site_is_refused_by_name() {
        let said = Field::start(
            devices(),
            story(
                "{ at = '1s', freeze = 'LT-9' }, { at = '2s', silence = 'plc-9' }, { at = '3s', silence = 'LT-1' }, { at = '4s', silence = 'AT-1' }",
            ),
            1,
        )
        .unwrap_err()
        .to_string();
        assert_eq!(
            said,
            "scenario \"x\" names what this site does not have: LT-1, LT-9, plc-9"
        );
    }
}
