//! Words and turns of phrase that have a plainer one.
//!
//! Owns the list. A word counts wherever it stands: in a comment, in a text, as a part of a name (`told_at`, `NoteTold`). Names
//! that were given up count as code, and in backticks. A turn of phrase counts across the end of a line.

use std::collections::BTreeMap;

use super::super::source::Source;
use super::super::{File, same, tree};
use super::exceptions::EXCEPTIONS;

/// Words, and what to say instead.
const WORDS: [(&[&str], &str); 5] = [
    (&["tell", "tells", "told", "telling", "tellings"], "push, announce, send, order, update, print, report, say"),
    (&["hear", "hears", "heard", "hearing", "unheard"], "receive, apply, read"),
    (&["grave", "graves", "bury", "buries", "buried", "burial", "burials", "dig", "digs", "dug"], "departed, remove"),
    (&["whoever", "whomever"], "name the noun"),
    (&["nobody", "somebody", "everybody"], "empty, an id, all"),
];

/// Turns of phrase, and what to say instead.
const PHRASES: [(&str, &str); 6] = [
    ("of whom", "name the noun"),
    ("is to be", "name who does it"),
    ("are to be", "name who does it"),
    ("so many", "the parameter's name"),
    ("so long", "the parameter's name"),
    ("as many as", "the parameter's name, a number"),
];

/// Names that were given up, and their successors.
const NAMES: [(&str, &str); 7] = [
    ("Then", "AfterReply"),
    ("Service", "Audience"),
    ("serve", "answers"),
    ("Clients", "Origins"),
    ("Opening", "Preface"),
    ("Room", "Capacity"),
    ("has_place", "has_member_slot"),
];

/// How such names begin.
const PREFIXES: [(&str, &str); 2] = [("note_", "say what it does: record_, mark_, queue_"), ("serve_", "answer_")];

/// A line that says what has a plainer word.
pub(super) struct Offence {
    path: String,
    line: usize,
    word: String,
    text: String,
    instead: &'static str,
}

impl Offence {
    fn is_excepted(&self) -> bool {
        let fits = |(path, word, within, _): &(&str, &str, &str, &str)| {
            self.path.starts_with(path) && self.word == *word && self.text.contains(within)
        };
        EXCEPTIONS.iter().any(fits)
    }

    fn describe(&self) -> String {
        format!("{}:{}: {} ({}): {}", self.path, self.line, self.word, self.instead, self.text)
    }
}

/// A word of the text, with the line it stands on, counted from 1; a `.` for the end of a sentence.
fn words_of(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches(['/', '!', '#', '*', '-', '>']);
        let pieces = line.split_inclusive(|c: char| !c.is_alphanumeric() && !"_'’-".contains(c));
        for piece in pieces {
            let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
            words.extend(Some((index + 1, word)).filter(|(_, word)| !word.is_empty()));
            let ends = [".", "!", "?", ":", ";"].iter().any(|mark| piece.ends_with(mark));
            words.extend(ends.then_some((index + 1, if piece.ends_with('?') { "?" } else { "." })));
        }
        if line.trim().is_empty() {
            words.push((index + 1, "."));
        }
    }
    words
}

/// The parts of a name: `told_at` and `NoteTold` have two each.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            parts.push(String::new());
        }
        if c.is_alphanumeric() {
            parts.last_mut().unwrap().extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    parts
}

/// Every offence of a file, exceptions included.
fn offences_of(path: &str, text: &str) -> Vec<Offence> {
    let lines = text.lines().collect::<Vec<_>>();
    let found = [words(text), phrases(text), names(path, text)].concat();
    let mut offences = Vec::new();
    for (line, word, instead) in found {
        let text = lines.get(line - 1).map_or("", |line| line.trim()).to_owned();
        offences.push(Offence { path: path.to_owned(), line, word, text, instead });
    }
    offences.sort_by_key(|offence| offence.line);
    offences
}

type Found = Vec<(usize, String, &'static str)>;

fn words(text: &str) -> Found {
    let mut found = Vec::new();
    for (line, word) in words_of(text) {
        for part in parts_of(word) {
            let listed = WORDS.iter().find(|(words, _)| words.contains(&part.as_str()));
            found.extend(listed.map(|(_, instead)| (line, part, *instead)));
        }
    }
    found
}

fn phrases(text: &str) -> Found {
    let words = words_of(text);
    let mut found = Vec::new();
    for at in 0..words.len() {
        let begins = |phrase: &str| {
            let mut rest = words[at..].iter().map(|(_, word)| word.to_lowercase());
            phrase.split(' ').all(|part| rest.next().is_some_and(|word| word == part))
        };
        let listed = PHRASES.iter().filter(|(phrase, _)| begins(phrase));
        found.extend(listed.map(|(phrase, instead)| (words[at].0, (*phrase).to_owned(), *instead)));
        if begins_without_noun(&words[at..]) && (at == 0 || [".", "?"].contains(&words[at - 1].1)) {
            found.push((words[at].0, "who".to_owned(), "name the noun"));
        }
    }
    found
}

/// `Who has left is ...`: a relative clause that stands for a noun. A question may begin so.
fn begins_without_noun(words: &[(usize, &str)]) -> bool {
    let is_who = ["Who", "Whom", "who", "whom"].contains(&words[0].1);
    let end = words.iter().map(|(_, word)| *word).find(|word| [".", "?"].contains(word));
    is_who && end == Some(".")
}

/// Names that were given up, in code and in backticks.
fn names(path: &str, text: &str) -> Found {
    let extension = path.rsplit('.').next();
    let mut given = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let is_comment = extension == Some("md") || line.trim_start().starts_with("//");
        let pieces = line.split('`').skip(1).step_by(2).filter(|_| is_comment);
        let words = pieces.flat_map(|piece| piece.split(|c: char| !c.is_alphanumeric() && c != '_'));
        given.extend(words.map(|word| (index + 1, word.to_owned())));
    }
    if extension == Some("rs") {
        given.extend(Source::read(path, text).tokens.into_iter().map(|token| (token.line, token.text)));
    }
    let judge = |(line, name): (usize, String)| {
        let old = NAMES.iter().find(|(old, _)| *old == name);
        let (_, instead) = old.or_else(|| PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)))?;
        Some((line, name, *instead))
    };
    given.into_iter().filter_map(judge).collect()
}

/// What is read: code and texts of the product, the client's, the manual, and the usage text as it is printed.
fn read_texts() -> Vec<File> {
    let mut files = tree(&["src"], &["rs", "md"]);
    files.extend(tree(&["client"], &["js", "ts", "html", "css", "md", "json"]));
    files.retain(|file| ![".min.js", "jquery.audience.js"].iter().any(|made| file.path.ends_with(made)));
    files.extend(tree(&["README.md"], &["md"]));
    files.push(File { path: "--help".to_owned(), text: super::links::usage("--help") });
    files
}

#[test]
#[expect(clippy::print_stdout, reason = "the offences are a report, for --nocapture")]
fn what_has_a_plainer_word_is_said_in_it() {
    let files = read_texts();
    let all = files.iter().flat_map(|file| offences_of(&file.path, &file.text)).collect::<Vec<_>>();
    let (excepted, offences) = all.iter().partition::<Vec<_>, _>(|offence| offence.is_excepted());
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    for offence in &offences {
        println!("{}", offence.describe());
        let folder = offence.path.rsplit_once('/').map_or(offence.path.as_str(), |(folder, _)| folder);
        *counts.entry((folder, offence.word.as_str())).or_default() += 1;
    }
    let mut folders = BTreeMap::<&str, Vec<String>>::new();
    for ((folder, word), count) in counts {
        folders.entry(folder).or_default().push(format!("{word} {count}"));
    }
    for (folder, words) in folders {
        println!("{folder}: {}", words.join(", "));
    }
    println!("{} offences, {} exceptions", offences.len(), excepted.len());
    assert!(offences.is_empty(), "{} lines say what has a plainer word", offences.len());
}

#[test]
fn every_exception_is_met() {
    let files = read_texts();
    let all = files.iter().flat_map(|file| offences_of(&file.path, &file.text)).collect::<Vec<_>>();
    for (path, word, within, reason) in EXCEPTIONS {
        let is_met = |offence: &Offence| {
            offence.path.starts_with(path) && offence.word == *word && offence.text.contains(within)
        };
        assert!(all.iter().any(is_met), "nothing in {path} says {word} beside {within:?} any more ({reason})");
    }
}

#[track_caller]
fn says(path: &str, text: &str, parts: &[&str]) {
    let offences = offences_of(path, text).iter().map(Offence::describe).collect::<Vec<_>>();
    same(&offences, parts);
}

#[test]
fn a_word_is_found_in_comments_texts_and_names() {
    says("src/a.rs", "//! Others are told.\nfn f() {}\n", &["src/a.rs:1: told"]);
    says(
        "src/a.rs",
        "fn f(told_at: u8) {}\nstruct NotHeard;\nconst A: &str = \"nobody\";",
        &["a.rs:1: told", "2: heard", "3: nobody"],
    );
    says("client/a.js", "// everybody\nlet whoeverComes = 1;", &["a.js:1: everybody", "2: whoever"]);
    says("README.md", "Somebody digs.", &["somebody", "digs"]);
    says("src/a.rs", "//! Retold, heartbeat, digest, engraved, shear.", &[]);
}

#[test]
fn a_turn_of_phrase_is_found_across_lines() {
    says(
        "src/a.rs",
        "/// What is to\n/// be written, and of whom.\nfn f() {}",
        &["a.rs:1: is to be", "a.rs:2: of whom"],
    );
    says("README.md", "So many of them, as many as\ncome.", &["1: so many", "1: as many as"]);
    says("README.md", "What it is. To be sure, it is to begin.", &[]);
}

#[test]
fn a_relative_clause_without_a_noun_is_found() {
    says("README.md", "It is quiet. Who has left is gone.", &["who"]);
    says("src/a.rs", "/// Who is counted.\nfn f() {}", &["who"]);
    says("README.md", "Who is there?\n\nA member who has left is gone.", &[]);
}

#[test]
fn a_name_that_was_given_up_is_found_in_code_and_in_backticks() {
    says("src/a.rs", "fn f() -> Then { note_it(); serve() }", &["1: Then", "1: note_it", "1: serve"]);
    says("src/a.rs", "//! The `Service` serves. Then there is Room.", &["1: Service"]);
    says("src/a.rs", "//! Then they serve, in the Service.\nconst A: &str = \"Room\";", &[]);
}
