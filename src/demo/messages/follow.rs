//! Has the master changed?
//!
//! Shell: listens to one Sentinel after another for `+switch-master`, as client libraries do that replace their
//! connections at once instead of waiting for them to break.

use std::time::Duration;

use tokio::sync::watch;

use super::connection::Connection;
use super::push::Push;
use super::target::Target;
use crate::cluster::NodeAddr;
use crate::resp::write_command;

const PATIENCE: Duration = Duration::from_secs(1);
/// Between a Sentinel that went away and the next one.
const NEXT_AFTER: Duration = Duration::from_millis(50);

/// Counts the changes for whoever has the other end; for an address that stays there are none. Never ends.
pub(super) async fn follow(target: Target, changes: watch::Sender<u64>) {
    let Target::Sentinel {
        sentinels,
        master_name,
    } = target
    else {
        return std::future::pending().await;
    };
    loop {
        for sentinel in &sentinels {
            // Whatever ends it, the next one is listened to.
            let _ = listen(sentinel, &master_name, &changes).await;
            tokio::time::sleep(NEXT_AFTER).await;
        }
    }
}

async fn listen(sentinel: &NodeAddr, name: &str, changes: &watch::Sender<u64>) -> std::io::Result<()> {
    let mut connection = Connection::open(sentinel, PATIENCE).await?;
    let mut request = Vec::new();
    write_command(&mut request, &[b"SUBSCRIBE", b"+switch-master"]);
    connection.write(&request).await?;
    loop {
        connection
            .read(|value| {
                if let Push::Message { payload, .. } = Push::read(value)
                    && payload.split(|byte| *byte == b' ').next() == Some(name.as_bytes())
                {
                    changes.send_modify(|count| *count += 1);
                }
            })
            .await?;
    }
}
