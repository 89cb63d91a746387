//! Members with a uuid, and members that are counted later (`--increment-delay`).

use super::stream::prompt;
use audience_kit::*;

#[test]
fn the_newest_join_with_a_uuid_ends_the_one_before_with_a_farewell() {
    let daemon = prompt(&["--enable-uuid"]);
    let mut current = member(&daemon, "/ns/uuid").0;
    for _ in 0..3 {
        let (next, count) = member(&daemon, "/ns/uuid");
        assert_eq!(count, 1, "the one it supersedes is not in its first count");
        current.expect(&Event::Farewell);
        current.expect_closed();
        current = next;
    }
    assert_eq!(daemon.stat("ns", "members"), Some(1));
    assert_eq!(daemon.stat("ns", "connections"), Some(4));
    current.expect_silence(ms(300));
}

#[test]
fn a_request_for_a_uuid_that_asks_for_no_stream_ends_it() {
    let daemon = prompt(&["--enable-uuid"]);
    let url = format!("http://{}/ns/leaver", daemon.audience());
    let leave = |method| {
        exchange(daemon.audience(), request(method, "/ns/leaver", "Host: h\r\nContent-Length: 0\r\n")).expect_empty();
    };
    let by_curl = |arguments: &[&str]| {
        let head = run("curl", &[arguments, &["-sSi", "-m", "5", &url]].concat());
        Reply::parse(head.as_bytes()).expect_empty();
    };
    let ways: [&dyn Fn(); 6] =
        [&|| leave("GET"), &|| leave("POST"), &|| leave("DELETE"), &|| by_curl(&[]), &|| by_curl(&["-d", ""]), &|| {
            by_curl(&["-X", "DELETE"]);
        }];
    for leave in ways {
        let (mut stream, _) = member(&daemon, "/ns/leaver");
        let (mut other, _) = member(&daemon, "/ns/stayer");
        stream.expect_count(2);
        leave();
        stream.wait_left();
        daemon.wait_members("ns", 1);
        other.expect_count(1);
        drop(other);
        daemon.wait_members("ns", 0);
    }
    // Again, without a member: not below zero.
    get(daemon.audience(), "/ns/leaver").expect_empty();
    get(daemon.audience(), "/unknown/leaver").expect_empty();
    assert_eq!(daemon.stat("ns", "members"), Some(0));
    assert_eq!(daemon.namespaces(), ["ns"]);
}

#[test]
fn other_methods_and_prefetches_of_a_uuid_end_nothing() {
    let daemon = prompt(&["--enable-uuid"]);
    let (mut stream, _) = member(&daemon, "/ns/uuid");
    let ask = |method, fields: &str| {
        exchange(daemon.audience(), request(method, "/ns/uuid", &format!("Host: h\r\n{fields}")))
    };
    for method in ["OPTIONS", "HEAD"] {
        ask(method, ACCEPT);
        ask(method, "");
    }
    for method in ["PUT", "PATCH", "BREW", "get"] {
        ask(method, "").expect_advice();
    }
    for field in ["Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "X-Moz: prefetch"] {
        ask("GET", &format!("{field}\r\n")).expect_advice();
    }
    stream.expect_silence(ms(200));
    let preflight = ask("OPTIONS", "Origin: https://page.example\r\nAccess-Control-Request-Method: DELETE\r\n");
    assert!(
        preflight.header("Access-Control-Allow-Methods").unwrap().split(", ").any(|it| it == "DELETE"),
        "{preflight:?}"
    );
}

#[test]
fn a_page_of_an_origin_that_is_not_allowed_ends_nothing() {
    let daemon = prompt(&["--enable-uuid", "--allow-origin", "https://good.example"]);
    let ask = |method, fields: &str| {
        exchange(daemon.audience(), request(method, "/ns/uuid", &format!("Host: h\r\n{fields}")))
    };
    let (mut stream, _) = member(&daemon, "/ns/uuid");
    for method in ["GET", "POST", "DELETE"] {
        for fields in [
            "Origin: https://evil.example\r\nSec-Fetch-Mode: cors\r\n",
            "Origin: null\r\n",
            // An image of a page elsewhere: the origin is left out.
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
            "Sec-Fetch-Site: same-site\r\n",
        ] {
            assert_eq!(ask(method, fields).status, 403, "{method} {fields}");
        }
    }
    stream.expect_silence(ms(200));
    for fields in
        ["", "Origin: https://good.example\r\nSec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-origin\r\n"]
    {
        ask("POST", fields).expect_empty();
        stream.wait_left();
        stream = member(&daemon, "/ns/uuid").0;
    }
}

#[test]
fn a_uuid_belongs_to_its_namespace_and_no_uuid_is_none() {
    let daemon = prompt(&["--enable-uuid"]);
    let mut streams =
        ["/one/same", "/two/same", "/one/other", "/one", "/one", "/two/SAME"].map(|target| member(&daemon, target).0);
    assert_eq!(daemon.stat("one", "members"), Some(4));
    assert_eq!(daemon.stat("two", "members"), Some(2));
    get(daemon.audience(), "/one").expect_advice();
    get(daemon.audience(), "/one/nobody").expect_empty();
    assert_eq!(daemon.stat("one", "members"), Some(4));
    for stream in &mut streams {
        let end = std::iter::from_fn(|| stream.next(ms(1))).find(|event| !matches!(event, Event::Count(_)));
        assert_eq!(end, None);
    }
}

#[test]
fn without_enable_uuid_what_follows_the_namespace_is_ignored() {
    let daemon = prompt(&[]);
    let (mut first, _) = member(&daemon, "/ns/uuid");
    let (second, count) = member(&daemon, "/ns/uuid");
    assert_eq!(count, 2);
    get(daemon.audience(), "/ns/uuid").expect_advice();
    first.expect_count(2);
    first.expect_silence(ms(200));
    assert_eq!(daemon.stat("ns", "members"), Some(2));
    drop(second);
}

/// The answer that has a page not come back, which it may read.
#[track_caller]
fn expect_final(reply: &Reply, why: &str) {
    assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{reply:?}");
    assert_eq!(reply.header("Audience-Meter-Farewell"), Some(why), "{reply:?}");
    assert_eq!(reply.header("Access-Control-Expose-Headers"), Some("Audience-Meter-Farewell"), "{reply:?}");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "{reply:?}");
    assert_eq!(reply.header("Cache-Control"), Some("no-store"), "{reply:?}");
    assert_eq!(reply.header("Vary"), Some("Accept, Origin, Last-Event-ID"), "{reply:?}");
}

const FAREWELL: &str = "Last-Event-ID: farewell\r\n";
const LEFT: &str = "Last-Event-ID: left\r\n";

/// The answer to the question that lets none in.
fn head(daemon: &Daemon, target: &str, fields: &str) -> Reply {
    exchange(daemon.audience(), request("HEAD", target, &format!("Host: h\r\n{ACCEPT}{fields}")))
}

#[test]
fn a_page_that_was_sent_away_stays_away_while_another_stream_has_its_uuid() {
    let daemon = prompt(&["--enable-uuid"]);
    let (mut stream, _) = member(&daemon, "/ns/uuid");
    for _ in 0..2 {
        expect_final(&exchange(daemon.audience(), join_request("/ns/uuid", FAREWELL)), "claimed");
        expect_final(&head(&daemon, "/ns/uuid", FAREWELL), "claimed");
    }
    stream.expect_silence(ms(200));
    assert_eq!(daemon.stat("ns", "connections"), Some(1));
    drop(stream);
    daemon.wait_members("ns", 0);
    // Nothing else has it now.
    let asked = head(&daemon, "/ns/uuid", FAREWELL);
    assert_eq!((asked.status, asked.header("Content-Type")), (200, Some("text/event-stream")), "{asked:?}");
    assert_eq!(asked.header("Audience-Meter-Farewell"), None, "{asked:?}");
    assert_eq!((daemon.stat("ns", "members"), daemon.stat("ns", "connections")), (Some(0), Some(1)));
    let mut back = Stream::open(daemon.audience(), join_request("/ns/uuid", FAREWELL));
    back.expect_count(1);
    expect_final(&head(&daemon, "/ns/uuid", FAREWELL), "claimed");
}

#[test]
fn a_page_without_a_uuid_is_never_given_up() {
    for (arguments, target) in [(&["--enable-uuid"][..], "/ns"), (&[][..], "/ns"), (&[][..], "/ns/uuid")] {
        let daemon = prompt(arguments);
        let mut streams: Vec<Stream> = Vec::new();
        for (count, fields) in (1..).zip(["", FAREWELL, LEFT, FAREWELL]) {
            assert_eq!(head(&daemon, target, fields).header("Content-Type"), Some("text/event-stream"));
            streams.push(Stream::open(daemon.audience(), join_request(target, fields)));
            streams.last_mut().unwrap().expect_count(count);
        }
        assert_eq!(daemon.stat("ns", "members"), Some(4));
    }
}

#[test]
fn a_page_that_has_said_that_it_leaves_stays_away() {
    let daemon = prompt(&["--enable-uuid"]);
    let (mut stream, _) = member(&daemon, "/ns/uuid");
    get(daemon.audience(), "/ns/uuid").expect_empty();
    stream.wait_left();
    expect_final(&exchange(daemon.audience(), join_request("/ns/uuid", LEFT)), "left");
    expect_final(&head(&daemon, "/ns/uuid", LEFT), "left");
    assert_eq!((daemon.stat("ns", "members"), daemon.stat("ns", "connections")), (Some(0), Some(1)));
    let other = join_request("/ns/other", "Last-Event-ID: 12\r\n");
    Stream::open(daemon.audience(), other).expect_count(1);
}

#[test]
fn a_page_of_a_listed_origin_may_read_why_it_stays_away() {
    let daemon = prompt(&["--enable-uuid", "--allow-origin", "https://good.example"]);
    let _stream = member(&daemon, "/ns/uuid").0;
    let good = format!("Origin: https://good.example\r\n{FAREWELL}");
    let reply = head(&daemon, "/ns/uuid", &good);
    assert_eq!((reply.status, reply.header("Audience-Meter-Farewell")), (204, Some("claimed")), "{reply:?}");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("https://good.example"), "{reply:?}");
    let bad = head(&daemon, "/ns/uuid", &format!("Origin: https://evil.example\r\n{FAREWELL}"));
    assert_eq!((bad.status, bad.header("Audience-Meter-Farewell")), (403, None), "{bad:?}");
}

// ---------------------------------------------------------------------------------------------
// Pages that are prepared in advance
// ---------------------------------------------------------------------------------------------

const PREFETCH: &str = "Sec-Purpose: prefetch;prerender\r\n";

/// The next block, which says when to come back, and the count that came with it.
#[track_caller]
fn expect_visit(stream: &mut Stream, count: Option<u64>) {
    assert!(matches!(stream.next(SOON), Some(Event::Retry(500..=1_000))));
    if let Some(count) = count {
        stream.expect(&Event::Count(count));
    }
}

#[test]
fn a_page_that_is_prepared_in_advance_gets_counts_and_is_not_counted() {
    let daemon = prompt(&["--enable-uuid"]);
    let (mut shown, _) = member(&daemon, "/ns/uuid");
    let mut visit = Stream::open(daemon.audience(), join_request("/ns/uuid", PREFETCH));
    expect_visit(&mut visit, Some(1));
    let since = now();
    let (other, _) = member(&daemon, "/ns/other");
    shown.expect_count(2);
    visit.expect_count(2);
    daemon.notify("/ns/news/early").expect_confirmed();
    visit.expect(&Event::Message("news=early".to_owned()));
    shown.expect(&Event::Message("news=early".to_owned()));
    assert_eq!((daemon.stat("ns", "members"), daemon.stat("ns", "connections")), (Some(2), Some(2)));
    // Its end has it come back, and by then it may be shown.
    visit.wait_closed();
    let lasted = since.elapsed();
    assert!((ms(9_900)..ms(11_000)).contains(&lasted), "{lasted:?}");
    drop((shown, other));
}

#[test]
fn a_page_that_is_prepared_in_advance_leaves_no_trace() {
    let daemon = prompt(&["--max-conn-per-ip", "1"]);
    let mut visit = Stream::open(daemon.audience(), join_request("/ns", PREFETCH));
    expect_visit(&mut visit, None);
    let mut shown = member(&daemon, "/ns").0;
    visit.expect_count(1);
    drop(visit);
    shown.expect_silence(ms(300));
    assert_eq!((daemon.stat("ns", "members"), daemon.stat("ns", "connections")), (Some(1), Some(1)));
    drop(Stream::open(daemon.audience(), join_request("/nobody", PREFETCH)));
    wait_until("that it is forgotten", || daemon.namespaces() == ["ns"]);
}

// ---------------------------------------------------------------------------------------------
// --increment-delay
// ---------------------------------------------------------------------------------------------

#[test]
fn a_member_hears_counts_at_once_and_is_counted_after_the_increment_delay() {
    let delay = ms(700);
    let daemon = prompt(&["--increment-delay", "0.7"]);
    let before = now();
    let mut first = Stream::join(daemon.audience(), "/patient");
    // The total is 0, which is never told.
    first.expect_count(1);
    let since = before.elapsed();
    assert!(since + TICK >= delay, "counted after {since:?}");
    assert_eq!(daemon.stat("patient", "connections"), Some(1));

    let before = now();
    let (mut second, count) = member(&daemon, "/patient");
    assert_eq!(count, 1, "the first count of who is not yet counted");
    first.expect_count(2);
    let since = before.elapsed();
    assert!(since + TICK >= delay, "counted after {since:?}");
    second.expect_count(2);
}

#[test]
fn who_leaves_before_the_increment_delay_leaves_no_trace() {
    let daemon = prompt(&["--increment-delay", "0.4"]);
    let (mut stays, count) = member(&daemon, "/trace");
    assert_eq!(count, 1);
    let (gone, _) = member(&daemon, "/trace");
    let waiting = Stream::join(daemon.audience(), "/nobody");
    drop((gone, waiting));
    stays.expect_silence(ms(700));
    assert_eq!(daemon.stat("trace", "members"), Some(1));
    assert_eq!(daemon.stat("trace", "connections"), Some(1));
    assert_eq!(daemon.namespaces(), ["trace"]);
}

#[test]
fn a_message_reaches_a_member_that_is_not_yet_counted() {
    let daemon = prompt(&["--increment-delay", "600"]);
    let mut streams = [0, 1].map(|_| Stream::join(daemon.audience(), "/waiting"));
    for stream in &mut streams {
        assert!(matches!(stream.next(SOON), Some(Event::Retry(_))));
        stream.expect_silence(ms(100));
    }
    daemon.notify("/waiting/news/early");
    for stream in &mut streams {
        stream.expect(&Event::Message("news=early".to_owned()));
    }
}
