//! A rolling restart of all processes under load: no join is lost, and totals dip by those on their way alone.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::drain::{beside, start};
use audience_kit::*;

/// How many are there to stay: who is let go comes back.
const STAYING: u64 = 150;

/// How many others come and go in a second, while all processes are restarted.
const JOINS_PER_S: u64 = 300;

/// How many join at a time. Who is left to a sibling waits for a second.
const JOINERS: usize = 32;

/// How long who was let go stays away.
const AWAY: Duration = ms(200);

/// How old what a process says of the others may be: a tenth of a second by the options, on a machine that is busy.
const STALE: Duration = ms(1_000);

/// What a joiner is to do.
#[derive(Clone, Copy)]
enum Job {
    /// Join to stay.
    Stay,
    /// Join, and go again.
    Pass,
}

/// What has happened to those who stay, and when.
#[derive(Default)]
struct History {
    let_go: Vec<Instant>,
    joined: Vec<Instant>,
    passed: u64,
    lost: Vec<String>,
}

impl History {
    /// How many of those who stay may have been away at a moment, as far as a process could know.
    fn away_at_most(&self, moment: Instant) -> u64 {
        let let_go = self.let_go.iter().filter(|&&at| at <= moment + STALE).count() as u64;
        let back = self.joined.iter().filter(|&&at| at + STALE <= moment).count() as u64;
        STAYING + let_go - back
    }

    /// How many may have been counted twice at a moment: they are back, and it is not known yet that they were away.
    fn twice_at_most(&self, moment: Instant) -> u64 {
        self.let_go.iter().filter(|&&at| at <= moment + STALE && at + STALE >= moment).count() as u64
    }
}

/// Joins, and hears the first count.
fn join(address: SocketAddr, target: &str) -> Result<TcpStream, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut socket = TcpStream::connect_timeout(&address, SOON).map_err(told)?;
    socket.set_read_timeout(Some(SOON)).map_err(told)?;
    socket.write_all(join_request(target, "").as_bytes()).map_err(told)?;
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !(contains(&heard, b"\ndata: ") && heard.ends_with(b"\n\n\r\n")) {
        match socket.read(&mut buffer).map_err(told)? {
            0 => return Err(format!("closed after {:?}", lossy(&heard))),
            count => heard.extend(&buffer[..count]),
        }
    }
    socket.set_nonblocking(true).map_err(told)?;
    Ok(socket)
}

/// Does jobs until there are no more; sends on what came of each.
fn work(address: SocketAddr, jobs: &Mutex<mpsc::Receiver<Job>>, done: &mpsc::Sender<(Job, Result<TcpStream, String>)>) {
    loop {
        let job = jobs.lock().unwrap().recv();
        let Ok(job) = job else { return };
        let target = if matches!(job, Job::Stay) { "/staying" } else { "/passing" };
        done.send((job, join(address, target))).unwrap();
    }
}

/// Keeps a crowd going until `is_over`, and then until all who are to stay are there.
fn keep_crowd(address: SocketAddr, is_over: &AtomicBool) -> (History, Vec<TcpStream>) {
    let (jobs, to_do) = mpsc::channel();
    let (done, results) = mpsc::channel();
    let to_do = Mutex::new(to_do);
    let mut history = History::default();
    let mut there: Vec<TcpStream> = Vec::new();
    let mut away: VecDeque<Instant> = VecDeque::new();
    thread::scope(|scope| {
        for _ in 0..JOINERS {
            let (done, to_do) = (done.clone(), &to_do);
            scope.spawn(move || work(address, to_do, &done));
        }
        (0..STAYING).for_each(|_| jobs.send(Job::Stay).unwrap());
        let (begun, mut passing, mut pending) = (now(), 0, STAYING);
        let deadline = Deadline::after(ms(60_000));
        while !is_over.load(Ordering::Relaxed) || pending > 0 || !away.is_empty() {
            assert!(deadline.left().is_some(), "{pending} pending, {} away", away.len());
            let due = u64::try_from((now() - begun).as_millis()).unwrap() * JOINS_PER_S / 1000;
            while passing < due && !is_over.load(Ordering::Relaxed) {
                jobs.send(Job::Pass).unwrap();
                (passing, pending) = (passing + 1, pending + 1);
            }
            while away.front().is_some_and(|&since| now() - since > AWAY) {
                away.pop_front();
                jobs.send(Job::Stay).unwrap();
                pending += 1;
            }
            let wanted = results.recv_timeout(ms(5)).into_iter().chain(results.try_iter().take(100));
            for (job, result) in wanted.collect::<Vec<_>>() {
                pending -= 1;
                match (job, result) {
                    (_, Err(error)) => history.lost.push(error),
                    (Job::Pass, Ok(_)) => history.passed += 1,
                    (Job::Stay, Ok(socket)) => {
                        history.joined.push(now());
                        there.push(socket);
                    }
                }
            }
            there.retain(|mut socket| match socket.read(&mut [0; 4096]) {
                Ok(0) => {
                    history.let_go.push(now());
                    away.push_back(now());
                    false
                }
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    history.lost.push(format!("in the middle: {error}"));
                    false
                }
                _ => true,
            });
        }
        drop(jobs);
    });
    (history, there)
}

/// What a process said of those who stay, and when.
struct Sample {
    begun: Instant,
    total: u64,
    ended: Instant,
}

/// Restarts each process in turn; what the others have said meanwhile.
fn restart_all(daemons: &mut [Daemon], options: &[&str]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for index in 0..daemons.len() {
        let newcomer = beside(&daemons[index], options);
        daemons[index].signal("TERM");
        let mut old = std::mem::replace(&mut daemons[index], newcomer);
        let deadline = Deadline::after(ms(1_500));
        while deadline.left().is_some() {
            for daemon in daemons.iter() {
                let begun = now();
                let total = daemon.stat("staying", "members").unwrap();
                samples.push(Sample { begun, total, ended: now() });
            }
            thread::park_timeout(ms(10));
        }
        assert_eq!(old.wait_exit().code(), Some(0));
    }
    samples
}

#[test]
fn a_rolling_restart_loses_no_join_and_totals_dip_by_those_on_their_way_alone() {
    let _quiet = heavy();
    let options = ["--drain-delay", "1", "--port", &free_port().to_string()];
    let mut daemons: Vec<Daemon> = (0..3).map(|_| start(&options)).collect();
    let address = daemons[0].audience();
    let is_over = AtomicBool::new(false);
    let (samples, history, there) = thread::scope(|scope| {
        let crowd = scope.spawn(|| keep_crowd(address, &is_over));
        daemons[0].wait_members("staying", STAYING);
        let samples = restart_all(&mut daemons, &options[..2]);
        is_over.store(true, Ordering::Relaxed);
        let (history, there) = crowd.join().unwrap();
        (samples, history, there)
    });
    let joins = history.passed + history.joined.len() as u64;
    assert_eq!(history.lost, [""; 0], "of {joins}");
    show(&format!("a rolling restart: no join lost of {joins}, and {} members let go", history.let_go.len()));
    // Most are at a process that is restarted, and some of them twice.
    assert!(history.let_go.len() as u64 > STAYING / 2, "{} were let go", history.let_go.len());
    assert!(history.passed > JOINS_PER_S, "{} have passed", history.passed);
    for Sample { begun, total, ended } in samples {
        let away = history.away_at_most(begun).max(history.away_at_most(ended));
        assert!(total + away >= STAYING, "{total} of {STAYING}, and at most {away} away");
        let twice = history.twice_at_most(begun).max(history.twice_at_most(ended));
        assert!(total <= STAYING + twice, "{total} of {STAYING}, and at most {twice} counted twice");
    }
    assert_eq!(there.len() as u64, STAYING);
    let all = STAYING + history.let_go.len() as u64;
    for daemon in &daemons {
        daemon.wait_members("staying", STAYING);
        daemon.wait_members("passing", 0);
        for (namespace, connections) in [("staying", all), ("passing", history.passed)] {
            wait_until(&format!("{connections} of {namespace}"), || {
                daemon.stat(namespace, "connections") == Some(connections)
            });
        }
    }
}
