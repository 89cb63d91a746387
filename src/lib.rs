//! Audience Meter: a daemon that tells, truthfully and at once, how many people are at a live event.
//!
//! A page opens an event stream to `http://server/<namespace>`; whoever has one open is a member of that namespace, and
//! all members are told how many they are. This page is the architecture: where things are, what they may know of each
//! other, and what never happens.
//!
//! # Bird's eye
//!
//! One process, one thread, one loop over epoll; no async runtime, no locks. A folder is a floor, and a floor imports only
//! from the floors below it (`tests/it/house` reads the sources and fails on an import that runs up):
//!
//! | floor | folder | what it is | what it never names |
//! |---|---|---|---|
//! | 4 | [`server`] | joins the floors: turn, connections, routes, fan-out, side ports | |
//! | 3 | [`reactor`] | the kernel and the clock | namespaces, members, HTTP |
//! | 2 | [`wire`] | bytes to values and back | sockets, time, the audience |
//! | 1 | [`meter`] | the audience: who is where, whom to tell what, when | sockets, bytes, a clock |
//! | 0 | [`collections`] | slab, index list, timer wheel, ticks | everything else |
//!
//! Beside the floors:
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | turns arguments into validated settings |
//! | [`supervisor`] | looks after several such processes (`-w`) |
//! | [`log`] | the only place that prints |
//! | [`reports`] | the only place that writes to a file |
//!
//! Floors 0 to 2 are pure. Time is an argument to them and bytes are slices, so unit tests, fuzzers and simulations drive
//! the very code that runs in the daemon.
//!
//! # One turn
//!
//! `wait -> dispatch -> expire -> push -> reap` (`server::turn`). The clock is read after the wait, and that moment is the
//! turn's: it is passed down, and a second reading at the end only tells how long the turn was. Deadlines round up to ticks
//! of 10 ms and now rounds down, so nothing fires early. Every loop within a turn has a budget, a named constant whose
//! comment carries its arithmetic: accepts, reads, events, pushes. Together they stay below 5 ms, and tables grow in small
//! steps ([`collections::slab`], [`collections::shards`]), so nobody waits for somebody else's crowd. How long the turns
//! were is in the stats.
//!
//! # The path of a request
//!
//! [`reactor::Reactor::wait`] says that a listener is ready; `accept4`; the connection is read at once, for a browser's
//! head is usually there already. [`wire::session::Session::feed`] parses a head that came whole, and looks for the end of
//! one that comes in pieces; `Route::of` says what it asks for; [`meter::Meter::join`] counts the member in and returns the
//! total. (Whether there is room for it, for whom it connects and how many of that address are counted, is asked on the
//! way: `server::room`, `server::clients`, `server::addresses`.) Response head, `retry:` and first count leave in one write.
//! From then on the connection is a slot in a table, a timer and a link in its namespace's list.
//!
//! A change makes the namespace due: at once after quiet, else when `--notify-min-delay` has passed.
//! [`meter::Meter::handle_timeout`] decides, `poll_output` hands out a count, the frame is built once, and the fan-out
//! walks along the members, a slice per turn, newest first. Whoever does not keep up gets an outbox, in which counts
//! conflate: it is told the newest one when it can hear again.
//!
//! Who watches many namespaces is told in rounds, one a second ([`meter::watches`]): the totals that have changed are taken over,
//! and each watcher is told those that it asked for. It costs its patterns and a place; while nobody watches, a change costs a
//! branch.
//!
//! Leaving has one road: a connection is marked with a reason, `reap` frees it at the end of the turn and tells the meter.
//! (A newer claim of the same uuid takes the older member off the count at once, or the first count of the newer would not
//! be true; its later leaving finds nobody.)
//!
//! A process that was told to end (`server::drain`) goes deaf first: the kernel drops who begins to connect, and when they
//! ask again a second later they find a sibling. Whoever had come in by then is served and, like everybody else, let go in
//! the course of `--drain-delay`, by the same one road.
//!
//! # One audience out of many nodes
//!
//! A node is a process. The kernel spreads connections over the processes of a host (`SO_REUSEPORT`), so each node counts
//! its own members and tells the others absolute counts, and every total is the own count plus what the living others told
//! last. The conversation is pure (`meter::cluster`), its datagrams are [`wire::report`], and `server::bus` carries them:
//! multicast on loopback, multicast on the network, or unicast to named hosts.
//!
//! What a node knows first-hand is a journal: each change gets the next version, and an item lies at its last change. A
//! report says "all that changed after version `from`, up to `to`, as it is now". Signs of life carry the last version that
//! was told; who has heard less asks for the rest and is told that stretch. So a loss heals within moments, whatever the size
//! of the table, a newcomer is the same case with `from` 0, and nothing that is quiet is ever sent again. What changes again
//! and again is gathered, for longer the more nodes there are, so that all of them together tell something 200 times a second
//! at most. (A slow sweep over the table was the other way to heal losses: simpler, but with 100,000 names it takes the
//! better part of a minute to come round at the rate that its traffic may have, and it never rests.)
//!
//! A node that is new to another, or was taken for gone, counts once it has repeated a number drawn for it: what somebody
//! recorded of a dead node stays dead. What a dead node had counted in all is kept by those who survive, told on by its name
//! and merged as a maximum; a digest in the signs of life says who differs. An empty namespace travels with its age, so
//! that telling others of it does not keep it alive.
//!
//! With its count a node tells for how long its members have been there, all of them together. That grows by itself, and is
//! told only when something changes: others know it at any time by the node's own clock, which comes with each datagram. Of
//! a node that is gone it ends when it was last heard by that clock, which is the same for all who have heard it.
//!
//! A node's counters of itself (`server::metrics`) go with its signs of life, every few seconds. So whoever answers a scrape
//! of the shared stats port answers for all, and its own are those that it has told, or a counter would seem to fall where
//! the next answer is somebody else's.
//!
//! What is forgotten leaves the journal, so it is told before; and signs of life carry the version up to which something is
//! not told any more. Who has not heard as far as that takes the node for gone, and asks for everything.
//!
//! Claims of uuids are ordered by time and node, on a clock that never falls behind a claim that was heard of, and are
//! journalled. Messages are numbered by their sender, told three times within 200 ms, and put in order by the receiver.
//!
//! # Under torture
//!
//! All calls by which connections come in, are read and are written are in one file, `server::torture`, which makes the
//! worst of them when it is told to (`--torture <seed>`): reads of a byte, short writes, failures that say nothing. So the
//! integration tests show, on any machine, what otherwise only a busy one with slow peers would.
//!
//! # Invariants, as absences
//!
//! - Nothing but `reap` frees a connection; so no event of a turn meets a stranger under an old key.
//! - Nothing but `reactor::clock` reads a clock. Nothing sleeps.
//! - Nothing calls up: the meter and the sessions return values, and the server acts on them.
//! - No member costs more than a constant, whatever it or the others do: an outbox holds one frame in flight, the latest
//!   count and a few shared messages.
//! - No peer can make a loop run longer than its budget, and none can make the process panic. Asserts guard our own books;
//!   what comes from outside is judged and answered.
//! - No wake-up without a reason: a quiet audience costs a wait that does not return. (A worker beats for its supervisor
//!   once a second.)
//! - No worker outlives its supervisor, not if either is killed or hangs.
//! - `unsafe` is in `reactor/sys.rs` and `reactor/registered.rs` alone, a promise above each block.
//! - No count is told as a difference, and none that was only heard of is told as one's own.
//! - Nothing is done when a minute ends: what has not changed is made up when it is asked for.
//! - No line of the log is waited for: what cannot be written at once is counted, and the number is told later.
//! - Nothing is read from the disk after the start; pages and scripts are part of the program.

pub mod collections;
pub mod config;
pub mod log;
pub mod meter;
pub mod reactor;
pub mod reports;
pub mod server;
pub mod supervisor;
pub mod wire;
