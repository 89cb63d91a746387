//! Frames of every type, at every cut, and each limit.

use super::*;

/// A frame, as far as it is kept.
type Kept = (u8, Vec<Option<Vec<u8>>>);

/// Reads all frames of the pieces, or why there are none.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Kept>, Malformed> {
    let (mut frames, mut kept) = (Frames::default(), Vec::new());
    for piece in pieces {
        let mut rest = piece;
        while let Some(frame) = frames.next(&mut rest)? {
            kept.push((frame.kind(), frame.leaves().map(|leaf| leaf.map(<[u8]>::to_vec)).collect()));
        }
        assert!(rest.is_empty());
        assert!(frames.frame.bytes.len() <= LEAVES_MAX * LEAF_MAX && frames.open.len() <= DEPTH_MAX);
    }
    Ok(kept)
}

/// Reads bytes whole, cut at each place, and byte by byte, which must come to the same.
#[track_caller]
fn read_any_way(bytes: &[u8]) -> Result<Vec<Kept>, Malformed> {
    let whole = read([bytes]);
    for cut in 0..=bytes.len() {
        assert_eq!(read([&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
    }
    assert_eq!(read(bytes.chunks(1)), whole, "byte by byte");
    whole
}

#[track_caller]
fn check(bytes: &str, kind: char, leaves: &[Option<&str>]) {
    let leaves = leaves.iter().map(|leaf| leaf.map(|leaf| leaf.as_bytes().to_vec())).collect::<Vec<_>>();
    let frame = (u8::try_from(kind).unwrap(), leaves);
    assert_eq!(read_any_way(bytes.as_bytes()), Ok(vec![frame.clone()]), "{bytes:?}");
    // Nothing of it is left to the next one.
    let after = format!("{bytes}+OK\r\n");
    let ok = (b'+', vec![Some(b"OK".to_vec())]);
    assert_eq!(read_any_way(after.as_bytes()), Ok(vec![frame, ok]), "{after:?}");
}

#[test]
fn every_type_of_the_specification_is_a_frame() {
    for simple in
        ["+OK", "-ERR no", ":-42", "_", "#t", ",1.5e3", ",inf", ",nan", "(3492890328409238509324850943850943825024385"]
    {
        check(&format!("{simple}\r\n"), simple.chars().next().unwrap(), &[Some(&simple[1..])]);
    }
    check("$5\r\na\r\nbc\r\n", '$', &[Some("a\r\nbc")]);
    check("$0\r\n\r\n", '$', &[Some("")]);
    check("$-1\r\n", '$', &[None]);
    check("!9\r\nERR no no\r\n", '!', &[Some("ERR no no")]);
    check("=8\r\ntxt:some\r\n", '=', &[Some("txt:some")]);
    check("*2\r\n:1\r\n:2\r\n", '*', &[Some("1"), Some("2")]);
    check("*0\r\n", '*', &[]);
    check("*-1\r\n", '*', &[]);
    check("~1\r\n+a\r\n", '~', &[Some("a")]);
    check("%1\r\n+a\r\n:1\r\n", '%', &[Some("a"), Some("1")]);
    check(">2\r\n+a\r\n:1\r\n", '>', &[Some("a"), Some("1")]);
}

#[test]
fn frames_lie_in_each_other_and_end_together() {
    check("*2\r\n*1\r\n%1\r\n+a\r\n*0\r\n*2\r\n:1\r\n$1\r\nb\r\n", '*', &[Some("a"), Some("1"), Some("b")]);
    check("*1\r\n*1\r\n*1\r\n*0\r\n", '*', &[]);
}

#[test]
fn what_is_said_of_a_frame_is_none_and_is_skipped() {
    check("|1\r\n+ttl\r\n*2\r\n:1\r\n$1\r\nx\r\n*1\r\n:7\r\n", '*', &[Some("7")]);
    check("|0\r\n+OK\r\n", '+', &[Some("OK")]);
    check("*2\r\n:1\r\n|1\r\n+ttl\r\n:9\r\n:2\r\n", '*', &[Some("1"), Some("2")]);
    check("|?\r\n+a\r\n:1\r\n.\r\n+OK\r\n", '+', &[Some("OK")]);
}

#[test]
fn a_length_that_shows_at_the_end_is_one() {
    check("*?\r\n:1\r\n*?\r\n.\r\n:2\r\n.\r\n", '*', &[Some("1"), Some("2")]);
    check("%?\r\n+a\r\n:1\r\n.\r\n", '%', &[Some("a"), Some("1")]);
    check("$?\r\n;4\r\nabcd\r\n;1\r\ne\r\n;0\r\n", '$', &[None]);
    check("*2\r\n$?\r\n;1\r\na\r\n;0\r\n:1\r\n", '*', &[None, Some("1")]);
}

#[test]
fn long_strings_and_late_leaves_are_skipped() {
    let long = "x".repeat(LEAF_MAX + 1);
    check(&format!("*2\r\n${}\r\n{long}\r\n:1\r\n", long.len()), '*', &[None, Some("1")]);
    let just = "x".repeat(LEAF_MAX);
    check(&format!("${LEAF_MAX}\r\n{just}\r\n"), '$', &[Some(&just)]);
    let many = LEAVES_MAX + 5;
    check(&format!("*{many}\r\n{}", ":1\r\n".repeat(many)), '*', &[Some("1"); LEAVES_MAX]);
}

#[test]
fn each_limit_is_one() {
    let deep = "*1\r\n".repeat(DEPTH_MAX);
    assert!(read([format!("{deep}:1\r\n").as_bytes()]).is_ok());
    let refused = |bytes: &str| read_any_way(bytes.as_bytes()).unwrap_err();
    assert_eq!(refused(&format!("{deep}*1\r\n")), "frames lie too deep in each other");
    assert_eq!(refused(&format!("+{}", "x".repeat(LINE_MAX))), "a line is too long");
    for length in ["$536870913", "*65537", "%65537", "$99999999999999999999999", "$-2", "$", "$ 1", "$+1", "*1a"] {
        let what = refused(&format!("{length}\r\n"));
        assert!(what.starts_with("a length is "), "{length}: {what}");
    }
    let endless = ["*?\r\n".to_owned(), ":1\r\n".repeat(65_536)].concat();
    assert_eq!(read([endless.as_bytes()]).unwrap_err(), "a frame has too many elements");
    let filled = [format!("*{}\r\n", ELEMENTS_MAX - 1), ":1\r\n".repeat(65_535)].concat();
    assert_eq!(read([filled.as_bytes(), filled.as_bytes()]).unwrap().len(), 2, "frames are counted each");
}

#[test]
fn what_is_malformed_is_refused_at_any_cut() {
    let malformed = [
        ("\r\n", "a line has no type"),
        ("+OK\n", "a line ends without CR"),
        ("HTTP/1.1 400\r\n", "an unknown type"),
        ("$1\r\nabc", "a string is longer than its line says"),
        (".\r\n", "an end without its beginning"),
        ("*1\r\n.\r\n", "an end without its beginning"),
        ("*?\r\n.x\r\n", "an unknown type"),
        ("$?\r\n:4\r\n", "a string goes on without a length"),
        ("$?\r\n;?\r\n", "a string goes on without a length"),
        (";0\r\n", "an unknown type"),
    ];
    for (bytes, what) in malformed {
        assert_eq!(read_any_way(bytes.as_bytes()), Err(what), "{bytes:?}");
    }
}

#[test]
fn a_command_is_a_frame_of_strings() {
    let mut out = Vec::new();
    push_command(&mut out, &[b"PUBLISH", b"a b", b"\r\n\0"]);
    assert_eq!(out, b"*3\r\n$7\r\nPUBLISH\r\n$3\r\na b\r\n$3\r\n\r\n\0\r\n");
    let words: [&[u8]; 3] = [b"PUBLISH", b"a b", b"\r\n\0"];
    assert_eq!(read_any_way(&out), Ok(vec![(b'*', words.map(|word| Some(word.to_vec())).into())]));
}
