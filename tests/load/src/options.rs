//! What to measure: arguments to validated options.
//!
//! Owns the commands, the flags and their defaults, those of the 2011 bench.js among them, and how many processes a crowd
//! takes. It does not connect.
//!
//! | file | owns |
//! |---|---|
//! | `cluster` | the flags of the measurements of several daemons |

mod cluster;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Result;
use super::daemon::Program;
use super::round::Plan;
pub(super) use cluster::{Bus, ClusterOptions};

/// Descriptors that are no members: standard streams, epoll, signals, the daemon's pipe, side ports, and some to spare.
const OWN_DESCRIPTORS: usize = 32;

/// The largest share of datagrams that the soak loses, in percent. With more, nodes time out that are there.
const LOSS_MAX: i64 = 50;

const AUDIENCE_PORT: u16 = 80;

const NOTES: &str = "\
The instrument builds nothing. It starts the audience-meter that lies beside it, so build both first:

    cargo build --release --workspace

A daemon that is running already is measured with --host or --port. Start it with --notify-delta-ratio 0, so that it
pushes every count soon.

Members join from addresses in 127.0.0.0/8 if the daemon is on this machine, so that ports do not run out. A crowd takes
as many processes as the limit of descriptors asks for.";

/// Measures what an Audience Meter spends on a member, and checks that it counts right. Without a command, it is `load`.
#[derive(Parser)]
#[command(name = "audience-bench", after_help = NOTES, args_conflicts_with_subcommands = true)]
#[command(disable_help_subcommand = true, max_term_width = 110)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: LoadOptions,
}

/// What to do.
#[derive(Subcommand)]
pub(super) enum Command {
    /// What a daemon spends on a member, in rounds of join, hold, push, churn and leave
    #[command(after_help = NOTES)]
    Load(LoadOptions),
    /// The daemon and the floor in turn, with ratios and targets; or two daemons in turn
    Compare(CompareOptions),
    /// How long others wait while a large audience gets messages all the time
    Fairness(FairnessOptions),
    /// The comparison at 1000 to 19000 members, and at 1 to 8 processes
    Growth(GrowthOptions),
    /// A picture (SVG) of the figures that growth has written to a file
    Plot(PlotOptions),
    /// What several daemons of one audience spend on each other, and how soon they know of changes, by each bus
    #[command(after_help = cluster::NOTES)]
    Cluster(ClusterOptions),
    /// Everything at once: members come and go, daemons are killed, stopped and restarted, datagrams are lost.
    /// All numbers must be exact at each quiet point
    Soak(SoakOptions),
    /// How long the daemon's turns are under loads that touch very much at once, as a table for the manual
    Turns(TurnsOptions),
    /// A server that does the least there is to do, and checks nothing
    Floor(FloorOptions),
    /// A part of the crowd, ordered on standard input.
    #[command(hide = true)]
    Part,
}

/// Which program to start as the daemon.
#[derive(Args, Clone)]
pub(super) struct ProgramOption {
    /// daemon to start (default: the audience-meter beside this program)
    #[arg(long = "program", value_name = "file")]
    file: Option<PathBuf>,
}

impl ProgramOption {
    /// # Errors
    /// There is no such file; the line says what to build.
    pub(super) fn find(&self) -> Result<Program> {
        self.file.as_deref().map_or_else(Program::beside_this, Program::at)
    }
}

/// What to measure of a daemon.
#[derive(Args)]
pub(super) struct LoadOptions {
    /// host of a daemon that is running already (default 127.0.0.1)
    #[arg(short = 'H', long, value_name = "host", value_parser = resolve)]
    host: Option<IpAddr>,
    /// audience port of a daemon that is running already (default 80 if a host is given). Without a host and a port, a
    /// daemon is started on ports of its own
    #[arg(short = 'P', long, value_name = "port")]
    port: Option<u16>,
    /// number of events
    #[arg(short = 'e', long = "concurrent-events", value_name = "num", default_value = "10", value_parser = at_least_one)]
    events: usize,
    /// number of concurrent clients, all events together
    #[arg(short = 'c', long = "concurrent-clients", value_name = "num", default_value = "1000", value_parser = at_least_one)]
    pub(super) members: usize,
    /// prefix of the names of the events
    #[arg(short = 'p', long = "event-prefix", value_name = "prefix", default_value = "bench", value_parser = event_prefix)]
    prefix: String,
    /// milliseconds between connections; 0 is as fast as possible, 0.5 is two in a millisecond
    #[arg(short = 's', long = "speed", value_name = "msec", default_value = "100", value_parser = milliseconds, allow_negative_numbers = true)]
    pace: Duration,
    /// number of daemons that are started as one audience
    #[arg(short = 'w', long, value_name = "num", default_value = "1", value_parser = at_least_one)]
    pub(super) processes: usize,
    /// number of rounds; the table has their medians
    #[arg(short = 'r', long, value_name = "num", default_value = "3", value_parser = at_least_one)]
    pub(super) rounds: usize,
    /// seconds for which all members are left alone in each round
    #[arg(long, value_name = "seconds", default_value = "3", value_parser = seconds)]
    hold: Duration,
    /// number of streams that watch all events meanwhile, as dashboards do
    #[arg(long, value_name = "num", default_value = "0")]
    watchers: usize,
    #[command(flatten)]
    pub(super) program: ProgramOption,
    /// stats port of the running daemon, on 127.0.0.1; 0 does without
    #[arg(long, value_name = "port", default_value = "1442", help_heading = "Of a daemon that is running already")]
    stats_port: u16,
    /// notification port of the running daemon, on 127.0.0.1; 0 does without
    #[arg(long, value_name = "port", default_value = "2442", help_heading = "Of a daemon that is running already")]
    notification_port: u16,
    /// process of the running daemon, if it is on this machine; without it, CPU time, memory and wake-ups are unknown
    #[arg(long, value_name = "pid", help_heading = "Of a daemon that is running already")]
    pid: Option<u32>,
}

impl LoadOptions {
    /// The running daemon to measure; `None` for one that is started.
    pub(super) fn running(&self) -> Option<Running> {
        (self.host.is_some() || self.port.is_some()).then(|| Running {
            audience: SocketAddr::new(
                self.host.unwrap_or(Ipv4Addr::LOCALHOST.into()),
                self.port.unwrap_or(AUDIENCE_PORT),
            ),
            stats_port: self.stats_port,
            notification_port: self.notification_port,
            pid: self.pid,
        })
    }

    pub(super) fn plan(&self) -> Plan {
        Plan {
            members: self.members,
            events: self.events,
            prefix: self.prefix.clone(),
            pace: self.pace,
            hold: self.hold,
            counts: true,
            stats: self.running().is_none_or(|running| running.stats_port != 0),
            watchers: self.watchers,
        }
    }
}

/// Where a running daemon is.
pub(super) struct Running {
    pub(super) audience: SocketAddr,
    pub(super) stats_port: u16,
    pub(super) notification_port: u16,
    pub(super) pid: Option<u32>,
}

/// What to compare.
#[derive(Args, Clone)]
pub(super) struct CompareOptions {
    /// number of concurrent clients
    #[arg(short = 'c', long = "concurrent-clients", value_name = "num", default_value = "10000", value_parser = at_least_one)]
    pub(super) members: usize,
    /// number of events
    #[arg(short = 'e', long = "concurrent-events", value_name = "num", default_value = "1", value_parser = at_least_one)]
    pub(super) events: usize,
    /// number of daemons that are one audience
    #[arg(short = 'w', long, value_name = "num", default_value = "1", value_parser = at_least_one)]
    pub(super) processes: usize,
    /// number of rounds; ratios are taken within each
    #[arg(short = 'r', long, value_name = "num", default_value = "5", value_parser = at_least_one)]
    pub(super) rounds: usize,
    #[command(flatten)]
    pub(super) program: ProgramOption,
    /// another daemon, which is compared with in place of the floor: its rounds and the first daemon's take turns
    #[arg(long, value_name = "file")]
    pub(super) against_program: Option<PathBuf>,
    /// write the figures to a file, too
    #[arg(long, value_name = "file")]
    pub(super) json: Option<PathBuf>,
}

/// How many members get messages, and how often that is tried.
#[derive(Args)]
pub(super) struct FairnessOptions {
    /// number of members that get messages all the time
    #[arg(short = 'c', long = "concurrent-clients", value_name = "num", default_value = "15000", value_parser = at_least_one)]
    pub(super) members: usize,
    /// seconds for which they get messages
    #[arg(long = "hold", value_name = "seconds", default_value = "10", value_parser = seconds)]
    pub(super) span: Duration,
    /// number of rounds
    #[arg(short = 'r', long, value_name = "num", default_value = "3", value_parser = at_least_one)]
    pub(super) rounds: usize,
    #[command(flatten)]
    pub(super) program: ProgramOption,
    /// write the figures to a file, too
    #[arg(long, value_name = "file")]
    pub(super) json: Option<PathBuf>,
}

/// How thoroughly to compare at several sizes.
#[derive(Args)]
pub(super) struct GrowthOptions {
    /// number of rounds at each size
    #[arg(short = 'r', long, value_name = "num", default_value = "3", value_parser = at_least_one)]
    pub(super) rounds: usize,
    #[command(flatten)]
    pub(super) program: ProgramOption,
    /// write the figures to a file, too
    #[arg(long, value_name = "file")]
    pub(super) json: Option<PathBuf>,
}

/// What to draw.
#[derive(Args)]
pub(super) struct PlotOptions {
    /// the file that growth has written with --json
    pub(super) file: PathBuf,
}

/// What to put several daemons through.
#[derive(Args, Clone)]
pub(super) struct SoakOptions {
    /// how long the soak goes on, as in 90s, 5m or 2h
    #[arg(long = "duration", value_name = "time", default_value = "5m", value_parser = duration)]
    pub(super) span: Duration,
    /// largest number of members
    #[arg(short = 'c', long = "concurrent-clients", value_name = "num", default_value = "2000", value_parser = at_least_one)]
    pub(super) members: usize,
    /// number of daemons
    #[arg(short = 'w', long, value_name = "num", default_value = "3", value_parser = at_least_one)]
    pub(super) processes: usize,
    /// datagrams that are lost, in percent. More than 0 takes root, and brings a second host, whose interface goes and comes,
    /// and a disk that is full at times
    #[arg(long, value_name = "percent", default_value = "10", value_parser = clap::value_parser!(u32).range(0..=LOSS_MAX))]
    pub(super) loss: u32,
    /// number that repeats a run (default: drawn from the clock)
    #[arg(long, value_name = "num", overrides_with = "seed")]
    pub(super) seed: Option<u64>,
    /// folder in which the daemons' logs are kept
    #[arg(long, value_name = "folder")]
    pub(super) log: Option<PathBuf>,
    #[command(flatten)]
    pub(super) program: ProgramOption,
    /// This is the process in the network where datagrams are lost.
    #[arg(long = "inside", hide = true)]
    pub(super) is_inside: bool,
}

/// Which loads to try.
#[derive(Args)]
pub(super) struct TurnsOptions {
    /// part of the name of the loads to try (default: all of them)
    #[arg(long, value_name = "text", default_value = "")]
    pub(super) load: String,
    /// number by which each load is made smaller
    #[arg(long = "divide", value_name = "num", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) divisor: u32,
    #[command(flatten)]
    pub(super) program: ProgramOption,
}

/// Where the floor listens.
#[derive(Args)]
pub(super) struct FloorOptions {
    /// audience port
    #[arg(long, value_name = "port")]
    pub(super) port: u16,
    /// notification port
    #[arg(long, value_name = "port")]
    pub(super) notification_port: u16,
}

/// Why arguments are no command.
#[derive(Debug)]
pub(super) enum ParseFailure {
    /// The usage text was asked for.
    Help(String),
    /// The first thing that is wrong, as a line for a person.
    Refusal(String),
}

/// Reads the arguments, the program's name first.
///
/// # Errors
/// The arguments ask for help, or one of them is wrong.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> std::result::Result<Command, ParseFailure> {
    match CommandLine::try_parse_from(args) {
        Ok(CommandLine { command, load }) => Ok(command.unwrap_or(Command::Load(load))),
        Err(error) if error.use_stderr() => Err(ParseFailure::Refusal(one_line(&error.to_string()))),
        Err(error) => Err(ParseFailure::Help(error.to_string())),
    }
}

/// What is wrong, without the usage that follows after an empty line.
fn one_line(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 is too few; give at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

fn event_prefix(text: &str) -> std::result::Result<String, String> {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_name { Ok(text.to_owned()) } else { Err("it is not a name; give letters and digits".to_owned()) }
}

fn milliseconds(text: &str) -> std::result::Result<Duration, String> {
    span(text, 1e-3)
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    span(text, 1.0)
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    let unit_s = match text.chars().last() {
        Some('s') => 1.0,
        Some('m') => 60.0,
        Some('h') => 3600.0,
        _ => return Err("it has no unit; give a time such as 90s, 5m or 2h".to_owned()),
    };
    span(&text[..text.len() - 1], unit_s)
}

/// A span of time, given in a unit of this many seconds.
fn span(text: &str, unit_s: f64) -> std::result::Result<Duration, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(number * unit_s).map_err(|error| error.to_string())
}

fn resolve(host: &str) -> std::result::Result<IpAddr, String> {
    let unknown = |why: &dyn std::fmt::Display| format!("it is not known ({why}); give an address such as 127.0.0.1");
    let mut addresses = (host, 0).to_socket_addrs().map_err(|error| unknown(&error))?;
    addresses.next().map(|address| address.ip()).ok_or_else(|| unknown(&"it has no address"))
}

/// Raises the limit of descriptors as far as it goes, and returns it.
///
/// # Errors
/// The kernel's.
pub(super) fn raise_descriptor_limit() -> Result<usize> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(usize::try_from(most)?)
}

/// How many processes a crowd takes, each with as many descriptors as it may have.
///
/// # Errors
/// One process may have hardly any.
pub(super) fn parts_for(members: usize) -> Result<usize> {
    let limit = raise_descriptor_limit()?;
    let free = limit.checked_sub(OWN_DESCRIPTORS).filter(|&free| free >= OWN_DESCRIPTORS);
    let free = free.ok_or_else(|| format!("{limit} descriptors are too few; raise `ulimit -n`"))?;
    Ok(members.div_ceil(free).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> std::result::Result<Command, ParseFailure> {
        parse(["audience-bench"].into_iter().chain(line.split_whitespace()).map(OsString::from))
    }

    #[track_caller]
    fn load(line: &str) -> LoadOptions {
        match parse_line(line) {
            Ok(Command::Load(options)) => options,
            Ok(_) => panic!("{line} asks for something else"),
            Err(failure) => panic!("{line}: {failure:?}"),
        }
    }

    #[track_caller]
    fn refuses(line: &str, parts: [&str; 2]) {
        let Err(ParseFailure::Refusal(why)) = parse_line(line) else { panic!("{line} is accepted") };
        assert!(parts.iter().all(|part| why.contains(part)) && why.lines().count() == 1, "{line}: {why:?}");
    }

    #[test]
    fn the_flags_of_the_old_program_with_their_defaults() {
        let options = load("");
        assert!(options.running().is_none() && options.processes == 1 && options.rounds == 3);
        let Plan { events, members, prefix, pace, hold, .. } = options.plan();
        assert_eq!((events, members, prefix.as_str()), (10, 1000, "bench"));
        assert_eq!((pace, hold), (Duration::from_millis(100), Duration::from_secs(3)));
        let options = load("load -H 127.0.0.2 -e 1 -c 20 -p x -s 0.5");
        let plan = options.plan();
        assert_eq!((plan.events, plan.members, plan.event_name(3)), (1, 20, "x3".to_owned()));
        assert_eq!(plan.pace, Duration::from_micros(500));
        assert_eq!(options.running().unwrap().audience, SocketAddr::from(([127, 0, 0, 2], 80)));
        let long = "--concurrent-events 2 --concurrent-clients 3 --event-prefix y --speed 0 --port 81";
        assert_eq!(load(long).running().unwrap().audience, SocketAddr::from(([127, 0, 0, 1], 81)));
    }

    #[test]
    fn a_large_crowd_takes_several_processes() {
        let limit = raise_descriptor_limit().unwrap();
        assert_eq!(parts_for(1).unwrap(), 1);
        assert_eq!(parts_for(2 * limit).unwrap(), 3);
    }

    #[test]
    fn a_command_comes_first() {
        let Ok(Command::Cluster(options)) = parse_line("cluster -e 7") else { panic!("a cluster was asked for") };
        assert_eq!((options.namespaces, options.rounds), (7, 3));
        assert_eq!((options.bus, options.processes), (Bus::Loopback, 4));
        let Ok(Command::Cluster(options)) = parse_line("cluster --bus nats -w 32") else { panic!("a cluster") };
        assert_eq!((options.bus, options.processes), (Bus::Nats, 32));
        refuses("cluster --bus pigeon", ["--bus", "possible values: loopback, multicast, peers, nats, redis"]);
        refuses("cluster -w 1", ["--processes", "give 2 to 250"]);
        let Ok(Command::Compare(options)) = parse_line("compare -c 7 --json x") else { panic!("a comparison") };
        assert_eq!((options.members, options.events, options.processes, options.rounds), (7, 1, 1, 5));
        assert_eq!(options.json, Some(PathBuf::from("x")));
        refuses("cluster -c 7", ["'-c'", "unexpected"]);
        refuses("-e 7 cluster", ["'cluster'", "cannot be used with"]);
        refuses("jump", ["'jump'", "unrecognized subcommand"]);
        refuses("plot", ["<FILE>", "required"]);
        refuses("floor --port 7", ["--notification-port", "required"]);
    }

    #[test]
    fn a_soak_is_repeated_by_the_seed_that_is_appended() {
        let Ok(Command::Soak(options)) = parse_line("soak") else { panic!("a soak") };
        assert_eq!((options.span, options.members, options.processes), (Duration::from_mins(5), 2000, 3));
        assert_eq!((options.loss, options.is_inside, options.log, options.seed), (10, false, None, None));
        let line = "soak --duration 0.1m -c 7 -w 2 --loss 3 --seed 9 --log x --inside --seed 10";
        let Ok(Command::Soak(inside)) = parse_line(line) else { panic!("a soak") };
        assert_eq!((inside.span, inside.seed, inside.is_inside), (Duration::from_secs(6), Some(10), true));
        for (text, seconds) in [("90s", 90), ("1.5h", 5400)] {
            let Ok(Command::Soak(options)) = parse_line(&format!("soak --duration {text}")) else { panic!("a soak") };
            assert_eq!(options.span, Duration::from_secs(seconds));
        }
        refuses("soak --duration 5", ["--duration", "such as 90s, 5m or 2h"]);
        refuses("soak --loss 51", ["--loss", "51 is not in 0..=50"]);
        refuses("soak -e 7", ["'-e'", "unexpected"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        refuses("-c many", ["'many' for '--concurrent-clients <num>'", "invalid digit"]);
        refuses("-c", ["--concurrent-clients", "value is required"]);
        refuses("-e 0", ["--concurrent-events", "give at least 1"]);
        refuses("-p a/b", ["'a/b' for '--event-prefix", "letters and digits"]);
        refuses("--port 65536", ["--port", "65536"]);
        refuses("--no-such", ["'--no-such'", "unexpected"]);
        refuses("load stray", ["'stray'", "unexpected"]);
        refuses("-s -1", ["--speed", "negative"]);
        refuses("-H not-an-address.invalid", ["'not-an-address.invalid' for '--host", "such as 127.0.0.1"]);
    }

    #[test]
    fn help_is_for_stdout() {
        for line in ["-h", "--help", "compare -h", "soak --help"] {
            assert!(
                matches!(parse_line(line), Err(ParseFailure::Help(text)) if text.contains("Usage: audience-bench"))
            );
        }
    }
}
