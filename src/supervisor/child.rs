//! A child process, and the pipe through which it is heard.
//!
//! Owns the process until it has been waited for; until then its id is nobody else's, so a signal cannot hit a stranger.
//! It does not know what the process does, nor what it means that it is silent.
//!
//! Invariant: hearing never blocks, and a child that has let go of its end of the pipe wakes nobody any more.

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
    /// Starts a process whose standard output is heard here. It gets no input, and a process group of its own: Ctrl-C is
    /// for its parent to pass on, once.
    ///
    /// The token is ready when it speaks, until it is [hushed](Self::hush), and when it ends.
    ///
    /// # Errors
    /// What the kernel says: the program is not there, or there is no room for a process or a descriptor.
    pub(super) fn start(reactor: &Reactor, token: Token, mut command: Command) -> io::Result<Self> {
        let (heard, spoken) = sys::pipe()?;
        let pipe = Registered::new(reactor, heard, token, Interest::Read)?;
        // It has ended before it begins, like /dev/null, which there is not in every root.
        let (no_input, _) = sys::pipe()?;
        let process = command.stdin(no_input).stdout(spoken).process_group(0).spawn()?;
        Ok(Self { process, pipe: Some(pipe) })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Takes what it has said by now, and says whether that was something.
    pub(super) fn hear(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut has_spoken = false;
        loop {
            match pipe.source().read(&mut [0; 4096]) {
                Ok(0) => break self.pipe = None,
                Ok(_) => has_spoken = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        has_spoken
    }

    /// Has it wake nobody by speaking; what it says is kept.
    ///
    /// # Errors
    /// What the kernel says, for lack of memory.
    pub(super) fn hush(&mut self, reactor: &Reactor, token: Token) -> io::Result<()> {
        self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.set_interest(reactor, token, Interest::Nothing))
    }

    /// Sends it a signal, if it has not ended.
    pub(super) fn signal(&self, number: i32) {
        // Nothing else can go wrong: it is there, and it is ours.
        let _ = sys::signal(&self.process, number);
    }

    /// Listens to it no more. A child that speaks notices, and has nobody left to go on for.
    pub(super) fn hang_up(&mut self) {
        self.pipe = None;
    }

    /// Ends it, whatever it is doing.
    pub(super) fn kill(&mut self) {
        // As above.
        let _ = self.process.kill();
    }

    /// How it has ended, if it has.
    pub(super) fn try_wait(&mut self) -> Option<ExitStatus> {
        // It is waited for nowhere else, so there is something to know.
        self.process.try_wait().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::tick::Tick;

    #[test]
    fn a_child_is_heard_until_it_is_hushed_and_ends() {
        let mut reactor = Reactor::new().unwrap();
        let mut ready = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "trap 'echo again; exit 7' TERM; read line && exit 1; echo once; while :; do :; done"]);
        let mut child = Child::start(&reactor, Token(5), command).unwrap();
        reactor.wait(None, &mut ready).unwrap();
        assert_eq!(ready[0].token, Token(5));
        assert!(child.hear());
        assert!(!child.hear());
        assert_eq!(child.try_wait(), None);

        child.hush(&reactor, Token(5)).unwrap();
        // What it says now wakes nobody, that it ends does.
        child.signal(sys::SIGTERM);
        reactor.wait(None, &mut ready).unwrap();
        assert!(child.hear());
        assert!(child.pipe.is_none());
        // A process that another test starts just now has a copy of the pipe until it is what it is to be.
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
        assert!(!child.hear());
    }
}
