//! The other side of `--probe`: a client that asks the stats port whether a process is alive or ready.
//!
//! Owns the request and the time that its answer may take. It is for images that hold nothing but the program, so it does what
//! `curl --fail --max-time` would.
//!
//! Invariant: it ends in time, whatever is at the port.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::config::Probe;
use crate::reactor::Reactor;

/// How long the answer may take. A turn takes 5 ms, and a process that hangs answers never.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that is read. The pages are a line.
const ANSWER_MAX: usize = 4096;

/// Asks. Returns whether the answer was yes, and its line.
///
/// # Errors
/// When there is no answer, or none in time.
pub fn ask(probe: Probe) -> io::Result<(bool, String)> {
    let reactor = Reactor::new()?;
    let end = reactor.now().tick.after(PATIENCE);
    let mut stream = TcpStream::connect_timeout(&probe.address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(["GET /", probe.page, " HTTP/1.0\r\n\r\n"].concat().as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; ANSWER_MAX];
    while answer.len() < ANSWER_MAX {
        stream.set_read_timeout(Some(left(reactor.now().tick, end)?))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
            Ok(count) => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let parts = text.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("HTTP/1."));
    let (head, body) = parts.ok_or_else(|| io::Error::other("what answers speaks no HTTP"))?;
    Ok((head.starts_with("HTTP/1.1 200 "), body.to_owned()))
}

/// How much time is left, if any is.
fn left(now: Tick, end: Tick) -> io::Result<Duration> {
    let left = end.ms_since(now);
    if left == 0 { Err(ErrorKind::TimedOut.into()) } else { Ok(Duration::from_millis(left)) }
}
