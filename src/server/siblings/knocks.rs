//! Knocks at the doors of siblings.
//!
//! Owns the connections to doors that have not been answered. A door of another user, and a name without a door, costs a call.
//!
//! Invariant: there are at most [`OPEN_MAX`] such connections, and none makes the loop wait.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::greeting::{Greeting, Key, Partial};
use crate::reactor::{Interest, Reactor, Registered, Token, local};

/// Most connections without an answer.
const OPEN_MAX: usize = 16;

/// How long a process that starts waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// When a door with too long a line is tried again.
const LINE_REST: Duration = Duration::from_millis(10);

/// Knocks at some doors.
#[derive(Default)]
pub(super) struct Knocks {
    /// Doors at which it is not knocked yet.
    next: VecDeque<String>,
    open: Vec<Knock>,
    /// Doors at which too many others wait.
    busy: Vec<String>,
}

/// A connection without an answer.
struct Knock {
    door: String,
    stream: Registered<UnixStream>,
    greeting: Partial,
}

/// A door was opened.
pub(super) struct Answer {
    pub(super) door: String,
    pub(super) greeting: Greeting,
    pub(super) stream: Registered<UnixStream>,
}

impl Knocks {
    /// Knocks at these doors in turn.
    pub(super) fn at(doors: impl IntoIterator<Item = String>) -> Self {
        Self { next: doors.into_iter().collect(), ..Self::default() }
    }

    /// Whether an answer may come.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty() || !self.next.is_empty()
    }

    /// Connects to the next doors, as far as a process of this user listens there.
    pub(super) fn go_on(&mut self, uid: u32, reactor: &Reactor, token: Token) {
        while self.open.len() < OPEN_MAX {
            let Some(door) = self.next.pop_front() else { return };
            match local::connect(&door) {
                Ok(stream) if local::peer_uid(&stream).is_ok_and(|owner| owner == uid) => {
                    if let Ok(stream) = Registered::new(reactor, stream, token, Interest::Read) {
                        self.open.push(Knock { door, stream, greeting: Partial::default() });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.busy.push(door),
                _ => {}
            }
        }
    }

    /// The answers that have come since the last time.
    pub(super) fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let waiting = std::mem::take(&mut self.open);
        for mut knock in waiting {
            match knock.greeting.read(knock.stream.source()) {
                Ok(None) => self.open.push(knock),
                Ok(Some(greeting)) => {
                    answers.push(Answer { door: knock.door, greeting, stream: knock.stream });
                }
                Err(_) => {}
            }
        }
        answers
    }
}

/// Asks the siblings at these doors for their key, and waits for the first answer. Doors of strangers cost no wait: where their
/// line is too long to see whose they are, the others are asked first.
///
/// # Errors
/// What the kernel says, for lack of descriptors.
pub(in crate::server) fn find_key(doors: Vec<String>, uid: u32) -> io::Result<Option<Key>> {
    let mut reactor = Reactor::new()?;
    let mut ready = Vec::new();
    let deadline = reactor.now().tick.after(PATIENCE);
    let mut knocks = Knocks::at(doors);
    loop {
        knocks.go_on(uid, &reactor, Token(0));
        if let Some(key) = knocks.answers().into_iter().filter_map(|answer| answer.greeting.key).min() {
            return Ok(Some(key));
        }
        let now = reactor.now();
        if now.tick >= deadline || (!knocks.is_open() && knocks.busy.is_empty()) {
            return Ok(None);
        }
        let until = if knocks.busy.is_empty() { deadline } else { now.tick.after(LINE_REST).min(deadline) };
        let busy = std::mem::take(&mut knocks.busy);
        knocks.next.extend(busy);
        reactor.wait(Some(until), &mut ready)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::news::NodeId;
    use std::os::unix::net::UnixListener;

    fn door(test: &str) -> (UnixListener, String) {
        let name = format!("audience-meter-test/knocks-{test}/{}", std::process::id());
        (local::listen(&name).unwrap(), name)
    }

    #[test]
    fn more_doors_than_may_be_open_are_knocked_at_in_turn() {
        let (reactor, uid) = (Reactor::new().unwrap(), local::own_uid().unwrap());
        let doors: Vec<(UnixListener, String)> = (0..OPEN_MAX + 3).map(|index| door(&format!("turn{index}"))).collect();
        let mut knocks =
            Knocks::at(doors.iter().map(|(_, name)| name.clone()).chain(["audience-meter-test/none".into()]));
        let mut answers = Vec::new();
        for _ in 0..2 {
            knocks.go_on(uid, &reactor, Token(7));
            assert!(knocks.open.len() <= OPEN_MAX && knocks.is_open());
            for (node, (listener, _)) in doors.iter().enumerate() {
                let Ok((guest, _)) = listener.accept() else { continue };
                Greeting { key: None, node: NodeId(node as u64) }.send(&guest).unwrap();
            }
            answers.extend(knocks.answers().into_iter().map(|answer| (answer.greeting.node, answer.door)));
        }
        let nodes = doors.iter().enumerate().map(|(node, (_, name))| (NodeId(node as u64), name.clone()));
        assert_eq!(answers, nodes.collect::<Vec<_>>());
        knocks.go_on(uid, &reactor, Token(7));
        assert!(!knocks.is_open());
    }

    #[test]
    fn a_door_of_another_user_is_left_alone() {
        let (_listener, name) = door("strangers");
        let mut knocks = Knocks::at([name]);
        knocks.go_on(local::own_uid().unwrap() + 1, &Reactor::new().unwrap(), Token(7));
        assert!(!knocks.is_open() && knocks.busy.is_empty());
    }

    #[test]
    fn the_first_key_is_taken_and_a_sibling_without_one_is_not_waited_for() {
        let uid = local::own_uid().unwrap();
        assert_eq!(find_key(Vec::new(), uid).unwrap(), None);
        let (hung, keyed) = (door("hung"), door("keyed"));
        let (_listener, hung) = hung;
        let found = std::thread::scope(|scope| {
            let found = scope.spawn(|| find_key(vec![hung.clone(), keyed.1.clone()], uid).unwrap());
            let mut guests = Vec::new();
            while !found.is_finished() {
                if let Ok((guest, _)) = keyed.0.accept() {
                    Greeting { key: Some([5; 32]), node: NodeId(7) }.send(&guest).unwrap();
                    guests.push(guest);
                }
                std::thread::yield_now();
            }
            found.join().unwrap()
        });
        assert_eq!(found, Some([5; 32]));
    }
}
