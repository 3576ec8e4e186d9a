//! A relay of TCP connections on loopback, which can delay what it passes on and cut all connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running relay. Dropping it ends it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    delay: Arc<AtomicU64>,
    cut: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Passes connections on to `target` (`127.0.0.1:<port>`).
    pub async fn start(target: &str) -> Self {
        Self::over(TcpListener::bind("127.0.0.1:0").await.expect("a port"), target)
    }

    fn over(listener: TcpListener, target: &str) -> Self {
        let address = listener.local_addr().expect("an address");
        let (delay, cut) = (Arc::<AtomicU64>::default(), watch::Sender::new(0));
        let accepting = tokio::spawn(accept(listener, target.to_owned(), delay.clone(), cut.clone()));
        Self { address, delay, cut, accepting }
    }

    /// Passes connections on to `target`, but accepts none before [`Crowded::let_in`]: its queue of connections is
    /// full, so that the kernel drops each attempt and the client's kernel repeats it.
    pub async fn crowded(target: &str) -> Crowded {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("an address");
        // The kernel queues one connection more than it is told.
        let mut crowd = Vec::new();
        for _ in 0..2 {
            crowd.push(TcpStream::connect(address).await.expect("a place in the queue"));
        }
        Crowded { listener, crowd, target: target.to_owned() }
    }

    /// The address of the relay.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on, every piece is passed on this much later.
    pub fn delay(&self, by: Duration) {
        self.delay.store(by.as_millis() as u64, Ordering::Relaxed);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.cut.send_modify(|number| *number += 1);
    }
}

/// A relay that does not accept yet.
#[derive(Debug)]
pub struct Crowded {
    listener: TcpListener,
    crowd: Vec<TcpStream>,
    target: String,
}

impl Crowded {
    /// The address of the relay.
    pub fn address(&self) -> String {
        self.listener.local_addr().expect("an address").to_string()
    }

    /// Ends the crowd and accepts connections.
    pub async fn let_in(self) -> Relay {
        for _ in &self.crowd {
            self.listener.accept().await.expect("one of the crowd");
        }
        Relay::over(self.listener, &self.target)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: String, delay: Arc<AtomicU64>, cut: watch::Sender<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&target).await else { continue };
        let (mut cut, delay) = (cut.subscribe(), delay.clone());
        tokio::spawn(async move {
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::select! {
                () = pass(from_client, to_server, &delay) => {}
                () = pass(from_server, to_client, &delay) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: &AtomicU64) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        tokio::time::sleep(Duration::from_millis(delay.load(Ordering::Relaxed))).await;
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
