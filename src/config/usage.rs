//! The options as a table, and the texts of `-h` and `--help` that are made of it.
//!
//! Owns the words, the groups and the choice of the common options. It knows no parser: tests from outside hold that the
//! parser takes each option of this table, and that the table and the manual name the same ones.
//!
//! Invariant: an option is in one row, with its default.

use std::fmt::Write as _;

/// Where the explanations begin, in bytes from the start of a line.
const COLUMN: usize = 34;

/// The most bytes in a line.
const WIDTH: usize = 100;

/// Options that belong together, under a title.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// Each of them, in the order of `--help`.
    pub rows: &'static [Row],
}

/// One option.
#[derive(Debug)]
pub struct Row {
    /// Its names and its value, as in `-w, --workers <num>`.
    pub names: &'static str,
    /// What it does, with its default.
    pub text: &'static str,
    /// Whether `-h` prints it.
    is_common: bool,
}

const fn common(names: &'static str, text: &'static str) -> Row {
    Row { names, text, is_common: true }
}

const fn other(names: &'static str, text: &'static str) -> Row {
    Row { names, text, is_common: false }
}

/// All options.
pub static GROUPS: [Group; 7] = [
    Group {
        title: "Options",
        rows: &[
            common("-h, --help", "-h prints the common options, --help prints all of them"),
            common("-V, --version", "print the version"),
            other(
                "--probe <page>",
                "ask the process that runs with the same options, at its stats port, for healthz or readyz; print the \
                 answer, and exit with 0 for yes and 1 for no, within 2 seconds",
            ),
            other("-d, --debug", "log everything"),
            other("--log-format <format>", "logfmt or json (default logfmt)"),
            other(
                "--check",
                "read the options and the files that they name, open no port, and exit: with 0, or with 2 and what is wrong",
            ),
            common("-w, --workers <num>", "number of processes (default the number of CPUs)"),
        ],
    },
    Group {
        title: "Network",
        rows: &[
            common(
                "--port <port>",
                "audience port (default 80, or the environment variable PORT; with 0 the system chooses)",
            ),
            common(
                "--host <ip>",
                "address of the audience and demo ports (default all, IPv4 and IPv6, or the environment variable HOST)",
            ),
            common(
                "--trust-proxy <cidr,...>",
                "proxies whose word is taken for the address of a visitor, by the PROXY protocol or X-Forwarded-For \
                 (default none)",
            ),
            common("--allow-origin <list>", "origins whose pages may join, separated by commas (default *, all)"),
            other(
                "--join-key-file <path>",
                "file with the key of at least 16 bytes by which your site signs the addresses that may be joined, or with \
                 two, one a line; readable by its owner only (default the environment variable \
                 AUDIENCE_METER_JOIN_KEY; without, anyone may join)",
            ),
            other(
                "--namespaces <patterns>",
                "names of the only events that there are, separated by commas, as in final,sport-* (default all)",
            ),
            other(
                "--max-conn-duration <seconds>",
                "longest time that a stream stays open; its last tenth is drawn at random for each member, so that \
                 members that came together do not leave together (default 3600, 0 for no limit)",
            ),
            other("--head-timeout <seconds>", "time within which a request must arrive whole (default 10)"),
            other(
                "--peer-timeout <seconds>",
                "time after which a member is gone if its machine does not answer, counted from the last thing that \
                 was sent to it (default 30, 0 to leave it to the kernel)",
            ),
            other(
                "--drain-delay <seconds>",
                "time over which members are let go, one after the other, when the process ends (default 5, 0 for \
                 all at once)",
            ),
            other("--retry-min <seconds>", "shortest wait of a browser before it comes back (default 2)"),
            other("--retry-max <seconds>", "longest wait, drawn at random for each member (default 10)"),
        ],
    },
    Group {
        title: "Counting",
        rows: &[
            common(
                "--enable-uuid",
                "take the second segment of a path for a UUID; of several connections with one UUID, the newest stays",
            ),
            other(
                "--increment-delay <seconds>",
                "time that a member must stay before it is counted, against floods of joins and leaves (default 0)",
            ),
            other(
                "--leave-delay <seconds>",
                "time for which a member with a UUID stays counted whose stream was lost; if it comes back by then, at any \
                 process, it was never gone (default 0)",
            ),
            other(
                "--notify-delta-ratio <ratio>",
                "smallest change of a count that is pushed, as a fraction of the last pushed count (default 0.1)",
            ),
            other("--notify-min-delay <seconds>", "least delay between two counts of an event (default 2)"),
            other(
                "--notify-max-delay <seconds>",
                "delay after which a count is pushed even if it changed less or not at all (default 25)",
            ),
            other(
                "--notify-budget <pushes/s>",
                "members to which a process pushes changed counts in a second: with many members a change waits, up to \
                 --notify-max-delay; 0 is no limit (default 0)",
            ),
            other("--namespace-clean-delay <seconds>", "delay before an empty event is forgotten (default 60)"),
        ],
    },
    Group {
        title: "Cluster",
        rows: &[
            common(
                "-m, --cluster-addr <address>",
                "multicast group by which the processes of several hosts count together, preferably \
                 239.255.13.37:314 or [ff15::4d7]:314, or a broker as nats://host:port,.../subject or redis://host:port,.../channel \
                 (default none: processes of one host on one port count together over loopback)",
            ),
            common(
                "--cluster-peers <host:port,...>",
                "audience ports of other hosts, to count together by unicast where there is no multicast",
            ),
            common(
                "--cluster-key-file <path>",
                "file with a key of at least 16 bytes that all processes share, or with two, one a line, of which the \
                 first seals; readable by its owner only (default the environment variable \
                 AUDIENCE_METER_CLUSTER_KEY)",
            ),
            other(
                "--cluster-credentials-file <path>",
                "file with what lets a process in at the broker, user:password or a secret alone; readable by its \
                 owner only (default the environment variable AUDIENCE_METER_CLUSTER_CREDENTIALS)",
            ),
            other(
                "--cluster-name <name>",
                "name of the audience on the network: processes with different names stay apart (default empty)",
            ),
            other(
                "--cluster-interface <ip or name>",
                "the interface for multicast: its address for IPv4, its name for IPv6 (default as the routes say)",
            ),
            other("--cluster-ttl <num>", "number of routers that multicast datagrams may pass, plus one (default 1)"),
            other(
                "--cluster-notify-interval <seconds>",
                "longest interval between announcements of a process; with fewer processes it is shorter, down to \
                 0.05 (default 2)",
            ),
            other(
                "--cluster-node-timeout <seconds>",
                "silence after which the members of a process are taken off the counts (default 5)",
            ),
            other("--cluster-max-nodes <num>", "most other processes that are believed (default 256)"),
            other("--cluster-max-namespaces <num>", "most events that each of them may announce (default 1000000)"),
        ],
    },
    Group {
        title: "Limits, of each process",
        rows: &[
            other(
                "--max-connections <num>",
                "most members (default what the limit of descriptors allows, raised to the hard limit)",
            ),
            other(
                "--max-conn-per-ip <num>",
                "most counted members of one address, or of one IPv6 network of 64 bits; further ones are served \
                 without being counted (default no limit)",
            ),
            other("--max-heads <num>", "most connections whose request head is not whole yet (default 4096)"),
            other(
                "--max-namespaces <num>",
                "most events; one more takes the place of the one that is empty longest, and joins that would create it are \
                 turned away while all have members (default 250000)",
            ),
            other(
                "--max-namespaces-per-ip <num>",
                "most events that one address has created, or one IPv6 network of 64 bits (default no limit)",
            ),
            other(
                "--max-name-length <bytes>",
                "longest name of an event, and longest UUID (default 255, which is the most)",
            ),
        ],
    },
    Group {
        title: "Watching and reports",
        rows: &[
            other(
                "--allow-listen",
                "let any page watch events at the audience port without being counted, as the stats port does, by \
                 /?watch=name,prefix*,* or by /?members=name for one number",
            ),
            other(
                "--milestones <list>",
                "totals whose crossing is pushed to watchers, separated by commas (default 10,100,1000 and so on up \
                 to 1000000000)",
            ),
            common(
                "--report-file <path>",
                "file to which a line of JSON is appended when an event is over: its peak, its time, its joins",
            ),
            other(
                "--history-namespaces <num>",
                "number of events whose last 24 hours are kept, minute by minute, the largest first (default 100, 0 \
                 for none)",
            ),
            other(
                "--distinct-namespaces <num>",
                "number of events whose different people are counted, the largest first: a person is a uuid, or an \
                 address and a browser (default 100, 0 for none)",
            ),
            other(
                "--metrics-namespaces <num>",
                "number of events with series of their own in the metrics, the largest first; the rest is one sum \
                 (default 20)",
            ),
        ],
    },
    Group {
        title: "Side ports, 0 to disable",
        rows: &[
            common("--demo-port <port>", "public port of the demo pages (default 8080)"),
            common("--stats-port <port>", "local port of the dashboard, the figures and the metrics (default 1442)"),
            other("--stats-host <ip>", "address of the stats port (default loopback; any other needs a token)"),
            other(
                "--stats-token-file <path>",
                "file with a token of at least 16 bytes that must come with each request to the stats port but /healthz \
                 and /readyz, readable by its owner only",
            ),
            other("--notification-port <port>", "local port that takes messages to an event (default 2442)"),
            other(
                "--notification-host <ip>",
                "address of the notification port (default loopback; any other needs a token)",
            ),
            other(
                "--notification-token-file <path>",
                "file with a token of at least 16 bytes that must come with each message (`Authorization: Bearer \
                 <token>`), readable by its owner only (default the environment variable \
                 AUDIENCE_METER_NOTIFICATION_TOKEN)",
            ),
        ],
    },
];

const HEAD: &str = "\
Usage: audience-meter [options]

Counts the people at a live event and pushes the number to all of them.
";

const ALL_TAIL: &str = "
Each setting has an environment variable as well, AUDIENCE_METER_ and the name of the option, as in
AUDIENCE_METER_STATS_PORT. The option wins. Those without a value take 1 or 0.

A duration takes fractions of a second, as in 0.5. The exit code is 0 after a signal, 2 for a wrong
option, 1 for everything else.
";

const COMMON_TAIL: &str = "
--help prints all options. The manual explains each of them: README.md leads to it, and so does
`cargo doc --open` in the source.
";

/// The text of `--help`: every option, in groups.
#[must_use]
pub fn all() -> String {
    let mut text = HEAD.to_owned();
    for group in &GROUPS {
        text.push_str(&format_group(group, |_| true));
    }
    text + ALL_TAIL
}

/// The text of `-h`: the common options, and where the others are.
#[must_use]
pub fn common_only() -> String {
    let mut text = HEAD.to_owned();
    for group in &GROUPS {
        text.push_str(&format_group(group, |row| row.is_common));
    }
    text + COMMON_TAIL
}

/// Whether an option has this name.
#[must_use]
pub fn is_option(name: &str) -> bool {
    name.starts_with('-') && words().any(|known| known == name)
}

/// All options by their long names.
pub fn options() -> impl Iterator<Item = &'static str> {
    words().filter(|word| word.starts_with("--"))
}

/// The names of all options, and what is beside them.
fn words() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|group| group.rows).flat_map(|row| row.names.split([' ', ',']))
}

fn format_group(group: &Group, is_wanted: fn(&Row) -> bool) -> String {
    let mut text = String::new();
    for row in group.rows.iter().filter(|row| is_wanted(row)) {
        if text.is_empty() {
            let _ = writeln!(text, "\n{}:", group.title);
        }
        format_row(row, &mut text);
    }
    text
}

/// The names, and beside or below them the explanation.
fn format_row(row: &Row, text: &mut String) {
    let indent = if row.names.starts_with("--") { "      " } else { "  " };
    let names = format!("{indent}{}", row.names);
    let is_beside = names.len() < COLUMN;
    text.push_str(&names);
    for (index, line) in wrap(row.text).into_iter().enumerate() {
        let gap = if index == 0 && is_beside { COLUMN - names.len() } else { COLUMN };
        if index > 0 || !is_beside {
            text.push('\n');
        }
        let _ = write!(text, "{:gap$}{line}", "");
    }
    text.push('\n');
}

/// Breaks a text into lines that fit beside the names.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if COLUMN + line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_the_width() {
        for text in [all(), common_only()] {
            for line in text.lines() {
                assert!(line.len() <= WIDTH, "{line}");
                assert_eq!(line, line.trim_end());
            }
        }
    }

    #[test]
    fn the_common_options_are_a_part_of_all_and_few() {
        let (all, common) = (all(), common_only());
        let options = |text: &str| text.lines().filter(|line| line.trim_start().starts_with('-')).count();
        assert!(options(&common) <= 16 && options(&all) > 40, "{common}{all}");
        for row in GROUPS.iter().flat_map(|group| group.rows) {
            assert!(all.contains(row.names), "{}", row.names);
            assert_eq!(common.contains(row.names), row.is_common, "{}", row.names);
        }
    }

    #[test]
    fn a_name_is_an_option_and_a_value_is_none() {
        for name in ["-h", "--help", "--workers", "-m", "--enable-uuid"] {
            assert!(is_option(name), "{name}");
        }
        for name in ["", "-", "<num>", "--work", "workers", "-x"] {
            assert!(!is_option(name), "{name}");
        }
    }
}
