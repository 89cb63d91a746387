//! What to measure: arguments to validated options.
//!
//! Owns the flags and their defaults, those of the 2011 bench.js among them, and whether this process may open as many
//! connections as it is asked to. It does not connect.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use audience_meter::reactor::sys;

use super::Result;

/// The usage text.
pub(super) const USAGE: &str = "\
Usage: audience-bench [options]
       audience-bench cluster [-e <num>] [-r <num>]

Measures what a daemon spends on a member, in rounds of join, idle, push, churn and leave; or what several daemons that
are one audience spend on each other, and how soon they know, with so many events (default 100000) that are quiet.

Options:

  -h, --help                        output usage information
  -H, --host <host>                 host of the daemon (default 127.0.0.1)
  -P, --port <port>                 audience port of the daemon (default 80 if a host is given; if neither is, the
                                    audience-meter beside this program is started on ports of its own)
  -e, --concurrent-events <num>     number of events (default 10)
  -c, --concurrent-clients <num>    number of concurrent clients, all events together (default 1000)
  -p, --event-prefix <prefix>       prefix of the names of the events (default bench)
  -s, --speed <msec>                approximate number of milliseconds between connections (default 100, 0 for as
                                    fast as possible)
  -r, --rounds <num>                number of rounds, of which medians are told (default 3)
      --idle <seconds>              how long to leave the daemon alone in each round (default 3)

Of a daemon that is running already:

      --stats-port <port>           its stats port, on 127.0.0.1 (default 1442, 0 to do without)
      --notification-port <port>    its notification port, on 127.0.0.1 (default 2442, 0 to do without)
      --pid <pid>                   its process, if it is on this machine: without it, CPU time, memory and wake-ups
                                    are not known

Start it with --notify-delta-ratio 0, so that every count is told soon.
";

/// Descriptors that are no members: standard streams, poller, signals, the daemon's pipe, side ports, and some to
/// spare.
const OWN_DESCRIPTORS: u64 = 32;

/// What to do.
pub(super) enum Command {
    /// Measure a daemon.
    Run(Options),
    /// Measure several daemons that are one audience.
    Cluster(ClusterOptions),
    /// Print the usage text.
    Help,
}

/// What to measure.
pub(super) struct Options {
    pub(super) target: Target,
    pub(super) events: usize,
    pub(super) members: usize,
    pub(super) prefix: String,
    /// The time between two joins; zero is as fast as possible.
    pub(super) pace: Duration,
    pub(super) rounds: usize,
    pub(super) idle: Duration,
}

/// Whose daemon.
pub(super) enum Target {
    /// One that is started for the purpose.
    Own,
    /// One that is running already.
    Running(Running),
}

/// Where a running daemon is.
pub(super) struct Running {
    pub(super) audience: SocketAddr,
    pub(super) stats_port: u16,
    pub(super) notification_port: u16,
    pub(super) pid: Option<u32>,
}

/// What to measure of a cluster.
pub(super) struct ClusterOptions {
    /// How many namespaces are quiet.
    pub(super) namespaces: usize,
    pub(super) rounds: usize,
}

impl Options {
    /// The name of an event.
    pub(super) fn event_name(&self, event: usize) -> String {
        format!("{}{event}", self.prefix)
    }
}

/// Raises the limit of descriptors as far as it goes.
///
/// # Errors
/// When that is not far enough for so many members.
pub(super) fn check_descriptors(members: usize) -> Result<()> {
    let (limit, wanted) = (sys::raise_descriptor_limit()?, members as u64 + OWN_DESCRIPTORS);
    if limit < wanted {
        return Err(format!(
            "{members} concurrent clients take {wanted} descriptors and {limit} are allowed; raise `ulimit -n`, or \
             start several benchmarks with fewer --concurrent-clients, each with an --event-prefix"
        )
        .into());
    }
    Ok(())
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// The first thing that is wrong, as a line for a person.
pub(super) fn parse(mut args: Vec<OsString>) -> Result<Command> {
    let is_cluster = args.first().is_some_and(|first| first == "cluster");
    if is_cluster {
        args.remove(0);
    }
    let mut args = pico_args::Arguments::from_vec(args);
    if args.contains(["-h", "--help"]) {
        return Ok(Command::Help);
    }
    if is_cluster {
        let options = ClusterOptions {
            namespaces: at_least_one(&mut args, "-e", "--concurrent-events", 100_000)?,
            rounds: at_least_one(&mut args, "-r", "--rounds", 3)?,
        };
        refuse_strays(args)?;
        return Ok(Command::Cluster(options));
    }
    let host: Option<String> = value(&mut args, "-H", "--host")?;
    let port: Option<u16> = value(&mut args, "-P", "--port")?;
    let running = Running {
        audience: resolve(host.as_deref().unwrap_or("127.0.0.1"), port.unwrap_or(80))?,
        stats_port: value(&mut args, "", "--stats-port")?.unwrap_or(1442),
        notification_port: value(&mut args, "", "--notification-port")?.unwrap_or(2442),
        pid: value(&mut args, "", "--pid")?,
    };
    let options = Options {
        target: if host.is_some() || port.is_some() { Target::Running(running) } else { Target::Own },
        events: at_least_one(&mut args, "-e", "--concurrent-events", 10)?,
        members: at_least_one(&mut args, "-c", "--concurrent-clients", 1000)?,
        prefix: value(&mut args, "-p", "--event-prefix")?.unwrap_or_else(|| "bench".to_owned()),
        pace: Duration::from_millis(value(&mut args, "-s", "--speed")?.unwrap_or(100)),
        rounds: at_least_one(&mut args, "-r", "--rounds", 3)?,
        idle: Duration::from_secs(value(&mut args, "", "--idle")?.unwrap_or(3)),
    };
    refuse_strays(args)?;
    if options.prefix.is_empty() || !options.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("--event-prefix {:?} is not a name; give letters and digits", options.prefix).into());
    }
    Ok(Command::Run(options))
}

fn refuse_strays(args: pico_args::Arguments) -> Result<()> {
    match args.finish().first() {
        Some(stray) => Err(format!("{} is not an option; see --help", stray.to_string_lossy()).into()),
        None => Ok(()),
    }
}

/// The value of an option, if it is given; an option without a short form has an empty one.
fn value<T: std::str::FromStr>(
    args: &mut pico_args::Arguments,
    short: &'static str,
    long: &'static str,
) -> Result<Option<T>>
where
    T::Err: std::fmt::Display,
{
    let given: std::result::Result<Option<String>, _> =
        if short.is_empty() { args.opt_value_from_str(long) } else { args.opt_value_from_str([short, long]) };
    let given = given.map_err(|_| format!("{long} takes a value; see --help"))?;
    let Some(text) = given else { return Ok(None) };
    let parsed = text.parse().map_err(|error| format!("{long} {text:?} is not accepted ({error}); see --help"))?;
    Ok(Some(parsed))
}

fn at_least_one(
    args: &mut pico_args::Arguments,
    short: &'static str,
    long: &'static str,
    default: usize,
) -> Result<usize> {
    match value(args, short, long)?.unwrap_or(default) {
        0 => Err(format!("{long} 0 is too few; give at least 1").into()),
        number => Ok(number),
    }
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr> {
    let unknown = |why: String| format!("--host {host:?} is not known ({why}); give an address such as 127.0.0.1");
    let mut addresses = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    Ok(addresses.next().ok_or_else(|| unknown("it has no address".to_owned()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[track_caller]
    fn run(line: &str) -> Options {
        match parse_line(line) {
            Ok(Command::Run(options)) => options,
            Ok(_) => panic!("{line} asks for something else"),
            Err(error) => panic!("{line}: {error}"),
        }
    }

    #[track_caller]
    fn refuses(line: &str, part: &str) {
        let error = parse_line(line).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(part) && error.lines().count() == 1, "{line}: {error:?}");
    }

    #[test]
    fn the_flags_of_the_old_program_with_their_defaults() {
        let options = run("");
        assert!(matches!(options.target, Target::Own));
        assert_eq!((options.events, options.members, options.prefix.as_str()), (10, 1000, "bench"));
        assert_eq!(options.pace, Duration::from_millis(100));
        let options = run("-H 127.0.0.2 -e 1 -c 20 -p x -s 0");
        assert_eq!((options.events, options.members, options.event_name(3)), (1, 20, "x3".to_owned()));
        let Target::Running(running) = options.target else { panic!("a host is a running daemon's") };
        assert_eq!(running.audience, SocketAddr::from(([127, 0, 0, 2], 80)));
    }

    #[test]
    fn a_cluster_comes_first() {
        let Ok(Command::Cluster(options)) = parse_line("cluster -e 7") else { panic!("a cluster was asked for") };
        assert_eq!((options.namespaces, options.rounds), (7, 3));
        refuses("cluster -c 7", "-c is not an option");
        refuses("-e 7 cluster", "cluster is not an option");
    }

    #[test]
    fn what_is_wrong_is_named() {
        refuses("-c many", "--concurrent-clients \"many\"");
        refuses("-c", "--concurrent-clients takes a value");
        refuses("-e 0", "--concurrent-events 0 is too few");
        refuses("-p a/b", "--event-prefix \"a/b\"");
        refuses("--port 65536", "--port");
        refuses("--no-such", "--no-such is not an option");
        refuses("stray", "stray is not an option");
        refuses("-H not-an-address.invalid", "--host \"not-an-address.invalid\"");
    }
}
