//! One stream that is read until it says something, as `curl` would: for times beside a crowd.
//!
//! Owns a blocking connection. It looks for one text, and drops all else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::Result;
use super::part::PATIENCE;

/// One open stream.
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
        this.await_text("data: ")?;
        Ok(this)
    }

    /// Reads until this text has come.
    pub(super) fn await_text(&mut self, text: &str) -> Result<()> {
        let (mut received, mut bytes) = (Vec::new(), [0; 1024]);
        while !received.windows(text.len()).any(|window| window == text.as_bytes()) {
            let count = self.0.read(&mut bytes)?;
            if count == 0 {
                return Err(format!("a stream has ended before {text:?}").into());
            }
            received.extend_from_slice(&bytes[..count]);
        }
        Ok(())
    }
}
