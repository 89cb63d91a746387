//! A network of the soak's own, on which datagrams are lost.
//!
//! Owns the network namespace that this process moves into, and the rule that drops datagrams there. The namespace goes
//! with the last process in it; the machine's own network is never touched, nor is TCP.
//!
//! A datagram to a group passes the rule once, before the kernel copies it for each daemon. So a lost datagram is lost to
//! all daemons.

use std::convert::Infallible;
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::Result;

/// The network that this process is in.
pub(super) struct Network(());

impl Network {
    /// Runs this program anew, with these arguments, in a network of its own. It returns only if that fails.
    pub(super) fn enter(args: &[OsString]) -> Result<Infallible> {
        // A tool that is missing is named before anything begins.
        for (tool, args) in [("unshare", &["--net", "true"][..]), ("ip", &["-V"]), ("nft", &["--version"])] {
            run(tool, args).map_err(|why| refusal(&why))?;
        }
        let error = Command::new("unshare").args(["--net", "--"]).arg(std::env::current_exe()?).args(args).exec();
        Err(refusal(&format!("unshare: {error}")).into())
    }

    /// Sets up the network that was entered: this percentage of datagrams is lost from now on.
    pub(super) fn lose(percent: u32) -> Result<Self> {
        // In a new network, loopback is down.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        if listener.and_then(|listener| TcpStream::connect(listener.local_addr()?)).is_ok() {
            return Err("this is not a network that was made for the soak".into());
        }
        run("ip", &["link", "set", "lo", "up"])?;
        let rule = format!("add rule inet loss input meta l4proto udp numgen random mod 100 < {percent} counter drop");
        run("nft", &["add table inet loss; add chain inet loss input { type filter hook input priority 0; };", &rule])?;
        Ok(Self(()))
    }

    /// How many datagrams have been lost.
    pub(super) fn lost(&self) -> Result<u64> {
        let Self(()) = self;
        let rules = run("nft", &["list", "chain", "inet", "loss", "input"])?;
        let counted = rules.split_once("counter packets ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        Ok(counted.ok_or("nft does not say how many datagrams were lost")?)
    }
}

fn refusal(why: &str) -> String {
    format!("no datagrams can be lost here ({why}); it takes root, unshare, ip and nft; --loss 0 does without")
}

/// Runs a tool; its output, or why it failed, in one line.
fn run(tool: &str, args: &[&str]) -> std::result::Result<String, String> {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr.lines().next().unwrap_or("it fails without a word");
    Err(if line.starts_with(tool) { line.to_owned() } else { format!("{tool}: {line}") })
}
