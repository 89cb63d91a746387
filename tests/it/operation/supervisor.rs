//! `-w N`: several processes serve one port, and a worker that dies or hangs is replaced.
//!
//! Signals go to processes that the test has started, by the ids that the supervisor logs or has.

use std::process::{Child, Command};

use super::workers::*;
use audience_kit::*;

#[test]
fn all_workers_accept_on_one_port_that_was_chosen_for_them() {
    let daemon = start(3, &[]);
    let workers = started(&daemon);
    let ports = daemon.listening("audience");
    assert_eq!(ports.len(), 3, "{ports:?}");
    assert!(ports.iter().all(|port| *port == ports[0] && port.port() != 0), "{ports:?}");

    let before = workers.iter().map(|worker| sockets(*worker).len()).collect::<Vec<_>>();
    let is_busy = |(worker, before): (&u32, &usize)| sockets(*worker).len() > *before;
    let mut streams = Vec::new();
    // By chance a worker of three is left out by a hundred joins once in 10^17 runs.
    while streams.len() < 100 && !workers.iter().zip(&before).all(is_busy) {
        streams.push(member(&daemon, "/many").0);
    }
    assert!(workers.iter().zip(&before).all(is_busy), "{} joins have not reached all", streams.len());
    // And are one audience.
    daemon.wait_members("many", u64::try_from(streams.len()).unwrap());
}

#[test]
fn more_workers_than_may_start_at_once_are_all_started() {
    let mut daemon = start(20, &[]);
    let workers = started(&daemon);
    assert!(workers.iter().all(|worker| is_there(*worker)));
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit().code(), Some(0), "{:#?}", daemon.log());
    assert!(!workers.iter().any(|worker| is_there(*worker)));
}

#[test]
fn a_port_of_our_own_choice_and_the_environments_are_shared_as_well() {
    let port = free_port();
    let daemon = start(2, &["--port", &port.to_string()]);
    assert!(daemon.listening("audience").iter().all(|address| address.port() == port));

    let by_env = free_port();
    let environment = || {
        let mut command = Command::new(program());
        command.env("PORT", by_env.to_string());
        command
    };
    let daemon = Daemon::start_with(environment, &["--workers=2"]);
    wait_started(&daemon, 2, SOON);
    assert!(daemon.listening("audience").iter().all(|address| address.port() == by_env));
}

#[test]
fn a_process_on_its_own_starts_no_other() {
    let daemon = Daemon::start(&["-w", "1"]);
    assert_eq!(children(daemon.pid()), [0; 0]);
    assert_eq!(started(&daemon), [0; 0]);
}

// ---------------------------------------------------------------------------------------------
// Replacing
// ---------------------------------------------------------------------------------------------

#[test]
fn a_worker_that_is_killed_is_replaced_at_once_and_then_less_and_less_soon() {
    let daemon = start(2, &[]);
    let [first, other] = started(&daemon)[..] else { panic!("two workers") };
    let mut victim = first;
    for (count, wait_ms) in [(3, 100), (4, 200), (5, 400)] {
        send_signal(victim, "KILL");
        assert_eq!(
            wait_died(&daemon, victim),
            format!("status=\"signal: 9 (SIGKILL)\" restart_in_ms={wait_ms}"),
            "{:#?}",
            daemon.log()
        );
        victim = wait_started(&daemon, count, SOON);
    }
    assert!(is_there(other) && is_there(victim));
    assert!(!is_there(first));
    member(&daemon, "/on");

    // The other one has its own account.
    send_signal(other, "TERM");
    assert_eq!(wait_died(&daemon, other), "status=\"exit status: 0\" restart_in_ms=100");
    wait_started(&daemon, 6, SOON);
}

#[test]
fn a_worker_that_does_not_turn_is_killed_and_replaced() {
    let daemon = start(3, &[]);
    let workers = started(&daemon);
    send_signal(workers[1], "STOP");
    let replacement = wait_started(&daemon, 4, HUNG);
    let lines = daemon.log();
    let hung = lines.iter().filter(|line| line.contains("event=worker_hung")).collect::<Vec<_>>();
    assert_eq!(hung, [&format!("level=warn event=worker_hung pid={}", workers[1])]);
    assert!(wait_died(&daemon, workers[1]).starts_with("status=\"signal: 9 (SIGKILL)\""));
    for worker in [workers[0], replacement, workers[2]] {
        assert!(is_there(worker), "{worker} of {workers:?}, {replacement}");
    }
}

/// Processes that use all of a processor, until this is dropped.
struct Hogs(Vec<Child>);

impl Drop for Hogs {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(end);
    }
}

#[test]
fn a_worker_that_gets_no_processor_is_not_replaced() {
    let daemon = start(2, &[]);
    let worker = started(&daemon)[0].to_string();
    // It has one in 20,000 parts of a processor then.
    let hog = ["-n", "-20", "taskset", "-c", "0", "sh", "-c", "while :; do :; done"];
    let can_raise =
        Command::new("nice").args(["-n", "-20", "true"]).output().is_ok_and(|output| output.stderr.is_empty());
    if !can_raise {
        return skip("nice -n -20 takes privilege");
    }
    run("renice", &["-n", "19", "-p", &worker]);
    run("taskset", &["-cp", "0", &worker]);
    let hogs = Hogs((0..4).map(|_| Command::new("nice").args(hog).spawn().unwrap()).collect());
    let starved = format!("level=warn event=worker_starved pid={worker}");
    daemon.wait_log("a worker that is starved", |line| line == starved);
    drop(hogs);
    let is_replaced = daemon.log().iter().any(|line| line.contains("worker_hung") || line.contains("worker_died"));
    assert!(!is_replaced, "{:#?}", daemon.log());
    wait_until("all workers answer again", || (0..20).all(|_| daemon.stats_page("/healthz").status == 200));
    assert_eq!(started(&daemon).len(), 2);
}

/// Fails if anybody was found to hang, and unless the supervisor is awake.
#[track_caller]
fn expect_nobody_hung(daemon: &Daemon) {
    assert!(!has_warned(daemon), "{:#?}", daemon.log());
    let workers = started(daemon);
    assert!(workers.iter().all(|worker| is_there(*worker)));
    send_signal(workers[0], "KILL");
    wait_started(daemon, workers.len() + 1, SOON);
}

#[test]
fn time_that_all_have_slept_through_is_held_against_nobody() {
    let daemon = start(2, &[]);
    let workers = started(&daemon);
    let mut stream = member(&daemon, "/asleep").0;
    let everybody = [daemon.pid(), workers[0], workers[1]];
    for process in everybody.iter().rev() {
        send_signal(*process, "STOP");
    }
    stream.expect_silence(ms(5_500));
    // The supervisor is the first to wake up, and has heard nothing of anybody for long.
    for process in everybody {
        send_signal(process, "CONT");
    }
    stream.expect_silence(ms(2_200));
    expect_nobody_hung(&daemon);
}

#[test]
fn a_supervisor_that_slept_hears_what_was_said_before_it_judges() {
    let daemon = start(2, &[]);
    let mut stream = member(&daemon, "/awake").0;
    send_signal(daemon.pid(), "STOP");
    stream.expect_silence(ms(5_500));
    send_signal(daemon.pid(), "CONT");
    stream.expect_silence(ms(2_200));
    expect_nobody_hung(&daemon);
}
