//! The floors of `src/`, held by reading it: an import may only run down; pure floors name neither sockets
//! nor clocks, and no floor a file; `unsafe`, `polling`, `serde_json` and printing stay where they belong; files keep
//! their size and open with what they own; and the repository's top level holds nothing else.
//!
//! The checks see code, not words: comments and the contents of literals are blanked first. Each check
//! is a function from a file's path and text to its offences, and is tested on offending snippets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use audience_kit::source;

/// Each floor, and the ones below it from which it may import.
const FLOORS: [(&str, &[&str]); 5] = [
    ("collections", &[]),
    ("meter", &["collections"]),
    ("wire", &["collections", "meter"]),
    ("reactor", &["collections"]),
    // The top floor joins the others, is configured, and logs.
    ("server", &["collections", "meter", "wire", "reactor", "config", "log", "reports"]),
];

/// The floors that are driven without a socket and a clock.
const PURE: [&str; 3] = ["collections", "meter", "wire"];

/// What the repository's top level may hold, dotfiles apart.
const TOP_LEVEL: [&str; 8] = ["Cargo.toml", "Cargo.lock", "src", "client", "fuzz", "tests", "README.md", "LICENSE"];

/// The most lines that a file may have before its tests.
const LINES_MAX: usize = 400;

// ---------------------------------------------------------------------------------------------
// From text to code
// ---------------------------------------------------------------------------------------------

/// Blanks comments and the contents of string and character literals, and keeps the line ends.
fn code_of(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let previous = code.chars().next_back();
        let length = literal_length(rest, previous);
        if length > 0 {
            code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// The length of the comment or literal that `rest` starts with, 0 if it starts with code.
fn literal_length(rest: &str, previous: Option<char>) -> usize {
    let in_word = previous.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_length(rest);
    }
    if !in_word && let Some(length) = raw_string_length(rest) {
        return length;
    }
    match rest.as_bytes()[0] {
        b'"' => quoted_length(rest, b'"'),
        b'\'' if is_char_literal(rest) => quoted_length(rest, b'\''),
        _ => 0,
    }
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let two = &rest.as_bytes()[at..rest.len().min(at + 2)];
        (depth, at) = match two {
            b"/*" => (depth + 1, at + 2),
            b"*/" => (depth - 1, at + 2),
            _ => (depth, at + 1),
        };
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#` and the same after `b` or `c`.
fn raw_string_length(rest: &str) -> Option<usize> {
    let start = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let hashes_on = start.strip_prefix('r')?;
    let body = hashes_on.trim_start_matches('#');
    let hashes = hashes_on.len() - body.len();
    let body = body.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let before = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| before + at + end.len()))
}

fn quoted_length(rest: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    let first = chars.next();
    first == Some('\\') || chars.next() == Some('\'')
}

/// A word or a punctuation of the code, and the line it stands on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

fn tokens_of(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let in_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match rest.find(|c| !in_word(c)) {
                _ if rest.starts_with("::") || rest.starts_with("!=") => 2,
                Some(0) => first.len_utf8(),
                Some(end) => end,
                None => rest.len(),
            };
            tokens.push(Token { line: index + 1, text: rest[..length].to_owned() });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// A path as it is written out, with its group, if it has one, multiplied out:
/// `use a::{b, c::d}` gives `a::b` and `a::c::d`.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    line: usize,
    path: Vec<String>,
}

impl Named {
    fn starts_with(&self, path: &str) -> bool {
        let parts = path.split("::").collect::<Vec<_>>();
        self.path.len() >= parts.len() && parts.iter().zip(&self.path).all(|(part, own)| part == own)
    }

    fn ends_with(&self, path: &str) -> bool {
        let parts = path.split("::").collect::<Vec<_>>();
        self.path.len() >= parts.len() && parts.iter().rev().zip(self.path.iter().rev()).all(|(part, own)| part == own)
    }

    fn has(&self, word: &str) -> bool {
        self.path.iter().any(|part| part == word)
    }
}

/// What may stand before a path that starts with `::`, and is no part of it.
const KEYWORDS: [&str; 12] = ["use", "as", "return", "in", "mut", "dyn", "impl", "if", "match", "while", "else", "for"];

/// Every path in the code, single words among them.
fn paths_of(tokens: &[Token]) -> Vec<Named> {
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_word(&tokens[at].text) && !KEYWORDS.contains(&tokens[at].text.as_str()) {
            at = read_path(tokens, at, &[], &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads one path (or `*`) that starts at `at`, and gives the place behind it.
fn read_path(tokens: &[Token], mut at: usize, before: &[String], paths: &mut Vec<Named>) -> usize {
    let line = tokens[at].line;
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut path = before.to_vec();
    path.push(text(at).to_owned());
    at += 1;
    while text(at) == "::" {
        match text(at + 1) {
            "{" => return read_group(tokens, at + 2, &path, paths),
            next if is_word(next) || next == "*" => path.push(next.to_owned()),
            _ => break,
        }
        at += 2;
    }
    paths.push(Named { line, path });
    at
}

/// Reads the paths of a group up to its closing brace, and gives the place behind it.
fn read_group(tokens: &[Token], mut at: usize, before: &[String], paths: &mut Vec<Named>) -> usize {
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "}" => return at + 1,
            text if is_word(text) || text == "*" => at = read_path(tokens, at, before, paths),
            _ => at += 1,
        }
    }
    at
}

// ---------------------------------------------------------------------------------------------
// The checks
// ---------------------------------------------------------------------------------------------

/// A source file; `path` is relative to `src/`.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
    tokens: Vec<Token>,
    paths: Vec<Named>,
}

impl<'a> Source<'a> {
    fn read(path: &'a str, text: &'a str) -> Self {
        let tokens = tokens_of(&code_of(text));
        let paths = paths_of(&tokens);
        Source { path, text, tokens, paths }
    }

    /// The folder it stands in, or nothing at the top.
    fn floor(&self) -> Option<&'a str> {
        Some(self.path.split_once('/')?.0)
    }

    /// Whether it belongs to a program beside the daemon: a benchmark measures time and prints what it found.
    fn is_program(&self) -> bool {
        self.floor() == Some("bin")
    }

    /// An offence in one of its lines.
    fn offence(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path)
    }
}

/// Every offence of one file.
fn offences_of(path: &str, text: &str) -> Vec<String> {
    let source = Source::read(path, text);
    let checks = [imports_that_run_up, impure_names, clocks, files, strays, trees, unsafe_code, printing, shape];
    checks.iter().flat_map(|check| check(&source)).collect()
}

fn imports_that_run_up(source: &Source) -> Vec<String> {
    let Some(&(own, below)) = FLOORS.iter().find(|(name, _)| source.floor() == Some(name)) else {
        return Vec::new();
    };
    let climbs = |named: &&Named| named.starts_with("super::super");
    let up = |named: &&Named| {
        let of_crate = named.starts_with("crate") || named.starts_with("audience_meter");
        let floor = named.path.get(1).map(String::as_str);
        of_crate && floor.is_some_and(|floor| floor != own && !below.contains(&floor))
    };
    let ups = source.paths.iter().filter(up);
    let ups = ups.map(|named| source.offence(named.line, &format!("{own} may not name {}", named.path.join("::"))));
    let climbs = source.paths.iter().filter(climbs);
    let climbs = climbs.map(|named| source.offence(named.line, "name it from the crate, not by super::super"));
    ups.chain(climbs).collect()
}

fn impure_names(source: &Source) -> Vec<String> {
    if !source.floor().is_some_and(|floor| PURE.contains(&floor)) {
        return Vec::new();
    }
    let impure = |named: &&Named| {
        // `core::net` has no sockets: addresses are values.
        let modules = ["std::net", "std::io", "core::io"];
        let words = ["Instant", "SystemTime", "libc", "polling"];
        modules.iter().any(|module| named.starts_with(module)) || words.iter().any(|word| named.has(word))
    };
    let named = source.paths.iter().filter(impure);
    named.map(|named| source.offence(named.line, &format!("a pure floor names {}", named.path.join("::")))).collect()
}

fn clocks(source: &Source) -> Vec<String> {
    if source.path == "reactor/clock.rs" || source.is_program() {
        return Vec::new();
    }
    let reads = |named: &&Named| {
        let calls = ["Instant::now", "SystemTime::now", "libc::time"];
        calls.iter().any(|call| named.ends_with(call)) || named.has("clock_gettime") || named.has("gettimeofday")
    };
    let named = source.paths.iter().filter(reads);
    let named = named.map(|named| (named.line, named.path.join("::")));
    let call = [".", "elapsed", "(", ")"];
    let calls = source.tokens.windows(call.len());
    let calls = calls.filter(|tokens| tokens.iter().map(|token| token.text.as_str()).eq(call));
    let calls = calls.map(|tokens| (tokens[1].line, "elapsed()".to_owned()));
    let all = named.chain(calls);
    all.map(|(line, name)| source.offence(line, &format!("{name} reads a clock"))).collect()
}

/// Whatever is served is in the binary: no floor reads a file, but one of the kernel's floor reads `/proc`.
fn files(source: &Source) -> Vec<String> {
    if source.path == "reactor/proc.rs" || !FLOORS.iter().any(|(name, _)| source.floor() == Some(name)) {
        return Vec::new();
    }
    let named = source.paths.iter().filter(|named| named.starts_with("std::fs"));
    named.map(|named| source.offence(named.line, &format!("{} is a file", named.path.join("::")))).collect()
}

fn strays(source: &Source) -> Vec<String> {
    if source.floor() == Some("reactor") {
        return Vec::new();
    }
    let strays = source.paths.iter().filter(|named| named.has("polling"));
    strays.map(|named| source.offence(named.line, "polling belongs to reactor/")).collect()
}

/// JSON is written as it goes: a tree of values, written anywhere, makes the program larger by a twentieth.
fn trees(source: &Source) -> Vec<String> {
    if source.path == "wire/json.rs" || source.is_program() {
        return Vec::new();
    }
    let trees = source.paths.iter().filter(|named| named.has("serde_json"));
    trees.map(|named| source.offence(named.line, "serde_json belongs to wire/json.rs")).collect()
}

fn unsafe_code(source: &Source) -> Vec<String> {
    let lines = source.text.lines().collect::<Vec<_>>();
    let uses = source.tokens.iter().filter(|token| token.text == "unsafe");
    let judge = |token: &Token| {
        if !["reactor/sys.rs", "reactor/registered.rs"].contains(&source.path) {
            return Some(source.offence(token.line, "unsafe belongs to reactor/sys.rs and reactor/registered.rs"));
        }
        let told = is_told_safe(&lines[..token.line - 1]);
        (!told).then(|| source.offence(token.line, "unsafe without // SAFETY: above it"))
    };
    uses.filter_map(judge).collect()
}

/// Whether a comment with `SAFETY:` stands right above the statement that goes on after `before`.
fn is_told_safe(before: &[&str]) -> bool {
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
    if source.path == "log.rs" || source.is_program() {
        return Vec::new();
    }
    let macros = ["print", "println", "eprint", "eprintln", "dbg"];
    let calls = source.tokens.windows(2).filter(|two| two[1].text == "!");
    let calls = calls.filter(|two| macros.contains(&two[0].text.as_str())).map(|two| two[0].line);
    let streams = ["stdout", "stderr"];
    let handles =
        source.paths.iter().filter(|named| streams.iter().any(|name| named.ends_with(&format!("io::{name}"))));
    let lines = calls.chain(handles.map(|named| named.line));
    lines.map(|line| source.offence(line, "only log.rs prints")).collect()
}

fn shape(source: &Source) -> Vec<String> {
    let mut offences = Vec::new();
    if !source.text.starts_with("//!") {
        offences.push(source.offence(1, "a file opens with //!"));
    }
    let before_tests = source.text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    let lines = before_tests.count();
    let all_tests = source.path.ends_with("/tests.rs");
    if lines > LINES_MAX && !all_tests {
        offences.push(source.offence(lines, &format!("{lines} lines, {LINES_MAX} at most")));
    }
    offences
}

/// The entries of the top level that do not belong there.
fn strangers<'a>(files: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let entries = files.into_iter().map(|file| file.split('/').next().unwrap_or(file));
    entries.filter(|entry| !entry.starts_with('.') && !TOP_LEVEL.contains(entry)).collect()
}

// ---------------------------------------------------------------------------------------------
// The house as it stands
// ---------------------------------------------------------------------------------------------

fn root() -> &'static Path {
    source()
}

/// Every file below `directory` with this extension.
fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_source_file_keeps_to_its_floor() {
    let directory = root().join("src");
    let files = files_below(&directory, "rs");
    assert!(files.len() > 10, "{files:?}");
    let mut offences = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(&directory).unwrap().to_str().unwrap();
        offences.extend(offences_of(path, &text));
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn each_floor_is_there_and_there_is_no_other() {
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    // A folder beside a file of its name holds that file's parts.
    let folders = entries.filter(|path| path.is_dir() && !path.with_extension("rs").exists());
    let folders = folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    let expected = FLOORS.iter().map(|(name, _)| *name).chain(["bin"]).map(str::to_owned);
    assert_eq!(folders, expected.collect());
}

#[test]
fn the_top_level_holds_nothing_else() {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let listed = listed.ok().filter(|output| output.status.success());
    let names = match listed {
        Some(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        // An unpacked archive, where git lists nothing: what is there, without what a build leaves.
        None => fs::read_dir(root()).unwrap().fold(String::new(), |names, entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            names + if name == "target" { "" } else { &name } + "\n"
        }),
    };
    let names = names.lines().filter(|name| !name.is_empty());
    assert_eq!(strangers(names), BTreeSet::new());
}

// ---------------------------------------------------------------------------------------------
// The checks, checked
// ---------------------------------------------------------------------------------------------

/// Fails unless the file has exactly these offences, each given by a part of it.
#[track_caller]
fn finds(path: &str, code: &str, parts: &[&str]) {
    let offences = offences_of(path, &format!("//! A file.\n{code}"));
    assert_eq!(offences.len(), parts.len(), "{path}: {code}\n{offences:#?}");
    for (offence, part) in offences.iter().zip(parts) {
        assert!(offence.contains(part), "{part:?} in {offence:?}");
    }
}

#[test]
fn an_import_that_runs_up_is_found_in_every_spelling() {
    finds("meter/a.rs", "use crate::wire::sse;", &["src/meter/a.rs:2: meter may not name crate::wire::sse"]);
    finds("meter/a.rs", "use crate::{\n    collections::Slab,\n    server::Conn,\n};", &["rs:4: meter may not name"]);
    finds(
        "meter/a.rs",
        "use crate::{collections::{Slab, List}, wire::{a, b::{c, d}}};",
        &["wire::a", "wire::b::c", "b::d"],
    );
    finds("meter/deep/a.rs", "fn f() -> u8 { crate::server::go(1) }", &["crate::server::go"]);
    finds("wire/a.rs", "pub use crate::server::Server;", &["wire may not name crate::server::Server"]);
    finds("reactor/a.rs", "use crate::meter;\nuse crate::wire::*;", &["crate::meter", "crate::wire::*"]);
    finds("reactor/a.rs", "fn f() { crate::log::info(1); }", &["crate::log::info"]);
    finds("collections/a.rs", "use audience_meter::meter;", &["audience_meter::meter"]);
    finds("collections/a.rs", "use super::super::meter;", &["super::super"]);
    finds("server/a.rs", "use crate::supervisor::Child;", &["crate::supervisor::Child"]);
}

#[test]
fn an_import_that_runs_down_or_stays_is_none() {
    finds("server/a.rs", "use crate::{collections::Slab, meter::Meter, wire, reactor::Reactor, config, log};", &[]);
    finds("meter/a.rs", "use crate::collections::Slab;\nuse crate::meter::notify;\nuse super::notify;", &[]);
    finds("main.rs", "use audience_meter::{config, log, server};", &[]);
}

#[test]
fn a_pure_floor_that_names_a_socket_or_a_clock_is_found() {
    finds("wire/a.rs", "use std::net::IpAddr;", &["a pure floor names std::net::IpAddr"]);
    finds("wire/a.rs", "use std::{fmt, io::{self, Read}};", &["std::io::self", "std::io::Read"]);
    finds("meter/a.rs", "fn f(at: std::time::Instant) {}", &["std::time::Instant"]);
    finds("meter/a.rs", "use std::time::{Duration, SystemTime as S};", &["std::time::SystemTime"]);
    finds("collections/a.rs", "fn f(fd: libc::c_int) {}", &["libc::c_int"]);
    finds("collections/a.rs", "use ::std::net::TcpStream;", &["std::net::TcpStream"]);
    finds("meter/a.rs", "use polling::Event;", &["names polling::Event", "polling belongs to reactor/"]);
    finds("reactor/a.rs", "use std::{io, net, time::Instant};\nuse libc::c_int;\nuse polling::Event;", &[]);
    finds("wire/a.rs", "use core::net::IpAddr;", &[]);
    finds("wire/a.rs", "fn std_io(instant: u8, io: u8) -> InstantNoodles { net(io) }", &[]);
}

#[test]
fn a_clock_outside_its_file_is_found() {
    finds("server/a.rs", "fn f() { std::time::Instant::now(); }", &["Instant::now reads a clock"]);
    finds("server/a.rs", "fn f(start: Instant) { start.elapsed(); }", &["elapsed() reads a clock"]);
    finds("main.rs", "fn f() { SystemTime::now(); }", &["SystemTime::now"]);
    finds("reactor/sys.rs", "use libc::{clock_gettime, close};", &["libc::clock_gettime"]);
    finds("reactor/clock.rs", "fn f() { Instant::now(); SystemTime::now(); }", &[]);
    finds("collections/a.rs", "fn f() -> u64 { self.elapsed + self.now }", &[]);
}

#[test]
fn a_floor_that_reads_a_file_is_found() {
    finds("server/a.rs", "use std::{fs, net};", &["std::fs is a file"]);
    finds("server/a.rs", "const A: &str = include_str!(\"../client/a.js\");", &[]);
    finds("config.rs", "fn f() { std::fs::read(path); }", &[]);
    finds("reactor/proc.rs", "fn f() { std::fs::read_to_string(path); }", &[]);
    finds("reactor/sys.rs", "fn f() { std::fs::read_to_string(path); }", &["std::fs::read_to_string is a file"]);
}

#[test]
fn unsafe_in_the_wrong_place_or_without_a_reason_is_found() {
    let told = "// SAFETY: the descriptor\n// is open.\nlet n = unsafe { close(fd) };";
    finds("server/a.rs", told, &["unsafe belongs to"]);
    finds("reactor/sys.rs", told, &[]);
    finds("reactor/sys.rs", "// SAFETY: as above.\nlet long =\n    unsafe { close(fd) };", &[]);
    finds("reactor/sys.rs", "// SAFETY: as above.\n#[expect(unsafe_code, reason = \"x\")]\nunsafe { close(fd) }", &[]);
    finds("reactor/sys.rs", "let n = unsafe { close(fd) };", &["without // SAFETY:"]);
    finds("reactor/sys.rs", "// It is safe.\nlet n = unsafe { close(fd) };", &["without // SAFETY:"]);
    finds("reactor/sys.rs", "// SAFETY: one.\nunsafe { a() };\nunsafe { b() };", &["rs:4: unsafe without"]);
    finds("reactor/sys.rs", "// SAFETY: far.\n\nunsafe { a() };", &["rs:4: unsafe without"]);
}

#[test]
fn printing_and_polling_elsewhere_are_found() {
    finds("server/a.rs", "fn f() { println!(\"x\"); }", &["only log.rs prints"]);
    finds("main.rs", "fn f() {\n    eprintln !(\"x\");\n    dbg!(1); }", &["rs:3: only", "rs:4: only"]);
    finds("config.rs", "use std::io::{self, stderr};", &["only log.rs prints"]);
    finds("config.rs", "fn f() { io::stdout().lock(); }", &["only log.rs prints"]);
    finds("log.rs", "fn f() { eprintln!(\"x\"); std::io::stderr(); }", &[]);
    finds("bin/bench/main.rs", "fn f() { println!(\"{:?}\", Instant::now()); }", &[]);
    finds("bin/bench/main.rs", "fn f() { unsafe { a() } }", &["unsafe belongs to"]);
    finds("server/a.rs", "fn println(print: u8) -> bool { print != 1 }", &[]);
    finds("server/a.rs", "fn f(event: polling::Event) {}", &["polling belongs to reactor/"]);
}

#[test]
fn trees_of_values_are_found() {
    finds("server/a.rs", "fn f(page: serde_json::Value) {}", &["serde_json belongs to wire/json.rs"]);
    finds("wire/stats.rs", "fn f() { serde_json::json!({}); }", &["serde_json belongs to wire/json.rs"]);
    finds("wire/json.rs", "fn f() { serde_json::to_writer(out, text); }", &[]);
    finds("bin/bench/main.rs", "fn f(page: serde_json::Value) {}", &[]);
}

#[test]
fn words_in_comments_and_literals_are_none() {
    let quiet = [
        "// unsafe, std::net, Instant::now(), println!, crate::server::x",
        "/* crate::server::x /* nested unsafe */ libc::close */",
        "const A: &str = \"unsafe { crate::server::x }\";",
        "const A: &str = \"an escaped \\\" unsafe\";",
        "const A: &str = r#\"a raw \" unsafe\"#;",
        "const A: &[u8] = br\"unsafe \\\";",
        "const A: &[u8] = b\"unsafe\n println!\";",
        "const A: [char; 2] = ['\"', '\\''];\nconst B: &str = \"unsafe\";",
        "fn f<'a>(a: &'a str) -> &'a str { a }\nconst B: &str = \"unsafe\";",
    ];
    for code in quiet {
        finds("meter/a.rs", code, &[]);
        finds("meter/a.rs", &format!("{code}\nfn f() {{ unsafe {{}} }}"), &["unsafe belongs to"]);
    }
}

#[test]
fn a_file_that_is_too_long_or_does_not_say_what_it_owns_is_found() {
    let lines = "fn f() {}\n".repeat(LINES_MAX - 1);
    finds("meter/a.rs", &lines, &[]);
    finds("meter/a.rs", &format!("{lines}\n"), &["401 lines, 400 at most"]);
    finds("meter/a.rs", &format!("{lines}#[cfg(test)]\nmod tests {{}}\n{lines}"), &[]);
    assert_eq!(offences_of("meter/a.rs", "// A file.\n").len(), 1);
    assert_eq!(offences_of("meter/a.rs", "").len(), 1);
}

#[test]
fn a_stranger_at_the_top_level_is_found() {
    let belongs =
        [".ci/run", ".gitignore", "Cargo.toml", "Cargo.lock", "LICENSE", "README.md", "src/lib.rs", "tests/it/main.rs"];
    assert_eq!(strangers(belongs), BTreeSet::new());
    let strange = ["docs/a.md", "docs/b.md", "src/lib.rs", "build.rs", "target/debug/x"];
    assert_eq!(strangers(strange), BTreeSet::from(["docs", "build.rs", "target"]));
}
