//! The key that the processes of one user share, for the loopback bus of their audience.
//!
//! Owns the key, the door at which siblings ask for it, and the questions to theirs. A process that starts asks all siblings
//! and takes the first answer; without an answer it draws a key. It finds no answer when siblings hang or start at the same
//! time; then there are two keys, and datagrams that fail the seal show it. So both sides ask again, and agree on the least
//! of all keys; the others stay good.
//!
//! An answer is a version, a length and the key: `1:u8 32:u8 key`. The user of the other end is checked on both ends (the
//! kernel's record of it), and a stranger gets nothing.
//!
//! Invariant: the key leaves the process only towards its own user, and no question makes the loop wait.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use crate::collections::tick::{Now, Tick};
use crate::log;
use crate::reactor::{Interest, Reactor, Registered, Token, local, sys};
use crate::wire::report::Keys;

const KEY_BYTES: usize = 32;

/// What an answer begins with: the version, and the length of the key ([`KEY_BYTES`]).
const HEAD: [u8; 2] = [1, 32];

/// How long a process that starts waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// When a door with too long a line is tried again.
const LINE_REST: Duration = Duration::from_millis(10);

/// How long a process that runs waits between two rounds of questions. A round reads the kernel's list and knocks at the
/// doors in it: 0.1 ms on a usual host, 4 ms where strangers have put up a thousand.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How long the door rests when the kernel has no room for a guest.
const DOOR_REST: Duration = Duration::from_secs(1);

/// Most guests of a turn, at 6 us each: 0.02 ms.
const GUESTS_PER_TURN: usize = 4;

/// Most questions without an answer.
const QUESTIONS_MAX: usize = 16;

/// Most keys that are good at a time.
const KEYS_MAX: usize = 8;

type Key = [u8; KEY_BYTES];

/// The shared key of this process.
pub(super) struct SharedKey {
    door: Registered<UnixListener>,
    door_rests_until: Option<Tick>,
    token: Token,
    uid: u32,
    /// In order; the first one seals.
    keys: Vec<Key>,
    question: Question,
    /// Whether a sibling may have another key.
    is_doubtful: bool,
    next_ask: Tick,
    is_ready: bool,
    stranger_count: u64,
    next_warning: Tick,
}

/// A round of questions.
#[derive(Default)]
struct Question {
    /// Siblings that have not answered yet.
    open: Vec<Registered<UnixStream>>,
    /// Doors at which too many others wait.
    busy: Vec<String>,
}

impl SharedKey {
    /// Asks the siblings for the key, or draws it.
    ///
    /// # Errors
    /// What the kernel says, for lack of descriptors or randomness.
    pub(super) fn begin(
        door: UnixListener,
        siblings: Vec<String>,
        uid: u32,
        reactor: &Reactor,
        token: Token,
    ) -> io::Result<Self> {
        let count = siblings.len();
        let found = find(siblings, uid)?;
        log::debug(format_args!("event=loopback_key siblings={count} is_found={}", found.is_some()));
        let key = found.map_or_else(sys::random, Ok)?;
        Ok(Self {
            door: Registered::new(reactor, door, token, Interest::Read)?,
            door_rests_until: None,
            token,
            uid,
            keys: vec![key],
            question: Question::default(),
            is_doubtful: false,
            next_ask: Tick(0),
            is_ready: false,
            stranger_count: 0,
            next_warning: Tick(0),
        })
    }

    /// The keys: the first one seals, and all are good.
    pub(super) fn keys(&self) -> Keys {
        Keys::new(self.keys.iter().map(|key| key.to_vec()).collect())
    }

    /// When there is something to do.
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        let ask = self.is_doubtful.then_some(self.next_ask);
        [ask, self.door_rests_until].into_iter().flatten().min()
    }

    /// A guest is at the door, or a sibling has answered.
    pub(super) fn mark_ready(&mut self) {
        self.is_ready = true;
    }

    /// A datagram has failed the seal.
    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// Whether it is time for questions.
    pub(super) fn may_ask(&self, now: Now) -> bool {
        self.is_doubtful && now.tick >= self.next_ask
    }

    /// Asks the siblings at these doors; a round before it that has no answer is over.
    pub(super) fn ask(&mut self, doors: Vec<String>, reactor: &Reactor, now: Now) {
        self.is_doubtful = false;
        self.next_ask = now.tick.after(ASK_INTERVAL);
        self.question = Question::default();
        self.question.knock(doors, self.uid, reactor, self.token);
    }

    /// Answers guests and takes answers in; returns whether the keys have changed.
    pub(super) fn exchange(&mut self, reactor: &Reactor, now: Now) -> bool {
        if self.door_rests_until.is_some_and(|until| now.tick >= until) {
            self.door_rests_until = None;
            self.set_door(Interest::Read, reactor);
        }
        if !std::mem::take(&mut self.is_ready) {
            return false;
        }
        if self.answer_guests(now).is_err() {
            self.door_rests_until = Some(now.tick.after(DOOR_REST));
            self.set_door(Interest::Nothing, reactor);
        }
        let mut has_changed = false;
        for key in self.question.answers() {
            has_changed |= self.adopt(key);
        }
        has_changed
    }

    fn set_door(&mut self, interest: Interest, reactor: &Reactor) {
        if let Err(error) = self.door.set_interest(reactor, self.token, interest) {
            log::warn(format_args!("event=loopback_key_door error={:?}", error.to_string()));
        }
    }

    /// Gives the key to guests of this user.
    fn answer_guests(&mut self, now: Now) -> io::Result<()> {
        for _ in 0..GUESTS_PER_TURN {
            let mut guest = match self.door.source().accept() {
                Ok((guest, _)) => guest,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            match local::peer_uid(&guest) {
                Ok(uid) if uid == self.uid => {
                    let key = self.keys.first().map_or(&[][..], |key| key);
                    // An empty buffer takes it whole. A guest that is gone asks again.
                    let _ = guest.write_all(&[&HEAD, key].concat());
                }
                other => self.refuse(other.unwrap_or(u32::MAX), now),
            }
        }
        Ok(())
    }

    /// Counts a stranger, and says so once a minute.
    fn refuse(&mut self, uid: u32, now: Now) {
        self.stranger_count += 1;
        if now.tick >= self.next_warning {
            self.next_warning = now.tick.after(Duration::from_mins(1));
            log::warn(format_args!("event=loopback_key_refused uid={uid} count={}", self.stranger_count));
        }
    }

    /// Takes a sibling's key for good.
    fn adopt(&mut self, key: Key) -> bool {
        let Err(place) = self.keys.binary_search(&key) else { return false };
        self.keys.insert(place, key);
        self.keys.truncate(KEYS_MAX);
        place < KEYS_MAX
    }
}

impl Question {
    /// Connects to these doors, as far as a process of this user listens there.
    fn knock(&mut self, doors: Vec<String>, uid: u32, reactor: &Reactor, token: Token) {
        for door in doors {
            if self.open.len() >= QUESTIONS_MAX {
                return;
            }
            match local::connect(&door) {
                Ok(stream) if local::peer_uid(&stream).is_ok_and(|owner| owner == uid) => {
                    self.open.extend(Registered::new(reactor, stream, token, Interest::Read));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.busy.push(door),
                _ => {}
            }
        }
    }

    /// The keys that have come since the last time.
    fn answers(&mut self) -> Vec<Key> {
        let mut keys = Vec::new();
        self.open.retain(|sibling| {
            // One byte more than there may be.
            let mut answer = [0; HEAD.len() + KEY_BYTES + 1];
            let length = match sibling.source().read(&mut answer) {
                Ok(length) => length,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            };
            keys.extend(key_in(answer.get(..length).unwrap_or_default()));
            false
        });
        keys
    }
}

/// The key in an answer that is whole.
fn key_in(answer: &[u8]) -> Option<Key> {
    answer.strip_prefix(&HEAD)?.try_into().ok()
}

/// Asks the siblings at these doors, and waits for the first answer. Doors of strangers cost no wait: where their line is too
/// long to see whose they are, the others are asked first.
fn find(doors: Vec<String>, uid: u32) -> io::Result<Option<Key>> {
    let mut reactor = Reactor::new()?;
    let mut ready = Vec::new();
    let deadline = reactor.now().tick.after(PATIENCE);
    let mut question = Question::default();
    let mut next = doors;
    loop {
        question.knock(std::mem::take(&mut next), uid, &reactor, Token(0));
        if let Some(key) = question.answers().into_iter().min() {
            return Ok(Some(key));
        }
        let now = reactor.now();
        next = std::mem::take(&mut question.busy);
        if now.tick >= deadline || (question.open.is_empty() && next.is_empty()) {
            return Ok(None);
        }
        let until = if next.is_empty() { deadline } else { now.tick.after(LINE_REST).min(deadline) };
        reactor.wait(Some(until), &mut ready)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process with a door of this name.
    fn sibling(name: &str, doors: &[String], reactor: &Reactor) -> SharedKey {
        let uid = local::own_uid().unwrap();
        SharedKey::begin(local::listen(name).unwrap(), doors.to_vec(), uid, reactor, Token(7)).unwrap()
    }

    fn name(test: &str) -> String {
        format!("audience-meter-test/shared-{test}/{}", std::process::id())
    }

    fn exchange(process: &mut SharedKey, reactor: &Reactor) -> bool {
        process.mark_ready();
        process.exchange(reactor, reactor.now())
    }

    #[test]
    fn a_newcomer_takes_the_key_of_a_sibling() {
        let (reactor, name) = (Reactor::new().unwrap(), name("found"));
        let mut first = sibling(&name, &[], &reactor);
        let found = std::thread::scope(|scope| {
            let found = scope.spawn(|| find(vec![name.clone()], local::own_uid().unwrap()).unwrap());
            while !found.is_finished() {
                exchange(&mut first, &reactor);
                std::thread::yield_now();
            }
            found.join().unwrap()
        });
        assert_eq!(found, Some(first.keys[0]));
    }

    #[test]
    fn a_sibling_that_hangs_is_not_waited_for_long_and_then_both_agree() {
        let (reactor, names) = (Reactor::new().unwrap(), [name("hangs"), name("new")]);
        let mut hung = sibling(&names[0], &[], &reactor);
        let mut new = sibling(&names[1], &names[..1], &reactor);
        assert_ne!(hung.keys, new.keys);
        assert!(!hung.may_ask(reactor.now()));
        hung.doubt();
        new.doubt();
        for (process, door) in [(&mut hung, &names[1]), (&mut new, &names[0])] {
            assert!(process.may_ask(reactor.now()));
            process.ask(vec![door.clone()], &reactor, reactor.now());
            process.doubt();
            assert!(!process.may_ask(reactor.now()), "once a second");
        }
        assert!(!exchange(&mut hung, &reactor), "its question has no answer yet");
        assert!(exchange(&mut new, &reactor) && exchange(&mut hung, &reactor));
        assert_eq!((hung.keys.clone(), hung.keys.len()), (new.keys.clone(), 2));
        assert!(hung.keys.is_sorted());
    }

    #[test]
    fn another_user_gets_nothing_and_is_not_asked() {
        let (reactor, name) = (Reactor::new().unwrap(), name("strangers"));
        let mut process = sibling(&name, &[], &reactor);
        process.uid += 1;
        let mut guest = local::connect(&name).unwrap();
        exchange(&mut process, &reactor);
        assert_eq!((guest.read(&mut [0; 64]).unwrap(), process.stranger_count), (0, 1));
        let mut question = Question::default();
        question.knock(vec![name], process.uid, &reactor, Token(7));
        assert_eq!((question.open.len(), question.busy.len()), (0, 0));
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let key = [7; KEY_BYTES];
        let answer = [&HEAD[..], &key].concat();
        assert_eq!(key_in(&answer), Some(key));
        for cut in 0..answer.len() {
            assert_eq!(key_in(&answer[..cut]), None);
        }
        assert_eq!(key_in(&[&answer[..], &[0]].concat()), None);
        assert_eq!(key_in(&[&[2, 32][..], &key].concat()), None);
    }
}
