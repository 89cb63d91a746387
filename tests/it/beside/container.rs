//! The static program as the Dockerfile of the manual makes it, in a root that holds nothing else: no libc, no `/proc`, no
//! `/dev`, no `/etc`. It is the first process of its namespace of processes, and an ordinary user, as it is there.
//!
//! The commands are taken out of the manual; only folders are replaced. Where a machine lets nobody change the root (it takes
//! root), each test says so by its name on the standard error itself, which is shown even of tests that pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use audience_kit::*;

/// What follows an instruction of the Dockerfile that is there once.
#[track_caller]
fn instruction(name: &str) -> String {
    let text = manual::block("dockerfile", "FROM ").replace("\\\n", "");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let (Some(line), None) = (lines.next(), lines.next()) else { panic!("not one {name:?} in the Dockerfile") };
    line.to_owned()
}

/// The program, made by the command of the Dockerfile; the first test that asks for it waits for the compiler.
#[track_caller]
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("out");
        let command = instruction("RUN ");
        assert_eq!(command.matches(" --root /out ").count(), 1, "{command}");
        let command = command.replace(" /out ", &format!(" '{}' ", out.display()));
        let made = Command::new("sh").args(["-c", &command]).current_dir(source()).output().unwrap();
        assert!(made.status.success(), "{command}\n{}", lossy(&made.stderr));
        let copy = instruction("COPY --from=build ");
        let copied = copy.strip_suffix(" /").expect("a copy to the root");
        out.join(copied.strip_prefix("/out/").unwrap())
    })
}

/// A root with the program in it, gone with this value.
struct Image(PathBuf);

impl Image {
    /// Makes one, or says why the test is left out.
    #[track_caller]
    fn make() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        if let Err(why) = output("unshare", &["--pid", "--fork", "--root=/", "--setuid=65534", "true"]) {
            skip(&why);
            return None;
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("audience-meter-root-{}-{number}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        // Not copied by this process: a test that forks meanwhile would hold the copy open for writing, and it could not run.
        run("cp", &[program().to_str().unwrap(), root.join("audience-meter").to_str().unwrap()]);
        Some(Self(root))
    }

    /// A command that starts it there.
    fn command(&self) -> Command {
        let (user, program) = (instruction("USER "), instruction("ENTRYPOINT "));
        let (user, group) = user.split_once(':').unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--root"]).arg(&self.0).args(["--wd=/", "--setgid", group, "--setuid", user]);
        command.arg(program.trim_matches(['[', ']', '"']));
        command
    }

    /// Puts a file there.
    fn put(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first process of its namespace, by the number that it has outside.
#[track_caller]
fn first(daemon: &Daemon) -> u32 {
    let [first] = children(daemon.pid())[..] else { panic!("one process below unshare") };
    first
}

/// Waits until a daemon has so many processes below its first.
#[track_caller]
fn wait_workers(daemon: &Daemon, count: usize) -> Vec<u32> {
    wait_for("all workers", || Some(children(first(daemon))).filter(|workers| workers.len() == count))
}

/// Asks as the platform does, with the command of the image. Returns whether it is healthy, and what it prints.
fn health(image: &Image, daemon: &Daemon) -> (bool, String) {
    let health = instruction("HEALTHCHECK ");
    let words: Vec<String> = serde_json::from_str(health.strip_prefix("CMD ").unwrap()).unwrap();
    let [program, arguments @ ..] = &words[..] else { panic!("{words:?}") };
    let mut command = image.command();
    assert!(command.get_args().any(|argument| argument == program.as_str()), "{program} is the entry point");
    let port = daemon.stats_port().port().to_string();
    let output = command.args(arguments).args(["--stats-port", &port]).output().unwrap();
    (output.status.success(), lossy(&output.stdout))
}

/// Members join an event that nobody knows yet and are told, and all ports say what they say elsewhere. Of two processes the
/// other may hear of it a moment later.
#[track_caller]
fn serves(daemon: &Daemon, event: &str) {
    let (mut stream, count) = member(daemon, &format!("/{event}"));
    assert_eq!(count, 1);
    daemon.wait_members(event, 1);
    let message = Some(Event::Message("news=on".to_owned()));
    wait_until("a message", || {
        daemon.notify(&format!("/{event}/news/on"));
        stream.next_event(ms(200)) == message
    });
    let script = get(daemon.audience(), "/client/audience.min.js");
    assert_eq!(script.body, include_str!("../../../client/audience.min.js"));
    assert!(get(daemon.demo(), "/event").body.starts_with("<!doctype html>"));
    assert_eq!(daemon.stats_page("/healthz").status, 200);
    wait_until("it is ready", || daemon.stats_page("/readyz").status == 200);
    // What a platform may ask from outside.
    get(daemon.audience(), "/").expect_empty();
    assert!(daemon.stats_page("/metrics").body.contains("audience_meter_max_fds"));
}

/// A signal lets the members go, and it ends.
#[track_caller]
fn ends(mut daemon: Daemon) {
    let mut stream = member(&daemon, "/ending").0;
    let first = first(&daemon);
    send_signal(first, "TERM");
    stream.wait_closed();
    assert_eq!(daemon.wait_exit().code(), Some(0));
    assert!(!is_there(first));
}

#[test]
fn one_process_serves_in_an_empty_root() {
    let Some(image) = Image::make() else { return };
    let daemon = Daemon::start_with(|| image.command(), &["--drain-delay", "0.2"]);
    let entries = fs::read_dir(&image.0).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(entries.collect::<Vec<_>>(), ["audience-meter"]);
    serves(&daemon, "alone");
    assert!(daemon.stats_page("/process").body.contains("\"pid\":1,"));
    assert_eq!(health(&image, &daemon), (true, "alive\n".to_owned()));
    ends(daemon);
}

#[test]
fn workers_serve_in_an_empty_root_and_are_replaced() {
    let Some(image) = Image::make() else { return };
    let daemon = Daemon::start_with(|| image.command(), &["-w", "2", "--drain-delay", "0.2"]);
    let before = wait_workers(&daemon, 2);
    serves(&daemon, "before");
    send_signal(before[0], "KILL");
    wait_until("another", || !wait_workers(&daemon, 2).contains(&before[0]));
    assert!(is_there(before[1]));
    serves(&daemon, "after");
    ends(daemon);
}

#[test]
fn strangers_who_are_left_to_the_first_process_disturb_nobody() {
    let Some(image) = Image::make() else { return };
    for (option, workers) in [("1", 0), ("2", 2)] {
        let daemon = Daemon::start_with(|| image.command(), &["-w", option, "--drain-delay", "0.2"]);
        let (first, before) = (first(&daemon), wait_workers(&daemon, workers));
        // Somebody looks into the container, and leaves a process behind that ends later.
        run("nsenter", &["--target", &first.to_string(), "--pid", "sh", "-c", "sleep 1 > /dev/null 2>&1 &"]);
        let orphan = wait_for("the orphan", || children(first).into_iter().find(|child| !before.contains(child)));
        wait_until("its end", || !is_there(orphan));
        serves(&daemon, "left");
        ends(daemon);
    }
}

#[test]
fn names_of_peers_are_found_where_there_are_hosts() {
    let Some(image) = Image::make() else { return };
    let port = free_port();
    let of = |peer: &str| ["--cluster-peers".to_owned(), format!("{peer}:{port}")];
    let start = |peer: &str| Daemon::start_with(|| image.command(), &of(peer).each_ref().map(String::as_str));
    ends(start("127.0.0.1"));
    let waiting = start("other-node");
    waiting.wait_log("that it has no address", |line| line.contains(" kind=missing_name "));
    image.put("etc/hosts", "127.0.0.1 other-node\n");
    waiting.wait_log("its address", |line| line.contains(" event=name_moved "));
    ends(waiting);
    ends(start("other-node"));
}
