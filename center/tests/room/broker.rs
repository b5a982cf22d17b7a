//! A mosquitto of our own on a free port.

use std::io::Write;
use std::process::{Child, Command, Stdio};

/// Ended when dropped.
pub(crate) struct Mosquitto {
    child: Child,
    pub(crate) port: u16,
    _dir: tempfile::TempDir,
}

impl Mosquitto {
    /// None where it is not installed; under `CI` that is a failure.
    pub(crate) async fn start() -> Option<Mosquitto> {
        Mosquitto::start_on(free_port()).await
    }

    /// The same on a port of one's own.
    pub(crate) async fn start_on(port: u16) -> Option<Mosquitto> {
        let binary = [
            "/usr/sbin/mosquitto",
            "/usr/local/sbin/mosquitto",
            "mosquitto",
        ]
        .into_iter()
        .find(|b| Command::new(b).arg("-h").output().is_ok());
        let Some(binary) = binary else {
            assert!(
                std::env::var_os("CI").is_none(),
                "mosquitto is not installed (Debian: apt install mosquitto)"
            );
            println!("skipped: mosquitto is not installed (Debian: apt install mosquitto)");
            return None;
        };
        let dir = tempfile::tempdir().expect("a folder");
        let conf = dir.path().join("mosquitto.conf");
        let mut file = std::fs::File::create(&conf).expect("a file");
        write!(
            file,
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        )
        .expect("written");
        let child = Command::new(binary)
            .arg("-c")
            .arg(&conf)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto runs");
        super::within("mosquitto listening", async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_err()
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Some(Mosquitto {
            child,
            port,
            _dir: dir,
        })
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port()
}
