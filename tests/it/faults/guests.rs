//! Guests of a daemon whose connections may break at any time, and how many of them are left.
//!
//! A guest is a member, or broken: a daemon under test has to count exactly those that still hear.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use audience_kit::*;

/// Each change is told to all at once, so that there is much to go wrong.
pub(super) const BUSY: [&str; 4] = ["--notify-min-delay", "0.01", "--notify-max-delay", "600"];

/// No count is pushed during the test, only first counts are told.
pub(super) const QUIET: [&str; 4] = ["--notify-min-delay", "600", "--notify-max-delay", "600"];

/// A client whose connection may break at any time.
pub(super) struct Guest {
    pub(super) socket: TcpStream,
    pub(super) heard: Vec<u8>,
}

impl Guest {
    pub(super) fn join(daemon: &Daemon) -> Self {
        let mut socket = connect(daemon.audience());
        // If it is broken already, reading will tell.
        let _ = socket.write_all(join_request("/ns", "").as_bytes());
        Guest { socket, heard: Vec::new() }
    }

    /// Whether it hears this before its connection ends.
    #[track_caller]
    pub(super) fn hears(&mut self, part: &str) -> bool {
        let deadline = Deadline::after(SOON);
        let mut buffer = [0; 4096];
        while !contains(&self.heard, part.as_bytes()) {
            let left = deadline.left().unwrap_or_else(|| panic!("no {part:?}: {:?}", lossy(&self.heard)));
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.socket.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.heard.extend(&buffer[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Joins, each told a count or broken; a third of them have left again.
#[track_caller]
pub(super) fn churn(daemon: &Daemon) -> Vec<Guest> {
    let mut guests = Vec::new();
    for round in 0..45 {
        let mut guest = Guest::join(daemon);
        guest.hears("data: ");
        guests.push(guest);
        if round % 3 == 2 {
            guests.remove(round / 3);
        }
    }
    guests
}

/// In peace: the members are those guests who still hear, neither more nor less. Says how many these are.
#[track_caller]
pub(super) fn count_open(daemon: &Daemon, guests: &mut [Guest]) -> usize {
    daemon.notify("/ns/are/there").expect_confirmed();
    let open = guests.iter_mut().map(|guest| guest.hears("data: are=there")).filter(|hears| *hears).count();
    let count = u64::try_from(open).unwrap();
    daemon.wait_members("ns", count);
    assert_eq!(member(daemon, "/ns").1, count + 1);
    daemon.wait_members("ns", count);
    wait_rest(daemon.pid());
    open
}

/// Waits until a daemon of two workers has both.
#[track_caller]
pub(super) fn wait_workers(daemon: &Daemon) {
    let ready = |log: Vec<String>| log.iter().filter(|line| line.contains("event=worker_started")).count();
    wait_until("both workers", || ready(daemon.log()) == 2);
}
