//! One stream that is waited for, as `curl` would: for times that are no matter of a crowd.
//!
//! Owns a blocking connection. It reads what it is to hear, and forgets the rest.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::Result;
use super::part::PATIENCE;

/// One open stream that is waited for.
pub(super) struct Stream(TcpStream);

impl Stream {
    /// Connects, and waits for the first count.
    pub(super) fn join(audience: SocketAddr, namespace: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(audience)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(
            format!("GET /{namespace} HTTP/1.1\r\nHost: {audience}\r\nAccept: text/event-stream\r\n\r\n").as_bytes(),
        )?;
        let mut this = Self(stream);
        this.hear("data: ")?;
        Ok(this)
    }

    /// Reads until it has heard this.
    pub(super) fn hear(&mut self, what: &str) -> Result<()> {
        let (mut heard, mut bytes) = (Vec::new(), [0; 1024]);
        while !heard.windows(what.len()).any(|window| window == what.as_bytes()) {
            let count = self.0.read(&mut bytes)?;
            if count == 0 {
                return Err(format!("a stream has ended before {what:?}").into());
            }
            heard.extend_from_slice(bytes.get(..count).unwrap_or_default());
        }
        Ok(())
    }
}
