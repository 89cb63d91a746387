//! What strangers put on the bus is dropped, counted by reason, and changes nothing.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use super::apart::refuses;
use super::siblings::*;
use audience_kit::*;

/// The options of a node with this key.
fn with_key(key: &ScratchFile) -> Vec<&str> {
    [&["--cluster-key-file", key.path()], &BRISK[..]].concat()
}

#[test]
fn only_those_who_have_the_key_are_believed() {
    let (key, other_key) = (
        ScratchFile::with("key", "the key of this audience\n", 0o600),
        ScratchFile::with("other-key", "the key of some others\n", 0o400),
    );
    let daemons = audience::<2>(&with_key(&key));
    let (unkeyed, stranger) = (beside(&daemons[0], &BRISK), beside(&daemons[0], &with_key(&other_key)));
    let _open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    assert_eq!(join_at(&unkeyed, "/ns").1, 1);
    assert_eq!(join_at(&stranger, "/ns").1, 1);
    let _open = [&unkeyed, &stranger].map(|daemon| join_at(daemon, "/ns").0);

    // Without a key from the operator there is one that the processes of this user share.
    for daemon in &daemons {
        wait_until("drops", || dropped(daemon, "forged") > 0);
    }
    wait_until("drops of what is sealed", || dropped(&unkeyed, "forged") > 0);
    wait_until("drops of what is sealed otherwise", || dropped(&stranger, "forged") > 0);
    wait_totals(&daemons, "ns", 2);
    assert_eq!([&daemons[0], &daemons[1], &unkeyed, &stranger].map(nodes), [2, 2, 1, 1]);
    assert!(daemons.iter().all(|daemon| daemon.stat("ns", "connections") == Some(2)));
}

#[test]
fn a_key_by_the_environment_is_the_same_key() {
    let key = ScratchFile::with("same-key", "the key of this audience\n", 0o600);
    let by_file = start(&with_key(&key));
    let port = by_file.audience().port().to_string();
    let command = || {
        let mut command = Command::new(program());
        command.env("AUDIENCE_METER_CLUSTER_KEY", "the key of this audience");
        command
    };
    let by_environment = Daemon::start_with(command, &[&["-w", "1", "--port", &port], &BRISK[..]].concat());
    wait_nodes(&by_file, 2);
    wait_nodes(&by_environment, 2);
}

#[test]
fn a_key_that_is_no_secret_is_refused() {
    let readable = ScratchFile::with("readable-key", "the key of this audience\n", 0o644);
    let path = readable.path();
    let remedy = format!("chmod 600 {path}");
    refuses(&["--cluster-key-file", path], 1, &["--cluster-key-file", path, &remedy]);
    let short = ScratchFile::with("short-key", "short\n", 0o600);
    refuses(&["--cluster-key-file", short.path()], 1, &["--cluster-key-file", "16 bytes"]);
    refuses(&["--cluster-key-file", "/nonexistent/key"], 1, &["--cluster-key-file", "/nonexistent/key"]);
}

/// Datagrams from outside, and why each is dropped. Those that are foreign are well-formed as far as it takes to tell.
fn strange_datagrams() -> Vec<(Vec<u8>, &'static str)> {
    /// The version of the datagrams' form that daemons speak now.
    const CURRENT: u8 = 4;
    let head = |version: u8, flags: u8| [b"AM".as_slice(), &[version, version, flags], &[7; 17]].concat();
    vec![
        (Vec::new(), "malformed"),
        (b"A".to_vec(), "malformed"),
        (b"AM".to_vec(), "malformed"),
        (head(CURRENT, 0)[..4].to_vec(), "malformed"),
        (vec![0; 60_000], "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "malformed"),
        (head(CURRENT - 1, 0), "foreign_version"),
        (head(0, 0), "foreign_version"),
        (head(CURRENT, 1), "foreign_audience"),
        (head(CURRENT, 0xff), "foreign_audience"),
        // Flags that are not known are of a later version, and skipped.
        (head(CURRENT, 2), "foreign_audience"),
        (head(CURRENT, 0), "foreign_audience"),
        // Envelopes, in which siblings pass on what comes from other hosts.
        (b"AP".to_vec(), "malformed"),
        ([b"AP".as_slice(), &[1, 0]].concat(), "malformed"),
        ([b"AP".as_slice(), &[2, 0]].concat(), "foreign_version"),
        ([b"AP".as_slice(), &[1, 1], &[7; 17]].concat(), "foreign_audience"),
        ([b"AP".as_slice(), &[1, 0], &[7; 17]].concat(), "foreign_audience"),
    ]
}

#[test]
fn strange_datagrams_are_counted_by_reason_and_harm_nothing() {
    let daemons = audience::<2>(&BRISK);
    let mut open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    // A socket with a loopback address sends to groups over loopback.
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bus = (LOOPBACK_GROUP, daemons[0].audience().port());
    let drops = || daemons.each_ref().map(|daemon| cluster_page(daemon)["datagrams"]["dropped"].clone());
    for (bytes, reason) in strange_datagrams() {
        let before = drops();
        assert_eq!(stranger.send_to(&bytes, bus).unwrap(), bytes.len());
        let mut wanted = before;
        for reasons in &mut wanted {
            reasons[reason] = (reasons[reason].as_u64().unwrap_or(0) + 1).into();
        }
        wait_until(&format!("{reason}: {bytes:?}"), || drops() == wanted);
    }
    // Bytes without order, of all lengths up to more than a datagram may have.
    let mut chance = Chance::new(2_011);
    let noise: Vec<Vec<u8>> = (0..1_400).step_by(7).map(|length| chance.bytes(length)).collect();
    for bytes in &noise {
        stranger.send_to(bytes, bus).unwrap();
    }
    let all = strange_datagrams().iter().filter(|(_, reason)| *reason == "malformed").count() + noise.len();
    wait_until("that the noise is dropped", || drops().iter().all(|reasons| reasons["malformed"] == all));

    assert!(daemons.iter().all(|daemon| daemon.namespaces() == ["ns"]));
    assert_eq!(daemons.each_ref().map(nodes), [2, 2]);
    let (third, first) = join_at(&daemons[1], "/ns");
    open.push(third);
    assert_eq!(first, 3);
    wait_totals(&daemons, "ns", 3);
}
