//! What a process counted leaves with it: at once when it says goodbye, within the timeout when it cannot. `connections` never
//! falls.

use super::siblings::*;
use audience_kit::*;

#[test]
fn a_process_that_says_goodbye_takes_its_members_with_it_at_once() {
    let _quiet = timed();
    let [stays, mut goes] = audience::<2>(&PATIENT);
    let _open = [join_at(&stays, "/ns").0, join_at(&goes, "/ns").0];
    stays.wait_members("ns", 2);
    goes.signal("TERM");
    within(ms(2000), "the goodbye", || stays.stat("ns", "members") == Some(1));
    assert_eq!(goes.wait_exit().code(), Some(0));
    wait_nodes(&stays, 1);
    assert_eq!(stays.stat("ns", "connections"), Some(2), "what the dead had counted stays");
}

#[test]
fn the_members_of_a_killed_process_go_within_the_timeout() {
    let _quiet = timed();
    let [stays, also_stays, mut dies] = audience::<3>(&BRISK);
    let open = [join_at(&stays, "/ns").0, join_at(&also_stays, "/ns").0, join_at(&dies, "/ns").0];
    stays.wait_members("ns", 3);
    also_stays.wait_members("ns", 3);
    dies.signal("KILL");
    dies.wait_exit();
    within(BRISK_TIMEOUT + MOMENT, "that the dead is forgotten", || {
        [&stays, &also_stays].iter().all(|daemon| daemon.stat("ns", "members") == Some(2))
    });
    assert_eq!((nodes(&stays), nodes(&also_stays)), (2, 2));
    assert_eq!(stays.stat("ns", "connections"), Some(3), "what the dead had counted stays");
    drop(open);
}

#[test]
fn nothing_goes_round_when_datagrams_are_passed_on() {
    // Nobody is at that address; with it, what comes by unicast is passed on to the others over loopback.
    let repeat = ["--cluster-peers", "127.0.0.1:9", "--notify-min-delay", "0.1", "--notify-max-delay", "1"];
    let [stays, also_stays, mut goes] = audience::<3>(&[&repeat, &BRISK[..]].concat());
    let (mut stream, _) = join_at(&stays, "/ns");
    also_stays.wait_members("ns", 1);
    goes.signal("TERM");
    goes.wait_exit();
    wait_nodes(&stays, 2);
    wait_nodes(&also_stays, 2);
    let received = |daemon| cluster_page(daemon)["datagrams"]["received"].as_u64().unwrap();
    let before = [&stays, &also_stays].map(received);
    // The count is repeated every second, which is as long as is watched here.
    stream.expect_count(1);
    assert_eq!(dropped(&stays, "replayed") + dropped(&also_stays, "replayed"), 0, "some came twice");
    for (daemon, before) in [&stays, &also_stays].into_iter().zip(before) {
        let more = received(daemon) - before;
        assert!(more < 100, "{more} datagrams while nothing happened");
    }
}

#[test]
fn connections_never_falls_over_a_rolling_restart_of_all() {
    let mut daemons = Vec::from(audience::<2>(&BRISK));
    let mut total = 0;
    for round in 0..4 {
        // In the odd rounds there is nobody but those who had counted, and they all go.
        if round % 2 == 0 {
            drop([one_at_each(&daemons, "/ns"), one_at_each(&daemons, "/ns")]);
            total += 4;
        }
        wait_totals(&daemons, "ns", 0);
        wait_connections(&daemons, total);
        for slot in 0..daemons.len() {
            let newcomer = beside(&daemons[slot], &BRISK);
            wait_connections(std::slice::from_ref(&newcomer), total);
            let mut old = std::mem::replace(&mut daemons[slot], newcomer);
            // Every other one gets no chance to say a word.
            old.signal(if slot == 0 { "TERM" } else { "KILL" });
            old.wait_exit();
            assert!(daemons.iter().all(|daemon| daemon.stat("ns", "connections") == Some(total)), "round {round}");
        }
    }
    wait_nodes(&daemons[0], 2);
    assert!(daemons.iter().all(|daemon| daemon.stat("ns", "connections") == Some(total)));
}

#[test]
fn a_process_that_was_paused_comes_back_right() {
    let daemons = audience::<2>(&BRISK);
    let [stays, pauses] = &daemons;
    let mut open = vec![join_at(stays, "/ns").0, join_at(pauses, "/ns").0, join_at(pauses, "/ns").0];
    wait_totals(&daemons, "ns", 3);

    pauses.signal("STOP");
    wait_until("that it is called silent", || {
        let silent = &cluster_page(stays)["silent"];
        silent["nodes"] == 1 && silent["members"] == 2
    });
    wait_until("that it is forgotten", || nodes(stays) == 1 && stays.stat("ns", "members") == Some(1));
    assert_eq!(cluster_page(stays)["silent"]["members"], 0);
    open.remove(0);
    stays.wait_members("ns", 0);

    pauses.signal("CONT");
    wait_totals(&daemons, "ns", 2);
    assert_eq!((nodes(stays), nodes(pauses)), (2, 2));
    wait_connections(&daemons, 3);
    assert_eq!(join_at(stays, "/ns").1, 3);
}
