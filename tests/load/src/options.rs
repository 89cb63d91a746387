//! What to measure: arguments to validated options.
//!
//! Owns the commands, the flags and their defaults, those of the 2011 bench.js among them, and how many processes a crowd
//! takes. It does not connect.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use audience_meter::reactor::sys;

use super::round::Plan;
use super::{Result, unix_ns};

/// The usage text.
pub(super) const USAGE: &str = "\
Usage: audience-bench [load] [options]
       audience-bench compare [-c <num>] [-e <num>] [-w <num>] [-r <num>] [--json <file>]
       audience-bench fairness [-c <num>] [-r <num>] [--hold <seconds>] [--json <file>]
       audience-bench growth [-r <num>] [--json <file>]
       audience-bench plot <file>
       audience-bench cluster [-e <num>] [-r <num>]
       audience-bench soak [--minutes <num>] [-c <num>] [-w <num>] [--loss <percent>] [--seed <num>] [--log <folder>]
       audience-bench floor --port <port> --notification-port <port>

load     what a daemon spends on a member, in rounds of join, hold, push, churn and leave
compare  the same of the daemon and of the floor, in turn, with ratios and targets: by default 10000 members of one
         event at one process, in 5 rounds
fairness what others wait for while 15000 members (-c) are being told something all the time, for 10 seconds (--hold)
growth   the comparison at 1000 to 19000 members, and at 1 to 8 processes
plot     a picture (SVG) of what growth has written to a file
cluster  what several daemons that are one audience spend on each other, and how soon they know, with so many events
         (default 100000) that are quiet
soak     everything at once, for some minutes (default 5): 2000 members (-c) who come and go, 3 daemons (-w) that are
         killed, stopped and restarted, and datagrams that are lost (--loss, default 10 of 100, which takes root). All
         numbers have to be exact each time that it is quiet. A seed repeats a run; --log keeps what daemons log
floor    a server that does the least there is to do, and checks nothing

Options:

  -h, --help                        output usage information
  -H, --host <host>                 host of the daemon (default 127.0.0.1)
  -P, --port <port>                 audience port of the daemon (default 80 if a host is given; if neither is, the
                                    audience-meter beside this program is started on ports of its own)
  -e, --concurrent-events <num>     number of events (default 10; 1 to compare)
  -c, --concurrent-clients <num>    number of concurrent clients, all events together (default 1000)
  -p, --event-prefix <prefix>       prefix of the names of the events (default bench)
  -s, --speed <msec>                approximate number of milliseconds between connections (default 100, 0 for as
                                    fast as possible, 0.5 for two in a millisecond)
  -w, --processes <num>             number of daemons that are started as one audience (default 1)
  -r, --rounds <num>                number of rounds, of which medians are told (default 3)
      --hold <seconds>              how long to leave everybody alone in each round (default 3)
      --watchers <num>              number of streams that watch all events meanwhile, as dashboards do (default 0)
      --json <file>                 write the figures to a file, too

Of a daemon that is running already:

      --stats-port <port>           its stats port, on 127.0.0.1 (default 1442, 0 to do without)
      --notification-port <port>    its notification port, on 127.0.0.1 (default 2442, 0 to do without)
      --pid <pid>                   its process, if it is on this machine: without it, CPU time, memory and wake-ups
                                    are not known

Start it with --notify-delta-ratio 0, so that every count is told soon.

Members join from addresses in 127.0.0.0/8 if the daemon is on this machine, so that ports do not run out; and from as
many processes as the limit of descriptors asks for.
";

/// Descriptors that are no members: standard streams, poller, signals, the daemon's pipe, side ports, and some to
/// spare.
const OWN_DESCRIPTORS: usize = 32;

/// How many of a hundred datagrams may be lost: with more, nodes are taken for gone that are there.
const LOSS_MAX: u32 = 50;

/// What to do.
pub(super) enum Command {
    /// Measure a daemon.
    Load(LoadOptions),
    /// Compare the daemon with the floor.
    Compare(CompareOptions, Option<PathBuf>),
    /// See what others wait for while many are told something.
    Fairness(FairnessOptions, Option<PathBuf>),
    /// Compare at several sizes.
    Growth(GrowthOptions, Option<PathBuf>),
    /// Draw what growth has written.
    Plot(PathBuf),
    /// Measure several daemons that are one audience.
    Cluster(ClusterOptions),
    /// See whether several daemons stay right whatever happens.
    Soak(SoakOptions),
    /// Be the floor.
    Floor(FloorOptions),
    /// Be a part of the crowd.
    Part(PartOptions),
    /// Print the usage text.
    Help,
}

/// What to measure of a daemon.
pub(super) struct LoadOptions {
    pub(super) target: Target,
    pub(super) plan: Plan,
    /// How many processes the crowd takes.
    pub(super) parts: usize,
    pub(super) rounds: usize,
}

/// What to compare.
pub(super) struct CompareOptions {
    pub(super) members: usize,
    pub(super) events: usize,
    pub(super) processes: usize,
    pub(super) rounds: usize,
}

/// How many are told something, and how often that is tried.
pub(super) struct FairnessOptions {
    pub(super) members: usize,
    /// How long they are told something.
    pub(super) span: Duration,
    pub(super) rounds: usize,
}

/// How thoroughly to compare at several sizes.
pub(super) struct GrowthOptions {
    pub(super) rounds: usize,
}

/// What to put several daemons through.
pub(super) struct SoakOptions {
    pub(super) span: Duration,
    /// How many members there are at most.
    pub(super) members: usize,
    pub(super) processes: usize,
    /// How many of a hundred datagrams are lost.
    pub(super) loss: u32,
    pub(super) seed: u64,
    /// The folder for all logs, if they are kept.
    pub(super) log: Option<PathBuf>,
    /// Whether this is the process in the network where datagrams are to be lost.
    pub(super) is_inside: bool,
}

impl SoakOptions {
    /// The arguments of the process that is inside.
    pub(super) fn args(&self) -> Vec<OsString> {
        let minutes = (self.span.as_secs_f64() / 60.0).to_string();
        let (members, processes) = (self.members.to_string(), self.processes.to_string());
        let (loss, seed) = (self.loss.to_string(), self.seed.to_string());
        let args = ["soak", "--inside", "--minutes", &minutes, "-c", &members, "-w", &processes];
        let mut args: Vec<OsString> =
            [&args[..], &["--loss", &loss, "--seed", &seed]].concat().iter().map(Into::into).collect();
        if let Some(log) = &self.log {
            args.extend(["--log".into(), log.into()]);
        }
        args
    }
}

/// Where the floor is to be.
pub(super) struct FloorOptions {
    pub(super) port: u16,
    pub(super) notification_port: u16,
}

/// Which part of the crowd a process is.
pub(super) struct PartOptions {
    pub(super) number: usize,
    pub(super) parts: usize,
    pub(super) audience: SocketAddr,
    pub(super) events: usize,
    pub(super) prefix: String,
}

impl PartOptions {
    /// The arguments that say so.
    pub(super) fn args(&self) -> [String; 6] {
        let Self { number, parts, audience, events, prefix } = self;
        let numbers = [number, parts, events].map(ToString::to_string);
        let [number, parts, events] = numbers;
        ["part".to_owned(), number, parts, audience.to_string(), events, prefix.clone()]
    }
}

/// Whose daemon.
pub(super) enum Target {
    /// So many processes that are started for the purpose.
    Own(usize),
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

/// Raises the limit of descriptors as far as it goes, and says how many processes so many members take.
///
/// # Errors
/// When one process may have hardly any.
pub(super) fn parts_for(members: usize) -> Result<usize> {
    let limit = usize::try_from(sys::raise_descriptor_limit()?)?;
    let room = limit.checked_sub(OWN_DESCRIPTORS).filter(|&room| room >= OWN_DESCRIPTORS);
    let room = room.ok_or_else(|| format!("{limit} descriptors are too few; raise `ulimit -n`"))?;
    Ok(members.div_ceil(room).max(1))
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// The first thing that is wrong, as a line for a person.
pub(super) fn parse(mut args: Vec<OsString>) -> Result<Command> {
    let word = args.first().and_then(|first| first.to_str()).filter(|first| !first.starts_with('-')).map(str::to_owned);
    if word.is_some() {
        args.remove(0);
    }
    let mut args = pico_args::Arguments::from_vec(args);
    if args.contains(["-h", "--help"]) {
        return Ok(Command::Help);
    }
    let command = match word.as_deref() {
        None | Some("load") => Command::Load(parse_load(&mut args)?),
        Some("compare") => {
            let json = value(&mut args, "", "--json")?;
            let options = CompareOptions {
                members: at_least_one(&mut args, "-c", "--concurrent-clients", 10_000)?,
                events: at_least_one(&mut args, "-e", "--concurrent-events", 1)?,
                processes: at_least_one(&mut args, "-w", "--processes", 1)?,
                rounds: at_least_one(&mut args, "-r", "--rounds", 5)?,
            };
            Command::Compare(options, json)
        }
        Some("fairness") => {
            let json = value(&mut args, "", "--json")?;
            let members = at_least_one(&mut args, "-c", "--concurrent-clients", 15_000)?;
            let span = duration(&mut args, "", "--hold", 1.0, 10.0)?;
            let rounds = at_least_one(&mut args, "-r", "--rounds", 3)?;
            Command::Fairness(FairnessOptions { members, span, rounds }, json)
        }
        Some("growth") => {
            let json = value(&mut args, "", "--json")?;
            Command::Growth(GrowthOptions { rounds: at_least_one(&mut args, "-r", "--rounds", 3)? }, json)
        }
        Some("plot") => {
            let file = args.free_from_str().map_err(|_| "plot takes the file that growth has written")?;
            Command::Plot(file)
        }
        Some("cluster") => Command::Cluster(ClusterOptions {
            namespaces: at_least_one(&mut args, "-e", "--concurrent-events", 100_000)?,
            rounds: at_least_one(&mut args, "-r", "--rounds", 3)?,
        }),
        Some("soak") => Command::Soak(parse_soak(&mut args)?),
        Some("floor") => Command::Floor(FloorOptions {
            port: value(&mut args, "", "--port")?.ok_or("the floor takes a --port")?,
            notification_port: value(&mut args, "", "--notification-port")?.ok_or("and a --notification-port")?,
        }),
        Some("part") => Command::Part(PartOptions {
            number: args.free_from_str()?,
            parts: args.free_from_str()?,
            audience: args.free_from_str()?,
            events: args.free_from_str()?,
            prefix: args.free_from_str()?,
        }),
        Some(stray) => return Err(format!("{stray} is no command; see --help").into()),
    };
    match args.finish().first() {
        Some(stray) => Err(format!("{} is not an option; see --help", stray.to_string_lossy()).into()),
        None => Ok(command),
    }
}

fn parse_load(args: &mut pico_args::Arguments) -> Result<LoadOptions> {
    let host: Option<String> = value(args, "-H", "--host")?;
    let port: Option<u16> = value(args, "-P", "--port")?;
    let running = Running {
        audience: resolve(host.as_deref().unwrap_or("127.0.0.1"), port.unwrap_or(80))?,
        stats_port: value(args, "", "--stats-port")?.unwrap_or(1442),
        notification_port: value(args, "", "--notification-port")?.unwrap_or(2442),
        pid: value(args, "", "--pid")?,
    };
    let is_running = host.is_some() || port.is_some();
    let processes = at_least_one(args, "-w", "--processes", 1)?;
    let members = at_least_one(args, "-c", "--concurrent-clients", 1000)?;
    let plan = Plan {
        members,
        events: at_least_one(args, "-e", "--concurrent-events", 10)?,
        prefix: value(args, "-p", "--event-prefix")?.unwrap_or_else(|| "bench".to_owned()),
        pace: duration(args, "-s", "--speed", 1e3, 0.1)?,
        hold: duration(args, "", "--hold", 1.0, 3.0)?,
        counts: true,
        stats: !is_running || running.stats_port != 0,
        watchers: value(args, "", "--watchers")?.unwrap_or(0),
    };
    if plan.prefix.is_empty() || !plan.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("--event-prefix {:?} is not a name; give letters and digits", plan.prefix).into());
    }
    let target = if is_running { Target::Running(running) } else { Target::Own(processes) };
    // One more comes and goes.
    Ok(LoadOptions { target, plan, parts: parts_for(members + 1)?, rounds: at_least_one(args, "-r", "--rounds", 3)? })
}

fn parse_soak(args: &mut pico_args::Arguments) -> Result<SoakOptions> {
    let loss = value(args, "", "--loss")?.unwrap_or(10);
    if loss > LOSS_MAX {
        return Err(format!("--loss {loss} is too much; give at most {LOSS_MAX} (percent)").into());
    }
    Ok(SoakOptions {
        span: duration(args, "", "--minutes", 1.0 / 60.0, 300.0)?,
        members: at_least_one(args, "-c", "--concurrent-clients", 2000)?,
        processes: at_least_one(args, "-w", "--processes", 3)?,
        loss,
        seed: value(args, "", "--seed")?.unwrap_or_else(|| unix_ns() % 1_000_000),
        log: value(args, "", "--log")?,
        is_inside: args.contains("--inside"),
    })
}

/// A span of time, given in a unit of which so many are a second.
fn duration(
    args: &mut pico_args::Arguments,
    short: &'static str,
    long: &'static str,
    per_second: f64,
    default_s: f64,
) -> Result<Duration> {
    let given: Option<f64> = value(args, short, long)?;
    let seconds = given.map_or(default_s, |given| given / per_second);
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{long} is not accepted ({error}); see --help").into())
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
    fn load(line: &str) -> LoadOptions {
        match parse_line(line) {
            Ok(Command::Load(options)) => options,
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
        let options = load("");
        assert!(matches!(options.target, Target::Own(1)));
        let Plan { events, members, ref prefix, pace, .. } = options.plan;
        assert_eq!((events, members, prefix.as_str(), pace), (10, 1000, "bench", Duration::from_millis(100)));
        let options = load("load -H 127.0.0.2 -e 1 -c 20 -p x -s 0.5");
        assert_eq!((options.plan.events, options.plan.members, options.plan.event_name(3)), (1, 20, "x3".to_owned()));
        assert_eq!((options.plan.pace, options.parts), (Duration::from_micros(500), 1));
        let Target::Running(running) = options.target else { panic!("a host is a running daemon's") };
        assert_eq!(running.audience, SocketAddr::from(([127, 0, 0, 2], 80)));
    }

    #[test]
    fn a_large_crowd_takes_several_processes() {
        let limit = usize::try_from(sys::raise_descriptor_limit().unwrap()).unwrap();
        assert_eq!(parts_for(1).unwrap(), 1);
        assert_eq!(parts_for(2 * limit).unwrap(), 3);
    }

    #[test]
    fn a_command_comes_first() {
        let Ok(Command::Cluster(options)) = parse_line("cluster -e 7") else { panic!("a cluster was asked for") };
        assert_eq!((options.namespaces, options.rounds), (7, 3));
        let Ok(Command::Compare(options, json)) = parse_line("compare -c 7 --json x") else { panic!("a comparison") };
        assert_eq!((options.members, options.events, options.processes, options.rounds), (7, 1, 1, 5));
        assert_eq!(json, Some(PathBuf::from("x")));
        refuses("cluster -c 7", "-c is not an option");
        refuses("-e 7 cluster", "cluster is not an option");
        refuses("jump", "jump is no command");
        refuses("plot", "plot takes the file");
        refuses("floor --port 7", "--notification-port");
    }

    #[test]
    fn a_soak_is_told_again_what_it_was_told() {
        let Ok(Command::Soak(options)) = parse_line("soak") else { panic!("a soak") };
        assert_eq!((options.span, options.members, options.processes), (Duration::from_mins(5), 2000, 3));
        assert_eq!((options.loss, options.is_inside, options.log), (10, false, None));
        let line = "soak --minutes 0.1 -c 7 -w 2 --loss 3 --seed 9 --log x";
        let Ok(Command::Soak(options)) = parse_line(line) else { panic!("a soak") };
        let Ok(Command::Soak(inside)) = parse(options.args()) else { panic!("a soak") };
        assert!(inside.is_inside && options.span == Duration::from_secs(6));
        assert_eq!(inside.args(), options.args());
        refuses("soak --loss 51", "--loss 51 is too much");
        refuses("soak -e 7", "-e is not an option");
    }

    #[test]
    fn a_part_is_told_which_it_is() {
        let audience = SocketAddr::from(([127, 0, 0, 1], 80));
        let options = PartOptions { number: 2, parts: 3, audience, events: 4, prefix: "x".to_owned() };
        let Ok(Command::Part(parsed)) = parse(options.args().map(OsString::from).into()) else { panic!("a part") };
        assert_eq!(parsed.args(), options.args());
    }

    #[test]
    fn what_is_wrong_is_named() {
        refuses("-c many", "--concurrent-clients \"many\"");
        refuses("-c", "--concurrent-clients takes a value");
        refuses("-e 0", "--concurrent-events 0 is too few");
        refuses("-p a/b", "--event-prefix \"a/b\"");
        refuses("--port 65536", "--port");
        refuses("--no-such", "--no-such is not an option");
        refuses("load stray", "stray is not an option");
        refuses("-s -1", "--speed is not accepted");
        refuses("-H not-an-address.invalid", "--host \"not-an-address.invalid\"");
    }
}
