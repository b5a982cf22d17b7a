//! A real mosquitto of the test's own, on a port of its own, ended by its pid.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use davy_plan::MqttAddress;

pub(super) struct Broker {
    dir: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|dir| dir.join("mosquitto"))
        .find(|file| file.is_file())
}

impl Broker {
    /// None where the machine has no mosquitto, which is said; under CI that is a failure.
    pub(super) fn start() -> Option<Broker> {
        let Some(program) = program() else {
            let say = "this test needs mosquitto: install the Debian package `mosquitto`";
            assert!(std::env::var_os("CI").is_none(), "{say}");
            eprintln!("skipped: {say}");
            return None;
        };
        let dir = tempfile::tempdir().expect("a directory");
        // Another process may take the port between our look and mosquitto's bind: then again.
        for _ in 0..20 {
            let port = std::net::TcpListener::bind("127.0.0.1:0")
                .and_then(|l| l.local_addr())
                .expect("a port")
                .port();
            std::fs::write(
                dir.path().join("mosquitto.conf"),
                format!(
                    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nset_tcp_nodelay true\n"
                ),
            )
            .expect("a file");
            if let Some(child) = launch(&program, dir.path(), port) {
                return Some(Broker {
                    dir,
                    port,
                    child: Some(child),
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

    /// SIGKILL: everything that it had in memory is gone.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
    }

    /// The same port again.
    pub(super) fn restart(&mut self) {
        self.kill();
        let program = program().expect("it was there");
        let until = Instant::now() + Duration::from_secs(30);
        while self.child.is_none() {
            self.child = launch(&program, self.dir.path(), self.port);
            assert!(Instant::now() < until, "mosquitto does not come back");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts it and waits until it listens.
fn launch(program: &Path, dir: &Path, port: u16) -> Option<Child> {
    let mut child = Command::new(program)
        .arg("-c")
        .arg(dir.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto runs");
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if child.try_wait().expect("our own child").is_some() {
            return None;
        }
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        std::thread::yield_now();
    }
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    None
}
