//! Standard output is the operator's, in all workers: reports go there, whatever it is.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::workers::*;
use audience_kit::*;

const ARGS: [&str; 4] = ["--namespace-clean-delay", "0.2", "--report-file", "/dev/stdout"];

/// Two workers whose standard output is what a program makes of it, which then starts the daemon.
#[track_caller]
fn start_behind(starter: &[&str]) -> Daemon {
    let command = || {
        let mut command = Command::new(starter[0]);
        command.args(&starter[1..]).arg(program());
        command
    };
    let daemon = Daemon::start_with(command, &[&["-w", "2"], &ARGS[..]].concat());
    wait_started(&daemon, 2, SOON);
    daemon
}

/// Twenty events, of which each worker has some, are over.
#[track_caller]
fn end_events(daemon: &Daemon) {
    for event in 0..20 {
        drop(members(daemon, &format!("/event{event}"), 3));
    }
}

/// The names in reports, sorted.
fn names(lines: &[String]) -> Vec<String> {
    let name = |line: &String| {
        let report: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        report["namespace"].as_str().unwrap().to_owned()
    };
    let mut names: Vec<String> = lines.iter().map(name).collect();
    names.sort();
    names
}

fn all_names() -> Vec<String> {
    let mut names: Vec<String> = (0..20).map(|event| format!("event{event}")).collect();
    names.sort();
    names
}

/// Waits until the reports of all events are in a file, once each.
#[track_caller]
fn expect_reports(path: &str) {
    let lines = || fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    wait_until("all reports", || lines().len() >= 20);
    assert_eq!(names(&lines()), all_names());
}

#[test]
fn reports_go_to_a_file_that_is_standard_output() {
    let file = ScratchFile::none("stdout");
    let daemon = start_behind(&["sh", "-c", &format!("exec \"$0\" \"$@\" >>{}", file.path())]);
    end_events(&daemon);
    expect_reports(file.path());
}

#[test]
fn reports_go_to_a_pipe_that_is_standard_output() {
    let file = ScratchFile::none("stdout");
    let daemon = start_behind(&["bash", "-c", &format!("exec \"$0\" \"$@\" > >(exec cat >{})", file.path())]);
    end_events(&daemon);
    expect_reports(file.path());
}

#[test]
fn reports_go_to_a_socket_that_is_standard_output() {
    let path = ScratchFile::none("socket");
    let listener = UnixListener::bind(path.path()).unwrap();
    // As a service manager connects services to its journal.
    let script = format!(
        "import os, socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect('{}')\nos.dup2(s.fileno(), 1)\n\
         os.execv(sys.argv[1], sys.argv[1:])",
        path.path()
    );
    let daemon = start_behind(&["/usr/bin/python3", "-c", &script]);
    let (journal, _) = listener.accept().unwrap();
    journal.set_read_timeout(Some(SOON)).unwrap();
    end_events(&daemon);
    let lines: Vec<String> = BufReader::new(journal).lines().take(20).map(Result::unwrap).collect();
    assert_eq!(names(&lines), all_names());
}
