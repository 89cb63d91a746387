//! A child process, and the pipe through which it beats.
//!
//! Owns the process until it has been waited for; until then the kernel gives its id to no other, so a signal cannot hit a
//! stranger. It does not know what the process does, nor what its silence means.
//!
//! Invariant: reading never blocks, and a child that has closed its end of the pipe causes no further wake-up.

use std::io::{self, ErrorKind, PipeReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, ExitStatus};

use crate::reactor::{Interest, Reactor, Registered, Token, sys};

/// A process that this one has started.
pub(super) struct Child {
    process: process::Child,
    pipe: Option<Registered<PipeReader>>,
}

impl Child {
    /// Starts a process whose standard output is read here. It gets no input, and a process group of its own: its parent
    /// passes Ctrl-C on, once.
    ///
    /// The token is ready when it beats, until it is [hushed](Self::hush), and when it ends.
    ///
    /// # Errors
    /// The kernel's error: the program does not exist, or there is no room for a process or a descriptor.
    pub(super) fn start(reactor: &Reactor, token: Token, mut command: Command) -> io::Result<Self> {
        let (own_end, child_end) = sys::pipe()?;
        let pipe = Registered::new(reactor, own_end, token, Interest::Read)?;
        // Its input is at its end from the start, as /dev/null is; but not every root has a /dev/null.
        let (no_input, _) = sys::pipe()?;
        let process = command.stdin(no_input).stdout(child_end).process_group(0).spawn()?;
        Ok(Self { process, pipe: Some(pipe) })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Reads the beats that have arrived; returns whether there was one.
    pub(super) fn read_beats(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut has_beaten = false;
        loop {
            match pipe.source().read(&mut [0; 4096]) {
                Ok(0) => break self.pipe = None,
                Ok(_) => has_beaten = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        has_beaten
    }

    /// Stops its beats from waking the loop; the pipe keeps them.
    ///
    /// # Errors
    /// The kernel's error, for lack of memory.
    pub(super) fn hush(&mut self, reactor: &Reactor, token: Token) -> io::Result<()> {
        self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.set_interest(reactor, token, Interest::Nothing))
    }

    /// Sends it a signal, if it has not ended.
    pub(super) fn signal(&self, number: i32) {
        // Nothing else can go wrong: the process exists, and it is ours.
        let _ = sys::signal(&self.process, number);
    }

    /// Closes the pipe. The child notices at its next beat, and ends: its supervisor has left it.
    pub(super) fn hang_up(&mut self) {
        self.pipe = None;
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
        command.args(["-c", "trap 'echo again; exit 7' TERM; read line && exit 1; echo once; while :; do :; done"]);
        let mut child = Child::start(&reactor, Token(5), command).unwrap();
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
        assert!(child.pipe.is_none());
        // A process that another test forks at this moment holds a copy of the pipe until its exec.
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
        let mut child = Child::start(&reactor, Token(0), command).unwrap();
        child.kill();
        reactor.wait(None, &mut Vec::new()).unwrap();
        assert!(!child.read_beats());
    }
}
