//! Without a key from the operator, the processes of one user share one for the loopback bus, and another user of the host has
//! no say on it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;

use super::siblings::*;
use audience_kit::*;

/// A user that is not the one of the tests (`nobody`).
const STRANGER: u32 = 65_534;

/// The system's own, which any user may run.
const PYTHON: &str = "/usr/bin/python3";

/// A process that runs a script of Python, as long as this value lives.
struct Script {
    process: Child,
    /// The line that it has printed.
    line: String,
}

impl Script {
    /// Runs it as another user until it has printed a line; or says why the test is left out.
    fn of_stranger(script: &str, args: &[&str]) -> Option<Self> {
        let mut command = Command::new(PYTHON);
        let started = Self::start(command.uid(STRANGER).gid(STRANGER).current_dir("/"), script, args);
        started.inspect_err(|error| skip(&format!("no process of another user: {error}"))).ok()
    }

    fn start(command: &mut Command, script: &str, args: &[&str]) -> std::io::Result<Self> {
        // It ends when its input does.
        let script = format!("import socket, sys\n{script}\nsys.stdout.flush()\nsys.stdin.read()");
        isolate(command.args(["-c", &script]).args(args)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line)?;
        assert!(line.ends_with('\n'), "the script has failed");
        Ok(Self { process, line: line.trim_end().to_owned() })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// The names that processes have put up for this port: `audience-meter/<port>/<host>/<audience>/<which>/<token>`.
pub(super) fn names(port: u16) -> Vec<String> {
    let list = fs::read("/proc/net/unix").unwrap();
    let prefix = format!("audience-meter/{port}/");
    let list = String::from_utf8_lossy(&list).into_owned();
    list.lines().filter_map(|line| Some(line[line.find(&prefix)?..].to_owned())).collect()
}

/// Starts that many processes of one audience at the same time.
fn start_at_once(port: u16, count: usize, options: &[&str]) -> Vec<Daemon> {
    let port = port.to_string();
    let options = [&["--port", &port], options, &BRISK[..]].concat();
    thread::scope(|scope| {
        let starts: Vec<_> = (0..count).map(|_| scope.spawn(|| Daemon::start(&options))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    })
}

#[test]
fn processes_that_start_at_once_have_one_key() {
    let daemons = start_at_once(free_port(), 6, &["-w", "1"]);
    for daemon in &daemons {
        wait_nodes(daemon, 6);
    }
    for daemon in &daemons {
        assert_eq!(dropped(daemon, "forged") + dropped(daemon, "unkeyed"), 0);
    }
}

#[test]
fn two_supervisors_with_two_workers_each_find_each_other() {
    for daemon in &start_at_once(free_port(), 2, &["-w", "2"]) {
        wait_nodes(daemon, 4);
    }
}

#[test]
fn names_of_sockets_do_not_show_the_names_of_nodes() {
    let daemons = audience::<2>(&BRISK);
    let names = names(daemons[0].audience().port()).join(" ");
    for daemon in &daemons {
        assert!(!names.contains(&node_name(daemon)), "{names}");
    }
}

#[test]
fn another_user_that_knocks_gets_no_key() {
    let daemons = audience::<2>(&BRISK);
    let doors = names(daemons[0].audience().port()).into_iter().filter(|name| name.contains("/audience/"));
    let script = "
got = 0
for name in sys.argv[1:]:
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(10)
    stream.connect('\\0' + name)
    got += len(stream.recv(100))
print(got)";
    let doors: Vec<String> = doors.collect();
    assert_eq!(doors.len(), 2, "{doors:?}");
    let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
    let Some(stranger) = Script::of_stranger(script, &doors) else { return };
    assert_eq!(stranger.line, "0");
    for daemon in &daemons {
        daemon.wait_log("the stranger", |line| line.contains("event=loopback_key_refused uid=65534 count=1"));
    }
    // The same user gets it: a version, a length, the key and the name of the node.
    let own = Script::start(&mut Command::new(PYTHON), script, &doors).unwrap();
    assert_eq!(own.line, (2 * (2 + 32 + 8)).to_string());
}

#[test]
fn names_that_another_user_has_put_up_keep_no_siblings_apart() {
    let port = free_port();
    let first = start(&["--port", &port.to_string()]);
    let known = names(port).into_iter().find(|name| name.contains("/audience/")).unwrap();
    let audience = known.split('/').nth(3).unwrap().to_owned();
    drop(first);
    // Each second one has a full line, so that a guest does not see whose it is.
    let script = "
names = ['audience-meter/start/0/' + sys.argv[2]]
names += ['audience-meter/%s/*/%s/audience/%016x' % (sys.argv[1], sys.argv[2], token) for token in range(300)]
held = []
for index, name in enumerate(names):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind('\\0' + name)
    listener.listen(0 if index else 100)
    guest = socket.socket(socket.AF_UNIX)
    if index % 2:
        guest.connect('\\0' + name)
    held += [listener, guest]
print('squatting')";
    let Some(_squatter) = Script::of_stranger(script, &[&port.to_string(), &audience]) else { return };
    assert_eq!(names(port).iter().filter(|name| name.contains("/audience/")).count(), 300 + 150);
    let daemons = start_at_once(port, 2, &["-w", "1"]);
    wait_until("that they find each other", || daemons.iter().all(|daemon| nodes(daemon) == 2));
    for daemon in &daemons {
        daemon.wait_log("the squatter", |line| line.contains("event=start_turn_squatted uid=65534"));
    }
    let mut third = vec![beside(&daemons[0], &BRISK)];
    third.extend(daemons);
    wait_until("that three find each other", || third.iter().all(|daemon| nodes(daemon) == 3));
    let _open = one_at_each(&third, "/ns");
    wait_totals(&third, "ns", 3);
}

#[test]
fn datagrams_of_another_user_have_no_effect() {
    let daemons = audience::<2>(&BRISK);
    let _open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    let port = daemons[0].audience().port().to_string();
    let listen = "
ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
ear.bind(('239.255.13.37', int(sys.argv[1])))
group = socket.inet_aton('239.255.13.37') + socket.inet_aton('127.0.0.1')
ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
print(ear.recv(2000).hex())";
    let Ok(ear) = Script::start(&mut Command::new(PYTHON), listen, &[&port]) else {
        return skip(&format!("there is no {PYTHON}"));
    };
    // The same without its seal, and with another seal.
    let speak = "
mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mouth.bind(('127.0.0.1', 0))
heard = bytearray.fromhex(sys.argv[2])
flags = 3 if heard[2] == 3 else 4
assert heard[flags] == 1, heard
unsealed = heard[:-32]
unsealed[flags] = 0
heard[-1] ^= 1
for bytes in [unsealed, heard] * 20:
    mouth.sendto(bytes, ('239.255.13.37', int(sys.argv[1])))
print('said')";
    let Some(_mouth) = Script::of_stranger(speak, &[&port, &ear.line]) else { return };
    for daemon in &daemons {
        wait_until("drops of both kinds", || dropped(daemon, "unkeyed") == 20 && dropped(daemon, "forged") == 20);
    }
    wait_totals(&daemons, "ns", 2);
    assert_eq!(daemons.each_ref().map(nodes), [2, 2]);
    assert!(daemons.iter().all(|daemon| !daemon.log().join("\n").contains("event=loopback_key_changed")));
}

#[test]
fn a_sibling_that_hung_while_another_started_agrees_with_it_afterwards() {
    let hung = start(&BRISK);
    let _first = join_at(&hung, "/ns");
    hung.signal("STOP");
    let newcomer = beside(&hung, &BRISK);
    assert_eq!(nodes(&newcomer), 1);
    hung.signal("CONT");
    let daemons = [hung, newcomer];
    let _second = join_at(&daemons[1], "/ns");
    wait_until("that both count both", || {
        daemons.iter().all(|daemon| daemon.stat("ns", "members") == Some(2) && nodes(daemon) == 2)
    });
    // The one with the greater key has taken the other, if not both have.
    let has_changed = |daemon: &Daemon| daemon.log().join("\n").contains("event=loopback_key_changed keys=2");
    wait_until("another key", || daemons.iter().any(has_changed));
    // One that starts now finds a key that all have.
    let third = beside(&daemons[0], &BRISK);
    let mut daemons = Vec::from(daemons);
    daemons.push(third);
    for daemon in &daemons {
        wait_nodes(daemon, 3);
    }
    assert_eq!(dropped(&daemons[2], "forged"), 0);
}
