//! Who listens, by the ten thousand, and takes as little as it can from what is measured?
//!
//! Shell: one thread of tasks that count bytes: all messages of a run are equally long, so bytes are messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use switchback::cluster::NodeAddr;
use switchback::lab::wait_for;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

/// A Redis accepts 511 at once, and whoever comes then waits a second.
const CONNECTING_MAX: usize = 256;

/// Subscribers, one channel each. End on drop.
pub(crate) struct Listeners {
    received: Arc<AtomicU64>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listeners {
    /// Subscribes `count` of them to `channel` of their number, and waits for all confirmations.
    pub(crate) fn subscribe(
        address: &NodeAddr,
        count: usize,
        channel: fn(usize, usize) -> String,
        channels: usize,
    ) -> Self {
        let (received, ready) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (end, ended) = oneshot::channel::<()>();
        let (address, bytes, confirmed) = (address.to_string(), Arc::clone(&received), Arc::clone(&ready));
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
                let mut tasks = JoinSet::new();
                for number in 0..count {
                    let name = channel(number, channels);
                    let (connecting, address) = (Arc::clone(&connecting), address.clone());
                    tasks.spawn(listen(
                        address,
                        name,
                        connecting,
                        Arc::clone(&bytes),
                        Arc::clone(&confirmed),
                    ));
                }
                let _ = ended.await;
            });
        };
        let listeners = Self {
            received,
            end: Some(end),
            thread: Some(std::thread::spawn(serve)),
        };
        wait_for("all confirmations", Duration::from_secs(120), || {
            ready.load(Ordering::Relaxed) == count as u64
        })
        .unwrap();
        listeners
    }

    /// Bytes of messages so far, of all together.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn listen(
    address: String,
    name: String,
    connecting: Arc<Semaphore>,
    received: Arc<AtomicU64>,
    confirmed: Arc<AtomicU64>,
) {
    let permit = connecting.acquire().await.unwrap();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = format!("*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{name}\r\n", name.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let confirmation = format!("*3\r\n$9\r\nsubscribe\r\n${}\r\n{name}\r\n:1\r\n", name.len());
    let mut got = vec![0; confirmation.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), confirmation);
    drop(permit);
    confirmed.fetch_add(1, Ordering::Relaxed);
    let mut chunk = [0; 2_048];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => received.fetch_add(count as u64, Ordering::Relaxed),
        };
    }
}
