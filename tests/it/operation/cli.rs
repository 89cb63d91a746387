//! The command line: help, version, every option in both of its spellings, and each way to get it
//! wrong. A mistake is one line on standard error that names the option, exit code 2 for usage and 1
//! for the rest; and whatever the value, never a panic.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::Command;

use audience_kit::*;

/// Every port chosen so that a daemon which starts by mistake disturbs nobody.
const NO_PORTS: [&str; 4] = ["--port=0", "--stats-port=0", "--notification-port=0", "--demo-port=0"];

/// Runs the daemon with these arguments until it ends by itself.
#[track_caller]
fn run(command: &mut Command, args: &[&str]) -> Exit {
    run_to_end(command.args(args))
}

/// Fails unless these arguments are refused with this code, in one line that says `names`.
#[track_caller]
fn refuses(args: &[&str], code: i32, names: &str) {
    refuses_from(&mut Command::new(program()), args, code, names);
}

#[track_caller]
fn refuses_from(command: &mut Command, args: &[&str], code: i32, names: &str) {
    run(command, args).expect_refusal(code, &[names]);
}

/// The default ports, except those that `args` set.
fn with_ports<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let set = |port: &str| args.iter().any(|arg| arg.split('=').next() == port.split('=').next());
    let ports = NO_PORTS.into_iter().filter(|port| !set(port));
    ports.chain(args.iter().copied()).collect()
}

// ---------------------------------------------------------------------------------------------
// Help and version
// ---------------------------------------------------------------------------------------------

#[test]
fn help_lists_every_option_with_its_default() {
    let options = [
        ("-h, --help", ""),
        ("-V, --version", ""),
        ("-d, --debug", ""),
        ("-w, --workers", ""),
        ("-m, --cluster-addr", ""),
        ("--port", "80"),
        ("--host", ""),
        ("--max-conn-duration", "3600"),
        ("--enable-uuid", ""),
        ("--cluster-notify-interval", "2"),
        ("--cluster-node-timeout", "5"),
        ("--notify-delta-ratio", "0.1"),
        ("--notify-min-delay", "2"),
        ("--notify-max-delay", "25"),
        ("--increment-delay", ""),
        ("--namespace-clean-delay", "60"),
        ("--demo-port", "8080"),
        ("--stats-port", "1442"),
        ("--notification-port", "2442"),
        ("--head-timeout", "10"),
        ("--max-heads", "4096"),
        ("--peer-timeout", "30"),
        ("--retry-min", "2"),
        ("--retry-max", "10"),
        ("--allow-origin", "*"),
    ];
    let help = help(&["--help"]);
    // An option's entry runs to the next one.
    let mut entries = Vec::<String>::new();
    for line in help.lines() {
        match entries.last_mut() {
            Some(entry) if !line.trim_start().starts_with('-') => entry.extend([" ", line.trim_start()]),
            _ => entries.push(line.trim_start().to_owned()),
        }
    }
    for (option, default) in options {
        let of_option = |entry: &&String| {
            entry.strip_prefix(option).is_some_and(|rest| rest.starts_with([' ', ',']) || rest.is_empty())
        };
        let entry = entries.iter().find(of_option);
        let entry = entry.unwrap_or_else(|| panic!("no {option} in\n{help}"));
        if !default.is_empty() {
            assert!(entry.contains(&format!("default {default}")), "{default}: {entry}");
        }
    }
}

/// What these arguments print, which is all that they do.
#[track_caller]
fn help(args: &[&str]) -> String {
    let help = run(&mut Command::new(program()), args);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{help:?}");
    help.stdout
}

#[test]
fn the_short_help_is_a_page_of_common_options_that_names_the_long_one() {
    let (short, long) = (help(&["-h"]), help(&["--help"]));
    assert!(short.lines().count() <= 50 && short.contains("--help prints all options"), "{short}");
    assert_eq!(help(&["-h", "--help"]), long);
    // What is an option here is one there, in the same words.
    for line in short.lines().filter(|line| line.starts_with(' ')) {
        assert!(long.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn version_is_the_packages_own() {
    for flag in ["--version", "-V"] {
        let outcome = run(&mut Command::new(program()), &[flag]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
        assert!(outcome.stdout.contains(env!("CARGO_PKG_VERSION")), "{outcome:?}");
        assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
    }
}

// ---------------------------------------------------------------------------------------------
// What is accepted
// ---------------------------------------------------------------------------------------------

/// Fails unless a daemon starts with these arguments and counts.
#[track_caller]
fn accepts(args: &[&str]) {
    let daemon = Daemon::start(args);
    let (stream, count) = member(&daemon, "/accepted");
    assert_eq!(count, 1, "{args:?}");
    drop(stream);
}

#[test]
fn every_option_is_accepted_in_both_spellings_and_with_fractions() {
    let options = [
        ("--max-conn-duration", "0.75"),
        ("--cluster-notify-interval", "0.5"),
        ("--cluster-node-timeout", "2.25"),
        ("--notify-delta-ratio", "0.25"),
        ("--notify-min-delay", "0.25"),
        ("--notify-max-delay", "12.5"),
        ("--increment-delay", "0.05"),
        ("--leave-delay", "15.5"),
        ("--namespace-clean-delay", "1.5"),
        ("--head-timeout", "2.5"),
        ("--max-heads", "50"),
        ("--peer-timeout", "7.5"),
        ("--retry-min", "0.25"),
        ("--retry-max", "20.5"),
        ("--allow-origin", "*"),
        ("--host", "127.0.0.1"),
    ];
    let apart = options.iter().flat_map(|(option, value)| [*option, *value]).collect::<Vec<_>>();
    accepts(&[&apart[..], &["--enable-uuid"]].concat());
    let joined = options.map(|(option, value)| format!("{option}={value}"));
    let joined = joined.each_ref().map(String::as_str);
    accepts(&[&["--enable-uuid"], &joined[..]].concat());
}

#[test]
fn port_and_host_come_from_the_environment_unless_an_option_says_otherwise() {
    let port = free_port();
    let given = port.to_string();
    let environment = || {
        let mut command = Command::new(program());
        command.env("PORT", &given).env("HOST", "127.0.0.1");
        command
    };
    let daemon = Daemon::start_with(environment, &[]);
    assert_eq!(daemon.listening("audience"), [(Ipv4Addr::LOCALHOST, port).into()]);
    Stream::join(daemon.audience(), "/env").expect_count(1);

    let other = free_port();
    let args = ["--port", &other.to_string(), "--host", "127.0.0.2"];
    let daemon = Daemon::start_with(environment, &args);
    assert_eq!(daemon.listening("audience"), [(Ipv4Addr::new(127, 0, 0, 2), other).into()]);
}

#[test]
fn each_socket_is_logged_and_then_that_all_are_ready() {
    let daemon = Daemon::start(&[]);
    let log = daemon.log();
    let at = |what: &str| log.iter().position(|line| line.contains(what));
    for port in ["audience", "stats", "notification", "demo"] {
        assert!(at(&format!("event=listening port={port} ")) < at("event=ready"), "{log:#?}");
        assert!(!daemon.listening(port).is_empty(), "{port}: {log:#?}");
    }
}

#[test]
fn debug_logs_what_is_otherwise_silent() {
    for flag in ["-d", "--debug"] {
        let daemon = Daemon::start(&[flag]);
        drop(member(&daemon, "/logged"));
        daemon.wait_log("a join", |line| line.starts_with("level=debug "));
    }
    let daemon = Daemon::start(&[]);
    drop(member(&daemon, "/silent"));
    get(daemon.audience(), "/").expect_empty();
    let last = daemon.log().pop();
    assert_eq!(last.as_deref(), Some("level=info event=ready"));
}

#[test]
fn the_retry_options_may_be_given_one_at_a_time() {
    let daemon = Daemon::start(&["--retry-max", "2"]);
    let first = Stream::join(daemon.audience(), "/one").next(SOON);
    assert_eq!(first, Some(Event::Retry(2_000)));
}

// ---------------------------------------------------------------------------------------------
// What is refused
// ---------------------------------------------------------------------------------------------

#[test]
fn a_bad_value_is_one_line_that_names_the_option_and_code_2() {
    let durations = [
        "--max-conn-duration",
        "--cluster-notify-interval",
        "--cluster-node-timeout",
        "--notify-delta-ratio",
        "--notify-min-delay",
        "--notify-max-delay",
        "--increment-delay",
        "--leave-delay",
        "--namespace-clean-delay",
        "--head-timeout",
        "--retry-min",
        "--retry-max",
    ];
    let ports = ["--port", "--stats-port", "--notification-port", "--demo-port"];
    let never = ["-1", "nan", "NaN", "inf", "-inf", "abc", "", " ", "1e400", "1s", "1,5", "0x10", "--"];
    let never_a_port = ["65536", "1.5", "80a", "99999999999999999999", "127.0.0.1:80"];
    for option in durations {
        for value in never {
            refuses(&with_ports(&[&format!("{option}={value}")]), 2, option);
        }
        refuses(&with_ports(&[option, "-1"]), 2, option);
    }
    for option in ports {
        for value in never.iter().chain(&never_a_port) {
            refuses(&with_ports(&[&format!("{option}={value}")]), 2, option);
        }
    }
    for value in ["nowhere at all", "127.0.0.1:80", "300.1.1.1", ""] {
        refuses(&with_ports(&["--host", value]), 2, "--host");
    }
}

#[test]
fn a_duration_that_no_clock_can_hold_is_code_2() {
    for option in ["--max-conn-duration", "--notify-max-delay", "--head-timeout", "--retry-max"] {
        for value in ["1e300", "1e20", "99999999999999999999"] {
            refuses(&with_ports(&[&format!("{option}={value}")]), 2, option);
        }
    }
}

#[test]
fn a_least_retry_above_the_greatest_is_code_2() {
    refuses(&with_ports(&["--retry-min=5", "--retry-max=2"]), 2, "--retry-m");
    refuses(&with_ports(&["--retry-min=60"]), 2, "--retry-m");
}

#[test]
fn an_option_without_its_value_is_code_2() {
    for option in ["--max-conn-duration", "--notify-delta-ratio", "--port", "--host", "--allow-origin"] {
        let mut args = with_ports(&[option]);
        args.retain(|arg| *arg != option);
        args.push(option);
        refuses(&args, 2, option);
    }
}

#[test]
fn an_unknown_option_and_a_stray_argument_are_code_2() {
    for stray in ["--no-such-option", "--prot=80", "-x", "stray", "80", "--workers-of-the-world", "--Port"] {
        refuses(&with_ports(&[stray]), 2, stray.split('=').next().unwrap());
    }
    refuses(&with_ports(&["--enable-uuid", "yes"]), 2, "yes");
}

#[test]
fn a_bad_environment_is_code_2_and_names_the_variable() {
    let args = ["--stats-port=0", "--notification-port=0", "--demo-port=0"];
    for value in ["abc", "-1", "65536", "80 81"] {
        refuses_from(Command::new(program()).env("PORT", value), &args, 2, "PORT");
    }
    let nowhere = [&args[..], &["--port=0"]].concat();
    refuses_from(Command::new(program()).env("HOST", "not an address"), &nowhere, 2, "HOST");
}

#[test]
fn torture_takes_a_number_and_is_in_no_usage_text() {
    for seed in ["", "abc", "-1", "1.5", "18446744073709551616"] {
        refuses(&with_ports(&["--torture", seed]), 2, "--torture");
    }
    refuses(&with_ports(&["--torture"]), 2, "--torture");
    refuses(&with_ports(&["--torture=1", "--torture=2"]), 2, "--torture");
    refuses_from(Command::new(program()).env("AUDIENCE_METER_TORTURE", "abc"), &NO_PORTS, 2, "AUDIENCE_METER_TORTURE");
    assert!(!run(&mut Command::new(program()), &["--help"]).stdout.to_lowercase().contains("torture"));
}

#[test]
fn an_argument_that_is_not_utf_8_is_code_2() {
    use std::os::unix::ffi::OsStrExt;
    let argument = std::ffi::OsStr::from_bytes(b"--port=\xff");
    let outcome = run(Command::new(program()).arg(argument), &[]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
}

#[test]
fn a_port_in_use_is_code_1_and_names_the_option_and_the_port() {
    for option in ["--port", "--stats-port", "--notification-port", "--demo-port"] {
        let port = free_port();
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let given = format!("{option}={port}");
        refuses(&with_ports(&[&given]), 1, option);
        let outcome = run(&mut Command::new(program()), &with_ports(&[&given]));
        assert!(outcome.stderr.contains(&port.to_string()), "{outcome:?}");
        assert!(outcome.stderr.contains("in use"), "{outcome:?}");
        drop(holder);
    }
}

#[test]
fn a_port_without_the_privilege_for_it_is_code_1() {
    let threshold = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let threshold = threshold.ok().and_then(|text| text.trim().parse::<u16>().ok());
    if threshold.is_some_and(|first| first <= 81) {
        return;
    }
    // Root gives its privilege up, in a directory of which the binary may be read by everybody.
    let directory = std::env::temp_dir().join(format!("audience-meter-cli-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let binary = directory.join("audience-meter");
    // Not copied by this process: a test that forks meanwhile would hold the copy open for writing, and it could not run.
    assert!(Command::new("cp").arg(program()).arg(&binary).status().unwrap().success());
    let mut command = Command::new(&binary);
    if is_root() {
        command.uid(65_534).gid(65_534);
    }
    let args = with_ports(&["--port=81"]);
    let outcome = run(&mut command, &args);
    std::fs::remove_dir_all(&directory).unwrap();
    outcome.expect_refusal(1, &["--port"]);
}

pub(super) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uid.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// Of a host's memory and of a package the program takes what it has to.
#[test]
fn the_released_program_stays_below_a_mebibyte() {
    if std::env::var_os("METER_PROGRAM").is_none() {
        return skip("METER_PROGRAM does not name a released program");
    }
    let bytes = std::fs::metadata(program()).unwrap().len();
    assert!(bytes < 1 << 20, "{bytes} bytes");
}
