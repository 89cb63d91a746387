//! Who may join: addresses that the site signs (`--join-key-file`), and the names that events may have (`--namespaces`).

use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::stream::prompt;
use audience_kit::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const NEXT_KEY: &str = "fedcba9876543210fedcba9876543210";

/// A moment that is far from now.
const LATER: u64 = 4_000_000_000;

/// HMAC-SHA-256 (RFC 2104) as hexadecimal digits.
fn hmac(key: &str, text: &str) -> String {
    let block = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key.bytes()).for_each(|(byte, of_key)| *byte ^= of_key);
        block
    };
    let inner = Sha256::new().chain_update(block(0x36)).chain_update(text).finalize();
    let code = Sha256::new().chain_update(block(0x5c)).chain_update(inner).finalize();
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
    code.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The address of an event, with this uuid unless it is empty, signed until a moment.
fn signed_with(key: &str, namespace: &str, uuid: &str, expires: u64) -> String {
    let path = if uuid.is_empty() { format!("/{namespace}") } else { format!("/{namespace}/{uuid}") };
    format!("{path}?expires={expires}&signature={}", hmac(key, &format!("{namespace}\n{uuid}\n{expires}")))
}

fn signed(namespace: &str, uuid: &str, expires: u64) -> String {
    signed_with(KEY, namespace, uuid, expires)
}

/// A daemon that knows these keys, and their file.
fn keyed(keys: &str, further: &[&str]) -> (Daemon, ScratchFile) {
    let file = ScratchFile::with("join-key", keys, 0o600);
    let daemon = prompt(&[&["--join-key-file", file.path()], further].concat());
    (daemon, file)
}

/// Fails unless a join is refused: by this word, which a page of any origin may read, and in words.
#[track_caller]
fn refused(daemon: &Daemon, target: &str, status: u16, word: &str) {
    for method in ["GET", "HEAD", "POST"] {
        let head = request(method, target, &format!("Host: h\r\nOrigin: https://page.example\r\n{ACCEPT}"));
        let reply = exchange(daemon.audience(), head);
        assert_eq!((reply.status, reply.header("Audience-Meter-Refusal")), (status, Some(word)), "{target}: {reply:?}");
        for (field, value) in [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "Audience-Meter-Refusal"),
            ("Cache-Control", "no-store"),
        ] {
            assert_eq!(reply.header(field), Some(value), "{reply:?}");
        }
        assert_eq!(reply.body.lines().count(), usize::from(method != "HEAD"), "{reply:?}");
    }
}

/// Waits until the signature of an address has expired.
#[track_caller]
fn wait_expired(daemon: &Daemon, target: &str) {
    let ask = || exchange(daemon.audience(), request("HEAD", target, &format!("Host: h\r\n{ACCEPT}"))).status;
    wait_until("the signature has expired", || ask() == 403);
}

/// Fails unless no event has begun.
#[track_caller]
fn expect_nothing_counted(daemon: &Daemon) {
    assert_eq!(daemon.namespaces(), Vec::<String>::new());
    assert!(daemon.stats_page("/process").body.contains("\"members\":0,"));
}

#[test]
fn a_signed_address_is_joined_and_others_are_refused_with_the_reason() {
    let (daemon, _file) = keyed(KEY, &[]);
    let good = signed("ns", "", LATER);
    let (address, signature) = good.split_once("&signature=").unwrap();
    let foreign = signed("other", "", LATER);
    for (target, word) in [
        ("/ns".to_owned(), "unsigned"),
        ("/ns?".to_owned(), "unsigned"),
        (address.to_owned(), "unsigned"),
        (good.replace(&format!("expires={LATER}&"), ""), "unsigned"),
        (good.replace("/ns?", "/ns/uuid?"), "forged"),
        (good.replace("/ns?", "/NS?"), "forged"),
        (foreign.replace("/other?", "/ns?"), "forged"),
        (signed_with(NEXT_KEY, "ns", "", LATER), "forged"),
        (good.replace(&LATER.to_string(), "4000000001"), "forged"),
        (format!("{address}&signature={}", "0".repeat(64)), "forged"),
        (signed("ns", "", unix_now() - 1), "expired"),
        (signed("ns", "", 0), "expired"),
        (signed("ns", "", (1 << 53) + 1), "malformed"),
        (good.replace("expires=", "expires=-"), "malformed"),
        (good.replace("expires=", "expires=4e9&x="), "malformed"),
        (good[..good.len() - 1].to_owned(), "malformed"),
        (format!("{good}00"), "malformed"),
        (format!("{good}#x").replace('#', "%23"), "malformed"),
        (format!("{good}&signature={signature}"), "malformed"),
        (format!("{good}&expires={LATER}"), "malformed"),
    ] {
        refused(&daemon, &target, 403, word);
    }
    let reply = exchange(daemon.audience(), join_request("/ns", ""));
    assert_eq!(reply.body, "this address is not signed; your site adds ?expires=<unix s>&signature=<hex>\n");
    expect_nothing_counted(&daemon);

    // One signature admits any number, in all spellings of the address.
    let spellings = [&good, &good.replace("/ns?", "/%6es?v=1&"), &signed("ns", "x", LATER)];
    let streams = spellings.map(|target| member(&daemon, target));
    assert_eq!(streams.map(|(_, count)| count), [1, 2, 3]);
}

#[test]
fn names_are_signed_in_their_one_spelling() {
    let (daemon, _file) = keyed(KEY, &["--enable-uuid"]);
    let good = signed("caf%C3%A9", "a-b", LATER);
    let query = good.split_once('?').unwrap().1;
    for path in ["/caf%C3%A9/a-b", "/caf%c3%a9/a%2Db", "/%63af%C3%a9/a-b"] {
        assert_eq!(member(&daemon, &format!("{path}?{query}")).1, 1, "{path}");
    }
    refused(&daemon, &signed("caf%c3%a9", "a-b", LATER), 403, "forged");
}

#[test]
fn a_stream_outlives_its_signature_and_a_return_needs_another() {
    let (daemon, _file) = keyed(KEY, &[]);
    let target = signed("ns", "", unix_now() + 2);
    let (mut stream, _) = member(&daemon, &target);
    wait_expired(&daemon, &target);
    stream.expect_silence(ms(300));
    let (_other, _) = member(&daemon, &signed("ns", "", LATER));
    stream.wait_count(2);
    refused(&daemon, &target, 403, "expired");
    assert_eq!(daemon.stat("ns", "connections"), Some(2));
}

#[test]
fn with_uuids_each_address_is_for_one_and_leaving_is_signed_too() {
    let (daemon, _file) = keyed(KEY, &["--enable-uuid"]);
    for target in ["/ns", &signed("ns", "", LATER)] {
        refused(&daemon, target, 403, "uuid");
    }
    expect_nothing_counted(&daemon);
    let soon = signed("ns", "u", unix_now() + 2);
    let (stream, _) = member(&daemon, &soon);
    let (mut current, count) = member(&daemon, &signed("ns", "u", LATER));
    assert_eq!(count, 1);
    drop(stream);
    let leave = |method: &str, target: &str| {
        exchange(daemon.audience(), request(method, target, "Host: h\r\nContent-Length: 0\r\n"))
    };
    let forged = soon.replace("signature=", "signature=0").replace("/u?", "/u?x&");
    for method in ["GET", "HEAD", "POST", "DELETE"] {
        for target in ["/ns/u", &signed("ns", "v", LATER).replace("/v?", "/u?"), &forged[..forged.len() - 1]] {
            let reply = leave(method, target);
            assert!(reply.status == 403 && reply.header("Audience-Meter-Refusal").is_some(), "{target}: {reply:?}");
        }
    }
    current.expect_silence(ms(200));
    wait_expired(&daemon, &soon);
    assert_eq!(leave("HEAD", &soon).status, 200);
    leave("POST", &soon).expect_empty();
    current.wait_left();
    daemon.wait_members("ns", 0);
}

#[test]
fn two_keys_are_good_while_one_replaces_the_other() {
    let (daemon, _file) = keyed(&format!("{NEXT_KEY}\n{KEY}\n"), &[]);
    for key in [KEY, NEXT_KEY] {
        assert_eq!(member(&daemon, &signed_with(key, key, "", LATER)).1, 1);
    }
}

#[test]
fn a_key_is_replaced_while_the_daemon_runs_and_what_is_refused_is_counted() {
    let (daemon, file) = keyed(&format!("{KEY}\n"), &[]);
    let (old, new) = (signed("test", "", LATER), signed_with(NEXT_KEY, "test", "", LATER));
    let ask =
        |method, target: &str| exchange(daemon.audience(), request(method, target, &format!("Host: h\r\n{ACCEPT}")));
    let is_let_in = |target: &str| ask("HEAD", target).status == 200;
    assert!(is_let_in(&old) && !is_let_in(&new));
    file.replace("hunter2\n");
    wait_until("the file that cannot be used to be told", || {
        assert!(is_let_in(&old), "the keys stay");
        daemon.log().iter().any(|line| line.contains("event=join_key_refused") && line.contains("line 1 is too short"))
    });
    file.replace(&format!("{KEY}\n{NEXT_KEY}\n"));
    wait_until("the second key", || is_let_in(&new));
    assert!(is_let_in(&old), "both are good");
    file.replace(&format!("{NEXT_KEY}\n"));
    wait_until("the first key to be gone", || !is_let_in(&old));
    assert!(is_let_in(&new));
    let changes = daemon.log().iter().filter(|line| line.contains("event=join_key_changed")).count();
    assert_eq!((changes, daemon.log().join("\n").contains("hunter2")), (2, false));

    let forbidden = |reason: &str| {
        let page = daemon.stats_page("/metrics").body;
        let is_it = |line: &&str| line.contains("forbidden_total{") && line.contains(&format!("reason=\"{reason}\""));
        page.lines().find(is_it).and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count.to_owned())
    };
    assert_eq!(forbidden("forged").as_deref(), Some("0"), "a page that asks by a head is not counted a second time");
    assert_eq!([&old[..], "/test"].map(|target| ask("GET", target).status), [403, 403]);
    let counts = ["forged", "unsigned", "expired", "origin"].map(forbidden);
    assert_eq!(counts.each_ref().map(Option::as_deref), ["1", "1", "0", "0"].map(Some));
}

#[test]
fn what_needs_no_signature_is_as_before() {
    let (daemon, _file) = keyed(KEY, &["--allow-listen"]);
    get(daemon.audience(), "/ns").expect_advice();
    assert_eq!(exchange(daemon.audience(), request("OPTIONS", "/ns", "Host: h\r\n")).status, 204);
    assert_eq!(get(daemon.audience(), "/client/audience.js").status, 200);
    let (_stream, _) = member(&daemon, &signed("ns", "", LATER));
    let mut watcher = super::watcher::Watcher::of(daemon.audience(), "ns");
    watcher.wait("ns", 1);
}

#[test]
fn no_log_has_a_query() {
    let (daemon, _file) = keyed(KEY, &["--debug", "--enable-uuid"]);
    let good = signed("ns", "u", LATER);
    drop(member(&daemon, &good));
    daemon.wait_members("ns", 0);
    for target in ["/ns/u?signature=0", &good.replace("/ns", "/other")] {
        assert_eq!(exchange(daemon.audience(), join_request(target, "")).status, 403);
    }
    let log = daemon.log();
    assert!(log.len() > 3 && !log.iter().any(|line| line.contains("signature") || line.contains("expires")), "{log:?}");
}

#[test]
fn only_listed_names_exist() {
    let daemon = prompt(&["--namespaces", "final,sport-*,caf\u{e9}", "--allow-listen"]);
    for target in ["/other", "/finals", "/sport", "/Final", "/client", "/other/x"] {
        refused(&daemon, target, 404, "name");
        let reply = get(daemon.audience(), target);
        assert_eq!((reply.status, reply.header("Audience-Meter-Refusal")), (404, Some("name")), "{reply:?}");
        assert_eq!(reply.body, "there is no event of this name here (--namespaces)\n");
    }
    expect_nothing_counted(&daemon);
    for target in ["/final", "/%66inal", "/sport-", "/sport-1", "/caf%c3%a9"] {
        member(&daemon, target);
        get(daemon.audience(), target).expect_advice();
    }
    assert_eq!(get(daemon.audience(), "/client/audience.js").status, 200);
    assert_eq!(daemon.notify("/other/score/1:0").status, 404);
}

#[test]
fn leaving_an_event_that_there_is_not_is_404() {
    let daemon = prompt(&["--namespaces", "final", "--enable-uuid"]);
    assert_eq!(exchange(daemon.audience(), request("POST", "/other/u", "Host: h\r\n")).status, 404);
    exchange(daemon.audience(), request("POST", "/final/u", "Host: h\r\n")).expect_empty();
}

#[test]
fn keys_that_cannot_be_used_are_one_error_at_the_start() {
    let start = |path: &str| {
        let ports = ["--port=0", "--stats-port=0", "--notification-port=0", "--demo-port=0", "-w1"];
        run_to_end(Command::new(program()).args(ports).args(["--join-key-file", path]))
    };
    for (text, mode, why) in [
        ("hunter2\n", 0o600, "line 1 is too short; a key has at least 16 bytes"),
        ("\n", 0o600, "there is no key in it"),
        (&*[KEY; 3].join("\n"), 0o600, "there are 3 keys in it"),
        (KEY, 0o644, "others can read it"),
    ] {
        let file = ScratchFile::with("join-key", text, mode);
        let exit = start(file.path());
        exit.expect_refusal(1, &["--join-key-file ", why]);
        assert!(!exit.stderr.contains("hunter2"), "{exit:?}");
    }
    start("/nowhere/at/all").expect_refusal(1, &["--join-key-file /nowhere/at/all", "No such file"]);
    let mut command = Command::new(program());
    run_to_end(command.args(["--namespaces", "a*b"])).expect_refusal(2, &["--namespaces ", "not at the end"]);
}
