//! `davy run`, `davy gateway`, `davy center`: the parts of a site, until they are told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_center::{Center, CenterConfig};
use davy_gateway::{Gateway, GatewayConfig};
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

/// Runs the parts until Ctrl-C or SIGTERM.
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
        signals.stopped().await;
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

/// Ctrl-C and SIGTERM, heard from the moment that this is made: one that comes while the parts are
/// still starting stops them cleanly once they have.
pub(crate) struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// Must be called within a Tokio runtime.
    pub(crate) fn listen() -> Signals {
        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        // Without signal handlers the process ends by the signal itself.
        Signals(interrupt.ok().zip(terminate.ok()))
    }

    /// Resolves when one has come.
    pub(crate) async fn stopped(&mut self) {
        let Some((interrupt, terminate)) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Says why on stderr.
pub(crate) fn unusable(why: &str) -> End {
    eprintln!("davy: {why}");
    End::Unusable
}
