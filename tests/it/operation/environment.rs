//! Settings by the environment, `--check`, and secrets as hosts mount them.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cli::is_root;
use audience_kit::*;

/// A secret that is long enough.
const SECRET: &str = "the-secret-of-this-audience";

/// The program with a variable of its own, `AUDIENCE_METER_<name>`.
fn with(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program());
    for (name, value) in variables {
        command.env(format!("AUDIENCE_METER_{name}"), value);
    }
    command
}

#[track_caller]
fn check(command: &mut Command) -> Exit {
    run_to_end(command.arg("--check"))
}

/// The options of `--help` that are settings, each with whether it takes a value.
fn settings() -> Vec<(String, bool)> {
    let help = run_to_end(Command::new(program()).arg("--help")).stdout;
    let mut settings = Vec::new();
    for line in help.lines().filter(|line| line.trim_start().starts_with('-')) {
        let words = line.split_whitespace().collect::<Vec<_>>();
        let at = words.iter().position(|word| word.starts_with("--")).unwrap();
        let takes_value = words.get(at + 1).is_some_and(|word| word.starts_with('<'));
        settings.push((words[at].to_owned(), takes_value));
    }
    settings.retain(|(option, _)| !["--help", "--version", "--check", "--probe"].contains(&option.as_str()));
    assert!(settings.len() > 40, "{settings:?}");
    settings
}

#[test]
fn each_option_has_a_variable_that_an_error_names() {
    for (option, takes_value) in settings() {
        let variable = format!("AUDIENCE_METER_{}", option.trim_start_matches('-').replace('-', "_").to_uppercase());
        let mut command = Command::new(program());
        // What no option takes for its value.
        let (value, problem) = if takes_value { (&b"\xff"[..], "is not text") } else { (&b"maybe"[..], "give 1 or 0") };
        command.env(&variable, OsStr::from_bytes(value));
        check(&mut command).expect_refusal(2, &[&format!("audience-meter: {variable} "), problem]);
        let none = check(Command::new(program()).env(&variable, ""));
        assert_eq!((none.code, none.stderr.as_str()), (Some(0), ""), "{variable}");
    }
}

#[test]
fn an_option_wins_over_its_variable_and_that_over_the_older_one() {
    let ports = [free_port(), free_port(), free_port()].map(|port| port.to_string());
    let environment = |has_own: bool| {
        let own: &[(&str, &str)] = &[("PORT", &ports[1]), ("HOST", "127.0.0.2")];
        let mut command = with(if has_own { own } else { &[] });
        command.env("PORT", &ports[0]).env("HOST", "127.0.0.3");
        command
    };
    for (has_own, args, expected) in [
        (false, vec![], format!("127.0.0.3:{}", ports[0])),
        (true, vec![], format!("127.0.0.2:{}", ports[1])),
        (true, vec!["--port", &ports[2], "--host", "127.0.0.1"], format!("127.0.0.1:{}", ports[2])),
    ] {
        let daemon = Daemon::start_with(|| environment(has_own), &args);
        assert_eq!(daemon.listening("audience"), [expected.parse().unwrap()]);
    }
}

#[test]
fn a_supervisor_and_its_workers_take_all_from_the_environment() {
    let port = free_port();
    let variables = [
        ("WORKERS", "2"),
        ("PORT", &port.to_string()),
        ("HOST", "127.0.0.1"),
        ("ENABLE_UUID", "Yes"),
        ("DEBUG", "off"),
        ("PROT", "80"),
    ];
    let daemon = Daemon::start_with(|| with(&variables), &[]);
    daemon.wait_log("the workers", |line| line.contains("event=worker_started"));
    wait_until("both workers", || children(daemon.pid()).len() == 2);
    // The second takes the place of the first, at whichever worker.
    let _streams = [(); 2].map(|()| member(&daemon, "/ns/uuid"));
    wait_until("one member", || daemon.stat("ns", "connections") == Some(2) && daemon.stat("ns", "members") == Some(1));
    let warnings = daemon.log().into_iter().filter(|line| line.contains("unknown_variable")).collect::<Vec<_>>();
    let expected = "level=warn event=unknown_variable name=AUDIENCE_METER_PROT nearest=AUDIENCE_METER_PORT";
    assert_eq!(warnings, [expected], "once, and not by each worker");
}

#[test]
fn what_kubernetes_says_of_a_service_is_not_meant_for_the_daemon() {
    let port = free_port();
    let variables = [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "80"),
        ("PORT", "tcp://10.0.0.1:80"),
        ("PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("PORT_80_TCP_ADDR", "10.0.0.1"),
        ("STATS_PORT", "tcp://10.0.0.2:1442"),
    ];
    let environment = || {
        let mut command = with(&variables);
        command.env("PORT", port.to_string());
        command
    };
    let daemon = Daemon::start_with(environment, &["--stats-port", &free_port().to_string()]);
    assert!(daemon.listening("audience").iter().all(|address| address.port() == port), "{:?}", daemon.log());
    assert!(!daemon.log().iter().any(|line| line.contains("unknown_variable")), "{:?}", daemon.log());
}

#[test]
fn an_error_names_the_variable_also_where_two_settings_do_not_fit() {
    let port = free_port();
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let port = port.to_string();
    for (variables, code, parts) in [
        (
            &[("RETRY_MIN", "9"), ("RETRY_MAX", "2")][..],
            2,
            ["AUDIENCE_METER_RETRY_MIN 9 ", "AUDIENCE_METER_RETRY_MAX 2"],
        ),
        (&[("STATS_PORT", "9"), ("PORT", "9")], 2, ["AUDIENCE_METER_STATS_PORT 9 ", " of AUDIENCE_METER_PORT "]),
        (&[("NOTIFICATION_HOST", "0.0.0.0")], 2, ["AUDIENCE_METER_NOTIFICATION_HOST 0.0.0.0 ", "token"]),
        (&[("NOTIFICATION_TOKEN", "hunter2")], 2, ["AUDIENCE_METER_NOTIFICATION_TOKEN: ", "too short"]),
        (&[("CLUSTER_KEY_FILE", "/nowhere")], 1, ["AUDIENCE_METER_CLUSTER_KEY_FILE /nowhere: ", "No such file"]),
        (&[("REPORT_FILE", "/nowhere/at/all")], 1, ["AUDIENCE_METER_REPORT_FILE /nowhere/at/all: ", "No such file"]),
        (&[("PORT", port.as_str())], 1, ["AUDIENCE_METER_PORT", "in use"]),
    ] {
        let mut command = with(variables);
        command.args(["-w", "1", "--notification-port=0", "--demo-port=0"]);
        let is_set = |wanted: &str| variables.iter().any(|(name, _)| *name == wanted);
        if !is_set("STATS_PORT") {
            command.arg("--stats-port=0");
        }
        if !is_set("PORT") {
            command.arg("--port=0");
        }
        let exit = run_to_end(&mut command);
        exit.expect_refusal(code, &parts);
        assert!(!exit.stderr.contains("hunter2"), "{exit:?}");
    }
    drop(held);
}

// ---------------------------------------------------------------------------------------------
// --check
// ---------------------------------------------------------------------------------------------

#[test]
fn a_check_reads_all_and_opens_no_port() {
    let folder = ScratchFolder::create("check");
    let key = folder.file("key");
    write(&key, 0o600, SECRET);
    let port = free_port();
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let report = folder.file("reports");
    let right = [
        format!("--port={port}"),
        format!("--cluster-key-file={}", key.display()),
        format!("--stats-token-file={}", key.display()),
        format!("--notification-token-file={}", key.display()),
        format!("--join-key-file={}", key.display()),
        format!("--report-file={}", report.display()),
    ];
    let exit = check(Command::new(program()).args(&right));
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""), "{exit:?}");
    assert!(exit.stdout.ends_with("right\n") && !report.exists(), "{exit:?}");
    drop(held);

    write(&key, 0o644, SECRET);
    let exit = check(Command::new(program()).args(&right).env("AUDIENCE_METER_PROT", "1"));
    let lines = exit.stderr.lines().collect::<Vec<_>>();
    assert_eq!((exit.code, exit.stdout.as_str(), lines.len()), (Some(2), "", 5), "{exit:?}");
    assert!(lines[0].contains("event=unknown_variable"), "{exit:?}");
    let options = ["--cluster-key-file ", "--stats-token-file ", "--notification-token-file ", "--join-key-file "];
    for (line, option) in lines[1..].iter().zip(options) {
        assert!(
            line.starts_with(&format!("audience-meter: {option}")) && line.contains("others can read it"),
            "{line}"
        );
    }
    for (path, why) in [("/nowhere/at/all", "No such file"), ("/", "directory")] {
        let exit = check(Command::new(program()).args(["--report-file", path]));
        exit.expect_refusal(2, &["--report-file ", path, why]);
    }
    check(Command::new(program()).args(["--port", "80a"])).expect_refusal(2, &["--port "]);
    check(Command::new(program()).args(["--log-format", "xml"]))
        .expect_refusal(2, &["--log-format ", "logfmt or json"]);
}

// ---------------------------------------------------------------------------------------------
// Secrets
// ---------------------------------------------------------------------------------------------

#[test]
fn a_token_by_the_environment_opens_the_notification_port() {
    let variables = [("NOTIFICATION_HOST", "127.0.0.1"), ("NOTIFICATION_TOKEN", SECRET)];
    let daemon = Daemon::start_with(|| with(&variables), &[]);
    let (_stream, _) = member(&daemon, "/ns");
    let send = |header: &str| {
        let head = request("GET", "/ns/chat/hello", &format!("Host: localhost\r\n{header}"));
        exchange(daemon.notification(), head).status
    };
    let right = format!("Authorization: Bearer {SECRET}\r\n");
    assert_eq!((send(""), send("Authorization: Bearer wrong\r\n"), send(&right)), (401, 401, 200));
}

fn write(path: &Path, mode: u32, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder that all can read, with a copy of the program: an ordinary user need not reach the built one.
fn open_folder(name: &str) -> (ScratchFolder, PathBuf) {
    let folder = ScratchFolder::create(name);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let binary = folder.file("audience-meter");
    // Not copied by this process: a test that forks meanwhile would hold the copy open for writing, and it could not run.
    assert!(Command::new("cp").arg(program()).arg(&binary).status().unwrap().success());
    (folder, binary)
}

/// What an ordinary user's check says of a file with a secret.
#[track_caller]
fn check_as_user(binary: &Path, secret: &Path) -> Exit {
    let mut command = Command::new(binary);
    command.uid(65_534).gid(65_534).current_dir("/").arg("--cluster-key-file").arg(secret);
    check(&mut command)
}

#[test]
fn a_secret_of_root_that_others_can_read_is_taken_with_a_warning() {
    if !is_root() {
        return skip("only root can make a file of root");
    }
    let (folder, binary) = open_folder("secrets");
    // As Kubernetes lays it: the file is behind two links, and a group may be that of the pod.
    let (data, key) = (folder.file("..2026_05_01"), folder.file("key"));
    fs::create_dir(&data).unwrap();
    symlink("..2026_05_01", folder.file("..data")).unwrap();
    symlink("..data/key", &key).unwrap();
    let file = data.join("key");
    for (mode, group) in [(0o440, 65_534), (0o444, 0), (0o644, 0), (0o640, 65_534)] {
        write(&file, mode, SECRET);
        chown(&file, Some(0), Some(group)).unwrap();
        let exit = check_as_user(&binary, &key);
        assert_eq!((exit.code, exit.stderr.lines().count()), (Some(0), 1), "{mode:o}: {exit:?}");
        let warning = format!("level=warn event=secret_readable path={} mode={mode:04o}\n", key.display());
        assert_eq!(without_time(&exit.stderr), warning);
    }
    for (mode, owner) in [(0o664, 0), (0o646, 0), (0o660, 0), (0o440, 65_534), (0o644, 65_534), (0o444, 1)] {
        write(&file, mode, SECRET);
        chown(&file, Some(owner), Some(65_534)).unwrap();
        let exit = check_as_user(&binary, &key);
        exit.expect_refusal(2, &["others can read it; run `chmod 600"]);
    }
    // Root could have written it.
    write(&file, 0o444, SECRET);
    chown(&file, Some(0), Some(0)).unwrap();
    let exit = check(Command::new(program()).arg("--cluster-key-file").arg(&key));
    exit.expect_refusal(2, &["others can read it"]);
}

#[test]
fn a_secret_on_a_read_only_mount_is_taken_with_a_warning() {
    let (folder, binary) = open_folder("mounted");
    let script = "mount -t tmpfs none \"$1\" && printf %s the-secret-of-this-audience >\"$1/key\" && chown 7:7 \"$1/key\" \
                  && chmod 444 \"$1/key\" && mount -o remount,ro \"$1\" && exec \"$2\" --check --cluster-key-file \"$1/key\"";
    let mount = folder.file("mount");
    fs::create_dir(&mount).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", script, "sh"]).arg(&mount).arg(&binary);
    if let Err(why) = output("unshare", &["--mount", "true"]) {
        return skip(&why);
    }
    let exit = run_to_end(&mut command);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let warning = format!("level=warn event=secret_readable path={}/key mode=0444\n", mount.display());
    assert_eq!(without_time(&exit.stderr), warning);
}
