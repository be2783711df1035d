//! Is the head of a message found in whatever its bytes are, and the same once more of them are there?
//!
//! A node's message is handed on by the name of its channel before all of it has come.

use switchback::data_plane::measured::message_head;

/// Panics when a head is read that is not there, or changes.
pub fn check(input: &[u8]) {
    let whole = message_head(input);
    for end in 0..input.len().min(256) {
        let Some((topic, channel)) = message_head(&input[..end]) else {
            continue;
        };
        let (all_topic, all_channel) = whole.expect("a head that was there is gone");
        assert_eq!((topic, channel), (all_topic, all_channel), "a head has changed");
        assert!(topic.len() < end && channel.len() < end);
    }
}
