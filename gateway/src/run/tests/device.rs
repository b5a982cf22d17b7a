//! A Modbus TCP device of the tests' own: one bank of holding registers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Device {
    pub(super) address: SocketAddr,
    registers: Arc<Mutex<Vec<u16>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Device {
    pub(super) async fn start() -> Device {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let registers = Arc::new(Mutex::new(vec![0; 100]));
        let bank = Arc::clone(&registers);
        let task = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                clients.spawn(serve(stream, Arc::clone(&bank)));
            }
        });
        Device {
            address,
            registers,
            task,
        }
    }

    pub(super) fn set(&self, register: usize, value: u16) {
        self.registers.lock().expect("no panic")[register] = value;
    }
}

async fn serve(mut stream: TcpStream, bank: Arc<Mutex<Vec<u16>>>) {
    let mut ask = [0; 12];
    while stream.read_exact(&mut ask).await.is_ok() {
        assert_eq!(
            ask[7], 3,
            "the gateway reads holding registers and nothing else"
        );
        let from = usize::from(u16::from_be_bytes([ask[8], ask[9]]));
        let count = usize::from(u16::from_be_bytes([ask[10], ask[11]]));
        let values = bank.lock().expect("no panic")[from..from + count].to_vec();
        let mut reply = ask[..4].to_vec();
        reply.extend_from_slice(&((3 + 2 * count) as u16).to_be_bytes());
        reply.extend_from_slice(&[ask[6], 3, (2 * count) as u8]);
        reply.extend(values.iter().flat_map(|v| v.to_be_bytes()));
        if stream.write_all(&reply).await.is_err() {
            return;
        }
    }
}
