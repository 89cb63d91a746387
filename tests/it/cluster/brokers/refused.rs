//! What is said of brokers that cannot be used: one line for each reason, with the remedy, and the node serves on.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;

use audience_kit::*;

/// A daemon over a broker at this URL says this once, is ready, and counts its own members.
#[track_caller]
fn says(url: &str, remedy: &str) {
    // Processes of one host and one channel are one audience, whatever their ports are.
    let daemon = Daemon::start(&["-m", url, "--cluster-name", url]);
    let is_lost = |line: &str| line.contains(" event=broker_lost ");
    let line = daemon.wait_log(remedy, |line| is_lost(line) && line.contains(remedy));
    assert!(line.starts_with("level=warn "), "{line}");
    let mut stream = Stream::join(daemon.audience(), "/ns");
    assert_eq!(stream.next_count(SOON), 1);
    let ready = daemon.stats_page("/readyz");
    assert_eq!((ready.status, ready.body.trim()), (200, "ready; the broker is away, and other hosts with it"));
    // It is tried again meanwhile, with other waits.
    pass(ms(1_000));
    let log = daemon.log();
    let lost = log.iter().filter(|line| is_lost(line)).collect::<Vec<_>>();
    assert!(lost.len() <= 2, "{lost:?}");
}

#[test]
fn another_protocol_is_named() {
    let [nats, redis] = Program::ALL.map(|program| Broker::start(program, &[]));
    says(&format!("redis://{}", nats.address()), "what answers is another kind of server");
    // These wait for the node, which waits for them.
    says(&format!("nats://{}", redis.address()), "whether the scheme and the port are right");
    let daemon = Daemon::start(&[]);
    says(&format!("redis://{}", daemon.audience()), "whether the scheme and the port are right");
}

#[test]
fn a_payload_that_is_too_small_is_named() {
    let config = ScratchFile::with("config", "max_payload: 1000\n", 0o600);
    let broker = Broker::start(Program::Nats, &["--config", config.path()]);
    says(&broker.url(), "raise its max_payload to 1200 or more");
}

#[test]
fn tls_where_plain_bytes_were_expected_is_named() {
    let folder = ScratchFolder::create("tls");
    let (certificate, key) = certificate(&folder, "localhost");
    let nats = Broker::start(Program::Nats, &["--tls", "--tlscert", &certificate, "--tlskey", &key]);
    says(&nats.url(), "the broker wants TLS: connect through a TLS tunnel");
    let port = free_port();
    let tls = ["--tls-port", &port.to_string(), "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let _redis = Broker::start(Program::Redis, &[&tls[..], &["--tls-ca-cert-file", &certificate]].concat());
    says(&format!("redis://127.0.0.1:{port}"), "TLS");
}

#[test]
fn nonsense_is_no_reason_to_end() {
    for (scheme, nonsense, remedy) in [
        ("nats", b"\0\xff\r\n\r\n".to_vec(), "what answers is another kind of server"),
        ("nats", b"INFO {\"max_payload\":1048576}\r\nNONSENSE\r\n".to_vec(), "do not understand each other"),
        ("nats", b"I".repeat(100_000), "another kind of server"),
        ("redis", b"\0\xff\r\n".to_vec(), "another kind of server"),
        ("redis", b"%9\r\n".to_vec(), "broker"),
        ("redis", Vec::new(), "closed the connection at once"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.write_all(&nonsense);
                let _ = stream.shutdown(std::net::Shutdown::Write);
            }
        });
        says(&url, remedy);
    }
}
