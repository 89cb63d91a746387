//! A key is replaced while all nodes run, each at a moment of its own, and the audience is one throughout.

use super::siblings::*;
use audience_kit::*;

pub(super) const OLD: &str = "the old key of this audience";
const NEW: &str = "the new key of this audience";

/// The contents of a key file from the old key to the new one.
pub(super) fn steps() -> [String; 3] {
    [format!("{OLD}\n{NEW}\n"), format!("{NEW}\n{OLD}\n"), format!("{NEW}\n")]
}

fn events(daemon: &Daemon, event: &str) -> usize {
    daemon.log().iter().filter(|line| line.contains(event)).count()
}

#[test]
fn a_key_is_replaced_while_members_come_and_go() {
    let files = [(); 2].map(|()| ScratchFile::with("key", OLD, 0o600));
    let first = start(&[&["--cluster-key-file", files[0].path()], &BRISK[..]].concat());
    let second = beside(&first, &[&["--cluster-key-file", files[1].path()], &BRISK[..]].concat());
    let daemons = [first, second];
    for daemon in &daemons {
        wait_nodes(daemon, 2);
    }
    let mut open = one_at_each(&daemons, "/ns");
    wait_totals(&daemons, "ns", 2);
    files[1].replace("hunter2\n");
    wait_until("the file that cannot be used", || events(&daemons[1], "event=cluster_key_refused") == 1);
    for (step, content) in steps().iter().enumerate() {
        for (daemon, file) in daemons.iter().zip(&files) {
            file.replace(content);
            wait_until("the changed key", || events(daemon, "event=cluster_key_changed") == step + 1);
            let (stream, told) = join_at(daemon, "/ns");
            assert_eq!(told, 3);
            wait_totals(&daemons, "ns", 3);
            // The member that has been here longest leaves.
            drop(open.remove(0));
            open.push(stream);
            wait_totals(&daemons, "ns", 2);
            assert_eq!(daemons.each_ref().map(nodes), [2, 2], "step {step}");
        }
    }
    assert_eq!(daemons.each_ref().map(|daemon| dropped(daemon, "forged")), [0, 0]);
    let refused =
        daemons[1].log().iter().filter(|line| line.contains("event=cluster_key_refused")).cloned().collect::<Vec<_>>();
    assert!(matches!(&refused[..], [line] if line.contains("line 1 is too short")), "{refused:?}");
    assert!(daemons.iter().all(|daemon| !daemon.log().join("\n").contains("hunter2")));
    for (daemon, counts) in daemons.iter().zip([[2, 2, 1]; 2]) {
        let lines = counts.map(|count| format!("level=info event=cluster_key_changed keys={count}"));
        let changes = daemon.log().into_iter().filter(|line| line.contains("event=cluster_key_changed"));
        assert_eq!(changes.collect::<Vec<_>>(), lines);
    }

    // What has the old key alone is a stranger now.
    let stale = ScratchFile::with("key", OLD, 0o600);
    let stranger = beside(&daemons[0], &[&["--cluster-key-file", stale.path()], &BRISK[..]].concat());
    wait_until("drops", || dropped(&daemons[0], "forged") > 0);
    assert_eq!((nodes(&stranger), daemons.each_ref().map(nodes)), (1, [2, 2]));
}
