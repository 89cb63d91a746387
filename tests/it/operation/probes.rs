//! The stats port on other addresses than loopback: the token that it needs, which questions need none, and `--probe`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};

use super::side_ports::address_of_this_machine;
use audience_kit::*;

const TOKEN: &str = "the-token-of-this-audience";

/// Options of a daemon whose stats port is on all addresses, with the token in a file.
fn on_all_addresses(file: &ScratchFile) -> [String; 2] {
    ["--stats-host=0.0.0.0".to_owned(), format!("--stats-token-file={}", file.path())]
}

fn start(options: &[String], more: &[&str]) -> Daemon {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Daemon::start(&[&options, more].concat())
}

/// What a command prints that asks for `$URL`, perhaps with the field `$FIELD`.
fn shell(command: &str, url: &str, field: &str) -> String {
    let modules = format!("{}/tests/browser/.python", env!("CARGO_MANIFEST_DIR"));
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("URL", url).env("FIELD", field).env("PYTHONPATH", modules);
    lossy(&shell.output().unwrap().stdout).trim().to_owned()
}

/// Clients that print the status of an answer.
const CLIENTS: [&str; 3] = [
    "curl -s -o /dev/null -w '%{http_code}' -H \"$FIELD\" \"$URL\"",
    "wget -qSO /dev/null --header \"$FIELD\" \"$URL\" 2>&1 | sed -n 's/^ *HTTP[^ ]* \\([0-9]*\\).*/\\1/p'",
    "python3 -c 'import os, requests; e = os.environ; \
     print(requests.get(e[\"URL\"], headers=dict([e[\"FIELD\"].split(\": \")])).status_code)'",
];

#[test]
fn with_a_token_the_stats_are_for_others_and_probes_are_for_all() {
    let file = ScratchFile::with("stats-token", &format!("{TOKEN}\n"), 0o600);
    let daemon = start(&on_all_addresses(&file), &[]);
    let elsewhere = format!("http://127.9.9.9:{}", daemon.stats_port().port());
    let right = format!("Authorization: Bearer {TOKEN}");
    for client in CLIENTS {
        for (path, field, status) in [
            ("/", right.as_str(), "200"),
            ("/metrics", &right, "200"),
            ("/", "X: y", "401"),
            ("/metrics", "Authorization: Bearer the-token-of-this-audiencE", "401"),
            ("/?watch=*", "Accept: text/event-stream", "401"),
            ("/healthz", "X: y", "200"),
            ("/readyz", "Host: meter.example.com", "200"),
        ] {
            assert_eq!(shell(client, &format!("{elsewhere}{path}"), field), status, "{client} {path} {field}");
        }
    }
    let reply = exchange(daemon.stats_port(), request("GET", "/process", "Host: localhost\r\n"));
    assert_eq!((reply.status, reply.header("WWW-Authenticate")), (401, Some("Bearer")), "{reply:?}");
    // With a token, the name by which the port is asked matters no more.
    let fields = format!("Host: meter.example.com\r\n{right}\r\n");
    assert_eq!(exchange(daemon.stats_port(), request("GET", "/", &fields)).status, 200);
}

#[test]
fn probes_need_no_name_of_this_machine_and_nothing_else_is_given_away() {
    let daemon = Daemon::start(&[]);
    for path in ["/healthz", "/readyz"] {
        let reply = exchange(daemon.stats_port(), request("GET", path, "Host: 10.1.2.3:1442\r\n"));
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
    }
    for path in ["/", "/healthz/", "/readyz/x", "/metrics", "/process"] {
        let reply = exchange(daemon.stats_port(), request("GET", path, "Host: 10.1.2.3:1442\r\n"));
        assert_eq!(reply.status, 403, "{path}: {reply:?}");
    }
}

#[test]
fn a_silent_client_from_elsewhere_gets_nothing_without_the_token() {
    let file = ScratchFile::with("silent-token", TOKEN, 0o600);
    let daemon = start(&on_all_addresses(&file), &["--head-timeout", "1"]);
    assert_eq!(daemon.stats_text(), "{}\n", "on this machine");
    let Some(ip) = address_of_this_machine() else {
        return skip("this machine has no address but loopback");
    };
    let elsewhere = SocketAddr::from((ip, daemon.stats_port().port()));
    let mut silent = connect(elsewhere);
    silent.set_read_timeout(Some(ms(500))).unwrap();
    assert!(silent.read(&mut [0; 1]).is_err(), "nothing comes");
    let fields = format!("Host: {elsewhere}\r\nAuthorization: Bearer {TOKEN}\r\n");
    silent.write_all(request("GET", "/", &fields).as_bytes()).unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut silent)).body, "{}\n", "it may ask late");
    let mut silent = connect(elsewhere);
    assert_eq!(Reply::parse(&read_to_end(&mut silent)).status, 408);
    let mut ended = connect(elsewhere);
    ended.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(lossy(&read_to_end(&mut ended)), "");
}

#[test]
fn a_stats_port_for_others_needs_a_token_and_an_address_of_this_machine() {
    for (options, code, why) in [
        (&["--stats-host", "0.0.0.0"][..], 2, "--stats-host 0.0.0.0 lets others in; give a --stats-token-file, too"),
        (&["--stats-host", "127.0.0.1", "--stats-token-file", "/none"], 1, "--stats-token-file /none: No such file"),
    ] {
        let mut command = Command::new(program());
        let output = isolate(&mut command).args(["-w=1", "--port=0", "--demo-port=0"]).args(options).output().unwrap();
        let text = lossy(&output.stderr);
        assert_eq!((output.status.code(), text.lines().count(), text.contains(why)), (Some(code), 1, true), "{text}");
    }
}

/// What `--probe` comes to.
fn probe(page: &str, port: u16, more: &[&str]) -> Output {
    let mut command = Command::new(program());
    isolate(&mut command).args(["--probe", page, "--stats-port", &port.to_string()]).args(more).output().unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, answer: &str, error: &str) {
    let (stdout, stderr) = (lossy(&output.stdout), lossy(&output.stderr));
    assert_eq!((output.status.code(), &*stdout), (Some(code), answer), "{stderr}");
    assert!(stderr.contains(error) && stderr.is_empty() == error.is_empty(), "{stderr:?}");
}

#[test]
fn a_probe_says_whether_a_process_is_alive_and_ready() {
    let file = ScratchFile::with("probe-token", TOKEN, 0o600);
    let options = on_all_addresses(&file);
    let daemon = start(&options, &["--max-connections", "1"]);
    let port = daemon.stats_port().port();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    wait_until("it is ready", || daemon.stats_page("/readyz").status == 200);
    for more in [&[][..], &options, &["--stats-host", "127.0.0.1"]] {
        check(&probe("healthz", port, more), 0, "alive\n", "");
        check(&probe("readyz", port, more), 0, "ready\n", "");
    }
    let _member = member(&daemon, "/fills");
    let reason = daemon.stats_page("/readyz");
    assert_eq!(reason.status, 503);
    check(&probe("healthz", port, &[]), 0, "alive\n", "");
    check(&probe("readyz", port, &[]), 1, &reason.body, "");
    // A process that hangs.
    daemon.signal("STOP");
    let begun = now();
    check(&probe("healthz", port, &[]), 1, "", "timed out");
    assert!((ms(1900)..ms(4000)).contains(&(now() - begun)), "{:?}", now() - begun);
    daemon.signal("CONT");
    check(&probe("healthz", port, &[]), 0, "alive\n", "");
}

#[test]
fn a_probe_ends_whatever_is_at_the_port() {
    let port = free_port();
    check(&probe("healthz", port, &[]), 1, "", "Connection refused");
    check(&probe("healthz", 0, &[]), 2, "", "--probe asks the stats port");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let answer = |says: &'static [u8], is_slow: bool| {
        let accepted = || listener.accept().unwrap().0;
        let serve = move |mut stream: TcpStream| {
            for byte in says {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::park_timeout(ms(if is_slow { 100 } else { 0 }));
            }
            let _ = stream.read(&mut [0; 1000]);
        };
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| serve(accepted()));
            let output = probe("readyz", port, &[]);
            serving.join().unwrap();
            output
        })
    };
    check(&answer(b"SSH-2.0-other\r\n", false), 1, "", "no HTTP");
    check(&answer(&[b'x'; 200], true), 1, "", "timed out");
    check(&answer(b"HTTP/1.1 404 Not Found\r\n\r\nother\n", false), 1, "other\n", "");
}
