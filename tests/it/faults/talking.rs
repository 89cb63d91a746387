//! Members that keep talking, and a flood of joins and leaves: the others do not notice.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::undisturbed::*;
use audience_kit::*;

#[test]
fn a_member_that_keeps_talking_is_ignored_and_then_closed() {
    let daemon = Daemon::start(&["--notify-delta-ratio", "0", "--notify-min-delay", "0.02"]);
    let (mut hears, _) = member(&daemon, "/talk");
    let (mut talks, _) = member(&daemon, "/talk");
    hears.wait_count(2);
    // What may be said. It is no request, and changes nothing.
    for _ in 0..64 {
        talks.socket.write_all(&[b'x'; 1_024]).unwrap();
    }
    let (comes, _) = member(&daemon, "/talk");
    talks.wait_count(3);
    drop(comes);
    talks.wait_count(2);
    hears.wait_count(2);
    assert_eq!(figure(&daemon, "closed", "too_much"), 0);

    talks.socket.write_all(b"x").unwrap();
    hears.wait_count(1);
    assert_eq!(figure(&daemon, "closed", "too_much"), 1);
    assert_eq!(daemon.stat("talk", "members"), Some(1));
}

#[test]
fn members_that_talk_all_the_time_hold_nobody_up() {
    const TALKING: usize = 50;
    if skip_under_torture("13 MB would be read byte by byte") {
        return;
    }
    let _quiet = heavy();
    let daemon = Daemon::start(&["--notify-delta-ratio", "0", "--notify-min-delay", "0.02"]);
    let address = daemon.audience();
    let (mut hears, _) = member(&daemon, "/calm");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let talking: Vec<Stream> = (0..TALKING).map(|_| Stream::join(address, "/talk")).collect();
                for _ in 0..8 {
                    for stream in &talking {
                        // The last of them are more than may be said.
                        let _ = (&stream.socket).write_all(&[b'x'; 16 * 1_024]);
                    }
                }
            }
        });
        while figure(&daemon, "closed", "too_much") < 4 * TALKING as u64 {
            join_undisturbed(&daemon);
            let begun = now();
            daemon.notify("/calm/n/on").expect_confirmed();
            hears.expect(&Event::Message("n=on".to_owned()));
            assert!(now() - begun < UNDISTURBED, "a message took {:?}", now() - begun);
        }
    });
}

// ---------------------------------------------------------------------------------------------
// A flood of joins and leaves
// ---------------------------------------------------------------------------------------------

#[test]
fn a_flood_of_joins_and_leaves_of_one_address_does_not_starve_the_others() {
    const FLOODERS: usize = 4;
    const JOINS: usize = 30;
    // They share the processors with the flood, and the kernel tries a connection anew after 1, 3 and 7 s.
    const WITHIN: Duration = SOON;
    if skip_under_torture(
        "it watches how soon others come in, and each of thousands of heads takes a hundred times as many reads",
    ) {
        return;
    }
    let _quiet = heavy();
    let options = ["--notify-delta-ratio", "0", "--notify-min-delay", "0.02"];
    let daemon = Daemon::start(&options);
    let address = daemon.audience();
    let flooded = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let flood = || {
        while !is_over.load(Ordering::Relaxed) {
            // Not one of them waits for its answer.
            let batch: Vec<TcpStream> = (0..50).map(|_| connect(address)).collect();
            for mut socket in &batch {
                let _ = socket.write_all(join_request("/flood", "").as_bytes());
            }
            flooded.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    };
    let stays = thread::scope(|scope| {
        let _over = Over(&is_over);
        for _ in 0..FLOODERS {
            scope.spawn(flood);
        }
        wait_until("a flood", || flooded.load(Ordering::Relaxed) > 1_000);
        let (mut stays, mut times) = (Vec::new(), Vec::new());
        let (begun, before) = (now(), flooded.load(Ordering::Relaxed));
        for number in 1..=JOINS {
            let begun = now();
            let (stream, count) = member(&daemon, "/calm");
            stays.push(stream);
            assert_eq!(count, number as u64);
            // The first has heard its own count with the join.
            if number > 1 {
                stays[0].wait_count(number as u64);
            }
            let taken = now() - begun;
            assert!(taken < WITHIN, "join {number} took {taken:?}");
            times.push(taken);
        }
        let (joins, took) = (flooded.load(Ordering::Relaxed) - before, now() - begun);
        times.sort_unstable();
        let (median, worst) = (times[JOINS / 2], times[JOINS - 1]);
        show(&format!("beside a flood of {joins} joins in {took:?}: a join took {median:?}, at worst {worst:?}"));
        stays
    });
    daemon.wait_members("flood", 0);
    assert_eq!(daemon.stat("calm", "members"), Some(stays.len() as u64));
}
