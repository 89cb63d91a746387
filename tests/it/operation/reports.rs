//! The file of reports: each event that is over has its line there, whatever else happens at that time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::workers::started;
use audience_kit::*;

/// How many events end together: three times the number of lines that wait for the file.
const EVENTS: usize = 3_000;

/// How many members are there at a time.
const AT_ONCE: usize = 250;

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("audience-meter-it-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// One member comes to each of the events, and leaves.
fn pass_through(daemon: &Daemon, events: usize) {
    for first in (0..events).step_by(AT_ONCE) {
        let last = (first + AT_ONCE).min(events);
        let streams: Vec<Stream> =
            (first..last).map(|event| Stream::join(daemon.audience(), &format!("/event{event}"))).collect();
        drop(streams);
    }
}

/// The events of these lines, each of which is whole.
fn events_of(lines: impl Iterator<Item = String>) -> Vec<String> {
    let name = |line: String| {
        let report: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        report["namespace"].as_str().unwrap().to_owned()
    };
    let mut names: Vec<String> = lines.map(name).collect();
    names.sort();
    names
}

fn expected(events: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..events).map(|event| format!("event{event}")).collect();
    names.sort();
    names
}

fn line_count(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.matches('\n').count())
}

/// All events are in the file, once.
fn wait_all(path: &Path, events: usize) {
    wait_until("all events are in the file", || line_count(path) >= events);
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(events_of(text.lines().map(str::to_owned)), expected(events));
}

/// All events are over: each is in the file, once, and none was lost on its way. Then the file is removed.
fn assert_all_reported(daemon: &Daemon, path: &Path, events: usize) {
    wait_until("all are forgotten", || (0..12).all(|_| daemon.namespaces().is_empty()));
    wait_all(path, events);
    assert_none_lost(daemon);
    fs::remove_file(path).unwrap();
}

fn assert_none_lost(daemon: &Daemon) {
    let lost = daemon.log().into_iter().find(|line| line.contains("event=reports_lost"));
    assert_eq!(lost, None);
    let metrics = get(daemon.stats_port(), "/metrics").body;
    let counts: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("audience_meter_reports_lost_total")).collect();
    assert!(!counts.is_empty() && counts.iter().all(|line| line.ends_with(" 0")), "{counts:?}");
}

#[test]
fn events_that_ended_while_the_process_was_stopped_are_all_in_the_file() {
    let path = scratch("stopped");
    let daemon = Daemon::start(&["--namespace-clean-delay", "4", "--report-file", path.to_str().unwrap()]);
    pass_through(&daemon, EVENTS);
    daemon.signal("STOP");
    let stopped = now();
    wait_until("the time to forget them is over", || stopped.elapsed() > ms(4_500));
    daemon.signal("CONT");
    wait_all(&path, EVENTS);
    wait_until("all are forgotten", || daemon.namespaces().is_empty());
    assert_none_lost(&daemon);
    fs::remove_file(&path).unwrap();
}

#[test]
fn events_are_not_forgotten_while_the_reader_of_a_pipe_rests() {
    let path = scratch("slow-pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let pipe = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let daemon = Daemon::start(&["--namespace-clean-delay", "0.2", "--report-file", path.to_str().unwrap()]);
    pass_through(&daemon, EVENTS);
    daemon.wait_log("a full pipe", |line| line.contains("event=report_file_failed"));
    assert!(!daemon.namespaces().is_empty(), "what has no room yet is remembered");
    let mut lines = BufReader::new(pipe).lines();
    let events = events_of((0..EVENTS).map(|_| lines.next().unwrap().unwrap()));
    assert_eq!(events, expected(EVENTS));
    wait_until("all are forgotten", || daemon.namespaces().is_empty());
    assert_none_lost(&daemon);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_lock_of_a_stranger_keeps_no_line_from_the_file() {
    for kind in ["--shared", "--exclusive"] {
        let path = scratch(kind);
        let file = path.to_str().unwrap();
        let daemon = Daemon::start(&["-w", "2", "--namespace-clean-delay", "0.2", "--report-file", file]);
        let mut lock = Command::new("setpriv");
        lock.args(["--reuid=65534", "--clear-groups", "flock", kind, file, "sh", "-c", "echo held; read _"]);
        let mut stranger = lock.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut held = String::new();
        BufReader::new(stranger.stdout.take().unwrap()).read_line(&mut held).unwrap();
        assert_eq!(held, "held\n");
        pass_through(&daemon, 300);
        wait_all(&path, 300);
        daemon.wait_log("the lock", |line| line.contains("event=report_file_locked"));
        assert_eq!(stranger.try_wait().unwrap(), None, "it holds the lock still");
        drop(stranger.stdin.take());
        stranger.wait().unwrap();
        drop(daemon);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn reports_go_to_a_standard_output_that_is_a_socket() {
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let (ours, output) = UnixStream::pair().unwrap();
        let port = free_port();
        let mut command = Command::new(program());
        command.args(["-w", "1", "--port", &port.to_string(), "--demo-port", "0", "--stats-port", "0"]);
        command.args(["--notification-port", "0", "--namespace-clean-delay", "0.2", "--report-file", name]);
        let mut daemon = command.stdout(OwnedFd::from(output)).stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        wait_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        drop(Stream::join(([127, 0, 0, 1], port).into(), "/event0"));
        let mut line = String::new();
        BufReader::new(ours).read_line(&mut line).unwrap();
        assert_eq!(events_of([line].into_iter()), ["event0"]);
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
}

#[test]
fn events_of_a_worker_that_is_killed_before_they_are_reported_are_all_in_the_file() {
    let path = scratch("replaced");
    let file = path.to_str().unwrap();
    let options = ["-w", "2", "--cluster-node-timeout", "2", "--namespace-clean-delay", "8", "--report-file", file];
    let daemon = Daemon::start(&options);
    wait_until("both workers", || started(&daemon).len() == 2);
    pass_through(&daemon, 400);
    // Each knows of all of them.
    wait_until("both have received all", || (0..12).all(|_| daemon.namespaces().len() == 400));
    send_signal(started(&daemon)[0], "KILL");
    wait_until("it is replaced", || started(&daemon).len() == 3);
    wait_all(&path, 400);
    assert_all_reported(&daemon, &path, 400);
}

#[test]
fn events_that_end_with_a_worker_that_is_killed_are_in_the_file_once() {
    let path = scratch("with");
    let file = path.to_str().unwrap();
    let options = ["-w", "2", "--cluster-node-timeout", "2", "--namespace-clean-delay", "1", "--report-file", file];
    let daemon = Daemon::start(&options);
    wait_until("both workers", || started(&daemon).len() == 2);
    let streams: Vec<Stream> = (0..200).map(|number| member(&daemon, &format!("/event{number}")).0).collect();
    wait_until("both have received all", || (0..12).all(|_| daemon.namespaces().len() == 200));
    send_signal(started(&daemon)[0], "KILL");
    // The replacement learns of the events from the other worker, as what the dead one has left.
    wait_until("it is replaced", || started(&daemon).len() == 3);
    drop(streams);
    assert_all_reported(&daemon, &path, 200);
}

#[test]
fn events_that_end_together_at_two_workers_are_in_the_file_once() {
    let path = scratch("together");
    let options = ["-w", "2", "--namespace-clean-delay", "2", "--report-file", path.to_str().unwrap()];
    let daemon = Daemon::start(&options);
    pass_through(&daemon, EVENTS);
    wait_all(&path, EVENTS);
    assert_all_reported(&daemon, &path, EVENTS);
}
