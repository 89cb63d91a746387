//! Client libraries of others: each receives counts, messages and the end of its stream at once.
//!
//! Owns a program of a few lines for each library, written as the library's documentation shows. A program prints what each
//! event says. Whether a library holds an event back, or makes up one, is seen in its output.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use audience_kit::*;

/// A program, the arguments before the address, and the text that is its last argument but one.
struct Client {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const REQUESTS: &str = "
import requests, sys
with requests.get(sys.argv[1], headers={'Accept': 'text/event-stream'}, stream=True) as reply:
    for line in reply.iter_lines():
        print(line.decode(), flush=True)
";

const URLLIB3: &str = "
import sys, urllib3
reply = urllib3.request('GET', sys.argv[1], headers={'Accept': 'text/event-stream'}, preload_content=False)
for line in reply:
    print(line.decode(), end='', flush=True)
";

const URLLIB: &str = "
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={'Accept': 'text/event-stream'})
for line in urllib.request.urlopen(request):
    print(line.decode(), end='', flush=True)
";

/// It fails at an event that has no data.
const SSECLIENT: &str = "
import requests, sseclient, sys
reply = requests.get(sys.argv[1], headers={'Accept': 'text/event-stream'}, stream=True)
for event in sseclient.SSEClient(reply).events():
    assert event.data, event
    print('data: ' + event.data, flush=True)
";

/// It fails at an event that has no data.
const HTTPX_SSE: &str = "
import httpx, httpx_sse, sys
with httpx.Client(timeout=None) as client, httpx_sse.connect_sse(client, 'GET', sys.argv[1]) as stream:
    for event in stream.iter_sse():
        assert event.data or event.id, event
        print('data: ' + event.data, flush=True)
";

const HTTP_TINY: &str = "
use HTTP::Tiny; $| = 1;
HTTP::Tiny->new->get($ARGV[0], { headers => { Accept => 'text/event-stream' }, data_callback => sub { print $_[0] } });
";

const ACCEPT_FIELD: &str = "Accept: text/event-stream";

const CLIENTS: [Client; 9] = [
    Client { name: "requests", program: "python3", arguments: &["-c", REQUESTS] },
    Client { name: "urllib3", program: "python3", arguments: &["-c", URLLIB3] },
    Client { name: "urllib", program: "python3", arguments: &["-c", URLLIB] },
    Client { name: "sseclient-py", program: "python3", arguments: &["-c", SSECLIENT] },
    Client { name: "httpx-sse", program: "python3", arguments: &["-c", HTTPX_SSE] },
    Client { name: "HTTP::Tiny", program: "perl", arguments: &["-e", HTTP_TINY] },
    Client { name: "curl", program: "curl", arguments: &["-sN", "-H", ACCEPT_FIELD] },
    Client { name: "curl, HTTP/1.0", program: "curl", arguments: &["-sN", "--http1.0", "-H", ACCEPT_FIELD] },
    Client { name: "wget", program: "wget", arguments: &["-qO-", "--header", ACCEPT_FIELD] },
];

/// A client that has joined, and the data of its events.
struct Running {
    name: &'static str,
    child: Child,
    data: Receiver<String>,
}

impl Client {
    fn join(&self, url: &str) -> Running {
        let mut command = Command::new(self.program);
        let modules = format!("{}/tests/browser/.python", env!("CARGO_MANIFEST_DIR"));
        command.args(self.arguments).arg(url).env("PYTHONPATH", modules).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, data) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(data) = line.strip_prefix("data: ")
                    && sender.send(data.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Running { name: self.name, child, data }
    }
}

impl Running {
    /// Waits for the next event, which has this data.
    #[track_caller]
    fn expect(&self, data: &str) {
        let next = self.data.recv_timeout(SOON);
        assert_eq!(next.as_deref(), Ok(data), "{}", self.name);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_client_receives_counts_and_messages_at_once_and_the_end_of_its_stream() {
    for client in &CLIENTS {
        // Nothing is repeated, so what a client holds back stays back.
        let daemon = Daemon::start(&[
            "--enable-uuid",
            "--notify-min-delay=0.1",
            "--notify-delta-ratio=0",
            "--notify-max-delay=600",
        ]);
        let mut running = client.join(&format!("http://{}/event/uuid", daemon.audience()));
        running.expect("1");
        let (other, _) = member(&daemon, "/event");
        running.expect("2");
        assert_eq!(daemon.notify("/event/score/2:0").expect_confirmed(), 2);
        running.expect("score=2:0");
        drop(other);
        running.expect("1");
        // The uuid is claimed anew, so this stream ends for good.
        let (_newer, _) = member(&daemon, "/event/uuid");
        let status = wait_for("its end", || running.child.try_wait().unwrap());
        assert!(status.success(), "{}: {status}", client.name);
    }
}

#[test]
fn a_body_that_the_daemon_ends_is_whole_to_a_client_that_looks() {
    // curl says 18 of a body that ends without its last chunk.
    let join = |daemon: &Daemon| CLIENTS[6].join(&format!("http://{}/event", daemon.audience()));
    let mut daemon = Daemon::start(&["--max-conn-duration=1", "--drain-delay=0"]);
    let mut lasted = join(&daemon);
    lasted.expect("1");
    assert_eq!(wait_for("the longest duration", || lasted.child.try_wait().unwrap()).code(), Some(0));
    let mut drained = join(&daemon);
    drained.expect("1");
    daemon.signal("TERM");
    assert_eq!(wait_for("the drain", || drained.child.try_wait().unwrap()).code(), Some(0));
    assert_eq!(daemon.wait_exit().code(), Some(0));
    let mut daemon = Daemon::start(&[]);
    let mut killed = join(&daemon);
    killed.expect("1");
    daemon.signal("KILL");
    assert_eq!(wait_for("the cut", || killed.child.try_wait().unwrap()).code(), Some(18));
    daemon.wait_exit();
}

#[test]
fn curl_gets_a_script_packed_or_plain_and_a_cache_is_told_that_there_are_two() {
    let daemon = Daemon::start(&[]);
    let fetch = |args: &[&str]| {
        let url = format!("http://{}/client/audience.js", daemon.audience());
        let output = Command::new("curl").args(["-sSi", "--max-time", "10", &url]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", lossy(&output.stderr));
        let text = lossy(&output.stdout);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    };
    let (head, plain) = fetch(&[]);
    assert!(!head.contains("Content-Encoding") && plain.contains("EventSource"), "{head}");
    assert!(head.contains("\r\nVary: Accept, Accept-Encoding\r\n"), "{head}");
    let (head, unpacked) = fetch(&["--compressed"]);
    assert!(head.contains("\r\nContent-Encoding: gzip\r\n") && unpacked == plain, "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    assert!(length.parse::<usize>().unwrap() < 4_000, "{head}");
}
