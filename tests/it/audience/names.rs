//! Names in several spellings: all of them are of one event, at every port and in every place that takes a name.

use super::stream::prompt;
use super::watcher::Watcher;
use audience_kit::*;

/// One name, as different clients spell it.
const SPELLINGS: [&str; 5] =
    ["caf%C3%A9-1.x~", "caf%c3%a9-1.x~", "%63af%C3%a9%2d1%2ex%7E", "caf%C3%A9%2D1.x%7e", "%43"];

/// The canonical spellings: of the first four, and of the last.
const CANONICAL: [&str; 2] = ["C", "caf%C3%A9-1.x~"];

#[test]
fn all_spellings_of_a_name_are_one_event_at_all_ports() {
    let daemon = prompt(&[]);
    let mut streams: Vec<Stream> = Vec::new();
    for (expected, name) in (1..).zip(&SPELLINGS[..4]) {
        let (stream, count) = member(&daemon, &format!("/{name}"));
        assert_eq!(count, expected, "{name}");
        streams.push(stream);
    }
    let _other = member(&daemon, "/%43").0;
    assert_eq!(daemon.namespaces(), CANONICAL);
    for name in &SPELLINGS[..4] {
        assert_eq!(daemon.notify(&format!("/{name}/%73core/%32:0")).expect_confirmed(), 4, "{name}");
        for stream in &mut streams {
            // What is sent of a message is its sender's.
            let message = std::iter::from_fn(|| stream.next(SOON)).find(|event| matches!(event, Event::Message(_)));
            assert_eq!(message, Some(Event::Message("%73core=%32:0".to_owned())), "{name}");
        }
        let twice_encoded = name.replace('%', "%25");
        for page in [
            format!("/namespace/{name}"),
            format!("/namespace/?name={name}"),
            format!("/namespace/?name={twice_encoded}"),
        ] {
            let reply = daemon.stats_page(&page);
            assert!(reply.status == 200 && reply.body.contains("\"members\":4,"), "{page}: {reply:?}");
        }
        for page in [format!("/history/{name}.csv"), format!("/history/.json?name={name}"), format!("/{name}")] {
            let port = if page.starts_with("/history") { daemon.stats_port() } else { daemon.demo() };
            assert_eq!(get(port, &page).status, 200, "{page}");
        }
        let mut watcher = Watcher::of(daemon.stats_port(), &format!("{name},caf%c3*"));
        watcher.wait("caf%C3%A9-1.x~", 4);
        watcher.wait("caf%C3*", 4);
        assert_eq!(watcher.known().len(), 2);
    }
    assert_eq!(get(daemon.audience(), "/client/audience%2ejs").status, 200);
}

#[test]
fn a_byte_that_is_no_text_can_be_asked_for() {
    let daemon = prompt(&[]);
    let _stream = member(&daemon, "/caf%e9").0;
    for page in ["/namespace/caf%E9", "/namespace/?name=caf%e9", "/namespace/?name=caf%25e9"] {
        assert_eq!(daemon.stats_page(page).status, 200, "{page}");
    }
}

#[test]
fn all_spellings_of_a_uuid_are_one() {
    let daemon = prompt(&["--enable-uuid"]);
    let (mut first, _) = member(&daemon, "/ns/%c3%a9%2d1");
    let (mut second, _) = member(&daemon, "/%6es/%C3%A9-1");
    first.wait_farewell();
    assert_eq!(daemon.stat("ns", "members"), Some(1));
    get(daemon.audience(), "/ns/%C3%a9%2D%31").expect_empty();
    second.wait_left();
}

#[test]
fn the_length_of_a_name_is_that_of_its_canonical_spelling() {
    let daemon = prompt(&["--max-name-length", "6"]);
    let (mut stream, _) = member(&daemon, "/%61%62%63%64%65%66");
    stream.expect_silence(ms(50));
    assert_eq!(daemon.namespaces(), ["abcdef"]);
    assert_eq!(exchange(daemon.audience(), join_request("/%61%62%63%64%65%66g", "")).status, 414);
    assert_eq!(exchange(daemon.audience(), join_request("/a%c3%a9", "")).status, 414);
}

#[test]
fn a_second_segment_without_effect_is_warned_of_once() {
    let daemon = prompt(&[]);
    let warnings = || daemon.log().into_iter().filter(|line| line.contains("event=second_segment_ignored")).count();
    let _without = member(&daemon, "/live").0;
    get(daemon.audience(), "/live/event").expect_advice();
    assert_eq!(warnings(), 0);
    let _streams = [1, 2].map(|number| Stream::join(daemon.audience(), &format!("/live/event-{number}")));
    daemon.wait_members("live", 3);
    let line = daemon.wait_log("the warning", |line| line.contains("event=second_segment_ignored"));
    for part in ["level=warn", "namespace=live", "ignored=event-1", "proxy_pass", "--enable-uuid"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(warnings(), 1);
    let daemon = prompt(&["--enable-uuid"]);
    let _stream = member(&daemon, "/live/uuid").0;
    assert!(!daemon.log().iter().any(|line| line.contains("second_segment")));
}
