//! Where the log goes: stderr, as text on a terminal and JSON in a pipe, by `DAVY_LOG`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts the log. A service tells what it does; a verb that reports keeps to warnings.
pub(crate) fn start(service: bool) {
    let default = if service { "info,rumqttc=warn" } else { "warn" };
    let filter = EnvFilter::try_from_env("DAVY_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.init();
    } else {
        log.json().init();
    }
}
