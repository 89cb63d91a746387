//! What a service manager is sent: a socket of the test plays its part, and a real systemd, in a mount namespace of its own.
//!
//! Under torture the datagrams are the same: the kernel's calls for them are none of those that are tortured.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::workers::wait_started;
use audience_kit::*;

/// A service manager.
struct Manager {
    socket: UnixDatagram,
    folder: ScratchFolder,
}

impl Manager {
    fn listen() -> Self {
        let folder = ScratchFolder::create("manager");
        let socket = UnixDatagram::bind(folder.file("notify")).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self { socket, folder }
    }

    /// Starts a service with these arguments.
    #[track_caller]
    fn start(&self, watchdog: Option<Duration>, args: &[&str]) -> Daemon {
        let command = || {
            let mut command = Command::new(program());
            command.env("NOTIFY_SOCKET", self.folder.file("notify"));
            if let Some(watchdog) = watchdog {
                command.env("WATCHDOG_USEC", watchdog.as_micros().to_string());
            }
            command
        };
        Daemon::start_with(command, args)
    }

    /// The next line.
    #[track_caller]
    fn read(&self) -> String {
        let mut bytes = [0; 256];
        let count = self.socket.recv(&mut bytes).expect("a datagram");
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    /// Reads until this line comes.
    #[track_caller]
    fn wait(&self, line: &str) {
        wait_until(line, || self.read() == line);
    }

    /// The lines of this time.
    fn read_for(&self, time: Duration) -> Vec<String> {
        let (until, mut lines) = (Deadline::after(time), Vec::new());
        while let Some(left) = until.left() {
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut bytes = [0; 256];
            match self.socket.recv(&mut bytes) {
                Ok(count) => lines.push(String::from_utf8(bytes[..count].to_vec()).unwrap()),
                Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
            }
        }
        self.socket.set_read_timeout(Some(SOON)).unwrap();
        lines
    }
}

/// Its life, by what it says: it is ready when it can be joined, says its audience, and that it ends.
#[track_caller]
fn live(args: &[&str]) {
    let manager = Manager::listen();
    let mut daemon = manager.start(None, args);
    assert_eq!(manager.read(), "READY=1");
    let _member = Stream::join(daemon.audience(), "/final");
    manager.wait("STATUS=members: 1, nodes: 1");
    daemon.signal("TERM");
    manager.wait("STOPPING=1");
    assert!(daemon.wait_exit().success());
    assert_eq!(manager.read_for(Duration::from_millis(100)), [""; 0], "it has ended");
}

#[test]
fn a_process_on_its_own_says_how_it_is() {
    live(&["-w", "1"]);
}

#[test]
fn a_supervisor_says_how_its_workers_are() {
    let manager = Manager::listen();
    let mut daemon = manager.start(None, &["-w", "2"]);
    wait_started(&daemon, 2, SOON);
    assert_eq!(manager.read(), "READY=1");
    let _member = Stream::join(daemon.audience(), "/final");
    manager.wait("STATUS=members: 1, nodes: 2");
    daemon.signal("TERM");
    manager.wait("STOPPING=1");
    assert!(daemon.wait_exit().success());
    assert_eq!(manager.read_for(Duration::from_millis(100)), [""; 0], "nor does a worker say anything");
}

/// A process that is stopped is silent, and says so again that it is alive when it goes on.
#[track_caller]
fn watch(args: &[&str]) {
    let manager = Manager::listen();
    let within = Duration::from_secs(1);
    let daemon = manager.start(Some(within), args);
    manager.wait("WATCHDOG=1");
    let alive = |lines: &[String]| lines.iter().filter(|line| *line == "WATCHDOG=1").count();
    let lines = manager.read_for(within * 5);
    assert!((5..=12).contains(&alive(&lines)), "twice in the time: {lines:?}");
    send_signal(daemon.pid(), "STOP");
    manager.read_for(within / 2);
    let lines = manager.read_for(within);
    send_signal(daemon.pid(), "CONT");
    assert_eq!(alive(&lines), 0, "{lines:?}");
    manager.wait("WATCHDOG=1");
}

#[test]
fn a_watchdog_learns_that_a_process_turns() {
    watch(&["-w", "1"]);
}

#[test]
fn a_watchdog_learns_that_a_supervisor_turns() {
    watch(&["-w", "2"]);
}

#[test]
fn a_manager_that_is_gone_is_one_warning() {
    let command = || {
        let mut command = Command::new(program());
        command.env("NOTIFY_SOCKET", "/no/such/socket");
        command
    };
    let daemon = Daemon::start_with(command, &["-w", "1"]);
    daemon.wait_log("the warning", |line| line.starts_with("level=warn event=service_manager error="));
    let _member = Stream::join(daemon.audience(), "/final");
    daemon.wait_members("final", 1);
    assert_eq!(daemon.log().iter().filter(|line| line.contains("service_manager")).count(), 1);
}

/// A systemd for users, with a `/run` of its own. It starts the service, which takes until that says that it is ready, shows what it
/// knows of it, sees that it hangs, starts it again, and ends it. What stands between the lines is for the test.
const SYSTEMD: &str = r#"
set -e
export XDG_RUNTIME_DIR=/run/user/0 HOME="$2" SYSTEMD_LOG_TARGET=null
mount -t tmpfs none /run && mkdir -p "$XDG_RUNTIME_DIR" /run/systemd/system "$HOME/.config/systemd/user"
cat >"$HOME/.config/systemd/user/audience-meter.service" <<EOF
[Service]
Type=notify
ExecStart=$1 -w $3 --port=$4 --stats-port=$5 --notification-port=0 --demo-port=0 --drain-delay 0
WatchdogSec=4
Restart=always
RestartSec=100ms
EOF
/lib/systemd/systemd --user >/dev/null 2>&1 & manager=$!
trap 'kill $manager' EXIT
until systemctl --user is-system-running 2>/dev/null | grep -q running; do sleep 0.05; kill -0 $manager || { echo none; exit; }; done
show() { systemctl --user show audience-meter -p "$1" --value; }
systemctl --user start audience-meter
echo "state $(show ActiveState)"
curl -sNH 'Accept: text/event-stream' "localhost:$4/final" >/dev/null & member=$!
until show StatusText | grep -q 'members: 1,'; do sleep 0.05; done
echo "status $(show StatusText)"
kill $member
pid=$(show MainPID)
[ "$pid" -gt 1 ] && kill -STOP "$pid"
until [ "$(show NRestarts)" -ge 1 ] && [ "$(show ActiveState)" = active ]; do sleep 0.05; done
echo restarted
systemctl --user stop audience-meter
echo "state $(show ActiveState) $(show Result)"
"#;

#[track_caller]
fn serve_under_systemd(workers: &str) {
    if let Err(why) =
        output("unshare", &["--mount", "--pid", "--fork", "--mount-proc", "test", "-x", "/lib/systemd/systemd"])
    {
        return skip(&why);
    }
    let home = ScratchFolder::create("home");
    let ports = [free_port(), free_port()].map(|port| port.to_string());
    let home = home.file("");
    let unshare = ["60", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", SYSTEMD];
    let args = ["sh", program(), home.to_str().unwrap(), workers, &ports[0], &ports[1]];
    let said = run("timeout", &[&unshare[..], &args].concat());
    if said.trim() == "none" {
        return skip("a systemd for users does not run here");
    }
    let status = format!("status members: 1, nodes: {workers}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines, ["state active", &status, "restarted", "state inactive success"]);
}

#[test]
fn systemd_starts_watches_and_ends_a_process_on_its_own() {
    serve_under_systemd("1");
}

#[test]
fn systemd_starts_watches_and_ends_a_supervisor() {
    serve_under_systemd("2");
}
