//! `davy run`, `davy gateway`, `davy center`: the parts of a site, until they are told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_center::{Center, CenterConfig};
use davy_gateway::{Gateway, GatewayConfig, Reloaded};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::site::{self, Site};
use crate::{End, args};

/// What may still run when everything has stopped.
pub(crate) const LAST_THREADS: Duration = Duration::from_millis(200);

/// Which parts of the site this process is.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Both,
    Gateway(String),
    Center,
}

/// Runs the parts until Ctrl-C or SIGTERM; SIGHUP has the gateways take the directory's rules.
pub(crate) fn main(args: &args::Site, part: Part) -> End {
    let site = match site::load(&args.config) {
        Ok(site) => site,
        Err(end) => return end,
    };
    let data = args
        .data_dir
        .clone()
        .unwrap_or_else(|| site.plan.storage.clone());
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return unusable(&format!("cannot start: {error}")),
    };
    let end = runtime.block_on(async {
        let mut signals = Signals::listen();
        let parts = match start(&site, part, data, args.input_log).await {
            Ok(parts) => parts,
            Err(why) => return unusable(&why),
        };
        let mut parts = parts;
        while signals.wanted().await == Wanted::Reload {
            parts.reload(&args.config).await;
        }
        info!("stopping");
        parts.stop().await;
        End::Good
    });
    // A thread that hangs in a disk is not waited for.
    runtime.shutdown_timeout(LAST_THREADS);
    end
}

/// The running parts of a site.
pub(crate) struct Parts {
    pub center: Option<Center>,
    pub gateways: Vec<Gateway>,
}

impl Parts {
    /// Reads the directory again. Where it has an error nothing changes; else the gateways go on
    /// with its rules and limits, and what only a restart can change is named.
    pub(crate) async fn reload(&mut self, dir: &Path) {
        let (site, faults) = site::read(dir);
        site::tell(&faults);
        let Some(site) = site else {
            let errors = faults.errors();
            tracing::error!(errors, "not reloaded: the running rules stay as they are");
            return;
        };
        if self.center.is_some() {
            info!("the centre keeps the plan that it was started with until it starts again");
        }
        for gateway in &mut self.gateways {
            let reloaded = gateway.reload(Arc::clone(&site.plan)).await;
            let gateway = gateway.id();
            let waiting = match reloaded {
                Reloaded::Applied { waiting } => {
                    info!(gateway, plan_rev = &*site.plan.rev, "reloaded");
                    waiting
                }
                Reloaded::Refused {
                    faults: refused,
                    waiting,
                } => {
                    let errors = refused.len();
                    site::tell(&site::Faults {
                        faults: refused,
                        texts: faults.texts.clone(),
                    });
                    tracing::error!(
                        gateway,
                        errors,
                        "not reloaded: the rules do not hold on the points that are read now; the running ones stay"
                    );
                    waiting
                }
                Reloaded::Gone => Vec::new(),
            };
            for what in waiting {
                tracing::warn!(gateway, "{what}: it takes a restart");
            }
        }
    }

    /// Gateways first and all at once, so that the centre hears their last word.
    pub(crate) async fn stop(self) {
        let mut stopping = tokio::task::JoinSet::new();
        for gateway in self.gateways {
            stopping.spawn(gateway.stop());
        }
        while let Some(stopped) = stopping.join_next().await {
            if let Err(e) = stopped {
                tracing::error!("a gateway's stop was cut short: {e}");
            }
        }
        if let Some(center) = self.center {
            center.stop().await;
        }
    }
}

/// Starts the parts of a site; the centre first, so that gateways find it.
/// Where a start keeps its inputs. One for each start: a log that began in the middle of another
/// would prove nothing.
pub(crate) fn input_log_in(data_dir: &Path) -> PathBuf {
    let started = jiff::Timestamp::now().as_millisecond();
    data_dir.join(format!("input-{started}.log"))
}

pub(crate) async fn start(
    site: &Site,
    part: Part,
    data: PathBuf,
    input_log: bool,
) -> Result<Parts, String> {
    let mut parts = Parts {
        center: None,
        gateways: Vec::new(),
    };
    if matches!(part, Part::Both | Part::Center) {
        let listen: SocketAddr = site.plan.center.listen.parse().map_err(|_| {
            format!(
                "`{}` is no address to listen on: write 127.0.0.1:8080",
                site.plan.center.listen
            )
        })?;
        let config = CenterConfig {
            plan: Arc::clone(&site.plan),
            data_dir: data.join("center"),
            listen,
        };
        parts.center = Some(
            davy_center::start(config)
                .await
                .map_err(|e| e.to_string())?,
        );
    }
    let ids: Vec<Arc<str>> = match &part {
        Part::Center => Vec::new(),
        Part::Both => site
            .plan
            .gateways
            .iter()
            .map(|g| Arc::clone(&g.id))
            .collect(),
        Part::Gateway(id) => match site.plan.gateways.iter().find(|g| *g.id == **id) {
            Some(gateway) => vec![Arc::clone(&gateway.id)],
            None => {
                let known: Vec<&str> = site.plan.gateways.iter().map(|g| &*g.id).collect();
                return Err(format!(
                    "the site has no gateway `{id}`; it has: {}",
                    known.join(", ")
                ));
            }
        },
    };
    for id in ids {
        let data_dir = data.join(&*id);
        let config = GatewayConfig {
            plan: Arc::clone(&site.plan),
            rules: Arc::clone(&site.rules),
            id: Arc::clone(&id),
            input_log: input_log.then(|| input_log_in(&data_dir)),
            data_dir,
        };
        match davy_gateway::start(config) {
            Ok(gateway) => parts.gateways.push(gateway),
            Err(error) => {
                parts.stop().await;
                return Err(error.to_string());
            }
        }
    }
    Ok(parts)
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Ctrl-C or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Signals, heard from the moment that this is made: one that comes while the parts are still
/// starting acts once they have.
pub(crate) struct Signals(Option<(Signal, Signal, Signal)>);

impl Signals {
    /// Must be called within a Tokio runtime.
    pub(crate) fn listen() -> Signals {
        let heard = |kind| signal(kind).ok();
        let all = (
            heard(SignalKind::interrupt()),
            heard(SignalKind::terminate()),
            heard(SignalKind::hangup()),
        );
        // Without signal handlers the process ends by the signal itself.
        Signals(match all {
            (Some(interrupt), Some(terminate), Some(hangup)) => {
                Some((interrupt, terminate, hangup))
            }
            _ => None,
        })
    }

    /// Resolves when one has come.
    pub(crate) async fn wanted(&mut self) -> Wanted {
        let Some((interrupt, terminate, hangup)) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => Wanted::Stop,
            _ = terminate.recv() => Wanted::Stop,
            _ = hangup.recv() => Wanted::Reload,
        }
    }

    /// Resolves when one has come that ends the process; a demo has nothing to reload.
    pub(crate) async fn stopped(&mut self) {
        while self.wanted().await == Wanted::Reload {}
    }
}

/// Says why on stderr.
pub(crate) fn unusable(why: &str) -> End {
    eprintln!("davy: {why}");
    End::Unusable
}
