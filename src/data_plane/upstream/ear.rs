//! How does a client of RESP2 hear that what it keeps is stale?
//!
//! Shell: its link has no pushes, so the node sends them to a second connection. When that ends, the link is left too: nobody would
//! be told any more.

use std::rc::Rc;

use tokio::io::AsyncReadExt;

use super::link::Link;
use crate::limits::EAR_BYTES_MAX;
use crate::net::Stream;
use crate::resp::ReplyScanner;

/// Passes on what comes until the connection ends.
pub(super) async fn listen(mut stream: Stream, link: Rc<Link>) {
    let mut scanner = ReplyScanner::new();
    let mut buffer = Vec::new();
    loop {
        match scanner.scan(&buffer) {
            Ok(Some(end)) => {
                link.heard(buffer.get(..end).unwrap_or_default());
                buffer.drain(..end);
            }
            Ok(None) if buffer.len() <= EAR_BYTES_MAX => match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            },
            Ok(None) | Err(_) => break,
        }
    }
    link.finish();
    link.is_stale();
}
