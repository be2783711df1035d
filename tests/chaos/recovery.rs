//! Is every slot served again?
//!
//! Shell: a write to a key of each, until all have been answered OK.

use std::io;
use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Client, Reply};
use switchback::routing::Slot;

/// Commands on their way at once.
const BATCH: usize = 256;
const SLOTS: usize = 16_384;
const PAUSE: Duration = Duration::from_millis(50);

/// How long until all were, or the last answer that was another.
pub(crate) fn wait(address: &NodeAddr, within: Duration) -> Result<Duration, String> {
    let began = Instant::now();
    let mut left = keys();
    let mut last = String::new();
    while !left.is_empty() {
        if began.elapsed() > within {
            return Err(format!(
                "{} slots are not served after {within:?}: {last}",
                left.len()
            ));
        }
        let tried =
            Client::connect_within(address, within).and_then(|mut client| serve(&mut client, &mut left));
        match tried {
            Ok(None) => {}
            Ok(Some(reply)) => last = format!("{reply:?}"),
            Err(error) => last = error.to_string(),
        }
        std::thread::sleep(PAUSE);
    }
    Ok(began.elapsed())
}

/// Takes away the keys that were written. The last reply that says otherwise.
fn serve(client: &mut Client, left: &mut Vec<String>) -> io::Result<Option<Reply>> {
    let (mut refused, mut last) = (Vec::new(), None);
    while !left.is_empty() {
        let batch = left.split_off(left.len().saturating_sub(BATCH));
        for key in &batch {
            client.send(&["SET", key, "recovered"])?;
        }
        for key in batch {
            match client.receive()? {
                Reply::Status(status) if status == "OK" => {}
                other => {
                    refused.push(key);
                    last = Some(other);
                }
            }
        }
    }
    *left = refused;
    Ok(last)
}

/// One of each slot.
fn keys() -> Vec<String> {
    let mut keys = vec![None; SLOTS];
    let mut found = 0;
    for number in 0.. {
        let key = format!("slot:{number}");
        let slot = usize::from(Slot::of(key.as_bytes()).number());
        if keys[slot].is_none() {
            keys[slot] = Some(key);
            found += 1;
        }
        if found == SLOTS {
            break;
        }
    }
    keys.into_iter().flatten().collect()
}

#[test]
fn there_is_a_key_for_every_slot() {
    let slots: std::collections::BTreeSet<u16> = keys()
        .iter()
        .map(|key| Slot::of(key.as_bytes()).number())
        .collect();
    assert_eq!(slots.len(), SLOTS);
}
