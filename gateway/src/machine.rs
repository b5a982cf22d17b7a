//! What the test machine has: real servers, each started on its own port and ended by its pid.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// The program, where the machine has it. Where not, that is said with the Debian package; under
/// CI it is a failure.
pub(crate) fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        let say = format!("this test needs {name}: install the Debian package `{package}`");
        assert!(std::env::var_os("CI").is_none(), "{say}");
        eprintln!("skipped: {say}");
    }
    found
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a port")
        .port()
}

/// A server of the test's own.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts it and waits until it listens. None: it ended, as when its port was taken.
    pub(crate) fn launch(program: &Path, args: &[&str], port: u16) -> Option<Server> {
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let mut server = Server { child };
        let until = Instant::now() + STARTS_WITHIN;
        while Instant::now() < until {
            if server.child.try_wait().expect("our own child").is_some() {
                return None;
            }
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

/// SIGKILL: what it had in memory is gone.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
