//! The audience port, one request at a time: what joins, what does not, and how targets are read.
//!
//! Nobody is counted by a request that was refused, and nothing that follows a request on its connection is ever read as
//! another. (What is malformed: `rfc9112`.)

use std::io::Write;
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream};

use audience_kit::*;

/// Fails unless `request` joins and is counted.
#[track_caller]
pub(super) fn joins(daemon: &Daemon, request: impl AsRef<[u8]>) -> Stream {
    let mut stream = Stream::open(daemon.audience(), &request);
    let count = stream.next_count(SOON);
    assert_eq!(count, 1, "{}", lossy(request.as_ref()));
    stream
}

// ---------------------------------------------------------------------------------------------
// Joining
// ---------------------------------------------------------------------------------------------

#[test]
fn the_head_of_a_stream_has_the_old_lines_in_the_old_order() {
    let daemon = Daemon::start(&[]);
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let line = format!("GET /order HTTP/1.1\r\nHost: h\r\n{ACCEPT}\r\n");
        let stream = Stream::open(daemon.audience(), line.replace("HTTP/1.1", version));
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store, \
            no-transform\r\nAccess-Control-Allow-Origin: *\r\nConnection: close";
        assert!(stream.head.starts_with(expected), "{:?}", stream.head);
        let head = stream.head.to_ascii_lowercase();
        assert_eq!(head.contains("\r\ntransfer-encoding: chunked"), version == "HTTP/1.1", "{head:?}");
        assert_eq!(head.contains("transfer-encoding"), version == "HTTP/1.1", "{head:?}");
        assert!(!head.contains("content-length"), "{head:?}");
        assert!(head.contains("x-accel-buffering: no"), "{head:?}");
    }
}

#[test]
fn a_target_names_a_namespace_without_its_query() {
    let cases = [
        ("/event", "event"),
        ("/query?a=b/c", "query"),
        ("/mark?", "mark"),
        ("/outer/inner", "outer"),
        ("/caf%C3%A9", "caf%C3%A9"),
        ("/a%2Fb", "a%2Fb"),
        ("/%2e%2e%2e", "..."),
        ("/..", ".."),
        ("/50%", "50%"),
        ("/a+b", "a+b"),
        ("/UPPER", "UPPER"),
        ("/constructor", "constructor"),
        ("/__proto__", "__proto__"),
        ("/\"quoted\"", "\"quoted\""),
        ("/back\\slash", "back\\slash"),
        ("/@foo", "@foo"),
        ("/foo", "foo"),
        ("http://h/absolute", "absolute"),
        ("http://h:80/port?q", "port"),
        ("HTTP://h/scheme/x", "scheme"),
        ("/client/audience.js", "client"),
    ];
    let daemon = Daemon::start(&[]);
    let streams = cases.map(|(target, _)| {
        let (stream, count) = member(&daemon, target);
        assert_eq!(count, 1, "{target}");
        stream
    });
    let mut names = cases.map(|(_, name)| name.to_owned());
    names.sort();
    assert_eq!(daemon.namespaces(), names);
    drop(streams);
}

#[test]
fn a_target_that_names_no_namespace_joins_nobody() {
    let daemon = Daemon::start(&[]);
    let targets = ["/", "/?x", "/ns/", "/ns/?x", "/a/b/c", "//x", "//", "/a//", "http://h", "http://h/"];
    for target in targets {
        exchange(daemon.audience(), join_request(target, "")).expect_empty();
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn any_method_joins_if_its_accept_says_event_stream() {
    let daemon = Daemon::start(&[]);
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "BREW", "get"];
    let streams = methods.map(|method| {
        let target = format!("/{method}");
        joins(&daemon, request(method, &target, &format!("Host: h\r\n{ACCEPT}")))
    });
    let accepts = [
        "accept: text/event-stream",
        "ACCEPT:text/event-stream",
        "Accept: \t text/event-stream \t",
        "Accept: text/html, text/event-stream;q=0.9, */*",
    ];
    for (index, accept) in accepts.iter().enumerate() {
        let stream = joins(&daemon, request("GET", &format!("/{index}"), &format!("Host: h\r\n{accept}\r\n")));
        drop(stream);
    }
    drop(streams);
}

#[test]
fn the_body_of_a_join_is_ignored() {
    let daemon = Daemon::start(&["--notify-min-delay", "0.1"]);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let inside = join_request("/smuggled", "");
    let bodies = [
        (format!("Content-Length: {}\r\n", inside.len()), inside.clone()),
        ("Content-Length: 0\r\n".to_owned(), String::new()),
        (chunked.to_owned(), format!("{:x}\r\n{inside}\r\n0\r\n\r\n", inside.len())),
    ];
    for (index, (header, body)) in bodies.iter().enumerate() {
        let headers = format!("Host: h\r\n{ACCEPT}{header}");
        let mut stream = joins(&daemon, request("POST", &format!("/{index}"), &headers) + body);
        stream.socket.write_all(b"and more of it, later").unwrap();
        let (other, _) = member(&daemon, &format!("/{index}"));
        stream.expect_count(2);
        drop(other);
    }
    assert_eq!(daemon.namespaces(), ["0", "1", "2"]);
}

#[test]
fn what_follows_a_join_is_never_parsed() {
    let daemon = Daemon::start(&[]);
    let second = join_request("/second", "");
    let mut stream = joins(&daemon, join_request("/first", "") + &second);
    stream.socket.write_all(second.as_bytes()).unwrap();

    member(&daemon, "/third");
    assert_eq!(daemon.namespaces(), ["first", "third"]);
    stream.expect_silence(ms(1));
}

#[test]
fn the_audience_port_speaks_ipv6_too_unless_host_says_otherwise() {
    let daemon = Daemon::start(&[]);
    let on_v6 = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    if has_ipv6() {
        Stream::join(on_v6(daemon.audience().port()), "/six").expect_count(1);
        let daemon = Daemon::start(&["--host", "::1"]);
        assert_eq!(daemon.listening("audience"), [daemon.audience()]);
        assert_eq!(daemon.audience().ip(), Ipv6Addr::LOCALHOST);
        Stream::join(daemon.audience(), "/six").expect_count(1);
    }
    let daemon = Daemon::start(&["--host", "127.0.0.1"]);
    let address = daemon.audience();
    assert_eq!(daemon.listening("audience"), [address]);
    Stream::join(address, "/four").expect_count(1);
    assert!(TcpStream::connect(on_v6(address.port())).is_err());
}

// ---------------------------------------------------------------------------------------------
// What is well-formed and no join
// ---------------------------------------------------------------------------------------------

#[test]
fn everything_else_that_is_well_formed_is_200_and_counts_no_member() {
    let daemon = Daemon::start(&[]);
    for method in ["GET", "POST", "PUT", "BREW"] {
        for accept in ["", "Accept: */*\r\n", "Accept: text/html\r\n", "X-Accept: text/event-stream\r\n"] {
            let ask = |target| exchange(daemon.audience(), request(method, target, &format!("Host: h\r\n{accept}")));
            for target in ["/", "/?x", "/a/b/c", "/ns/", "http://h"] {
                ask(target).expect_empty();
            }
            for target in ["/ns", "/ns/uuid", "/ns?text/event-stream", "http://h/ns"] {
                ask(target).expect_advice();
            }
        }
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn a_request_that_ends_its_sending_side_is_still_answered() {
    let daemon = Daemon::start(&[]);
    let mut socket = connect(daemon.audience());
    socket.write_all(request("GET", "/", "Host: h\r\n").as_bytes()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    Reply::parse(&read_to_end(&mut socket)).expect_empty();
}

#[test]
fn options_is_204_with_the_cors_headers_and_joins_nobody() {
    let daemon = Daemon::start(&[]);
    let preflight = "Origin: http://page.example\r\nAccess-Control-Request-Method: GET\r\n";
    for target in ["/ns", "*", "/"] {
        let headers = format!("Host: h\r\n{ACCEPT}{preflight}");
        let reply = exchange(daemon.audience(), request("OPTIONS", target, &headers));
        assert_eq!(reply.status, 204, "{reply:?}");
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "{reply:?}");
        assert!(reply.header("Access-Control-Allow-Methods").unwrap().contains("GET"), "{reply:?}");
        assert!(reply.header("Access-Control-Allow-Headers").is_some(), "{reply:?}");
        assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
        assert_eq!(reply.body, "");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn what_a_person_types_without_the_header_says_which_header_to_send() {
    let daemon = Daemon::start(&[]);
    let url = format!("http://{}/ns", daemon.audience());
    let advice = run("curl", &["-sS", "-m", "5", &url]);
    assert_eq!(run("wget", &["-qO-", "-T", "5", &url]), advice);
    assert_eq!(
        run(
            "python3",
            &["-c", "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end='')", &url]
        ),
        advice
    );
    // The advice holds: what it says to give to curl joins.
    let arguments = advice.trim_end().split_once("curl ").unwrap().1.split('\'').map(str::trim).collect::<Vec<_>>();
    let ["-N -H", header, ""] = arguments[..] else { panic!("{arguments:?}") };
    let stream = run("sh", &["-c", "timeout 2 curl -sN -H \"$1\" \"$2\" | head -n 2", "sh", header, &url]);
    assert!(stream.starts_with("retry: ") && stream.ends_with("\ndata: 1\n"), "{stream:?}");
}

#[test]
fn head_gets_the_head_alone_and_joins_nobody() {
    let daemon = Daemon::start(&[]);
    for target in ["/ns", "/", "/client/audience.js", "/crossdomain.xml"] {
        for accept in ["", ACCEPT] {
            let headers = format!("Host: h\r\n{accept}");
            let reply = exchange(daemon.audience(), request("HEAD", target, &headers));
            assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{target}: {reply:?}");
        }
    }
    for target in ["/client/audience.js", "/ns"] {
        let head = exchange(daemon.audience(), request("HEAD", target, "Host: h\r\n"));
        let whole = get(daemon.audience(), target);
        assert_eq!((head.head, head.body.is_empty()), (whole.head, true), "{target}");
        assert!(!whole.body.is_empty(), "{target}");
    }
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}

#[test]
fn crossdomain_xml_is_the_policy_that_lets_any_domain_in() {
    let daemon = Daemon::start(&[]);
    let reply = get(daemon.audience(), "/crossdomain.xml");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("Content-Type"), Some("application/xml"), "{reply:?}");
    let length = reply.body.len().to_string();
    assert_eq!(reply.header("Content-Length"), Some(length.as_str()));
    assert_eq!(reply.header("Connection"), Some("close"));
    assert!(reply.body.starts_with("<?xml version=\"1.0\"?>"), "{reply:?}");
    for (element, attributes) in [
        ("site-control", &["permitted-cross-domain-policies=\"master-only\""][..]),
        ("allow-access-from", &["domain=\"*\"", "secure=\"false\""]),
        ("allow-http-request-headers-from", &["domain=\"*\"", "headers=\"Accept\""]),
    ] {
        let at = reply.body.find(&format!("<{element} ")).unwrap_or_else(|| panic!("{element}"));
        let tag = reply.body[at..].split('>').next().unwrap();
        for attribute in attributes {
            assert!(tag.contains(attribute), "{attribute} in {tag}");
        }
    }
}

#[test]
fn the_client_scripts_are_on_the_audience_port() {
    let daemon = Daemon::start(&[]);
    for name in ["audience.js", "element.js", "viewers.min.js", "audience.min.js", "jquery.audience.js"] {
        for target in [format!("/client/{name}"), format!("/client/{name}?v=3")] {
            let reply = get(daemon.audience(), &target);
            assert_eq!(reply.status, 200, "{target}");
            let kind = reply.header("Content-Type").unwrap();
            assert!(kind.starts_with("text/javascript"), "{kind}");
            let length = reply.body.len().to_string();
            assert_eq!(reply.header("Content-Length"), Some(length.as_str()));
            assert!(reply.body.len() > 100, "{target}: {}", reply.body);
        }
    }
    let script = get(daemon.audience(), "/client/jquery.audience.js").body;
    assert!(script.contains("audience"), "{script}");
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
}
