//! Streams that watch all events while something else is measured.
//!
//! Owns their connections, and the threads that read them. Their contents are dropped: tests judge them.

use std::io::{ErrorKind, Read as _, copy, sink};
use std::net::{Shutdown, TcpStream};
use std::thread;

use super::Result;
use super::server::Server;

/// The first bytes of an open stream.
const STREAM: &[u8] = b"HTTP/1.1 200 ";

/// Open streams, which end with this value.
pub(super) struct Watchers(Vec<TcpStream>);

impl Watchers {
    /// Opens this number of streams, all of one daemon.
    pub(super) fn start(count: usize, server: &Server) -> Result<Self> {
        let mut all = Self(Vec::with_capacity(count));
        for _ in 0..count {
            let mut stream = server.watch_all()?;
            let mut head = [0; STREAM.len()];
            // A daemon without a slot for the connection closes it without a word.
            let is_open = match stream.read_exact(&mut head) {
                Ok(()) => head == STREAM,
                Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => false,
                Err(error) => return Err(error.into()),
            };
            if !is_open {
                return Err(format!("{} watch already; it takes no more: give less --watchers", all.0.len()).into());
            }
            // Nothing may come for a long time.
            stream.set_read_timeout(None)?;
            all.0.push(stream.try_clone()?);
            thread::spawn(move || copy(&mut stream, &mut sink()));
        }
        Ok(all)
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for stream in &self.0 {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
