//! The scripts of the manual that hand on what watchers are told, as they stand there, with the tools of others that they call:
//! curl, jq, openssl and redis-cli.
//!
//! Owns who takes what they hand on: a site by the HTTP server of Python, which checks the signature by a library of its own, and a
//! Redis.

use std::fs;
use std::process::{Command, Stdio};

use audience_kit::*;
use serde_json::{Value, json};

/// Writes each body that it is sent into the file `bodies`, behind whether its signature is right. The first request fails.
const SITE: &str = "
import hashlib, hmac, http.server, sys
key = open('hook.key', 'rb').read().rstrip(b'\\n')
requests = 0
class Site(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global requests
        requests += 1
        body = self.rfile.read(int(self.headers['Content-Length']))
        expected = 'sha256=' + hmac.new(key, body, hashlib.sha256).hexdigest()
        is_right = hmac.compare_digest(expected, self.headers['X-Signature-256'])
        if requests > 1:
            with open('bodies', 'ab') as bodies:
                bodies.write(b'%d %s\\n' % (is_right, body))
        self.send_response(503 if requests == 1 else 204)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Site).serve_forever()
";

/// A name as an attacker would choose it for a shell and for JSON.
const STRANGE: &str = "a\"$(touch$IFS.broken)'=*";

/// A script of the manual that runs in a folder, and watches this daemon.
#[track_caller]
fn run_script(beginning: &str, argument: &str, folder: &ScratchFolder, daemon: &Daemon) -> Running {
    let script = manual::block("sh", beginning).replace("1442", &daemon.stats_port().port().to_string());
    fs::write(folder.file("script.sh"), script).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["script.sh", argument]).current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let running = Running::start(&mut shell);
    wait_until("it watches", || daemon.stats_page("/process").body.contains("\"watchers\":1"));
    running
}

/// Someone comes to an event and goes, and someone stays at the strange one. `said` is asked for what was handed on: the kinds and
/// the names.
#[track_caller]
fn come_and_go(daemon: &Daemon, mut said: impl FnMut() -> Vec<[Value; 2]>) {
    let (leaves, _) = member(daemon, "/final");
    let (_stays, _) = member(daemon, &format!("/{STRANGE}"));
    let strange = STRANGE.replace('*', "%2A");
    let mut wait = |kind: &str, name: &str| {
        let pair = [json!(kind), json!(name)];
        wait_until(&format!("{pair:?} is handed on"), || said().contains(&pair));
    };
    wait("occupied", "final");
    wait("occupied", &strange);
    drop(leaves);
    wait("vacated", "final");
}

#[test]
fn a_site_is_posted_what_happens_with_a_signature_that_it_can_check() {
    let daemon = Daemon::start(&[]);
    let folder = ScratchFolder::create("webhook");
    fs::write(folder.file("hook.key"), "the key of the site\n").unwrap();
    let port = free_port();
    let mut site = Command::new("python3");
    site.args(["-c", SITE, &port.to_string()]).current_dir(folder.path());
    let _site = Running::start(&mut site);
    wait_until("the site listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());

    let _bridge = run_script("# webhook.sh", &format!("http://127.0.0.1:{port}/hook"), &folder, &daemon);
    let mut posted: Vec<Value> = Vec::new();
    come_and_go(&daemon, || {
        let text = fs::read_to_string(folder.file("bodies")).unwrap_or_default();
        posted = text.lines().map(|line| serde_json::from_str(line.strip_prefix("1 ").unwrap()).unwrap()).collect();
        posted.iter().map(|body| ["event", "namespace"].map(|key| body[key].clone())).collect()
    });
    let over = posted.iter().find(|body| body["event"] == "vacated").unwrap();
    assert_eq!(over["members"], 0);
    assert!(over["at"].as_u64().unwrap().abs_diff(unix_now()) < 600, "{over}");
    assert!(!folder.file(".broken").exists(), "a name was run");
}

#[test]
fn a_stream_of_redis_has_what_happened() {
    let daemon = Daemon::start(&[]);
    let folder = ScratchFolder::create("redis-stream");
    let broker = Broker::start(Program::Redis, &[]);
    let _bridge = run_script("# redis.sh", &format!("redis://{}", broker.address()), &folder, &daemon);
    come_and_go(&daemon, || {
        let entries = broker.redis_cli(&["--json", "XRANGE", "audience", "-", "+"]);
        let entries: Vec<(Value, Vec<Value>)> = serde_json::from_str(&entries).unwrap_or_default();
        entries.iter().map(|(_, fields)| [fields[1].clone(), fields[3].clone()]).collect()
    });
    assert!(!folder.file(".broken").exists(), "a name was run");
}
