//! A network of the soak's own: two hosts, on whose way datagrams are lost, and whose interfaces go and come.
//!
//! Owns the namespaces that this process moves into (networks, and mounts for the disk), the rule that drops datagrams, and
//! the cable between the hosts. The first host is the network of this process. All goes with the last process in it; the
//! machine's own network is never touched, nor is TCP.
//!
//! A datagram to a group passes the rule once, before the kernel copies it for each daemon of a host. So a lost datagram is
//! lost to all of them.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::Result;
use crate::host::Host;

/// The addresses of the hosts in their network.
pub(super) const ADDRESSES: [&str; 2] = ["10.77.13.1", "10.77.13.2"];

/// The network that this process is in.
pub(super) struct Network {
    /// The other host.
    pub(super) other: Host,
}

impl Network {
    /// Runs this program anew, with these arguments, in a network of its own. It returns only if that fails.
    pub(super) fn enter(args: &[OsString]) -> Result<Infallible> {
        // A tool that is missing is named before anything begins.
        for (tool, args) in [
            ("unshare", &["--net", "--mount", "true"][..]),
            ("ip", &["-V"]),
            ("nft", &["--version"]),
            ("mount", &["--version"]),
        ] {
            run(tool, args).map_err(|why| refusal(&why))?;
        }
        let mut command = Command::new("unshare");
        let error = command.args(["--net", "--mount", "--"]).arg(std::env::current_exe()?).args(args).exec();
        Err(refusal(&error).into())
    }

    /// Sets up the network that was entered: two hosts, each of which loses this percentage of the datagrams that come in.
    pub(super) fn build(percent: u32) -> Result<Self> {
        // In a new network, loopback is down.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        if listener.and_then(|listener| TcpStream::connect(listener.local_addr()?)).is_ok() {
            return Err("this is not a network that was made for the soak".into());
        }
        let this = Self { other: Host::apart()? };
        set_up(percent)?;
        this.other.within(move || set_up(percent))?;
        this.connect()?;
        Ok(this)
    }

    /// Joins the hosts by a cable, with an interface at each end.
    pub(super) fn connect(&self) -> Result<()> {
        let thread = self.other.thread().ok_or("there is one host")?.to_string();
        run("ip", &["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &thread])?;
        let [here, there] = ADDRESSES;
        raise(here)?;
        Ok(self.other.within(move || raise(there))?)
    }

    /// Takes the cable away, and the interfaces at both ends.
    pub(super) fn cut(&self) -> Result<()> {
        let Self { .. } = self;
        Ok(run("ip", &["link", "delete", "eth0"]).map(drop)?)
    }

    /// How many datagrams have been lost.
    pub(super) fn lost(&self) -> Result<u64> {
        Ok(count_lost()? + self.other.within(count_lost)?)
    }
}

/// Sets up the host of this thread.
fn set_up(percent: u32) -> io::Result<()> {
    run("ip", &["link", "set", "lo", "up"])?;
    let rule = format!("add rule inet loss input meta l4proto udp numgen random mod 100 < {percent} counter drop");
    run("nft", &["add table inet loss; add chain inet loss input { type filter hook input priority 0; };", &rule])?;
    Ok(())
}

/// Gives the interface of this thread's host its address.
fn raise(address: &str) -> io::Result<()> {
    run("ip", &["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
    run("ip", &["link", "set", "eth0", "up"])?;
    Ok(())
}

fn count_lost() -> io::Result<u64> {
    let rules = run("nft", &["list", "chain", "inet", "loss", "input"])?;
    let counted = rules.split_once("counter packets ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    counted.ok_or_else(|| io::Error::other("nft does not say how many datagrams were lost"))
}

fn refusal(why: &io::Error) -> String {
    format!("no datagrams can be lost here ({why}); it takes root, unshare, ip, nft and mount; --loss 0 does without")
}

/// Runs a tool; its output, or why it failed, in one line.
pub(super) fn run(tool: &str, args: &[&str]) -> io::Result<String> {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| io::Error::new(error.kind(), format!("{tool}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr.lines().next().unwrap_or("it fails without a word");
    Err(io::Error::other(if line.starts_with(tool) { line.to_owned() } else { format!("{tool}: {line}") }))
}
