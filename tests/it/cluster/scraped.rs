//! A Prometheus scrapes two hosts of one audience every second: what it adds up is right, through the restart of a worker and
//! of a whole host.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use serde_json::Value;

use super::hosts::{Way, crowd};
use audience_kit::*;

/// How many workers a host has.
const WORKERS: u64 = 2;

/// A process announces its figures every 5 s, and Prometheus looks every second; a machine may be busy.
const SEEN: std::time::Duration = ms(20_000);

/// The stats port of a host, for programs that are not there: a port of the machine itself, whose requests are carried over.
struct Doorway {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    carrier: Option<JoinHandle<()>>,
}

impl Doorway {
    fn open(network: &Arc<Network>, host: usize) -> Self {
        let (listener, is_over) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(AtomicBool::new(false)));
        let (address, network, over) = (listener.local_addr().unwrap(), Arc::clone(network), Arc::clone(&is_over));
        let carrier = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // A host that is down refuses, and the scrape fails.
                let _ = carry(stream.unwrap(), &network, host);
            }
        });
        Self { address, is_over, carrier: Some(carrier) }
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.carrier.take().unwrap().join().unwrap();
    }
}

/// Carries one request over, and its answer back.
fn carry(mut from: TcpStream, network: &Network, host: usize) -> io::Result<()> {
    from.set_read_timeout(Some(ms(900)))?;
    let mut to = network.within(host, || TcpStream::connect("127.0.0.1:1442"))?;
    to.set_read_timeout(Some(ms(900)))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 4096];
        let count = from.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&bytes[..count]);
    }
    to.write_all(&head)?;
    io::copy(&mut to, &mut from).map(drop)
}

/// A Prometheus that scrapes two targets, until this value is dropped.
struct Prometheus {
    child: Child,
    folder: ScratchFolder,
    address: String,
    started: Instant,
}

impl Prometheus {
    fn start(targets: [SocketAddr; 2]) -> Self {
        let (folder, address) = (ScratchFolder::create("prometheus"), format!("127.0.0.1:{}", free_port()));
        let targets = targets.map(|target| format!("'{target}'")).join(", ");
        let job = format!("{{job_name: audience-meter, static_configs: [{{targets: [{targets}]}}]}}");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: [{job}]\nrule_files: [rules.yml]\n"
        );
        let file = folder.file("prometheus.yml");
        fs::write(&file, config).unwrap();
        fs::write(folder.file("rules.yml"), manual::block("yaml", "# audience-meter.rules.yml")).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.file("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.args(["--log.level=error", "--storage.tsdb.retention.time=1d"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("prometheus is there (Debian: prometheus)");
        let this = Self { child, folder, address, started: now() };
        wait_until("Prometheus", || this.api("query", "up").is_some());
        this
    }

    fn api(&self, what: &str, query: &str) -> Option<Value> {
        let url = format!("http://{}/api/v1/{what}", self.address);
        let text = output("curl", &["-s", "-G", &url, "--data-urlencode", &format!("query={query}")]).ok()?;
        // While it starts, it says so in plain words.
        let answer: Value = serde_json::from_str(&text).ok()?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        Some(answer["data"]["result"].clone())
    }

    /// The values of a query, by the labels that a text is made of.
    fn values(&self, query: &str, labels: &[&str]) -> Vec<(String, String)> {
        let result = self.api("query", query).unwrap();
        let value = |series: &Value| {
            let label = |name: &&str| series["metric"][*name].as_str().unwrap_or_default().to_owned();
            let labels: Vec<String> = labels.iter().map(label).collect();
            (labels.join(" "), series["value"][1].as_str().unwrap().to_owned())
        };
        let mut values: Vec<(String, String)> = result.as_array().unwrap().iter().map(value).collect();
        values.sort();
        values
    }

    /// The one value of a query.
    fn value(&self, query: &str) -> Option<String> {
        self.values(query, &[]).pop().map(|(_, value)| value)
    }

    #[track_caller]
    fn wait(&self, query: &str, expected: u64) {
        let expected = Some(expected.to_string());
        let deadline = Deadline::after(SEEN);
        while self.value(query) != expected {
            assert!(deadline.left().is_some(), "{query} is {:?}, not {expected:?}", self.value(query));
            pass(ms(100));
        }
    }

    /// The time since it was started, as a range of a query.
    fn range(&self) -> String {
        format!("{}s", self.started.elapsed().as_secs() + 1)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        end(&mut self.child);
        let _ = fs::remove_dir_all(self.folder.file("data"));
    }
}

fn start(network: &Network, host: usize) -> Daemon {
    let way = Way::Multicast.options(host);
    let mut args = vec!["-w", "2", "--port", "3000", "--stats-port", "1442", "--drain-delay", "0.2"];
    args.extend(["--cluster-notify-interval", "0.2", "--cluster-node-timeout", "2"]);
    args.extend(way.iter().map(String::as_str));
    Daemon::start_with(|| command_in(&network.hosts[host], program()), &args)
}

/// Waits until each sum is right.
#[track_caller]
fn wait_sums(prometheus: &Prometheus, members: [u64; 2], targets: [SocketAddr; 2]) {
    let total = members[0] + members[1];
    prometheus.wait("max(audience_meter_audience_nodes)", 2 * WORKERS);
    prometheus.wait("count(audience_meter_build_info)", 2 * WORKERS);
    prometheus.wait("sum(audience_meter_members)", total);
    prometheus.wait("min(audience_meter_audience_members)", total);
    prometheus.wait("max(audience_meter_audience_members)", total);
    prometheus.wait("max(sum by (instance) (audience_meter_audience_namespace_members))", total);
    for (members, target) in members.into_iter().zip(targets) {
        prometheus.wait(&format!("sum(audience_meter_members{{instance=\"{target}\"}})"), members);
    }
    let labels = prometheus.values("audience_meter_members", &["instance", "process"]);
    let expected = targets.iter().flat_map(|target| (0..WORKERS).map(move |process| format!("{target} {process}")));
    let mut expected: Vec<String> = expected.collect();
    expected.sort();
    assert_eq!(labels.into_iter().map(|(labels, _)| labels).collect::<Vec<_>>(), expected);
}

/// Each panel of the dashboard shows something, but those of what should not be.
#[track_caller]
fn dashboard_has_data(prometheus: &Prometheus, dashboard: &str) {
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert!(query.contains("$job"), "{query}");
            let query =
                query.replace("$job", "audience-meter").replace("$instance", ".*").replace("$__rate_interval", "5s");
            // A rate takes two scrapes.
            let has_data = || !prometheus.values(&query, &[]).is_empty();
            if panel["title"] == "Troubles of the cluster" {
                assert!(!has_data(), "{query}");
            } else {
                wait_until(&query, has_data);
            }
        }
    }
    let members = &dashboard["panels"][0];
    assert_eq!(members["title"], "Members");
    let query = members["targets"][0]["expr"].as_str().unwrap().replace("$job", "audience-meter");
    assert_eq!(prometheus.value(&query).as_deref(), Some("20"));
}

#[test]
fn every_sum_of_a_prometheus_is_right_through_restarts() {
    let Some(network) = Network::build() else { return };
    let network = Arc::new(network);
    let (first, second) = (start(&network, 0), start(&network, 1));
    let doorways = [0, 1].map(|host| Doorway::open(&network, host));
    let targets = doorways.each_ref().map(|doorway| doorway.address);
    let prometheus = Prometheus::start(targets);
    let _crowds = [crowd(&network, 0, 12), crowd(&network, 1, 8)];
    wait_sums(&prometheus, [12, 8], targets);
    prometheus.wait("sum(audience_meter_joins_total)", 20);
    dashboard_has_data(&prometheus, &network.within(0, || first.stats_page("/grafana.json")).body);

    // A worker is killed, and another one takes its number.
    let instance = format!("{{instance=\"{}\"}}", targets[0]);
    let starts = format!("process_start_time_seconds{instance}");
    let before = prometheus.values(&starts, &["process"]);
    let members = prometheus.values(&format!("audience_meter_members{instance}"), &["process"]);
    let settled = now();
    send_signal(children(first.pid())[0], "KILL");
    wait_until("the worker's successor", || {
        let now = prometheus.values(&starts, &["process"]);
        now.len() == before.len() && now != before
    });
    let now = prometheus.values(&starts, &["process"]);
    let killed = (0..2).find(|&process| now[process] != before[process]).unwrap();
    let survived: u64 = members[1 - killed].1.parse().unwrap();
    wait_sums(&prometheus, [survived, 8], targets);

    // The one that was not killed is in each answer, whichever process has given it.
    let range = settled.elapsed().as_secs();
    let survivor = format!("{{instance=\"{}\",process=\"{}\"}}", targets[0], 1 - killed);
    let missing = format!(
        "sum(sum_over_time(up{instance}[{range}s])) - sum(count_over_time(audience_meter_members{survivor}[{range}s]))"
    );
    assert_eq!(prometheus.value(&missing).as_deref(), Some("0"));
    assert_eq!(prometheus.value(&format!("min(min_over_time(up{instance}[{range}s]))")).as_deref(), Some("1"));

    // A whole host is replaced.
    drop(second);
    prometheus.wait(&format!("up{{instance=\"{}\"}}", targets[1]), 0);
    prometheus.wait("sum(audience_meter_members)", survived);
    prometheus.wait("max(audience_meter_audience_members)", survived);
    let _second = start(&network, 1);
    let _more = [crowd(&network, 0, 3), crowd(&network, 1, 5)];
    wait_sums(&prometheus, [survived + 3, 5], targets);

    // What was there at any second.
    let range = prometheus.range();
    let over_time = |what: &str, query: &str| prometheus.value(&format!("{what}_over_time(({query})[{range}:100ms])"));
    for members in ["sum(audience_meter_members)", "max(audience_meter_audience_members)"] {
        assert_eq!(over_time("max", members).as_deref(), Some("20"), "no member is there twice: {members}");
    }
    let doubles = "max(count by (instance, process) (audience_meter_build_info))";
    assert_eq!(over_time("max", doubles).as_deref(), Some("1"), "no process is there under two names");
    let changes = format!("changes(process_start_time_seconds[{range}])");
    let expected = (0..2).map(|process| if process == killed { "1" } else { "0" });
    let of_first = prometheus.values(&format!("changes({starts}[{range}])"), &["process"]);
    assert!(of_first.iter().map(|(_, count)| &**count).eq(expected), "no predecessor comes back: {of_first:?}");
    let page = network.within(0, || first.stats_page("/metrics"));
    let counters = page.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
    let counters: Vec<&str> = counters.collect();
    assert!(counters.len() > 8, "{counters:?}");
    for counter in counters {
        let fallen =
            format!("max by (instance, process) (resets({counter}[{range}])) > on (instance, process) ({changes})");
        assert_eq!(prometheus.values(&fallen, &["instance", "process"]), [], "{counter} falls at a restart alone");
    }
    let own = run("curl", &["-s", &format!("http://{}/metrics", prometheus.address)]);
    for what in ["sample_duplicate_timestamp", "sample_out_of_order", "exceeded_sample_limit"] {
        let line = format!("prometheus_target_scrapes_{what}_total 0\n");
        assert!(own.contains(&line), "{what}");
    }
    assert_eq!(prometheus.value("sum(ALERTS{alertname=\"ClusterTrouble\"})"), None);
}
