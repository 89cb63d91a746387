//! A child process, and the channel through which it beats.
//!
//! Owns the process until it has been waited for; until then the kernel gives its id to no other, so a signal cannot hit a
//! stranger. It does not know what the process does, nor what its silence means. Standard output and standard error are the
//! operator's, in children as here.
//!
//! Invariant: reading and writing never block, and a child that has closed its end of the channel causes no further wake-up.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, ExitStatus};

use crate::reactor::{Interest, Reactor, Registered, Token, sys};
use crate::wire::handover::{self, Frame, Served};

/// A process that this one has started.
pub(super) struct Child {
    process: process::Child,
    channel: Option<Registered<UnixStream>>,
    /// What was read, and is no whole frame yet.
    unread: Vec<u8>,
    /// The audience that it knows of, by its last beat.
    served: Served,
    /// Why it ends, by its own words.
    error: Option<String>,
}

impl Child {
    /// Starts a process whose standard input is a channel. What is `handed_on` there is all in it before the process exists.
    /// It has a process group of its own: its parent passes Ctrl-C on, once.
    ///
    /// The token is ready when it beats, until it is [hushed](Self::hush), and when it ends.
    ///
    /// # Errors
    /// The kernel's error: the program does not exist, or there is no room for a process or a descriptor.
    pub(super) fn start(
        reactor: &Reactor,
        token: Token,
        mut command: Command,
        mut handed_on: &[u8],
    ) -> io::Result<Self> {
        let (own_end, child_end) = UnixStream::pair()?;
        own_end.set_nonblocking(true)?;
        let channel = Registered::new(reactor, own_end, token, Interest::Read)?;
        while !handed_on.is_empty() {
            let written = channel.source().write(handed_on)?;
            handed_on = handed_on.get(written..).unwrap_or_default();
        }
        let process = command.stdin(OwnedFd::from(child_end)).process_group(0).spawn()?;
        Ok(Self { process, channel: Some(channel), unread: Vec::new(), served: Served::default(), error: None })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a frame. A child that has not read for minutes does not get it.
    pub(super) fn send(&self, frame: &[u8]) {
        if let Some(channel) = &self.channel {
            let _ = channel.source().write(frame);
        }
    }

    /// Reads what has arrived; returns whether there was a beat.
    pub(super) fn read_beats(&mut self) -> bool {
        let mut has_beaten = false;
        while let Some(channel) = &self.channel {
            let mut bytes = [0; 4096];
            match channel.source().read(&mut bytes) {
                Ok(0) => self.channel = None,
                Ok(count) => {
                    self.unread.extend(bytes.iter().take(count));
                    has_beaten |= self.take_frames();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.channel = None,
            }
        }
        has_beaten
    }

    fn take_frames(&mut self) -> bool {
        let (mut rest, mut has_beaten) = (&self.unread[..], false);
        while let Some(frame) = handover::next(&mut rest) {
            match frame {
                Frame::Beat(served) => (has_beaten, self.served) = (true, served),
                Frame::Error(text) => self.error = Some(text.to_owned()),
                _ => {}
            }
        }
        self.unread = rest.to_vec();
        has_beaten
    }

    /// The audience that it knew of when it beat last.
    pub(super) fn served(&self) -> Served {
        self.served
    }

    /// Why it ends, if it has said so.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Stops its beats from waking the loop; the channel keeps them.
    ///
    /// # Errors
    /// The kernel's error, for lack of memory.
    pub(super) fn hush(&mut self, reactor: &Reactor, token: Token) -> io::Result<()> {
        self.channel.as_mut().map_or(Ok(()), |channel| channel.set_interest(reactor, token, Interest::Nothing))
    }

    /// Sends it a signal, if it has not ended.
    pub(super) fn signal(&self, number: i32) {
        // Nothing else can go wrong: the process exists, and it is ours.
        let _ = sys::signal(&self.process, number);
    }

    /// Closes the channel. The child notices at its next beat, and ends: its supervisor has left it.
    pub(super) fn hang_up(&mut self) {
        self.channel = None;
    }

    /// Ends it, whatever it is doing.
    pub(super) fn kill(&mut self) {
        // As above.
        let _ = self.process.kill();
    }

    /// Its exit status, once it has ended.
    pub(super) fn try_wait(&mut self) -> Option<ExitStatus> {
        // It is waited for nowhere else, so its status is still there.
        self.process.try_wait().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::tick::Tick;

    #[test]
    fn a_child_wakes_the_loop_until_it_is_hushed_and_ends() {
        let mut reactor = Reactor::new().unwrap();
        let mut ready = Vec::new();
        let mut command = Command::new("sh");
        // Its standard input is open for both. A beat is a frame of 16 bytes, whatever they are.
        let beat = "printf '\\5\\20\\0%016d' 0 >&0";
        let script = format!(
            "trap \"{beat}; exit 7\" TERM; read line; [ \"$line\" = on ] || exit 1; {beat}; while :; do sleep 0.01; done"
        );
        command.args(["-c", &script]);
        let mut child = Child::start(&reactor, Token(5), command, b"on\n").unwrap();
        reactor.wait(None, &mut ready).unwrap();
        assert_eq!(ready[0].token, Token(5));
        assert!(child.read_beats());
        assert!(!child.read_beats());
        assert_eq!(child.try_wait(), None);

        child.hush(&reactor, Token(5)).unwrap();
        // Its beats wake the loop no more; its end does.
        child.signal(sys::SIGTERM);
        reactor.wait(None, &mut ready).unwrap();
        assert!(child.read_beats());
        assert!(child.channel.is_none());
        // A process that another test forks at this moment holds a copy of the channel until its exec.
        let is_quiet = (0..100_000).any(|_| {
            reactor.wait(Some(Tick(0)), &mut ready).unwrap();
            ready.is_empty()
        });
        assert!(is_quiet);
        let status = loop {
            if let Some(status) = child.try_wait() {
                break status;
            }
        };
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn a_child_that_is_killed_has_ended() {
        let mut reactor = Reactor::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "kill -STOP $$"]);
        let mut child = Child::start(&reactor, Token(0), command, b"").unwrap();
        child.kill();
        reactor.wait(None, &mut Vec::new()).unwrap();
        assert!(!child.read_beats());
    }

    #[test]
    fn a_child_says_why_it_ends() {
        let reactor = Reactor::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "printf '\\6\\3\\0why' >&0; exit 1"]);
        let mut child = Child::start(&reactor, Token(0), command, b"").unwrap();
        while child.try_wait().is_none() {}
        assert!(!child.read_beats());
        assert_eq!(child.error(), Some("why"));
    }
}
