//! `-w N`: several processes serve one port, whoever dies or hangs is replaced, what cannot work is given up with one
//! line, and whatever happens to the supervisor, no worker is left behind.
//!
//! Signals go to processes that the test has started, by the ids that the supervisor logs or has.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use audience_kit::{
    Daemon, Deadline, SOON, Stream, children, connect, free_port, is_there, isolate, member, ms, now, program, tell,
    wait_for, wait_until,
};

/// No count is pushed during the test, only first counts are told.
const QUIET: [&str; 4] = ["--notify-min-delay", "600", "--notify-max-delay", "600"];

/// How long it may take until a worker that hangs is replaced: 5 s of silence, two looks, and a busy machine.
const HUNG: Duration = ms(12_000);

// ---------------------------------------------------------------------------------------------
// Workers
// ---------------------------------------------------------------------------------------------

/// A supervisor all of whose workers are ready.
#[track_caller]
fn start(workers: usize, args: &[&str]) -> Daemon {
    let daemon = Daemon::start(&[&["-w", &workers.to_string()], &QUIET[..], args].concat());
    wait_until("all workers", || started(&daemon).len() == workers);
    daemon
}

/// The ids of all workers that ever were ready, in this order.
fn started(daemon: &Daemon) -> Vec<u32> {
    let lines = daemon.log();
    let ids = lines.iter().filter_map(|line| line.strip_prefix("level=info event=worker_started pid="));
    ids.map(|id| id.parse().unwrap()).collect()
}

/// Waits until there are so many of them, and gives the last.
#[track_caller]
fn wait_started(daemon: &Daemon, count: usize, within: Duration) -> u32 {
    let deadline = Deadline::after(within);
    loop {
        let ids = started(daemon);
        if ids.len() >= count {
            return ids[count - 1];
        }
        assert!(deadline.left().is_some(), "{} workers of {count} within {within:?}: {:#?}", ids.len(), daemon.log());
        thread::park_timeout(ms(5));
    }
}

/// The rest of the one line that says that this worker has died.
#[track_caller]
fn wait_died(daemon: &Daemon, worker: u32) -> String {
    let start = format!("level=warn event=worker_died pid={worker} ");
    let line = daemon.wait_log("a worker's death", |line| line.starts_with(&start));
    line[start.len()..].to_owned()
}

/// How often this is in its log by now.
fn count(daemon: &Daemon, part: &str) -> usize {
    daemon.log().join("\n").matches(part).count()
}

#[track_caller]
fn wait_gone(processes: &[u32]) {
    wait_until("all workers are gone", || !processes.iter().any(|worker| is_there(*worker)));
}

/// How many sockets a process has open.
fn sockets(process: u32) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// What came of a supervisor that ended by itself.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    took: Duration,
}

#[track_caller]
fn run(command: &mut Command) -> Outcome {
    let begun = now();
    let mut child = isolate(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Deadline::after(SOON / 2);
    let is_late = wait_for("the exit", || match child.try_wait().unwrap() {
        Some(_) => Some(false),
        None if deadline.left().is_none() => Some(child.kill().is_ok()),
        None => None,
    });
    let took = now() - begun;
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!is_late, "it serves: {stderr}");
    Outcome { code: output.status.code(), stdout, stderr, took }
}

impl Outcome {
    /// Fails unless it ended with this code and one line, which says `names`.
    #[track_caller]
    fn expect_refusal(&self, code: i32, names: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!((self.stdout.as_str(), self.stderr.lines().count()), ("", 1), "{self:?}");
        assert!(self.stderr.contains(names), "no {names:?} in {self:?}");
    }
}

// ---------------------------------------------------------------------------------------------
// Serving
// ---------------------------------------------------------------------------------------------

#[test]
fn all_workers_accept_on_one_port_that_was_chosen_for_them() {
    let daemon = start(3, &[]);
    let workers = started(&daemon);
    let ports = daemon.listening("audience");
    assert_eq!(ports.len(), 3, "{ports:?}");
    assert!(ports.iter().all(|port| *port == ports[0] && port.port() != 0), "{ports:?}");

    let before = workers.iter().map(|worker| sockets(*worker)).collect::<Vec<_>>();
    let is_busy = |(worker, before): (&u32, &usize)| sockets(*worker) > *before;
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
        tell(victim, "KILL");
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
    tell(other, "TERM");
    assert_eq!(wait_died(&daemon, other), "status=\"exit status: 0\" restart_in_ms=100");
    wait_started(&daemon, 6, SOON);
}

#[test]
fn a_worker_that_does_not_turn_is_killed_and_replaced() {
    let daemon = start(3, &[]);
    let workers = started(&daemon);
    tell(workers[1], "STOP");
    let replacement = wait_started(&daemon, 4, HUNG);
    let lines = daemon.log();
    let hung = lines.iter().filter(|line| line.contains("event=worker_hung")).collect::<Vec<_>>();
    assert_eq!(hung, [&format!("level=warn event=worker_hung pid={}", workers[1])]);
    assert!(wait_died(&daemon, workers[1]).starts_with("status=\"signal: 9 (SIGKILL)\""));
    for worker in [workers[0], replacement, workers[2]] {
        assert!(is_there(worker), "{worker} of {workers:?}, {replacement}");
    }
}

/// Whether there is something in its log that an operator has to look into.
fn has_warned(daemon: &Daemon) -> bool {
    daemon.log().iter().any(|line| line.starts_with("level=warn") && !line.contains(" event=torture "))
}

/// Fails if anybody was found to hang, and unless the supervisor is awake.
#[track_caller]
fn expect_nobody_hung(daemon: &Daemon) {
    assert!(!has_warned(daemon), "{:#?}", daemon.log());
    let workers = started(daemon);
    assert!(workers.iter().all(|worker| is_there(*worker)));
    tell(workers[0], "KILL");
    wait_started(daemon, workers.len() + 1, SOON);
}

#[test]
fn time_that_all_have_slept_through_is_held_against_nobody() {
    let daemon = start(2, &[]);
    let workers = started(&daemon);
    let mut stream = member(&daemon, "/asleep").0;
    let everybody = [daemon.pid(), workers[0], workers[1]];
    for process in everybody.iter().rev() {
        tell(*process, "STOP");
    }
    stream.expect_silence(ms(5_500));
    // The supervisor is the first to wake up, and has heard nothing of anybody for long.
    for process in everybody {
        tell(process, "CONT");
    }
    stream.expect_silence(ms(2_200));
    expect_nobody_hung(&daemon);
}

#[test]
fn a_supervisor_that_slept_hears_what_was_said_before_it_judges() {
    let daemon = start(2, &[]);
    let mut stream = member(&daemon, "/awake").0;
    tell(daemon.pid(), "STOP");
    stream.expect_silence(ms(5_500));
    tell(daemon.pid(), "CONT");
    stream.expect_silence(ms(2_200));
    expect_nobody_hung(&daemon);
}

// ---------------------------------------------------------------------------------------------
// Giving up
// ---------------------------------------------------------------------------------------------

#[test]
fn a_port_that_cannot_be_bound_is_one_line_at_once() {
    for option in ["--port", "--stats-port"] {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
        let port = holder.local_addr().unwrap().port();
        let mut command = Command::new(program());
        command.args(["-w", "4", "--notification-port=0", "--demo-port=0"]);
        let other = if option == "--port" { "--stats-port=0" } else { "--port=0" };
        let outcome = run(command.args([other, option, &port.to_string()]));
        outcome.expect_refusal(1, &format!("{option}: cannot listen on "));
        assert!(outcome.took < ms(2_000), "{outcome:?}");
    }
}

#[test]
fn an_address_that_is_not_ours_is_one_line() {
    let mut command = Command::new(program());
    // A documentation address (RFC 5737).
    command.args([
        "-w",
        "2",
        "--port=0",
        "--host=192.0.2.1",
        "--stats-port=0",
        "--notification-port=0",
        "--demo-port=0",
    ]);
    run(&mut command).expect_refusal(1, "--port: cannot choose one: ");
}

#[test]
fn wrong_arguments_are_refused_by_the_supervisor_itself() {
    for (args, names) in [
        (&["-w", "0"][..], "-w"),
        (&["-w", "abc"], "-w"),
        (&["-w", ""], "-w"),
        (&["-w", "-1"], "-w"),
        (&["-w", "1025"], "-w"),
        (&["--workers=1.5"], "--workers"),
        (&["--workers", "2", "-w", "2"], "--workers"),
        (&["-w", "2", "-w", "2"], "-w"),
        (&["-w"], "-w"),
        (&["-w", "2", "--port", "abc"], "--port"),
        (&["-w", "2", "--no-such-option"], "--no-such-option"),
    ] {
        run(Command::new(program()).args(args)).expect_refusal(2, names);
    }
}

#[test]
fn a_process_that_only_believes_to_be_a_worker_does_not_start() {
    let mut command = Command::new(program());
    command.args(["-w", "1", "--port=0", "--stats-port=0", "--notification-port=0", "--demo-port=0"]);
    run(command.env("AUDIENCE_METER_WORKER", "1")).expect_refusal(1, "supervisor");
    run(command.env("AUDIENCE_METER_WORKER", "yes")).expect_refusal(2, "AUDIENCE_METER_WORKER");
}

#[test]
fn replacements_that_never_become_ready_are_given_up_after_five() {
    let port = free_port();
    let mut daemon = start(2, &["--port", &port.to_string()]);
    let workers = started(&daemon);
    // While the supervisor cannot see it, somebody else takes the port.
    tell(daemon.pid(), "STOP");
    for worker in &workers {
        tell(*worker, "KILL");
    }
    let holder = wait_for("the port", || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok());
    tell(daemon.pid(), "CONT");
    assert_eq!(daemon.wait_exit().code(), Some(1));

    // The sixth may have been started together with the fifth.
    wait_until("five errors", || (5..=6).contains(&count(&daemon, "in use")));
    // Two that served, and all but the last of those that did not.
    wait_until("six replacements", || count(&daemon, "event=worker_died") == 6);
    assert_eq!(started(&daemon), workers);
    drop(holder);
}

// ---------------------------------------------------------------------------------------------
// The end
// ---------------------------------------------------------------------------------------------

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
    tell(workers[0], "STOP");
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
    tell(workers[1], "STOP");
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
    tell(workers[0], "STOP");
    daemon.signal("KILL");
    daemon.wait_exit();
    wait_gone(&workers);
}
