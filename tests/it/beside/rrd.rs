//! The stats in a round-robin database, by the very script of the manual, and the picture that `rrdtool` draws of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use audience_kit::*;

/// Runs a script in a folder; what it says, if it fails.
fn run_in(folder: &Path, script: &str) -> Result<String, String> {
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", script]).current_dir(folder).output().unwrap();
    let said = lossy(&[output.stdout, output.stderr].concat());
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn the_script_of_the_manual_keeps_a_database_of_each_event_and_draws_it() {
    let daemon = Daemon::start(&[]);
    let _members = members(&daemon, "/my-event", 3);
    let _strange = members(&daemon, "/-caf%C3%A9", 1);
    let folder = std::env::temp_dir().join(format!("audience-meter-rrd-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let port = daemon.stats_port().port().to_string();
    let update = manual::block("sh", "# audience-rrd.sh").replace("1442", &port);
    run_in(&folder, &update).unwrap();
    // A database takes one value a second.
    wait_until("the next update", || run_in(&folder, &update).is_ok());
    for (name, members) in [("my-event", 3), ("-caf%25C3%25A9", 1)] {
        let last = run_in(&folder, &format!("rrdtool lastupdate './{name}.rrd'")).unwrap();
        let values = last.lines().last().and_then(|line| line.split_once(": "));
        assert_eq!(values.map(|(_, values)| values), Some(&*format!("{members} {members}")), "{last}");
    }
    // The event is over and begins anew, which is no join, least of all as many as would have made a counter run over.
    let databases = "last=$(rrdtool last ./my-event.rrd); rrdtool update ./my-event.rrd";
    run_in(&folder, &format!("{databases} $((last + 60)):900:5000 $((last + 120)):2:4 $((last + 180)):2:64")).unwrap();
    let fetched =
        "rrdtool fetch ./my-event.rrd MAX --start $((last - 300)) --end $last | sed 's/.*: .* //' | grep '^[0-9]'";
    let most = run_in(&folder, &format!("last=$(rrdtool last ./my-event.rrd); {fetched}")).unwrap();
    let joins: Vec<f64> = most.lines().map(|rate| rate.parse().unwrap()).collect();
    assert!(joins.iter().any(|&rate| rate > 0.5) && joins.iter().all(|&rate| rate < 100.0), "{joins:?}");
    run_in(&folder, &manual::block("sh", "# A picture of the last hour")).unwrap();
    let picture = fs::read(folder.join("my-event.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n") && picture.len() > 2_000, "{} bytes", picture.len());
    fs::remove_dir_all(&folder).unwrap();
}
