//! Is whatever a Sentinel announces either understood as what it says, or an error?
//!
//! The first line of an input is the channel, the rest the payload.

use switchback::cluster::NodeAddr;
use switchback::control_plane::sentinel::message::Message;

/// Panics when a message names a group or an address that its payload does not.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (channel, payload) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(message) = Message::parse(channel, payload) else {
        return;
    };
    if let Some(name) = message.master_name() {
        assert!(
            payload.split(' ').any(|word| word == name),
            "{name:?} is not in the payload"
        );
    }
    match message {
        Message::SwitchMaster { from, to, .. } => {
            assert_eq!(channel, "+switch-master");
            is_address(&from);
            is_address(&to);
        }
        Message::Instance { instance, .. } => is_address(&instance.addr),
        Message::Tilt { entered } => assert_eq!(channel, if entered { "+tilt" } else { "-tilt" }),
        Message::Other => {}
    }
}

/// Something that can be dialled and shown in one line.
pub(crate) fn is_address(addr: &NodeAddr) {
    assert!((1..=255).contains(&addr.host.len()) && addr.port != 0, "{addr:?}");
    assert!(
        !addr.host.contains(char::is_whitespace) && !addr.host.contains(char::is_control),
        "{addr:?}"
    );
}
