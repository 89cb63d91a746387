//! The table of the manual: what each proxy needs, and when it sees that a client has left.
//!
//! Owns the meaning of the table's words. The same is asked of every proxy, and its row says the answers that are expected.
//! Where the manual says that a proxy needs a setting, a test takes that setting away.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::proxy::*;
use audience_kit::*;

/// The page that has the table.
const PAGE: &str = "src/manual/proxies.md";

/// The members of the crowd, which is all that one address may have.
const CROWD: u64 = 20;

/// Nothing is repeated, so what a proxy holds back stays back.
const NO_REPEATS: [&str; 2] = ["--notify-max-delay", "600"];

/// For how long a count is watched that should not change.
const LOOKED_FOR: Duration = ms(300);

/// How often it is tried whether a proxy sees a leave no earlier than the manual says.
const TRIES: usize = 3;

/// What the table says of a proxy.
struct Row {
    /// How many counts or messages it takes until the proxy sees that a client has left: over HTTP/1.1, and over HTTP/2 if
    /// it speaks that.
    leaves: [Option<usize>; 2],
    /// How many streams of an HTTP/2 connection the proxy serves, of as many as the crowd is.
    shared: Option<u64>,
}

impl Row {
    #[track_caller]
    fn of(kind: Kind) -> Self {
        let page = fs::read_to_string(source().join(PAGE)).unwrap();
        let name = format!("| {} ", kind.recipe().name);
        let row =
            page.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("{PAGE}: no row {name:?}"));
        let cells = row.split('|').map(str::trim).collect::<Vec<_>>();
        let leaves = [cells[2], cells[3]].map(|cell| {
            let words = ["at once", "at the first count", "at the second count"];
            let place = words.iter().position(|words| *words == cell);
            assert!(place.is_some() || cell == "-", "{row}");
            place
        });
        let shared = cells[4].strip_suffix(&format!(" of {CROWD}")).map(|number| number.parse().unwrap());
        assert!(shared.is_some() || cells[4] == "-", "{row}");
        assert_eq!(shared.is_some(), leaves[1].is_some(), "{row}");
        Row { leaves, shared }
    }
}

/// The options of a visitor that comes from this address and claims to come from elsewhere. All of 127.0.0.0/8 is this
/// machine, and the daemon trusts 127.0.0.1 alone.
fn from(address: &str) -> [&str; 4] {
    ["--interface", address, "--header", "X-Forwarded-For: 203.0.113.7"]
}

#[track_caller]
fn check(kind: Kind) {
    let row = Row::of(kind);
    let most = CROWD.to_string();
    let options = [&NO_REPEATS[..], &["--drain-delay", "0.2", "--max-conn-per-ip", &most, "--enable-uuid"]].concat();
    let Scene { proxy, mut daemon } = Scene::set(kind, &options, &[]);
    limit(&proxy, &daemon);
    ask_back(&proxy, &daemon);
    if let Some(count) = row.shared {
        share(&proxy, &daemon, count);
    }
    let versions = ["--http1.1", "--http2"].into_iter().zip(row.leaves).zip(["/one", "/two"]);
    let members =
        versions.filter_map(|((version, leave), target)| Some(stay(&proxy, &daemon, version, leave?, target)));
    let mut members = members.collect::<Vec<_>>();

    let script = curl().arg(proxy.url("/client/audience.js")).stdout(Stdio::piped()).output().unwrap();
    assert_eq!(lossy(&script.stdout), get(daemon.audience(), "/client/audience.js").body, "{kind:?}");
    daemon.signal("TERM");
    for Member { curl, .. } in &mut members {
        // Of a stream that is cut short, curl makes an error.
        let end = wait_for("the end of the stream", || curl.try_wait().unwrap());
        assert_eq!(end.code(), Some(0), "{kind:?}");
    }
    assert!(daemon.wait_exit().success());
}

/// All that one address may have are counted. One more is not counted, and one of another address is.
#[track_caller]
fn limit(proxy: &Proxy, daemon: &Daemon) {
    let visitors = from("127.0.0.3");
    let parallel = ["--http1.1", "--parallel", "--parallel-max", "100", "--output", "/dev/null"];
    let crowd = proxy.join(&format!("/ns?[1-{CROWD}]"), &[&visitors[..], &parallel].concat());
    daemon.wait_members("ns", CROWD);
    let others = ["127.0.0.3", "127.0.0.4"].map(|address| proxy.join("/ns", &from(address)));
    wait_until("that one of them is not counted", || {
        ["members", "uncounted"].map(|key| daemon.stat("ns", key)) == [Some(CROWD + 1), Some(1)]
    });
    drop((crowd, others));
}

/// A page that asks whether it may come back gets the answer of the daemon, its header included.
#[track_caller]
fn ask_back(proxy: &Proxy, daemon: &Daemon) {
    let _holder = proxy.join("/asked/held", &from("127.0.0.5"));
    daemon.wait_members("asked", 1);
    for (target, method, status, farewell) in [
        ("/asked/held", "--head", "204", Some("claimed")),
        ("/asked/held", "--http1.1", "204", Some("claimed")),
        ("/asked/free", "--head", "200", None),
    ] {
        let mut asking = curl();
        asking.args([
            "--header",
            "Accept: text/event-stream",
            "--header",
            "Last-Event-ID: farewell",
            "--max-time",
            "8",
        ]);
        asking.args([method, "--dump-header", "-", "--output", "/dev/null"]).arg(proxy.url(target));
        let head = lossy(&asking.stdout(Stdio::piped()).output().unwrap().stdout).to_ascii_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::trim));
        assert_eq!(head.split(' ').nth(1), Some(status), "{target} {method}: {head}");
        assert_eq!(field("audience-meter-farewell"), farewell, "{target} {method}: {head}");
        assert_eq!(field("access-control-expose-headers"), farewell.map(|_| "audience-meter-farewell"), "{head}");
        assert!(field("cache-control").is_some_and(|value| value.contains("no-store")), "{head}");
    }
    assert_eq!(daemon.stat("asked", "members"), Some(1));
}

/// A client that opens as many streams as the crowd is, all of them over one connection.
const ONE_CONNECTION: &str = "
const connection = require('node:http2').connect(process.argv[1], { rejectUnauthorized: false, autoSelectFamily: false });
for (let stream = 0; stream < process.argv[2]; stream += 1) {
  connection.request({ ':path': '/shared', accept: 'text/event-stream' }).resume();
}
";

/// So many streams of one connection are served, and the others wait.
#[track_caller]
fn share(proxy: &Proxy, daemon: &Daemon, count: u64) {
    let mut node = Command::new("node");
    node.args(["-e", ONE_CONNECTION, &proxy.url(""), &CROWD.to_string()]).stdin(Stdio::null());
    let mut node = node.spawn().unwrap();
    daemon.wait_members("shared", count);
    if count < CROWD {
        assert!(is_still(count, || daemon.stat("shared", "members")), "not what the manual says");
    }
    node.kill().unwrap();
    node.wait().unwrap();
}

/// Two members stay for a while and one of them leaves, which the proxy sees after so many messages. Returns the other one.
///
/// What is on its way to a client that ends has the kernel say at once that there is none. So a leave may be seen early, but
/// not each time. A tortured daemon sends a message in pieces, which count as several.
#[track_caller]
fn stay(proxy: &Proxy, daemon: &Daemon, version: &str, leave: usize, target: &str) -> Member {
    let mut tries = (0..TRIES).map(|number| try_to_stay(proxy, daemon, version, leave, &format!("{target}-{number}")));
    let is_right = |took| took == leave || is_tortured();
    tries.find_map(|(member, took)| is_right(took).then_some(member)).expect("a leave is seen when the manual says")
}

/// The same once. Returns how many messages it took, too.
#[track_caller]
fn try_to_stay(proxy: &Proxy, daemon: &Daemon, version: &str, leave: usize, target: &str) -> (Member, usize) {
    let heads = ScratchFolder::create("heads");
    let file = heads.file("head");
    let mut first = proxy.join(target, &[version, "--dump-header", file.to_str().unwrap()]);
    first.stream.expect_count(1);
    expect_head(&fs::read_to_string(file).unwrap(), version);
    let mut second = proxy.join(target, &[version]);
    second.stream.expect_count(2);
    first.stream.expect_count(2);
    let message = Event::Message("score=2:1".to_owned());
    let say = || daemon.notify(&format!("{target}/score/2:1")).expect_confirmed();
    say();
    for member in [&mut first, &mut second] {
        member.stream.expect(&message);
    }
    drop(second);
    let members = || daemon.stat(target.trim_start_matches('/'), "members");
    let took = (0..leave).find(|_| !is_still(2, members) || say() == 0).unwrap_or(leave);
    wait_until("that it is counted out", || members() == Some(1));
    for _ in 0..took {
        first.stream.expect(&message);
    }
    first.stream.expect_count(1);
    (first, took)
}

/// Whether the count stays for a while.
fn is_still(count: u64, members: impl Fn() -> Option<u64>) -> bool {
    let deadline = Deadline::after(LOOKED_FOR);
    while deadline.left().is_some() {
        if members() != Some(count) {
            return false;
        }
    }
    true
}

/// The head of a stream passes as it is.
#[track_caller]
fn expect_head(head: &str, version: &str) {
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(if version == "--http2" { "http/2 200" } else { "http/1.1 200" }), "{head}");
    for field in
        ["content-type: text/event-stream", "cache-control: no-store, no-transform", "access-control-allow-origin: *"]
    {
        assert_eq!(head.matches(&format!("\r\n{field}\r\n")).count(), 1, "{field} once in {head}");
    }
}

#[test]
fn haproxy() {
    check(Kind::Haproxy);
}

#[test]
fn nginx() {
    check(Kind::Nginx);
}

#[test]
fn caddy() {
    check(Kind::Caddy);
}

#[test]
fn traefik() {
    check(Kind::Traefik);
}

#[test]
fn envoy() {
    check(Kind::Envoy);
}

#[test]
fn h2o() {
    check(Kind::H2o);
}

#[test]
fn lighttpd() {
    check(Kind::Lighttpd);
}

#[test]
fn apache() {
    check(Kind::Apache);
}

#[test]
fn squid() {
    check(Kind::Squid);
}

#[test]
fn varnish() {
    check(Kind::Varnish);
}

// ---------------------------------------------------------------------------------------------
// Without what the manual says
// ---------------------------------------------------------------------------------------------

/// Behind this proxy a client that has left is counted for a while.
#[track_caller]
fn expect_kept(kind: Kind, edit: Edit<'_>) {
    let Scene { proxy, daemon } = Scene::set(kind, &NO_REPEATS, &[edit]);
    let is_kept = (0..TRIES).any(|number| {
        let target = format!("/ns-{number}");
        let [mut first, mut second] = [(); 2].map(|()| proxy.join(&target, &["--http1.1"]));
        for member in [&mut first, &mut second] {
            member.stream.wait_count(2);
        }
        drop(second);
        is_still(2, || daemon.stat(&target[1..], "members"))
    });
    assert!(is_kept, "it sees a leave at once");
}

#[test]
fn caddy_that_flushes_at_once_does_not_see_a_leave_at_once() {
    let block = "reverse_proxy 127.0.0.1:8000 {\nflush_interval -1\n}";
    expect_kept(Kind::Caddy, ("reverse_proxy 127.0.0.1:8000", block));
}

#[test]
fn varnish_that_delivers_does_not_see_a_leave_at_once() {
    expect_kept(Kind::Varnish, ("return (pipe);", ""));
}

#[test]
fn envoy_with_a_timeout_of_the_route_ends_each_stream() {
    let Scene { proxy, daemon: _daemon } = Scene::set(Kind::Envoy, &[], &[("timeout: 0s", "timeout: 1s")]);
    let mut member = proxy.join("/ns", &[]);
    member.stream.expect_count(1);
    member.stream.expect_closed();
}

#[test]
fn lighttpd_would_hold_back_the_stream() {
    let Scene { proxy, daemon } = Scene::set(Kind::Lighttpd, &[], &[("server.stream-response-body = 2", "")]);
    let mut member = proxy.join("/ns", &[]);
    daemon.wait_members("ns", 1);
    member.stream.expect_silence(ms(700));
}

#[test]
fn apache_serves_six_streams_of_a_connection() {
    let both = ("Protocols http/1.1", "Protocols h2 http/1.1");
    let Scene { proxy, daemon } = Scene::set(Kind::Apache, &NO_REPEATS, &[both]);
    share(&proxy, &daemon, 6);
}
