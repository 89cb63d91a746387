//! The man page: the options by their groups, and what a person looks up beside them.
//!
//! Owns the sections and their order (man-pages(7)). The words on an option are those of the table.

use std::io::{self, Write};

use clap::{Arg, Command};
use roff::{Roff, bold, italic, roman};

/// Sections behind the options: a title, and its paragraphs. A command is indented.
const SECTIONS: [(&str, &[&str]); 5] = [
    (
        "ENVIRONMENT",
        &[
            "Each setting has an environment variable as well: AUDIENCE_METER_ and the name of the option in capitals, as in \
             AUDIENCE_METER_STATS_PORT. The option wins. Those without a value take 1 or 0.",
            "PORT and HOST are the audience port and its address, unless an option or a variable as above gives them.",
        ],
    ),
    (
        "SIGNALS",
        &[
            "TERM, INT, HUP and QUIT let the members go over the time of --drain-delay, and end the process. A second one ends \
             it now. A HUP that was ignored at the start, as under nohup(1), does nothing.",
        ],
    ),
    ("EXIT STATUS", &["0 after a signal, 2 for a wrong option, 1 for everything else."]),
    (
        "EXAMPLES",
        &[
            "Count the people of an event, and see the figures:",
            "    audience-meter --port 8000",
            "    curl -N -H 'Accept: text/event-stream' localhost:8000/my-event",
            "    curl localhost:1442/",
        ],
    ),
    ("SEE ALSO", &["curl(1), systemd.service(5). The manual is part of the source: README.md leads to it."]),
];

/// Writes the page, which is of this date.
pub(crate) fn write(command: &Command, date: &str, out: &mut impl Write) -> io::Result<()> {
    let (name, version) = (command.get_name(), command.get_version().unwrap_or_default());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = Roff::new();
    page.control("TH", [&*name.to_uppercase(), "1", date, &format!("Audience Meter {version}"), "User Commands"]);
    page.control("SH", ["NAME"]).text([roman(format!("{name} - {}", lower_first(&about)))]);
    page.control("SH", ["SYNOPSIS"]).text([bold(name), roman(" ["), italic("options"), roman("]")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "A page opens an event stream to http://server/<namespace>. The daemon counts the open streams, pushes the total to all \
         of them, and keeps the figures. A duration takes fractions of a second, as in 0.5.",
    )]);
    page.control("SH", ["OPTIONS"]);
    let mut group = None;
    for option in command.get_arguments() {
        if group != option.get_help_heading() {
            group = option.get_help_heading();
            page.control("SS", group);
        }
        push_option(&mut page, option);
    }
    for (title, paragraphs) in SECTIONS {
        page.control("SH", [title]);
        for (index, paragraph) in paragraphs.iter().enumerate() {
            if let Some(command) = paragraph.strip_prefix("    ") {
                page.control("EX", []).text([roman(command)]).control("EE", []);
                continue;
            }
            if index > 0 {
                page.control("PP", []);
            }
            page.text([roman(*paragraph)]);
        }
    }
    page.to_writer(out)
}

/// The names in a line, and the words below.
fn push_option(page: &mut Roff, option: &Arg) {
    let short = option.get_short().map(|short| format!("-{short}"));
    let long = option.get_long().map(|long| format!("--{long}"));
    let mut line = Vec::new();
    for name in [short, long].into_iter().flatten() {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.push(bold(name));
    }
    if let (true, Some([value, ..])) = (option.get_action().takes_values(), option.get_value_names()) {
        line.extend([roman(" "), italic(value.to_string())]);
    }
    page.control("TP", []).text(line);
    page.text([roman(option.get_help().map(ToString::to_string).unwrap_or_default())]);
}

fn lower_first(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}
