//! Where things belong: unsafe code, `polling`, trees of JSON, printing, clocks and files.
//!
//! Owns the list of the files that may have each. The tests and the instrument may print, measure time and read files;
//! unsafe code they may not have.

use super::layers::FLOORS;
use super::source::{Name, Source, Token};
use super::{Check, finds};

pub(super) const CHECKS: &[Check] = &[clocks, files, pollers, trees, unsafe_code, printing];

/// The only file that reads a clock.
const CLOCK: &str = "reactor/clock.rs";

/// The only file of a floor that reads files: those in `/proc`.
const PROC: &str = "reactor/proc.rs";

/// The only files that print: what was asked for, and the log.
const LOG: [&str; 2] = ["log.rs", "log/printer.rs"];

/// The only file that knows `serde_json`.
const JSON: &str = "wire/json.rs";

/// The only files with unsafe code.
const UNSAFE: [&str; 2] = ["reactor/sys.rs", "reactor/registered.rs"];

/// The only file that reads the processor time, which is no moment; it has the call by which clocks are read, too.
const PROCESSOR_TIME: &str = "reactor/sys.rs";

fn clocks(source: &Source) -> Vec<String> {
    let has = |part: &str| source.names.iter().any(|name| name.has(part));
    let is_of_moments = has("CLOCK_MONOTONIC") || has("CLOCK_REALTIME") || !has("CLOCK_THREAD_CPUTIME_ID");
    let is_exempt = source.product() == Some(PROCESSOR_TIME) && !is_of_moments;
    if source.product().is_none_or(|path| path == CLOCK) {
        return Vec::new();
    }
    let reads = |name: &&Name| {
        let calls = ["Instant::now", "SystemTime::now", "libc::time"];
        calls.iter().any(|call| name.ends_with(call))
            || (name.has("clock_gettime") && !is_exempt)
            || name.has("gettimeofday")
    };
    let names = source.names.iter().filter(reads).map(|name| (name.line, name.text()));
    let call = [".", "elapsed", "(", ")"];
    let calls = source.tokens.windows(call.len());
    let calls = calls.filter(|tokens| tokens.iter().map(|token| token.text.as_str()).eq(call));
    let calls = calls.map(|tokens| (tokens[1].line, "elapsed()".to_owned()));
    names.chain(calls).map(|(line, name)| source.offence(line, &format!("{name} reads a clock"))).collect()
}

/// All pages and scripts are in the binary: no floor reads a file, but one of the kernel's floor reads `/proc`.
fn files(source: &Source) -> Vec<String> {
    if source.product() == Some(PROC) || !FLOORS.iter().any(|(name, _)| source.floor() == Some(name)) {
        return Vec::new();
    }
    let names = source.names.iter().filter(|name| name.starts_with("std::fs"));
    names.map(|name| source.offence(name.line, &format!("{} is a file", name.text()))).collect()
}

fn pollers(source: &Source) -> Vec<String> {
    if source.product().is_none() || source.floor() == Some("reactor") {
        return Vec::new();
    }
    let names = source.names.iter().filter(|name| name.has("polling"));
    names.map(|name| source.offence(name.line, "polling belongs to src/reactor/")).collect()
}

/// One file says which parts of `serde_json` the product has: each more makes the program larger.
fn trees(source: &Source) -> Vec<String> {
    if source.product().is_none_or(|path| path == JSON) {
        return Vec::new();
    }
    let names = source.names.iter().filter(|name| name.has("serde_json"));
    names.map(|name| source.offence(name.line, "serde_json belongs to src/wire/json.rs")).collect()
}

fn unsafe_code(source: &Source) -> Vec<String> {
    let lines = source.text.lines().collect::<Vec<_>>();
    let judge = |token: &Token| {
        if !source.product().is_some_and(|path| UNSAFE.contains(&path)) {
            return Some(
                source.offence(token.line, "unsafe belongs to src/reactor/sys.rs and src/reactor/registered.rs"),
            );
        }
        let has_reason = has_safety_comment(&lines[..token.line - 1]);
        (!has_reason).then(|| source.offence(token.line, "unsafe without // SAFETY: above it"))
    };
    source.tokens.iter().filter(|token| token.text == "unsafe").filter_map(judge).collect()
}

/// Whether a comment with `SAFETY:` stands right above the statement that goes on after `before`.
fn has_safety_comment(before: &[&str]) -> bool {
    let mut in_statement = true;
    for line in before.iter().rev().map(|line| line.trim()) {
        let comment = line.starts_with("//");
        if comment && line.contains("SAFETY:") {
            return line.starts_with("// SAFETY:");
        }
        let ends = line.is_empty() || line.ends_with([';', '{', '}', ',']);
        if !comment && (ends || !in_statement) && !line.starts_with("#[") {
            return false;
        }
        in_statement &= !comment;
    }
    false
}

fn printing(source: &Source) -> Vec<String> {
    if source.product().is_none_or(|path| LOG.contains(&path)) {
        return Vec::new();
    }
    let macros = ["print", "println", "eprint", "eprintln", "dbg"];
    let calls = source.tokens.windows(2).filter(|two| two[1].text == "!");
    let calls = calls.filter(|two| macros.contains(&two[0].text.as_str())).map(|two| two[0].line);
    let streams = ["io::stdout", "io::stderr"];
    let handles = source.names.iter().filter(|name| streams.iter().any(|stream| name.ends_with(stream)));
    let lines = calls.chain(handles.map(|name| name.line));
    lines.map(|line| source.offence(line, "only src/log.rs prints")).collect()
}

#[test]
fn a_clock_outside_its_file_is_found() {
    finds("src/server/a.rs", "fn f() { std::time::Instant::now(); }", &["Instant::now reads a clock"]);
    finds("src/server/a.rs", "fn f(start: Instant) { start.elapsed(); }", &["elapsed() reads a clock"]);
    finds("src/server/a.rs", "fn f() { assert!(Instant::now() > a.elapsed()); }", &["Instant::now", "elapsed()"]);
    finds("src/main.rs", "fn f() { SystemTime::now(); }", &["SystemTime::now"]);
    finds("src/reactor/sys.rs", "use libc::{clock_gettime, close};", &["libc::clock_gettime"]);
    finds("src/reactor/clock.rs", "fn f() { Instant::now(); SystemTime::now(); }", &[]);
    finds("src/collections/a.rs", "fn f() -> u64 { self.elapsed + self.now }", &[]);
    finds("tests/load/src/a.rs", "fn f() { Instant::now(); }", &[]);
}

#[test]
fn a_floor_that_reads_a_file_is_found() {
    finds("src/server/a.rs", "use std::{fs, net};", &["std::fs is a file"]);
    finds("src/server/a.rs", "const A: &str = include_str!(\"../client/a.js\");", &[]);
    finds("src/config.rs", "fn f() { std::fs::read(path); }", &[]);
    finds("src/reactor/proc.rs", "fn f() { std::fs::read_to_string(path); }", &[]);
    finds("src/reactor/sys.rs", "fn f() { std::fs::read_to_string(path); }", &["std::fs::read_to_string is a file"]);
}

#[test]
fn unsafe_in_the_wrong_place_or_without_a_reason_is_found() {
    let with_reason = "fn f() {\n// SAFETY: the descriptor\n// is open.\nlet n = unsafe { close(fd) };\n}";
    finds("src/server/a.rs", with_reason, &["unsafe belongs to"]);
    finds("tests/kit/src/a.rs", with_reason, &["unsafe belongs to"]);
    finds("tests/load/src/a.rs", with_reason, &["unsafe belongs to"]);
    finds("tests/it/a.rs", with_reason, &["unsafe belongs to"]);
    finds("fuzz/fuzz_targets/a.rs", with_reason, &["unsafe belongs to"]);
    let sys = |code: &str, parts: &[&str]| finds("src/reactor/sys.rs", &format!("fn f() {{\n{code}\n}}"), parts);
    finds("src/reactor/sys.rs", with_reason, &[]);
    sys("// SAFETY: as above.\nlet long =\n    unsafe { close(fd) };", &[]);
    sys("// SAFETY: as above.\n#[expect(unsafe_code, reason = \"x\")]\nunsafe { close(fd) }", &[]);
    sys("let n = unsafe { close(fd) };", &["without // SAFETY:"]);
    sys("// It is safe.\nlet n = unsafe { close(fd) };", &["without // SAFETY:"]);
    sys("// SAFETY: one.\nunsafe { a() };\nunsafe { b() };", &["rs:5: unsafe without"]);
    sys("// SAFETY: far.\n\nunsafe { a() };", &["rs:5: unsafe without"]);
}

#[test]
fn printing_and_polling_elsewhere_are_found() {
    finds("src/server/a.rs", "fn f() { println!(\"x\"); }", &["only src/log.rs prints"]);
    finds("src/main.rs", "fn f() {\n    eprintln !(\"x\");\n    dbg!(1); }", &["rs:3: only", "rs:4: only"]);
    finds("src/config.rs", "use std::io::{self, stderr};", &["only src/log.rs prints"]);
    finds("src/config.rs", "fn f() { io::stdout().lock(); }", &["only src/log.rs prints"]);
    finds("src/log.rs", "fn f() { eprintln!(\"x\"); std::io::stderr(); }", &[]);
    finds("src/log/line.rs", "fn f() { std::io::stderr(); }", &["only src/log.rs prints"]);
    finds("tests/load/src/main.rs", "fn f() { println!(\"{:?}\", Instant::now()); }", &[]);
    finds("src/server/a.rs", "fn println(print: u8) -> bool { print != 1 }", &[]);
    finds("src/server/a.rs", "fn f(event: polling::Event) {}", &["polling belongs to src/reactor/"]);
}

#[test]
fn trees_of_values_are_found() {
    finds("src/server/a.rs", "fn f(page: serde_json::Value) {}", &["serde_json belongs to src/wire/json.rs"]);
    finds("src/wire/stats.rs", "fn f() { serde_json::json!({}); }", &["serde_json belongs to src/wire/json.rs"]);
    finds("src/wire/json.rs", "fn f() { serde_json::to_writer(out, text); }", &[]);
    finds("tests/load/src/main.rs", "fn f(page: serde_json::Value) {}", &[]);
}
