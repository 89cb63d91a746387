//! A host: the network of this process, or another one, in which a thread of this process lives.
//!
//! Owns that thread, and the way of an act to it. A socket stays in the network of the thread that opened it, and a child
//! begins in the network of the thread that started it; so both are at the host, whichever thread uses them then.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};

use super::Result;

/// What the thread has to do.
type Act = Box<dyn FnOnce() + Send>;

/// One of the hosts of this process.
#[derive(Clone, Default)]
pub(super) struct Host(Option<Arc<Other>>);

struct Other {
    acts: Sender<Act>,
    thread: Pid,
}

impl Host {
    /// A host with a network of its own, which goes with the last process in it. Call it after the signals are blocked.
    ///
    /// # Errors
    /// The kernel's: this takes root.
    pub(super) fn apart() -> Result<Self> {
        let (acts, to_do) = channel::<Act>();
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let is_apart = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid());
            if sender.send(is_apart).is_ok() && is_apart.is_ok() {
                for act in to_do {
                    act();
                }
            }
        });
        Ok(Self(Some(Arc::new(Other { acts, thread: receiver.recv()?? }))))
    }

    /// The thread whose network it is, by its number in the kernel; `None` for this process' own network.
    pub(super) fn thread(&self) -> Option<Pid> {
        self.0.as_ref().map(|other| other.thread)
    }

    /// Does something at the host, and returns what has come of it.
    ///
    /// # Errors
    /// Those of the act; or its thread has ended.
    pub(super) fn within<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let Some(other) = &self.0 else { return act() };
        let ended = || io::Error::other("the thread of a host has ended");
        let (sender, receiver) = channel();
        // The receiver waits for it.
        let act = move || drop(sender.send(act()));
        other.acts.send(Box::new(act)).map_err(|_| ended())?;
        receiver.recv().map_err(|_| ended())?
    }
}
