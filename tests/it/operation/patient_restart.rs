//! A rolling restart that does not show: the members of processes that end or die keep their places (`--leave-delay`).

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::drain::{beside, start};
use audience_kit::*;

/// How many persons are there all the time.
const PERSONS: usize = 10_000;

/// By how much a total may be off: less than half a percent of 10,000 persons.
const OFF_MAX: u64 = 49;

/// How long a person that has lost its stream stays away.
const AWAY: Duration = ms(300);

/// A person, and its stream or when it lost that.
struct Person {
    target: String,
    stream: Result<TcpStream, Instant>,
}

impl Person {
    /// Comes back when it is time, and takes in what has come.
    fn live(&mut self, address: SocketAddr) {
        match &mut self.stream {
            Err(since) if now() - *since > AWAY => {
                // A process that dies takes what it was about to accept with it.
                self.stream = join(address, &self.target).map_err(|_| now());
            }
            Err(_) => {}
            Ok(socket) => match socket.read(&mut [0; 4096]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => self.stream = Err(now()),
                Ok(_) => {}
            },
        }
    }
}

/// Joins, and waits for the head.
fn join(address: SocketAddr, target: &str) -> std::io::Result<TcpStream> {
    let mut socket = TcpStream::connect_timeout(&address, SOON)?;
    socket.set_read_timeout(Some(SOON))?;
    socket.write_all(join_request(target, "").as_bytes())?;
    if socket.read(&mut [0; 4096])? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Lives for a time; returns the totals that were seen at each process meanwhile.
fn live(persons: &mut [Person], daemons: &[Daemon], this_long: Duration) -> Vec<u64> {
    let (deadline, mut totals) = (Deadline::after(this_long), Vec::new());
    let address = daemons[0].audience();
    while deadline.left().is_some() {
        for person in persons.iter_mut() {
            person.live(address);
        }
        totals.extend(daemons.iter().filter_map(|daemon| daemon.stat("event", "members")));
    }
    totals
}

#[test]
fn four_processes_are_replaced_and_one_dies_and_no_total_shows_it() {
    let _quiet = heavy();
    let options = ["--drain-delay", "1", "--enable-uuid", "--leave-delay", "60", "--cluster-node-timeout", "2"];
    let port = free_port().to_string();
    let mut daemons: Vec<Daemon> = (0..4).map(|_| start(&[&options[..], &["--port", &port]].concat())).collect();
    let address = daemons[0].audience();
    let target = |number| format!("/event/person-{number}");
    let mut persons: Vec<Person> = (0..PERSONS)
        .map(|number| Person { target: target(number), stream: join(address, &target(number)).map_err(|_| now()) })
        .collect();
    for daemon in &daemons {
        daemon.wait_members("event", PERSONS as u64);
    }
    let mut totals = Vec::new();
    for index in 0..daemons.len() {
        let newcomer = beside(&daemons[index], &options);
        let is_killed = index == 3;
        daemons[index].signal(if is_killed { "KILL" } else { "TERM" });
        let mut old = std::mem::replace(&mut daemons[index], newcomer);
        // Before it knows of the others it is not asked.
        daemons[index].wait_members("event", PERSONS as u64);
        totals.extend(live(&mut persons, &daemons, ms(4_000)));
        old.wait_exit();
    }
    let (least, most) = (totals.iter().min().unwrap(), totals.iter().max().unwrap());
    show(&format!("a rolling restart with places kept: {least} to {most} of {PERSONS} in {} looks", totals.len()));
    let bounds = PERSONS as u64 - OFF_MAX..=PERSONS as u64 + OFF_MAX;
    assert!(bounds.contains(least) && bounds.contains(most), "{least} to {most} of {PERSONS}");
    live(&mut persons, &daemons, ms(2_000));
    for daemon in &daemons {
        daemon.wait_members("event", PERSONS as u64);
        let connections = daemon.stat("event", "connections");
        assert_eq!((connections, daemon.stat("event", "waiting")), (Some(PERSONS as u64), Some(0)));
    }
}
