//! The page `/cluster`: which nodes there are, which of them drain, and what became of the datagrams.

use super::siblings::*;
use audience_kit::*;

#[test]
fn the_cluster_page_says_who_is_there_and_what_became_of_the_datagrams() {
    let daemons = audience::<2>(&BRISK);
    let _open = [one_at_each(&daemons, "/a"), one_at_each(&daemons[..1], "/b")];
    wait_totals(&daemons, "b", 1);
    wait_totals(&daemons, "a", 2);
    let names = daemons.each_ref().map(node_name);
    assert_ne!(names[0], names[1]);
    for (daemon, (own, other)) in daemons.iter().zip([(2, 1), (1, 2)]) {
        let page = cluster_page(daemon);
        let mut keys: Vec<&str> = page.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["datagrams", "members", "node", "nodes", "silent", "troubles"]);
        assert_eq!((&page["node"], &page["nodes"]), (&node_name(daemon).into(), &2.into()));
        let members = page["members"].as_array().unwrap();
        let figures = |index: usize| (members[index]["node"].as_str().unwrap(), members[index]["members"].as_u64());
        assert_eq!(members.len(), 2);
        assert_eq!(figures(0), (&*node_name(daemon), Some(own)));
        assert_eq!(members[0]["silent_ms"], 0);
        assert!(names.iter().any(|name| figures(1) == (name, Some(other))), "{page}");
        assert!(members[1]["silent_ms"].as_u64() < Some(1_500), "{page}");
        assert_eq!(page["silent"], serde_json::json!({ "nodes": 0, "members": 0 }));
        let datagrams = &page["datagrams"];
        assert!(datagrams["sent"].as_u64() > Some(0) && datagrams["received"].as_u64() > Some(0), "{page}");
        assert_eq!((&datagrams["send_errors"], &datagrams["overflowed"]), (&0.into(), &0.into()), "{page}");
        assert_eq!(datagrams["dropped"], serde_json::json!({}), "{page}");
        assert_eq!(page["troubles"], serde_json::json!([]), "{page}");
    }
}

#[test]
fn the_cluster_page_says_who_drains_before_it_is_gone() {
    // Its counters were told when the other came, and would be again when it is gone.
    let [mut goes, stays] = audience::<2>(&[&BRISK[..], &["--drain-delay", "3"]].concat());
    let _open = one_at_each(std::slice::from_ref(&goes), "/a");
    stays.wait_members("a", 1);
    let draining = |daemon: &Daemon| -> Vec<String> {
        let page = cluster_page(daemon);
        let drain = page["members"].as_array().unwrap().iter().filter(|node| node["draining"] == true);
        drain.map(|node| node["node"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(draining(&stays), [""; 0]);
    goes.signal("TERM");
    wait_until("that it is known to drain", || draining(&stays) == [node_name(&goes)]);
    assert_eq!(goes.wait_exit().code(), Some(0));
    wait_nodes(&stays, 1);
    assert_eq!(draining(&stays), [""; 0]);
}
