//! How long the daemon's turns are under loads that touch very much at once.
//!
//! Owns the loads and their table. Each load has a daemon of its own, which says itself how long its turns were and what
//! processor time they took. What a machine that is busy otherwise adds is in the former alone.
//!
//! A load makes what it needs, the daemon turns all the while, and the table has the longest turn of its whole life.
//!
//! | file | owns |
//! |---|---|
//! | `nodes` | other nodes of the audience, in datagrams alone |

mod nodes;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use audience_kit::{ScratchFile, connect_from};
use nix::sys::signal::Signal;
use nix::time::ClockId;

use super::daemon::{Daemon, Program};
use super::options::{TurnsOptions, raise_descriptor_limit};
use super::pages::Turns;
use super::part::PATIENCE;
use super::ports::free_port;
use super::{Result, now, progress};
use nodes::Nodes;

/// The longest turn that is right, by processor time.
const MOST_US: u64 = 5_000;

/// How long the processor is watched that has nothing to do.
const IDLE: Duration = Duration::from_secs(15);

/// How many of ten descriptors are for members; the rest is for the daemon's side ports, and for what else there is.
const MEMBERS_OF_TEN: usize = 9;

/// A load, and the options of its daemon.
struct Load {
    name: &'static str,
    options: &'static [&'static str],
    /// For how many seconds its daemon keeps empty events.
    keeps_s: u64,
    /// Returns what it was, in numbers.
    run: fn(&Ground) -> Result<String>,
}

/// An hour is longer than a load takes.
const KEEPS_ALL: u64 = 3_600;

/// Longer than it takes to make all names.
const KEEPS_FOR_A_WHILE: u64 = 120;

/// All of them.
const LOADS: [Load; 6] = [
    Load { name: "uuids in one event", options: &["--enable-uuid"], keeps_s: KEEPS_ALL, run: claim_uuids },
    Load { name: "streams closed at once", options: &[], keeps_s: KEEPS_ALL, run: close_at_once },
    Load {
        name: "timers due at once, and as many names forgotten",
        options: &[],
        keeps_s: KEEPS_FOR_A_WHILE,
        run: forget_names,
    },
    Load { name: "members that never read, and messages", options: &[], keeps_s: KEEPS_ALL, run: push_to_the_deaf },
    Load { name: "stats for many readers", options: &[], keeps_s: KEEPS_ALL, run: read_stats },
    Load { name: "nodes, scraped", options: &[], keeps_s: KEEPS_ALL, run: scrape_nodes },
];

/// What a load works on.
struct Ground {
    daemon: Daemon,
    /// Speaks for other nodes; the daemon has it as a peer.
    nodes: Nodes,
    /// Each load is made smaller by this factor.
    divisor: u32,
    keeps_s: u64,
    /// Descriptors that a process may have.
    descriptors: usize,
}

/// Tries the loads whose names have this part, and returns the table.
pub(super) fn measure(options: &TurnsOptions) -> Result<String> {
    let descriptors = raise_descriptor_limit()?;
    let program = options.program.find()?;
    let mut text =
        "| load | turns | longest by processor time | 999 of 1000 below | longest by the clock |\n".to_owned();
    text.push_str("|---|---|---|---|---|\n");
    for load in LOADS.iter().filter(|load| load.name.contains(&options.load)) {
        progress(load.name);
        text.push_str(&row(load, options.divisor, descriptors, &program)?);
    }
    progress("a loop that does nothing");
    text.push_str(&idle_row(IDLE / options.divisor)?);
    progress("");
    Ok(text)
}

/// What is taken for processor time though nothing is done: a host may take the processor away from a virtual machine unseen, and
/// interrupts are served meanwhile.
fn idle_row(span: Duration) -> Result<String> {
    let clock = || ClockId::CLOCK_THREAD_CPUTIME_ID.now().map(Duration::from);
    let (begun, mut last, mut longest) = (clock()?, clock()?, Duration::ZERO);
    while last.saturating_sub(begun) < span {
        let next = clock()?;
        (longest, last) = (longest.max(next.saturating_sub(last)), next);
    }
    let longest = ms(longest.as_micros().try_into().unwrap_or(u64::MAX));
    Ok(format!("| for comparison: a loop that does nothing, in {} s | | {longest} | | |\n", span.as_secs_f64()))
}

fn row(load: &Load, divisor: u32, descriptors: usize, program: &Program) -> Result<String> {
    let (nodes, key) = (Nodes::new()?, ScratchFile::with("turns-key", nodes::KEY, 0o600));
    let peer = nodes.address()?.to_string();
    let rules = ["--host", "127.0.0.1", "--cluster-peers", &peer, "--cluster-key-file", key.path()];
    let keeps_s = (load.keeps_s / u64::from(divisor)).max(2);
    let delay = keeps_s.to_string();
    let delays = ["--cluster-node-timeout", "60", "--max-conn-duration", "0", "--namespace-clean-delay", &delay];
    let all = [&rules[..], &delays, load.options].concat();
    let daemon = Daemon::begin(program, free_port()?, &all)?;
    let mut ground = Ground { daemon, nodes, divisor, keeps_s, descriptors };
    let run = ground.daemon.await_answer().and_then(|()| (load.run)(&ground));
    let what = run.map_err(|error| ground.daemon.explain(format!("{}: {error}", load.name).into()))?;
    let page = ground.daemon.process_page()?;
    let Turns { longest_us, .. } = page.turns;
    let cpu = page.turns_cpu;
    let verdict = if cpu.longest_us > MOST_US { ", too long" } else { "" };
    Ok(format!(
        "| {what} | {} | {}{verdict} | {} | {} |\n",
        cpu.count,
        ms(cpu.longest_us),
        ms(cpu.most_below_us().min(cpu.longest_us)),
        ms(longest_us)
    ))
}

fn ms(us: u64) -> String {
    format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10)
}

impl Ground {
    /// This number, or a part of it in a small load.
    fn count(&self, number: u32) -> u32 {
        (number / self.divisor).max(4)
    }

    /// The same of members, each of which takes a descriptor.
    fn member_count(&self, number: u32) -> u32 {
        let most = self.descriptors / 10 * MEMBERS_OF_TEN;
        self.count(number).min(u32::try_from(most).unwrap_or(u32::MAX))
    }

    fn audience(&self) -> Result<std::net::SocketAddrV4> {
        match self.daemon.audience {
            SocketAddr::V4(address) => Ok(address),
            SocketAddr::V6(_) => Err("the daemon is on IPv4".into()),
        }
    }

    /// Asks for a stream, from one of many addresses: each has its own ports.
    fn join(&self, number: u32, target: &str) -> Result<TcpStream> {
        let [_, _, high, low] = (number / 10_000 + 1).to_be_bytes();
        let mut stream = connect_from(Ipv4Addr::new(127, 2, high, low), self.audience()?)?;
        let head = format!("GET /{target} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    }

    /// Makes events that have had a member each, and have none.
    fn make_names(&self, count: u32, length: usize) -> Result<()> {
        let mut bytes = [0; 512];
        for number in 0..count {
            let mut stream = self.join(number, &format!("{number:0>length$}"))?;
            if stream.read(&mut bytes)? == 0 {
                return Err("a join was turned away".into());
            }
        }
        wait_until("the members have left", || Ok(self.daemon.process_page()?.members == Some(0)))
    }
}

fn claim_uuids(ground: &Ground) -> Result<String> {
    let members = ground.member_count(100_000);
    let streams: Result<Vec<TcpStream>> =
        (0..members).map(|number| ground.join(number, &format!("event/{number:0>36}"))).collect();
    let streams = streams?;
    wait_until("all are counted", || Ok(ground.daemon.process_page()?.members == Some(members.into())))?;
    drop(streams);
    wait_until("all have left", || Ok(ground.daemon.process_page()?.members == Some(0)))?;
    Ok(format!("{members} uuids in one event"))
}

fn close_at_once(ground: &Ground) -> Result<String> {
    let members = ground.member_count(10_000);
    let streams: Result<Vec<TcpStream>> = (0..members).map(|number| ground.join(number, "event")).collect();
    let streams = streams?;
    wait_until("all are counted", || Ok(ground.daemon.process_page()?.members == Some(members.into())))?;
    // For the daemon it is one moment.
    ground.daemon.signal(Signal::SIGSTOP)?;
    drop(streams);
    ground.daemon.signal(Signal::SIGCONT)?;
    wait_until("all have left", || Ok(ground.daemon.process_page()?.members == Some(0)))?;
    Ok(format!("{members} streams closed at once"))
}

fn forget_names(ground: &Ground) -> Result<String> {
    let names = ground.count(250_000);
    ground.make_names(names, 8)?;
    ground.daemon.signal(Signal::SIGSTOP)?;
    rest(Duration::from_secs(ground.keeps_s + 1));
    ground.daemon.signal(Signal::SIGCONT)?;
    wait_until("all are forgotten", || {
        rest(Duration::from_millis(200));
        ground.daemon.stats().map(|stats| stats.is_empty())
    })?;
    Ok(format!("{names} timers due at once, and as many names forgotten"))
}

fn push_to_the_deaf(ground: &Ground) -> Result<String> {
    let members = ground.count(200);
    let streams: Result<Vec<TcpStream>> = (0..members).map(|number| ground.join(number, "event")).collect();
    let _streams = streams?;
    wait_until("all are counted", || Ok(ground.daemon.process_page()?.members == Some(members.into())))?;
    let text = "x".repeat(1_000);
    let messages = ground.count(3_000);
    for _ in 0..messages {
        // A daemon that is behind asks for patience.
        wait_until("a message is taken", || Ok(ground.daemon.send_message("event", &text)?.confirm().is_ok()))?;
    }
    Ok(format!("{members} members that never read, and {messages} messages"))
}

fn read_stats(ground: &Ground) -> Result<String> {
    let names = ground.count(140_000);
    ground.make_names(names, 250)?;
    let address = ground.daemon.stats_address()?;
    let read = move || -> std::io::Result<usize> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let (mut bytes, mut length) = (vec![0; 256 * 1024], 0);
        loop {
            match stream.read(&mut bytes)? {
                0 => return Ok(length),
                count => length += count,
            }
        }
    };
    let (reader_count, mut longest) = (ground.count(60), 0);
    let readers: Vec<_> = (0..reader_count).map(|_| thread::spawn(read)).collect();
    for reader in readers {
        let length = reader.join().map_err(|_| "a reader has died")??;
        if length < names as usize * 400 {
            return Err(format!("a reader got {length} bytes").into());
        }
        longest = longest.max(length);
    }
    Ok(format!("{} kB of stats for each of {reader_count} readers", longest / 1_000))
}

fn scrape_nodes(ground: &Ground) -> Result<String> {
    let (nodes, scrapes) = (u64::from(ground.count(256)), ground.count(200));
    ground.nodes.introduce(nodes)?;
    let address = ground.daemon.stats_address()?;
    for number in 0..scrapes {
        if number % 20 == 0 {
            ground.nodes.keep(nodes)?;
        }
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let process_count = text.matches("audience_meter_build_info{").count();
        if process_count as u64 <= nodes {
            return Err(format!("{process_count} processes are on the page").into());
        }
    }
    Ok(format!("{nodes} nodes, scraped {scrapes} times"))
}

#[expect(clippy::disallowed_methods, reason = "the pace of the benchmark")]
pub(super) fn rest(duration: Duration) {
    thread::sleep(duration);
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let give_up = now() + 4 * PATIENCE;
    while !is_so()? {
        if now() > give_up {
            return Err(format!("it was waited in vain until {what}").into());
        }
        rest(Duration::from_millis(5));
    }
    Ok(())
}
