//! A link between a master and its replica over which everything takes longer, as one that is too narrow.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Server, ServerOptions, wait_for};

const SOON: Duration = Duration::from_secs(60);
/// What passing bytes on takes on a busy machine.
const NO_LAG: Duration = Duration::from_millis(50);

/// A master with replicas that hear it by way of such a link.
pub(crate) struct Lagging {
    pub(crate) master: Server,
    pub(crate) replicas: Vec<Server>,
    link: Arc<Link>,
}

#[derive(Default)]
struct Link {
    delay_millis: AtomicU64,
    /// For how long what came out last was under way.
    took_millis: AtomicU64,
    passing: Mutex<Vec<TcpStream>>,
}

impl Lagging {
    /// With `replicas` in sync, and no delay.
    pub(crate) fn start(replicas: usize) -> Self {
        let master = Server::start(&ServerOptions::default()).unwrap();
        let link = Arc::<Link>::default();
        let entrance = link.open(master.addr());
        let options = ServerOptions {
            replica_of: Some(entrance),
            ..ServerOptions::default()
        };
        let replicas: Vec<Server> = (0..replicas).map(|_| Server::start(&options).unwrap()).collect();
        for replica in &replicas {
            wait_for("a replica to be in sync", SOON, || {
                replica.info("replication", "master_link_status").unwrap() == "up"
            })
            .unwrap();
        }
        Self {
            master,
            replicas,
            link,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.master.addr())
    }

    /// What the master sends from now on takes this long.
    pub(crate) fn begin_to_lag(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap();
        self.link.delay_millis.store(millis, Ordering::Relaxed);
    }

    /// The same; returns once something has. There must be something to send.
    pub(crate) fn lag(&self, delay: Duration) {
        self.begin_to_lag(delay);
        wait_for("the replicas to lag", SOON, || {
            let took = Duration::from_millis(self.link.took_millis.load(Ordering::Relaxed));
            if delay.is_zero() {
                took < NO_LAG
            } else {
                took >= delay
            }
        })
        .unwrap();
    }
}

impl Drop for Lagging {
    fn drop(&mut self) {
        for stream in self.link.passing.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Link {
    /// Returns where it can be entered.
    fn open(self: &Arc<Self>, master: NodeAddr) -> NodeAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let link = Arc::clone(self);
        std::thread::spawn(move || {
            for replica in listener.incoming() {
                let replica = replica.unwrap();
                let Ok(master) = TcpStream::connect((master.host.as_str(), master.port)) else {
                    return;
                };
                let clones = [&replica, &master].map(|stream| stream.try_clone().unwrap());
                link.passing.lock().unwrap().extend(clones);
                let (from, to) = (replica.try_clone().unwrap(), master.try_clone().unwrap());
                std::thread::spawn(move || {
                    each_read(from, |bytes| (&to).write_all(bytes).is_ok());
                    let _ = to.shutdown(Shutdown::Both);
                });
                link.pass_late(master, replica);
            }
        });
        NodeAddr::new("127.0.0.1", port)
    }

    fn pass_late(self: &Arc<Self>, from: TcpStream, mut to: TcpStream) {
        let (sender, receiver) = mpsc::channel::<(Instant, Duration, Vec<u8>)>();
        let link = Arc::clone(self);
        std::thread::spawn(move || {
            each_read(from, |bytes| {
                let delay = Duration::from_millis(link.delay_millis.load(Ordering::Relaxed));
                sender.send((Instant::now(), delay, bytes.to_vec())).is_ok()
            });
        });
        let link = Arc::clone(self);
        std::thread::spawn(move || {
            for (came, delay, bytes) in receiver {
                std::thread::sleep((came + delay).saturating_duration_since(Instant::now()));
                let took = u64::try_from(came.elapsed().as_millis()).unwrap();
                link.took_millis.store(took, Ordering::Relaxed);
                if to.write_all(&bytes).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

/// Until the end, or until `pass` wants no more.
fn each_read(mut from: TcpStream, mut pass: impl FnMut(&[u8]) -> bool) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !pass(&bytes[..count]) {
            return;
        }
    }
}
