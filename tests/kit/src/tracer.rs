//! strace at a process that runs already: it makes system calls fail, and says what it saw.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use crate::{SOON, send_signal, skip};

/// strace at a process.
pub struct Tracer {
    child: Child,
    seen: Receiver<String>,
    lines: Option<JoinHandle<Vec<String>>>,
}

impl Tracer {
    /// Attaches it with these options, or says why the test is left out.
    #[track_caller]
    pub fn attach(process: u32, options: &[&str]) -> Option<Self> {
        let mut command = Command::new("strace");
        command.args(options).args(["-p", &process.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return left_out(&format!("strace: {error}")),
        };
        let (sender, seen): (_, Receiver<String>) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = thread::spawn(move || {
            let lines = stderr.lines().map_while(Result::ok);
            lines.inspect(|line| drop(sender.send(line.clone()))).collect::<Vec<_>>()
        });
        let first = seen.recv_timeout(SOON).unwrap();
        if first.ends_with(" attached") {
            return Some(Tracer { child, seen, lines: Some(lines) });
        }
        child.wait().unwrap();
        assert!(first.contains("attach: "), "{first}");
        left_out(&first)
    }

    /// Waits until it has seen a call, which is not before it has interrupted the one that the process was in.
    #[track_caller]
    pub fn wait_call(&self) {
        self.seen.recv_timeout(SOON).unwrap();
    }

    /// Makes it let go of the process; what it saw.
    #[track_caller]
    pub fn detach(mut self) -> Vec<String> {
        send_signal(self.child.id(), "INT");
        self.child.wait().unwrap();
        self.lines.take().unwrap().join().unwrap()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn left_out<T>(why: &str) -> Option<T> {
    skip(why);
    None
}

/// Those of the lines that strace has written which are of calls that it made fail.
pub fn injected(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.ends_with("(INJECTED)")).collect()
}
