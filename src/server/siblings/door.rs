//! The door of this process: a name at which siblings connect.
//!
//! Owns the socket, and the guests that have not said what they want. Each gets a greeting; it goes away with that, or greets
//! back and is a link from then on. The kernel says whose process it is, and a stranger gets nothing.
//!
//! Invariant: nothing leaves the process here but towards its own user, and no guest makes the loop wait.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use super::greeting::{Greeting, Partial};
use crate::collections::tick::{Now, Tick};
use crate::log::{self, Value::Shown};
use crate::meter::news::NodeId;
use crate::reactor::{Interest, Reactor, Registered, Token, local};

/// How long the door rests when the kernel has no room for a guest.
const DOOR_REST: Duration = Duration::from_secs(1);

/// Most guests of a turn, at 6 us each: 0.02 ms.
const GUESTS_PER_TURN: usize = 4;

/// Most guests that have not said what they want; the one that came first gives way.
const GUESTS_MAX: usize = 16;

/// The door of a process.
pub(super) struct Door {
    listener: Registered<UnixListener>,
    rests_until: Option<Tick>,
    token: Token,
    uid: u32,
    guests: Vec<Guest>,
    stranger_count: u64,
    next_warning: Tick,
}

/// A process of this user that has connected.
struct Guest {
    stream: Registered<UnixStream>,
    greeting: Partial,
}

/// A guest that wants a link.
pub(super) struct Introduced {
    pub(super) node: NodeId,
    pub(super) stream: Registered<UnixStream>,
}

impl Door {
    /// Opens the door to processes of this user.
    ///
    /// # Errors
    /// What the kernel says, for lack of watches.
    pub(super) fn open(listener: UnixListener, uid: u32, reactor: &Reactor, token: Token) -> io::Result<Self> {
        let listener = Registered::new(reactor, listener, token, Interest::Read)?;
        let (guests, next_warning) = (Vec::new(), Tick(0));
        Ok(Self { listener, rests_until: None, token, uid, guests, stranger_count: 0, next_warning })
    }

    /// When the door's rest is over.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        self.rests_until
    }

    /// Opens the door again, if it has rested for long enough.
    pub(super) fn wake(&mut self, reactor: &Reactor, now: Now) {
        if self.rests_until.is_some_and(|until| now.tick >= until) {
            self.rests_until = None;
            self.set_interest(Interest::Read, reactor);
        }
    }

    /// Greets those that have come, and returns those that have greeted back.
    pub(super) fn answer(&mut self, greeting: &Greeting, reactor: &Reactor, now: Now) -> Vec<Introduced> {
        if self.rests_until.is_none() && self.let_in(greeting, reactor, now).is_err() {
            self.rests_until = Some(now.tick.after(DOOR_REST));
            self.set_interest(Interest::Nothing, reactor);
        }
        let mut introduced = Vec::new();
        let waiting = std::mem::take(&mut self.guests);
        for mut guest in waiting {
            match guest.greeting.read(guest.stream.source()) {
                Ok(None) => self.guests.push(guest),
                Ok(Some(Greeting { node, .. })) => introduced.push(Introduced { node, stream: guest.stream }),
                Err(_) => {}
            }
        }
        introduced
    }

    fn let_in(&mut self, greeting: &Greeting, reactor: &Reactor, now: Now) -> io::Result<()> {
        for _ in 0..GUESTS_PER_TURN {
            let stream = match self.listener.source().accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            match local::peer_uid(&stream) {
                Ok(uid) if uid == self.uid => self.greet(stream, greeting, reactor)?,
                other => self.refuse(other.unwrap_or(u32::MAX), now),
            }
        }
        Ok(())
    }

    fn greet(&mut self, stream: UnixStream, greeting: &Greeting, reactor: &Reactor) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        // A guest that is gone asks again.
        if greeting.send(&stream).is_ok() {
            if self.guests.len() >= GUESTS_MAX {
                self.guests.remove(0);
            }
            let stream = Registered::new(reactor, stream, self.token, Interest::Read)?;
            self.guests.push(Guest { stream, greeting: Partial::default() });
        }
        Ok(())
    }

    /// Counts a stranger, and says so once a minute.
    fn refuse(&mut self, uid: u32, now: Now) {
        self.stranger_count += 1;
        if now.tick >= self.next_warning {
            self.next_warning = now.tick.after(Duration::from_mins(1));
            log::warn("loopback_key_refused", &[("uid", uid.into()), ("count", self.stranger_count.into())]);
        }
    }

    fn set_interest(&mut self, interest: Interest, reactor: &Reactor) {
        if let Err(error) = self.listener.set_interest(reactor, self.token, interest) {
            log::warn("loopback_key_door", &[("error", Shown(&error))]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    const GREETING: Greeting = Greeting { key: None, node: NodeId(7) };

    fn door(test: &str, reactor: &Reactor) -> (Door, String) {
        let name = format!("audience-meter-test/door-{test}/{}", std::process::id());
        let uid = local::own_uid().unwrap();
        (Door::open(local::listen(&name).unwrap(), uid, reactor, Token(7)).unwrap(), name)
    }

    #[test]
    fn a_guest_is_greeted_and_one_that_greets_back_is_a_link() {
        let reactor = Reactor::new().unwrap();
        let (mut door, name) = door("links", &reactor);
        let mut guests = [(); 2].map(|()| local::connect(&name).unwrap());
        assert_eq!(door.answer(&GREETING, &reactor, reactor.now()).len(), 0);
        for guest in &mut guests {
            let mut bytes = [0; 99];
            assert_eq!(guest.read(&mut bytes).unwrap(), 2 + 8);
        }
        let [goes, mut stays] = guests;
        drop(goes);
        Greeting { key: None, node: NodeId(8) }.send(&stays).unwrap();
        stays.write_all(b"a frame").unwrap();
        let introduced = door.answer(&GREETING, &reactor, reactor.now());
        assert_eq!(introduced.iter().map(|guest| guest.node).collect::<Vec<_>>(), [NodeId(8)]);
        assert_eq!(introduced[0].stream.source().read(&mut [0; 99]).unwrap(), 7);
        assert_eq!(door.guests.len(), 0, "one is gone, and the other is a guest no more");
    }

    #[test]
    fn guests_that_say_nothing_are_few() {
        let reactor = Reactor::new().unwrap();
        let (mut door, name) = door("silent", &reactor);
        let guests: Vec<UnixStream> = (0..40).map(|_| local::connect(&name).unwrap()).collect();
        for _ in 0..20 {
            door.answer(&GREETING, &reactor, reactor.now());
        }
        assert_eq!(door.guests.len(), GUESTS_MAX);
        GREETING.send(guests.last().unwrap()).unwrap();
        assert_eq!(door.answer(&GREETING, &reactor, reactor.now()).len(), 1);
    }

    #[test]
    fn another_user_gets_nothing() {
        let reactor = Reactor::new().unwrap();
        let (mut door, name) = door("strangers", &reactor);
        door.uid += 1;
        let mut guest = local::connect(&name).unwrap();
        door.answer(&GREETING, &reactor, reactor.now());
        assert_eq!((guest.read(&mut [0; 64]).unwrap(), door.stranger_count, door.guests.len()), (0, 1, 0));
    }
}
