//! The number of an event's members without a stream: JSON and a badge, for pages, caches and tools of others.

use std::process::Command;

use audience_kit::*;

const OPEN: &str = "--allow-listen";

/// The answer for this query, without counting.
fn ask(daemon: &Daemon, method: &str, query: &str, fields: &str) -> Reply {
    exchange(daemon.audience(), request(method, &format!("/?{query}"), &format!("Host: h\r\n{fields}")))
}

#[test]
fn a_number_is_for_pages_and_caches_and_counts_nobody() {
    let daemon = Daemon::start(&[OPEN]);
    let streams = [member(&daemon, "/ns"), member(&daemon, "/ns")];
    for (query, content_type, body) in [
        ("members=ns", "application/json", "{\"members\":2}\n"),
        ("members=%6es&x=y", "application/json", "{\"members\":2}\n"),
        ("members=none", "application/json", "{\"members\":0}\n"),
    ] {
        let reply = ask(&daemon, "GET", query, "Origin: https://page.example\r\n");
        assert_eq!((reply.status, &*reply.body), (200, body), "{query}");
        for (field, value) in [
            ("Content-Type", content_type),
            ("Cache-Control", "public, max-age=2"),
            ("Access-Control-Allow-Origin", "*"),
            ("Cross-Origin-Resource-Policy", "cross-origin"),
            ("X-Content-Type-Options", "nosniff"),
        ] {
            assert_eq!(reply.header(field), Some(value), "{reply:?}");
        }
        assert_eq!((reply.header("Vary"), reply.header("Access-Control-Allow-Credentials")), (None, None));
        let head = ask(&daemon, "HEAD", query, "");
        assert_eq!((head.status, &*head.body), (200, ""), "{head:?}");
        assert_eq!(head.header("Content-Length"), Some(&*body.len().to_string()));
    }
    let badge = ask(&daemon, "GET", "members=ns&as=svg", "");
    assert_eq!((badge.status, badge.header("Content-Type")), (200, Some("image/svg+xml")));
    assert!(badge.body.starts_with("<svg ") && badge.body.contains(">2</text>"), "{badge:?}");
    assert_eq!(daemon.stat("ns", "connections"), Some(2));
    assert_eq!(daemon.namespaces(), ["ns"], "to ask makes no namespace");
    drop(streams);
}

#[test]
fn a_number_may_be_kept_for_the_least_delay_between_two_counts() {
    for (delay, age) in [("0", 0), ("0.1", 1), ("2.001", 3), ("60", 60)] {
        let daemon = Daemon::start(&[OPEN, "--notify-min-delay", delay]);
        let reply = ask(&daemon, "GET", "members=ns", "");
        assert_eq!(reply.header("Cache-Control"), Some(&*format!("public, max-age={age}")), "{delay}");
    }
}

#[test]
fn what_asks_for_no_number_is_refused_with_its_remedy() {
    let daemon = Daemon::start(&[OPEN, "--namespaces", "final"]);
    for (query, status, part) in [
        ("members", 400, "ask for /?members=name"),
        ("members=", 400, "ask for /?members=name"),
        ("members=final&members=final", 400, "name one event"),
        ("members=final&as=png", 400, "as=svg for an image"),
        ("members=other", 404, "no event of this name"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = ask(&daemon, method, query, "");
            assert_eq!((reply.status, reply.header("Cache-Control")), (status, Some("no-store")), "{query}");
            assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "{query}");
            assert!(method == "HEAD" || reply.body.contains(part), "{reply:?}");
        }
    }
    let closed = Daemon::start(&[]);
    let reply = ask(&closed, "GET", "members=final", "");
    assert!(reply.status == 403 && reply.body.contains("--allow-listen"), "{reply:?}");
}

#[test]
fn pages_of_listed_origins_may_read_a_number_and_caches_keep_them_apart() {
    let daemon = Daemon::start(&[OPEN, "--allow-origin", "https://a.example"]);
    let of = |fields: &str| ask(&daemon, "GET", "members=ns", fields);
    let reply = of("Origin: https://a.example\r\n");
    assert_eq!((reply.status, reply.header("Access-Control-Allow-Origin")), (200, Some("https://a.example")));
    assert_eq!(reply.header("Vary"), Some("Origin"));
    assert_eq!((of("").status, of("").header("Vary")), (200, Some("Origin")));
    for fields in ["Origin: https://b.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!((of(fields).status, of(fields).header("Cache-Control")), (403, Some("no-store")), "{fields}");
    }
}

#[test]
fn a_name_stands_there_as_it_stands_in_the_address_of_its_event() {
    let daemon = Daemon::start(&[OPEN]);
    for name in ["caf%c3%a9", "a%2Cb", "a,b", "a%2fb", "50%", "a=b", "a%26b", "a+b"] {
        let (_stream, _) = member(&daemon, &format!("/{name}"));
        assert_eq!(ask(&daemon, "GET", &format!("members={name}"), "").body, "{\"members\":1}\n", "{name}");
    }
}

#[test]
fn tools_of_others_read_the_number() {
    let daemon = Daemon::start(&[OPEN]);
    let (_stream, _) = member(&daemon, "/caf%C3%A9");
    let url = format!("http://{}/?members=caf%C3%A9", daemon.audience());
    let script = "import requests, sys
print(requests.get(sys.argv[1], params={'members': 'caf\u{e9}'}).json()['members'])";
    let modules = source().join("tests/browser/.python");
    let base = format!("http://{}/", daemon.audience());
    let requests = Command::new("python3").args(["-c", script, &base]).env("PYTHONPATH", modules).output().unwrap();
    let node = "fetch(process.argv[1]).then((reply) => reply.json()).then(({ members }) => console.log(members))";
    assert_eq!(lossy(&requests.stdout), "1\n", "{}", lossy(&requests.stderr));
    assert_eq!(run("node", &["-e", node, &url]), "1\n");
    assert_eq!(run("curl", &["-sS", &url]), "{\"members\":1}\n");
    assert_eq!(run("wget", &["-qO-", &url]), "{\"members\":1}\n");
}
