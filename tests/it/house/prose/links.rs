//! What the manual refers to: options of the daemon, pages and places in them.
//!
//! Owns the rules of an anchor, as they are on the project's page: the heading in lower case, without marks, with `-` for spaces.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::super::{File, root, tree};
use super::{manual, without_blocks};

/// Options of other programs that the manual names: cargo, curl, docker, systemctl, ip, rrdtool, Traefik, and the
/// instrument.
const FOREIGN: [&str; 30] = [
    "--arg",
    "--argjson",
    "--bin",
    "--bus",
    "--cpus",
    "--data-urlencode",
    "--entrypoints",
    "--from",
    "--json",
    "--locked",
    "--lower-limit",
    "--name",
    "--network",
    "--nocapture",
    "--now",
    "--open",
    "--path",
    "--print",
    "--providers",
    "--release",
    "--retry",
    "--rm",
    "--root",
    "--start",
    "--step",
    "--target",
    "--test",
    "--title",
    "--ulimit",
    "--workspace",
];

/// Every `--option` of a text.
fn options_of(text: &str) -> BTreeSet<&str> {
    let in_option = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = text.match_indices("--").map(|(at, _)| at);
    let starts = starts.filter(|at| !text[..*at].ends_with(|c: char| in_option(c) || c.is_alphanumeric()));
    let options = starts.map(|at| {
        let rest = &text[at..];
        rest[..rest.find(|c| !in_option(c)).unwrap_or(rest.len())].trim_end_matches('-')
    });
    options.filter(|option| option.len() > 2).collect()
}

/// What the daemon prints for `-h` or `--help`.
pub(super) fn usage(option: &str) -> String {
    let output = Command::new(audience_kit::program()).arg(option).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The places of a page that a link may lead to.
fn anchors_of(page: &str) -> BTreeSet<String> {
    let page = without_blocks(page);
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor_of(line.trim_start_matches('#').trim())).collect()
}

fn anchor_of(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.flat_map(char::to_lowercase).collect::<String>().replace(' ', "-")
}

/// Where the links of a page lead, with their lines: `[text](here)`, `[text]: here` and `src="here"`.
fn links_of(page: &str) -> Vec<(usize, String)> {
    let page = without_blocks(page);
    let mut links = Vec::new();
    for (index, line) in page.lines().enumerate() {
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let below = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, link)| link.trim());
        let images = line.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        links.extend(inline.chain(below).chain(images).map(|link| (index + 1, link.to_owned())));
    }
    links
}

/// Links of a page that lead nowhere.
fn dead_links(page: &File, files: &[File]) -> Vec<String> {
    let mut dead = Vec::new();
    for (line, link) in links_of(&page.text) {
        let is_elsewhere = link.contains("://") || link.starts_with("mailto:");
        // The documentation resolves these, and warns.
        let is_path_of_code = link.contains("::");
        if !is_elsewhere && !is_path_of_code && !leads_somewhere(&page.path, &link, files) {
            dead.push(format!("{}:{line}: {link} leads nowhere", page.path));
        }
    }
    dead
}

fn leads_somewhere(from: &str, link: &str, files: &[File]) -> bool {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { PathBuf::from(from) } else { join(Path::new(from).parent().unwrap(), path) };
    let page = files.iter().find(|file| Path::new(&file.path) == path);
    match anchor {
        None => page.is_some() || root().join(path).exists(),
        Some(anchor) => page.is_some_and(|page| anchors_of(&page.text).contains(anchor)),
    }
}

/// A relative path from a folder, without `.` and `..`.
fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = folder.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(joined.pop()),
            Component::Normal(part) => joined.push(part),
            _ => {}
        }
    }
    joined
}

#[test]
fn the_manual_explains_every_option_and_no_other() {
    let usage = usage("--help");
    let own = options_of(&usage);
    assert!(own.len() > 30, "{own:?}");
    let pages = manual();
    let explained = pages.iter().flat_map(|page| options_of(&page.text)).collect::<BTreeSet<_>>();
    let missing = own.difference(&explained).collect::<Vec<_>>();
    let strange = explained.difference(&own).filter(|option| !FOREIGN.contains(option)).collect::<Vec<_>>();
    assert!(missing.is_empty() && strange.is_empty(), "not in the manual: {missing:?}; not in --help: {strange:?}");
    let stale = FOREIGN.iter().filter(|option| !explained.contains(*option)).collect::<Vec<_>>();
    assert!(stale.is_empty(), "of others, and not in the manual: {stale:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut files = manual();
    files.extend(tree(&["tests/README.md"], &["md"]));
    let dead = files.iter().flat_map(|page| dead_links(page, &files)).collect::<Vec<_>>();
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn dead_links_and_options_are_found() {
    assert_eq!(
        options_of("a--b `--one-two=3`, (--four) and --, ---, --five."),
        BTreeSet::from(["--one-two", "--four", "--five"])
    );
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let other = file("docs/b.md", "# On `--all`, and more\n\n```sh\n# no heading\n```\n");
    let good = "[a](b.md) [b](b.md#on---all-and-more) [c](#here) [d](http://x) [e](../Cargo.toml)\n## Here\n[f]: crate::wire\n\n    [g](none)\n";
    let files = [file("docs/a.md", good), other];
    assert_eq!(dead_links(&files[0], &files), [""; 0]);
    let bad = file("docs/a.md", "[a](c.md)\n[b](b.md#no-heading) <img src=\"x.png\">\n[c]: #there\n");
    assert_eq!(dead_links(&bad, &files).len(), 4, "{:?}", dead_links(&bad, &files));
}
