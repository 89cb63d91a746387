//! The recipes of the manual by which a site signs addresses, in six languages, as they stand there.
//!
//! Owns how each is run, and the names that tell spellings apart. A recipe is right if the daemon lets its address in, and `curl`,
//! `wget` and two libraries of Python are the clients.

use std::fs;
use std::process::Command;

use audience_kit::manual::block;
use audience_kit::*;

/// A recipe: the language and the beginning of its block, its file, and the program that runs that.
struct Recipe {
    language: &'static str,
    beginning: &'static str,
    file: &'static str,
    program: &'static [&'static str],
}

const RECIPES: [Recipe; 6] = [
    Recipe { language: "python", beginning: "import hashlib", file: "sign.py", program: &["python3"] },
    Recipe { language: "php", beginning: "<?php", file: "sign.php", program: &["php"] },
    Recipe { language: "js", beginning: "const { createHmac", file: "sign.cjs", program: &["node"] },
    Recipe { language: "ruby", beginning: "require 'erb'", file: "sign.rb", program: &["ruby"] },
    Recipe { language: "go", beginning: "package main", file: "sign.go", program: &["go", "run"] },
    Recipe { language: "sh", beginning: "address() {", file: "sign.sh", program: &["sh"] },
];

/// The names in the manual.
const NAMES: [&str; 2] = ["my-event", "3f2b9c"];

/// Names that languages encode differently.
const STRANGE: [&str; 2] = ["50% caf\u{e9}/2:0", "a+b&c,d~!*(e)"];

/// A client that asks for a head, and prints its status.
const REQUESTS: &str = "import requests, sys
print(requests.head(sys.argv[1], headers={'Accept': 'text/event-stream'}).status_code)";
const HTTPX: &str = "import httpx, sys
print(httpx.head(sys.argv[1], headers={'Accept': 'text/event-stream'}).status_code)";

impl Recipe {
    /// The address that it prints, with these names in the place of those in the manual.
    #[track_caller]
    fn address(&self, folder: &ScratchFolder, names: [&str; 2]) -> String {
        let text = block(self.language, self.beginning);
        let text = NAMES.iter().zip(names).fold(text, |text, (known, name)| text.replace(known, name));
        fs::write(folder.file(self.file), text).unwrap();
        let (program, arguments) = self.program.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg(self.file).current_dir(folder.path());
        command.env("GOCACHE", folder.file("cache")).env("GO111MODULE", "off");
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{}: {}", self.language, lossy(&output.stderr));
        lossy(&output.stdout).trim_end().to_owned()
    }
}

/// A folder with the key that the manual makes, and a daemon that knows it.
fn site() -> (ScratchFolder, Daemon) {
    let folder = ScratchFolder::create("site");
    let make = block("sh", "(umask");
    assert!(Command::new("sh").args(["-c", &make]).current_dir(folder.path()).status().unwrap().success());
    let key = folder.file("join.key");
    let daemon = Daemon::start(&["--enable-uuid", "--join-key-file", key.to_str().unwrap()]);
    (folder, daemon)
}

#[test]
fn the_addresses_of_every_recipe_are_joined() {
    let (folder, daemon) = site();
    for recipe in &RECIPES {
        let plain = recipe.address(&folder, NAMES);
        assert!(plain.starts_with("/my-event/3f2b9c?expires="), "{}: {plain}", recipe.language);
        for address in [plain, recipe.address(&folder, STRANGE)] {
            let (_stream, count) = member(&daemon, &address);
            assert_eq!(count, 1, "{}: {address}", recipe.language);
        }
    }
}

#[test]
fn clients_of_others_join_by_a_signed_address_and_are_refused_by_another() {
    let (folder, daemon) = site();
    let good = RECIPES[0].address(&folder, NAMES);
    let url = format!("http://{}{good}", daemon.audience());
    let modules = source().join("tests/browser/.python");
    let python = |script: &str, url: &str| {
        let output = Command::new("python3").args(["-c", script, url]).env("PYTHONPATH", &modules).output().unwrap();
        lossy(&output.stdout).trim().to_owned()
    };
    let curl = |url: &str| {
        run("curl", &["-sI", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Accept: text/event-stream", url])
    };
    for (url, status) in [(url.clone(), "200"), (url.replace("3f2b9c", "another"), "403"), (format!("{url}0"), "403")] {
        assert_eq!([curl(&url), python(REQUESTS, &url), python(HTTPX, &url)], [status; 3], "{url}");
    }
    // wget says why by its exit code: 8 is an error of the server.
    let wget = |url: &str| {
        let wget = Command::new("wget").args(["-q", "--spider", "--header", "Accept: text/event-stream", url]).status();
        wget.unwrap().code()
    };
    assert_eq!((wget(&url), wget(&format!("{url}0"))), (Some(0), Some(8)));
}
