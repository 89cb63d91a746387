//! What the operator decided: arguments and environment to validated settings.
//!
//! Owns every option: its name, default, meaning and limits, and the usage text that says so. It parses, it does not act:
//! the holder of a [`Config`] need not check anything again.
//!
//! | file | owns |
//! |---|---|
//! | `usage` | the text of `--help` |
//! | `options` | how an option is read, and why it is refused |
//! | `variables` | the names of environment variables, and which of them are unknown |
//! | `limits` | how much of everything there may be |
//! | `networks` | lists of networks |
//! | `origins` | the origins whose pages may join |
//! | `admission` | the names of events, and the keys of addresses that are signed |
//! | `cluster` | how nodes find each other, and which they believe |
//! | `broker` | the URL of a broker |
//! | `credentials` | what lets a process in at a broker |
//! | `hosts` | names of other hosts, and their addresses |
//! | `identity` | what names the audience of a process |
//! | `key` | secrets from files and from the environment |
//! | `group` | the multicast group and its interface |
//! | `handed_on` | what a supervisor hands on to its workers of all this |
//! | `check` | whether the files that the settings name can be used |
//! | `key_file` | what is read again when it has changed |
//! | `local_port` | where the stats port and the notification port listen, and which requests they take |
//! | `probe` | what `--probe` asks a process that runs |
//! | `watching` | where many namespaces may be watched |
//! | `accounts` | what is kept and written down of events |
//!
//! Invariant: a value that is refused is refused in one line that names the option and what would be accepted.

mod accounts;
mod admission;
mod broker;
mod check;
mod cluster;
mod credentials;
mod group;
mod handed_on;
mod hosts;
pub mod identity;
mod key;
mod key_file;
mod limits;
mod local_port;
mod networks;
mod options;
mod origins;
mod probe;
pub mod usage;
mod variables;
mod watching;

use std::ffi::OsString;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::log::Format;
use crate::meter::{NotifyRule, Rules};
pub use accounts::AccountsConfig;
pub use admission::{Admission, Names};
pub use broker::Broker;
pub use cluster::ClusterConfig;
pub use credentials::CredentialsSource;
pub use group::Interface;
pub use handed_on::Secrets;
pub use hosts::{ADDRESSES_MAX, Peer};
pub use key::{KeySource, TokenSource};
pub use key_file::KeyFile;
pub use limits::Limits;
pub use local_port::LocalPort;
pub use networks::Networks;
use options::{Options, parse_host, parse_limit, parse_ratio, parse_seed};
pub use options::{UsageError, WORKERS_MAX};
pub use origins::AllowOrigin;
pub use probe::Probe;
pub use variables::{SUPERVISOR_VARIABLE, Unknown, unknown};
pub use watching::WatchConfig;

const LOG_FORMAT: &str = "--log-format";

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Serve.
    Run(Box<Config>),
    /// Ask a process that runs (`--probe`).
    Probe(Probe),
    /// Print the common options (`-h`).
    ShortHelp,
    /// Print all options (`--help`).
    Help,
    /// Print the version.
    Version,
    /// Read the files that the settings name, and say what is wrong.
    Check(Box<Config>),
}

/// Validated settings.
#[derive(Debug)]
pub struct Config {
    /// Log everything.
    pub debug: bool,
    /// The form of the log.
    pub log_format: Format,
    /// How many processes serve, each on a core: this one, or as many that it starts and looks after.
    pub workers: usize,
    /// The process that looks after this one, if one does.
    pub supervisor: Option<u32>,
    /// The arguments that a worker gets as well: all but those for `workers` and `port`.
    pub handed_on: Vec<OsString>,
    /// The options that were given by the environment, each with its variable.
    pub by_variable: Vec<(&'static str, String)>,
    /// The audience port; 0 lets the kernel choose.
    pub port: u16,
    /// The address of the audience and demo ports; `None` is all of them, IPv4 and IPv6.
    pub host: Option<IpAddr>,
    /// The demo port; `None` is disabled.
    pub demo_port: Option<u16>,
    /// The stats port; `None` is disabled.
    pub stats_port: Option<u16>,
    /// Where it listens, and which requests it takes.
    pub stats: LocalPort,
    /// The notification port; `None` is disabled.
    pub notification_port: Option<u16>,
    /// Where it listens, and which requests it takes.
    pub notification: LocalPort,
    /// How counting goes.
    pub rules: Rules,
    /// The longest that a stream stays open; `None` is for ever.
    pub max_conn_duration: Option<Duration>,
    /// Whether the second segment of a path is a uuid.
    pub enable_uuid: bool,
    /// How long a request head may take.
    pub head_timeout: Duration,
    /// How much of everything there may be.
    pub limits: Limits,
    /// The proxies that are trusted to name their clients.
    pub trust_proxy: Networks,
    /// After how long a peer that answers nothing is gone; `None` leaves it to the kernel.
    pub peer_timeout: Option<Duration>,
    /// The time over which members are let go when a signal ends the process.
    pub drain_delay: Duration,
    /// The bounds of the `retry:` that a browser waits before it comes back, in milliseconds.
    pub retry_ms: RangeInclusive<u64>,
    /// The origins whose pages may join.
    pub allow_origin: AllowOrigin,
    /// Which events there are, and who may join them.
    pub admission: Admission,
    /// What is kept and written down of events.
    pub accounts: AccountsConfig,
    /// Where many namespaces may be watched at once, and which milestones are reported.
    pub watching: WatchConfig,
    /// How nodes find each other.
    pub cluster: ClusterConfig,
    /// Have the kernel at its worst, in a sequence by this seed. Not in the usage text: it is for tests.
    pub torture: Option<u64>,
}

impl Config {
    /// A line for a person in which each option has the name under which it was given: its own, or its variable's.
    #[must_use]
    pub fn rename(&self, line: &str) -> String {
        let mut words = line.split(' ').map(|word| {
            let option = word.trim_end_matches(':');
            let found = self.by_variable.iter().find(|(known, _)| *known == option);
            found.map_or(word.to_owned(), |(option, variable)| word.replacen(option, variable, 1))
        });
        let first = words.next().unwrap_or_default();
        words.fold(first, |line, word| line + " " + &word)
    }

    /// Each port has a number of its own: the kernel would let two share one, and mix up their answers.
    fn refuse_equal_ports(&self) -> Result<(), UsageError> {
        let ports = [
            ("--port", Some(self.port).filter(|&port| port != 0)),
            ("--stats-port", self.stats_port),
            ("--notification-port", self.notification_port),
            ("--demo-port", self.demo_port),
        ];
        for (index, (option, number)) in ports.iter().enumerate() {
            let same = ports.iter().take(index).find(|(_, other)| number.is_some() && other == number);
            if let (Some(number), Some((other, _))) = (number, same) {
                return Err(UsageError(format!("{option} {number} is the number of {other} too; give another")));
            }
        }
        Ok(())
    }
}

/// Reads the arguments, without the program's name, and what the environment says where they do not.
///
/// # Errors
/// The first thing that is wrong, as a line for a person.
pub fn parse(args: Vec<OsString>, env: impl Fn(&str) -> Option<OsString>) -> Result<Command, UsageError> {
    let mut options = Options::new(args, env);
    if options.args.contains("--help") {
        return Ok(Command::Help);
    }
    if options.args.contains("-h") {
        return Ok(Command::ShortHelp);
    }
    if options.args.contains(["-V", "--version"]) {
        return Ok(Command::Version);
    }
    let is_check = options.args.contains("--check");
    let page = probe::page(&mut options)?;
    let workers = options.workers()?;
    let port = options.port("--port", 80)?;
    let mut config = Config {
        workers,
        port,
        supervisor: options.supervisor()?,
        handed_on: options.args.clone().finish(),
        by_variable: Vec::new(),
        debug: options.flag("--debug")?,
        log_format: options.value(LOG_FORMAT, Format::default(), parse_log_format)?,
        enable_uuid: options.flag("--enable-uuid")?,
        host: options.value("--host", None, parse_host)?,
        demo_port: options.side_port("--demo-port", 8080)?,
        stats_port: options.side_port("--stats-port", 1442)?,
        notification_port: options.side_port("--notification-port", 2442)?,
        stats: local_port::parse(&mut options, "--stats-host", "--stats-token-file")?,
        notification: local_port::parse(&mut options, "--notification-host", "--notification-token-file")?,
        rules: Rules {
            notify: NotifyRule {
                delta_ratio: options.value("--notify-delta-ratio", 0.1, parse_ratio)?,
                min_delay: options.duration("--notify-min-delay", 2)?,
                max_delay: options.duration("--notify-max-delay", 25)?,
                budget: options.value("--notify-budget", None, limits::parse_budget)?,
            },
            increment_delay: options.duration("--increment-delay", 0)?,
            leave_delay: options.duration("--leave-delay", 0)?,
            namespace_clean_delay: options.duration("--namespace-clean-delay", 60)?,
            namespaces_max: options.value("--max-namespaces", 250_000, parse_limit)?,
        },
        max_conn_duration: Some(options.duration("--max-conn-duration", 3600)?).filter(|most| !most.is_zero()),
        head_timeout: options.positive_duration("--head-timeout", 10)?,
        limits: limits::parse(&mut options)?,
        trust_proxy: options.value("--trust-proxy", Networks::default(), Networks::parse)?,
        peer_timeout: Some(options.duration("--peer-timeout", 30)?).filter(|timeout| !timeout.is_zero()),
        drain_delay: options.duration("--drain-delay", 5)?,
        retry_ms: options.retry_ms()?,
        allow_origin: options.value("--allow-origin", AllowOrigin::Any, origins::parse)?,
        admission: admission::parse(&mut options)?,
        accounts: accounts::parse(&mut options)?,
        watching: watching::parse(&mut options)?,
        cluster: cluster::parse(&mut options)?,
        torture: options.given("--torture", parse_seed)?,
    };
    config.by_variable = options.finish()?;
    config.refuse_equal_ports().map_err(|error| UsageError(config.rename(&error.0)))?;
    if let Some(page) = page {
        return Probe::new(page, &config).map(Command::Probe);
    }
    Ok(if is_check { Command::Check(Box::new(config)) } else { Command::Run(Box::new(config)) })
}

/// The form of the log that the same arguments ask for, also where something else in them is wrong.
pub fn log_format(args: Vec<OsString>, env: impl Fn(&str) -> Option<OsString>) -> Format {
    Options::new(args, env).value(LOG_FORMAT, Format::default(), parse_log_format).unwrap_or_default()
}

fn parse_log_format(text: &str) -> Result<Format, String> {
    match text {
        "logfmt" => Ok(Format::Logfmt),
        "json" => Ok(Format::Json),
        _ => Err("is not a format; give logfmt or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn parse_line(line: &str, env: &[(&str, &str)]) -> Result<Command, UsageError> {
        let args = line.split_whitespace().map(OsString::from).collect();
        parse(args, |name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[track_caller]
    fn run(line: &str, env: &[(&str, &str)]) -> Config {
        match parse_line(line, env) {
            Ok(Command::Run(config)) => *config,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[track_caller]
    fn refuses(line: &str, message: &str) {
        assert_eq!(parse_line(line, &[]).unwrap_err().to_string(), message, "{line}");
    }

    #[test]
    fn the_defaults_are_those_of_the_usage_text() {
        let config = run("", &[]);
        assert_eq!((config.port, config.host), (80, None));
        let side_ports = (config.demo_port, config.stats_port, config.notification_port);
        assert_eq!(side_ports, (Some(8080), Some(1442), Some(2442)));
        assert_eq!(config.max_conn_duration, Some(Duration::from_hours(1)));
        assert_eq!(config.head_timeout, Duration::from_secs(10));
        assert_eq!(config.peer_timeout, Some(Duration::from_secs(30)));
        assert_eq!(config.drain_delay, Duration::from_secs(5));
        assert_eq!(config.retry_ms, 2000..=10_000);
        assert_eq!(config.allow_origin, AllowOrigin::Any);
        assert_eq!(config.rules.notify.min_delay, Duration::from_secs(2));
        assert_eq!(config.rules.notify.max_delay, Duration::from_secs(25));
        assert_eq!(config.rules.notify.budget, None);
        assert_eq!(config.rules.namespace_clean_delay, Duration::from_mins(1));
        assert_eq!(config.rules.increment_delay, Duration::ZERO);
        assert_eq!((config.accounts.report_file, config.accounts.history_namespaces), (None, 100));
        assert!(!config.debug && !config.enable_uuid);
    }

    #[test]
    fn a_worker_gets_all_arguments_but_the_number_of_workers_and_the_port() {
        for line in
            ["-w 3 --port 0 -d --stats-port 1", "-w3 -d --port=0 --stats-port 1", "-d --workers=3 --stats-port 1"]
        {
            let config = run(line, &[("PORT", "0")]);
            assert_eq!((config.workers, config.port), (3, 0), "{line}");
            assert_eq!(config.handed_on, ["-d", "--stats-port", "1"], "{line}");
        }
    }

    #[test]
    fn a_worker_knows_its_supervisor_by_the_environment() {
        assert_eq!(run("", &[]).supervisor, None);
        assert_eq!(run("", &[(SUPERVISOR_VARIABLE, "17")]).supervisor, Some(17));
        let error = parse_line("", &[(SUPERVISOR_VARIABLE, "yes")]).unwrap_err();
        assert_eq!(error.to_string(), "AUDIENCE_METER_SUPERVISOR \"yes\" is not a process id; leave it unset");
    }

    #[test]
    fn options_come_in_both_forms_and_durations_in_fractions() {
        let config = run(
            "--port=8000 --notify-min-delay 0.25 -d --enable-uuid --demo-port 0 --max-conn-duration=0 --peer-timeout 0",
            &[],
        );
        assert_eq!((config.port, config.demo_port, config.max_conn_duration), (8000, None, None));
        assert_eq!(config.peer_timeout, None);
        assert_eq!(config.rules.notify.min_delay, Duration::from_millis(250));
        assert!(config.debug && config.enable_uuid);
        let listed = run("--allow-origin https://A.example,http://b:81", &[]).allow_origin;
        assert_eq!(listed, AllowOrigin::Listed(vec!["https://a.example".into(), "http://b:81".into()]));
    }

    #[test]
    fn the_environment_stands_in_for_an_option() {
        let env = [("PORT", "8001"), ("HOST", "127.0.0.1")];
        assert_eq!((run("", &env).port, run("", &env).host), (8001, Some(Ipv4Addr::LOCALHOST.into())));
        assert_eq!(run("--port 8002 --host ::1", &env).port, 8002);
        assert_eq!(run("", &[("PORT", "")]).port, 80);
        let error = parse_line("", &[("PORT", "http")]).unwrap_err();
        assert_eq!(error.to_string(), "PORT \"http\" is not a port; give a number from 0 to 65535");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        refuses("--port 65536", "--port \"65536\" is not a port; give a number from 0 to 65535");
        refuses("--port", "--port takes a value; see --help");
        refuses("--no-such", "--no-such is not an option; see --help");
        refuses("--no-such=1", "--no-such is not an option; see --help");
        refuses("-x", "-x is not an option; see --help");
        refuses("stray", "\"stray\" is not expected here: there are options only; see --help");
        refuses("--port 1 --port 2", "--port was given already, or without its value; see --help");
        refuses("--retry-min 11", "--retry-min 11 is more than --retry-max 10; give at most that");
        refuses("--retry-min 0.3 --retry-max .25", "--retry-min 0.3 is more than --retry-max 0.25; give at most that");
        let problem = "has \"proxy\", which is not a network; give addresses or ADDRESS/BITS";
        refuses("--trust-proxy ::1,proxy", &format!("--trust-proxy \"::1,proxy\" {problem}"));
        refuses(
            "--history-namespaces -1",
            "--history-namespaces \"-1\" is not a number of namespaces; give one from 0 to 100000",
        );
        refuses("--head-timeout 0", "--head-timeout \"0\" is too short; give more than 0 seconds");
        refuses("--host example.com", "--host \"example.com\" is not an address; give one such as 127.0.0.1 or ::1");
        let problem = "is not a ratio; give a number from 0 to 1000, such as 0.1";
        refuses("--notify-delta-ratio -1", &format!("--notify-delta-ratio \"-1\" {problem}"));
        for workers in ["0", "abc", "1025", "-1"] {
            let message = format!("--workers \"{workers}\" is not a number of processes; give one from 1 to 1024");
            refuses(&format!("-w {workers}"), &message);
        }
        for seconds in ["-1", "nan", "inf", "abc", "1e400", "31536001", "1,5"] {
            let message = format!(
                "--notify-min-delay \"{seconds}\" is not a duration; give seconds from 0 to 31536000, such as 0.5"
            );
            refuses(&format!("--notify-min-delay {seconds}"), &message);
        }
        refuses("--port 8080", "--demo-port 8080 is the number of --port too; give another");
        refuses(
            "--stats-port 9 --notification-port 9",
            "--notification-port 9 is the number of --stats-port too; give another",
        );
        for origins in ["example.com", "https://", "https://a/,https://b", "*,https://a", "https://a,", "https://*.a"] {
            assert!(parse_line(&format!("--allow-origin {origins}"), &[]).is_err(), "{origins}");
        }
    }

    #[test]
    fn an_option_is_read_before_it_is_asked_for_help() {
        assert!(matches!(parse_line("--port abc --help", &[]), Ok(Command::Help)));
        assert!(matches!(parse_line("-h", &[]), Ok(Command::ShortHelp)));
        assert!(matches!(parse_line("-h --help", &[]), Ok(Command::Help)));
        assert!(matches!(parse_line("-V", &[]), Ok(Command::Version)));
    }

    #[test]
    fn text_that_is_none_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let args = vec!["--port".into(), OsString::from_vec(vec![0xff])];
        assert!(parse(args, |_| None).is_err());
        assert!(parse(vec![OsString::from_vec(vec![b'-', 0xff])], |_| None).is_err());
    }
}
