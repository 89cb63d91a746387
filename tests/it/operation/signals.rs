//! Every signal to a supervisor, to a worker and to a process on its own: it ends politely, or nothing happens.

use std::process::Command;

use super::workers::*;
use audience_kit::*;

/// What asks a process to end.
const ENDING: [&str; 5] = ["HUP", "INT", "QUIT", "TERM", "XCPU"];

/// What would end it, and does not: by default the kernel ends a process that gets one of these.
fn ignored() -> impl Iterator<Item = String> {
    let named = ["USR1", "USR2", "PIPE", "ALRM", "STKFLT", "VTALRM", "PROF", "IO", "PWR", "XFSZ"];
    named.map(str::to_owned).into_iter().chain((32..=64).map(|number: u8| number.to_string()))
}

/// Short drains.
const DRAIN: [&str; 2] = ["--drain-delay", "0.3"];

/// A daemon that ignores no signal from its start on, though the tests may: `nohup` starts them so.
#[track_caller]
fn start_with_defaults(workers: usize, args: &[&str]) -> Daemon {
    let command = || {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", program()]);
        command
    };
    let daemon = Daemon::start_with(command, &[&["-w", &workers.to_string()], &QUIET[..], args].concat());
    wait_until("all workers", || workers == 1 || started(&daemon).len() == workers);
    daemon
}

/// Fails unless the streams go on.
#[track_caller]
fn expect_on(daemon: &Daemon, streams: &mut [Stream]) {
    daemon.wait_members("signals", streams.len() as u64);
    daemon.notify("/signals/x/on").expect_confirmed();
    for stream in streams {
        stream.expect(&Event::Message("x=on".to_owned()));
    }
}

/// Sends all that is ignored to these processes.
#[track_caller]
fn send_ignored(processes: &[u32]) {
    for signal in ignored() {
        for &process in processes {
            send_signal(process, &signal);
        }
    }
}

#[test]
fn a_signal_that_asks_for_an_end_lets_the_members_of_a_lone_process_go() {
    for signal in ENDING {
        let mut daemon = start_with_defaults(1, &DRAIN);
        let mut streams = members(&daemon, "/signals", 3);
        daemon.signal(signal);
        streams.iter_mut().for_each(Stream::wait_closed);
        assert_eq!(daemon.wait_exit().code(), Some(0), "{signal}: {:#?}", daemon.log());
        for part in ["event=draining", "event=ended report=", "event=stopped"] {
            wait_until(part, || count(&daemon, part) == 1);
        }
    }
}

#[test]
fn a_signal_that_asks_for_an_end_lets_the_members_of_all_workers_go() {
    for signal in ENDING {
        let mut daemon = start_with_defaults(2, &DRAIN);
        let workers = started(&daemon);
        let mut streams = members(&daemon, "/signals", 6);
        daemon.signal(signal);
        streams.iter_mut().for_each(Stream::wait_closed);
        assert_eq!(daemon.wait_exit().code(), Some(0), "{signal}: {:#?}", daemon.log());
        assert!(!has_warned(&daemon), "{signal}: {:#?}", daemon.log());
        wait_gone(&workers);
        for (part, times) in [("event=draining", 2), ("event=ended report=", 1), ("event=stopped", 2)] {
            wait_until(part, || count(&daemon, part) == times);
        }
    }
}

#[test]
fn a_worker_that_is_asked_to_end_lets_its_members_go_and_is_replaced() {
    let daemon = start_with_defaults(2, &DRAIN);
    let mut others = started(&daemon).len();
    for (drained, signal) in (1..).zip(ENDING) {
        let worker = *started(&daemon).last().unwrap();
        send_signal(worker, signal);
        assert!(wait_died(&daemon, worker).starts_with("status=\"exit status: 0\""), "{signal}");
        assert_eq!(count(&daemon, "event=draining"), drained, "{signal}");
        others += 1;
        wait_started(&daemon, others, SOON);
    }
}

#[test]
fn a_signal_that_asks_for_nothing_does_nothing() {
    let lone = Daemon::start(&QUIET);
    let mut streams = members(&lone, "/signals", 3);
    send_ignored(&[lone.pid()]);
    expect_on(&lone, &mut streams);

    let daemon = start(2, &[]);
    let workers = started(&daemon);
    let mut streams = members(&daemon, "/signals", 6);
    send_ignored(&[daemon.pid(), workers[0], workers[1]]);
    expect_on(&daemon, &mut streams);
    assert_eq!(started(&daemon), workers);
    assert!(!has_warned(&daemon) && count(&daemon, "event=signal") == 0, "{:#?}", daemon.log());
}

#[test]
fn the_end_of_a_terminal_is_ignored_where_it_was_ignored_at_the_start() {
    for workers in ["1", "2"] {
        let mut daemon = Daemon::start_after("trap '' HUP", &[&["-w", workers], &DRAIN[..], &QUIET].concat());
        if workers == "2" {
            wait_started(&daemon, 2, SOON);
        }
        let mut streams = members(&daemon, "/signals", 3);
        daemon.signal("HUP");
        for worker in children(daemon.pid()) {
            send_signal(worker, "HUP");
        }
        expect_on(&daemon, &mut streams);
        assert_eq!(count(&daemon, "event=signal"), 0, "{:#?}", daemon.log());
        daemon.signal("QUIT");
        assert_eq!(daemon.wait_exit().code(), Some(0));
    }
}
