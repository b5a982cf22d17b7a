//! A real mosquitto of the test's own.

use std::path::{Path, PathBuf};

use davy_plan::MqttAddress;

use crate::machine::{Server, free_port, program};

pub(super) struct Broker {
    dir: tempfile::TempDir,
    program: PathBuf,
    port: u16,
    server: Option<Server>,
}

impl Broker {
    /// None where the machine has no mosquitto.
    pub(super) fn start() -> Option<Broker> {
        let program = program("mosquitto", "mosquitto")?;
        let dir = tempfile::tempdir().expect("a directory");
        // Another process may take the port between our look and mosquitto's bind: then again.
        for _ in 0..20 {
            let port = free_port();
            std::fs::write(
                dir.path().join("mosquitto.conf"),
                format!(
                    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nset_tcp_nodelay true\n"
                ),
            )
            .expect("a file");
            if let Some(server) = launch(&program, dir.path(), port) {
                return Some(Broker {
                    dir,
                    program,
                    port,
                    server: Some(server),
                });
            }
        }
        panic!("mosquitto does not start");
    }

    pub(super) fn address(&self) -> MqttAddress {
        MqttAddress {
            host: "127.0.0.1".into(),
            port: self.port,
            user: None,
            password: None,
        }
    }

    /// Killed with everything that it had in memory, and there again on the same port.
    pub(super) fn restart(&mut self) {
        self.server = None;
        for _ in 0..20 {
            self.server = launch(&self.program, self.dir.path(), self.port);
            if self.server.is_some() {
                return;
            }
        }
        panic!("mosquitto does not come back");
    }
}

fn launch(program: &Path, dir: &Path, port: u16) -> Option<Server> {
    let conf = dir.join("mosquitto.conf");
    Server::launch(program, &["-c", conf.to_str().expect("UTF-8")], port)
}
