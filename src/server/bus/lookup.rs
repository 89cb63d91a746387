//! One look-up of a name, by a process of its own: the way that the system has for it waits for the network.
//!
//! Owns that process, and how long and how much it may say. It is this very program with [`LOOK_UP`], and it prints an address
//! a line, or why there is none. Nothing of its environment is handed on but what the system's own look-ups read.
//!
//! Invariant: the process is waited for before the look-up is over, so there is never a second one beside it.

use std::io::{self, Read as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use crate::collections::tick::Tick;
use crate::reactor::{Interest, Reactor, Registered, Token};

/// The first argument of the process; the second is `host:port`.
pub const LOOK_UP: &str = "--look-up";

/// How long a look-up may take. With the settings that systems come with, one question to a name server may take that long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes of an answer: 256 addresses have 12,000.
const ANSWER_MAX: usize = 16 * 1024;

/// When a process that was ended is looked for again.
const REAP_INTERVAL: Duration = Duration::from_millis(10);

/// The variables that look-ups read (resolv.conf(5), gethostbyname(3)).
const VARIABLES: [&str; 3] = ["LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES"];

/// What the process prints that looks up this `host:port`.
#[must_use]
pub fn look_up(name: &str) -> String {
    match name.to_socket_addrs() {
        Ok(addresses) => addresses.map(|address| address.to_string() + "\n").collect(),
        Err(error) => error.to_string(),
    }
}

/// The addresses of such an answer.
fn parse(answer: &[u8]) -> Result<Vec<SocketAddr>, String> {
    let text = String::from_utf8_lossy(answer);
    let addresses = text.lines().map(str::parse).collect::<Result<Vec<SocketAddr>, _>>();
    let mut addresses = addresses.map_err(|_| text.trim().to_owned())?;
    if addresses.is_empty() {
        return Err("it has no address".to_owned());
    }
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// A look-up that goes on.
pub(super) struct Lookup {
    child: Child,
    /// Where the answer comes; `None` once it is there.
    socket: Option<Registered<UnixStream>>,
    answer: Vec<u8>,
    found: Option<Result<Vec<SocketAddr>, String>>,
    /// When there is something to do without an answer.
    next: Tick,
}

impl Lookup {
    /// Begins to look up a `host:port`.
    ///
    /// # Errors
    /// What the kernel says, when it has no process or socket left.
    pub(super) fn start(name: &str, reactor: &Reactor, token: Token, now: Tick) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = Some(Registered::new(reactor, ours, token, Interest::Read)?);
        // The file that runs here, even when another has been installed in its place. Without a /proc, by its name.
        let own = Path::new("/proc/self/exe");
        let program = if own.exists() { own.into() } else { std::env::args_os().next().unwrap_or_default() };
        let mut command = Command::new(program);
        command.arg0("audience-meter").args([LOOK_UP, name]).env_clear();
        command.envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // Its standard input is not that of a worker, which its supervisor would find open; and there may be no /dev/null.
        let [input, error] = [theirs.try_clone()?, theirs.try_clone()?].map(OwnedFd::from);
        command.stdin(input).stdout(OwnedFd::from(theirs)).stderr(error);
        let child = command.spawn()?;
        Ok(Self { child, socket, answer: Vec::new(), found: None, next: now.after(PATIENCE) })
    }

    /// Goes on. Returns what was found, once that is known and the process is gone.
    pub(super) fn advance(&mut self, now: Tick) -> Option<Result<Vec<SocketAddr>, String>> {
        if self.found.is_none() {
            self.found = self.read(now);
        }
        self.found.as_ref()?;
        if self.socket.take().is_some() {
            // It has said all, or too late.
            let _ = self.child.kill();
        }
        match self.child.try_wait() {
            Ok(None) => {
                self.next = now.after(REAP_INTERVAL);
                None
            }
            _ => self.found.take(),
        }
    }

    /// Takes what has come of the answer. Returns what it says, once it is whole.
    fn read(&mut self, now: Tick) -> Option<Result<Vec<SocketAddr>, String>> {
        let mut buffer = [0; 1024];
        while let Some(socket) = &self.socket {
            match socket.source().read(&mut buffer) {
                Ok(0) => return Some(parse(&self.answer)),
                Ok(count) => self.answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Some(Err(error.to_string())),
            }
            if self.answer.len() > ANSWER_MAX {
                return Some(Err("it has too many addresses".to_owned()));
            }
        }
        (now >= self.next).then(|| Err("no name server answers".to_owned()))
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(super) fn next_deadline(&self) -> Tick {
        self.next
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let found = parse(look_up("127.0.0.1:80").as_bytes());
        assert_eq!(found, Ok(vec!["127.0.0.1:80".parse().unwrap()]));
        let several = parse(b"[fe80::1%2]:80\n10.0.0.2:80\n10.0.0.1:80\n10.0.0.2:80\n").unwrap();
        assert_eq!(
            several.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.1:80", "10.0.0.2:80", "[fe80::1%2]:80"]
        );
        assert_eq!(parse(b"failed to look it up\n"), Err("failed to look it up".to_owned()));
        assert_eq!(parse(b""), Err("it has no address".to_owned()));
        assert!(parse(look_up("no such host:80").as_bytes()).is_err());
    }
}
