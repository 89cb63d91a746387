//! What a daemon says of itself on the pages of its stats port.

use serde_json::Value;

use crate::Daemon;

/// What `/process` says.
#[track_caller]
pub fn process_page(daemon: &Daemon) -> Value {
    json_page(daemon, "/process")
}

/// What `/cluster` says.
#[track_caller]
pub fn cluster_page(daemon: &Daemon) -> Value {
    json_page(daemon, "/cluster")
}

#[track_caller]
fn json_page(daemon: &Daemon, path: &str) -> Value {
    let reply = daemon.stats_page(path);
    assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("application/json")), "{reply:?}");
    assert!(reply.body.ends_with("}\n"), "{reply:?}");
    serde_json::from_str(&reply.body).unwrap()
}

/// A number of a group of `/process`, such as `closed.too_slow`.
#[track_caller]
pub fn figure(daemon: &Daemon, group: &str, key: &str) -> u64 {
    let page = process_page(daemon);
    page[group][key].as_u64().unwrap_or_else(|| panic!("no {group}.{key} in {page}"))
}

/// How many connections are open, the one that asks among them.
#[track_caller]
pub fn open_connections(daemon: &Daemon) -> u64 {
    process_page(daemon)["open"].as_u64().unwrap()
}

/// How many nodes the process knows of, itself included.
#[track_caller]
pub fn nodes(daemon: &Daemon) -> u64 {
    cluster_page(daemon)["nodes"].as_u64().unwrap()
}
