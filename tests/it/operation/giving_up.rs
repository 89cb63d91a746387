//! What a supervisor cannot make work at its start it gives up, with one line.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use audience_kit::*;

#[test]
fn a_port_that_cannot_be_bound_is_one_line_at_once() {
    let _quiet = timed();
    for option in ["--port", "--stats-port"] {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
        let port = holder.local_addr().unwrap().port();
        let mut command = Command::new(program());
        command.args(["-w", "4", "--notification-port=0", "--demo-port=0"]);
        let other = if option == "--port" { "--stats-port=0" } else { "--port=0" };
        let outcome = run_to_end(command.args([other, option, &port.to_string()]));
        outcome.expect_refusal(1, &[&format!("{option}: cannot listen on ")]);
        assert!(outcome.took < ms(5_000), "{outcome:?}");
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
    run_to_end(&mut command).expect_refusal(1, &["--port: cannot choose one: "]);
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
        run_to_end(Command::new(program()).args(args)).expect_refusal(2, &[names]);
    }
}

#[test]
fn a_process_that_only_believes_to_be_a_worker_does_not_start() {
    let mut command = Command::new(program());
    command.args(["-w", "1", "--port=0", "--stats-port=0", "--notification-port=0", "--demo-port=0"]);
    run_to_end(command.env("AUDIENCE_METER_SUPERVISOR", "1")).expect_refusal(1, &["supervisor"]);
    run_to_end(command.env("AUDIENCE_METER_SUPERVISOR", "yes")).expect_refusal(2, &["AUDIENCE_METER_SUPERVISOR"]);
}

#[test]
fn what_keeps_the_first_worker_from_serving_is_one_line() {
    // A supervisor has the descriptors that it needs, and a worker has none to spare.
    let mut command = Command::new("bash");
    let line = "ulimit -n 28; exec \"$0\" \"$@\"";
    command.args(["-c", line, program(), "-w", "2", "--port=0"]);
    let outcome = run_to_end(command.args(["--stats-port=0", "--notification-port=0", "--demo-port=0"]));
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(1), 1), "{outcome:?}");
    assert!(outcome.stderr.contains("descriptors are too few"), "{outcome:?}");
}
