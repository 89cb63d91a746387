//! What README.md and the manual have a newcomer type into a shell, as it stands there.
//!
//! Only ports and paths are put in their place. Snippets for pages are run in a browser, by `tests/browser/readme.test.mjs`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use audience_kit::{Daemon, Event, ScratchFolder, manual, member, output, program, skip};

/// A daemon with the options of a command line, on ports of its own.
#[track_caller]
fn start(command: &str) -> Daemon {
    let mut words = command.split_whitespace();
    assert!(words.next().is_some_and(|program| program.ends_with("audience-meter")), "{command}");
    let words: Vec<&str> = words.collect();
    let at = words.iter().position(|word| *word == "--port").expect("a port");
    Daemon::start(&[&words[..at], &words[at + 2..]].concat())
}

/// The command of a block, for the ports of this daemon.
#[track_caller]
fn command(daemon: &Daemon, beginning: &str) -> String {
    let text = manual::block("sh", beginning).replace(":8000", &format!(":{}", daemon.audience().port()));
    let text = text.replace(":1442", &format!(":{}", daemon.stats_port().port()));
    text.replace(":2442", &format!(":{}", daemon.notification().port()))
}

#[test]
fn the_commands_of_the_front_page_show_a_count_the_figures_and_a_message() {
    let daemon = start(&manual::block("sh", "audience-meter --port 8000\n"));
    let join = command(&daemon, "curl -N -H 'Accept: text/event-stream'");
    let mut curl = Command::new("sh").args(["-c", &format!("exec {join}")]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "data: 1"));

    let figures = output("sh", &["-c", &command(&daemon, "curl localhost:1442/\n")]).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["test"]["members"], 1);

    let (mut stream, _) = member(&daemon, "/my-event");
    output("sh", &["-c", &command(&daemon, "curl localhost:2442/")]).unwrap();
    stream.expect(&Event::Message("score=2:0".to_owned()));
    output("sh", &["-c", &command(&daemon, "curl -d ")]).unwrap();
    stream.expect(&Event::Message("score=2:0 after 5 min".to_owned()));
    curl.kill().unwrap();
    curl.wait().unwrap();
}

#[test]
fn the_unit_of_the_manual_is_in_order_and_starts_a_daemon() {
    let unit = manual::block("ini", "[Unit]\n");
    let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    drop(start(started));

    let folder = ScratchFolder::create("unit");
    let path = folder.file("audience-meter.service");
    std::fs::write(&path, unit.replace("/usr/local/bin/audience-meter", program())).unwrap();
    match output("sh", &["-c", "command -v systemd-analyze"]) {
        Ok(_) => drop(output("systemd-analyze", &["verify", path.to_str().unwrap()]).unwrap()),
        Err(_) => skip("there is no systemd-analyze"),
    }
}
