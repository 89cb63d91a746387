//! The log as others read it: Go's decoder of logfmt, on which that of Loki is built, `jq`, and the journal.
//!
//! Texts that strangers choose are in the log with all that could be taken for something else: quotes, line ends, control
//! characters. Each reader has to get them back byte by byte.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use serde_json::Value;

use audience_kit::*;

/// The name of a variable, as bad as an environment can have it.
const NAME: &str = "AUDIENCE_METER_ \"a\\b\"\r\n\tlevel:error event forged\u{1b}[2J\u{7f}\u{85}\u{2028}caf\u{e9}'`";

/// A namespace with what may stand in a target and means something in a line.
const NAMESPACE: &str = "a\"b\\c=d'{}";

/// Feeds a text to a tool that must succeed; returns its output.
#[track_caller]
fn feed(command: &mut Command, text: &str) -> String {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/all installs it"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", lossy(&output.stderr));
    lossy(&output.stdout)
}

/// All lines of a daemon in this format, in which strangers have had their say.
#[track_caller]
fn log_in(format: &str) -> String {
    let port = free_port();
    let environment = || {
        let mut command = Command::new(program());
        command.env(NAME, "1").env("AUDIENCE_METER_LOG_FORMAT", format);
        command
    };
    let options = ["-d", "--namespace-clean-delay", "0.1", "--port", &port.to_string(), "--host", "127.0.0.1"];
    let daemon = Daemon::start_with(environment, &options);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = Stream::join(address, &format!("/{NAMESPACE}"));
    stream.expect_count(1);
    drop(stream);
    daemon.wait_log("the end of the event", |line| line.contains("report"));
    daemon.timed_log().join("\n") + "\n"
}

/// The events that a reader has found: each has a time, and those with the texts of strangers have them whole.
#[track_caller]
fn check_events(events: &[Value], lines: &str) {
    assert_eq!(events.len(), lines.lines().count(), "{events:#?}");
    let form = "0000-00-00T00:00:00.000Z";
    for event in events {
        let time = event["time"].as_str().unwrap_or_else(|| panic!("no time: {event}"));
        let is_alike = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
        assert!(time.len() == form.len() && time.bytes().zip(form.bytes()).all(is_alike), "{event}");
        assert!(event["level"].is_string() && event["event"].is_string(), "{event}");
        assert_ne!(event["event"], "forged");
    }
    let one = |name: &str| events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(one("unknown_variable")["name"], NAME);
    for name in ["listening", "room", "ready", "close"] {
        one(name);
    }
}

#[test]
fn the_log_is_logfmt_as_the_decoder_of_go_reads_it() {
    let cache = ScratchFolder::create("go");
    let mut decoder = Command::new("go");
    // Debian's package of the decoder is source below this folder.
    decoder.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", cache.path());
    decoder.arg("run").arg(source().join("tests/it/beside/logfmt.go"));
    let lines = log_in("logfmt");
    let objects = feed(&mut decoder, &lines);
    let events = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    check_events(&events, &lines);
    let report = events.iter().find_map(|event| event["report"].as_str()).unwrap();
    let report = serde_json::from_str::<Value>(report).unwrap();
    assert_eq!((&report["namespace"], &report["peak"]), (&NAMESPACE.into(), &1.into()), "{report}");
}

#[test]
fn the_log_is_json_as_jq_reads_it() {
    let lines = log_in("json");
    let events = feed(Command::new("jq").args(["--slurp", "."]), &lines);
    let events = serde_json::from_str::<Vec<Value>>(&events).unwrap();
    check_events(&events, &lines);
    let query = "select(.event == \"ended\") | .report | [.namespace, .peak, (.stays | add)]";
    let report = feed(Command::new("jq").args(["--compact-output", query]), &lines);
    assert_eq!(serde_json::from_str::<Value>(&report).unwrap(), serde_json::json!([NAMESPACE, 1, 1]));
    let types = "select(.event == \"room\") | (.descriptors | type), (.members_max | type)";
    assert_eq!(feed(Command::new("jq").args(["--raw-output", types]), &lines), "number\nnumber\n");
}

#[test]
fn why_a_process_ends_at_start_is_text_or_an_object() {
    let exit = run_to_end(Command::new(program()).args(["--log-format=json", "--port", "\"x\""]));
    let object = serde_json::from_str::<Value>(&exit.stderr).unwrap();
    assert_eq!((exit.code, &object["level"], &object["event"]), (Some(2), &"error".into(), &"fatal".into()));
    assert!(object["error"].as_str().unwrap().starts_with("--port \"\\\"x\\\"\" is not a port"), "{object}");
    let exit = run_to_end(Command::new(program()).args(["--port", "x"]));
    exit.expect_refusal(2, &["audience-meter: --port \"x\" is not a port"]);
}

/// Journald in a mount namespace with a `/run` of its own; then what it has of the daemon, as JSON. `systemd-cat` connects the
/// daemon's output with it, and the variable is set as systemd sets it for a service.
const JOURNAL: &str = r#"
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald 2>/dev/null & journald=$!
trap 'kill $journald' EXIT
until [ -S /run/systemd/journal/stdout ]; do sleep 0.05; done
systemd-cat sh -c 'export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec "$0" "$@"' "$@" & daemon=$!
until journalctl -D /run/log/journal -o cat _TRANSPORT=stdout | grep -q event=ready; do sleep 0.05; kill -0 $daemon || exit 1; done
kill $daemon; wait $daemon
journalctl --sync && journalctl -D /run/log/journal -o json --no-pager _TRANSPORT=stdout
"#;

#[test]
fn the_journal_gets_priorities_and_no_time_of_ours() {
    if let Err(why) = output("unshare", &["--mount", "true"]) {
        return skip(&why);
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", JOURNAL, "sh", program(), "-d", "-w", "1", "--drain-delay", "0"]);
    command.args(["--port=0", "--stats-port=0", "--notification-port=0", "--demo-port=0"]);
    let exit = run_to_end(command.env("AUDIENCE_METER_PROT", "1"));
    let entries = exit.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    for (start, priority) in [
        ("level=warn event=unknown_variable name=AUDIENCE_METER_PROT ", "4"),
        ("level=info event=ready", "6"),
        ("level=debug event=caught_up ", "7"),
    ] {
        let is_it = |entry: &&Value| entry["MESSAGE"].as_str().is_some_and(|text| text.starts_with(start));
        let entry = entries.iter().find(is_it).unwrap_or_else(|| panic!("no {start:?}: {exit:?}"));
        assert_eq!(entry["PRIORITY"], priority, "{entry}");
    }
    // The variable is inherited by programs whose output leads elsewhere.
    let exit = run_to_end(Command::new(program()).args(["--check"]).env("JOURNAL_STREAM", "8:1").env(NAME, "1"));
    assert!(exit.stderr.starts_with("time=2"), "{exit:?}");
}
