//! The control room as its neighbours see it: real HTTP over loopback, a real broker.

mod bad_input;
mod broker;
mod client;
mod commands;
mod console;
#[path = "../../src/example.rs"]
mod example;
mod gateway;
mod history;
mod shapes;
mod silence;
mod transitions;

use std::sync::Arc;
use std::time::Duration;

use davy_center::{Center, CenterConfig, start};
use davy_plan::{MqttAddress, Plan};

/// Generous: only a fault runs into it.
const DEADLINE: Duration = Duration::from_secs(30);

/// A centre of the example site in a folder.
async fn center(plan: &Arc<Plan>, dir: &std::path::Path) -> Center {
    start(CenterConfig {
        plan: plan.clone(),
        data_dir: dir.to_path_buf(),
        listen: "127.0.0.1:0".parse().expect("an address"),
    })
    .await
    .expect("the centre starts")
}

/// The example site with this broker.
fn site(broker_port: u16) -> Plan {
    let mut plan = example::plan();
    plan.center.broker = MqttAddress {
        host: "127.0.0.1".into(),
        port: broker_port,
        user: None,
        password: None,
    };
    plan
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(v) => v,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}
