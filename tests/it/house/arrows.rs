//! The arrows inside the floors: which room may name which, no circle of files, and a struct's methods in its own file.
//!
//! Owns the tables of the rooms. Between the floors, `layers` judges.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::FLOORS;
use super::names::{Arrow, Crate};
use super::source::Role;
use super::{File, same, tree};

/// The rooms of a floor: each, with the rooms and the single files of rooms that it may name.
type Rooms<'a> = &'a [(&'a str, &'a [&'a str])];

/// The floors with rooms. A row says all that its room names, and no more.
const ROOMS: [(&str, Rooms); 2] = [
    (
        "server",
        &[
            (
                "mod",
                &[
                    "turn", "awaiting", "overview", "ports", "conns", "audience", "answers", "figures", "bus",
                    "keyring", "shutdown",
                ],
            ),
            (
                "turn",
                &[
                    "exchange", "awaiting", "outputs", "overview", "ports", "conns", "audience", "answers", "figures",
                    "bus", "keyring", "shutdown",
                ],
            ),
            ("keyring", &["bus", "ports", "siblings"]),
            ("siblings", &["bus", "ports/neighbours", "conns/torture"]),
            ("exchange", &["awaiting", "overview", "conns", "audience", "answers", "figures", "bus"]),
            ("awaiting", &["conns", "answers"]),
            ("outputs", &["answers", "audience", "bus", "shutdown", "troubles"]),
            ("overview", &["conns", "audience", "figures", "bus", "troubles", "ports/port"]),
            ("shutdown", &["conns", "bus"]),
            ("bus", &["figures", "troubles", "conns/torture"]),
            ("answers", &["audience", "figures", "keyring/watch", "ports/port"]),
            ("conns", &["answers/cursor", "ports/port", "ports/capacity"]),
            ("ports", &["conns/torture"]),
            ("audience", &["figures"]),
            ("figures", &["troubles"]),
            ("troubles", &[]),
        ],
    ),
    (
        "meter",
        &[
            ("watches", &["mod", "book"]),
            ("mod", &["sections", "timeouts", "cluster", "book", "accounts", "output", "news", "way"]),
            ("sections", &["cluster", "book", "news"]),
            ("timeouts", &["cluster", "book", "output"]),
            ("cluster", &["book", "accounts", "output", "news", "way", "digest"]),
            ("output", &["book/keys", "accounts/ending", "news", "way"]),
            ("book", &["accounts", "census", "news"]),
            ("census", &["accounts", "book/keys", "news", "digest"]),
            ("accounts", &["news", "digest"]),
            ("news", &["accounts/stays", "way", "digest"]),
            ("way", &[]),
            ("digest", &[]),
        ],
    ),
];

/// Every offence of arrows: rooms that no table allows, impls away from home, circles.
fn offences_of(arrows: &[Arrow], floors: &[(&str, Rooms)]) -> Vec<String> {
    let strange = floors.iter().flat_map(|(floor, rooms)| strange_arrows(arrows, floor, rooms));
    strange.chain(impls_away_from_home(arrows)).chain(circles(arrows)).collect()
}

/// The first arrow of each file of the floor to each room that its own may not name.
fn strange_arrows(arrows: &[Arrow], floor: &str, rooms: Rooms) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut offences = Vec::new();
    for arrow in arrows {
        let (Some(from), Some(to)) = (room_of(floor, arrow.from.path), room_of(floor, arrow.to.path)) else { continue };
        let is_listed = |place: &&str| *place == to || is_file(floor, place, arrow.to.path);
        let allowed = rooms.iter().any(|(room, below)| *room == from && (from == to || below.iter().any(is_listed)));
        if !allowed && seen.insert((arrow.from.path, to)) {
            let what = format!("{from} may not name {}, which is of {to}", arrow.name.text());
            offences.push(arrow.from.offence(arrow.line, &what));
        }
    }
    offences
}

/// What the table allows and no file does.
fn unused_rows(arrows: &[Arrow], floor: &str, rooms: Rooms) -> Vec<String> {
    let is_used = |room: &str, place: &str| {
        arrows.iter().any(|arrow| {
            let to = arrow.to.path;
            let is_there = room_of(floor, to) == Some(place) || is_file(floor, place, to);
            room_of(floor, arrow.from.path) == Some(room) && is_there
        })
    };
    let pairs = rooms.iter().flat_map(|(room, below)| below.iter().map(move |place| (*room, *place)));
    let unused = pairs.filter(|(room, place)| !is_used(room, place));
    unused.map(|(room, place)| format!("src/{floor}: {room} may name {place}, and does not")).collect()
}

/// Whether a place of the table, as in `conns/torture`, is this file.
fn is_file(floor: &str, place: &str, path: &str) -> bool {
    path == format!("src/{floor}/{place}.rs")
}

/// The first part of the path below the floor, `mod` for the floor's own file.
fn room_of<'a>(floor: &str, path: &'a str) -> Option<&'a str> {
    let below = path.strip_prefix("src/")?.strip_prefix(floor)?.strip_prefix('/')?;
    Some(below.split('/').next()?.trim_end_matches(".rs"))
}

fn impls_away_from_home(arrows: &[Arrow]) -> Vec<String> {
    let impls = arrows.iter().filter(|arrow| arrow.name.role == Role::Impl);
    let offence = |arrow: &Arrow| {
        arrow
            .from
            .offence(arrow.line, &format!("methods of {}, which is defined in {}", arrow.name.text(), arrow.to.path))
    };
    impls.map(offence).collect()
}

/// Files that reach each other, each circle with one arrow of each file to each other.
fn circles(arrows: &[Arrow]) -> Vec<String> {
    let mut next = BTreeMap::<&str, BTreeMap<&str, &Arrow>>::new();
    for arrow in arrows {
        next.entry(arrow.from.path).or_default().entry(arrow.to.path).or_insert(arrow);
    }
    let reached = next.keys().map(|file| (*file, reach(file, &next))).collect::<BTreeMap<_, _>>();
    let circle_of = |file: &str| {
        let comes_back = |to: &&&str| reached.get(**to).is_some_and(|back| back.contains(file));
        reached[file].iter().filter(comes_back).copied().collect::<BTreeSet<_>>()
    };
    let circles = next.keys().map(|file| circle_of(file)).collect::<BTreeSet<_>>();
    let describe = |circle: &BTreeSet<&str>| {
        let inner = circle.iter().flat_map(|file| &next[file]).filter(|(to, _)| circle.contains(*to));
        let inner = inner.map(|(_, arrow)| arrow.from.offence(arrow.line, &arrow.name.text()));
        let files = circle.iter().copied().collect::<Vec<_>>().join(", ");
        format!("a circle of {} files, {files}: {}", circle.len(), inner.collect::<Vec<_>>().join("; "))
    };
    circles.iter().filter(|circle| !circle.is_empty()).map(describe).collect()
}

/// All files that arrows lead to from this one.
fn reach<'a>(from: &'a str, next: &BTreeMap<&'a str, BTreeMap<&'a str, &Arrow>>) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        let files = next.get(file).into_iter().flat_map(BTreeMap::keys);
        open.extend(files.filter(|file| reached.insert(**file)));
    }
    reached
}

#[test]
fn the_arrows_inside_the_floors_run_one_way() {
    let files = tree(&["src"], &["rs"]);
    let read = Crate::read("src", &files);
    let mut arrows = read.arrows();
    arrows.retain(|arrow| FLOORS.iter().any(|(floor, _)| arrow.from.floor() == Some(floor)));
    let unused = ROOMS.iter().flat_map(|(floor, rooms)| unused_rows(&arrows, floor, rooms));
    let offences = offences_of(&arrows, &ROOMS).into_iter().chain(unused).collect::<Vec<_>>();
    assert!(offences.is_empty(), "{offences:#?}");
}

/// A table of rooms for the tests below.
const FEW: Rooms = &[("turn", &["conns", "bus"]), ("answers", &["conns/heads"]), ("conns", &[]), ("bus", &[])];

/// Fails unless a crate of these files has exactly these offences, each given by a part of it.
#[track_caller]
fn crate_has(files: &[(&str, &str)], parts: &[&str]) {
    let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
    let files = files.iter().map(file).collect::<Vec<_>>();
    same(&offences_of(&Crate::read("src", &files).arrows(), &[("server", FEW)]), parts);
}

#[test]
fn a_row_that_no_file_needs_is_found() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let bus = file("src/server/bus.rs", "");
    let turn = file("src/server/turn.rs", "use super::bus;");
    let answers = file("src/server/answers.rs", "use super::conns::heads;");
    let files = [bus, turn, answers, file("src/server/conns/heads.rs", "")];
    same(&unused_rows(&Crate::read("src", &files).arrows(), "server", FEW), &["turn may name conns, and does not"]);
}

#[test]
fn an_arrow_that_the_table_of_the_rooms_does_not_allow_is_found() {
    let conns = ("src/server/conns/mod.rs", "mod heads;\npub struct Conn;");
    let heads = ("src/server/conns/heads.rs", "use super::Conn;");
    let turn = ("src/server/turn.rs", "use super::conns::Conn;\nuse super::bus;\nuse crate::meter::Meter;");
    crate_has(&[conns, heads, turn, ("src/server/bus.rs", ""), ("src/meter/mod.rs", "pub struct Meter;")], &[]);
    let bus = ("src/server/bus.rs", "use crate::server::conns::Conn;\nfn f(a: Conn, b: super::conns::heads::B) {}");
    crate_has(
        &[conns, heads, bus],
        &["src/server/bus.rs:1: bus may not name crate::server::conns::Conn, which is of conns"],
    );
    // A single file of a room.
    let answers = ("src/server/answers.rs", "use super::conns::heads::A;");
    crate_has(&[conns, heads, answers], &[]);
    let answers = ("src/server/answers.rs", "use super::conns::Conn;");
    crate_has(&[conns, heads, answers], &["answers may not name super::conns::Conn"]);
    // A room without a row may name nothing.
    crate_has(&[conns, ("src/server/ports.rs", "use super::conns;")], &["ports may not name super::conns"]);
}

#[test]
fn methods_of_a_struct_of_another_file_are_found() {
    let home = ("src/meter/a.rs", "pub struct A;\nimpl A {}\nimpl Clone for A {}");
    crate_has(
        &[home, ("src/meter/b.rs", "use super::a::A;\nimpl A {}")],
        &["src/meter/b.rs:2: methods of A, which is defined in src/meter/a.rs"],
    );
    crate_has(&[home, ("src/meter/b.rs", "impl crate::meter::a::A {}")], &["b.rs:1: methods"]);
    // Through a facade that hands the struct on, under another name.
    let facade = ("src/meter/mod.rs", "mod a;\nmod b;\npub use a::A as Fine;");
    crate_has(&[home, facade, ("src/meter/b.rs", "use super::Fine;\nimpl Fine {}")], &["b.rs:2: methods of Fine"]);
    crate_has(&[home, ("src/meter/b.rs", "use super::a::A;\nimpl From<A> for u8 {}\nimpl B for A {}")], &[]);
    crate_has(&[home, ("src/meter/b.rs", "#[cfg(test)]\nmod tests { use crate::meter::a::A; impl A {} }")], &[]);
}

#[test]
fn files_that_name_each_other_in_a_circle_are_found() {
    let circle = [
        ("src/m/a.rs", "use super::b::B;"),
        ("src/m/b.rs", "fn f() { super::c::g() }"),
        ("src/m/c.rs", "use crate::m::a;"),
    ];
    crate_has(&circle[..2], &[]);
    crate_has(
        &circle,
        &[
            "a circle of 3 files, src/m/a.rs, src/m/b.rs, src/m/c.rs: src/m/a.rs:1: super::b::B; src/m/b.rs:1: super::c::g",
        ],
    );
    crate_has(
        &[("src/m/mod.rs", "mod a;\nfn f() { a::g() }"), ("src/m/a.rs", "use super::f;")],
        &["a circle of 2 files"],
    );
    crate_has(&[("src/m/mod.rs", "mod a;\nuse a::A;"), ("src/m/a.rs", "type A = super::B;")], &["a circle of 2 files"]);
    crate_has(
        &[("src/m/a.rs", "use super::b;"), ("src/m/b.rs", "fn f() { assert!(super::a::X > 0) }")],
        &["a circle of 2 files"],
    );
}

#[test]
fn a_parent_that_declares_and_hands_on_draws_no_arrow() {
    let parent =
        ("src/m/mod.rs", "mod a;\npub mod b;\npub use a::A;\npub(crate) use b::{B, B as C};\npub const D: u8 = 1;");
    crate_has(&[parent, ("src/m/a.rs", "use super::D;\nuse super::B;"), ("src/m/b.rs", "use super::D;")], &[]);
    crate_has(
        &[parent, ("src/m/a.rs", "use super::C;"), ("src/m/b.rs", "use crate::m::A;")],
        &["a circle of 2 files, src/m/a.rs, src/m/b.rs"],
    );
    crate_has(
        &[
            parent,
            ("src/m/a.rs", "pub(super) struct A;"),
            ("src/m/b.rs", "#[cfg(test)]\nmod tests { use crate::m::a::A; }"),
        ],
        &[],
    );
}
