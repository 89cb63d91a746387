//! Whole sessions with each kind of broker: at every cut, with every refusal.

use super::*;
use crate::wire::report::DATAGRAM_MAX;

/// What a session has come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    events: Vec<String>,
    outgoing: Vec<u8>,
    refusal: Option<Refusal>,
}

fn run<'a>(mut session: Session, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut outcome = Outcome { outgoing: session.take_outgoing(), ..Outcome::default() };
    for piece in pieces {
        let fed = session.feed(piece, |event| {
            outcome.events.push(match event {
                Event::Datagram(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                other => format!("{other:?}"),
            });
        });
        outcome.outgoing.extend(session.take_outgoing());
        if let Err(refusal) = fed {
            outcome.refusal = Some(refusal);
            break;
        }
    }
    outcome
}

fn login() -> Login {
    Login { user: Some("u\"ser".to_owned()), secret: "p\r\n\\w".to_owned() }
}

/// Feeds bytes whole, cut at each place, and byte by byte, which must come to the same.
#[track_caller]
fn run_any_way(kind: Kind, login: Option<&Login>, bytes: &[u8]) -> Outcome {
    let session = || Session::new(kind, "am", login);
    let whole = run(session(), [bytes]);
    for cut in 0..=bytes.len() {
        assert_eq!(run(session(), [&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
    }
    assert_eq!(run(session(), bytes.chunks(1)), whole, "byte by byte");
    whole
}

const INFO: &str =
    "INFO {\"server_id\":\"NC\",\"version\":\"2.9.10\",\"proto\":1,\"headers\":true,\"max_payload\":1048576} \r\n";

const HELLO: &str = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:3\r\n\
    $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

const SUBSCRIBED: &str = ">3\r\n$9\r\nsubscribe\r\n$2\r\nam\r\n:1\r\n";

#[test]
fn a_session_with_nats_is_these_bytes() {
    let bytes = format!(
        "{INFO}PING\r\nMSG am 1 5\r\nearly\r\nPONG\r\nmsg am 1 reply.to 2\r\n\r\n\r\n+OK\r\nMSG\tam\t1\t0\r\n\r\n\
         PONG\r\n{INFO}PING\r\nMSG am 1 4\r\nlast\r\n"
    );
    let outcome = run_any_way(Kind::Nats, None, bytes.as_bytes());
    assert_eq!(outcome.events, ["early", "Ready", "\r\n", "", "last"]);
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":false,\"headers\":false,\"protocol\":1,\"lang\":\"rust\",\
         \"version\":\"{version}\",\"name\":\"audience-meter\"}}\r\nSUB am 1\r\nPING\r\nPONG\r\nPONG\r\n"
    );
    assert_eq!((String::from_utf8(outcome.outgoing).unwrap(), outcome.refusal), (expected, None));
}

#[test]
fn nats_is_given_a_user_or_a_token() {
    let connect =
        |login: &Login| String::from_utf8(run_any_way(Kind::Nats, Some(login), INFO.as_bytes()).outgoing).unwrap();
    assert!(connect(&login()).contains(r#","user":"u\"ser","pass":"p\r\n\\w"}"#));
    let token = Login { user: None, ..login() };
    assert!(connect(&token).contains(r#","name":"audience-meter","auth_token":"p\r\n\\w"}"#));
}

#[test]
fn a_session_with_redis_is_these_bytes() {
    let message = ">3\r\n$7\r\nmessage\r\n$2\r\nam\r\n$4\r\n\r\nhi\r\n";
    let strange = ">3\r\n$7\r\nmessage\r\n$2\r\nxx\r\n$2\r\nno\r\n>1\r\n$10\r\ninvalidate\r\n>0\r\n";
    let bytes = format!("{HELLO}{SUBSCRIBED}{message}{strange}:1\r\n|1\r\n+a\r\n+b\r\n{HELLO}{message}+PONG\r\n_\r\n");
    let outcome = run_any_way(Kind::Redis, None, bytes.as_bytes());
    assert_eq!((&outcome.events[..], outcome.refusal), (&["Ready", "\r\nhi", "\r\nhi"].map(str::to_owned)[..], None));
    let expected = "*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$14\r\naudience-meter\r\n\
        *2\r\n$9\r\nSUBSCRIBE\r\n$2\r\nam\r\n";
    assert_eq!(String::from_utf8(outcome.outgoing).unwrap(), expected);
}

#[test]
fn redis_is_given_a_user_or_the_default_one() {
    let hello =
        |login: &Login| String::from_utf8(Session::new(Kind::Redis, "am", Some(login)).take_outgoing()).unwrap();
    let begins = "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n";
    assert!(hello(&login()).starts_with(&format!("{begins}$5\r\nu\"ser\r\n$5\r\np\r\n\\w\r\n$7\r\nSETNAME")));
    let default = Login { user: None, ..login() };
    assert!(hello(&default).starts_with(&format!("{begins}$7\r\ndefault\r\n$5\r\np\r\n\\w\r\n")));
}

#[test]
fn what_is_published_and_asked_is_framed() {
    let framed = |kind| {
        let (session, mut out) = (Session::new(kind, "am", None), Vec::new());
        session.publish(b"a\r\nb", &mut out);
        session.ping(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(framed(Kind::Nats), "PUB am 4\r\na\r\nb\r\nPING\r\n");
    assert_eq!(framed(Kind::Redis), "*3\r\n$7\r\nPUBLISH\r\n$2\r\nam\r\n$4\r\na\r\nb\r\n*1\r\n$5\r\nHELLO\r\n");
}

#[test]
fn what_can_be_no_datagram_is_skipped_and_said_once() {
    let long = "x".repeat(DATAGRAM_MAX + 1);
    let just = "y".repeat(DATAGRAM_MAX);
    let nats = format!(
        "{INFO}PONG\r\nMSG am 1 {}\r\n{long}\r\nHMSG am 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\nHMSG am 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n\
         MSG am 1 {DATAGRAM_MAX}\r\n{just}\r\n",
        long.len()
    );
    let message = |text: &str| format!(">3\r\n$7\r\nmessage\r\n$2\r\nam\r\n${}\r\n{text}\r\n", text.len());
    let null = ">3\r\n$7\r\nmessage\r\n$2\r\nam\r\n$-1\r\n";
    let redis = format!("{HELLO}{SUBSCRIBED}{}{}{null}{}", message(&long), message(&long), message(&just));
    for (kind, bytes) in [(Kind::Nats, nats), (Kind::Redis, redis)] {
        let outcome = run_any_way(kind, None, bytes.as_bytes());
        assert_eq!(
            (outcome.events, outcome.refusal),
            (vec!["Ready".to_owned(), "Skipped".to_owned(), just.clone()], None)
        );
    }
}

#[track_caller]
fn refused(kind: Kind, login: Option<&Login>, bytes: impl AsRef<[u8]>) -> Refusal {
    run_any_way(kind, login, bytes.as_ref()).refusal.expect("a refusal")
}

#[test]
fn each_error_of_nats_has_its_remedy() {
    let protocol = |text: &str| Refusal::Protocol(text.to_owned());
    let not_allowed = |text: &str| Refusal::NotAllowed(text.to_owned());
    let table = [
        ("Authorization Violation", Refusal::WrongCredentials),
        ("Authentication Timeout", Refusal::WrongCredentials),
        ("User Authentication Expired", Refusal::WrongCredentials),
        ("User Authentication Revoked", Refusal::WrongCredentials),
        ("Account Authentication Expired", Refusal::WrongCredentials),
        ("Secure Connection - TLS Required", Refusal::TlsWanted),
        ("maximum connections exceeded", Refusal::Full),
        ("maximum account active connections exceeded", Refusal::Full),
        ("Slow Consumer", Refusal::SlowConsumer),
        ("Stale Connection", Refusal::Stale),
        ("Server Shutdown", Refusal::Leaving),
        ("Attempted To Connect To Route Port", Refusal::WrongPort),
        ("attempted to connect to leaf node port", Refusal::WrongPort),
        ("Permissions Violation for Publish to \"am\"", not_allowed("Permissions Violation for Publish to \"am\"")),
        (
            "Permissions Violation for Subscription to \"am\"",
            not_allowed("Permissions Violation for Subscription to \"am\""),
        ),
        ("Invalid Subject", not_allowed("Invalid Subject")),
        ("Maximum Payload Violation", protocol("Maximum Payload Violation")),
        ("Unknown Protocol Operation", protocol("Unknown Protocol Operation")),
        ("Parser Error", protocol("Parser Error")),
    ];
    for (text, refusal) in table {
        for before in ["", "PONG\r\n"] {
            let bytes = format!("{INFO}{before}-ERR '{text}'\r\n");
            assert_eq!(refused(Kind::Nats, Some(&login()), bytes), refusal, "{text}");
        }
    }
    let bytes = format!("{INFO}-ERR 'Authorization Violation'\r\n");
    assert_eq!(refused(Kind::Nats, None, bytes), Refusal::CredentialsNeeded);
    assert_eq!(refused(Kind::Nats, None, "-ERR 'maximum connections exceeded'\r\n"), Refusal::Full, "before INFO");
}

#[test]
fn an_info_may_end_a_session_early_and_late() {
    let table = [
        ("\"tls_required\":true", Refusal::TlsWanted),
        ("\"max_payload\":1199", Refusal::MaxPayload(1_199)),
        ("\"ldm\":true", Refusal::Leaving),
    ];
    for (member, refusal) in table {
        for before in ["", &format!("{INFO}PONG\r\n")] {
            assert_eq!(refused(Kind::Nats, None, format!("{before}INFO {{{member}}}\r\n")), refusal, "{member}");
        }
    }
    assert_eq!(run_any_way(Kind::Nats, None, b"INFO {\"max_payload\":1200}\r\nPONG\r\n").events, ["Ready"]);
}

#[test]
fn each_error_of_redis_has_its_remedy() {
    let no_channel = "NOPERM this user has no permissions to access one of the channels used as arguments";
    let table = [
        ("WRONGPASS invalid username-password pair or user is disabled.", Refusal::WrongCredentials),
        ("NOAUTH HELLO must be called with the client already authenticated", Refusal::CredentialsNeeded),
        ("NOPROTO unsupported protocol version", Refusal::TooOld),
        ("ERR unknown command 'HELLO'", Refusal::TooOld),
        (
            "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `u\"ser`, `p\\r\\n\\\\w`, ",
            Refusal::TooOld,
        ),
        ("LOADING Redis is loading the dataset in memory", Refusal::Loading),
        ("MASTERDOWN Link with MASTER is down", Refusal::Replica),
        ("READONLY You can't write against a read only replica.", Refusal::Replica),
        ("DENIED Redis is running in protected mode", Refusal::Protected),
        ("ERR max number of clients reached", Refusal::Full),
        (no_channel, Refusal::NotAllowed(no_channel.to_owned())),
    ];
    for (text, refusal) in table {
        assert_eq!(refused(Kind::Redis, Some(&login()), format!("-{text}\r\n")), refusal, "{text}");
        let long = format!("!{}\r\n{text}\r\n", text.len());
        assert_eq!(refused(Kind::Redis, Some(&login()), long), refusal, "{text}");
    }
    let late = |text: &str| refused(Kind::Redis, None, format!("{HELLO}{SUBSCRIBED}-{text}\r\n"));
    assert_eq!(late("ERR strange"), Refusal::Protocol("ERR strange".to_owned()));
    assert_eq!(late("NOAUTH Authentication required."), Refusal::CredentialsNeeded);
    assert_eq!(late("OOM command not allowed"), Refusal::Protocol("OOM command not allowed".to_owned()));
}

#[test]
fn a_replica_of_redis_is_asked_for_its_master_early_and_late() {
    let replica = HELLO.replace("$6\r\nmaster", "$7\r\nreplica");
    let role = "*5\r\n$5\r\nslave\r\n$9\r\nmaster.am\r\n:6380\r\n$9\r\nconnected\r\n:14\r\n";
    let master = Refusal::MasterAt { host: "master.am".to_owned(), port: 6_380 };
    for before in ["", &format!("{HELLO}{SUBSCRIBED}")] {
        let outcome = run_any_way(Kind::Redis, None, format!("{before}{replica}{role}").as_bytes());
        assert!(outcome.outgoing.ends_with(b"*1\r\n$4\r\nROLE\r\n"));
        assert_eq!(outcome.refusal, Some(master.clone()));
        let promoted = format!("{before}{replica}*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
        let outcome = run_any_way(Kind::Redis, None, promoted.as_bytes());
        let subscribes = outcome.outgoing.windows(9).filter(|word| word == b"SUBSCRIBE").count();
        assert_eq!((subscribes, outcome.refusal), (1, None));
        for odd in [
            "*1\r\n$5\r\nslave\r\n",
            "*3\r\n$5\r\nslave\r\n$3\r\na b\r\n:1\r\n",
            "*3\r\n$5\r\nslave\r\n+a\r\n:65536\r\n",
        ] {
            assert_eq!(refused(Kind::Redis, None, format!("{before}{replica}{odd}")), Refusal::Replica, "{odd}");
        }
        let denied = "-NOPERM this user has no permissions to run the 'role' command\r\n";
        assert_eq!(refused(Kind::Redis, None, format!("{before}{replica}{denied}")), Refusal::Replica);
    }
    let sentinel = HELLO.replace("$10\r\nstandalone", "$8\r\nsentinel");
    assert_eq!(refused(Kind::Redis, None, sentinel), Refusal::Sentinel);
}

#[test]
fn another_protocol_is_known_by_its_first_bytes() {
    for kind in [Kind::Nats, Kind::Redis] {
        for record in TLS_RECORDS {
            assert_eq!(refused(kind, None, [record, 3, 1, 0, 2, 2, 80]), Refusal::TlsWanted);
        }
        let others: [&[u8]; 6] = [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\0\x01\x02\r\n",
            b"220 mail\r\n",
            b"\r\n",
            b"+OK POP3\r\n",
        ];
        for other in others {
            assert_eq!(refused(kind, None, other), Refusal::NotThisProtocol, "{kind:?}: {other:?}");
        }
    }
    assert_eq!(refused(Kind::Redis, None, INFO), Refusal::NotThisProtocol);
    assert_eq!(refused(Kind::Redis, None, "*2\r\n+server\r\n+old\r\n"), Refusal::TooOld);
    for no_info in ["INFOS {}\r\n", "IMAP\r\n", "INFO []\r\n", "INFO\r\n"] {
        assert_eq!(refused(Kind::Nats, None, no_info), Refusal::NotThisProtocol, "{no_info}");
    }
}

#[test]
fn nonsense_after_the_login_is_said() {
    let strange = |text: &str| Refusal::Protocol(text.to_owned());
    let nats = [
        ("NONSENSE\r\n", "an unknown operation"),
        ("\r\n", "an unknown operation"),
        ("MSG am 1\r\n", "a message without its size"),
        ("MSG am 1 2 3 4\r\n", "a message without its size"),
        ("MSG am 1 -1\r\n", "a message without its size"),
        ("MSG am 1 67108865\r\n", "a message without its size"),
        ("HMSG am 1 2\r\n", "a message without its size"),
        ("MSG am 1 2\r\nabcd", "a payload is longer than its line says"),
        ("INFO 1\r\n", "INFO has no object"),
    ];
    for (bytes, text) in nats {
        assert_eq!(refused(Kind::Nats, None, format!("{INFO}PONG\r\n{bytes}")), strange(text), "{bytes}");
    }
    for (bytes, text) in [("HTTP\r\n", "an unknown type"), ("$1\r\nabc", "a string is longer than its line says")] {
        assert_eq!(refused(Kind::Redis, None, format!("{HELLO}{SUBSCRIBED}{bytes}")), strange(text), "{bytes}");
    }
}

#[test]
fn what_has_no_end_is_refused() {
    let nats = |begin: &str, count: usize| {
        let session = Session::new(Kind::Nats, "am", None);
        let bytes = [begin.as_bytes(), &vec![b'x'; count]].concat();
        run(session, bytes.chunks(999)).refusal
    };
    assert_eq!(nats("INFO {\"a\":\"", 65_000), None);
    assert_eq!(nats("INFO {\"a\":\"", 66_000), Some(Refusal::NotThisProtocol));
    assert_eq!(nats("IN", 5_000), Some(Refusal::NotThisProtocol));
    let too_long = Some(Refusal::Protocol("a line is too long".to_owned()));
    assert_eq!(nats(&format!("{INFO}PONG\r\nMSG "), 4_000), None);
    assert_eq!(nats(&format!("{INFO}PONG\r\nMSG "), 5_000), too_long);
    assert_eq!(nats(&format!("{INFO}PONG\r\nINFO {{"), 66_000), too_long);
}

#[test]
fn an_end_before_any_byte_is_another_than_a_later_one() {
    for (kind, first) in [(Kind::Nats, "I"), (Kind::Redis, "%")] {
        let mut session = Session::new(kind, "am", None);
        assert_eq!(session.closed(), Refusal::ClosedAtOnce);
        assert_eq!(session.feed(b"", |_| {}), Ok(()));
        assert_eq!(session.closed(), Refusal::ClosedAtOnce);
        assert_eq!(session.feed(first.as_bytes(), |_| {}), Ok(()));
        assert_eq!(session.closed(), Refusal::Closed);
    }
}

#[test]
fn no_secret_is_in_what_may_be_shown() {
    let secret = Login { user: Some("user".to_owned()), secret: "correct horse".to_owned() };
    let quoting = [
        (Kind::Nats, format!("{INFO}-ERR 'Parser Error: correct horse'\r\n")),
        (Kind::Redis, format!("{HELLO}-ERR unknown command, with args beginning with: `correct horse`\r\n")),
    ];
    for (kind, bytes) in quoting {
        let mut session = Session::new(kind, "am", Some(&secret));
        let refusal = session.feed(bytes.as_bytes(), |_| {}).unwrap_err();
        let shown = format!("{refusal} {refusal:?} {secret:?}");
        assert!(!shown.contains("correct") && !shown.contains("horse"), "{shown}");
    }
}

#[test]
fn a_refusal_is_one_line() {
    let all = [
        Refusal::WrongCredentials,
        Refusal::NotAllowed("x".to_owned()),
        Refusal::MaxPayload(100),
        Refusal::MasterAt { host: "a".to_owned(), port: 1 },
        Refusal::Protocol("an unknown type".to_owned()),
    ];
    for refusal in all {
        let text = refusal.to_string();
        assert!(text.len() > 20 && !text.contains('\n'), "{text}");
    }
}
