//! Simulated devices in a process of their own, and the site that reads them.
//!
//! Lives here: what the benchmarks share. May not live here: what is measured. Every benchmark
//! binary can be its own field: it starts itself again as a server, so that devices and gateway
//! never share a process. Read first: [`Devices`], [`Site`].

#![allow(dead_code)] // each benchmark uses its part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::modbus_server::{Device, Exception, ModbusServer, ReadRequest};

/// A number for this run: `--NAME N`, else the environment's `DAVY_BENCH_NAME`, else the default.
pub(crate) fn size<T: FromStr>(name: &str, default: T) -> T {
    let flag = format!("--{name}");
    let mut args = std::env::args().skip_while(|a| *a != flag).skip(1);
    let variable = format!("DAVY_BENCH_{}", name.to_uppercase());
    let text = args.next().or_else(|| std::env::var(variable).ok());
    match text {
        None => default,
        Some(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("--{name} wants a number, not `{text}`")),
    }
}

/// The middle one; of an even number the lower.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[(of.len() - 1) / 2]
}

/// The value below which this share lies.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let at = (share * (sorted.len() - 1) as f64).round() as usize;
    sorted[at]
}

/// `VmRSS`, `VmHWM` and the like of a process, in MB.
pub(crate) fn memory(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(field));
    let kb = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

/// User and system time of a process so far.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10) // USER_HZ is 100 on every Linux that we know
}

/// Registers that change: one in a hundred of those read, at each read, within a range in which
/// no alarm of [`Site`] stands.
struct Changing {
    words: Mutex<(Vec<u16>, usize)>,
    reads: Arc<AtomicU64>,
}

impl Device for Changing {
    #[allow(clippy::cast_possible_truncation)] // at most 125 registers
    fn read(&self, request: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let (start, count) = (usize::from(request.start), usize::from(request.count));
        let mut guard = self.words.lock().unwrap();
        let (words, next) = &mut *guard;
        let asked = words
            .get_mut(start..start + count)
            .ok_or(Exception::ILLEGAL_ADDRESS)?;
        for _ in 0..count.div_ceil(100) {
            *next = (*next + 37) % count;
            asked[*next] = 500 + (asked[*next] - 500 + 7) % 100;
        }
        out.push((count * 2) as u8);
        for word in asked {
            out.extend_from_slice(&word.to_be_bytes());
        }
        Ok(())
    }
}

const SERVE: &str = "--serve";

/// Turns this process into the field, if it was started as one; then it never returns. The first
/// line of `main` of every benchmark.
pub(crate) fn serve_if_asked() {
    let mut args = std::env::args().skip_while(|a| a != SERVE).skip(1);
    let (Some(devices), Some(registers)) = (args.next(), args.next()) else {
        return;
    };
    let devices: usize = devices.parse().expect("a number of devices");
    let registers: usize = registers.parse().expect("a number of registers");
    let reads: Vec<Arc<AtomicU64>> = (0..devices).map(|_| Arc::default()).collect();
    let of_runtime = reads.clone();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut servers = Vec::new();
            for reads in of_runtime {
                let device = Changing {
                    words: Mutex::new((vec![500; registers], 0)),
                    reads,
                };
                let faults = Arc::new(FaultSwitch::new(1));
                servers.push(ModbusServer::start(device, faults).await.unwrap());
            }
            let ports: Vec<u16> = servers.iter().map(|s| s.address().port()).collect();
            tell.send(ports).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let ports: Vec<String> = told.recv().unwrap().iter().map(u16::to_string).collect();
    println!("{}", ports.join(","));
    // Each line asks; the end of the input ends the process.
    for _ in std::io::stdin().lines() {
        let counts = reads.iter().map(|r| r.load(Ordering::Relaxed));
        let least = counts.clone().min().unwrap_or(0);
        println!("{} {least}", counts.sum::<u64>());
    }
    std::process::exit(0);
}

/// The field, as the process that measures sees it. It ends with this value.
pub(crate) struct Devices {
    child: Child,
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
    pub ports: Vec<u16>,
}

impl Devices {
    /// So many devices with so many holding registers each, all on one thread.
    pub(crate) fn start(devices: usize, registers: usize) -> Devices {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([SERVE, &devices.to_string(), &registers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answer = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        let ports = line.trim().split(',').filter_map(|p| p.parse().ok());
        Devices {
            ports: ports.collect(),
            ask: child.stdin.take(),
            answer,
            child,
        }
    }

    /// Requests answered by all of them, and by the one that answered least.
    pub(crate) fn reads(&mut self) -> (u64, u64) {
        let ask = self.ask.as_mut().unwrap();
        ask.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answer.read_line(&mut line).unwrap();
        let mut numbers = line.split_whitespace().map(|n| n.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.ask.take();
        let _ = self.child.wait();
    }
}

/// A configuration directory over such devices.
pub(crate) struct Site {
    pub dir: PathBuf,
    pub data: PathBuf,
}

/// What a site has.
pub(crate) struct SiteShape<'a> {
    /// A source for each.
    pub ports: &'a [u16],
    /// Points of each device: holding registers from 0 on, 16 bits, four limits with deadband
    /// and delay.
    pub points: usize,
    /// Poll period of all of them.
    pub poll: &'a str,
    pub on_delay: &'a str,
    /// `report_deadband`.
    pub report: &'a str,
    pub broker: u16,
}

impl Site {
    /// Writes it beneath `root`.
    pub(crate) fn write(root: &Path, shape: &SiteShape<'_>) -> Site {
        let dir = root.join("site");
        fs::create_dir_all(&dir).unwrap();
        fs::write(
            dir.join("site.toml"),
            format!(
                "schema = 1\n[site]\nid = \"bench\"\nname = \"bench\"\nzone = \"UTC\"\n\
                 [[hazard]]\nid = \"TF\"\nname = \"tank farm\"\ngrade = 1\nsubstance = \"benzene\"\n\
                 [[area]]\nid = \"A\"\nname = \"north\"\n[[gateway]]\nid = \"gw-1\"\nname = \"gateway\"\n\
                 [center]\nlisten = \"127.0.0.1:9\"\nbroker = \"mqtt://127.0.0.1:{}\"\n",
                shape.broker
            ),
        )
        .unwrap();
        let mut sources = "schema = 1\n".to_owned();
        let mut points = "tag,description,hazard,area,class,unit,low,high,source,unit_id,table,\
            address,type,report_deadband,LL,L,H,HH,deadband,on_delay,stale_after\n"
            .to_owned();
        for (n, port) in shape.ports.iter().enumerate() {
            let poll = shape.poll;
            let _ = write!(
                sources,
                "[[modbus]]\nid = \"plc-{n}\"\ngateway = \"gw-1\"\naddress = \"tcp://127.0.0.1:{port}\"\n\
                 poll = {{ fast = \"{poll}\", normal = \"{poll}\", slow = \"{poll}\" }}\n"
            );
            for at in 0..shape.points {
                let _ = writeln!(
                    points,
                    "LT-{n:03}-{at:04},level of tank {at},TF,A,tank_level,mm,0,1000,plc-{n},1,holding,\
                     {at},u16,{},50,100,850,900,10,{},10s",
                    shape.report, shape.on_delay
                );
            }
        }
        fs::write(dir.join("sources.toml"), sources).unwrap();
        fs::write(dir.join("points.csv"), points).unwrap();
        Site {
            dir,
            data: root.join("data"),
        }
    }

    /// The plan and its rules, checked.
    pub(crate) fn load(&self) -> (davy_plan::Plan, davy_rules::language::RuleSet) {
        let loaded = davy_plan::load(&self.dir, jiff::ZonedDateTime::now().date());
        let plan = loaded
            .plan
            .unwrap_or_else(|| panic!("a faulty site: {:#?}", loaded.faults));
        let (rules, faults) = davy_rules::language::compile(&plan.rule_files, &plan.points, &[]);
        let rules = rules.unwrap_or_else(|| panic!("faulty rules: {faults:#?}"));
        (plan, rules)
    }
}
