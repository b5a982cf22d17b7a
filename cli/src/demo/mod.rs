//! `davy demo`: a plant on this machine, and davy watching it. Wiring only: the simulated field
//! stands in `davy-simulator`, the gateways and the centre are the ones that plants run.
//!
//! Read first: [`main`]. The site is `config/examples/demo`, with the addresses of the sockets that
//! the simulated field opened put in the place of the file's.

mod operator;
mod summary;

pub(crate) use summary::Summary;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use davy_center::CenterConfig;
use davy_gateway::GatewayConfig;
use davy_plan::{ModbusAddress, MqttAddress, Payload, Plan, SiteSource};
use davy_simulator::field::{DeviceKind, DeviceSpec, Field, PayloadShape};
use davy_simulator::scenarios::Story;
use rust_embed::RustEmbed;

use crate::run::{LAST_THREADS, Parts, Signals, input_log_in, unusable};
use crate::site::{self, Site};
use crate::{End, args};

/// The demo's site, carried in the binary.
#[derive(RustEmbed)]
#[folder = "../config/examples/demo"]
struct DemoSite;

/// Runs the demo.
pub(crate) fn main(args: &args::Demo) -> End {
    let story = match Story::named(&args.scenario) {
        Ok(story) => story,
        Err(error) => return unusable(&error.to_string()),
    };
    if !args.listen.ip().is_loopback() {
        return unusable(&format!(
            "{} is not loopback: until sign-in exists the console listens on 127.0.0.1 or [::1] only",
            args.listen
        ));
    }
    let home = match Home::new(args.data_dir.clone()) {
        Ok(home) => home,
        Err(error) => return unusable(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return unusable(&format!("cannot start: {error}")),
    };
    let end = runtime.block_on(run(args, story, &home));
    // A thread that hangs in a disk is not waited for.
    runtime.shutdown_timeout(LAST_THREADS);
    end
}

async fn run(args: &args::Demo, story: Story, home: &Home) -> End {
    let began = Instant::now();
    let mut signals = Signals::listen();
    let site = match site::load(&home.site) {
        Ok(site) => site,
        Err(end) => return end,
    };
    let field = match Field::start(devices(&site.plan), story.clone(), args.seed) {
        Ok(field) => field,
        Err(error) => return unusable(&error.to_string()),
    };
    let parts = match start(&site, &field, home, args).await {
        Ok(parts) => parts,
        Err(why) => {
            field.stop().await;
            return unusable(&why);
        }
    };
    let address = parts
        .center
        .as_ref()
        .map_or(args.listen, davy_center::Center::local_addr);
    if args.json {
        eprintln!(
            "davy demo: {} on http://{address}, operator `{}`",
            story.name,
            operator::NAME
        );
    } else {
        welcome(&site, &story, address, home);
    }
    let hand = args.json.then(|| tokio::spawn(operator::work(address)));
    tokio::select! {
        () = signals.stopped() => {}
        () = elapsed(args.duration) => {}
    }
    if let Some(hand) = hand {
        hand.abort();
    }
    if !args.json {
        println!("stopping: no more polls; committing, flushing. A clean stop clears no alarm.");
    }
    let seconds = began.elapsed().as_secs_f64();
    // The field goes last, and its broker with it: the gateways' last words pass through it.
    let told = summary::stop(parts).await;
    field.stop().await;
    let summary = told.finish(seconds, &home.data);
    if args.json {
        println!("{}", serde_json::to_string(&summary).unwrap_or_default());
    } else {
        println!(
            "watched {:.0} s: {} samples ({} bad), {} transitions, {} lost; journals {}",
            summary.seconds,
            summary.samples,
            summary.samples_bad,
            summary.transitions,
            summary.lost,
            if summary.journal_verified {
                "verified"
            } else {
                "BROKEN"
            }
        );
    }
    if summary.lost == 0 && summary.journal_verified {
        End::Good
    } else {
        End::Findings
    }
}

async fn elapsed(duration: Option<std::time::Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// What each source of the plan looks like from the field's side.
fn devices(plan: &Plan) -> Vec<DeviceSpec> {
    plan.sources
        .iter()
        .map(|source| {
            let (ix, id, kind) = match source {
                SiteSource::Modbus(s) => (s.ix, &s.id, DeviceKind::Modbus),
                SiteSource::Mqtt(s) => (s.ix, &s.id, DeviceKind::Mqtt(shape(&s.payload))),
            };
            let points = plan.points.iter().filter(|(_, p)| p.source == ix);
            DeviceSpec {
                source: Arc::clone(id),
                kind,
                points: points.map(|(_, p)| p.clone()).collect(),
            }
        })
        .collect()
}

fn shape(payload: &Payload) -> PayloadShape {
    match payload {
        Payload::Json { value, time } => PayloadShape::Json {
            value: value.clone(),
            time: time.clone(),
        },
        Payload::Number => PayloadShape::Number,
    }
}

/// The centre first, then the gateways, on the field's sockets.
async fn start(
    site: &Site,
    field: &Field,
    home: &Home,
    args: &args::Demo,
) -> Result<Parts, String> {
    let mut plan = Plan::clone(&site.plan);
    let broker = field.broker();
    let broker = MqttAddress {
        host: broker.ip().to_string(),
        port: broker.port(),
        ..plan.center.broker.clone()
    };
    for source in &mut plan.sources {
        match source {
            SiteSource::Modbus(s) => {
                let at = field
                    .modbus(&s.id)
                    .ok_or_else(|| format!("the simulated field has no device `{}`", s.id))?;
                s.address = ModbusAddress::Tcp {
                    host: at.ip().to_string(),
                    port: at.port(),
                };
            }
            SiteSource::Mqtt(s) => s.address = broker.clone(),
        }
    }
    plan.center.broker = broker;
    let center = davy_center::start(CenterConfig {
        plan: Arc::new(plan.clone()),
        data_dir: home.data.join("center"),
        listen: args.listen,
    })
    .await
    .map_err(|e| e.to_string())?;
    plan.center.url = format!("http://{}", center.local_addr());
    let plan = Arc::new(plan);
    let mut parts = Parts {
        center: Some(center),
        gateways: Vec::new(),
    };
    for gateway in &plan.gateways {
        let data_dir = home.data.join(&*gateway.id);
        let started = davy_gateway::start(GatewayConfig {
            plan: Arc::clone(&plan),
            rules: Arc::clone(&site.rules),
            id: Arc::clone(&gateway.id),
            input_log: args.input_log.then(|| input_log_in(&data_dir)),
            data_dir,
        });
        match started {
            Ok(gateway) => parts.gateways.push(gateway),
            Err(error) => {
                parts.stop().await;
                return Err(error.to_string());
            }
        }
    }
    Ok(parts)
}

fn welcome(site: &Site, story: &Story, address: SocketAddr, home: &Home) {
    println!("davy demo: {}", story.title);
    println!();
    println!("  console   http://{address}");
    println!(
        "  plant     {} points, {} sources, {} gateways (simulated; no field device is touched)",
        site.plan.points.len(),
        site.plan.sources.len(),
        site.plan.gateways.len()
    );
    println!("  site      {}", home.site.display());
    println!("  state     {}", home.data.display());
    println!();
    println!("What to try, on the page:");
    println!("  - watch the filling tank: gauge LT-101A stands still, and `stuck` says so;");
    println!("    LT-101B crosses H, then HH; then a device goes silent: loss of view.");
    println!("  - acknowledge with the button or `a`; an ack of H never covers HH.");
    println!(
        "  - `?` lists the keys; the list on the right is everything that is not protecting now."
    );
    println!("From another terminal:");
    println!("  curl -s http://{address}/api/v1/alarms");
    println!("Ctrl-C stops it.");
}

/// Where the demo keeps its site and its state.
struct Home {
    site: PathBuf,
    data: PathBuf,
    /// Removed at the end where nobody named a folder.
    passing: Option<PathBuf>,
}

impl Home {
    fn new(named: Option<PathBuf>) -> Result<Home, String> {
        let (root, passing) = match named {
            Some(root) => (root, None),
            None => {
                let root = std::env::temp_dir().join(format!("davy-demo-{}", std::process::id()));
                (root.clone(), Some(root))
            }
        };
        let home = Home {
            site: root.join("site"),
            data: root.join("data"),
            passing,
        };
        write_site(&home.site)
            .and_then(|()| std::fs::create_dir_all(&home.data))
            .map_err(|e| {
                format!(
                    "cannot write {}: {e}; name another folder with --data-dir",
                    root.display()
                )
            })?;
        Ok(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(root) = &self.passing {
            let _ = std::fs::remove_dir_all(root);
        }
    }
}

/// Writes the site where none stands yet, so that a changed one is kept.
fn write_site(dir: &Path) -> std::io::Result<()> {
    if dir.join("site.toml").exists() {
        return Ok(());
    }
    for name in DemoSite::iter() {
        let Some(file) = DemoSite::get(&name) else {
            continue;
        };
        let path = dir.join(&*name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, &file.data)?;
    }
    Ok(())
}
