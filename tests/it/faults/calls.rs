//! What must hold when the kernel says no: whose connection was broken is off the count, all others are on it, nothing spins,
//! and the stats answer.
//!
//! Errors of system calls are injected by strace, into a daemon that runs already, and it lets go of the daemon before the
//! counting: what is left is looked at in peace.

use std::io::Write as _;
use std::net::Shutdown;

use super::guests::*;
use audience_kit::*;

/// What an injected error does to the connections that it meets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// All go on.
    None,
    /// Some are closed.
    Some,
}

/// Guests come and go while some calls fail, each rule in turn: `call:error=<name>:when=<first>+<step>`.
#[track_caller]
fn inject(harm: Harm, rules: &[&str]) {
    for rule in rules {
        let daemon = Daemon::start(&BUSY);
        let call = rule.split(':').next().unwrap();
        let options = ["-e", &format!("trace={call}"), "-e", &format!("inject={rule}")];
        let Some(tracer) = Tracer::attach(daemon.pid(), &options) else { return };
        let mut guests = churn(&daemon);
        wait_rest(daemon.pid());
        let lines = tracer.detach();
        assert!(injected(&lines).len() >= 3, "{rule}: {lines:#?}");
        let open = count_open(&daemon, &mut guests);
        let as_expected = if harm == Harm::None { open == guests.len() } else { (1..guests.len()).contains(&open) };
        assert!(as_expected, "{rule}: {open} of {} guests are there", guests.len());
    }
}

#[test]
fn an_accept_that_fails_takes_nobody_out() {
    let rules = ["ECONNABORTED:when=3+5", "EINTR:when=2+3", "EPROTO:when=1+4", "ENETUNREACH:when=1+2"];
    let rules = rules.map(|rule| format!("accept4:error={rule}"));
    inject(Harm::None, &rules.each_ref().map(String::as_str));
}

#[test]
fn an_accept_for_which_there_is_no_room_comes_later() {
    let rules = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"].map(|error| format!("accept4:error={error}:when=2+7"));
    inject(Harm::None, &rules.each_ref().map(String::as_str));
}

#[test]
fn a_write_that_takes_nothing_is_taken_up_again() {
    let rules = ["sendto:error=EAGAIN:when=2+3", "sendto:error=EINTR:when=3+4"];
    inject(Harm::None, &rules);
}

#[test]
fn a_write_that_fails_ends_one_member() {
    let rules = ["EPIPE", "ECONNRESET", "ENOBUFS", "ETIMEDOUT"].map(|error| format!("sendto:error={error}:when=9+31"));
    inject(Harm::Some, &rules.each_ref().map(String::as_str));
}

#[test]
fn a_read_that_takes_nothing_is_taken_up_again() {
    let rules = ["recvfrom:error=EINTR:when=2+3", "recvfrom:error=EAGAIN:when=1+2"];
    inject(Harm::None, &rules);
}

#[test]
fn a_read_that_fails_ends_one_member() {
    // A join is read in one call or two, or in some forty. Some who are met have left by the end, so it is to meet many.
    let step = if is_tortured() { 301 } else { 5 };
    let rules = ["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH"];
    let rules = rules.map(|error| format!("recvfrom:error={error}:when=5+{step}"));
    inject(Harm::Some, &rules.each_ref().map(String::as_str));
}

#[test]
fn a_wait_that_is_interrupted_goes_on() {
    inject(Harm::None, &["epoll_pwait:error=EINTR:when=1+2"]);
}

/// Which of the calls of `epoll_ctl` that follow adds the connection of one who joins, counted from 1.
#[track_caller]
fn find_adding_call(daemon: &Daemon) -> Option<usize> {
    wait_settled(daemon.pid());
    let tracer = Tracer::attach(daemon.pid(), &["-e", "trace=epoll_ctl"])?;
    tracer.wait_call();
    let guest = member(daemon, "/ns").0;
    let lines = tracer.detach();
    drop(guest);
    daemon.wait_members("ns", 0);
    let mut calls = lines.iter().filter(|line| line.starts_with("epoll_ctl("));
    Some(calls.position(|line| line.contains("EPOLL_CTL_ADD")).unwrap() + 1)
}

#[test]
fn a_connection_that_the_kernel_cannot_watch_is_closed_and_others_come_in() {
    let daemon = Daemon::start(&[&QUIET[..], &["--cluster-notify-interval", "0.1"]].concat());
    let Some(call) = find_adding_call(&daemon) else { return };
    for error in ["ENOMEM", "ENOSPC"] {
        wait_settled(daemon.pid());
        let rule = format!("inject=epoll_ctl:error={error}:when={call}");
        let Some(tracer) = Tracer::attach(daemon.pid(), &["-e", "trace=epoll_ctl", "-e", &rule]) else { return };
        tracer.wait_call();
        assert!(!Guest::join(&daemon).hears("data: "));
        let mut guests = churn(&daemon);
        let lines = tracer.detach();
        let injected = injected(&lines);
        assert!(injected.len() == 1 && injected[0].contains("EPOLL_CTL_ADD"), "{lines:#?}");
        assert_eq!(count_open(&daemon, &mut guests), guests.len());
        drop(guests);
        daemon.wait_members("ns", 0);
    }
}

#[test]
fn a_supervisor_that_is_killed_takes_workers_with_it_that_hang() {
    let mut daemon = Daemon::start(&["-w", "2"]);
    wait_workers(&daemon);
    let workers = children(daemon.pid());
    // A wait that is interrupted is begun anew, so from now on it never ends.
    let rule = "inject=epoll_pwait:error=EINTR:delay_exit=50000";
    let options = ["-e", "trace=epoll_pwait", "-e", rule, "-o", "/dev/null"];
    let mut tracers = Vec::new();
    for worker in &workers {
        let Some(tracer) = Tracer::attach(*worker, &options) else { return };
        tracers.push(tracer);
    }
    daemon.signal("KILL");
    daemon.wait_exit();
    let begun = now();
    wait_until("both are gone", || workers.iter().all(|worker| !is_there(*worker)));
    // They did not end by themselves: that would have been at once, with a last line.
    assert!(now() - begun > ms(2_500), "{:?}", now() - begun);
    assert!(!daemon.log().iter().any(|line| line.contains("event=stopped")));
    for tracer in tracers {
        tracer.detach();
    }
}

#[test]
fn a_worker_that_cannot_be_started_is_tried_again() {
    let daemon = Daemon::start(&["-w", "2"]);
    wait_workers(&daemon);
    let calls = "clone,clone3,fork,vfork";
    let options = ["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error=EAGAIN:when=1..2")];
    let Some(tracer) = Tracer::attach(daemon.pid(), &options) else { return };
    let before = children(daemon.pid());
    send_signal(before[0], "KILL");
    let of = |event: &str| daemon.log().iter().filter(|line| line.contains(event)).count();
    wait_until("a new worker", || of("event=worker_started") == 3);
    assert_eq!(of("event=worker_not_started"), 2, "{:#?}", daemon.log());
    assert_eq!(injected(&tracer.detach()).len(), 2);
    assert!(children(daemon.pid()).contains(&before[1]));
}

#[test]
fn lines_that_a_full_disk_does_not_take_are_told_later() {
    let daemon = Daemon::start(&[&BUSY[..], &["-d"]].concat());
    let rule = ["-e", "trace=write", "-e", "inject=write:error=ENOSPC"];
    let Some(tracer) = Tracer::attach(daemon.pid(), &rule) else { return };
    let mut guests = churn(&daemon);
    wait_rest(daemon.pid());
    let lost = injected(&tracer.detach()).len();
    assert!(lost >= 10, "{lost}");
    assert_eq!(count_open(&daemon, &mut guests), guests.len());
    let told = format!("level=warn event=log_lines_lost number={lost}");
    daemon.wait_log("what was lost", |line| line == told);
}

#[test]
fn a_listener_that_always_fails_rests_and_the_turns_go_on() {
    for error in ["EPERM", "ECONNABORTED"] {
        let mut daemon = Daemon::start(&QUIET);
        let mut inside = member(&daemon, "/ns").0;
        let rule = format!("inject=accept4:error={error}");
        let options = ["-e", "trace=accept4", "-e", &rule, "-o", "/dev/null"];
        let Some(tracer) = Tracer::attach(daemon.pid(), &options) else { return };
        let mut waits = connect(daemon.audience());
        waits.write_all(join_request("/ns", "").as_bytes()).unwrap();
        drop(inside.socket.shutdown(Shutdown::Write));
        inside.expect(&Event::Cut);
        tracer.detach();
        // It comes in late, but it does.
        Stream::over(waits).expect_count(1);
        let tracer = Tracer::attach(daemon.pid(), &options).unwrap();
        let _waits = connect(daemon.audience());
        daemon.signal("TERM");
        assert_eq!(daemon.wait_exit().code(), Some(0), "{error}");
        tracer.detach();
    }
}
