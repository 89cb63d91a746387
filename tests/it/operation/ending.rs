//! Whatever happens to the supervisor, no worker is left behind.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use super::workers::*;
use audience_kit::*;

#[test]
fn sigterm_and_sigint_end_all_workers_and_the_code_is_0() {
    for signal in ["TERM", "INT"] {
        let mut daemon = start(3, &["--drain-delay", "1"]);
        let workers = started(&daemon);
        let mut streams = (0..6).map(|_| member(&daemon, "/ending").0).collect::<Vec<_>>();
        daemon.signal(signal);
        streams.iter_mut().for_each(Stream::expect_closed);
        assert_eq!(daemon.wait_exit().code(), Some(0), "{signal}: {:#?}", daemon.log());
        assert!(!workers.iter().any(|worker| is_there(*worker)), "{signal}");
        assert!(!has_warned(&daemon), "{:#?}", daemon.log());
    }
}

#[test]
fn a_signal_to_all_processes_at_once_is_one_signal() {
    let mut daemon = start(2, &["--drain-delay", "1"]);
    let workers = started(&daemon);
    // Its worker waits for this client to speak, for as long as the drain takes, unless it is in a hurry.
    let client = connect(daemon.audience());
    let begun = now();
    let everybody = [daemon.pid(), workers[0], workers[1]].map(|process| process.to_string());
    // The other worker may have gone before its turn comes.
    let _ = Command::new("kill").arg("-TERM").args(everybody).stderr(Stdio::null()).status();
    assert_eq!(daemon.wait_exit().code(), Some(0), "{:#?}", daemon.log());
    assert!(now() - begun > ms(900), "{:?}: {:#?}", now() - begun, daemon.log());
    assert!(!workers.iter().any(|worker| is_there(*worker)));
    drop(client);
}

#[test]
fn a_second_signal_ends_all_workers_now_and_politely() {
    for signal in ["TERM", "INT"] {
        let mut daemon = start(3, &["--drain-delay", "600"]);
        let workers = started(&daemon);
        let mut streams = (0..9).map(|_| member(&daemon, "/ending").0).collect::<Vec<_>>();
        daemon.signal(signal);
        wait_until("that all have begun", || count(&daemon, "event=draining") == 3);
        assert!(workers.iter().any(|worker| is_there(*worker)));
        daemon.signal(signal);
        streams.iter_mut().for_each(Stream::expect_closed);
        assert_eq!(daemon.wait_exit().code(), Some(0), "{signal}: {:#?}", daemon.log());
        assert!(!workers.iter().any(|worker| is_there(*worker)), "{signal}");
        wait_until("that each has said goodbye", || count(&daemon, "event=stopped") == 3);
    }
}

#[test]
fn a_worker_that_does_not_end_is_killed_by_the_second_signal_and_the_code_says_so() {
    let mut daemon = start(2, &[]);
    let workers = started(&daemon);
    send_signal(workers[0], "STOP");
    daemon.signal("TERM");
    let ended = format!("level=info event=worker_stopped pid={} status=\"exit status: 0\"", workers[1]);
    daemon.wait_log("the end of the other worker", |line| line == ended);
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit().code(), Some(1), "{:#?}", daemon.log());
    daemon.wait_log("the killing", |line| line == "level=warn event=workers_killed workers=1");
    assert!(!workers.iter().any(|worker| is_there(*worker)));
}

#[test]
fn a_worker_that_does_not_end_is_killed_ten_seconds_after_its_drain() {
    let mut daemon = start(2, &["--drain-delay", "1"]);
    let workers = started(&daemon);
    send_signal(workers[1], "STOP");
    let begun = now();
    daemon.signal("INT");
    let deadline = Deadline::after(ms(18_000));
    while workers.iter().any(|worker| is_there(*worker)) {
        assert!(deadline.left().is_some(), "{:#?}", daemon.log());
        thread::park_timeout(ms(20));
    }
    assert!(now() - begun > ms(10_900), "{:?}", now() - begun);
    assert_eq!(daemon.wait_exit().code(), Some(1));
}

#[test]
fn a_supervisor_that_is_killed_takes_its_workers_with_it() {
    let mut daemon = start(3, &[]);
    let workers = started(&daemon);
    let mut stream = member(&daemon, "/ending").0;
    daemon.signal("KILL");
    daemon.wait_exit();
    wait_gone(&workers);
    stream.expect_closed();
    // They ended by themselves, politely.
    wait_until("their last lines", || count(&daemon, "event=stopped") == 3);
}

#[test]
fn a_supervisor_that_is_killed_takes_a_stopped_worker_with_it() {
    let mut daemon = start(2, &[]);
    let workers = started(&daemon);
    send_signal(workers[0], "STOP");
    daemon.signal("KILL");
    daemon.wait_exit();
    wait_gone(&workers);
}

#[test]
fn nothing_is_left_of_a_daemon_whose_test_fails() {
    let (sender, processes) = mpsc::channel();
    let failed = thread::spawn(move || {
        let daemon = start(2, &[]);
        let workers = started(&daemon);
        // Neither can end by itself.
        send_signal(workers[0], "STOP");
        daemon.signal("STOP");
        sender.send([daemon.pid(), workers[0], workers[1]]).unwrap();
        panic!("as a test that fails");
    });
    assert!(failed.join().is_err());
    wait_gone(&processes.recv().unwrap());
}
