//! The floors of `src/`: an import may only run down; pure floors name neither sockets nor clocks.
//!
//! Owns the table of the floors. What a floor looks like inside is not judged here.

use std::collections::BTreeSet;

use super::source::{Name, Source};
use super::{Check, finds, tree};

pub(super) const CHECKS: &[Check] = &[imports_that_run_up, impure_names];

/// Each floor, and the ones below it from which it may import.
pub(super) const FLOORS: [(&str, &[&str]); 5] = [
    ("collections", &[]),
    ("meter", &["collections"]),
    ("wire", &["collections", "meter"]),
    ("reactor", &["collections"]),
    // The top floor joins the others, is configured, and logs.
    ("server", &["collections", "meter", "wire", "reactor", "config", "log", "reports", "service"]),
];

/// The floors that are driven without a socket and a clock.
const PURE: [&str; 3] = ["collections", "meter", "wire"];

/// What may stand beside the floors, as a file or as a folder.
const BESIDE: [&str; 9] = ["config", "lib", "log", "main", "manual", "probe", "reports", "service", "supervisor"];

fn imports_that_run_up(source: &Source) -> Vec<String> {
    let Some(&(own, below)) = FLOORS.iter().find(|(name, _)| source.floor() == Some(name)) else {
        return Vec::new();
    };
    let judge = |name: &Name| {
        let of_crate = name.starts_with("crate") || name.starts_with("audience_meter");
        let floor = name.path.get(1).map(String::as_str);
        if of_crate && floor.is_some_and(|floor| floor != own && !below.contains(&floor)) {
            return Some(source.offence(name.line, &format!("{own} may not name {}", name.text())));
        }
        let climbs = name.starts_with("super::super");
        climbs.then(|| source.offence(name.line, "name it from the crate, not by super::super"))
    };
    source.names.iter().filter_map(judge).collect()
}

fn impure_names(source: &Source) -> Vec<String> {
    if !source.floor().is_some_and(|floor| PURE.contains(&floor)) {
        return Vec::new();
    }
    let is_impure = |name: &&Name| {
        // `core::net` has no sockets: addresses are values.
        let modules = ["std::net", "std::io", "core::io"];
        let words = ["Instant", "SystemTime", "libc", "polling"];
        modules.iter().any(|module| name.starts_with(module)) || words.iter().any(|word| name.has(word))
    };
    let names = source.names.iter().filter(is_impure);
    names.map(|name| source.offence(name.line, &format!("a pure floor names {}", name.text()))).collect()
}

#[test]
fn each_floor_is_there_and_there_is_no_other() {
    let files = tree(&["src"], &["rs"]);
    let rooms = files.iter().map(|file| {
        let path = file.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap()
    });
    let expected = FLOORS.iter().map(|(name, _)| *name).chain(BESIDE);
    assert_eq!(rooms.collect::<BTreeSet<_>>(), expected.collect());
}

#[test]
fn an_import_that_runs_up_is_found_in_every_spelling() {
    finds("src/meter/a.rs", "use crate::wire::sse;", &["src/meter/a.rs:2: meter may not name crate::wire::sse"]);
    finds(
        "src/meter/a.rs",
        "use crate::{\n    collections::Slab,\n    server::Conn,\n};",
        &["rs:4: meter may not name"],
    );
    finds(
        "src/meter/a.rs",
        "use crate::{collections::{Slab, List}, wire::{a, b::{c, d}}};",
        &["wire::a", "wire::b::c", "b::d"],
    );
    finds("src/meter/deep/a.rs", "fn f() -> u8 { crate::server::go(1) }", &["crate::server::go"]);
    finds("src/wire/a.rs", "pub use crate::server::Server;", &["wire may not name crate::server::Server"]);
    finds("src/reactor/a.rs", "use crate::meter;\nuse crate::wire::*;", &["crate::meter", "crate::wire::*"]);
    finds("src/reactor/a.rs", "fn f() { crate::log::info(1); }", &["crate::log::info"]);
    finds(
        "src/reactor/a.rs",
        "fn f() { assert!(a, \"{}\", crate::log::x()); }",
        &["rs:2: reactor may not name crate::log::x"],
    );
    finds("src/collections/a.rs", "use audience_meter::meter;", &["audience_meter::meter"]);
    finds("src/collections/a.rs", "use super::super::meter;", &["super::super"]);
    finds("src/server/a.rs", "use crate::supervisor::Child;", &["crate::supervisor::Child"]);
    finds(
        "src/meter/a.rs",
        "impl From<crate::wire::A> for B { fn from(a: <C as crate::server::D>::E) {} }",
        &["wire::A", "server::D"],
    );
}

#[test]
fn an_import_that_runs_down_or_stays_is_none() {
    finds("src/server/a.rs", "use crate::{collections::Slab, meter::Meter, wire, reactor::Reactor, config, log};", &[]);
    finds("src/meter/a.rs", "use crate::collections::Slab;\nuse crate::meter::notify;\nuse super::notify;", &[]);
    finds("src/meter/a.rs", "use crate::collections::key::key_type;", &[]);
    finds("src/main.rs", "use audience_meter::{config, log, server};", &[]);
}

#[test]
fn a_pure_floor_that_names_a_socket_or_a_clock_is_found() {
    finds("src/wire/a.rs", "use std::net::IpAddr;", &["a pure floor names std::net::IpAddr"]);
    finds("src/wire/a.rs", "use std::{fmt, io::{self, Read}};", &["std::io::self", "std::io::Read"]);
    finds("src/meter/a.rs", "fn f(at: std::time::Instant) {}", &["std::time::Instant"]);
    finds("src/meter/a.rs", "use std::time::{Duration, SystemTime as S};", &["std::time::SystemTime"]);
    finds("src/collections/a.rs", "fn f(fd: libc::c_int) {}", &["libc::c_int"]);
    finds("src/collections/a.rs", "use ::std::net::TcpStream;", &["std::net::TcpStream"]);
    finds("src/meter/a.rs", "use polling::Event;", &["names polling::Event", "polling belongs to src/reactor/"]);
    finds("src/reactor/a.rs", "use std::{io, net, time::Instant};\nuse libc::c_int;\nuse polling::Event;", &[]);
    finds("src/wire/a.rs", "use core::net::IpAddr;", &[]);
    finds("src/wire/a.rs", "fn std_io(instant: u8, io: u8) -> InstantNoodles { net(io) }", &[]);
}

#[test]
fn words_in_comments_and_literals_are_none() {
    let quiet = [
        "// unsafe, std::net, Instant::now(), println!, crate::server::x",
        "/* crate::server::x /* nested unsafe */ libc::close */",
        "/// unsafe, `crate::server::x`\nfn documented() {}",
        "const A: &str = \"unsafe { crate::server::x }\";",
        "const A: &str = \"an escaped \\\" unsafe\";",
        "const A: &str = r#\"a raw \" unsafe\"#;",
        "const A: &[u8] = br\"unsafe \\\";",
        "const A: &[u8] = b\"unsafe\n println!\";",
        "const A: [char; 2] = ['\"', '\\''];\nconst B: &str = \"unsafe\";",
        "fn f<'a>(a: &'a str) -> &'a str { a }\nconst B: &str = \"unsafe\";",
        "fn f() { assert!(true, \"unsafe crate::server::x\"); }",
    ];
    for code in quiet {
        finds("src/meter/a.rs", code, &[]);
        finds("src/meter/a.rs", &format!("{code}\nfn f() {{ unsafe {{}} }}"), &["unsafe belongs to"]);
    }
}
