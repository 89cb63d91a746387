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

/// It fails at an event that has no data, but for the last one.
const SSECLIENT: &str = "
import requests, sseclient, sys
reply = requests.get(sys.argv[1], headers={'Accept': 'text/event-stream'}, stream=True)
for event in sseclient.SSEClient(reply).events():
    assert event.data or event.event == 'farewell', event
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

const FETCH: &str = "
const { body } = await fetch(process.argv[1], { headers: { Accept: 'text/event-stream' } });
for await (const bytes of body) process.stdout.write(bytes);
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

/// Counts come at once, and none is repeated: what a client holds back stays back.
const OPTIONS: [&str; 4] =
    ["--enable-uuid", "--notify-min-delay=0.1", "--notify-delta-ratio=0", "--notify-max-delay=600"];

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
        let daemon = Daemon::start(&OPTIONS);
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
fn every_client_joins_the_event_that_a_person_typed_however_it_spells_it() {
    let daemon = Daemon::start(&["--notify-min-delay=0.1", "--notify-delta-ratio=0", "--notify-max-delay=600"]);
    let name = "caf\u{e9}-~.1";
    let url = format!("http://{}/{name}", daemon.audience());
    // Some take no address beyond ASCII, so their users quote, and some of them with small letters.
    let quoted = url.replace('\u{e9}', "%c3%a9").replace('-', "%2d");
    let mut running = Vec::new();
    // (urllib3 leaves after three seconds of silence, and spells as requests does.)
    for client in CLIENTS.iter().filter(|client| client.name != "urllib3") {
        let members = running.len() as u64 + 1;
        running.push(client.join(if ["urllib", "HTTP::Tiny"].contains(&client.name) { &quoted } else { &url }));
        daemon.wait_members("caf%C3%A9-~.1", members);
    }
    let node = Client { name: "fetch", program: "node", arguments: &["--input-type=module", "-e", FETCH] };
    running.push(node.join(&url));
    daemon.wait_members("caf%C3%A9-~.1", running.len() as u64);
    assert_eq!(daemon.namespaces(), ["caf%C3%A9-~.1"]);
    // The recipes of the manual, typed with that name.
    let curl = |url: &str, arguments: &[&str]| run("curl", &[&["-sSg", "-m", "10", url], arguments].concat());
    let sent = curl(&format!("http://{}/{name}/score/2:0", daemon.notification()), &[]);
    assert_eq!(sent, format!("{{\"members\":{}}}\n", running.len()));
    for client in &running {
        let message = std::iter::from_fn(|| client.data.recv_timeout(SOON).ok()).find(|data| data.contains('='));
        assert_eq!(message.as_deref(), Some("score=2:0"), "{}", client.name);
    }
    let members = format!("\"members\":{},", running.len());
    let stats = format!("http://{}", daemon.stats_port());
    assert!(curl(&format!("{stats}/namespace/{name}"), &[]).contains(&members));
    let parameter = format!("name={name}");
    assert!(curl(&format!("{stats}/namespace/"), &["-G", "--data-urlencode", &parameter]).contains(&members));
    assert!(curl(&format!("{stats}/history/{name}.csv"), &["-f"]).lines().count() > 1);
    let watched = format!("timeout 10 curl -sN -G --data-urlencode 'watch={name}' {stats}/ | head -n 3");
    let last = format!("data: caf%C3%A9-~.1={}", running.len());
    assert_eq!(run("sh", &["-c", &watched]).lines().last(), Some(&*last));
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
    let fetch = |args: &[&str]| fetch_script(&daemon, "", args);
    let (head, plain) = fetch(&[]);
    assert!(!head.contains("Content-Encoding") && plain.contains("EventSource"), "{head}");
    assert!(head.contains("\r\nVary: Accept, Accept-Encoding\r\n"), "{head}");
    let (head, unpacked) = fetch(&["--compressed"]);
    assert!(head.contains("\r\nContent-Encoding: gzip\r\n") && unpacked == plain, "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    // The module has less than 4,000, and the element, which old pages find in the same script, the rest.
    assert!(length.parse::<usize>().unwrap() < 5_000, "{head}");
}

#[test]
fn curl_keeps_a_script_by_its_tag_and_for_ever_at_the_address_of_its_tag() {
    let daemon = Daemon::start(&[]);
    let file = ScratchFile::none("tag");
    let path = file.path();
    let (head, _) = fetch_script(&daemon, "", &["--etag-save", path]);
    assert!(head.contains("\r\nCache-Control: max-age=300\r\n"), "{head}");
    let saved = std::fs::read_to_string(path).unwrap();
    let tag = saved.trim().strip_prefix("W/\"").and_then(|tag| tag.strip_suffix('"')).unwrap();
    for also in [&[][..], &["--compressed"], &["--head"], &["-H", "If-None-Match: \"other\""]] {
        let (head, body) = fetch_script(&daemon, "", &[&["--etag-compare", path], also].concat());
        assert!(head.starts_with("HTTP/1.1 304 Not Modified\r\n") && body.is_empty(), "{also:?}: {head}");
        assert!(head.contains(saved.trim()) && head.contains("Vary: ") && !head.contains("Content-"), "{head}");
    }
    let (head, body) = fetch_script(&daemon, "", &["-H", "If-None-Match: W/\"0123456789abcdef\""]);
    assert!(head.starts_with("HTTP/1.1 200 ") && body.contains("EventSource"), "{head}");
    let forever = "\r\nCache-Control: public, max-age=31536000, immutable\r\n";
    for (query, is_forever) in [(format!("?v={tag}"), true), ("?v=0123456789abcdef".to_owned(), false)] {
        let (head, body) = fetch_script(&daemon, &query, &[]);
        assert!(head.contains(forever) == is_forever && body.contains("EventSource"), "{query}: {head}");
    }
}

/// The head and the body of the module, as curl gets it with these arguments.
fn fetch_script(daemon: &Daemon, query: &str, args: &[&str]) -> (String, String) {
    let url = format!("http://{}/client/audience.js{query}", daemon.audience());
    let output = Command::new("curl").args(["-sSi", "--max-time", "10", &url]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", lossy(&output.stderr));
    let text = lossy(&output.stdout);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn a_client_that_dies_and_comes_back_shows_in_no_count() {
    let daemon = Daemon::start(&[&OPTIONS[..], &["--leave-delay=600"]].concat());
    let (mut viewer, _) = member(&daemon, "/event");
    let figures = || ["members", "waiting", "connections"].map(|key| daemon.stat("event", key));
    for (client, connections) in CLIENTS.iter().zip(2..) {
        let url = format!("http://{}/event/{connections}", daemon.audience());
        let joined = client.join(&url);
        joined.expect("2");
        viewer.expect_count(2);
        drop(joined);
        wait_until(client.name, || figures() == [2, 1, connections].map(Some));
        let back = client.join(&url);
        back.expect("2");
        assert_eq!(figures(), [2, 0, connections].map(Some), "{}", client.name);
        viewer.expect_silence(ms(200));
        // Whoever leaves on purpose says so, by any request.
        get(daemon.audience(), &format!("/event/{connections}"));
        viewer.expect_count(1);
    }
}
