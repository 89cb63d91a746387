//! Processes of one user and one audience start one after another, so that one of them draws the key and the others find it.
//!
//! Owns the turn: a name that one process at a time can put up. It does not know what is done in a turn.
//!
//! Invariant: a process that gets no turn starts nevertheless, [`PATIENCE`] later at most.

use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::log;
use crate::reactor::{Interest, Reactor, Registered, Token, local};

/// How long a process waits for others: a turn takes a millisecond, or half a second where a sibling hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// When a name that leads nowhere is tried again: its owner has not begun to listen, or has ended.
const RETRY: Duration = Duration::from_millis(10);

/// How long that may go on. A process of ours begins to listen at once, and few wait for it; so the name is a stranger's.
const UNPROVEN_MAX: Duration = Duration::from_millis(200);

/// What helps when another user, or a sibling that hangs, holds the name.
const REMEDY: &str = "end the process that holds the name, or give a --cluster-key-file";

/// A turn, which ends with this value; or none.
pub(super) struct StartTurn {
    name: Option<UnixListener>,
}

impl StartTurn {
    /// Whether no other process has a turn meanwhile.
    pub(super) fn is_held(&self) -> bool {
        self.name.is_some()
    }

    /// Waits for the turn of this process.
    ///
    /// # Errors
    /// What the kernel says, for lack of descriptors.
    pub(super) fn take(audience: &str, uid: u32) -> io::Result<Self> {
        let name = format!("audience-meter/start/{uid}/{audience}");
        let mut reactor = Reactor::new()?;
        let begun = reactor.now().tick;
        let (deadline, mut patience) = (begun.after(PATIENCE), begun.after(UNPROVEN_MAX));
        let mut ready = Vec::new();
        loop {
            match local::listen(&name) {
                Ok(listener) => return Ok(Self { name: Some(listener) }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                // There are no such names here, and so no doors.
                Err(_) => return Ok(Self { name: None }),
            }
            let now = reactor.now();
            if now.tick >= deadline.min(patience) {
                log::warn("start_turn_missed", &[("name", name[..].into()), ("remedy", REMEDY.into())]);
                return Ok(Self { name: None });
            }
            let (holder, until) = match local::connect(&name) {
                Ok(holder) => (Some(holder), deadline),
                Err(_) => (None, now.tick.after(RETRY).min(deadline)),
            };
            if holder.is_some() {
                patience = deadline;
            }
            let owner = holder.as_ref().map(local::peer_uid).transpose()?.unwrap_or(uid);
            if owner != uid {
                log::warn(
                    "start_turn_squatted",
                    &[("uid", owner.into()), ("name", name[..].into()), ("remedy", REMEDY.into())],
                );
                return Ok(Self { name: None });
            }
            // It is ready when the holder's turn ends.
            let holder =
                holder.map(|holder| Registered::new(&reactor, holder, Token(0), Interest::Read)).transpose()?;
            reactor.wait(Some(until), &mut ready)?;
            drop(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_process_at_a_time_has_the_turn() {
        let (audience, uid) = (format!("turns{}", std::process::id()), local::own_uid().unwrap());
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let turn = StartTurn::take(&audience, uid).unwrap();
                    assert!(turn.is_held());
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                });
            }
        });
    }

    #[test]
    fn a_name_that_another_user_holds_is_no_turn_and_no_wait() {
        let (audience, uid) = (format!("squatted{}", std::process::id()), local::own_uid().unwrap());
        // To the user after this one, this one is another user.
        let _squatter = local::listen(&format!("audience-meter/start/{}/{audience}", uid + 1)).unwrap();
        assert!(!StartTurn::take(&audience, uid + 1).unwrap().is_held());
    }

    #[test]
    fn a_name_that_proves_nothing_is_not_waited_for() {
        let (audience, uid) = (format!("unproven{}", std::process::id()), local::own_uid().unwrap());
        let name = format!("audience-meter/start/{uid}/{audience}");
        // It takes no connections, so nothing shows whose it is.
        let squatter = UnixStream::from(OwnedFd::from(local::listen(&name).unwrap()));
        squatter.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(!StartTurn::take(&audience, uid).unwrap().is_held());
        drop(squatter);
        assert!(StartTurn::take(&audience, uid).unwrap().is_held());
    }

    #[test]
    fn a_turn_that_does_not_end_is_waited_for_so_long_and_no_longer() {
        let (audience, uid) = (format!("endless{}", std::process::id()), local::own_uid().unwrap());
        let _holder = StartTurn::take(&audience, uid).unwrap();
        let reactor = Reactor::new().unwrap();
        assert!(!StartTurn::take(&audience, uid).unwrap().is_held());
        assert!(reactor.now().tick >= crate::collections::tick::Tick(0).after(PATIENCE));
    }
}
