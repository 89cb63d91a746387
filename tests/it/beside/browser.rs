//! The daemon and its pages in a real browser: runs the tests of `tests/browser`, which Node.js drives, as one test.
//!
//! Owns the deadline, and the word on what is missing on this machine. What is tested stands in
//! `tests/browser/*.test.mjs`; the output of a failed run is printed whole, and the failed tests of it once more at its
//! end, where a log that is cut keeps them. A machine without Node.js, the drivers, a browser or the Python client fails:
//! nothing passes unseen.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use audience_kit::*;

/// For all files together, of which two run at a time. Most tests run once in each of three engines, and a machine that compiles
/// beside them takes several times as long as a quiet one.
const DEADLINE: &str = "1800";

/// The variable that names a browser or its driver, where Debian has it, and in which package.
const BROWSERS: [(&str, &str, &str); 3] = [
    CHROMIUM,
    ("FIREFOX", "/usr/bin/firefox-esr", "firefox-esr"),
    ("WEBKIT_DRIVER", "/usr/bin/WebKitWebDriver", "webkit2gtk-driver"),
];

const CHROMIUM: (&str, &str, &str) = ("CHROMIUM", "/usr/bin/chromium", "chromium");

/// Where Chromium is.
pub(crate) fn chromium() -> PathBuf {
    path_of(CHROMIUM)
}

fn path_of((variable, usual, _): (&str, &str, &str)) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(usual), PathBuf::from)
}

/// What coreutils' `timeout` exits with when it had to end the run, and with -KILL when that took force.
const TIMED_OUT: [i32; 2] = [124, 137];

#[test]
fn pages_in_every_engine() {
    if skip_under_torture("pages are the same text, and take a minute") {
        return;
    }
    let _quiet = heavy();
    let folder = source().join("tests/browser");
    assert_machine_has_all(&folder);

    let files = test_files(&folder);
    assert!(!files.is_empty(), "no tests in {}", folder.display());
    let output = run(&folder, &files);

    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let report = format!("{text}\nthe failed tests once more:\n{}", failed_tests(&text));
    let code = output.status.code();
    assert!(!code.is_some_and(|code| TIMED_OUT.contains(&code)), "not done within {DEADLINE} s:\n{report}");
    assert!(output.status.success(), "node ended with {}:\n{report}", output.status);
    assert!(count(&text, "# pass ") >= files.len(), "fewer tests than files passed:\n{report}");
    assert_eq!(count(&text, "# skipped "), 0, "tests were left out:\n{report}");
}

#[test]
fn a_failed_test_is_reported_with_its_diagnostics_alone() {
    let tap = "ok 1 - a\n  ---\n  duration_ms: 1\n  ...\n    not ok 1 - b\n      ---\n      error: |-\n        ...\n      ...\n    1..1\n\
               not ok 2 - group\n  ---\n  error: '1 subtest failed'\n  ...\n# fail 1\n";
    let failed = "    not ok 1 - b\n      ---\n      error: |-\n        ...\n      ...\n\
                  not ok 2 - group\n  ---\n  error: '1 subtest failed'\n  ...\n";
    assert_eq!(failed_tests(tap), failed);
    assert_eq!(failed_tests("ok 1 - not ok\n  ---\n  ...\n"), "");
}

/// Says all that is missing at once, with how to get it.
#[track_caller]
pub(crate) fn assert_machine_has_all(folder: &Path) {
    let mut missing = Vec::new();
    if Command::new("node").arg("--version").output().is_err() {
        missing.push("Node.js 18.19 or later: apt-get install nodejs npm".to_owned());
    }
    if ["playwright-core", "puppeteer-core"].iter().any(|driver| !folder.join("node_modules").join(driver).is_dir()) {
        missing.push(format!("the browsers' drivers: npm ci --prefix {}", folder.display()));
    }
    if !folder.join(".python/httpx_sse").is_dir() {
        let path = folder.display();
        missing.push(format!(
            "httpx-sse: python3 -m pip install --target {path}/.python -r {path}/requirements.txt (of python3-pip)"
        ));
    }
    if !folder.join(".lists").is_dir() {
        missing.push(format!(
            "lists of trackers: apt-get download webext-ublock-origin-chromium && dpkg -x webext-*.deb {}/.lists",
            folder.display()
        ));
    }
    for (variable, usual, package) in BROWSERS {
        let browser = path_of((variable, usual, package));
        if !browser.exists() {
            let path = browser.display();
            missing.push(format!("{path}: apt-get install {package}, or name another in {variable}"));
        }
    }
    if Command::new("Xvfb").arg("-version").output().is_err() {
        missing.push("Xvfb, a screen for WebKit: apt-get install xvfb".to_owned());
    }
    assert!(missing.is_empty(), "the tests in a browser need\n  {}", missing.join("\n  "));
}

/// By name, since what `node --test` makes of a folder differs between its versions.
fn test_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("tests/browser is part of the source");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    files
}

/// `timeout` puts all that it starts in a process group of its own and ends the group: no daemon outlives a late run.
fn run(folder: &Path, files: &[PathBuf]) -> Output {
    Command::new("timeout")
        .args(["--kill-after=10", DEADLINE, "node", "--test", "--test-reporter=tap", "--test-concurrency=2"])
        .args(files)
        .current_dir(folder)
        .env("METER_BIN", program())
        .output()
        .expect("coreutils' timeout")
}

/// The lines `not ok` of a TAP output, each with the YAML block below it, whose end is indented two columns deeper.
fn failed_tests(tap: &str) -> String {
    let mut failed = String::new();
    let mut end = None;
    for line in tap.lines() {
        let name = line.trim_start();
        if end.is_none() && name.starts_with("not ok ") {
            end = Some(format!("{}  ...", &line[..line.len() - name.len()]));
        }
        if end.is_some() {
            failed.push_str(line);
            failed.push('\n');
        }
        if end.as_deref() == Some(line) {
            end = None;
        }
    }
    failed
}

/// The number in a line of the closing summary, `# pass 12`.
fn count(text: &str, label: &str) -> usize {
    text.lines().find_map(|line| line.strip_prefix(label)?.trim().parse().ok()).unwrap_or(0)
}
